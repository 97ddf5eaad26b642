//! A plan for all users, asked of a live engine by `pacao ctl plan`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use proto::plan::Plan;
use proto::{Reply, Span};
use system_tests::fabric::{lab, paris, site};
use system_tests::patience::wait_for;
use system_tests::steered::Steered;

/// The plan, or why there is none.
fn plan(engine: &Steered, args: &[&str]) -> Result<Plan, String> {
    let told = engine.ctl(&[&["--json", "plan"], args].concat()).unwrap();
    match serde_json::from_str(&told.text).unwrap() {
        Reply::Planned { plan } => Ok(*plan),
        Reply::Refused { refusal } => Err(refusal.to_string()),
        other => panic!("{other:?}"),
    }
}

/// N11: bound, gap and moves on figures as they are measured; advice that nothing follows.
#[test]
fn a_plan_says_what_to_move_and_what_is_proven_and_moves_nobody() {
    let lab = lab(&[]).unwrap();
    let engine = Steered::start(&lab, &[]).unwrap();
    assert!(engine.ctl(&["mode", "observe"]).unwrap().done);
    let calm = wait_for(
        "every entry can be judged",
        || plan(&engine, &[]),
        |plan| plan.as_ref().ok().filter(|plan| plan.held.is_empty()).cloned(),
    );
    assert_eq!((calm.moves.as_slice(), calm.now.late), (&[][..], 0), "{calm:?}");
    assert!(calm.badge.optimal, "{:?}", calm.badge);

    lab.stress(&paris(), &site("telco"), Span::millis(400)).unwrap();
    let wanted = wait_for(
        "paris-001 is late by telco",
        || plan(&engine, &["--price", "5ms"]),
        |plan| {
            let plan = plan.as_ref().ok().filter(|plan| plan.now.late > 0)?;
            (!plan.moves.is_empty()).then(|| plan.clone())
        },
    );
    assert_eq!(wanted.moves.len(), 1, "{wanted:?}");
    let only = &wanted.moves[0];
    assert_eq!((&only.user, only.from.as_str()), (&paris(), "telco"));
    assert_ne!(only.to.as_str(), "telco");
    assert_eq!(wanted.then.late, 0, "{wanted:?}");
    assert!(
        wanted.badge.optimal && wanted.badge.least_excess_user_ms <= wanted.then.excess_user_ms + 1e-6,
        "{:?}",
        wanted.badge
    );

    // In words as well, and a price above any gain leaves everybody where they are.
    let told = engine.ctl(&["plan"]).unwrap();
    assert!(told.done && told.text.contains("paris-001"), "{}", told.text);
    let dear = plan(&engine, &["--price", "1h"]).unwrap();
    assert!(dear.moves.is_empty() && dear.free_moves >= 1, "{dear:?}");
    assert_eq!(engine.entry(&paris()).unwrap(), site("telco"), "nobody moved");

    // What makes no sense is not asked of the engine.
    for args in [
        ["plan", "--within", "0s"],
        ["plan", "--within", "1h"],
        ["plan", "--price", "dear"],
    ] {
        let error = engine.ctl(&args).unwrap_err().to_string();
        assert!(error.contains("Some(2)"), "{args:?}: {error}");
    }
    lab.stop().unwrap();
}

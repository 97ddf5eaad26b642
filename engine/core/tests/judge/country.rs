//! (5.4)-(5.9): plans against the level form solved by HiGHS, and figures against a verifier.

#[path = "../../benches/assign/instance.rs"]
pub(crate) mod instance;
#[path = "../../benches/assign/written.rs"]
pub(crate) mod written;

use std::time::Duration;

use instance::{REGIMES, Size};
use pacao_core::optimizer::group::{Solver, solve};

use crate::python::ask;

/// Lets so many questions pass before it says stop.
pub(crate) fn after(mut questions: u32) -> impl FnMut() -> bool {
    move || {
        questions = questions.saturating_sub(1);
        questions == 0
    }
}

#[test]
fn a_verifier_finds_the_same_f_and_no_rule_broken() {
    for regime in &REGIMES {
        let problem = instance::make(Size::new(3_000, 16), regime, 7).unwrap();
        let plan = solve(problem.clone(), 1e-3, &mut after(200));
        let judged = ask("verify.py", &written::written(&problem, &plan));
        assert_eq!(judged["broken"].as_array().unwrap().len(), 0, "{judged}");
        assert_eq!(judged["excess_us"], plan.excess_us, "{}", regime.name);
        let objective = judged["objective"].as_f64().unwrap();
        assert!((objective - plan.objective).abs() < 1e-6, "{}", regime.name);
    }
}

#[test]
fn small_countries_are_solved_to_the_optimum_that_highs_finds() {
    let size = |users, areas, sites| Size { users, areas, sites };
    let mut cases: Vec<_> = REGIMES
        .iter()
        .zip(1..)
        .map(|(r, seed)| (size(48, 16, 4), r, seed))
        .collect();
    let named = |name: &str| REGIMES.iter().find(|regime| regime.name == name).unwrap();
    // Few users overload a data centre: prices alone leave a gap of two parts in a hundred.
    cases.extend([1, 2].map(|seed| (size(100, 60, 8), named("over"), seed)));
    cases.extend(["tight", "het"].map(|name| (size(64, 40, 8), named(name), 3)));
    for (size, regime, seed) in cases {
        let problem = instance::make(size, regime, seed).unwrap();
        let mut solver = Solver::new(problem.clone());
        solver.place(&mut after(100_000));
        solver.prove(0.0, &mut after(100_000));
        let (plan, badge) = (solver.plan(), solver.badge(Duration::ZERO));
        let judged = ask("level.py", &written::written(&problem, &plan));
        let name = format!("{size:?} {} seed {seed}", regime.name);
        assert_eq!(judged["status"], "Optimal", "{name}: {judged}");
        let optimum = judged["optimum_us"].as_u64().unwrap();
        let (cost, bound) = (plan.excess_us, plan.excess_bound_us);
        println!("{name}: plan {cost}, optimum {optimum}, bound {bound}");
        assert!(
            bound <= optimum,
            "{name}: the bound {bound} is above {optimum}, which HiGHS reached"
        );
        assert_eq!(cost, optimum, "{name}");
        assert!(badge.optimal, "{name}: proven are {bound} of {cost}");
    }
}

#[test]
fn a_bound_is_true_however_soon_the_proof_is_stopped() {
    let size = Size {
        users: 100,
        areas: 60,
        sites: 8,
    };
    let problem = instance::make(size, &REGIMES[4], 1).unwrap();
    let judged = ask(
        "level.py",
        &written::written(&problem, &solve(problem.clone(), 0.0, &mut after(1))),
    );
    let optimum = judged["optimum_us"].as_u64().unwrap();
    let mut before = 0;
    for questions in [2, 20, 60, 200, 600, 2_000] {
        let plan = solve(problem.clone(), 0.0, &mut after(questions));
        assert!(plan.excess_bound_us <= optimum && plan.excess_us >= optimum);
        assert!(plan.excess_bound_us >= before, "longer proves no less");
        before = plan.excess_bound_us;
    }
    assert!(before > 0);
}

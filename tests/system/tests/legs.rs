//! The line between two data centres breaks, and those whose way takes it enter elsewhere.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use proto::{LegRow, LinkState, Span, UserName};
use system_tests::fabric::{lab, site, vm};
use system_tests::patience::wait_for;
use system_tests::steered::Steered;
use system_tests::talk::{Answerer, Talk};
use testbed::PairShape;

/// From Marilyn to where the VM lives.
fn leg(engine: &Steered) -> LegRow {
    let legs = engine.legs().unwrap();
    let ours = |leg: &LegRow| leg.from == site("marilyn") && leg.to == site("telco");
    legs.into_iter().find(ours).unwrap()
}

fn stands(engine: &Steered, state: LinkState) {
    wait_for(
        &format!("the leg is {}", state.word()),
        || leg(engine),
        |leg| (leg.state == state).then_some(()),
    );
}

#[test]
fn users_leave_an_entry_whose_way_to_the_vm_is_cut_and_traffic_goes_on() {
    let lab = lab(&[]).unwrap();
    let engine = Steered::start(&lab, &[]).unwrap();
    assert!(engine.ctl(&["mode", "auto"]).unwrap().done);
    let lyon = UserName::new("lyon-042").unwrap();
    let address = lab.vm_address(&vm()).unwrap();
    let _answerer = Answerer::start(lab.vm_host(&vm()).unwrap(), address).unwrap();
    let talk = Talk::start(lab.user_host(&lyon).unwrap(), address).unwrap();
    talk.come_back(25).unwrap();
    stands(&engine, LinkState::Ok);
    assert_eq!(engine.entry(&lyon).unwrap(), site("marilyn"));
    assert_eq!(leg(&engine).carries, 1);

    // Lyon reaches Marilyn as well as ever, and by it nothing any more.
    let cut = PairShape {
        loss_pct: 100.0,
        ..PairShape::default()
    };
    lab.reshape_between(&site("marilyn"), &site("telco"), cut)
        .unwrap();
    stands(&engine, LinkState::Down);
    wait_for(
        "lyon-042 enters elsewhere",
        || engine.entry(&lyon).unwrap(),
        |entry| (*entry != site("marilyn")).then_some(()),
    );
    talk.come_back(25).unwrap();
    let log = engine.ctl(&["log"]).unwrap().text;
    assert!(log.contains("leg Marilyn -> TelcoCenter is down"), "{log}");
    assert!(!log.contains("link lyon-042/Marilyn is down"), "{log}");
    let why = engine.ctl(&["why", "lyon-042", "--to", "marilyn"]).unwrap().text;
    assert!(
        why.contains("the leg from Marilyn to TelcoCenter, where vm-web-07 lives, is down"),
        "{why}"
    );
    let table = engine.ctl(&["legs"]).unwrap().text;
    assert!(table.starts_with("S  STATE"), "{table}");

    let mended = PairShape {
        delay: Span::millis(1),
        ..PairShape::default()
    };
    lab.reshape_between(&site("marilyn"), &site("telco"), mended)
        .unwrap();
    stands(&engine, LinkState::Ok);
    talk.come_back(25).unwrap();
    lab.stop().unwrap();
}

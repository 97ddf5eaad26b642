//! The line between two data centres breaks, and those whose way takes it enter elsewhere. A VM moves, and other lines count.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use proto::node::NodeReport;
use proto::{ChangeId, LegRow, LinkState, NodeCommand, RlocRow, SiteName, Span, UserName};
use system_tests::fabric::{ask, lab, site, vm};
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

/// By the mark that the RLOCs pane has.
fn home(engine: &Steered) -> Vec<SiteName> {
    let text = engine.ctl(&["rlocs", "--json"]).unwrap().text;
    let rows: Vec<RlocRow> = serde_json::from_str(&text).unwrap();
    let mut homes: Vec<SiteName> = rows
        .into_iter()
        .filter(|row| row.home)
        .map(|row| row.dc)
        .collect();
    homes.dedup();
    homes
}

fn lives(engine: &Steered, at: &str) {
    let at = [site(at)];
    wait_for(
        "the VM lives there",
        || home(engine),
        |homes| (*homes == at).then_some(()),
    );
}

#[test]
fn a_vm_that_is_moved_by_hand_lives_where_it_went_for_the_engine_too() {
    let lab = lab(&[]).unwrap();
    let mut engine = Steered::start(&lab, &[]).unwrap();
    let lyon = UserName::new("lyon-042").unwrap();
    let (address, eid) = (lab.vm_address(&vm()).unwrap(), "10.1.0.7/32".parse().unwrap());
    let _answerer = Answerer::start(lab.vm_host(&vm()).unwrap(), address).unwrap();
    let talk = Talk::start(lab.user_host(&lyon).unwrap(), address).unwrap();
    talk.come_back(25).unwrap();
    lives(&engine, "telco");

    lab.rehome(&vm(), &site("lip6")).unwrap();
    let change = ChangeId(1);
    let control = &lab.controls()[&site("lip6")];
    assert_eq!(
        ask(control, NodeCommand::Arrived { change, eid }).unwrap(),
        NodeReport::Done
    );
    lives(&engine, "lip6");
    assert_eq!(engine.entry(&lyon).unwrap(), site("lip6"));
    let legs = || engine.legs().unwrap();
    let measured = |legs: &Vec<LegRow>| {
        let to_lip6 = |leg: &LegRow| leg.to == site("lip6") && leg.state == LinkState::Ok;
        legs.iter().all(to_lip6).then_some(legs.len())
    };
    assert_eq!(
        wait_for("the legs to LIP6 are measured, and no others", legs, measured),
        2
    );
    talk.come_back(25).unwrap();
    let log = engine.ctl(&["log"]).unwrap().text;
    assert!(
        log.contains("vm-web-07 lives at LIP6 now (was TelcoCenter)"),
        "{log}"
    );
    assert!(!log.contains("is told to run at two sites"), "{log}");

    // An engine that takes up again knows it, and is told nothing else.
    engine.kill().unwrap();
    engine.take_up().unwrap();
    lives(&engine, "lip6");
    let log = engine.ctl(&["log"]).unwrap().text;
    assert_eq!(log.matches("vm-web-07 lives at").count(), 1, "{log}");
    lab.stop().unwrap();
}

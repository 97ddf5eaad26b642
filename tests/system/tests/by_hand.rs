//! A VM moves while near and far users talk with it, and staff tell the forwarders of it by `pacao ctl node` alone, as they
//! would of a hypervisor that has no agent.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use system_tests::moving::{Centre, Moving, USERS};

const ROME: Centre = Centre::Rome;
const PARIS: Centre = Centre::Paris;

#[test]
fn a_vm_is_moved_by_hand_there_and_back_and_no_packet_is_lost() {
    let scene = Moving::start().unwrap();
    let talks = scene.talks().unwrap();

    let said = scene.order(ROME, "prepare", &["--to", "172.16.0.1"]).unwrap();
    let eid = scene.eid;
    assert!(
        said.starts_with(&format!("172.16.0.1 has 3 clients of {eid} after ")),
        "{said}"
    );
    scene.finish_move(ROME, PARIS).unwrap();
    for user in USERS {
        scene.enters_by(user, PARIS).unwrap();
        talks[user].come_back(25).unwrap();
    }
    assert_eq!(scene.counted(PARIS, "control.preparations.used").unwrap(), 1);

    let said = scene
        .order(PARIS, "prepare", &["--to", "172.16.0.2", "--json"])
        .unwrap();
    let outcome: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&outcome["outcome"], &outcome["clients"]),
        (&"prepared".into(), &3.into()),
        "{said}"
    );
    scene.finish_move(PARIS, ROME).unwrap();
    for user in USERS {
        scene.enters_by(user, ROME).unwrap();
        talks[user].come_back(25).unwrap();
    }
    for (user, talk) in talks {
        let fate = talk.fate().unwrap();
        assert_eq!(
            (fate.missing, fate.summary.duplicated),
            (vec![], 0),
            "{user}: {:?}",
            fate.summary
        );
    }
    scene.lab.stop().unwrap();
}

#[test]
fn a_move_that_is_given_up_moves_nobody_and_what_was_held_is_delivered_where_the_vm_still_is() {
    let scene = Moving::start().unwrap();
    let talks = scene.talks().unwrap();
    let refusal = format!("no move of {} is being prepared", scene.eid);
    let eid = scene.eid.to_string();
    let order = scene.ctl(ROME, &["abandon", &eid]).unwrap();
    assert_eq!(
        (order.done, order.said.as_str(), order.why),
        (false, "", format!("pacao: the forwarder refused: {refusal}\n"))
    );
    let order = scene.ctl(ROME, &["abandon", &eid, "--json"]).unwrap();
    let json = format!("{{\"report\":\"refused\",\"why\":\"{refusal}\"}}\n");
    assert_eq!((order.done, order.said), (false, json));

    scene.order(ROME, "prepare", &["--to", "172.16.0.1"]).unwrap();
    assert_eq!(scene.order(ROME, "stopped", &[]).unwrap(), "o done\n");
    // Some packets come meanwhile.
    system_tests::talk::a_while();
    assert_eq!(scene.order(ROME, "abandon", &[]).unwrap(), "o done\n");
    for user in USERS {
        scene.enters_by(user, ROME).unwrap();
        talks[user].come_back(25).unwrap();
    }
    assert_eq!(scene.counted(PARIS, "control.preparations.used").unwrap(), 0);
    for (user, talk) in talks {
        let fate = talk.fate().unwrap();
        assert_eq!(
            (fate.missing, fate.summary.duplicated),
            (vec![], 0),
            "{user}: {:?}",
            fate.summary
        );
    }
    scene.lab.stop().unwrap();
}

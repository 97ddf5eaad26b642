//! Every key of a running fabric is replaced, one node after the other: no registration is lost, nobody is restarted.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use lisp_wire::{EidPrefix, Rloc};
use proto::node::Show;
use proto::{ChangeId, NodeCommand, NodeReport, SiteName, Span};
use serde_yaml::{Mapping, Value};
use system_tests::fabric::{ask, counters, lab};
use system_tests::patience::wait_for;
use system_tests::product::pacao;
use testbed::{Lab, Node};

/// What is added to the name and the id of a key for its successor.
const NEW: &str = "-new";
const NEW_ID: u64 = 100;

fn sockets(lab: &Lab) -> BTreeMap<Node, PathBuf> {
    let sites = lab
        .controls()
        .into_iter()
        .map(|(name, path)| (Node::Site(name), path));
    let users = lab.user_controls().into_iter();
    let users = users.map(|(name, path)| (Node::User(name), path));
    let server = (Node::MapServer, lab.map_server_control());
    sites.chain(users).chain([server]).collect()
}

/// Changes a node's file and has it read anew.
fn reload(lab: &Lab, node: &Node, change: impl FnOnce(&mut Mapping)) -> NodeReport {
    let path = lab.directory().join(format!("{node}.yaml"));
    let mut file: Mapping = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut file);
    std::fs::write(&path, serde_yaml::to_string(&file).unwrap()).unwrap();
    ask(&sockets(lab)[node], NodeCommand::Reload).unwrap()
}

/// All of it counts at once.
fn reloaded() -> NodeReport {
    NodeReport::Reloaded {
        from_next_start: Vec::new(),
    }
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    value.as_sequence_mut().unwrap()
}

fn successor(name: &Value) -> Value {
    format!("{}{NEW}", name.as_str().unwrap()).into()
}

/// Each key gets a successor with a secret of its own, the same wherever the key is known.
fn add_keys(file: &mut Mapping) {
    let keys = file["keys"].as_mapping_mut().unwrap();
    for (name, key) in keys.clone() {
        let mut new = key.clone();
        new["id"] = (key["id"].as_u64().unwrap() + NEW_ID).into();
        new["secret"] = format!("{}{NEW}", key["secret"].as_str().unwrap()).into();
        keys.insert(successor(&name), new);
    }
}

/// Successors stand in front of, behind, or in the place of what they succeed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Behind,
    Before,
    Alone,
    /// As if there had never been any.
    Gone,
}

fn ordered(old: &Value, order: Order) -> Value {
    let name = old.as_sequence().map_or(old, |names| &names[0]);
    let base = name.as_str().unwrap().trim_end_matches(NEW);
    let (old, new) = (Value::from(base), Value::from(format!("{base}{NEW}")));
    match order {
        Order::Behind => vec![old, new],
        Order::Before => vec![new, old],
        Order::Alone => vec![new],
        Order::Gone => vec![old],
    }
    .into()
}

fn set_keys(file: &mut Mapping, order: Order) {
    for server in list(&mut file["map_servers"]) {
        server["key"] = ordered(&server["key"], order);
    }
    let doubled = |names: &mut Value| {
        let old: Vec<Value> = list(names).clone();
        let plain = |name: &&Value| !name.as_str().unwrap().ends_with(NEW);
        let known: Vec<&Value> = if old.iter().any(|name| plain(&name)) {
            old.iter().filter(plain).collect()
        } else {
            old.iter().collect()
        };
        let each = known.iter().map(|name| ordered(name, order));
        *names = each
            .flat_map(|names| names.as_sequence().unwrap().clone())
            .collect();
    };
    for site in list(&mut file["sites"]) {
        doubled(&mut site["keys"]);
    }
    let change = file["change_priority"].as_mapping_mut().unwrap();
    let scopes = change["scopes"].as_mapping_mut().unwrap();
    let blocks = scopes.values().next().cloned();
    scopes.clear();
    for list in ["keys", "move_keys"] {
        // Only data centres have keys that move EIDs.
        let Some(names) = change.get_mut(list) else {
            continue;
        };
        doubled(names);
        for name in names.as_sequence().unwrap().clone() {
            let scopes = change["scopes"].as_mapping_mut().unwrap();
            scopes.insert(name, blocks.clone().unwrap());
        }
    }
}

fn registered(lab: &Lab) -> usize {
    let what = Show::Registrations;
    match ask(&lab.map_server_control(), NodeCommand::Show { what }).unwrap() {
        NodeReport::Registrations { rows } => rows.len(),
        other => panic!("{other:?}"),
    }
}

/// A move of a VM that is prepared under the keys its home has now, acknowledged by the destination, and given up again.
fn prepare_a_move(lab: &Lab, change: u64) {
    let read = |site: &SiteName| -> Mapping {
        let text = std::fs::read_to_string(lab.directory().join(format!("{site}.yaml"))).unwrap();
        serde_yaml::from_str(&text).unwrap()
    };
    let controls = lab.controls();
    let at_home = |file: &Mapping| file["eids"][0]["register"].as_bool().unwrap();
    let (home, file) = controls
        .keys()
        .map(|site| (site, read(site)))
        .find(|(_, file)| at_home(file))
        .unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let eid: EidPrefix = text(&file["eids"][0]["prefix"]).parse().unwrap();
    let prepare = NodeCommand::Prepare {
        change: ChangeId(change),
        eid,
        destination: Rloc(text(&file["change_priority"]["group"][0]).parse().unwrap()),
        expires_in: Span::secs(60),
    };
    let acknowledged = || counters(&controls[home]).unwrap()["control.preparations.acknowledged"];
    let before = acknowledged();
    for command in [prepare, NodeCommand::Abandon { eid }] {
        let earlier = acknowledged();
        assert_eq!(ask(&controls[home], command).unwrap(), NodeReport::Done);
        wait_for("the destination's word", acknowledged, |now| {
            (*now > earlier).then_some(())
        });
    }
    assert_eq!(acknowledged(), before + 2);
}

#[test]
fn every_key_of_a_running_fabric_is_replaced_and_no_registration_is_lost() {
    let lab = lab(&[]).unwrap();
    let before = registered(&lab);
    assert!(before > 0);
    let pids = lab.pids();
    let nodes: Vec<Node> = sockets(&lab).into_keys().collect();
    for node in &nodes {
        assert_eq!(reload(&lab, node, add_keys), reloaded());
    }
    for (change, order) in (1..).zip([Order::Behind, Order::Before, Order::Alone]) {
        for node in &nodes {
            let accepted = || counters(&lab.map_server_control()).unwrap()["control.map-registers.accepted"];
            let earlier = accepted();
            assert_eq!(reload(&lab, node, |file| set_keys(file, order)), reloaded());
            assert_eq!(registered(&lab), before);
            // It registers at once, and is heard. Of the data centres only the VM's home registers.
            let registers = counters(&sockets(&lab)[node]).unwrap()["control.map-registers.sent"] > 0;
            if *node != Node::MapServer && registers {
                wait_for("a registration under the keys it has now", accepted, |now| {
                    (*now > earlier).then_some(())
                });
            }
        }
        prepare_a_move(&lab, change);
    }
    // What the old keys sign is believed nowhere any more: one who goes back to them is refused, and heard again once it
    // has come forward.
    let refused = || counters(&lab.map_server_control()).unwrap()["control.refused.unknown-key"];
    let accepted = || counters(&lab.map_server_control()).unwrap()["control.map-registers.accepted"];
    let home = nodes
        .iter()
        .find(|node| {
            **node != Node::MapServer
                && counters(&sockets(&lab)[*node]).unwrap()["control.map-registers.sent"] > 0
        })
        .unwrap();
    assert_eq!(refused(), 0);
    assert_eq!(reload(&lab, home, |file| set_keys(file, Order::Gone)), reloaded());
    wait_for("the old key is refused", refused, |now| (*now > 0).then_some(()));
    let earlier = accepted();
    assert_eq!(
        reload(&lab, home, |file| set_keys(file, Order::Alone)),
        reloaded()
    );
    wait_for("the new key is taken", accepted, |now| {
        (*now > earlier).then_some(())
    });
    assert_eq!(registered(&lab), before);
    let broken = reload(&lab, &Node::MapServer, |file| {
        file.insert("sites".into(), "not a list".into());
    });
    assert!(matches!(broken, NodeReport::Refused { .. }), "{broken:?}");
    assert_eq!(registered(&lab), before);
    // The same asked by staff: what is wrong, where, in words and for programs.
    let by_staff = |options: &[&str]| {
        let mut command = pacao(["ctl"]).unwrap();
        command.args(options).arg("node").arg(lab.map_server_control());
        command.arg("reload").output().unwrap()
    };
    let output = by_staff(&[]);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        words.contains("map-server.yaml:") && words.contains("sites"),
        "{words}"
    );
    let output = by_staff(&["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told: NodeReport = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        matches!(&told, NodeReport::Refused { why } if why.contains("sites")),
        "{told:?}"
    );
    assert_eq!(lab.pids(), pids, "nobody was restarted");
    lab.stop().unwrap();
}

//! A stranger on the WAN forges, replays and truncates Change-Priority messages. They are counted and refused, and
//! nothing changes; an honest one, sent by the same hands with the right key, does change something.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use lisp_wire::message::{AuthField, ChangePriorityForm, Nonce, Purpose, XtrId};
use lisp_wire::{
    Action, Algorithm, CONTROL_PORT, ChangePriority, Eid, EidPrefix, InstanceId, Key, Locator, MappingRecord,
    Message, Priority, Rloc, Ttl, Weight,
};
use proto::NodeCommand;
use proto::node::CacheRow;
use serde_yaml::Value;
use system_tests::fabric::{ask, counters, lab, map_cache, paris, session, vm};
use system_tests::patience::wait_for;
use system_tests::product::pacao;
use testbed::Lab;

/// Somebody on the WAN who has no part in the fabric.
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(172, 16, 66, 6));

struct Scene {
    lab: Lab,
    user: PathBuf,
    target: SocketAddr,
    socket: UdpSocket,
}

impl Scene {
    fn set() -> Self {
        let lab = lab(&[("stranger", STRANGER)]).unwrap();
        let session = session().unwrap();
        let rloc = session.config.users[&paris()].rloc.0;
        let socket = lab
            .outsider("stranger")
            .unwrap()
            .run(|| UdpSocket::bind((STRANGER, 0)))
            .unwrap()
            .unwrap();
        let user = lab.user_controls().remove(&paris()).unwrap();
        let scene = Self {
            lab,
            user,
            target: (rloc, CONTROL_PORT).into(),
            socket,
        };
        scene.make_the_user_talk();
        scene
    }

    /// The user's router learns the VM's mapping by traffic.
    fn make_the_user_talk(&self) {
        let mut serve = self.lab.traffic();
        serve.arg("serve").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut server = self.lab.vm_host(&vm()).unwrap().spawn(serve).unwrap();
        let mut echo = self.lab.traffic();
        let address = format!("{}:5001", self.lab.vm_address(&vm()).unwrap());
        echo.args(["echo", &address, "--seconds", "0.5"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let mut echo = self.lab.user_host(&paris()).unwrap().spawn(echo).unwrap();
        echo.wait().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
        self.mapping();
    }

    /// What the user's router uses for the VM; figures that change by themselves left out.
    fn mapping(&self) -> Vec<Locator> {
        let eid = session().unwrap().config.vms[&vm()].eid;
        let found = |rows: &Vec<CacheRow>| {
            let row = rows
                .iter()
                .find(|row| row.eid == eid && !row.locators.is_empty())?;
            Some(row.locators.iter().map(|cached| cached.locator).collect())
        };
        wait_for(
            "the user's router knows the VM",
            || map_cache(&self.user).unwrap(),
            found,
        )
    }

    fn refusals(&self) -> BTreeMap<String, u64> {
        let all = counters(&self.user).unwrap();
        all.into_iter()
            .filter(|(name, _)| name.starts_with("control.refused."))
            .collect()
    }

    fn refused(&self) -> u64 {
        self.refusals().values().sum()
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.target).unwrap();
    }

    /// Sends, and waits until one more refusal is counted.
    fn send_in_vain(&self, what: &str, datagram: &[u8]) {
        let before = self.refused();
        self.send(datagram);
        wait_for(
            what,
            || self.refusals(),
            |now| (now.values().sum::<u64>() > before).then_some(()),
        );
    }

    /// A key of a node's; the test is root and may read it.
    fn key_of(&self, node: &str, name: &str) -> Option<Key> {
        let path = self.lab.directory().join(format!("{node}.yaml"));
        let file: Value = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let key = file["keys"].get(name)?;
        let id = u8::try_from(key["id"].as_u64().unwrap()).unwrap();
        let secret = key["secret"].as_str().unwrap();
        Some(Key::new(id, Algorithm::HmacSha256, secret.as_bytes()).unwrap())
    }

    /// The key that all routers of the fabric hold.
    fn key(&self) -> Key {
        self.key_of(paris().as_str(), "change-priority").unwrap()
    }
}

fn now_micros() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// "Enter by LIP6 alone", from an xTR nobody has heard of.
fn message(nonce: u64) -> Message {
    let config = session().unwrap().config;
    let locators = config.sites.values().map(|site| {
        let priority = if site.label == "LIP6" {
            Priority::FIRST
        } else {
            Priority(9)
        };
        Locator::unicast(site.rloc, priority, Weight(100))
    });
    let record = MappingRecord {
        ttl: Ttl::DAY,
        eid: config.vms[&vm()].eid,
        action: Action::NoAction,
        authoritative: true,
        map_version: 0,
        locators: locators.collect(),
    };
    let records = vec![addressee(config.users[&paris()].rloc), record];
    change_priority(Purpose::UpdateCache, nonce, records)
}

fn change_priority(purpose: Purpose, nonce: u64, records: Vec<MappingRecord>) -> Message {
    Message::ChangePriority(ChangePriority {
        form: ChangePriorityForm::SharedExtension,
        purpose,
        nonce: Nonce(nonce),
        auth: AuthField {
            key_id: 0,
            algorithm: Algorithm::HmacSha256,
            mac: Vec::new(),
        },
        xtr: Some(XtrId(0x5737_4216)),
        records,
    })
}

/// "The VM is at LIP6 now", to its home.
fn handover(nonce: u64, home: Rloc) -> Message {
    let config = session().unwrap().config;
    let record = |mut record: MappingRecord, locator| {
        record.locators = vec![locator];
        record
    };
    let lip6 = Locator::unicast(config.sites["lip6"].rloc, Priority::FIRST, Weight(100));
    let vm = MappingRecord {
        eid: config.vms[&vm()].eid,
        ..addressee(home)
    };
    let repeated = Locator::unicast(home, Priority::NEVER, Weight(0));
    let records = vec![record(addressee(home), repeated), record(vm, lip6)];
    change_priority(Purpose::Handover, nonce, records)
}

/// To whom the message speaks (docs/wire-formats.md): without it a message to one client could be replayed to another.
fn addressee(rloc: Rloc) -> MappingRecord {
    let iid = InstanceId::new(0x00ff_ffff).unwrap();
    MappingRecord {
        ttl: Ttl::DAY,
        eid: EidPrefix::host(Eid { iid, address: rloc.0 }),
        action: Action::NoAction,
        authoritative: false,
        map_version: 0,
        locators: Vec::new(),
    }
}

fn signed(message: &Message, key: &Key) -> Vec<u8> {
    let mut datagram = Vec::new();
    message.emit_signed(key, &mut datagram).unwrap();
    datagram
}

fn first(mapping: &[Locator]) -> Rloc {
    mapping
        .iter()
        .min_by_key(|locator| locator.priority)
        .unwrap()
        .rloc
}

#[test]
fn forged_replayed_and_truncated_messages_are_counted_and_change_nothing() {
    let scene = Scene::set();
    let key = scene.key();
    let at_first = scene.mapping();

    // Forged: the right form, the wrong key.
    let wrong = Key::new(key.id, Algorithm::HmacSha256, b"a guess").unwrap();
    scene.send_in_vain("a forged message", &signed(&message(now_micros()), &wrong));
    let unknown = Key::new(key.id.wrapping_add(77), Algorithm::HmacSha256, b"a guess").unwrap();
    scene.send_in_vain("an unknown key", &signed(&message(now_micros()), &unknown));

    // Stale: the right key, and a nonce of an hour ago from a sender never heard of.
    scene.send_in_vain(
        "a stale message",
        &signed(&message(now_micros() - 3_600_000_000), &key),
    );

    // Truncated at every length, and with every byte spoiled.
    let good = signed(&message(now_micros()), &key);
    for length in 0..good.len() {
        scene.send_in_vain(&format!("cut to {length} bytes"), &good[..length]);
    }
    for place in 0..good.len() {
        let mut spoiled = good.clone();
        spoiled[place] ^= 0x10;
        scene.send_in_vain(&format!("byte {place} spoiled"), &spoiled);
    }
    assert_eq!(scene.mapping(), at_first, "nothing changed");

    // The same hands with the right key do change something, so the refusals above were earned.
    let good = signed(&message(now_micros()), &key);
    scene.send(&good);
    let lip6 = session().unwrap().config.sites["lip6"].rloc;
    wait_for(
        "the honest message",
        || scene.mapping(),
        |mapping| (first(mapping) == lip6).then_some(()),
    );

    // Replayed: byte for byte; and after the user's router was killed and started again.
    let refused = |name: &str| scene.refusals()[name];
    let replays = refused("control.refused.replay");
    scene.send(&good);
    wait_for(
        "the replay is counted",
        || refused("control.refused.replay"),
        |now| (*now > replays).then_some(()),
    );
    let settled = scene.mapping();
    assert_eq!(first(&settled), lip6);
    let node = testbed::Node::User(paris());
    scene.lab.kill_forwarder(&node).unwrap();
    scene.lab.restart_forwarder(&node).unwrap();
    scene.make_the_user_talk();
    let relearned = scene.mapping();
    scene.send_in_vain("a replay after a restart", &good);
    assert_eq!(scene.mapping(), relearned);
}

#[test]
fn the_key_that_users_hold_moves_no_vm_and_the_log_names_the_refusal() {
    let scene = Scene::set();
    let config = session().unwrap().config;
    let home = &config.vms[&vm()].home;
    let (rloc, control) = (config.sites[home].rloc, &scene.lab.controls()[home]);
    let moves = scene.key_of(home.as_str(), "move").unwrap();
    for user in config.users.keys() {
        assert!(scene.key_of(user.as_str(), "move").is_none(), "{user} holds it");
    }
    let database = || {
        let what = proto::node::Show::Database;
        ask(control, NodeCommand::Show { what }).unwrap()
    };
    let (before, at_first) = (database(), scene.mapping());
    // Under the right key too: a stranger is no site of the group.
    for (reason, key) in [("no-right", scene.key()), ("not-in-group", moves)] {
        let datagram = signed(&handover(now_micros(), rloc), &key);
        scene.socket.send_to(&datagram, (rloc.0, CONTROL_PORT)).unwrap();
        let name = format!("control.refused.{reason}");
        let refused = || counters(control).unwrap()[&name];
        wait_for(&name, refused, |count| (*count == 1).then_some(()));
        let log = pacao(["ctl", "node"])
            .unwrap()
            .arg(control)
            .args(["log", "--refused"])
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&log.stdout);
        assert!(log.contains("change-priority") && log.contains(reason), "{log}");
    }
    assert_eq!(database(), before);
    assert_eq!(scene.mapping(), at_first);
}

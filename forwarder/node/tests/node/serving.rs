//! What a Map-Server takes, and what it says of it to whom (RFC 9301 sections 5 and 8, RFC 9302 section 5).

use std::net::SocketAddr;

use lisp_wire::message::{Encapsulated, MapRegister, MapReply, MapRequest, SiteId, XtrId};
use lisp_wire::{
    Action, Algorithm, AuthField, EidPrefix, Key, Locator, MappingRecord, Message, Nonce, Priority, Rloc,
    Ttl, Weight,
};
use proto::Span;

use crate::fabric::{
    SITE_SECRET, VM, VM_BLOCK, bare, fabric, key, lip6, map_server, paris, prefix, rloc, server, telco,
};
use crate::network::{Network, Packet};
use crate::resolving::{asked_by, bytes_of};

/// Who registers and asks in these tests: nobody of the fabric.
const OUTSIDER: &str = "172.16.6.6:50001";

fn outsider() -> SocketAddr {
    OUTSIDER.parse().unwrap()
}

/// A registration as another make could send it: locators out of order, marked as the xTR's own, and with an action.
fn record(eid: &str, rlocs: &[&str]) -> MappingRecord {
    let locators = rlocs.iter().rev().map(|text| Locator {
        local: true,
        probed: true,
        ..Locator::unicast(rloc(text), Priority(1), Weight(100))
    });
    MappingRecord {
        ttl: Ttl(10),
        eid: prefix(eid),
        action: Action::NativelyForward,
        authoritative: true,
        map_version: 0,
        locators: locators.collect(),
    }
}

fn registration(nonce: u64, records: Vec<MappingRecord>) -> MapRegister {
    MapRegister {
        nonce: Nonce(nonce),
        proxy_reply: true,
        want_notify: true,
        merge: false,
        use_ttl: false,
        auth: AuthField::unsigned(),
        records,
        xtr: Some((XtrId(77), SiteId(0))),
    }
}

/// Sends it to the Map-Server.
fn register(net: &mut Network, register: MapRegister, key: &Key) {
    let mut bytes = Vec::new();
    Message::MapRegister(register)
        .emit_signed(key, &mut bytes)
        .unwrap();
    net.inject(outsider(), server().0, bytes);
    net.run_for(Span::millis(20));
}

/// A Map-Server alone.
fn alone(change: impl FnOnce(&mut node::Config)) -> (Network, usize) {
    let mut net = Network::new();
    let mut config = map_server();
    change(&mut config);
    let at = net.add(config);
    net.run_for(Span::secs(100));
    (net, at)
}

fn sent_by(net: &Network, from: Rloc) -> impl Iterator<Item = (&Packet, Message)> {
    let sent = net.tap.iter().filter(move |packet| packet.from.ip() == from.0);
    sent.filter_map(|packet| Some((packet, packet.message()?)))
}

fn replies(net: &Network, from: Rloc) -> Vec<MapReply> {
    let reply = |(_, message)| match message {
        Message::MapReply(reply) => Some(reply),
        _ => None,
    };
    sent_by(net, from).filter_map(reply).collect()
}

fn ask(net: &mut Network, request: &MapRequest) {
    let envelope = Encapsulated {
        source: outsider(),
        destination: VM.parse().unwrap(),
        ddt_originated: false,
        via: lisp_wire::Via::Nobody,
        message: bytes_of(&Message::MapRequest(request.clone())),
    };
    net.inject(outsider(), server().0, bytes_of(&Message::Encapsulated(envelope)));
    net.run_for(Span::millis(50));
}

fn question(eids: &[&str]) -> MapRequest {
    MapRequest {
        itr_rlocs: vec![Rloc(outsider().ip())],
        eids: eids.iter().map(|eid| prefix(eid)).collect(),
        ..asked_by(1)
    }
}

fn told(reply: &MapReply) -> Vec<EidPrefix> {
    reply.records.iter().map(|record| record.eid).collect()
}

// RFC 9301 sections 5.7 and 8.2.
#[test]
fn a_registration_is_acknowledged_at_the_control_port_wherever_it_came_from() {
    let (mut net, _) = alone(|_| ());
    register(
        &mut net,
        registration(1, vec![record("10.1.0.0/24", &["192.0.2.1"])]),
        &key(SITE_SECRET),
    );
    let notified = sent_by(&net, server()).filter(|(_, message)| matches!(message, Message::MapNotify(_)));
    let to: Vec<SocketAddr> = notified.map(|(packet, _)| packet.to).collect();
    assert_eq!(to, [SocketAddr::new(outsider().ip(), 4342)]);
}

// RFC 9301 section 5.6: an xTR that has forgotten its nonces begins anew with another key.
#[test]
fn nonces_are_counted_for_each_xtr_and_key() {
    let second = Key::new(2, Algorithm::HmacSha256, b"the next one").unwrap();
    let (mut net, at) = alone(|config| config.sites[0].keys.push(second.clone()));
    let mut says = |nonce, key: &Key| {
        register(
            &mut net,
            registration(nonce, vec![record("10.1.0.0/24", &["192.0.2.1"])]),
            key,
        );
        net.counter(at, "control.map-registers.accepted")
    };
    assert_eq!(says(1000, &key(SITE_SECRET)), 1);
    assert_eq!(says(1000, &key(SITE_SECRET)), 1, "a replay");
    assert_eq!(says(7, &second), 2);
    assert_eq!(says(7, &second), 2, "a replay");
    assert_eq!(says(8, &second), 3);
    assert_eq!(
        says(999, &key(SITE_SECRET)),
        3,
        "the other key's nonces have not begun anew"
    );
    net.run_for(Span::secs(2));
    net.kill(at);
    net.start(at);
    net.run_for(Span::millis(10));
    for (nonce, key) in [(8, &second), (1000, &key(SITE_SECRET))] {
        register(
            &mut net,
            registration(nonce, vec![record("10.1.0.0/24", &["192.0.2.1"])]),
            key,
        );
    }
    assert_eq!(net.counter(at, "control.refused.replay"), 2);
}

// RFC 9302 section 5.
#[test]
fn a_registration_of_an_older_version_is_dropped_whole() {
    let (mut net, at) = alone(|_| ());
    let mut says = |nonce, versions: [u16; 2]| {
        let records = ["10.1.0.0/24", "10.1.1.0/24"].into_iter().zip(versions);
        let records = records.map(|(eid, map_version)| MappingRecord {
            map_version,
            ..record(eid, &["192.0.2.1"])
        });
        register(
            &mut net,
            registration(nonce, records.collect()),
            &key(SITE_SECRET),
        );
        ["control.map-registers.accepted", "control.refused.map-version"].map(|name| net.counter(at, name))
    };
    assert_eq!(says(1, [9, 4095]), [1, 0]);
    assert_eq!(says(2, [8, 4095]), [1, 1]);
    assert_eq!(says(3, [9, 4094]), [1, 2]);
    assert_eq!(says(4, [10, 1]), [2, 2], "versions go round");
    assert_eq!(says(5, [0, 0]), [3, 2], "and may be given up");
}

// RFC 9301 sections 5.4 and 5.5.
#[test]
fn what_is_told_for_an_owner_is_marked_as_such_and_in_order() {
    let (mut net, _) = alone(|_| ());
    let mut registered = record("10.1.0.0/24", &["192.0.2.1", "192.0.2.2"]);
    registered
        .locators
        .insert(0, Locator::unicast(rloc("2001:db8::1"), Priority(2), Weight(1)));
    register(&mut net, registration(1, vec![registered]), &key(SITE_SECRET));
    ask(&mut net, &question(&[VM_BLOCK]));
    let reply = replies(&net, server()).remove(0);
    let [record] = reply.records.as_slice() else {
        panic!("{reply:?}")
    };
    assert_eq!((record.authoritative, record.action), (false, Action::NoAction));
    assert!(
        record
            .locators
            .iter()
            .all(|locator| !locator.local && !locator.probed)
    );
    let addresses: Vec<String> = record
        .locators
        .iter()
        .map(|locator| locator.rloc.to_string())
        .collect();
    assert_eq!(addresses, ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
}

// RFC 9301 section 5.5, with its own example.
#[test]
fn longer_mappings_are_told_with_the_one_that_would_hide_them() {
    let (mut net, _) = alone(|config| config.sites[0].prefix = prefix("2001:db8::/32"));
    let eids = [
        "2001:db8::/32",
        "2001:db8:1::/48",
        "2001:db8:1:1::/64",
        "2001:db8:1:2::/64",
    ];
    let mut records: Vec<_> = eids.iter().map(|eid| record(eid, &["192.0.2.1"])).collect();
    records[2].ttl = Ttl(5);
    register(&mut net, registration(1, records), &key(SITE_SECRET));
    ask(&mut net, &question(&["2001:db8:1:1::1/128"]));
    ask(&mut net, &question(&["2001:db8:1:5::5/128"]));
    let replies = replies(&net, server());
    assert_eq!(told(&replies[0]), [prefix(eids[2])]);
    assert_eq!(
        told(&replies[1]),
        eids[1..].iter().map(|eid| prefix(eid)).collect::<Vec<_>>()
    );
    assert!(
        replies[1].records.iter().all(|record| record.ttl == Ttl(5)),
        "they are to end together"
    );
}

#[test]
fn a_longer_mapping_that_answers_for_itself_is_left_out_of_what_is_told() {
    let (mut net, _) = alone(|_| ());
    register(
        &mut net,
        registration(1, vec![record("10.1.0.0/24", &["192.0.2.1"])]),
        &key(SITE_SECRET),
    );
    let mut own_voice = registration(2, vec![record(VM_BLOCK, &["192.0.2.2"])]);
    own_voice.proxy_reply = false;
    register(&mut net, own_voice, &key(SITE_SECRET));
    ask(&mut net, &question(&["10.1.0.5/32"]));
    // 10.1.0.4/31 is the largest block around it without 10.1.0.7; 10.1.0.6/31 would be the other's.
    assert_eq!(told(&replies(&net, server())[0]), [prefix("10.1.0.4/31")]);
}

// RFC 9301 section 5.2: a receiver must take requests of several records.
#[test]
fn each_record_of_a_request_is_answered_or_goes_on() {
    let (mut net, _) = fabric();
    net.run_for(Span::secs(100));
    register(
        &mut net,
        registration(u64::MAX / 2, vec![record("10.1.9.0/24", &["192.0.2.1"])]),
        &key(SITE_SECRET),
    );
    let before = net.tap.len();
    ask(
        &mut net,
        &question(&["10.1.9.9/32", "10.200.0.1/32", VM_BLOCK, VM_BLOCK]),
    );
    let reply = replies(&net, server()).remove(0);
    assert_eq!(told(&reply), [prefix("10.1.9.0/24"), prefix("10.128.0.0/9")]);
    // Sorted by their prefixes; the second says that there is nothing.
    assert_eq!(reply.records[1].action, Action::NativelyForward);
    let onward = net.tap[before..].iter().filter(|packet| {
        packet.from.ip() == server().0 && packet.is(|message| matches!(message, Message::Encapsulated(_)))
    });
    assert_eq!(
        onward.map(|packet| packet.to.ip()).collect::<Vec<_>>(),
        [telco().0]
    );
}

// RFC 9301 section 5.2.
#[test]
fn who_wants_no_answer_gets_none() {
    let (mut net, at) = fabric();
    let silent = MapRequest {
        no_reply: true,
        ..question(&[VM_BLOCK])
    };
    ask(&mut net, &silent);
    net.inject(outsider(), telco().0, bytes_of(&Message::MapRequest(silent)));
    net.run_for(Span::millis(50));
    assert!(replies(&net, server()).is_empty() && replies(&net, telco()).is_empty());
    for index in [at.server, at.telco] {
        assert_eq!(net.counter(index, "control.refused.no-reply-wanted"), 1);
    }
    net.inject(
        outsider(),
        telco().0,
        bytes_of(&Message::MapRequest(question(&[VM_BLOCK]))),
    );
    net.run_for(Span::millis(50));
    assert_eq!(replies(&net, telco()).len(), 1);
}

// RFC 9301 section 5.2: solicitations want no answer, and say so.
#[test]
fn a_solicitation_has_the_d_bit() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    // Nobody acknowledges, so the client is solicited.
    net.lose(|packet| packet.is(|message| matches!(message, Message::ChangePriority(_))));
    net.command(at.telco, crate::fabric::switch(1, paris(), &[lip6(), telco()]));
    net.run_for(Span::secs(30));
    let solicited = sent_by(&net, telco()).filter_map(|(_, message)| match message {
        Message::MapRequest(request) if request.solicit => Some(request.no_reply),
        _ => None,
    });
    let solicited: Vec<bool> = solicited.collect();
    assert!(
        !solicited.is_empty() && solicited.iter().all(|d| *d),
        "{solicited:?}"
    );
}

// RFC 9301 section 5.2.
#[test]
fn the_mapping_system_is_not_probed() {
    let (mut net, at) = fabric();
    let probe = MapRequest {
        probe: true,
        ..question(&[VM_BLOCK])
    };
    for to in [server(), telco()] {
        net.inject(outsider(), to.0, bytes_of(&Message::MapRequest(probe.clone())));
    }
    ask(&mut net, &probe);
    assert!(replies(&net, server()).is_empty());
    assert_eq!(net.counter(at.server, "control.refused.no-role"), 1);
    assert_eq!(replies(&net, telco()).len(), 1);
}

// RFC 9301 section 5.4: each record in the answer to a probe has the A bit.
#[test]
fn the_answer_to_a_probe_speaks_of_own_eids_only() {
    let (mut net, _) = fabric();
    let probe = |eid| MapRequest {
        probe: true,
        ..question(&[eid])
    };
    for eid in [VM_BLOCK, "10.77.0.0/16"] {
        net.inject(outsider(), telco().0, bytes_of(&Message::MapRequest(probe(eid))));
    }
    net.run_for(Span::millis(50));
    let replies = replies(&net, telco());
    assert!(replies[0].records.iter().all(|record| record.authoritative));
    assert_eq!(
        replies.iter().map(told).collect::<Vec<_>>(),
        [vec![prefix(VM_BLOCK)], vec![]]
    );
}

#[test]
fn the_answer_to_a_probe_by_one_who_is_no_authority_is_none() {
    let mut net = Network::new();
    let at = net.add(bare("telco", telco()));
    let target = proto::ProbeTarget {
        overdue_after: None,
        rloc: Rloc(outsider().ip()),
        interval: Span::millis(500),
        timeout: Span::secs(2),
        dscp: 46,
    };
    net.command(
        at,
        proto::NodeCommand::Probe {
            targets: vec![target],
        },
    );
    net.run_for(Span::millis(200));
    let asked = |(_, message)| match message {
        Message::MapRequest(request) => Some(request),
        _ => None,
    };
    let request = sent_by(&net, telco()).find_map(asked).unwrap();
    let answer = |authoritative| MapReply {
        nonce: request.nonce,
        probe: true,
        echo_nonce: false,
        records: vec![MappingRecord {
            authoritative,
            ..record("0.0.0.0/0", &["172.16.6.6"])
        }],
    };
    for (authoritative, answered) in [(false, 0), (true, 1)] {
        let bytes = bytes_of(&Message::MapReply(answer(authoritative)));
        net.inject("172.16.6.6:4342".parse().unwrap(), telco().0, bytes);
        net.run_for(Span::millis(50));
        assert_eq!(net.counter(at, "probes.answered"), answered);
    }
    assert_eq!(net.counter(at, "control.refused.not-authoritative"), 1);
}

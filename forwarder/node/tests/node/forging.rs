//! Change-Priority from those who may not send it, or sent again, or to another.

use lisp_wire::message::{ChangePriority, Purpose};
use lisp_wire::{Key, Message, Rloc};
use node::config::{Scope, ScopedKey};
use node::{Effect, Input, Node};
use proto::{NodeCommand, NodeReport, Span};

use crate::fabric::{
    CP_SECRET, Fabric, VM, VM_BLOCK, fabric_with, key, lip6, lyon, marilyn, move_key, of_vms, paris, prefix,
    ranked, switch, telco, user,
};
use crate::moving::{busy_fabric, change_priority, database, is_change_priority, is_update, outcomes};
use crate::network::{Network, Packet, Way};

fn caught_update(net: &mut Network, at: Fabric) -> Packet {
    net.command(at.telco, switch(90, paris(), &[lip6()]));
    net.run_for(Span::millis(50));
    net.tap
        .iter()
        .rev()
        .find(|packet| is_update(packet))
        .cloned()
        .unwrap()
}

#[test]
fn a_forged_message_changes_nothing_and_is_counted() {
    let (mut net, at) = busy_fabric();
    let caught = caught_update(&mut net, at);
    let publications = net.member(at.paris).publications;
    let message = change_priority(&caught).unwrap();
    let forge = |nonce: u64, secret: &[u8], id: u8| {
        let mut message = message.clone();
        message.nonce.0 += nonce;
        message.records[1].locators = ranked(&[lyon()]);
        let key = lisp_wire::Key::new(id, lisp_wire::Algorithm::HmacSha256, secret).unwrap();
        let mut bytes = Vec::new();
        Message::ChangePriority(message)
            .emit_signed(&key, &mut bytes)
            .unwrap();
        bytes
    };
    net.inject(caught.from, paris().0, forge(1, b"guessed", 1));
    net.inject(caught.from, paris().0, forge(1, b"guessed", 9));
    net.inject(caught.from, paris().0, forge(400_000_000, CP_SECRET, 1));
    net.run_for(Span::millis(50));
    for counter in ["bad-mac", "unknown-key", "stale"] {
        assert_eq!(
            net.counter(at.paris, &format!("control.refused.{counter}")),
            1,
            "{counter}"
        );
    }
    assert_eq!(net.member(at.paris).publications, publications);
    // The same with the right key and nonce is believed: it was the forgery that was refused.
    net.inject(caught.from, paris().0, forge(1, CP_SECRET, 1));
    net.run_for(Span::millis(50));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lyon()));
}

#[test]
fn a_replayed_message_changes_nothing_before_or_after_a_restart() {
    let (mut net, at) = busy_fabric();
    let caught = caught_update(&mut net, at);
    net.command(at.telco, switch(91, paris(), &[marilyn()]));
    net.run_for(Span::millis(50));
    net.inject(caught.from, paris().0, caught.bytes.clone());
    net.run_for(Span::millis(50));
    assert_eq!(net.counter(at.paris, "control.refused.replay"), 1);
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    net.kill(at.paris);
    net.start(at.paris);
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    net.inject(caught.from, paris().0, caught.bytes);
    net.run_for(Span::millis(50));
    assert_eq!(net.counter(at.paris, "control.refused.replay"), 1);
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
}

#[test]
fn a_message_for_one_client_is_not_taken_by_another() {
    let (mut net, at) = busy_fabric();
    let caught = caught_update(&mut net, at);
    net.inject(caught.from, lyon().0, caught.bytes.clone());
    net.inject(caught.from, telco().0, caught.bytes);
    net.run_for(Span::millis(50));
    assert_eq!(net.counter(at.lyon, "control.refused.misdirected"), 1);
    assert_eq!(net.counter(at.telco, "control.refused.misdirected"), 1);
    assert_eq!(net.member(at.lyon).way(VM), Way::To(telco()));
}

#[test]
fn a_message_cut_anywhere_is_malformed() {
    let (mut net, at) = busy_fabric();
    let caught = caught_update(&mut net, at);
    let publications = net.member(at.paris).publications;
    for length in 0..caught.bytes.len() {
        net.inject(caught.from, paris().0, caught.bytes[..length].to_vec());
    }
    net.run_for(Span::millis(50));
    assert_eq!(
        net.counter(at.paris, "control.refused.malformed"),
        caught.bytes.len() as u64
    );
    assert_eq!(net.member(at.paris).publications, publications);
}

/// A message signed by one who has the key that it needs.
fn signed(purpose: Purpose, eid: &str, locators: &[Rloc], to: Rloc, net: &Network) -> Vec<u8> {
    let key = match purpose {
        Purpose::UpdateCache => key(CP_SECRET),
        _ => move_key(),
    };
    signed_by(&key, purpose, (eid, locators), to, net)
}

fn record_of(eid: lisp_wire::EidPrefix, locators: Vec<lisp_wire::Locator>) -> lisp_wire::MappingRecord {
    lisp_wire::MappingRecord {
        ttl: lisp_wire::Ttl(10),
        eid,
        action: lisp_wire::Action::NoAction,
        authoritative: true,
        map_version: 0,
        locators,
    }
}

fn signed_by(
    key: &Key,
    purpose: Purpose,
    (eid, locators): (&str, &[Rloc]),
    to: Rloc,
    net: &Network,
) -> Vec<u8> {
    let record = record_of;
    let envelope = prefix(&format!("[16777215]{}/32", to.0));
    let repeated = match purpose {
        Purpose::Handover | Purpose::HandoverTold => {
            vec![lisp_wire::Locator::unicast(
                to,
                lisp_wire::Priority::NEVER,
                lisp_wire::Weight(0),
            )]
        }
        _ => Vec::new(),
    };
    let message = ChangePriority {
        form: lisp_wire::message::ChangePriorityForm::SharedExtension,
        purpose,
        nonce: lisp_wire::Nonce(net.now.micros()),
        auth: lisp_wire::message::AuthField {
            key_id: 1,
            algorithm: lisp_wire::Algorithm::HmacSha256,
            mac: vec![0; 16],
        },
        xtr: Some(lisp_wire::message::XtrId(77)),
        records: vec![record(envelope, repeated), record(prefix(eid), ranked(locators))],
    };
    let mut bytes = Vec::new();
    Message::ChangePriority(message)
        .emit_signed(key, &mut bytes)
        .unwrap();
    bytes
}

#[test]
fn a_key_speaks_only_for_its_eids_and_never_for_the_receivers_own() {
    let (mut net, at) = busy_fabric();
    let from = "172.16.0.9:4342".parse().unwrap();
    for (eid, counter) in [
        ("10.3.0.0/16", "scope"),
        ("10.2.1.0/24", "scope"),
        ("10.1.0.0/16", "applied"),
    ] {
        let bytes = signed(Purpose::UpdateCache, eid, &[lyon()], paris(), &net);
        net.inject(from, paris().0, bytes);
        net.run_for(Span::millis(5));
        if counter == "scope" {
            assert!(net.counter(at.paris, "control.refused.scope") > 0, "{eid}");
        }
    }
    // A block wider than what is in the cache is acknowledged, but there is nothing to change.
    assert_eq!(net.counter(at.paris, "control.change-priority.applied"), 0);
    assert_eq!(net.counter(at.paris, "control.change-priority.idle"), 1);
    let own = signed(Purpose::UpdateCache, VM_BLOCK, &[lyon()], marilyn(), &net);
    net.inject(from, marilyn().0, own);
    net.run_for(Span::millis(5));
    assert_eq!(net.counter(at.marilyn, "control.refused.own-eid"), 1);
    assert_eq!(net.member(at.marilyn).way(VM), Way::Local);
}

#[test]
fn an_arrival_told_by_the_hypervisor_is_acknowledged_and_carried_out() {
    let (mut net, at) = busy_fabric();
    let bytes = signed(Purpose::Arrived, VM_BLOCK, &[], lip6(), &net);
    net.inject("172.16.0.9:4342".parse().unwrap(), lip6().0, bytes);
    net.run_for(Span::millis(50));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    let acknowledged = |packet: &Packet| {
        packet.to.ip().to_string() == "172.16.0.9"
            && change_priority(packet).is_some_and(|message| message.purpose == Purpose::Acknowledge)
    };
    assert_eq!(net.tap.iter().filter(|packet| acknowledged(packet)).count(), 1);
}

/// Everything that a move could have changed at the data centres and the users.
fn standing(net: &mut Network, at: Fabric) -> String {
    let sites = [at.telco, at.marilyn, at.lip6].map(|site| (database(net, site), net.member(site).way(VM)));
    let users = [at.paris, at.lyon].map(|user| net.member(user).way(VM));
    format!("{sites:?} {users:?}")
}

#[test]
fn who_holds_the_clients_key_moves_no_eid_and_the_log_says_why() {
    let (mut net, at) = busy_fabric();
    let before = standing(&mut net, at);
    let clients = key(CP_SECRET);
    // Paris in the name of LIP6, to the site that the VM is at and to the one where it is not.
    let attempts = [
        (Purpose::Arrived, vec![]),
        (Purpose::Handover, vec![lip6()]),
        (Purpose::HandoverTold, vec![lip6()]),
    ];
    let from = "172.16.0.3:4342".parse().unwrap();
    for (purpose, locators) in &attempts {
        for to in [telco(), marilyn()] {
            let bytes = signed_by(&clients, *purpose, (VM_BLOCK, locators), to, &net);
            net.inject(from, to.0, bytes);
            net.run_for(Span::millis(5));
        }
    }
    net.run_for(Span::secs(2));
    assert_eq!(standing(&mut net, at), before);
    for site in [at.telco, at.marilyn] {
        assert_eq!(net.counter(site, "control.refused.no-right"), 3);
        assert_eq!(net.counter(site, "control.change-priority.applied"), 0);
    }
    let query = proto::LogQuery::default();
    let NodeReport::Log(page) = net.command(at.telco, NodeCommand::Log { query }) else {
        panic!("a page of the log")
    };
    let text = serde_json::to_string(&page).unwrap();
    assert!(text.contains("control.refused.no-right"), "{text}");
    // The same under the sites' key is believed: it was the key.
    let bytes = signed(Purpose::Handover, VM_BLOCK, &[lip6()], telco(), &net);
    net.inject(from, telco().0, bytes);
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
}

#[test]
fn the_sites_key_tells_no_client_anything() {
    let (mut net, at) = fabric_with(|mut config| {
        // Somebody has given the users the sites' key, beside their own.
        config.change_priority.move_keys = vec![of_vms(move_key())];
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::secs(1));
    let bytes = signed_by(
        &move_key(),
        Purpose::UpdateCache,
        (VM_BLOCK, &[lyon()]),
        paris(),
        &net,
    );
    net.inject("172.16.0.1:4342".parse().unwrap(), paris().0, bytes);
    net.run_for(Span::millis(5));
    assert_eq!(net.counter(at.paris, "control.refused.no-right"), 1);
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
}

#[test]
fn a_handover_counts_from_a_site_of_the_group_and_to_one_alone() {
    let (mut net, at) = busy_fabric();
    let before = standing(&mut net, at);
    let attempts = [
        ("172.16.0.9:4342", vec![lip6()]),
        ("172.16.1.1:4342", vec![lip6()]),
        ("172.16.0.3:4342", vec![paris()]),
        ("172.16.0.3:4342", vec![crate::fabric::rloc("172.16.6.6")]),
    ];
    for (from, locators) in &attempts {
        let bytes = signed(Purpose::Handover, VM_BLOCK, locators, telco(), &net);
        net.inject(from.parse().unwrap(), telco().0, bytes);
        net.run_for(Span::millis(5));
    }
    net.run_for(Span::secs(1));
    assert_eq!(net.counter(at.telco, "control.refused.not-in-group"), 4);
    assert_eq!(standing(&mut net, at), before);
}

#[test]
fn a_client_does_not_acknowledge_for_a_site() {
    let (mut net, at) = busy_fabric();
    // Telco never hears that the VM has gone; Paris would have LIP6 believe that it did.
    net.lose(|packet| packet.to.ip() == telco().0 && is_change_priority(packet));
    let arrived = NodeCommand::Arrived {
        change: proto::ChangeId(5),
        eid: prefix(VM_BLOCK),
    };
    net.command(at.lip6, arrived);
    let handover = |packet: &&Packet| {
        packet.to.ip() == telco().0
            && change_priority(packet).is_some_and(|message| message.purpose == Purpose::Handover)
    };
    let sent = net
        .tap
        .iter()
        .rev()
        .find(handover)
        .and_then(change_priority)
        .unwrap();
    let mut answer = ChangePriority {
        purpose: Purpose::Acknowledge,
        xtr: Some(lisp_wire::message::XtrId(77)),
        ..sent
    };
    answer
        .records
        .iter_mut()
        .for_each(|record| record.locators.clear());
    for (key, refused) in [(key(CP_SECRET), 1), (move_key(), 1)] {
        let mut bytes = Vec::new();
        let message = Message::ChangePriority(answer.clone());
        message.emit_signed(&key, &mut bytes).unwrap();
        let taken = net.counter(at.lip6, "control.change-priority.acknowledged");
        net.inject("172.16.0.1:4342".parse().unwrap(), lip6().0, bytes);
        net.run_for(Span::millis(2));
        assert_eq!(net.counter(at.lip6, "control.refused.no-right"), refused);
        let acknowledged = net.counter(at.lip6, "control.change-priority.acknowledged") - taken;
        assert_eq!(acknowledged, u64::from(key.same_as(&move_key())));
    }
}

#[test]
fn who_has_a_key_for_other_eids_neither_silences_an_xtr_nor_acknowledges_for_a_client() {
    let neighbour = || lisp_wire::Key::new(2, lisp_wire::Algorithm::HmacSha256, b"the neighbour's").unwrap();
    let (mut net, at) = fabric_with(|mut config| {
        config.change_priority.keys.push(ScopedKey {
            key: neighbour(),
            scope: Scope::Within(vec![prefix("10.9.0.0/16")]),
        });
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::secs(1));
    let message = change_priority(&caught_update(&mut net, at)).unwrap();
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    let inject = |net: &mut Network, to: Rloc, message: ChangePriority| {
        let mut bytes = Vec::new();
        Message::ChangePriority(message)
            .emit_signed(&neighbour(), &mut bytes)
            .unwrap();
        net.inject("172.16.6.6:4342".parse().unwrap(), to.0, bytes);
        net.run_for(Span::millis(5));
    };
    // In the name of the data centre, with a nonce as far ahead as is taken.
    let mut ahead = message.clone();
    ahead.records[1].eid = prefix("10.9.1.0/24");
    ahead.nonce.0 = net.now.micros() + 299_000_000;
    inject(&mut net, paris(), ahead);
    assert_eq!(net.counter(at.paris, "control.change-priority.idle"), 1);
    net.command(at.telco, switch(91, paris(), &[marilyn()]));
    net.run_for(Span::millis(10));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    // In the name of the client, which hears nothing of this switch.
    net.lose(is_change_priority);
    net.command(at.telco, switch(92, paris(), &[telco()]));
    let mut sent = net.tap.iter().rev().find_map(change_priority).unwrap();
    sent.records.iter_mut().for_each(|record| record.locators.clear());
    let acknowledgement = ChangePriority {
        purpose: Purpose::Acknowledge,
        xtr: Some(lisp_wire::message::XtrId(77)),
        ..sent
    };
    inject(&mut net, telco(), acknowledgement);
    assert_eq!(outcomes(&net, at.telco, 92), []);
}

#[test]
fn packets_take_the_new_way_before_the_disk_is_written_to_and_the_sender_hears_after() {
    let net = Network::new();
    let (mut node, _) = Node::new(user("paris", paris(), "10.2.1.0/24"), net.now, [1; 32]);
    let came = |bytes| Input::Datagram {
        from: "172.16.0.9:4342".parse().unwrap(),
        local: paris().0,
        bytes,
        received_at: net.now,
    };
    let eid = lisp_wire::Eid::of(VM.parse().unwrap());
    let asked = node.handle(Input::Miss { eid, source: None }, net.now);
    let nonce = asked.iter().find_map(|effect| match effect {
        Effect::Send { bytes, .. } => match Message::parse(bytes).ok()? {
            Message::Encapsulated(envelope) => match Message::parse(&envelope.message).ok()? {
                Message::MapRequest(request) => Some(request.nonce),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let reply = lisp_wire::message::MapReply {
        nonce: nonce.unwrap(),
        probe: false,
        echo_nonce: false,
        records: vec![record_of(prefix(VM_BLOCK), ranked(&[telco()]))],
    };
    let mut bytes = Vec::new();
    Message::MapReply(reply).emit(&mut bytes).unwrap();
    node.handle(came(bytes), net.now);
    let update = came(signed(Purpose::UpdateCache, VM_BLOCK, &[lip6()], paris(), &net));
    let word = |effect: &Effect| match effect {
        Effect::Publish(_) => "publish",
        Effect::Release { .. } => "release",
        Effect::Remember(_) => "remember",
        Effect::Send { .. } => "send",
        _ => "other",
    };
    let order: Vec<&str> = node.handle(update, net.now).iter().map(word).collect();
    assert_eq!(order[..4], ["publish", "release", "remember", "send"]);
}

#[test]
fn messages_that_change_nothing_do_not_keep_the_disk_busy() {
    let (mut net, at) = busy_fabric();
    let before = net.member(at.paris).remembered;
    for _ in 0..200 {
        let idle = signed(Purpose::UpdateCache, "10.1.0.50/32", &[lyon()], paris(), &net);
        net.inject((telco().0, 4342).into(), paris().0, idle);
        net.run_for(Span::millis(5));
    }
    assert_eq!(net.counter(at.paris, "control.change-priority.idle"), 200);
    let written = net.member(at.paris).remembered - before;
    assert!((1..=3).contains(&written), "{written}");
}

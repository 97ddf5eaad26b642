//! Preparations from those who may not make them, made for others, sent again, cut, or too many.

use lisp_wire::message::{AuthField, Preparation, Step, XtrId};
use lisp_wire::sealed::{Around, Handed, HandedClient, Manner};
use lisp_wire::{Key, Message, Nonce, Rloc, verify};
use proto::node::ChangeOutcome;
use proto::{NodeReport, Span};

use super::{arrived, preparation, prepare, prepared_fabric, updates_by};
use crate::fabric::{
    CP_SECRET, MOVE_SECRET, VM, VM_BLOCK, key, lip6, lyon, marilyn, move_key, paris, prefix, telco,
};
use crate::moving::{busy_fabric, is_update, outcomes};
use crate::network::{Network, Packet, Way};

/// A preparation of Telco's for Marilyn, as one who has the key can make it.
pub(super) fn message(net: &Network) -> Preparation {
    Preparation {
        step: Step::Hand,
        nonce: Nonce(net.now.micros()),
        auth: AuthField::unsigned(),
        xtr: XtrId(77),
        sender: telco(),
        receiver: marilyn(),
        eid: prefix(VM_BLOCK),
        serial: 5,
        life_seconds: 60,
        sealed: Vec::new(),
    }
}

pub(super) fn handed(clients: &[Rloc]) -> Handed {
    Handed {
        highest: Nonce(0),
        keys: Vec::new(),
        clients: clients
            .iter()
            .map(|client| HandedClient {
                rloc: *client,
                source: None,
                manner: Manner::Unknown,
                key: None,
                age_seconds: 0,
            })
            .collect(),
        mappings: Vec::new(),
    }
}

pub(super) fn sealed(mut message: Preparation, handed: &Handed, key: &Key) -> Vec<u8> {
    let around = Around {
        nonce: message.nonce,
        xtr: message.xtr,
    };
    if message.step == Step::Hand {
        message.sealed = handed.seal(key, around, [7; 16]).unwrap();
    }
    let mut bytes = Vec::new();
    Message::Preparation(message)
        .emit_signed(key, &mut bytes)
        .unwrap();
    bytes
}

pub(super) fn inject(net: &mut Network, to: Rloc, bytes: Vec<u8>) {
    net.inject("172.16.0.1:4342".parse().unwrap(), to.0, bytes);
    net.run_for(Span::millis(5));
}

/// The last preparation that Telco sent to Marilyn.
pub(super) fn caught(net: &Network) -> Packet {
    let hands = |packet: &&Packet| preparation(packet).is_some_and(|it| it.step == Step::Hand);
    net.tap.iter().rev().find(hands).cloned().unwrap()
}

type Spoil = fn(&mut Preparation);

#[test]
fn only_a_key_for_the_eid_a_site_of_the_group_and_the_receiver_named_will_do() {
    let (mut net, at) = busy_fabric();
    let list = handed(&[paris()]);
    let good = move_key();
    let spoilt: [(&str, Spoil); 5] = [
        ("misdirected", |it| it.receiver = lip6()),
        ("not-in-group", |it| it.sender = paris()),
        ("scope", |it| it.eid = prefix("10.2.1.0/24")),
        // In the key's scope, but none of Marilyn's.
        ("scope", |it| it.eid = prefix("10.1.9.9/32")),
        ("stale", |it| it.nonce.0 += 400_000_000),
    ];
    for (counter, spoil) in spoilt {
        let name = format!("control.refused.{counter}");
        let before = net.counter(at.marilyn, &name);
        let mut forged = message(&net);
        spoil(&mut forged);
        inject(&mut net, marilyn(), sealed(forged, &list, &good));
        assert_eq!(net.counter(at.marilyn, &name), before + 1, "{counter}");
    }
    let guessed = Key::new(7, lisp_wire::Algorithm::HmacSha256, b"guessed").unwrap();
    for (counter, key) in [("bad-mac", guessed), ("no-right", key(CP_SECRET))] {
        let forged = sealed(message(&net), &list, &key);
        inject(&mut net, marilyn(), forged);
        assert_eq!(
            net.counter(at.marilyn, &format!("control.refused.{counter}")),
            1,
            "{counter}"
        );
    }
    assert_eq!(net.counter(at.marilyn, "control.preparations.taken"), 0);
    let honest = sealed(message(&net), &list, &good);
    inject(&mut net, marilyn(), honest);
    assert_eq!(
        net.counter(at.marilyn, "control.preparations.taken"),
        1,
        "it was the forgeries"
    );
}

#[test]
fn a_client_neither_acknowledges_a_preparation_nor_reads_who_else_is_handed_over() {
    let (mut net, at) = busy_fabric();
    net.lose(|packet| preparation(packet).is_some_and(|it| it.step == Step::Acknowledge));
    assert_eq!(net.command(at.telco, prepare(1, marilyn())), NodeReport::Done);
    let sent = preparation(&caught(&net)).unwrap();
    let around = Around {
        nonce: sent.nonce,
        xtr: sent.xtr,
    };
    let names_lyon = |read: Handed| read.clients.iter().any(|one| one.rloc == lyon());
    for (key, names) in [(key(CP_SECRET), false), (move_key(), true)] {
        let read = Handed::open(&sent.sealed, &key, around);
        assert_eq!(read.is_ok_and(names_lyon), names);
    }
    for (key, prepared) in [(key(CP_SECRET), 0), (move_key(), 1)] {
        let answer = Preparation {
            step: Step::Acknowledge,
            xtr: XtrId(77),
            sender: marilyn(),
            receiver: telco(),
            sealed: Vec::new(),
            ..sent.clone()
        };
        inject(&mut net, telco(), sealed(answer, &handed(&[]), &key));
        assert_eq!(net.counter(at.telco, "control.refused.no-right"), 1);
        assert_eq!(outcomes(&net, at.telco, 1).len(), prepared);
    }
}

#[test]
fn a_replayed_preparation_changes_nothing_before_or_after_it_was_used_or_cancelled() {
    let (mut net, at) = prepared_fabric();
    let packet = caught(&net);
    net.command(
        at.telco,
        proto::NodeCommand::Abandon {
            eid: prefix(VM_BLOCK),
        },
    );
    net.run_for(Span::millis(100));
    inject(&mut net, marilyn(), packet.bytes.clone());
    assert_eq!(net.counter(at.marilyn, "control.refused.replay"), 1);
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(50));
    assert_eq!(updates_by(&net, marilyn()), 0);
    // Nor at another site.
    inject(&mut net, lip6(), packet.bytes.clone());
    assert_eq!(net.counter(at.lip6, "control.refused.misdirected"), 1);
    net.run_for(Span::secs(400));
    inject(&mut net, marilyn(), packet.bytes);
    assert_eq!(net.counter(at.marilyn, "control.refused.stale"), 1);
}

#[test]
fn a_preparation_cut_anywhere_is_malformed_and_nothing_of_it_is_taken() {
    let (mut net, at) = prepared_fabric();
    let packet = caught(&net);
    for length in 0..packet.bytes.len() {
        net.inject(packet.from, marilyn().0, packet.bytes[..length].to_vec());
    }
    net.run_for(Span::millis(50));
    let malformed = net.counter(at.marilyn, "control.refused.malformed");
    assert_eq!(malformed, packet.bytes.len() as u64);
    assert_eq!(net.counter(at.marilyn, "control.preparations.taken"), 1);
}

#[test]
fn an_authentic_message_whose_seal_holds_rubbish_is_malformed() {
    let (mut net, at) = busy_fabric();
    let mut rubbish = message(&net);
    rubbish.sealed = vec![9; 100];
    let mut bytes = Vec::new();
    Message::Preparation(rubbish)
        .emit_signed(&move_key(), &mut bytes)
        .unwrap();
    inject(&mut net, marilyn(), bytes);
    assert_eq!(net.counter(at.marilyn, "control.refused.malformed"), 1);
    assert_eq!(net.counter(at.marilyn, "control.preparations.taken"), 0);
}

#[test]
fn a_flood_of_preparations_has_a_bound_and_leaves_honest_ones_alone() {
    let (mut net, at) = prepared_fabric();
    net.configure(at.marilyn, |config| config.eids[0].prefix = prefix("10.1.0.0/16"));
    net.kill(at.marilyn);
    net.start(at.marilyn);
    let good = move_key();
    for number in 0..1500_u32 {
        let mut flood = message(&net);
        flood.eid = prefix(&format!("10.1.{}.{}/32", 100 + number / 250, number % 250));
        flood.nonce.0 += u64::from(number);
        let bytes = sealed(flood, &handed(&[paris()]), &good);
        net.inject("172.16.0.1:4342".parse().unwrap(), marilyn().0, bytes);
    }
    net.run_for(Span::millis(50));
    assert_eq!(net.counter(at.marilyn, "control.preparations.taken"), 1024);
    assert_eq!(net.counter(at.marilyn, "control.refused.full"), 1500 - 1024);
    // Their time is up, and there is room again.
    net.run_for(Span::secs(61));
    let mut honest = message(&net);
    honest.serial = 9;
    inject(&mut net, marilyn(), sealed(honest, &handed(&[paris()]), &good));
    assert_eq!(net.counter(at.marilyn, "control.preparations.taken"), 1025);
}

#[test]
fn a_preparation_with_a_number_from_the_future_does_not_shut_out_those_that_come() {
    let (mut net, at) = busy_fabric();
    let mut forged = message(&net);
    forged.serial = u64::MAX;
    inject(
        &mut net,
        marilyn(),
        sealed(forged, &handed(&[paris()]), &move_key()),
    );
    assert_eq!(net.counter(at.marilyn, "control.refused.stale"), 1);
    assert_eq!(net.command(at.telco, prepare(1, marilyn())), NodeReport::Done);
    net.run_for(Span::millis(50));
    assert_eq!(net.counter(at.marilyn, "control.preparations.taken"), 1);
}

#[test]
fn clients_that_are_handed_over_again_and_again_have_the_same_bound_as_those_that_ask() {
    let (mut net, at) = prepared_fabric();
    net.command(at.marilyn, arrived(2));
    for part in 0..50_u32 {
        let clients: Vec<Rloc> = (0..100)
            .map(|client| Rloc(std::net::Ipv4Addr::from(0x0b00_0000 + part * 100 + client).into()))
            .collect();
        let mut more = message(&net);
        let real = preparation(&caught(&net)).unwrap();
        (more.xtr, more.serial) = (real.xtr, real.serial);
        inject(&mut net, marilyn(), sealed(more, &handed(&clients), &move_key()));
    }
    assert_eq!(net.counter(at.marilyn, "control.preparations.taken"), 51);
    assert_eq!(net.command(at.marilyn, prepare(3, telco())), NodeReport::Done);
    net.run_for(Span::secs(20));
    let outcomes = outcomes(&net, at.marilyn, 3);
    let [ChangeOutcome::Prepared { clients, .. }] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    assert_eq!(*clients, 4096);
}

#[test]
fn who_did_not_prepare_a_move_neither_stops_nor_cancels_it() {
    let (mut net, at) = prepared_fabric();
    let real = preparation(&caught(&net)).unwrap();
    let other = |step, net: &Network| Preparation {
        step,
        serial: real.serial,
        ..message(net)
    };
    let good = move_key();
    for step in [Step::Stopped, Step::Cancelled] {
        let bytes = sealed(other(step, &net), &handed(&[]), &good);
        inject(&mut net, marilyn(), bytes);
    }
    assert_eq!(net.counter(at.marilyn, "control.refused.unsolicited"), 1);
    assert_eq!(net.member(at.marilyn).way(VM), Way::Local);
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(50));
    assert_eq!(updates_by(&net, marilyn()), 2);
}

#[test]
fn an_acknowledgement_of_nothing_is_unsolicited() {
    let (mut net, at) = busy_fabric();
    let mut ack = message(&net);
    (ack.step, ack.sender, ack.receiver) = (Step::Acknowledge, marilyn(), telco());
    inject(&mut net, telco(), sealed(ack, &handed(&[]), &move_key()));
    assert_eq!(net.counter(at.telco, "control.refused.unsolicited"), 1);
}

#[test]
fn a_key_of_one_client_alone_is_handed_over_sealed_and_speaks_for_the_eid_to_that_client_only() {
    let (mut net, at) = busy_fabric();
    let own = Key::new(9, lisp_wire::Algorithm::HmacSha256, b"between telco and paris").unwrap();
    let mut list = handed(&[paris(), lyon()]);
    list.keys = vec![own.clone()];
    list.clients[0].key = Some(0);
    let bytes = sealed(message(&net), &list, &move_key());
    assert!(!bytes.windows(7).any(|window| window == b"between"));
    inject(&mut net, marilyn(), bytes);
    net.command(at.marilyn, arrived(2));
    let update_to = |net: &Network, client: Rloc| {
        let to = |packet: &&Packet| packet.to.ip() == client.0 && is_update(packet);
        net.tap.iter().rev().find(to).cloned().unwrap()
    };
    let to_paris = update_to(&net, paris());
    assert!(verify(&to_paris.bytes, std::slice::from_ref(&own)).is_ok());
    let to_lyon = update_to(&net, lyon());
    assert!(verify(&to_lyon.bytes, &[key(CP_SECRET)]).is_ok());
    // Paris answers under its own key, and is believed; it would not be for anything else.
    let Some(Message::ChangePriority(mut answer)) = to_paris.message() else {
        panic!("an update")
    };
    answer.purpose = lisp_wire::Purpose::Acknowledge;
    answer.xtr = Some(XtrId(78));
    answer
        .records
        .iter_mut()
        .for_each(|record| record.locators.clear());
    let mut bytes = Vec::new();
    Message::ChangePriority(answer.clone())
        .emit_signed(&own, &mut bytes)
        .unwrap();
    let before = net.counter(at.marilyn, "control.change-priority.acknowledged");
    inject(&mut net, marilyn(), bytes);
    assert_eq!(
        net.counter(at.marilyn, "control.change-priority.acknowledged"),
        before + 1
    );
    answer.purpose = lisp_wire::Purpose::UpdateCache;
    answer.nonce.0 += 1;
    let mut bytes = Vec::new();
    Message::ChangePriority(answer)
        .emit_signed(&own, &mut bytes)
        .unwrap();
    inject(&mut net, marilyn(), bytes);
    assert_eq!(net.counter(at.marilyn, "control.refused.unknown-key"), 1);
}

#[test]
fn nothing_that_was_handed_over_is_readable_in_the_log() {
    let (mut net, at) = prepared_fabric();
    let query = proto::LogQuery::default();
    let NodeReport::Log(page) = net.command(at.marilyn, proto::NodeCommand::Log { query }) else {
        panic!("a page of the log")
    };
    let text = serde_json::to_string(&page).unwrap();
    assert!(
        text.contains("\"preparation\"") && text.contains("bytes sealed"),
        "{text}"
    );
    let sealed = caught(&net).bytes;
    let handed = |secret: &[u8]| sealed.windows(secret.len()).any(|window| window == secret);
    for secret in [CP_SECRET, MOVE_SECRET] {
        assert!(!text.contains(std::str::from_utf8(secret).unwrap()) && !handed(secret));
    }
}

//! Room for preparations is shared; a restart, or want of room, ends one as a whole, and nobody is forgotten by that.

use lisp_wire::message::{Preparation, XtrId};
use lisp_wire::{Message, Nonce, Rloc};
use node::{Effect, Input, Node};
use proto::node::ChangeOutcome;
use proto::{NodeReport, Span};

use super::forged::{caught, handed, inject, message, sealed};
use super::{arrived, preparation, prepare, prepared_fabric, updates_by};
use crate::fabric::{Fabric, VM, VM_BLOCK, fabric, fabric_with, marilyn, move_key, prefix, site, telco};
use crate::moving::{busy_fabric, outcomes};
use crate::network::{Network, Way};

/// The number of a preparation that was begun when the network was.
const BEGUN: u64 = 1_763_000_000_000_000;

/// So many addresses in a row.
fn clients(first: u32, count: u32) -> Vec<Rloc> {
    let address = |number| Rloc(std::net::Ipv4Addr::from(0x0b00_0000 + number).into());
    (first..first + count).map(address).collect()
}

/// Marilyn serves a block of EIDs that others can prepare moves of.
fn fabric_of_many() -> (Network, Fabric) {
    fabric_with(|mut config| {
        if config.name.as_str() == "marilyn" {
            let mut block = config.eids[0].clone();
            block.prefix = prefix("10.1.0.0/16");
            config.eids.push(block);
        }
        config
    })
}

/// Hands over so many clients of an EID, a thousand at a time.
fn hand_many(net: &mut Network, eid: &str, count: u32) {
    hand_more(net, (eid, XtrId(77), BEGUN), count);
}

fn hand_more(net: &mut Network, (eid, xtr, serial): (&str, XtrId, u64), count: u32) {
    for part in 0..count / 1000 {
        let more = Preparation {
            eid: prefix(eid),
            xtr,
            serial,
            ..message(net)
        };
        let bytes = sealed(more, &handed(&clients(part * 1000, 1000)), &move_key());
        inject(net, marilyn(), bytes);
    }
}

#[test]
fn an_eid_has_a_bound_of_its_own_and_leaves_room_for_the_others() {
    let (mut net, at) = fabric_of_many();
    let full = |net: &mut Network| net.counter(at.marilyn, "control.refused.full");
    hand_many(&mut net, "10.1.1.1/32", 40_000);
    assert_eq!(full(&mut net), 4, "of one EID 36,864 at most");
    for eid in ["10.1.1.2/32", "10.1.1.3/32"] {
        hand_many(&mut net, eid, 35_000);
    }
    hand_many(&mut net, "10.1.1.4/32", 25_000);
    assert_eq!(full(&mut net), 4);
    assert_eq!(net.counter(at.marilyn, "control.preparations.displaced"), 0);
    // There is no room left, but a fifth EID has a right to a fifth of it. Who has the most makes room.
    hand_many(&mut net, "10.1.1.5/32", 26_000);
    assert_eq!(full(&mut net), 4);
    assert_eq!(net.counter(at.marilyn, "control.preparations.displaced"), 1);
    // It cannot have it back by repeating what it said, nor can anybody have more than a share of what is full.
    hand_many(&mut net, "10.1.1.1/32", 1000);
    assert_eq!(net.counter(at.marilyn, "control.refused.replay"), 1);
    hand_many(&mut net, "10.1.1.5/32", 10_000);
    assert_eq!(net.counter(at.marilyn, "control.preparations.displaced"), 1);
}

#[test]
fn clients_of_a_preparation_that_had_to_make_room_are_told_by_the_source() {
    let (mut net, at) = fabric_of_many();
    for user in [at.paris, at.lyon] {
        net.miss(user, VM);
    }
    net.run_for(Span::secs(1));
    net.command(at.telco, prepare(1, marilyn()));
    net.run_for(Span::millis(50));
    assert_eq!(outcomes(&net, at.telco, 1).len(), 1);
    // It becomes the one with the most, and somebody with less wants room.
    let real = preparation(&caught(&net)).unwrap();
    hand_more(&mut net, (VM_BLOCK, real.xtr, real.serial), 30_000);
    for eid in ["10.1.1.1/32", "10.1.1.2/32", "10.1.1.3/32", "10.1.1.4/32"] {
        hand_many(&mut net, eid, 25_000);
    }
    assert_eq!(net.counter(at.marilyn, "control.preparations.displaced"), 0);
    hand_many(&mut net, "10.1.1.5/32", 2000);
    assert_eq!(net.counter(at.marilyn, "control.preparations.displaced"), 1);
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(50));
    for user in [at.paris, at.lyon] {
        assert_eq!(net.member(user).way(VM), Way::To(marilyn()));
    }
    assert_eq!((updates_by(&net, marilyn()), updates_by(&net, telco())), (0, 2));
}

#[test]
fn a_destination_that_restarts_amid_the_list_takes_no_more_of_it_and_the_source_tells_all() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(1));
    net.command(at.telco, prepare(1, marilyn()));
    net.run_for(Span::millis(100));
    assert_eq!(outcomes(&net, at.telco, 1).len(), 1);
    // The destination has Paris, and forgets it.
    net.kill(at.marilyn);
    net.start(at.marilyn);
    net.miss(at.lyon, VM);
    net.run_for(Span::secs(8));
    assert_eq!(net.counter(at.marilyn, "control.preparations.taken"), 0);
    assert!(net.counter(at.marilyn, "control.refused.replay") >= 6);
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(20));
    for user in [at.paris, at.lyon] {
        assert_eq!(net.member(user).way(VM), Way::To(marilyn()));
    }
    assert_eq!((updates_by(&net, marilyn()), updates_by(&net, telco())), (0, 2));
}

#[test]
fn a_preparation_that_is_begun_anew_after_a_restart_is_taken() {
    let (mut net, at) = prepared_fabric();
    net.kill(at.marilyn);
    net.start(at.marilyn);
    assert_eq!(net.command(at.telco, prepare(3, marilyn())), NodeReport::Done);
    net.run_for(Span::millis(50));
    assert!(matches!(
        outcomes(&net, at.telco, 3)[..],
        [ChangeOutcome::Prepared { clients: 2, .. }]
    ));
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(20));
    assert_eq!((updates_by(&net, marilyn()), updates_by(&net, telco())), (2, 0));
}

#[test]
fn the_disk_is_waited_for_once_a_preparation_and_not_for_each_of_its_parts() {
    let (net, _) = busy_fabric();
    let mut now = net.now;
    let (mut node, _) = Node::new(site("marilyn", marilyn()), now, [3; 32]);
    node.handle(Input::Tick, now);
    let mut writes = Vec::new();
    for part in 0..20_u32 {
        now = now + Span::millis(1);
        let mut more = message(&net);
        more.nonce = Nonce(now.micros());
        let effects = node.handle(
            Input::Datagram {
                from: "172.16.0.1:4342".parse().unwrap(),
                local: marilyn().0,
                bytes: sealed(more, &handed(&clients(part, 1)), &move_key()),
                received_at: now,
            },
            now,
        );
        let answered = |effect: &Effect| match effect {
            Effect::Send { bytes, .. } => matches!(Message::parse(bytes), Ok(Message::Preparation(_))),
            _ => false,
        };
        assert!(effects.iter().any(answered), "part {part}");
        writes.push(
            effects
                .iter()
                .filter(|effect| matches!(effect, Effect::Remember(_)))
                .count(),
        );
    }
    assert_eq!(writes.iter().sum::<usize>(), 1);
    assert_eq!(writes[0], 1, "before the first is acknowledged");
    // The nonces follow, for all of them together.
    let due = node.next_deadline().unwrap();
    assert!(due <= now + Span::secs(1));
    let later = node.handle(Input::Tick, now + Span::secs(1));
    assert!(later.iter().any(|effect| matches!(effect, Effect::Remember(_))));
}

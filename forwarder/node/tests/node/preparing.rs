//! A prepared handover: the destination tells the clients itself, and nothing that comes early or late is lost.

mod forged;
mod hints;
mod sharing;

use lisp_wire::message::{Preparation, Purpose, Step};
use lisp_wire::{Message, Rloc};
use proto::node::ChangeOutcome;
use proto::{ChangeId, NodeCommand, NodeReport, Span};

use crate::fabric::{Fabric, VM, VM_BLOCK, fabric, fabric_with, lyon, marilyn, paris, prefix, switch, telco};
use crate::moving::{busy_fabric, change_priority, is_update, outcomes};
use crate::network::{Network, Packet, Way};
use crate::resolving::{asked_by, bytes_of};

pub(crate) fn preparation(packet: &Packet) -> Option<Preparation> {
    match packet.message()? {
        Message::Preparation(message) => Some(message),
        _ => None,
    }
}

fn is_preparation(packet: &Packet) -> bool {
    preparation(packet).is_some()
}

pub(crate) fn prepare(change: u64, destination: Rloc) -> NodeCommand {
    NodeCommand::Prepare {
        change: ChangeId(change),
        eid: prefix(VM_BLOCK),
        destination,
        expires_in: Span::secs(60),
    }
}

fn stopped() -> NodeCommand {
    NodeCommand::Stopped {
        eid: prefix(VM_BLOCK),
    }
}

pub(crate) fn arrived(change: u64) -> NodeCommand {
    NodeCommand::Arrived {
        change: ChangeId(change),
        eid: prefix(VM_BLOCK),
    }
}

/// Both users speak to the VM at Telco, and its move to Marilyn is prepared.
pub(crate) fn prepared_fabric() -> (Network, Fabric) {
    let (mut net, at) = busy_fabric();
    // The VM answers, so that Telco knows where its clients are.
    for user in ["10.2.1.1", "10.2.2.1"] {
        net.miss(at.telco, user);
    }
    net.run_for(Span::millis(100));
    assert_eq!(net.command(at.telco, prepare(1, marilyn())), NodeReport::Done);
    net.run_for(Span::millis(20));
    let prepared = ChangeOutcome::Prepared {
        destination: marilyn(),
        clients: 2,
        after: Span::millis(20),
    };
    assert_eq!(outcomes(&net, at.telco, 1), [prepared]);
    (net, at)
}

/// How many updates of client caches a site has sent.
fn updates_by(net: &Network, site: Rloc) -> usize {
    let by = |packet: &&Packet| packet.from.ip() == site.0 && is_update(packet);
    net.tap.iter().filter(by).count()
}

#[test]
fn the_destination_tells_all_clients_after_one_way_and_the_source_tells_none() {
    let (mut net, at) = prepared_fabric();
    assert_eq!(net.command(at.marilyn, arrived(2)), NodeReport::Done);
    net.run_for(Span::millis(10));
    for user in [at.paris, at.lyon] {
        assert_eq!(net.member(user).way(VM), Way::To(marilyn()));
    }
    net.run_for(Span::secs(10));
    assert_eq!((updates_by(&net, marilyn()), updates_by(&net, telco())), (2, 0));
    let others: Vec<_> = outcomes(&net, at.marilyn, 2);
    assert_eq!(others.len(), 3, "stored, and taken by the two others: {others:?}");
    assert_eq!(net.counter(at.marilyn, "control.preparations.used"), 1);
}

#[test]
fn return_traffic_never_misses_and_nobody_is_asked() {
    let (mut net, at) = prepared_fabric();
    assert_eq!(net.member(at.marilyn).way("10.2.1.9"), Way::To(paris()));
    let asked = net.sent(marilyn(), |message| matches!(message, Message::Encapsulated(_)));
    net.command(at.marilyn, arrived(2));
    assert_eq!(net.member(at.marilyn).way("10.2.1.9"), Way::To(paris()));
    assert_eq!(net.member(at.marilyn).way("10.2.2.9"), Way::To(lyon()));
    let rows = net.cache(at.marilyn);
    assert!(rows.iter().all(|row| row.origin == "prepared"), "{rows:?}");
    net.run_for(Span::secs(1));
    let after = net.sent(marilyn(), |message| matches!(message, Message::Encapsulated(_)));
    assert_eq!(asked, after);
    // Handed mappings are hints: they do not outlive the preparation unless they are asked for.
    net.run_for(Span::secs(60));
    assert_eq!(net.member(at.marilyn).way("10.2.1.9"), Way::Miss);
}

#[test]
fn a_handed_mapping_that_is_in_use_is_asked_for_before_it_ends() {
    let (mut net, at) = prepared_fabric();
    net.command(at.marilyn, arrived(2));
    for _ in 0..65 {
        net.member(at.marilyn).carry("10.2.1.9", 1);
        net.run_for(Span::secs(1));
    }
    let row = net.cache(at.marilyn).remove(0);
    assert_eq!(
        (row.eid, row.origin.as_str()),
        (prefix("10.2.1.0/24"), "map-reply")
    );
}

#[test]
fn a_handed_mapping_never_takes_the_place_of_one_that_was_asked_for() {
    let (mut net, at) = busy_fabric();
    for node in [at.telco, at.marilyn] {
        net.miss(node, "10.2.1.1");
    }
    net.run_for(Span::millis(100));
    net.command(at.telco, prepare(1, marilyn()));
    net.run_for(Span::millis(100));
    let row = net.cache(at.marilyn).remove(0);
    assert_eq!(
        (row.eid, row.origin.as_str()),
        (prefix("10.2.1.0/24"), "map-reply")
    );
}

#[test]
fn a_client_that_asks_after_the_list_was_handed_over_is_told_too_whenever_it_asks() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(1));
    net.command(at.telco, prepare(1, marilyn()));
    net.run_for(Span::millis(100));
    net.miss(at.lyon, VM);
    net.run_for(Span::secs(1));
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(10));
    assert_eq!(net.member(at.lyon).way(VM), Way::To(marilyn()));
    assert_eq!(updates_by(&net, telco()), 0);
}

#[test]
fn a_client_whose_part_was_not_acknowledged_is_told_by_the_source() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(1));
    net.command(at.telco, prepare(1, marilyn()));
    net.run_for(Span::millis(100));
    net.lose(|packet| is_preparation(packet) && packet.from.ip() == telco().0);
    net.miss(at.lyon, VM);
    net.run_for(Span::secs(1));
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(20));
    for user in [at.paris, at.lyon] {
        assert_eq!(net.member(user).way(VM), Way::To(marilyn()));
    }
    assert_eq!((updates_by(&net, marilyn()), updates_by(&net, telco())), (1, 1));
}

#[test]
fn a_client_with_a_view_is_handed_over_though_it_never_asked() {
    let (mut net, at) = prepared_fabric();
    let stranger = crate::fabric::rloc("172.16.6.6");
    net.command(at.telco, switch(7, stranger, &[telco()]));
    net.run_for(Span::millis(100));
    net.command(at.marilyn, arrived(2));
    let told = |packet: &Packet| packet.to.ip() == stranger.0 && packet.from.ip() == marilyn().0;
    assert!(net.tap.iter().any(|packet| told(packet) && is_update(packet)));
}

#[test]
fn a_preparation_that_is_never_acknowledged_falls_back_to_telling_from_the_source() {
    let (mut net, at) = busy_fabric();
    net.lose(|packet| preparation(packet).is_some_and(|message| message.step == Step::Acknowledge));
    net.command(at.telco, prepare(1, marilyn()));
    net.run_for(Span::secs(7));
    let unanswered = ChangeOutcome::Unanswered {
        client: marilyn(),
        attempts: 6,
    };
    assert_eq!(outcomes(&net, at.telco, 1), [unanswered]);
    // The destination has the list, for what it knows; the source relies on itself. Twice told is told.
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(20));
    assert_eq!((updates_by(&net, marilyn()), updates_by(&net, telco())), (2, 2));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
}

#[test]
fn without_any_word_of_a_preparation_the_move_goes_as_ever() {
    let (mut net, at) = busy_fabric();
    net.lose(is_preparation);
    net.command(at.telco, prepare(1, marilyn()));
    net.run_for(Span::secs(7));
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(20));
    assert_eq!((updates_by(&net, marilyn()), updates_by(&net, telco())), (0, 2));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
}

#[test]
fn a_preparation_ends_by_itself_at_both_sites() {
    let (mut net, at) = prepared_fabric();
    net.run_for(Span::secs(62));
    for site in [at.telco, at.marilyn] {
        assert_eq!(net.counter(site, "control.preparations.expired"), 1);
    }
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(20));
    assert_eq!((updates_by(&net, marilyn()), updates_by(&net, telco())), (0, 2));
}

#[test]
fn an_abandoned_move_is_forgotten_and_what_was_held_for_it_comes_back() {
    let (mut net, at) = prepared_fabric();
    net.command(at.telco, stopped());
    assert_eq!(net.member(at.telco).way(VM), Way::Held);
    net.run_for(Span::millis(20));
    assert_eq!(net.member(at.marilyn).way(VM), Way::Held);
    assert_eq!(net.member(at.telco).way(VM), Way::To(marilyn()));
    let abandon = NodeCommand::Abandon {
        eid: prefix(VM_BLOCK),
    };
    assert_eq!(net.command(at.telco, abandon.clone()), NodeReport::Done);
    assert_eq!(net.member(at.telco).way(VM), Way::Local);
    net.run_for(Span::millis(10));
    assert_eq!(net.member(at.marilyn).way(VM), Way::To(telco()));
    assert_eq!(net.member(at.marilyn).released.last(), Some(&prefix(VM_BLOCK)));
    net.run_for(Span::secs(3));
    assert_eq!(net.member(at.marilyn).way(VM), Way::Local);
    assert!(matches!(
        net.command(at.telco, abandon),
        NodeReport::Refused { .. }
    ));
    // A move after that is one without preparation.
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(20));
    assert_eq!((updates_by(&net, marilyn()), updates_by(&net, telco())), (0, 2));
}

#[test]
fn between_stop_and_arrival_packets_wait_at_the_destination_and_are_delivered_first() {
    let (mut net, at) = prepared_fabric();
    assert_eq!(
        net.member(at.marilyn).way(VM),
        Way::Local,
        "the VM has not stopped yet"
    );
    net.command(at.telco, stopped());
    // Until the destination says that it holds them, they are held here.
    assert_eq!(net.member(at.telco).way(VM), Way::Held);
    net.run_for(Span::millis(20));
    assert_eq!(net.member(at.telco).way(VM), Way::To(marilyn()));
    assert_eq!(net.member(at.telco).released.last(), Some(&prefix(VM_BLOCK)));
    assert_eq!(net.member(at.marilyn).way(VM), Way::Held);
    net.run_for(Span::secs(1));
    net.command(at.marilyn, arrived(2));
    assert_eq!(net.member(at.marilyn).delivered, [prefix(VM_BLOCK)]);
    assert_eq!(net.member(at.marilyn).way(VM), Way::Local);
    net.run_for(Span::secs(6));
    assert_eq!(
        net.member(at.telco).way(VM),
        Way::To(marilyn()),
        "late packets follow"
    );
    net.run_for(Span::secs(60));
    assert_eq!(net.member(at.telco).way(VM), Way::Local, "for a while");
}

#[test]
fn a_stop_that_was_not_prepared_is_held_at_the_source_until_word_comes() {
    let (mut net, at) = busy_fabric();
    assert_eq!(net.command(at.telco, stopped()), NodeReport::Done);
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.telco).way(VM), Way::Held);
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(10));
    assert_eq!(net.member(at.telco).way(VM), Way::To(marilyn()));
    assert_eq!(net.member(at.telco).released.last(), Some(&prefix(VM_BLOCK)));
    // One that is not here cannot stop here.
    assert!(matches!(
        net.command(at.telco, stopped()),
        NodeReport::Refused { .. }
    ));
}

#[test]
fn a_stop_without_an_end_is_over_after_ten_seconds() {
    let (mut net, at) = busy_fabric();
    net.command(at.telco, stopped());
    net.run_for(Span::secs(11));
    assert_eq!(net.member(at.telco).way(VM), Way::Local);
    assert_eq!(net.member(at.telco).delivered, [prefix(VM_BLOCK)]);
}

#[test]
fn a_move_back_ends_the_redirection() {
    let (mut net, at) = prepared_fabric();
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.telco).way(VM), Way::To(marilyn()));
    assert_eq!(net.command(at.marilyn, prepare(3, telco())), NodeReport::Done);
    net.run_for(Span::millis(100));
    net.command(at.telco, arrived(4));
    assert_eq!(net.member(at.telco).way(VM), Way::Local);
    net.run_for(Span::millis(10));
    // The clients that Marilyn had been handed were hers to hand on.
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.member(at.marilyn).way(VM), Way::To(telco()));
}

#[test]
fn an_entry_that_is_given_back_to_the_old_site_ends_the_redirection_there() {
    let (mut net, at) = prepared_fabric();
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::secs(1));
    net.command(at.telco, switch(5, paris(), &[telco(), marilyn()]));
    assert_eq!(
        net.member(at.telco).way(VM),
        Way::Local,
        "the network behind the sites carries them"
    );
}

#[test]
fn a_list_of_thousands_travels_in_parts_that_fit_whatever_is_lost() {
    let (mut net, at) = fabric();
    for client in 0x0b00_0000..0x0b00_0000 + 3000 {
        let bytes = bytes_of(&Message::MapRequest(asked_by(client)));
        net.inject("172.16.6.6:4342".parse().unwrap(), telco().0, bytes);
        net.run_for(Span(200));
    }
    net.run_for(Span::millis(10));
    // By chance, but the same one each time: about one in eight.
    let mut chance = 1_u32;
    net.lose(move |packet| {
        chance = chance.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        is_preparation(packet) && chance >> 29 == 0
    });
    net.command(at.telco, prepare(1, marilyn()));
    net.run_for(Span::secs(20));
    assert!(
        matches!(
            outcomes(&net, at.telco, 1)[..],
            [ChangeOutcome::Prepared { clients: 3000, .. }]
        ),
        "{:?}",
        outcomes(&net, at.telco, 1)
    );
    let longest = net
        .tap
        .iter()
        .filter(|packet| is_preparation(packet))
        .map(|packet| packet.bytes.len());
    assert!(longest.max().unwrap() <= 1232, "fits the least IPv6 path");
    net.lose(|_| false);
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(50));
    assert_eq!(
        (updates_by(&net, marilyn()), updates_by(&net, telco())),
        (3000, 0)
    );
}

#[test]
fn how_a_client_wants_to_be_told_goes_along_and_nonces_go_on() {
    let (mut net, at) = fabric_with(|mut config| {
        if config.name.as_str() == "telco" {
            config.change_priority.legacy_peers.insert(paris());
        }
        if config.name.as_str() == "paris" {
            config.change_priority.legacy = node::config::Legacy::Accepted;
        }
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::secs(1));
    // The source's clock runs ahead: in the thesis's form the destination speaks in its place.
    net.command(at.telco, switch(7, paris(), &[telco()]));
    net.run_for(Span::secs(5));
    net.command(at.telco, prepare(1, marilyn()));
    net.run_for(Span::millis(100));
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(10));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    let legacy = |packet: &&Packet| packet.from.ip() == marilyn().0 && packet.bytes[0] >> 4 == 5;
    assert_eq!(net.tap.iter().filter(legacy).count(), 1);
}

#[test]
fn a_preparation_that_cannot_be_is_refused_in_words() {
    let (mut net, at) = busy_fabric();
    let refused = |net: &mut Network, command| match net.command(at.telco, command) {
        NodeReport::Refused { why } => why,
        other => panic!("refused, not {other:?}"),
    };
    assert!(refused(&mut net, prepare(1, paris())).contains("change_priority.group"));
    assert!(refused(&mut net, prepare(1, telco())).contains("another site"));
    let of = |eid, expires_in| NodeCommand::Prepare {
        change: ChangeId(1),
        eid: prefix(eid),
        destination: marilyn(),
        expires_in,
    };
    let elsewhere = refused(&mut net, of("10.1.9.9/32", Span::secs(60)));
    assert!(elsewhere.contains("not within the EIDs"), "{elsewhere}");
    assert!(refused(&mut net, of("10.2.1.1/32", Span::secs(60))).contains("no key"));
    assert!(refused(&mut net, of(VM_BLOCK, Span::secs(7200))).contains("expires_in"));
    assert!(!net.tap.iter().any(is_preparation));
}

#[test]
fn a_restarted_destination_knows_nothing_and_the_source_tells_all() {
    let (mut net, at) = prepared_fabric();
    net.kill(at.marilyn);
    net.start(at.marilyn);
    net.run_for(Span::secs(1));
    net.command(at.marilyn, arrived(2));
    net.run_for(Span::millis(20));
    assert_eq!((updates_by(&net, marilyn()), updates_by(&net, telco())), (0, 2));
    let told =
        |packet: &Packet| change_priority(packet).is_some_and(|it| it.purpose == Purpose::HandoverTold);
    assert!(!net.tap.iter().any(told));
}

//! Misses and what becomes of them.

use lisp_wire::message::{Encapsulated, MapReply, MapRequest, NotifyBits};
use lisp_wire::{Message, Nonce, Ttl};
use proto::node::Show;
use proto::{NodeCommand, NodeReport, Span};

use crate::fabric::{
    VM, VM_BLOCK, fabric, fabric_with, lip6, lyon, paris, prefix, ranked, server, switch, telco,
};
use crate::network::{Network, Way};

pub(crate) fn is_ecm(message: &Message) -> bool {
    matches!(message, Message::Encapsulated(_))
}

pub(crate) fn is_reply(message: &Message) -> bool {
    matches!(message, Message::MapReply(reply) if !reply.probe)
}

/// The last Map-Request that `from` asked the mapping system.
pub(crate) fn last_request(net: &Network, from: lisp_wire::Rloc) -> MapRequest {
    let inner = |packet: &crate::network::Packet| match packet.message()? {
        Message::Encapsulated(envelope) if packet.from.ip() == from.0 => {
            Message::parse(&envelope.message).ok()
        }
        _ => None,
    };
    match net.tap.iter().rev().find_map(inner) {
        Some(Message::MapRequest(request)) => request,
        other => panic!("a Map-Request was expected, not {other:?}"),
    }
}

pub(crate) fn bytes_of(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.emit(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_miss_is_answered_by_the_etr_and_the_held_packets_go_after_publication() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    assert_eq!(net.member(at.paris).way(VM), Way::Pending);
    net.run_for(Span::millis(29));
    assert_eq!(net.member(at.paris).way(VM), Way::Pending);
    // Three legs of 10 ms: to the Map-Resolver, on to the ETR, and back.
    net.run_for(Span::millis(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.member(at.paris).released, [prefix(VM_BLOCK)]);
    let row = &net.cache(at.paris)[0];
    assert_eq!(
        (row.origin.as_str(), row.expires_in),
        ("map-reply", Span::secs(600))
    );
}

#[test]
fn misses_of_one_eid_ask_once_and_a_late_miss_is_released_at_once() {
    let (mut net, at) = fabric();
    (0..5).for_each(|_| net.miss(at.paris, VM));
    assert_eq!(net.sent(paris(), is_ecm), 1);
    net.run_for(Span::millis(100));
    net.miss(at.paris, VM);
    assert_eq!(net.sent(paris(), is_ecm), 1);
    assert_eq!(net.member(at.paris).released.len(), 2);
}

#[test]
fn a_lost_request_is_repeated_and_any_answer_to_it_counts() {
    let (mut net, at) = fabric();
    let mut requests = 0;
    net.lose(move |packet| {
        requests += usize::from(packet.is(is_ecm) && packet.from.ip() == paris().0);
        packet.is(is_ecm) && requests <= 2
    });
    net.miss(at.paris, VM);
    net.run_until(Span::millis(2_030), |net| {
        net.member(at.paris).way(VM) == Way::To(telco())
    });
    assert_eq!(net.sent(paris(), is_ecm), 3);
}

#[test]
fn without_any_answer_packets_are_dropped_and_the_eid_is_asked_for_again_later() {
    let (mut net, at) = fabric();
    net.lose(|packet| packet.is(is_ecm));
    net.miss(at.paris, VM);
    net.run_for(Span::millis(7_999));
    assert!(net.member(at.paris).discarded.is_empty());
    net.run_for(Span::millis(1));
    assert_eq!(net.member(at.paris).discarded, [prefix(VM_BLOCK)]);
    assert_eq!(net.member(at.paris).way(VM), Way::Drop);
    assert_eq!(net.sent(paris(), is_ecm), 4);
    net.run_for(Span::secs(5));
    assert_eq!(net.member(at.paris).way(VM), Way::Miss);
}

#[test]
fn an_eid_outside_all_sites_is_native_in_the_largest_hole_around_it() {
    let (mut net, at) = fabric();
    net.miss(at.paris, "10.9.9.9");
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way("10.9.9.9"), Way::Native);
    // 10.8.0.0/13 is the largest block that touches neither 10.1.0.0/16 nor 10.2.0.0/23.
    assert_eq!(net.member(at.paris).released, [prefix("10.8.0.0/13")]);
    // Fifteen minutes from the answer, which took 20 ms of the 100.
    assert_eq!(net.cache(at.paris)[0].expires_in, Span::millis(899_920));
    assert_eq!(net.member(at.paris).way(VM), Way::Miss);
}

#[test]
fn a_young_map_server_does_not_deny_what_may_still_register() {
    let (mut net, at) = fabric();
    net.miss(at.paris, "10.1.9.9");
    net.run_for(Span::secs(10));
    assert!(net.counter(at.server, "control.map-server.silent") >= 1);
    net.run_for(Span::secs(80));
    net.miss(at.paris, "10.1.9.9");
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way("10.1.9.9"), Way::Drop);
    // The hole does not reach into what is registered.
    assert_eq!(
        net.member(at.paris).discarded.last(),
        Some(&prefix("10.1.8.0/21"))
    );
    assert_eq!(
        net.cache(at.paris).last().unwrap().expires_in,
        Span::millis(59_920)
    );
}

#[test]
fn one_answer_settles_all_who_wait_for_its_block() {
    let (mut net, at) = fabric();
    for host in 1..=20 {
        net.miss(at.telco, &format!("10.2.1.{host}"));
    }
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.telco).way("10.2.1.5"), Way::To(paris()));
    assert_eq!(net.member(at.telco).way("10.2.1.200"), Way::To(paris()));
    assert_eq!(net.cache(at.telco).len(), 1);
    assert_eq!(net.member(at.telco).released, [prefix("10.2.1.0/24")]);
}

#[test]
fn own_eids_are_local_and_never_asked_for() {
    let (mut net, at) = fabric();
    assert_eq!(net.member(at.paris).way("10.2.1.9"), Way::Local);
    net.miss(at.paris, "10.2.1.9");
    assert_eq!(net.sent(paris(), is_ecm), 0);
    assert_eq!(net.member(at.paris).discarded, [prefix("10.2.1.9")]);
}

#[test]
fn a_reply_nobody_asked_for_is_counted_and_changes_nothing() {
    let (mut net, at) = fabric();
    let record = net_record(VM_BLOCK, &[lyon()]);
    let reply = MapReply {
        nonce: Nonce(7),
        probe: false,
        echo_nonce: false,
        records: vec![record],
    };
    net.inject(
        "172.16.6.6:4342".parse().unwrap(),
        paris().0,
        bytes_of(&Message::MapReply(reply)),
    );
    net.run_for(Span::millis(50));
    assert_eq!(net.member(at.paris).way(VM), Way::Miss);
    assert_eq!(net.counter(at.paris, "control.refused.unsolicited"), 1);
}

pub(crate) fn net_record(eid: &str, rlocs: &[lisp_wire::Rloc]) -> lisp_wire::MappingRecord {
    lisp_wire::MappingRecord {
        ttl: Ttl(10),
        eid: prefix(eid),
        action: lisp_wire::Action::NoAction,
        authoritative: true,
        map_version: 0,
        locators: ranked(rlocs),
    }
}

#[test]
fn a_reply_may_neither_miss_the_question_nor_swallow_own_eids() {
    let (mut net, at) = fabric();
    net.lose(|packet| packet.is(is_reply));
    for (eid, counter) in [
        ("10.1.0.0/30", "control.refused.mismatch"),
        ("10.0.0.0/8", "control.refused.own-eid"),
    ] {
        net.miss(at.paris, VM);
        let nonce = last_request(&net, paris()).nonce;
        let reply = MapReply {
            nonce,
            probe: false,
            echo_nonce: false,
            records: vec![net_record(eid, &[lip6()])],
        };
        net.inject(
            "172.16.6.6:4342".parse().unwrap(),
            paris().0,
            bytes_of(&Message::MapReply(reply)),
        );
        net.run_for(Span::millis(5));
        assert_eq!(net.counter(at.paris, counter), 1, "{eid}");
        assert_eq!(net.member(at.paris).way(VM), Way::Pending);
        net.run_for(Span::secs(20));
    }
}

#[test]
fn longer_mappings_come_with_the_answer_and_strangers_do_not() {
    let (mut net, at) = fabric();
    net.lose(|packet| packet.is(is_reply));
    net.miss(at.paris, "10.1.5.5");
    let nonce = last_request(&net, paris()).nonce;
    let records = vec![
        net_record("10.1.4.0/22", &[telco()]),
        net_record("10.1.6.0/24", &[lip6()]),
        net_record("10.3.0.0/16", &[lyon()]),
    ];
    let reply = MapReply {
        nonce,
        probe: false,
        echo_nonce: false,
        records,
    };
    net.inject(
        "172.16.6.6:4342".parse().unwrap(),
        paris().0,
        bytes_of(&Message::MapReply(reply)),
    );
    net.run_for(Span::millis(5));
    let ways = ["10.1.5.5", "10.1.6.1", "10.3.0.1"].map(|eid| net.member(at.paris).way(eid));
    assert_eq!(ways, [Way::To(telco()), Way::To(lip6()), Way::Miss]);
}

#[test]
fn a_mapping_in_use_is_asked_for_before_it_expires_and_an_idle_one_ends() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.miss(at.lyon, VM);
    net.run_for(Span::secs(460));
    net.member(at.paris).carry(VM, 3);
    net.run_for(Span::secs(200));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.member(at.lyon).way(VM), Way::Miss);
    assert_eq!((net.sent(paris(), is_ecm), net.sent(lyon(), is_ecm)), (2, 1));
}

#[test]
fn a_mapping_in_use_outlives_a_map_server_that_is_away_until_its_time_is_up() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(460));
    net.member(at.paris).carry(VM, 3);
    net.kill(at.server);
    net.run_for(Span::secs(139));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    net.run_for(Span::secs(2));
    assert_eq!(net.member(at.paris).way(VM), Way::Miss);
}

#[test]
fn solicitations_are_followed_through_the_mapping_system_but_not_faster_than_once_a_second() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    let mut solicitation = last_request(&net, paris());
    solicitation.solicit = true;
    let bytes = bytes_of(&Message::MapRequest(solicitation));
    for _ in 0..50 {
        net.inject("172.16.6.6:4342".parse().unwrap(), paris().0, bytes.clone());
        net.run_for(Span::millis(100));
    }
    // The first miss, then one a second.
    let asked = net.sent(paris(), is_ecm);
    assert!((5..=6).contains(&asked), "{asked}");
    assert!(last_request(&net, paris()).invoked);
    assert!(
        net.tap
            .iter()
            .filter(|packet| packet.is(is_ecm))
            .all(|packet| packet.to.ip() == server().0 || packet.from.ip() == server().0)
    );
}

#[test]
fn a_solicitation_about_something_else_asks_nobody() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    let mut solicitation = last_request(&net, paris());
    (solicitation.solicit, solicitation.eids) = (true, vec![prefix("10.7.0.0/16")]);
    net.inject(
        "172.16.6.6:4342".parse().unwrap(),
        paris().0,
        bytes_of(&Message::MapRequest(solicitation)),
    );
    net.run_for(Span::millis(100));
    assert_eq!(net.sent(paris(), is_ecm), 1);
    assert_eq!(net.counter(at.paris, "control.smr.ignored"), 1);
}

#[test]
fn a_mapping_set_by_hand_is_used_and_removed_and_may_not_overlap_own_eids() {
    let (mut net, at) = fabric();
    let set = |eid, rlocs: &[lisp_wire::Rloc]| NodeCommand::SetCache {
        eid: prefix(eid),
        locators: ranked(rlocs),
        ttl: Span::secs(30),
    };
    net.command(at.paris, set("10.5.0.0/16", &[lip6()]));
    assert_eq!(net.member(at.paris).way("10.5.1.1"), Way::To(lip6()));
    let answer = net.command(at.paris, set("10.2.0.0/16", &[lip6()]));
    assert!(matches!(answer, proto::NodeReport::Refused { .. }));
    net.command(at.paris, set("10.5.0.0/16", &[]));
    assert_eq!(net.member(at.paris).way("10.5.1.1"), Way::Miss);
    net.command(at.paris, set("10.5.0.0/16", &[lip6()]));
    net.run_for(Span::secs(31));
    assert_eq!(net.member(at.paris).way("10.5.1.1"), Way::Miss);
}

#[test]
fn each_client_is_told_its_own_view() {
    let (mut net, at) = fabric();
    net.command(at.telco, switch(1, lyon(), &[lip6(), telco()]));
    net.miss(at.paris, VM);
    net.miss(at.lyon, VM);
    net.run_for(Span::secs(3));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.member(at.lyon).way(VM), Way::To(lip6()));
}

#[test]
fn eids_of_another_family_and_tenant_are_resolved_alike() {
    let (mut net, at) = fabric_with(|mut config| {
        if config.rlocs[0].rloc == telco() {
            let template = config.eids[0].clone();
            for block in ["2001:db8:1::/64", "[7]10.2.1.0/24"] {
                config.eids.push(node::config::OwnEid {
                    prefix: prefix(block),
                    ..template.clone()
                });
            }
        }
        for block in ["2001:db8::/32", "[7]10.0.0.0/8"] {
            if let Some(template) = config.sites.first().cloned() {
                config.sites.push(node::config::Site {
                    prefix: prefix(block),
                    ..template
                });
            }
        }
        config
    });
    for eid in ["2001:db8:1::9", "[7]10.2.1.9"] {
        let block = prefix(eid);
        net.input(
            at.paris,
            node::Input::Miss {
                eid: block.first(),
                source: None,
            },
        );
        net.run_for(Span::millis(100));
        let released = *net.member(at.paris).released.last().unwrap();
        assert!(released.covers(&block), "{released} for {eid}");
    }
    // The same address of the default tenant is this user's own.
    assert_eq!(net.member(at.paris).way("10.2.1.9"), Way::Local);
}

#[test]
fn a_block_with_many_longer_mappings_is_told_in_parts() {
    let (mut net, at) = fabric_with(|mut config| {
        for own in config
            .eids
            .iter_mut()
            .filter(|own| own.prefix == prefix(VM_BLOCK))
        {
            own.prefix = prefix("10.1.0.0/16");
        }
        config
    });
    for host in 0..200 {
        let mut command = switch(host, paris(), &[lip6()]);
        if let NodeCommand::SetLocators { eid, tell, .. } = &mut command {
            (*eid, *tell) = (prefix(&format!("10.1.0.{host}")), proto::node::Tell::Nobody);
        }
        net.command(at.telco, command);
    }
    net.miss(at.paris, "10.1.0.77");
    net.miss(at.paris, "10.1.9.9");
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way("10.1.0.77"), Way::To(lip6()));
    assert_eq!(net.member(at.paris).way("10.1.9.9"), Way::To(telco()));
    // What was not told in full is not claimed.
    assert_eq!(net.member(at.paris).way("10.1.0.78"), Way::Miss);
    assert!(net.tap.iter().all(|packet| packet.bytes.len() < 1500));
}

#[test]
fn who_is_solicited_often_still_asks_the_etr_that_knows() {
    let (mut net, at) = fabric();
    net.command(at.telco, switch(1, paris(), &[lip6(), telco()]));
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    let mut solicitation = last_request(&net, paris());
    solicitation.solicit = true;
    let bytes = bytes_of(&Message::MapRequest(solicitation));
    for _ in 0..5 {
        net.inject("172.16.6.6:4342".parse().unwrap(), paris().0, bytes.clone());
        net.run_for(Span::millis(1_050));
        assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    }
    assert_eq!(net.sent(paris(), is_ecm), 6);
}

#[test]
fn who_is_solicited_all_the_time_still_hears_of_a_switch_at_once() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    let mut solicitation = last_request(&net, paris());
    solicitation.solicit = true;
    let bytes = bytes_of(&Message::MapRequest(solicitation));
    // They have to wait for their second to pass.
    for _ in 0..2 {
        net.inject("172.16.6.6:4342".parse().unwrap(), paris().0, bytes.clone());
        net.run_for(Span::millis(100));
    }
    assert_eq!(net.sent(paris(), is_ecm), 1);
    net.command(at.telco, switch(1, paris(), &[lip6(), telco()]));
    net.run_for(Span::millis(10));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    assert_eq!(net.counter(at.paris, "control.refused.awaited"), 0);
}

/// What `client` would ask the mapping system for the VM, sent as by anyone.
pub(crate) fn asked_by(client: u32) -> MapRequest {
    MapRequest {
        nonce: Nonce(u64::from(client)),
        authoritative: false,
        probe: false,
        solicit: false,
        invoked: false,
        proxy_itr: false,
        no_reply: false,
        source_eid: None,
        itr_rlocs: vec![lisp_wire::Rloc(std::net::Ipv4Addr::from(client).into())],
        eids: vec![prefix(VM)],
        map_reply: None,
        notify: NotifyBits::NONE,
        xtr: None,
    }
}

#[test]
fn of_a_flood_of_askers_the_latest_are_remembered() {
    let (mut net, at) = fabric();
    let first = 0x0b00_0000;
    for client in first..first + 5000 {
        let bytes = bytes_of(&Message::MapRequest(asked_by(client)));
        net.inject("172.16.6.6:4342".parse().unwrap(), telco().0, bytes);
        net.run_for(Span(200));
    }
    net.run_for(Span::millis(10));
    let show = NodeCommand::Show {
        what: Show::Requesters,
    };
    let NodeReport::Requesters { rows } = net.command(at.telco, show.clone()) else {
        panic!("the requesters were asked for")
    };
    assert_eq!(rows.len(), 4096);
    let oldest = std::net::Ipv4Addr::from(first + 5000 - 4096);
    assert_eq!(rows[0].client, lisp_wire::Rloc(oldest.into()));
    // Their answers' ten minutes are over.
    net.run_for(Span::secs(601));
    let bytes = bytes_of(&Message::MapRequest(asked_by(first)));
    net.inject("172.16.6.6:4342".parse().unwrap(), telco().0, bytes);
    net.run_for(Span::millis(10));
    let NodeReport::Requesters { rows } = net.command(at.telco, show) else {
        panic!("the requesters were asked for")
    };
    assert_eq!(rows.len(), 1);
}

#[test]
fn after_a_flood_of_askers_the_map_server_still_tells_who_insists() {
    let (mut net, at) = fabric();
    let first = 0x0b00_0000;
    for client in first..first + 17_000 {
        let envelope = Encapsulated {
            source: "10.2.1.7:4342".parse().unwrap(),
            destination: VM.parse().unwrap(),
            ddt_originated: false,
            via: lisp_wire::Via::Nobody,
            message: bytes_of(&Message::MapRequest(asked_by(client))),
        };
        let bytes = bytes_of(&Message::Encapsulated(envelope));
        net.inject("172.16.6.6:4342".parse().unwrap(), server().0, bytes);
    }
    net.run_for(Span::secs(4));
    net.kill(at.telco);
    net.miss(at.paris, VM);
    // Asked at 0 and 1 s in vain; at 2 s it is the next locator's turn.
    net.run_for(Span::millis(2_100));
    assert!(matches!(net.member(at.paris).way(VM), Way::To(_)));
}

#[test]
fn packets_that_miss_while_a_refresh_is_under_way_are_not_held_for_ever() {
    let (mut net, at) = fabric_with(|mut config| {
        config.eids.iter_mut().for_each(|own| own.ttl = Ttl(1));
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::secs(50));
    net.member(at.paris).carry(VM, 1);
    net.lose(|packet| packet.is(is_ecm));
    // Asked again at 54 s, expired at 60 s, given up at 61.5 s.
    net.run_for(Span::millis(10_200));
    assert_eq!(net.member(at.paris).way(VM), Way::Miss);
    net.miss(at.paris, VM);
    net.run_for(Span::secs(2));
    assert_eq!(net.member(at.paris).discarded, [prefix(VM_BLOCK)]);
    assert_eq!(net.member(at.paris).way(VM), Way::Drop);
}

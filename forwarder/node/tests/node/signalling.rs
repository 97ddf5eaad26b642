//! Data headers that say more than whose packet it is: packets go through the packet path itself.

use std::net::IpAddr;

use datapath::{
    Counters, Decapsulator, Egress, Encapsulator, Ingress, Limits, Outer, PacketBatch, Relay, Routes, Signals,
};
use lisp_wire::data_header::{DataHeader, MapVersion, Mark};
use lisp_wire::{InstanceId, Message, Rloc};
use node::config::TrustedPeer;
use node::{Config, Input};
use proto::node::Tell;
use proto::{Audience, ChangeId, NodeCommand, Span};

use crate::fabric::{Fabric, VM, VM_BLOCK, fabric_with, lip6, marilyn, paris, prefix, ranked, telco};
use crate::network::{Network, Way};

const ALL: Signals = Signals {
    locator_status: true,
    echo_nonce: true,
    map_version: true,
};
/// Where the versions of all mappings begin.
const FIRST: u16 = 4090;
const USER: &str = "10.2.1.9";

/// Everyone trusts the whole network with these; probes are slow, so that what is found out is found out otherwise.
fn trusting(signals: Signals) -> (Network, Fabric) {
    fabric_with(|mut config| {
        trust(&mut config, signals);
        config
    })
}

fn trust(config: &mut Config, signals: Signals) {
    config.data_header.peers = vec![TrustedPeer {
        rlocs: prefix("172.16.0.0/16"),
        signals,
    }];
    if signals.map_version {
        let first = MapVersion::new(FIRST).unwrap();
        config.eids.iter_mut().for_each(|own| own.map_version = first);
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    /// The locator it went to.
    to: Rloc,
    header: DataHeader,
    arrived: bool,
}

/// Sends a packet of one EID to another from one node, and takes it in at the node that it goes to, if `path` lets it.
fn send(net: &mut Network, from: usize, (source, destination): (&str, &str), path: fn(Rloc) -> bool) -> Sent {
    let counters = std::sync::Arc::new(Counters::default());
    let (mut batch, mut egress) = (PacketBatch::new(1, 1500), Egress::new(1, 1500));
    batch.push(&packet(source, destination)).unwrap();
    let (cache, limits) = (net.member(from).published.clone(), Limits::new(1500));
    let routes = Routes {
        cache: &cache,
        limits: &limits,
    };
    Encapsulator::new(1, std::sync::Arc::clone(&counters)).encapsulate_batch(routes, &mut batch, &mut egress);
    let datagram = egress.datagrams.first().expect("the way is known");
    let payload = egress.payload(&batch, datagram).to_vec();
    let header = DataHeader::parse(&payload).unwrap();
    let to = Rloc(datagram.to);
    let receiver = net.index_of(to.0).filter(|_| path(to));
    let arrived = receiver.is_some_and(|at| {
        let (source, mut batch) = (net.address_of(from), PacketBatch::new(1, 1600));
        batch.spare().unwrap()[..payload.len()].copy_from_slice(&payload);
        let outer = Outer {
            source: Some(source),
            ..Outer::default()
        };
        batch.commit(payload.len(), outer).unwrap();
        let mut ingress = Ingress::new(1);
        let decapsulator = Decapsulator::new([InstanceId::DEFAULT], Relay::Refused, counters);
        decapsulator.decapsulate_batch(&net.member(at).published, &mut batch, &mut ingress);
        if let Some(met) = ingress.met {
            net.input(at, Input::Met { rloc: Rloc(met) });
        }
        !ingress.local.is_empty()
    });
    Sent { to, header, arrived }
}

fn packet(source: &str, destination: &str) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    for address in [source, destination] {
        let IpAddr::V4(v4) = address.parse().unwrap() else {
            panic!("the fabric is IPv4")
        };
        packet.extend(v4.octets());
    }
    packet.resize(28, 0);
    packet
}

/// Packets both ways every 10 ms: from Paris to the VM, and back from `entry`.
fn converse(net: &mut Network, at: Fabric, entry: usize, (span, path): (Span, fn(Rloc) -> bool)) {
    for _ in 0..span.micros() / 10_000 {
        send(net, at.paris, (USER, VM), path);
        send(net, entry, (VM, USER), |_| true);
        net.run_for(Span::millis(10));
    }
}

/// Paris and TelcoCenter know the way to each other.
fn acquainted(net: &mut Network, at: Fabric, entry: usize) {
    net.miss(at.paris, VM);
    net.miss(entry, USER);
    // Probes have told who echoes.
    net.run_for(Span::secs(2));
}

fn everywhere(_: Rloc) -> bool {
    true
}

#[test]
fn a_locator_that_goes_down_is_left_by_its_sites_status_bits_long_before_probes_would_tell() {
    let status = Signals {
        locator_status: true,
        ..Signals::default()
    };
    let (mut net, at) = fabric_with(|mut config| {
        trust(&mut config, status);
        // Within the site, who is down is known in a third of a second; the user would need half a minute.
        let near = config.name.as_str() != "paris";
        config.probing.cache_interval = if near { Span::millis(100) } else { Span::secs(10) };
        config.probing.timeout = Span::millis(100);
        config
    });
    acquainted(&mut net, at, at.marilyn);
    converse(&mut net, at, at.marilyn, (Span::millis(200), everywhere));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    net.kill(at.telco);
    converse(&mut net, at, at.marilyn, (Span::millis(700), everywhere));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(net.counter(at.paris, "control.data-header.status-down"), 1);
    // Locators stand in the order of their addresses: TelcoCenter has the lowest bit.
    let sent = send(&mut net, at.marilyn, (VM, USER), everywhere);
    assert_eq!(sent.header.locator_status(), Some(0b110));
    // It is up again, and its bit with it.
    net.start(at.telco);
    converse(&mut net, at, at.marilyn, (Span::millis(700), everywhere));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
}

#[test]
fn a_mapping_whose_locators_are_all_said_to_be_down_is_no_black_hole() {
    let (mut net, at) = trusting(ALL);
    acquainted(&mut net, at, at.telco);
    net.kill(at.marilyn);
    net.kill(at.lip6);
    net.run_for(Span::secs(5));
    let sent = send(&mut net, at.telco, (VM, USER), everywhere);
    assert_eq!(
        sent.header.locator_status(),
        Some(0b001),
        "the sender itself is up"
    );
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
}

#[test]
fn without_trust_headers_are_plain_and_what_they_say_changes_nothing() {
    let (mut net, at) = fabric_with(|mut config| {
        if config.name.as_str() == "telco" {
            trust(&mut config, ALL);
        }
        config
    });
    acquainted(&mut net, at, at.telco);
    net.kill(at.marilyn);
    net.run_for(Span::secs(5));
    let before = net.member(at.paris).publications;
    let sent = send(&mut net, at.telco, (VM, USER), everywhere);
    assert!(sent.arrived && sent.header.locator_status().is_some());
    let back = send(&mut net, at.paris, (USER, VM), everywhere);
    assert_eq!((back.header, back.arrived), (DataHeader::PLAIN, true));
    net.run_for(Span::millis(500));
    assert_eq!(net.member(at.paris).publications, before);
    assert!(net.member(at.paris).published.marks().is_none());
}

#[test]
fn a_path_that_is_closed_one_way_is_found_by_the_echo_that_does_not_come() {
    let (mut net, at) = trusting(ALL);
    acquainted(&mut net, at, at.telco);
    let closed = |to: Rloc| to != telco();
    // Both ask at once, and are answered when they have done asking.
    converse(&mut net, at, at.telco, (Span::millis(2_500), everywhere));
    assert_eq!(net.counter(at.paris, "control.data-header.echo.came"), 1);
    // Probes and the way back are as they were.
    converse(&mut net, at, at.telco, (Span::secs(13), closed));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(net.counter(at.paris, "control.data-header.echo.missed"), 1);
    assert_eq!(net.counter(at.paris, "probes.lost"), 0);
    // It is given another chance, and found to be open.
    converse(&mut net, at, at.telco, (Span::secs(31), everywhere));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.counter(at.paris, "control.data-header.echo.tried-again"), 1);
    assert_eq!(net.counter(at.paris, "control.data-header.echo.missed"), 1);
}

#[test]
fn both_ends_may_ask_at_once_and_both_are_answered() {
    let (mut net, at) = trusting(ALL);
    acquainted(&mut net, at, at.telco);
    converse(&mut net, at, at.telco, (Span::secs(45), everywhere));
    for index in [at.paris, at.telco] {
        assert!(net.counter(index, "control.data-header.echo.came") >= 3);
        assert_eq!(net.counter(index, "control.data-header.echo.missed"), 0);
    }
}

#[test]
fn traffic_of_one_direction_condemns_nobody() {
    let (mut net, at) = trusting(ALL);
    acquainted(&mut net, at, at.telco);
    for _ in 0..2_000 {
        send(&mut net, at.paris, (USER, VM), everywhere);
        net.run_for(Span::millis(10));
    }
    assert!(net.counter(at.paris, "control.data-header.echo.asked") >= 1);
    assert_eq!(net.counter(at.paris, "control.data-header.echo.missed"), 0);
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
}

#[test]
fn who_does_not_say_that_it_echoes_is_not_asked() {
    let (mut net, at) = fabric_with(|mut config| {
        let echo_nonce = config.name.as_str() == "paris";
        trust(&mut config, Signals { echo_nonce, ..ALL });
        config
    });
    acquainted(&mut net, at, at.telco);
    converse(&mut net, at, at.telco, (Span::secs(30), everywhere));
    assert_eq!(net.counter(at.paris, "control.data-header.echo.asked"), 0);
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
}

/// The locators of the VM change at TelcoCenter, and nobody is told.
fn change_silently(net: &mut Network, at: Fabric, change: u64) {
    let command = NodeCommand::SetLocators {
        change: ChangeId(change),
        eid: prefix(VM_BLOCK),
        audience: Audience::Everyone,
        locators: ranked(&[telco(), lip6()]),
        tell: Tell::Nobody,
    };
    net.command(at.telco, command);
}

fn is_solicitation(message: &Message) -> bool {
    matches!(message, Message::MapRequest(request) if request.solicit)
}

fn is_question(message: &Message) -> bool {
    matches!(message, Message::Encapsulated(_))
}

fn versions(header: DataHeader) -> (u16, u16) {
    match header.mark() {
        Mark::Versions { source, destination } => (source.get(), destination.get()),
        other => panic!("versions were expected, not {other:?}"),
    }
}

fn versioned() -> Signals {
    Signals {
        map_version: true,
        ..Signals::default()
    }
}

#[test]
fn who_uses_an_old_version_of_ours_is_solicited_within_limits_and_asks_anew() {
    let (mut net, at) = trusting(versioned());
    acquainted(&mut net, at, at.telco);
    let (_, before) = versions(send(&mut net, at.paris, (USER, VM), everywhere).header);
    net.lose(|packet| packet.is(is_solicitation));
    change_silently(&mut net, at, 1);
    for _ in 0..240 {
        assert!(send(&mut net, at.paris, (USER, VM), everywhere).arrived);
        net.run_for(Span::millis(10));
    }
    let solicited = net.sent(telco(), is_solicitation);
    assert!((2..=3).contains(&solicited), "{solicited} in 2.4 s");
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    net.lose(|_| false);
    for _ in 0..120 {
        send(&mut net, at.paris, (USER, VM), everywhere);
        net.run_for(Span::millis(10));
    }
    let (_, after) = versions(send(&mut net, at.paris, (USER, VM), everywhere).header);
    assert_eq!(after, MapVersion::new(before).unwrap().next().get());
    let row = net
        .cache(at.paris)
        .into_iter()
        .find(|row| row.eid == prefix(VM_BLOCK))
        .unwrap();
    let told: Vec<Rloc> = row.locators.iter().map(|entry| entry.locator.rloc).collect();
    assert_eq!(told, [telco(), lip6()]);
}

// RFC 9302 section 7.1.
#[test]
fn who_does_not_follow_is_solicited_more_seldom_after_ten_repetitions() {
    let (mut net, at) = trusting(versioned());
    acquainted(&mut net, at, at.telco);
    net.lose(|packet| packet.is(is_solicitation));
    change_silently(&mut net, at, 1);
    let solicited = |net: &mut Network, span: Span| {
        let before = net.sent(telco(), is_solicitation);
        for _ in 0..span.micros() / 100_000 {
            send(net, at.paris, (USER, VM), everywhere);
            net.run_for(Span::millis(100));
        }
        net.sent(telco(), is_solicitation) - before
    };
    let first = solicited(&mut net, Span::secs(20));
    assert_eq!(first, 11);
    assert_eq!(solicited(&mut net, Span::secs(60)), 2);
}

// RFC 9300 section 13.1.
#[test]
fn after_locators_have_come_or_gone_no_status_bits_are_said_for_five_minutes() {
    let status = Signals {
        locator_status: true,
        ..Signals::default()
    };
    let (mut net, at) = trusting(status);
    acquainted(&mut net, at, at.telco);
    let bits = |net: &mut Network| {
        send(net, at.telco, (VM, USER), everywhere)
            .header
            .locator_status()
    };
    assert_eq!(bits(&mut net), Some(0b111));
    change_silently(&mut net, at, 1);
    net.run_for(Span::millis(100));
    assert_eq!(bits(&mut net), None);
    // The user's mapping of the other site is refreshed by its packets.
    for _ in 0..299 {
        net.run_for(Span::secs(1));
        assert_eq!(bits(&mut net), None);
    }
    net.run_for(Span::secs(1));
    assert_eq!(bits(&mut net), Some(0b11));
    // Another order of preference moves no bit.
    let command = NodeCommand::SetLocators {
        change: ChangeId(2),
        eid: prefix(VM_BLOCK),
        audience: Audience::Everyone,
        locators: ranked(&[lip6(), telco()]),
        tell: Tell::Nobody,
    };
    net.command(at.telco, command);
    net.run_for(Span::millis(100));
    assert_eq!(bits(&mut net), Some(0b11));
}

#[test]
fn a_newer_version_in_a_packet_is_asked_for_within_limits() {
    let (mut net, at) = trusting(versioned());
    acquainted(&mut net, at, at.telco);
    let questions = net.sent(paris(), is_question);
    net.lose(|packet| packet.is(is_solicitation) || packet.is(is_question));
    change_silently(&mut net, at, 1);
    for _ in 0..40 {
        assert!(send(&mut net, at.telco, (VM, USER), everywhere).arrived);
        net.run_for(Span::millis(10));
    }
    assert_eq!(
        net.sent(paris(), is_question) - questions,
        1,
        "the question is open"
    );
    net.lose(|packet| packet.is(is_solicitation));
    net.run_for(Span::secs(1));
    let sent = send(&mut net, at.paris, (USER, VM), everywhere);
    let (ours, _) = versions(send(&mut net, at.telco, (VM, USER), everywhere).header);
    assert_eq!(versions(sent.header).1, ours);
    assert!(net.counter(at.paris, "control.data-header.new-versions") >= 1);
}

#[test]
fn versions_outlive_a_restart_and_go_up_with_it() {
    let (mut net, at) = trusting(versioned());
    acquainted(&mut net, at, at.telco);
    change_silently(&mut net, at, 1);
    net.run_for(Span::secs(2));
    let (before, _) = versions(send(&mut net, at.telco, (VM, USER), everywhere).header);
    net.kill(at.telco);
    net.run_for(Span::secs(5));
    net.start(at.telco);
    net.miss(at.telco, USER);
    net.run_for(Span::secs(1));
    let (after, _) = versions(send(&mut net, at.telco, (VM, USER), everywhere).header);
    assert_eq!((before, after), (FIRST + 1, FIRST + 2));
    // What is registered says the same.
    let registered = |packet: &crate::network::Packet| match packet.message() {
        Some(Message::MapRegister(register)) if packet.from.ip() == telco().0 => {
            register.records.first().map(|record| record.map_version)
        }
        _ => None,
    };
    assert_eq!(net.tap.iter().rev().find_map(registered), Some(after));
}

// RFC 9302 section 6.
#[test]
fn versions_are_the_operators_and_a_node_makes_none_up() {
    let (mut net, at) = fabric_with(|mut config| {
        trust(&mut config, versioned());
        if config.name.as_str() == "telco" {
            config
                .eids
                .iter_mut()
                .for_each(|own| own.map_version = MapVersion::NONE);
        }
        config
    });
    acquainted(&mut net, at, at.telco);
    change_silently(&mut net, at, 1);
    net.run_for(Span::secs(2));
    let (none, _) = versions(send(&mut net, at.telco, (VM, USER), everywhere).header);
    assert_eq!(none, 0);
    // One that the operator has set ahead of what was reached is gone on from; one behind it is not gone back to.
    for (configured, then) in [(700, 701), (650, 702)] {
        net.kill(at.telco);
        net.configure(at.telco, |config| {
            config.eids[0].map_version = MapVersion::new(configured).unwrap();
        });
        net.start(at.telco);
        net.run_for(Span::secs(5));
        net.miss(at.telco, USER);
        net.run_for(Span::secs(1));
        let (now, _) = versions(send(&mut net, at.telco, (VM, USER), everywhere).header);
        assert_eq!(now, then, "{configured}");
    }
}

#[test]
fn strangers_that_are_trusted_by_their_addresses_cause_no_more_work_the_more_they_are() {
    let (mut net, at) = trusting(ALL);
    net.miss(at.paris, VM);
    net.run_for(Span::secs(1));
    let before = net.member(at.paris).publications;
    for last in 1..=200 {
        let rloc = Rloc([172, 16, 77, last].into());
        net.input(at.paris, Input::Met { rloc });
    }
    net.run_for(Span::millis(100));
    let published = net.member(at.paris).publications - before;
    assert!((1..=3).contains(&published), "{published}");
}

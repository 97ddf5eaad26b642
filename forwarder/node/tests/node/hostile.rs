//! Whatever arrives: no panic, and no change of the map cache that was not asked for.

use datapath::{Forwarding, MapCache};
use lisp_wire::{EidPrefix, Locator};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proto::{NodeCommand, Span};

use crate::fabric::{Fabric, VM, fabric, fabric_with, lip6, paris, switch, telco};
use crate::network::{Network, Packet};

/// All that the packet path is told, without its counters.
fn content(table: &MapCache) -> Vec<(EidPrefix, String, Vec<Locator>)> {
    let row = |entry: &datapath::Entry| match &entry.forwarding {
        Forwarding::Encapsulate(locators) => {
            let locators = locators.locators().iter().map(|row| row.locator).collect();
            (entry.prefix, "encapsulate".to_owned(), locators)
        }
        other => (entry.prefix, format!("{other:?}"), Vec::new()),
    };
    table.iter().map(|entry| row(entry)).collect()
}

/// A fabric in which every kind of message has been sent, and is on the tap.
fn lively(legacy: node::config::Legacy) -> (Network, Fabric) {
    let (mut net, at) = fabric_with(|mut config| {
        config.change_priority.legacy = legacy;
        config
    });
    net.miss(at.paris, VM);
    net.miss(at.lyon, VM);
    net.run_for(Span::secs(2));
    net.command(at.telco, switch(1, paris(), &[lip6(), telco()]));
    net.command(
        at.marilyn,
        NodeCommand::Arrived {
            change: proto::ChangeId(2),
            eid: crate::fabric::prefix(crate::fabric::VM_BLOCK),
        },
    );
    net.run_for(Span::secs(2));
    // From here on nodes speak in vain. A flipped bit can make a solicitation of a probe, and then the mapping system
    // is asked, and rightly believed; what the hostile datagrams do by themselves is to be seen.
    net.lose(|_| true);
    (net, at)
}

/// Everything at rest: later changes are the hostile datagrams' doing.
fn settled_contents(net: &Network, at: Fabric) -> Vec<Vec<(EidPrefix, String, Vec<Locator>)>> {
    [at.server, at.telco, at.marilyn, at.lip6, at.paris, at.lyon]
        .map(|index| content(&net.member(index).published))
        .into()
}

fn addresses(at: usize) -> std::net::IpAddr {
    use crate::fabric::{lyon, marilyn, server};
    [server(), telco(), marilyn(), lip6(), paris(), lyon()][at].0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_datagrams_change_no_map_cache(
        datagrams in vec((0..6usize, vec(any::<u8>(), 0..200)), 1..60),
    ) {
        let (mut net, at) = lively(node::config::Legacy::Accepted);
        let before = settled_contents(&net, at);
        for (to, mut bytes) in datagrams {
            // Half of them get a type that exists.
            if let Some(first) = bytes.first_mut().filter(|first| **first & 1 == 0) {
                *first = [0x10, 0x20, 0x30, 0x40, 0x50, 0x80, 0xf0][usize::from(*first >> 1) % 7] | (*first & 0x0f);
            }
            net.inject("172.16.6.6:4342".parse().unwrap(), addresses(to), bytes);
        }
        net.run_for(Span::millis(300));
        prop_assert_eq!(settled_contents(&net, at), before);
    }

    #[test]
    fn flipped_and_cut_messages_change_no_map_cache(
        attacks in vec((any::<Index>(), 0..6usize, vec((any::<Index>(), 0..8u8), 1..4), any::<Option<Index>>()), 1..60),
    ) {
        let (mut net, at) = lively(node::config::Legacy::Accepted);
        let before = settled_contents(&net, at);
        let caught: Vec<Packet> = net.tap.clone();
        for (which, to, flips, cut) in attacks {
            let packet = which.get(&caught);
            let mut bytes = packet.bytes.clone();
            for (place, bit) in flips {
                let length = bytes.len();
                bytes[place.index(length)] ^= 1 << bit;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            net.inject(packet.from, addresses(to), bytes);
        }
        net.run_for(Span::millis(300));
        prop_assert_eq!(settled_contents(&net, at), before);
    }

    #[test]
    fn replayed_messages_change_no_map_cache(replays in vec((any::<Index>(), 0..6usize), 1..60)) {
        let (mut net, at) = lively(node::config::Legacy::Accepted);
        let before = settled_contents(&net, at);
        let caught: Vec<Packet> = net.tap.clone();
        for (which, to) in replays {
            let packet = which.get(&caught);
            net.inject(packet.from, addresses(to), packet.bytes.clone());
        }
        net.run_for(Span::millis(300));
        prop_assert_eq!(settled_contents(&net, at), before);
    }
}

#[test]
fn the_same_inputs_give_the_same_datagrams() {
    let taps = [(); 2].map(|()| {
        let (mut net, at) = fabric();
        net.miss(at.paris, VM);
        net.command(at.telco, switch(1, paris(), &[lip6(), telco()]));
        net.run_for(Span::secs(5));
        net.tap
            .into_iter()
            .map(|packet| (packet.sent_at, packet.to, packet.bytes))
            .collect::<Vec<_>>()
    });
    assert!(taps[0].len() > 20);
    assert_eq!(taps[0], taps[1]);
}

#[test]
fn a_flood_of_requests_is_cut_and_counted() {
    let (mut net, at) = fabric();
    net.command(at.telco, NodeCommand::Probe { targets: Vec::new() });
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    let request = net
        .tap
        .iter()
        .find(|packet| packet.bytes[0] >> 4 == 8)
        .cloned()
        .unwrap();
    for _ in 0..25_000 {
        net.inject(request.from, telco().0, request.bytes.clone());
    }
    net.run_for(Span::millis(2));
    assert!(net.counter(at.telco, "control.refused.rate") > 4000);
    net.run_for(Span::secs(2));
    net.miss(at.lyon, VM);
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.lyon).way(VM), crate::network::Way::To(telco()));
}

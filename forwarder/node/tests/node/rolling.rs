//! Keys are replaced while everything runs: in whatever order, nothing is lost.

use std::collections::BTreeMap;

use lisp_wire::{Algorithm, Key, Message};
use node::Config;
use node::config::{KeyRing, Scope, ScopedKey};
use proto::node::{ChangeOutcome, Show};
use proto::{NodeCommand, NodeReport, Span};

use crate::fabric::{
    CP_SECRET, Fabric, SITE_SECRET, VM, fabric, fabric_with, key, marilyn, move_key, of_vms, paris, ranked,
    server, switch, telco,
};
use crate::moving::outcomes;
use crate::network::{Network, Way};
use crate::preparing::{arrived, prepare};

fn new_key() -> Key {
    Key::new(2, Algorithm::HmacSha256, b"its successor").unwrap()
}

fn ring(keys: &[&Key]) -> KeyRing {
    KeyRing::new(keys.iter().map(|key| (*key).clone()).collect()).unwrap()
}

fn registered(net: &mut Network, at: &Fabric) -> usize {
    let what = Show::Registrations;
    match net.command(at.server, NodeCommand::Show { what }) {
        NodeReport::Registrations { rows } => rows.len(),
        other => panic!("registrations were asked for, not {other:?}"),
    }
}

fn with_site_keys(keys: &[&Key]) -> impl Fn(&mut Config) {
    let keys: Vec<Key> = keys.iter().map(|key| (*key).clone()).collect();
    move |config| {
        for site in &mut config.sites {
            site.keys.clone_from(&keys);
        }
    }
}

fn with_own_keys(keys: &[&Key]) -> impl Fn(&mut Config) {
    let ring = ring(keys);
    move |config| {
        for server in &mut config.map_servers {
            server.keys = ring.clone();
        }
    }
}

/// More than the life of a registration, in which nothing may be missing.
fn nothing_is_lost(net: &mut Network, at: &Fabric) {
    for _ in 0..10 {
        net.run_for(Span::secs(20));
        assert_eq!(registered(net, at), 3);
    }
}

#[test]
fn registrations_outlive_a_change_of_key_that_begins_at_the_map_server() {
    let (mut net, at) = fabric();
    let (old, new) = (key(SITE_SECRET), new_key());
    net.configure(at.server, with_site_keys(&[&old, &new]));
    nothing_is_lost(&mut net, &at);
    for index in [at.telco, at.paris, at.lyon] {
        net.configure(index, with_own_keys(&[&new]));
    }
    nothing_is_lost(&mut net, &at);
    net.configure(at.server, with_site_keys(&[&new]));
    nothing_is_lost(&mut net, &at);
    assert_eq!(net.counter(at.server, "control.refused.unknown-key"), 0);
    assert_eq!(net.counter(at.server, "control.refused.bad-mac"), 0);
}

#[test]
fn registrations_outlive_a_change_of_key_that_begins_at_the_xtrs() {
    let (mut net, at) = fabric();
    let (old, new) = (key(SITE_SECRET), new_key());
    for index in [at.telco, at.paris, at.lyon] {
        net.configure(index, with_own_keys(&[&new, &old]));
    }
    nothing_is_lost(&mut net, &at);
    assert!(net.counter(at.server, "control.refused.unknown-key") > 0);
    net.configure(at.server, with_site_keys(&[&new]));
    nothing_is_lost(&mut net, &at);
}

#[test]
fn what_only_the_old_key_signed_is_refused_once_it_is_gone() {
    let (mut net, at) = fabric();
    net.configure(at.server, with_site_keys(&[&new_key()]));
    net.run_for(Span::secs(200));
    assert_eq!(registered(&mut net, &at), 0);
}

#[test]
fn a_new_key_is_used_at_once_and_not_only_with_the_next_round() {
    let (mut net, at) = fabric();
    net.configure(at.server, with_site_keys(&[&key(SITE_SECRET), &new_key()]));
    net.run_for(Span::secs(10));
    net.tap.clear();
    net.configure(at.paris, with_own_keys(&[&new_key()]));
    net.run_for(Span::millis(100));
    let ids: Vec<u8> = net
        .tap
        .iter()
        .filter_map(|packet| match packet.message()? {
            Message::MapRegister(register) => Some(register.auth.key_id),
            Message::MapNotify(notify) => Some(notify.auth.key_id),
            _ => None,
        })
        .collect();
    assert_eq!(ids, [2, 2]);
}

#[test]
fn publications_go_on_though_one_side_has_the_new_key_before_the_other() {
    let old = key(b"for publications");
    for server_first in [true, false] {
        let (mut net, at) = fabric_with(|mut config| {
            config.subscribe = BTreeMap::from([(server(), old.clone().into())]);
            if !config.sites.is_empty() {
                config.pubsub.key = Some(old.clone().into());
            }
            for server in &mut config.map_servers {
                server.proxy_reply = true;
            }
            config
        });
        net.miss(at.paris, VM);
        net.run_for(Span::secs(1));
        assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
        let both = ring(&[&new_key(), &old]);
        if server_first {
            net.configure(at.server, |config| config.pubsub.key = Some(both));
        } else {
            net.configure(at.paris, |config| {
                config.subscribe = BTreeMap::from([(server(), both)]);
            });
        }
        let everyone = NodeCommand::SetLocators {
            change: proto::ChangeId(1),
            eid: crate::fabric::prefix(crate::fabric::VM_BLOCK),
            audience: proto::Audience::Everyone,
            locators: ranked(&[marilyn(), telco()]),
            tell: proto::node::Tell::Nobody,
        };
        net.command(at.telco, everyone);
        net.run_for(Span::secs(4));
        assert_eq!(
            net.member(at.paris).way(VM),
            Way::To(marilyn()),
            "server first: {server_first}"
        );
        assert_eq!(net.counter(at.server, "control.pubsub.delivered"), 1);
    }
}

#[test]
fn change_priority_goes_on_under_a_new_key_once_all_have_it() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::millis(200));
    let scoped = |key: Key| ScopedKey {
        key,
        scope: Scope::All,
    };
    let members = [at.telco, at.marilyn, at.lip6, at.paris, at.lyon];
    let steps = [
        vec![key(CP_SECRET), new_key()],
        vec![new_key(), key(CP_SECRET)],
        vec![new_key()],
    ];
    for (change, keys) in (1..).zip(steps) {
        // One after the other, with changes told in between.
        for index in members {
            net.configure(index, |config| {
                config.change_priority.keys = keys.iter().cloned().map(scoped).collect();
            });
            let order = [[telco(), marilyn()], [marilyn(), telco()]][index % 2];
            let id = change * 100 + index as u64;
            net.command(at.telco, switch(id, paris(), &order));
            net.run_for(Span::millis(60));
            assert_eq!(
                net.member(at.paris).way(VM),
                Way::To(order[0]),
                "step {change} at {index}"
            );
        }
    }
    assert_eq!(net.counter(at.paris, "control.refused.unknown-key"), 0);
}

#[test]
fn moves_go_on_under_a_new_key_once_all_sites_have_it_and_the_users_see_nothing_of_it() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::millis(200));
    let steps = [
        vec![move_key(), new_key()],
        vec![new_key(), move_key()],
        vec![new_key()],
    ];
    let mut places = [(at.telco, telco()), (at.marilyn, marilyn())].into_iter().cycle();
    let mut change = 0;
    let mut from = places.next().unwrap();
    for keys in steps {
        for index in [at.telco, at.marilyn, at.lip6] {
            net.configure(index, |config| {
                config.change_priority.move_keys = keys.iter().cloned().map(of_vms).collect();
            });
            let to = places.next().unwrap();
            change += 2;
            net.command(from.0, prepare(change, to.1));
            net.run_for(Span::millis(50));
            assert!(matches!(
                outcomes(&net, from.0, change)[..],
                [ChangeOutcome::Prepared { clients: 1, .. }]
            ));
            net.command(to.0, arrived(change + 1));
            net.run_for(Span::millis(50));
            assert_eq!(net.member(at.paris).way(VM), Way::To(to.1), "move {change}");
            assert_eq!(outcomes(&net, to.0, change + 1).len(), 3);
            from = to;
        }
    }
    for index in [at.telco, at.marilyn, at.lip6, at.paris] {
        assert_eq!(net.counter(index, "control.refused.unknown-key"), 0);
        assert_eq!(net.counter(index, "control.refused.no-right"), 0);
    }
}

//! Several xTRs register the same EIDs and are one site; an xTR behind a NAT registers what others can reach.

use lisp_wire::message::{Info, NatTraversal};
use lisp_wire::{AuthField, Message, Nonce, Rloc, Ttl};
use node::config::{Config, OwnEid};
use proto::node::Show;
use proto::{NodeCommand, NodeReport, Span};

use crate::fabric::{SITE_SECRET, key, lyon, map_server, paris, prefix, rloc, server, telco, user};
use crate::network::{Network, Way};

const BLOCK: &str = "10.2.1.0/24";
const EID: &str = "10.2.1.9";

fn merging(config: Config) -> Config {
    let mut config = config;
    for server in &mut config.map_servers {
        (server.merge, server.proxy_reply) = (true, true);
    }
    config
}

/// Two xTRs with a locator each, and a client.
fn two() -> (Network, [usize; 4]) {
    let mut net = Network::new();
    let at_server = net.add(map_server());
    let first = net.add(merging(user("paris", paris(), BLOCK)));
    let second = net.add(merging(user("lyon", lyon(), BLOCK)));
    let mut client = user("client", telco(), "10.2.2.0/24");
    client.eids = vec![OwnEid {
        register: false,
        ..client.eids[0].clone()
    }];
    let client = net.add(client);
    net.run_for(Span::secs(1));
    (net, [at_server, first, second, client])
}

fn locators(net: &mut Network, index: usize) -> Vec<Rloc> {
    let rows = net.cache(index);
    let row = rows
        .iter()
        .find(|row| row.eid == prefix(BLOCK))
        .expect("a mapping");
    let mut rlocs: Vec<_> = row.locators.iter().map(|locator| locator.locator.rloc).collect();
    rlocs.sort();
    rlocs
}

#[test]
fn xtrs_that_merge_make_one_mapping_and_each_knows_the_whole() {
    let (mut net, [at_server, first, _, client]) = two();
    net.miss(client, EID);
    net.run_for(Span::millis(100));
    assert_eq!(locators(&mut net, client), [paris(), lyon()]);
    // The first one was told without asking, and its word is acknowledged.
    assert!(net.counter(first, "control.map-notifies.merged") > 0);
    assert_eq!(
        net.counter(at_server, "control.map-server.merge.told"),
        net.counter(at_server, "control.map-server.merge.acknowledged")
    );
}

#[test]
fn an_xtr_answers_for_its_siblings_too() {
    let (mut net, [_, first, second, client]) = two();
    // Nobody answers for them any more.
    for index in [first, second] {
        net.configure(index, |config| config.map_servers[0].proxy_reply = false);
    }
    net.run_for(Span::secs(1));
    net.miss(client, EID);
    net.run_for(Span::millis(100));
    assert_eq!(locators(&mut net, client), [paris(), lyon()]);
}

#[test]
fn a_sibling_that_leaves_is_gone_from_the_mapping_and_the_others_are_told() {
    let (mut net, [at_server, first, second, client]) = two();
    let learned = net.counter(first, "control.map-notifies.merged");
    net.input(second, node::Input::Shutdown);
    net.kill(second);
    net.run_for(Span::millis(100));
    assert_eq!(net.counter(first, "control.map-notifies.merged"), learned + 1);
    net.miss(client, EID);
    net.run_for(Span::millis(100));
    assert_eq!(locators(&mut net, client), [paris()]);
    assert_eq!(net.counter(at_server, "control.map-server.merge.unanswered"), 0);
}

#[test]
fn a_lost_word_to_a_sibling_is_repeated_and_a_replayed_one_changes_nothing() {
    let mut net = Network::new();
    net.add(map_server());
    let first = net.add(merging(user("paris", paris(), BLOCK)));
    net.run_for(Span::secs(1));
    net.lose(|packet| packet.to.ip() == paris().0);
    net.add(merging(user("lyon", lyon(), BLOCK)));
    net.run_for(Span::millis(100));
    net.lose(|_| false);
    net.run_for(Span::secs(4));
    assert_eq!(net.counter(first, "control.map-notifies.merged"), 1);
    let told = |message: &Message| matches!(message, Message::MapNotify(_));
    let caught = net
        .tap
        .iter()
        .rfind(|packet| packet.to.ip() == paris().0 && packet.is(told));
    let caught = caught.cloned().unwrap();
    net.input(1, node::Input::Tick);
    let mut forged = caught.bytes.clone();
    *forged.last_mut().unwrap() ^= 1;
    for bytes in [caught.bytes, forged] {
        net.inject(caught.from, paris().0, bytes);
    }
    net.run_for(Span::millis(50));
    assert_eq!(net.counter(first, "control.map-notifies.merged"), 1);
}

fn behind_nat() -> Config {
    let mut config = user("paris", paris(), BLOCK);
    config.map_servers[0].behind_nat = true;
    config
}

fn registered_locators(net: &mut Network, at_server: usize) -> Vec<Rloc> {
    let what = Show::Registrations;
    match net.command(at_server, NodeCommand::Show { what }) {
        NodeReport::Registrations { rows } => rows
            .iter()
            .flat_map(|row| &row.locators)
            .map(|locator| locator.rloc)
            .collect(),
        other => panic!("registrations were asked for, not {other:?}"),
    }
}

/// The answer of a Map-Server that sees `global`, signed with `secret`.
fn info_reply(nonce: Nonce, global: Rloc, secret: &[u8]) -> Vec<u8> {
    let reply = Info {
        nonce,
        auth: AuthField::unsigned(),
        ttl: Ttl(10),
        eid: prefix(BLOCK),
        nat: Some(NatTraversal {
            server_port: 4342,
            etr_port: 61_000,
            global: Some(global),
            server: Some(server()),
            private: None,
            rtrs: Vec::new(),
        }),
    };
    let mut bytes = Vec::new();
    Message::Info(reply)
        .emit_signed(&key(secret), &mut bytes)
        .unwrap();
    bytes
}

#[test]
fn an_xtr_asks_how_it_is_seen_and_is_told() {
    let mut net = Network::new();
    let at_server = net.add(map_server());
    let xtr = net.add(behind_nat());
    net.run_for(Span::secs(1));
    assert_eq!(net.counter(at_server, "control.info.answered"), 1);
    assert_eq!(net.counter(xtr, "control.info.learned"), 1);
    assert_eq!(registered_locators(&mut net, at_server), [paris()]);
    net.run_for(Span::secs(60));
    assert_eq!(net.counter(xtr, "control.info.asked"), 2);
}

#[test]
fn what_is_seen_from_outside_is_registered_and_a_forged_word_of_it_is_not() {
    let mut net = Network::new();
    let at_server = net.add(map_server());
    let is_info = |message: &Message| matches!(message, Message::Info(_));
    // The Map-Server's own answer is lost: another stands in for it.
    net.lose(move |packet| packet.is(is_info) && packet.from.ip() == server().0);
    let xtr = net.add(behind_nat());
    net.run_for(Span::millis(50));
    let nonce = net
        .tap
        .iter()
        .find_map(|packet| match packet.message()? {
            Message::Info(info) if info.nat.is_none() => Some(info.nonce),
            _ => None,
        })
        .unwrap();
    let global = rloc("198.51.100.7");
    let from = "172.16.9.1:4342".parse().unwrap();
    let genuine = info_reply(nonce, global, SITE_SECRET);
    for (bytes, learned) in [
        (info_reply(nonce, rloc("198.51.100.66"), b"guessed"), 0),
        (
            info_reply(Nonce(nonce.0 ^ 1), rloc("198.51.100.66"), SITE_SECRET),
            0,
        ),
        (genuine.clone(), 1),
        (genuine, 1),
    ] {
        net.inject(from, paris().0, bytes);
        net.run_for(Span::millis(40));
        assert_eq!(net.counter(xtr, "control.info.learned"), learned);
    }
    assert_eq!(registered_locators(&mut net, at_server), [global]);
}

#[test]
fn who_does_not_hold_the_key_is_not_told_how_it_is_seen() {
    let mut net = Network::new();
    let at_server = net.add(map_server());
    let mut stranger = behind_nat();
    stranger.map_servers[0].keys = key(b"guessed").into();
    net.add(stranger);
    net.run_for(Span::secs(1));
    assert_eq!(net.counter(at_server, "control.info.answered"), 0);
    assert!(net.counter(at_server, "control.refused.bad-mac") > 0);
    assert_eq!(net.member(at_server).way(EID), Way::Miss);
}

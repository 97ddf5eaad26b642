//! A delegation tree of several nodes, walked down by a Map-Resolver; and the bounds on what anybody can have sent.

use lisp_wire::message::{MapReferral, MapRequest, NotifyBits, Referral, ReferralAction};
use lisp_wire::{EidPrefix, Locator, Message, Nonce, Priority, Rloc, Ttl, Weight};
use node::Config;
use node::config::{DelegatedTo, Delegation, Role};
use proto::Span;

use crate::fabric::{bare, fabric, map_server, paris, prefix, rloc, server, telco, user};
use crate::network::{Network, Way};

fn resolver() -> Rloc {
    rloc("172.16.8.1")
}

fn root() -> Rloc {
    rloc("172.16.8.2")
}

fn middle() -> Rloc {
    rloc("172.16.8.3")
}

fn delegation(block: &str, to: DelegatedTo, node: Rloc) -> Delegation {
    Delegation {
        prefix: prefix(block),
        to,
        nodes: vec![node],
    }
}

/// A node of the tree.
fn node_of_tree(name: &str, own: Rloc, authority: &str, delegations: Vec<Delegation>) -> Config {
    Config {
        roles: [Role::MapServer].into(),
        authority: vec![prefix(authority)],
        delegations,
        ..bare(name, own)
    }
}

/// A resolver, a root, a node below it, a Map-Server; two sites.
fn tree() -> (Network, [usize; 3]) {
    let mut net = Network::new();
    let at_resolver = net.add(Config {
        roles: [Role::MapResolver].into(),
        ddt_roots: vec![root()],
        ..bare("resolver", resolver())
    });
    let to_middle = delegation("10.2.0.0/16", DelegatedTo::Nodes, middle());
    net.add(node_of_tree("root", root(), "0.0.0.0/0", vec![to_middle]));
    let to_server = delegation("10.2.0.0/17", DelegatedTo::MapServers, server());
    net.add(node_of_tree("middle", middle(), "10.2.0.0/16", vec![to_server]));
    net.add(map_server());
    let asks_there = |config: Config| Config {
        map_resolvers: vec![resolver()],
        ..config
    };
    let first = net.add(asks_there(user("paris", paris(), "10.2.1.0/24")));
    let second = net.add(asks_there(user("telco", telco(), "10.2.2.0/24")));
    net.run_for(Span::secs(1));
    (net, [at_resolver, first, second])
}

fn asked_of(net: &Network, node: Rloc) -> usize {
    let to_it = |packet: &&crate::network::Packet| packet.to.ip() == node.0;
    let asks = |message: &Message| matches!(message, Message::Encapsulated(_));
    net.tap
        .iter()
        .filter(to_it)
        .filter(|packet| packet.is(asks))
        .count()
}

#[test]
fn a_resolver_walks_down_a_tree_and_remembers_the_way() {
    let (mut net, [at_resolver, first, second]) = tree();
    net.miss(first, "10.2.2.9");
    net.run_for(Span::millis(300));
    assert_eq!(net.member(first).way("10.2.2.9"), Way::To(telco()));
    assert_eq!([asked_of(&net, root()), asked_of(&net, middle())], [1, 1]);
    assert_eq!(net.counter(at_resolver, "control.referrals.arrived"), 1);
    // The way to the Map-Server is known now.
    net.tap.clear();
    net.miss(second, "10.2.1.9");
    net.run_for(Span::millis(300));
    assert_eq!(net.member(second).way("10.2.1.9"), Way::To(paris()));
    assert_eq!([asked_of(&net, root()), asked_of(&net, middle())], [0, 0]);
}

#[test]
fn a_hole_in_the_tree_is_told_with_all_of_it_that_is_empty() {
    let (mut net, [_, first, _]) = tree();
    net.miss(first, "192.0.2.9");
    net.run_for(Span::millis(300));
    assert_eq!(net.member(first).way("192.0.2.9"), Way::Native);
    let hole = net
        .cache(first)
        .iter()
        .map(|row| row.eid)
        .find(|eid| eid.covers(&prefix("192.0.2.9")));
    // Nothing is delegated in the upper half of all addresses.
    assert_eq!(hole, Some(prefix("128.0.0.0/1")));
    net.miss(first, "10.2.200.9");
    net.run_for(Span::millis(300));
    assert_eq!(net.member(first).way("10.2.200.9"), Way::Native);
}

#[test]
fn a_node_that_is_silent_is_given_up_and_the_next_question_begins_at_the_root() {
    let (mut net, [at_resolver, first, _]) = tree();
    net.lose(|packet| packet.to.ip() == middle().0);
    net.miss(first, "10.2.2.9");
    net.run_for(Span::secs(20));
    assert!(net.counter(at_resolver, "control.referrals.failed") > 0);
    net.lose(|_| false);
    net.miss(first, "10.2.2.9");
    net.run_for(Span::secs(1));
    assert_eq!(net.member(first).way("10.2.2.9"), Way::To(telco()));
}

// RFC 8111 section 6.4: each action with its life and its I bit.
#[test]
fn what_a_node_of_a_tree_says_has_the_life_and_the_i_bit_of_its_kind() {
    use ReferralAction::{
        DelegationHole, MsAck, MsNotRegistered, MsReferral, NodeReferral, NotAuthoritative,
    };

    let (mut net, _) = tree();
    net.run_for(Span::secs(100));
    let mut said = |node: Rloc, eid: &str| {
        let mut request = crate::resolving::asked_by(1);
        request.eids = vec![prefix(eid)];
        let envelope = lisp_wire::Encapsulated {
            source: "172.16.6.6:4342".parse().unwrap(),
            destination: node.0,
            ddt_originated: true,
            via: lisp_wire::Via::Nobody,
            message: crate::resolving::bytes_of(&Message::MapRequest(request)),
        };
        let bytes = crate::resolving::bytes_of(&Message::Encapsulated(envelope));
        net.inject("172.16.6.6:4342".parse().unwrap(), node.0, bytes);
        net.run_for(Span::millis(20));
        let referral = |packet: &crate::network::Packet| match packet.message()? {
            Message::MapReferral(message) => message.records.into_iter().next(),
            _ => None,
        };
        let told = net.tap.iter().rev().find_map(referral).unwrap();
        (told.action, told.ttl.0, told.incomplete)
    };
    assert_eq!(said(root(), "10.2.2.9/32"), (NodeReferral, 1440, false));
    assert_eq!(said(middle(), "10.2.2.9/32"), (MsReferral, 1440, false));
    assert_eq!(said(server(), "10.2.2.9/32"), (MsAck, 1440, true));
    assert_eq!(said(server(), "10.1.0.7/32"), (MsNotRegistered, 1, true));
    assert_eq!(said(middle(), "10.2.200.9/32"), (DelegationHole, 15, false));
    assert_eq!(said(middle(), "192.0.2.9/32"), (NotAuthoritative, 0, true));
}

fn referral(nonce: Nonce, eid: EidPrefix, node: Rloc) -> Vec<u8> {
    let message = Message::MapReferral(MapReferral {
        nonce,
        records: vec![Referral {
            ttl: Ttl(1440),
            eid,
            action: ReferralAction::NodeReferral,
            authoritative: true,
            incomplete: false,
            map_version: 0,
            nodes: vec![Locator::unicast(node, Priority(1), Weight(1))],
        }],
    });
    let mut bytes = Vec::new();
    message.emit(&mut bytes).unwrap();
    bytes
}

#[test]
fn referrals_in_a_circle_and_those_of_strangers_lead_nowhere() {
    let (mut net, [at_resolver, first, _]) = tree();
    net.lose(|packet| packet.from.ip() == middle().0 || packet.from.ip() == root().0);
    net.miss(first, "10.2.2.9");
    net.run_for(Span::millis(30));
    let asked = |message: &Message| matches!(message, Message::Encapsulated(_));
    let envelope = net.tap.iter().rfind(|packet| packet.is(asked)).unwrap();
    let Some(Message::Encapsulated(envelope)) = envelope.message() else {
        panic!("an envelope")
    };
    let Ok(Message::MapRequest(request)) = Message::parse(&envelope.message) else {
        panic!("a question")
    };
    let stranger = "203.0.113.9:4342".parse().unwrap();
    let of = |rloc: Rloc| std::net::SocketAddr::new(rloc.0, 4342);
    net.inject(
        stranger,
        resolver().0,
        referral(request.nonce, prefix("10.2.0.0/16"), rloc("203.0.113.9")),
    );
    net.run_for(Span::millis(5));
    assert_eq!(net.counter(at_resolver, "control.referrals.followed"), 0);
    // The root points down, and what is below points up again.
    net.inject(
        of(root()),
        resolver().0,
        referral(request.nonce, prefix("10.2.0.0/16"), middle()),
    );
    net.run_for(Span::millis(5));
    assert_eq!(net.counter(at_resolver, "control.referrals.followed"), 1);
    net.inject(
        of(middle()),
        resolver().0,
        referral(request.nonce, prefix("10.2.0.0/16"), root()),
    );
    net.inject(
        of(middle()),
        resolver().0,
        referral(request.nonce, prefix("10.0.0.0/8"), root()),
    );
    net.run_for(Span::millis(5));
    assert_eq!(net.counter(at_resolver, "control.referrals.followed"), 1);
    assert_eq!(net.counter(at_resolver, "control.referrals.refused"), 1);
}

fn question(itr: Rloc, nonce: u64) -> Vec<u8> {
    let request = MapRequest {
        nonce: Nonce(nonce),
        authoritative: false,
        probe: false,
        solicit: false,
        invoked: false,
        proxy_itr: false,
        no_reply: false,
        source_eid: None,
        itr_rlocs: vec![itr],
        eids: vec![prefix("10.1.0.7/32")],
        map_reply: None,
        notify: NotifyBits::NONE,
        xtr: None,
    };
    let mut bytes = Vec::new();
    Message::MapRequest(request).emit(&mut bytes).unwrap();
    bytes
}

#[test]
fn nobody_is_flooded_with_answers_that_others_asked_for() {
    let (mut net, at) = fabric();
    net.configure(at.telco, |config| config.answers_per_second = 50);
    let (attacker, victim) = ("203.0.113.9:7".parse().unwrap(), rloc("172.16.7.7"));
    for nonce in 0..5_000 {
        net.inject(attacker, telco().0, question(victim, nonce));
    }
    net.inject(attacker, telco().0, question(paris(), 1));
    net.run_for(Span::millis(20));
    let replies = |to: Rloc| {
        let kind = |message: &Message| matches!(message, Message::MapReply(_));
        let from_us = net
            .tap
            .iter()
            .filter(|packet| packet.from.ip() == telco().0 && packet.is(kind));
        from_us.filter(|packet| packet.to.ip() == to.0).count()
    };
    assert_eq!([replies(victim), replies(paris())], [50, 1]);
    assert_eq!(net.counter(at.telco, "control.refused.reflected"), 4_950);
}

#[test]
fn a_flood_of_forged_askers_does_not_drive_out_those_that_are_known() {
    let (mut net, at) = fabric();
    net.miss(at.paris, crate::fabric::VM);
    net.run_for(Span::millis(200));
    // The VM answers: the data centre knows the user's locator from the user itself.
    net.miss(at.telco, "10.2.1.9");
    net.run_for(Span::millis(200));
    for number in 0..9_000_u32 {
        let forged = Rloc((0xac20_0000 + number).to_be_bytes().into());
        net.inject(
            "203.0.113.9:7".parse().unwrap(),
            telco().0,
            question(forged, u64::from(number)),
        );
        if number % 3_000 == 0 {
            net.run_for(Span::secs(2));
        }
    }
    net.run_for(Span::secs(2));
    let what = proto::node::Show::Requesters;
    let proto::NodeReport::Requesters { rows } = net.command(at.telco, proto::NodeCommand::Show { what })
    else {
        panic!("requesters were asked for")
    };
    assert!(
        rows.iter().any(|row| row.client == paris()),
        "{} others",
        rows.len()
    );
}

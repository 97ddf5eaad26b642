//! Publish/subscribe (RFC 9437): mappings that come by themselves, and who is believed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use lisp_wire::message::{MapNotify, NotifyBits, XtrId};
use lisp_wire::{Action, Message, Nonce, Rloc, Ttl};
use node::config::{AnsweredFor, NonceRule, PubSub, Quota, Site};
use node::{Config, Input};
use proto::node::Tell;
use proto::{Audience, ChangeId, NodeCommand, Span};

use crate::fabric::{
    Fabric, SITE_SECRET, VM, VM_BLOCK, fabric_with, key, lip6, lyon, marilyn, paris, prefix, ranked, server,
    telco,
};
use crate::network::{Network, Packet, Way};

const PUBSUB_SECRET: &[u8] = b"the Map-Server's and its subscribers'";

pub(crate) fn pubsub_key() -> lisp_wire::Key {
    lisp_wire::Key::new(9, lisp_wire::Algorithm::HmacSha256, PUBSUB_SECRET).unwrap()
}

/// Everyone subscribes, and the Map-Server answers for the sites.
pub(crate) fn subscribing(mut config: Config) -> Config {
    if config.sites.is_empty() {
        config.subscribe = BTreeMap::from([(server(), pubsub_key().into())]);
    } else {
        config.pubsub.key = Some(pubsub_key().into());
    }
    config
        .map_servers
        .iter_mut()
        .for_each(|server| server.proxy_reply = true);
    config
}

/// A fabric in which Paris has subscribed to the VM's mapping.
pub(crate) fn subscribed() -> (Network, Fabric) {
    let (mut net, at) = fabric_with(subscribing);
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    (net, at)
}

fn is_notify(message: &Message) -> bool {
    matches!(message, Message::MapNotify(_))
}

pub(crate) fn is_ack(message: &Message) -> bool {
    matches!(message, Message::MapNotifyAck(_))
}

fn is_unsubscription(message: &Message) -> bool {
    matches!(message, Message::MapRequest(request) if request.unsubscribes())
}

/// The VM's site tells everyone that it is entered by these, the first before all. Nobody but the Map-Server is told.
pub(crate) fn everyone(net: &mut Network, at: Fabric, change: u64, order: &[Rloc]) {
    let command = NodeCommand::SetLocators {
        change: ChangeId(change),
        eid: prefix(VM_BLOCK),
        audience: Audience::Everyone,
        locators: ranked(order),
        tell: Tell::Nobody,
    };
    net.command(at.telco, command);
}

fn to_paris(packet: &Packet) -> bool {
    packet.to.ip() == paris().0
}

pub(crate) fn notifies(net: &Network, to: Rloc) -> Vec<(Packet, MapNotify)> {
    let notify = |packet: &Packet| match packet.message()? {
        Message::MapNotify(notify) if packet.from.ip() == server().0 && packet.to.ip() == to.0 => {
            Some((packet.clone(), notify))
        }
        _ => None,
    };
    net.tap.iter().filter_map(notify).collect()
}

/// Those about the VM.
pub(crate) fn publications(net: &Network) -> Vec<(Packet, MapNotify)> {
    let mut all = notifies(net, paris());
    all.retain(|(_, notify)| notify.records.iter().any(|record| record.eid == prefix(VM_BLOCK)));
    all
}

#[test]
fn a_change_reaches_a_subscriber_without_a_question() {
    let (mut net, at) = subscribed();
    assert_eq!(net.cache(at.paris)[0].origin, "publication");
    assert_eq!(net.counter(at.server, "control.pubsub.subscribed"), 1);
    let asked = net.counter(at.paris, "control.map-requests.sent");
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    // Two legs: the site tells its Map-Server, the Map-Server its subscriber.
    net.run_for(Span::millis(20));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    net.run_for(Span::secs(100));
    assert_eq!(net.counter(at.paris, "control.map-requests.sent"), asked);
    assert_eq!(net.counter(at.server, "control.pubsub.delivered"), 1);
    assert_eq!(net.counter(at.server, "control.pubsub.unanswered"), 0);
    // Registrations that say nothing new are told to nobody.
    assert_eq!(net.counter(at.server, "control.pubsub.sent"), 2);
}

#[test]
fn the_confirmation_has_the_nonce_of_the_request_and_each_publication_one_more() {
    let (mut net, at) = subscribed();
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    net.run_for(Span::millis(100));
    everyone(&mut net, at, 2, &[marilyn(), telco()]);
    net.run_for(Span::millis(100));
    let request = net.tap.iter().find_map(|packet| match packet.message()? {
        Message::Encapsulated(envelope) if packet.from.ip() == paris().0 => {
            match Message::parse(&envelope.message).ok()? {
                Message::MapRequest(request) => Some(request),
                _ => None,
            }
        }
        _ => None,
    });
    let request = request.unwrap();
    assert_eq!(request.notify, NotifyBits::FIRST);
    let nonces: Vec<u64> = publications(&net)
        .iter()
        .map(|(_, notify)| notify.nonce.0)
        .collect();
    let first = request.nonce.0;
    assert_eq!(nonces, [first, first + 1, first + 2]);
}

#[test]
fn a_lost_publication_is_repeated_after_three_seconds_with_a_nonce_of_its_own() {
    let (mut net, at) = subscribed();
    let lost = Rc::new(RefCell::new(0));
    let losses = Rc::clone(&lost);
    net.lose(move |packet| {
        let lose = packet.is(is_notify) && to_paris(packet) && *losses.borrow() < 2;
        *losses.borrow_mut() += usize::from(lose);
        lose
    });
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    net.run_for(Span::secs(5));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    net.run_for(Span::millis(1_100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    let mut nonces: Vec<Nonce> = publications(&net)
        .iter()
        .map(|(_, notify)| notify.nonce)
        .collect();
    nonces.dedup();
    assert_eq!(nonces.len(), 4);
    net.run_for(Span::secs(60));
    assert_eq!(publications(&net).len(), 4);
}

#[test]
fn a_lost_acknowledgement_is_given_again_and_nothing_is_applied_twice() {
    let (mut net, at) = subscribed();
    let lost = Rc::new(RefCell::new(0));
    let losses = Rc::clone(&lost);
    net.lose(move |packet| {
        let lose = packet.is(is_ack) && *losses.borrow() < 1;
        *losses.borrow_mut() += usize::from(lose);
        lose
    });
    net.miss(at.lyon, VM);
    net.run_for(Span::secs(4));
    assert_eq!(*lost.borrow(), 1);
    assert_eq!(net.counter(at.lyon, "control.pubsub.confirmed"), 1);
    assert_eq!(net.counter(at.lyon, "control.pubsub.repeated"), 1);
    assert_eq!(net.counter(at.server, "control.pubsub.subscribed"), 2);
}

#[test]
fn a_subscription_counts_only_when_its_subscriber_has_proven_to_hold_the_key() {
    let (mut net, at) = fabric_with(|config| {
        let mut config = subscribing(config);
        for key in config.subscribe.values_mut() {
            *key = crate::fabric::key(b"another").into();
        }
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::secs(120));
    // Its Map-Notifies are not believed; after two attempts it asks plainly.
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.cache(at.paris)[0].origin, "map-reply");
    assert_eq!(net.counter(at.server, "control.pubsub.subscribed"), 0);
    assert!(net.counter(at.server, "control.pubsub.unanswered") > 0);
    let last = publications(&net).pop().unwrap().1;
    assert_eq!(last.records[0].action, Action::DropAuthFailure);
    assert!(last.records[0].locators.is_empty());
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    net.run_for(Span::secs(1));
    assert_eq!(net.counter(at.server, "control.pubsub.published"), 0);
}

#[test]
fn replayed_publications_change_nothing() {
    let (mut net, at) = subscribed();
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    net.run_for(Span::millis(100));
    everyone(&mut net, at, 2, &[marilyn(), telco()]);
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    let told = publications(&net);
    let applied = net.counter(at.paris, "control.pubsub.applied");
    for (packet, _) in &told {
        net.inject(packet.from, paris().0, packet.bytes.clone());
    }
    // To another subscriber, who was told less: it is not meant.
    net.miss(at.lyon, VM);
    net.run_for(Span::millis(100));
    for (packet, _) in &told {
        net.inject(packet.from, lyon().0, packet.bytes.clone());
    }
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(net.member(at.lyon).way(VM), Way::To(marilyn()));
    assert_eq!(net.counter(at.paris, "control.pubsub.refused.replay"), 2);
    assert_eq!(net.counter(at.paris, "control.pubsub.repeated"), 1);
    assert_eq!(net.counter(at.paris, "control.pubsub.applied"), applied);
    assert_eq!(net.counter(at.lyon, "control.refused.misdirected"), 3);
}

#[test]
fn forged_publications_change_nothing_and_are_not_acknowledged() {
    let (mut net, at) = subscribed();
    let (packet, genuine) = publications(&net).pop().unwrap();
    let acknowledged = net.sent(paris(), is_ack);
    let mut forged = genuine;
    forged.nonce = Nonce(forged.nonce.0 + 1);
    forged.records[0].locators = ranked(&[marilyn()]);
    for secret in [SITE_SECRET, b"a guess".as_slice()] {
        let wrong = lisp_wire::Key::new(9, lisp_wire::Algorithm::HmacSha256, secret).unwrap();
        let mut bytes = Vec::new();
        Message::MapNotify(forged.clone())
            .emit_signed(&wrong, &mut bytes)
            .unwrap();
        net.inject(packet.from, paris().0, bytes);
    }
    for bit in 0..packet.bytes.len() * 8 {
        let mut bytes = packet.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        net.inject(packet.from, paris().0, bytes);
    }
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.counter(at.paris, "control.pubsub.applied"), 0);
    assert_eq!(net.sent(paris(), is_ack), acknowledged);
    // The real one that follows still counts.
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    net.run_for(Span::millis(20));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
}

#[test]
fn a_stranger_can_neither_take_nor_end_a_subscription_that_is_not_its_own() {
    let (mut net, at) = subscribed();
    let stranger: Rloc = Rloc("172.16.6.6".parse().unwrap());
    let xtr = (
        XtrId(u128::from(u32::from_be_bytes([172, 16, 1, 1]))),
        lisp_wire::SiteId(0),
    );
    let mut request = crate::resolving::asked_by(0);
    request.nonce = Nonce(u64::MAX / 2);
    request.notify = NotifyBits::FIRST;
    request.xtr = Some(xtr);
    request.eids = vec![prefix(VM_BLOCK)];
    for rlocs in [vec![stranger], Vec::new()] {
        request.itr_rlocs = rlocs;
        let mut inner = Vec::new();
        Message::MapRequest(request.clone()).emit(&mut inner).unwrap();
        let envelope = Message::Encapsulated(lisp_wire::Encapsulated {
            source: (stranger.0, 4342).into(),
            destination: VM.parse().unwrap(),
            ddt_originated: false,
            via: lisp_wire::Via::Nobody,
            message: inner,
        });
        let mut bytes = Vec::new();
        envelope.emit(&mut bytes).unwrap();
        net.inject((stranger.0, 4342).into(), server().0, bytes);
        net.run_for(Span::secs(1));
    }
    assert!(
        net.tap
            .iter()
            .any(|packet| packet.to.ip() == stranger.0 && packet.is(is_notify))
    );
    net.run_for(Span::secs(110));
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    net.run_for(Span::millis(20));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    assert_eq!(net.counter(at.server, "control.pubsub.unsubscribed"), 0);
}

#[test]
fn a_request_to_subscribe_that_is_replayed_is_not_answered() {
    let (mut net, at) = subscribed();
    let request = |packet: &&Packet| {
        packet.from.ip() == paris().0 && packet.is(|message| matches!(message, Message::Encapsulated(_)))
    };
    let caught = net.tap.iter().find(request).cloned().unwrap();
    let told = publications(&net).len();
    net.inject(caught.from, server().0, caught.bytes);
    net.run_for(Span::secs(10));
    assert_eq!(publications(&net).len(), told);
    assert_eq!(net.counter(at.server, "control.pubsub.refused.replay"), 1);
}

#[test]
fn a_subscriber_that_no_longer_needs_a_mapping_says_so() {
    let (mut net, at) = subscribed();
    let forget = NodeCommand::SetCache {
        eid: prefix(VM_BLOCK),
        locators: Vec::new(),
        ttl: Span::secs(60),
    };
    net.command(at.paris, forget);
    net.run_for(Span::millis(100));
    assert_eq!(net.sent(paris(), is_unsubscription), 1);
    assert_eq!(net.counter(at.server, "control.pubsub.unsubscribed"), 1);
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    net.run_for(Span::secs(10));
    assert_eq!(net.counter(at.server, "control.pubsub.published"), 0);
    assert_eq!(net.sent(paris(), is_unsubscription), 1);
}

#[test]
fn a_mapping_that_is_not_used_ends_its_subscription_with_its_life() {
    let (mut net, at) = fabric_with(|config| {
        let mut config = subscribing(config);
        config.eids.iter_mut().for_each(|own| own.ttl = Ttl(1));
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::secs(61));
    assert_eq!(net.member(at.paris).way(VM), Way::Miss);
    assert_eq!(net.counter(at.server, "control.pubsub.unsubscribed"), 1);
}

#[test]
fn a_mapping_that_is_withdrawn_goes_at_once_and_comes_back_by_itself() {
    let (mut net, at) = subscribed();
    net.input(at.telco, Input::Shutdown);
    net.run_for(Span::millis(20));
    assert_eq!(net.member(at.paris).way(VM), Way::Miss);
    let last = publications(&net).pop().unwrap().1;
    assert_eq!(last.records[0].ttl, Ttl(0));
    net.kill(at.telco);
    net.run_for(Span::secs(2));
    net.start(at.telco);
    net.run_for(Span::millis(30));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.sent(paris(), is_unsubscription), 0);
}

#[test]
fn who_subscribed_to_a_hole_is_told_when_it_is_filled() {
    let (mut net, at) = fabric_with(subscribing);
    net.run_for(Span::secs(80));
    net.miss(at.paris, "10.1.0.9");
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way("10.1.0.9"), Way::Drop);
    let mut late = crate::fabric::user("late", Rloc("172.16.0.9".parse().unwrap()), "10.1.0.9/32");
    late.map_servers[0].proxy_reply = true;
    net.add(late);
    net.run_for(Span::millis(30));
    let way = net.member(at.paris).way("10.1.0.9");
    assert_eq!(way, Way::To(Rloc("172.16.0.9".parse().unwrap())));
}

#[test]
fn a_map_server_that_restarts_has_its_subscribers_back_within_three_minutes() {
    let (mut net, at) = subscribed();
    net.run_for(Span::secs(1));
    net.kill(at.server);
    net.run_for(Span::secs(1));
    net.start(at.server);
    net.run_for(Span::secs(182));
    assert_eq!(net.counter(at.server, "control.pubsub.subscribed"), 1);
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    net.run_for(Span::millis(20));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
}

#[test]
fn an_xtr_that_restarts_subscribes_with_a_nonce_above_its_last() {
    let (mut net, at) = subscribed();
    net.run_for(Span::secs(2));
    net.kill(at.paris);
    net.start(at.paris);
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.counter(at.server, "control.pubsub.subscribed"), 2);
    assert_eq!(net.counter(at.server, "control.pubsub.refused.replay"), 0);
}

#[test]
fn a_map_server_that_does_not_publish_answers_plainly() {
    let (mut net, at) = fabric_with(|config| {
        let mut config = subscribing(config);
        config.pubsub.key = None;
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.cache(at.paris)[0].origin, "map-reply");
    assert_eq!(net.counter(at.paris, "control.pubsub.fallbacks"), 1);
    assert_eq!(net.sent(server(), is_ack), 0);
}

#[test]
fn a_mapping_that_only_its_etr_may_tell_is_asked_of_the_etr() {
    let (mut net, at) = fabric_with(|config| {
        let mut config = subscribing(config);
        config
            .map_servers
            .iter_mut()
            .for_each(|server| server.proxy_reply = false);
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.counter(at.server, "control.pubsub.refused.not-proxied"), 1);
}

#[test]
fn a_site_without_a_key_denies_and_the_xtr_asks_again_plainly() {
    let (mut net, at) = fabric_with(|config| {
        let mut config = subscribing(config);
        config.pubsub.key = None;
        for site in &mut config.sites {
            site.pubsub = (site.prefix == prefix("10.2.1.0/24")).then(|| pubsub_key().into());
        }
        config
    });
    net.miss(at.paris, VM);
    net.miss(at.lyon, "10.2.1.7");
    net.run_for(Span::millis(100));
    assert_eq!(net.counter(at.server, "control.pubsub.refused.denied"), 1);
    // The same EID may be asked for once a second.
    assert_eq!(net.member(at.paris).way(VM), Way::Pending);
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.cache(at.paris)[0].origin, "map-reply");
    assert_eq!(net.cache(at.lyon)[0].origin, "publication");
}

#[test]
fn when_there_is_no_room_subscribers_are_answered_plainly() {
    let (mut net, at) = fabric_with(|config| {
        let mut config = subscribing(config);
        config.pubsub.most = 1;
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    net.miss(at.lyon, VM);
    net.run_for(Span::millis(100));
    assert_eq!(net.cache(at.paris)[0].origin, "publication");
    assert_eq!(net.cache(at.lyon)[0].origin, "map-reply");
    assert_eq!(net.member(at.lyon).way(VM), Way::To(telco()));
    assert_eq!(net.counter(at.server, "control.pubsub.refused.full"), 1);
}

#[test]
fn a_subscriber_that_is_gone_is_let_go_after_the_last_repetition() {
    let (mut net, at) = subscribed();
    net.kill(at.paris);
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    net.run_for(Span::secs(120));
    // The confirmation, seven attempts 3, 3, 3, 6, 12, 24 s apart, the last word.
    let told = publications(&net);
    assert_eq!(told.len(), 9);
    let waits: Vec<u64> = told[1..8]
        .windows(2)
        .map(|pair| pair[1].0.sent_at.since(pair[0].0.sent_at).micros() / 1_000_000)
        .collect();
    assert_eq!(waits, [3, 3, 3, 6, 12, 24]);
    everyone(&mut net, at, 2, &[marilyn(), telco()]);
    net.run_for(Span::secs(10));
    assert_eq!(publications(&net).len(), 9);
}

#[test]
fn a_thousand_subscribers_are_told_of_a_change_in_one_go() {
    let (mut net, at) = fabric_with(subscribing);
    let first = 0x0b00_0000_u32;
    for client in first..first + 1_000 {
        let address: std::net::IpAddr = std::net::Ipv4Addr::from(client).into();
        let mut request = crate::resolving::asked_by(client);
        request.nonce = Nonce(7);
        request.notify = NotifyBits::FIRST;
        request.xtr = Some((XtrId(client.into()), lisp_wire::SiteId(0)));
        let mut inner = Vec::new();
        Message::MapRequest(request).emit(&mut inner).unwrap();
        let envelope = Message::Encapsulated(lisp_wire::Encapsulated {
            source: (address, 4342).into(),
            destination: VM.parse().unwrap(),
            ddt_originated: false,
            via: lisp_wire::Via::Nobody,
            message: inner,
        });
        let mut bytes = Vec::new();
        envelope.emit(&mut bytes).unwrap();
        net.inject((address, 4342).into(), server().0, bytes);
    }
    net.run_for(Span::millis(5));
    let acknowledge = |net: &mut Network, nonce: Nonce| {
        let told: Vec<(Packet, MapNotify)> = net
            .tap
            .iter()
            .filter_map(|packet| match packet.message()? {
                Message::MapNotify(notify) if notify.nonce == nonce => Some((packet.clone(), notify)),
                _ => None,
            })
            .collect();
        for (packet, notify) in &told {
            let mut bytes = Vec::new();
            let ack = Message::MapNotifyAck(notify.acknowledgement());
            ack.emit_signed(&pubsub_key(), &mut bytes).unwrap();
            net.inject(packet.to, server().0, bytes);
        }
        net.run_for(Span::millis(5));
        told.len()
    };
    assert_eq!(acknowledge(&mut net, Nonce(7)), 1_000);
    assert_eq!(net.counter(at.server, "control.pubsub.subscribed"), 1_000);
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    // The registration is 10 ms on its way; all are told in the moment it arrives.
    net.run_for(Span::millis(10));
    assert_eq!(net.counter(at.server, "control.pubsub.sent"), 2_000);
    assert_eq!(acknowledge(&mut net, Nonce(8)), 1_000);
    assert_eq!(net.counter(at.server, "control.pubsub.delivered"), 1_000);
}

#[test]
fn the_closest_sites_key_comes_before_the_servers() {
    let closer = key(b"the site's own");
    let (mut net, at) = fabric_with(|config| {
        let mut config = subscribing(config);
        if !config.sites.is_empty() {
            config.sites.push(Site {
                prefix: prefix("10.1.0.0/24"),
                keys: vec![key(SITE_SECRET)],
                accept_more_specifics: true,
                nonces: NonceRule::Growing,
                pubsub: Some(closer.clone().into()),
                answered_for: AnsweredFor::Everyone,
                quota: Quota::default(),
            });
            config.pubsub = PubSub {
                key: Some(pubsub_key().into()),
                ..PubSub::default()
            };
        }
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    let bytes = publications(&net)[0].0.bytes.clone();
    assert!(lisp_wire::verify(&bytes, std::slice::from_ref(&closer)).is_ok());
    assert_eq!(net.member(at.paris).way(VM), Way::Pending);
}

#[test]
fn an_acknowledgement_with_any_bit_turned_begins_no_subscription() {
    let (mut net, at) = fabric_with(subscribing);
    net.lose(|packet| packet.is(is_ack));
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    let genuine = net.tap.iter().find(|packet| packet.is(is_ack)).cloned().unwrap();
    for bit in 0..genuine.bytes.len() * 8 {
        let mut bytes = genuine.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        net.inject(genuine.from, server().0, bytes);
    }
    net.run_for(Span::millis(100));
    assert_eq!(net.counter(at.server, "control.pubsub.subscribed"), 0);
    net.inject(genuine.from, server().0, genuine.bytes);
    net.run_for(Span::millis(100));
    assert_eq!(net.counter(at.server, "control.pubsub.subscribed"), 1);
}

//! Subscriptions to blocks (RFC 9437 section 6): longer mappings within them, parts under other keys, mappings that change
//! all the time, and more news than a subscriber takes.

use lisp_wire::{EidPrefix, Message, Rloc, Ttl};
use node::Config;
use node::config::{AnsweredFor, NonceRule, OwnEid, Quota, Site};
use proto::inspect::SubscriptionRow;
use proto::node::{Show, Tell};
use proto::{Audience, ChangeId, NodeCommand, NodeReport, Span, Timestamp};

use crate::fabric::{
    Fabric, SITE_SECRET, VM, VM_BLOCK, fabric_with, key, lip6, marilyn, paris, prefix, ranked, server, telco,
};
use crate::network::{Network, Way};
use crate::publishing::{everyone, is_ack, notifies, publications, subscribed, subscribing};

const BLOCK: &str = "10.1.0.0/16";
const ELSEWHERE: &str = "10.1.200.1";

fn own(block: &str) -> OwnEid {
    OwnEid {
        prefix: prefix(block),
        ttl: Ttl(60),
        locators: Vec::new(),
        register: true,
        map_version: lisp_wire::data_header::MapVersion::NONE,
    }
}

/// The block is at Telco, the VM within it at LIP6.
fn nested(config: Config) -> Config {
    let mut config = subscribing(config);
    match config.name.as_str() {
        "telco" => config.eids = vec![own(BLOCK)],
        "lip6" => config.eids = vec![own(VM_BLOCK)],
        "marilyn" => config.eids = Vec::new(),
        _ => {}
    }
    config
}

/// Paris has subscribed by an EID of the block that no longer mapping has.
fn subscribed_to_block(change: impl Fn(Config) -> Config) -> (Network, Fabric) {
    let (mut net, at) = fabric_with(change);
    net.miss(at.paris, ELSEWHERE);
    net.run_for(Span::millis(200));
    assert_eq!(net.member(at.paris).way(ELSEWHERE), Way::To(telco()));
    (net, at)
}

/// The owner of an EID lets everyone enter by these.
fn enter(net: &mut Network, owner: usize, (change, eid): (u64, &str), order: &[Rloc]) {
    let command = NodeCommand::SetLocators {
        change: ChangeId(change),
        eid: prefix(eid),
        audience: Audience::Everyone,
        locators: ranked(order),
        tell: Tell::Nobody,
    };
    assert_eq!(net.command(owner, command), NodeReport::Done);
    net.run_for(Span::millis(50));
}

fn subscriptions(net: &mut Network, at: Fabric) -> Vec<SubscriptionRow> {
    let what = Show::Subscriptions;
    match net.command(at.server, NodeCommand::Show { what }) {
        NodeReport::Subscriptions { rows } => rows,
        other => panic!("subscriptions were asked for, got {other:?}"),
    }
}

/// What Paris was told of, and when.
fn told(net: &Network) -> Vec<(Timestamp, EidPrefix)> {
    let news = notifies(net, paris()).into_iter();
    news.map(|(packet, notify)| (packet.sent_at, notify.records[0].eid))
        .collect()
}

#[test]
fn who_subscribes_to_a_block_is_told_of_a_longer_mapping_in_it_that_is_there_changes_and_goes() {
    let (mut net, at) = subscribed_to_block(nested);
    assert_eq!(subscriptions(&mut net, at)[0].eid, prefix(BLOCK));
    assert_eq!(
        net.member(at.paris).way(VM),
        Way::To(lip6()),
        "the block does not hide it"
    );
    enter(&mut net, at.lip6, (1, VM_BLOCK), &[marilyn()]);
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    enter(&mut net, at.telco, (2, BLOCK), &[marilyn(), telco()]);
    assert_eq!(net.member(at.paris).way(ELSEWHERE), Way::To(marilyn()));
    enter(&mut net, at.telco, (3, BLOCK), &[telco()]);
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    net.input(at.lip6, node::Input::Shutdown);
    net.run_for(Span::millis(50));
    assert_eq!(
        net.member(at.paris).way(VM),
        Way::To(telco()),
        "the block is all there is"
    );
    assert_eq!(net.counter(at.paris, "control.map-requests.sent"), 1);
}

#[test]
fn who_subscribes_to_a_part_follows_the_mapping_around_it() {
    // One too many for a subscription to the whole block.
    let crowded = |config| {
        let mut config = nested(config);
        if config.name.as_str() == "lip6" {
            config.eids = (1..=65).map(|host| own(&format!("10.1.0.{host}/32"))).collect();
        }
        config
    };
    let (mut net, at) = subscribed_to_block(crowded);
    let part = subscriptions(&mut net, at)[0].eid;
    assert_eq!(part, prefix("10.1.128.0/17"));
    enter(&mut net, at.telco, (1, BLOCK), &[marilyn()]);
    assert_eq!(net.member(at.paris).way(ELSEWHERE), Way::To(marilyn()));
    net.miss(at.paris, "10.1.0.7");
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way("10.1.0.7"), Way::To(lip6()));
    net.input(at.telco, node::Input::Shutdown);
    net.run_for(Span::millis(50));
    assert_eq!(net.member(at.paris).way(ELSEWHERE), Way::Miss);
    assert_eq!(net.member(at.paris).way("10.1.0.7"), Way::To(lip6()));
}

/// A site within the block that has another key for its subscribers, which Paris does not hold.
fn private_site() -> Site {
    Site {
        prefix: prefix("10.1.0.0/24"),
        keys: vec![key(SITE_SECRET)],
        accept_more_specifics: true,
        nonces: NonceRule::Growing,
        pubsub: Some(key(b"the site's own").into()),
        answered_for: AnsweredFor::Everyone,
        quota: Quota::default(),
    }
}

fn with_another_key(config: Config) -> Config {
    let mut config = nested(config);
    if !config.sites.is_empty() {
        config.sites.push(private_site());
    }
    config
}

#[test]
fn a_subscription_to_a_block_ends_where_another_key_begins() {
    let (mut net, at) = subscribed_to_block(with_another_key);
    assert_eq!(subscriptions(&mut net, at)[0].eid, prefix("10.1.128.0/17"));
    enter(&mut net, at.lip6, (1, VM_BLOCK), &[marilyn()]);
    net.run_for(Span::secs(100));
    assert!(told(&net).iter().all(|(_, eid)| !eid.covers(&prefix(VM_BLOCK))));
    assert_eq!(net.counter(at.server, "control.pubsub.unanswered"), 0);
    assert_eq!(subscriptions(&mut net, at).len(), 1, "and is not lost by it");
    enter(&mut net, at.telco, (2, BLOCK), &[marilyn()]);
    assert_eq!(net.member(at.paris).way(ELSEWHERE), Way::To(marilyn()));
}

#[test]
fn a_subscriber_of_a_block_that_has_got_another_key_within_asks_anew_for_what_it_may_know() {
    let (mut net, at) = subscribed_to_block(nested);
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    net.configure(at.server, |config| config.sites.push(private_site()));
    enter(&mut net, at.lip6, (1, VM_BLOCK), &[marilyn()]);
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(ELSEWHERE), Way::To(telco()));
    assert_eq!(subscriptions(&mut net, at)[0].eid, prefix("10.1.128.0/17"));
    assert_eq!(
        net.member(at.paris).way(VM),
        Way::Miss,
        "nobody tells it of this any more"
    );
    net.miss(at.paris, VM);
    net.run_for(Span::secs(10));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(net.cache(at.paris)[0].origin, "map-reply");
}

#[test]
fn a_subscriber_of_a_block_asks_the_owner_of_a_longer_mapping_that_has_come_and_answers_for_itself() {
    let (mut net, at) = subscribed_to_block(nested);
    let late = crate::fabric::user("late", crate::fabric::rloc("172.16.0.9"), "10.1.0.9/32");
    assert!(!late.map_servers[0].proxy_reply);
    net.add(late);
    net.run_for(Span::secs(2));
    assert_eq!(subscriptions(&mut net, at)[0].eid, prefix("10.1.128.0/17"));
    assert_eq!(net.member(at.paris).way(ELSEWHERE), Way::To(telco()));
    net.miss(at.paris, "10.1.0.9");
    net.run_for(Span::secs(2));
    let way = net.member(at.paris).way("10.1.0.9");
    assert_eq!(way, Way::To(crate::fabric::rloc("172.16.0.9")));
    // Its registrations go on and disturb nobody.
    net.run_for(Span::secs(200));
    assert_eq!(net.counter(at.server, "control.pubsub.overrun"), 1);
}

#[test]
fn a_mapping_that_flaps_is_published_once_a_second_and_ends_as_it_is() {
    let (mut net, at) = subscribed();
    let start = net.now;
    let before = publications(&net).len();
    let places = [lip6(), marilyn(), telco()];
    // Ten times a second for five seconds; the site registers as often.
    for change in 0..50 {
        let first = places[change % 3];
        everyone(&mut net, at, change as u64 + 1, &[first]);
        net.run_for(Span::millis(100));
    }
    net.run_for(Span::secs(2));
    let at_once = publications(&net).len() - before;
    assert!((8..=8 + 6).contains(&at_once), "{at_once}");
    assert_eq!(net.member(at.paris).way(VM), Way::To(places[49 % 3]));
    assert!(net.counter(at.server, "control.pubsub.coalesced") >= 30);
    let times: Vec<Timestamp> = publications(&net)
        .iter()
        .map(|(packet, _)| packet.sent_at)
        .collect();
    let after_burst: Vec<Timestamp> = times
        .into_iter()
        .filter(|at| *at >= start + Span::secs(1))
        .collect();
    assert!(
        after_burst
            .windows(2)
            .all(|pair| pair[1].since(pair[0]) >= Span::millis(990))
    );
    // Left alone for a while it may change at once again.
    net.run_for(Span::secs(20));
    everyone(&mut net, at, 60, &[lip6()]);
    net.run_for(Span::millis(30));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
}

/// A site that registers so many hosts of the block.
fn hosts(count: u32) -> Config {
    let host = |number: u32| own(&format!("10.1.{}.{}/32", 1 + number / 250, number % 250));
    let mut late = crate::fabric::user("late", crate::fabric::rloc("172.16.0.9"), "10.1.9.9/32");
    late.eids = (0..count).map(host).collect();
    late.map_servers[0].proxy_reply = true;
    late
}

#[test]
fn a_subscriber_is_told_of_many_mappings_a_few_at_a_time_and_of_all() {
    let (mut net, at) = subscribed_to_block(nested);
    let before = told(&net).len();
    net.add(hosts(300));
    let mut most = 0;
    for _ in 0..100 {
        net.run_for(Span::millis(5));
        let rows = subscriptions(&mut net, at);
        most = most.max(rows.iter().map(|row| row.unacknowledged).max().unwrap_or(0));
    }
    assert_eq!(most, 64);
    assert_eq!(told(&net).len() - before, 300);
    for eid in ["10.1.1.0", "10.1.1.249", "10.1.2.49"] {
        assert_eq!(
            net.member(at.paris).way(eid),
            Way::To(crate::fabric::rloc("172.16.0.9")),
            "{eid}"
        );
    }
    assert_eq!(net.counter(at.server, "control.pubsub.overrun"), 0);
}

#[test]
fn a_subscriber_that_acknowledges_nothing_of_far_too_much_is_let_go_and_comes_back() {
    let (mut net, at) = subscribed_to_block(nested);
    net.lose(|packet| packet.from.ip() == paris().0 && packet.is(is_ack));
    net.add(hosts(5_000));
    net.run_for(Span::secs(1));
    assert_eq!(net.counter(at.server, "control.pubsub.overrun"), 1);
    assert_eq!(subscriptions(&mut net, at), []);
    // The last word is believed: it asks, and subscribes to a part with few mappings.
    net.lose(|_| false);
    net.run_for(Span::secs(10));
    assert_eq!(net.counter(at.paris, "control.pubsub.ended"), 1);
    assert_eq!(subscriptions(&mut net, at)[0].eid, prefix("10.1.128.0/17"));
    assert!(
        net.tap
            .iter()
            .all(|packet| packet.from.ip() != server().0 || !packet.is(malformed))
    );
}

fn malformed(message: &Message) -> bool {
    matches!(message, Message::MapNotify(notify) if notify.records.is_empty())
}

#[test]
fn a_block_that_is_withdrawn_leaves_the_longer_mapping_and_comes_back_to_who_subscribed() {
    let (mut net, at) = subscribed_to_block(nested);
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    net.input(at.telco, node::Input::Shutdown);
    net.run_for(Span::millis(50));
    assert_eq!(net.member(at.paris).way(ELSEWHERE), Way::Miss);
    assert_eq!(
        net.member(at.paris).way(VM),
        Way::To(lip6()),
        "it is registered still"
    );
    // What is left of the block is followed as before.
    enter(&mut net, at.lip6, (1, VM_BLOCK), &[marilyn()]);
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    net.kill(at.telco);
    net.run_for(Span::secs(2));
    net.start(at.telco);
    net.run_for(Span::millis(50));
    assert_eq!(net.member(at.paris).way(ELSEWHERE), Way::To(telco()));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(
        net.counter(at.paris, "control.map-requests.sent"),
        1,
        "nobody asked"
    );
}

//! Peers that a Map-Server tells (RFC 9437): told by it alone, as long as nothing shows that they were not.

use std::collections::BTreeMap;

use lisp_wire::message::Purpose;
use lisp_wire::{Message, Rloc};
use node::config::{AnsweredFor, Role, TellBy};
use node::{Config, Input};
use proto::node::{ChangeOutcome, Show, Tell};
use proto::{Audience, ChangeId, NodeCommand, NodeReport, Span};

use super::is_solicitation;
use crate::fabric::{
    Fabric, VM, VM_BLOCK, fabric_with, lip6, lyon, marilyn, paris, prefix, ranked, rloc, server, switch,
    telco, user,
};
use crate::moving::{change_priority, is_update, outcomes};
use crate::network::{Network, Packet, Way};
use crate::preparing::{arrived, prepare};
use crate::publishing::pubsub_key;

/// Knows neither Change-Priority nor subscriptions.
fn nice() -> Rloc {
    rloc("172.16.1.3")
}

/// Paris subscribes, the others do not; the Map-Server answers for the sites those who subscribe, and nobody else.
fn mixed(mut config: Config) -> Config {
    if config.name.as_str() == "paris" {
        config.subscribe = BTreeMap::from([(server(), pubsub_key().into())]);
    }
    for site in &mut config.sites {
        site.answered_for = AnsweredFor::Subscribers;
    }
    if !config.sites.is_empty() {
        config.pubsub.key = Some(pubsub_key().into());
    }
    for server in &mut config.map_servers {
        server.proxy_reply = true;
    }
    config
}

/// All three speak to the VM, and have shown how they are told: each had a view of its own for a while, as the engine gives.
fn mixed_fabric() -> (Network, Fabric, usize) {
    mixed_fabric_with(mixed)
}

fn mixed_fabric_with(change: fn(Config) -> Config) -> (Network, Fabric, usize) {
    let (mut net, at) = fabric_with(change);
    let mut deaf = user("nice", nice(), "10.2.2.128/25");
    deaf.change_priority.keys.clear();
    let third = net.add(change(deaf));
    for client in [at.paris, at.lyon, third] {
        net.miss(client, VM);
    }
    net.run_for(Span::secs(1));
    for (change, client) in (1..).zip([paris(), lyon(), nice()]) {
        net.command(at.telco, switch(change, client, &[telco(), lip6(), marilyn()]));
    }
    net.run_for(Span::secs(20));
    for client in [at.paris, at.lyon, third] {
        assert_eq!(net.member(client).way(VM), Way::To(telco()));
    }
    net.forget_reports();
    (net, at, third)
}

/// What was sent to a client since: publications about the VM, updates, solicitations.
fn told(net: &Network, since: usize, client: Rloc) -> (usize, usize, usize) {
    let sent = |kind: fn(&Packet) -> bool| {
        let fits = |packet: &&Packet| packet.to.ip() == client.0 && kind(packet);
        net.tap[since..].iter().filter(fits).count()
    };
    (sent(is_publication), sent(is_update), sent(is_solicitation))
}

fn is_publication(packet: &Packet) -> bool {
    let about_vm = |message: &Message| match message {
        Message::MapNotify(notify) => notify.records.iter().any(|record| record.eid == prefix(VM_BLOCK)),
        _ => false,
    };
    packet.message().as_ref().is_some_and(about_vm)
}

/// The VM moves from Telco to Marilyn.
fn move_on(net: &mut Network, at: Fabric, change: u64) -> usize {
    let before = net.tap.len();
    net.command(at.marilyn, arrived(change));
    before
}

/// A client's packets come to a site, ten a second.
fn talk(net: &mut Network, (client, to): (Rloc, usize), span: Span) {
    let end = net.now + span;
    while net.now < end {
        net.member(to).hear(client, VM);
        net.run_for(Span::millis(100));
    }
}

/// The Map-Server forgets its subscribers, who do not know that.
fn restart_server(net: &mut Network, at: Fabric) {
    net.kill(at.server);
    net.start(at.server);
}

#[test]
fn each_of_three_is_told_of_a_move_by_its_own_way_and_once() {
    let (mut net, at, third) = mixed_fabric();
    let before = move_on(&mut net, at, 9);
    net.run_for(Span::millis(200));
    for client in [at.paris, at.lyon, third] {
        assert_eq!(net.member(client).way(VM), Way::To(marilyn()));
    }
    net.run_for(Span::secs(300));
    // By publication, by Change-Priority, by solicitation, which has no answer here: the question goes to the new site.
    let all = [paris(), lyon(), nice()].map(|client| told(&net, before, client));
    // Within five minutes Paris renews its subscription, which is no news.
    assert_eq!(
        all.map(|(_, updates, solicits)| (updates, solicits)),
        [(0, 0), (1, 0), (0, 3)]
    );
    assert_eq!(all.map(|(published, ..)| published > 0), [true, false, false]);
    assert_eq!(net.counter(at.server, "control.pubsub.delivered"), 1);
    assert_eq!(net.counter(at.telco, "control.change-priority.published"), 1);
    assert_eq!(net.counter(at.telco, "control.change-priority.unpublished"), 0);
}

#[test]
fn what_a_subscriber_sent_before_the_news_could_reach_it_does_not_count_against_it() {
    let (mut net, at, _) = mixed_fabric();
    let before = move_on(&mut net, at, 9);
    talk(&mut net, (paris(), at.telco), Span::millis(900));
    net.run_for(Span::secs(60));
    let (_, updates, solicits) = told(&net, before, paris());
    assert_eq!((updates, solicits), (0, 0));
}

#[test]
fn a_subscriber_that_goes_by_the_old_mapping_is_told_directly_and_no_longer_believed_to_be_told() {
    let (mut net, at, _) = mixed_fabric();
    restart_server(&mut net, at);
    net.run_for(Span::secs(1));
    let before = move_on(&mut net, at, 9);
    talk(&mut net, (paris(), at.telco), Span::millis(1_900));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()), "nobody told it");
    talk(&mut net, (paris(), at.telco), Span::millis(300));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(told(&net, before, paris()), (0, 1, 0));
    assert_eq!(net.counter(at.telco, "control.change-priority.unpublished"), 1);
    // It goes on thinking that it is subscribed, and says so.
    let acknowledged = net.tap.iter().rfind(|packet| {
        let said = change_priority(packet).map(|message| message.purpose);
        packet.from.ip() == paris().0 && said.is_some_and(Purpose::acknowledges)
    });
    let purpose = acknowledged.and_then(change_priority).unwrap().purpose;
    assert_eq!(purpose, Purpose::AcknowledgeSubscribed);
    // Back, and away again: it is told at once.
    net.command(at.telco, arrived(10));
    net.run_for(Span::secs(20));
    net.command(at.telco, switch(11, paris(), &[telco(), lip6(), marilyn()]));
    net.run_for(Span::secs(1));
    let before = move_on(&mut net, at, 12);
    net.run_for(Span::millis(30));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(told(&net, before, paris()).1, 1);
}

#[test]
fn a_subscriber_that_starts_to_send_minutes_later_is_told_all_the_same() {
    let (mut net, at, _) = mixed_fabric();
    // All that the Map-Server says to it is lost for long.
    net.lose(|packet| packet.from.ip() == server().0 && packet.to.ip() == paris().0);
    let before = move_on(&mut net, at, 9);
    net.run_for(Span::secs(150));
    assert_eq!(told(&net, before, paris()).1, 0);
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    talk(&mut net, (paris(), at.telco), Span::millis(1_200));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
}

#[test]
fn a_subscriber_that_sends_nothing_finds_out_by_itself_within_three_minutes() {
    let (mut net, at, _) = mixed_fabric();
    restart_server(&mut net, at);
    net.run_for(Span::secs(1));
    let before = move_on(&mut net, at, 9);
    net.run_for(Span::secs(180));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(told(&net, before, paris()).1, 0);
}

#[test]
fn nobody_is_watched_any_more_in_the_end() {
    let (mut net, at, _) = mixed_fabric();
    assert!(net.member(at.telco).published.watch().is_none());
    move_on(&mut net, at, 9);
    net.run_for(Span::millis(100));
    assert!(net.member(at.telco).published.watch().is_some());
    net.run_for(Span::secs(240));
    assert!(net.member(at.telco).published.watch().is_none());
}

#[test]
fn what_a_subscriber_alone_is_to_know_it_is_told_directly() {
    let (mut net, at, _) = mixed_fabric();
    let before = net.tap.len();
    net.command(at.telco, switch(9, paris(), &[lip6(), telco()]));
    net.run_for(Span::millis(30));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    assert_eq!(told(&net, before, paris()), (0, 1, 0));
}

#[test]
fn where_change_priority_is_insisted_on_subscribers_are_told_by_it_too() {
    let (mut net, at, _) = mixed_fabric_with(|config| {
        let mut config = mixed(config);
        config.change_priority.tell_by = TellBy::ChangePriority;
        config
    });
    let before = move_on(&mut net, at, 9);
    net.run_for(Span::secs(1));
    assert_eq!(told(&net, before, paris()), (1, 1, 0));
}

#[test]
fn a_change_of_the_registered_locators_is_left_to_the_map_server_and_reported_as_known() {
    let (mut net, at, _) = mixed_fabric();
    // Paris asks plainly once, as if its Map-Server had not answered, so that Telco counts it among its askers, and
    // subscribes after that.
    net.command(at.marilyn, arrived(8));
    net.run_for(Span::secs(1));
    net.command(at.telco, arrived(9));
    net.run_for(Span::secs(1));
    net.configure(at.paris, |config| config.subscribe.clear());
    let asked = Input::Miss {
        eid: lisp_wire::Eid::of(VM.parse().unwrap()),
        source: None,
    };
    let forget = NodeCommand::SetCache {
        eid: prefix(VM_BLOCK),
        locators: Vec::new(),
        ttl: Span::secs(60),
    };
    net.command(at.paris, forget);
    net.input(at.paris, asked.clone());
    net.run_for(Span::secs(1));
    net.configure(at.paris, |config| {
        config.subscribe = BTreeMap::from([(server(), pubsub_key().into())]);
    });
    net.command(
        at.paris,
        NodeCommand::SetCache {
            eid: prefix(VM_BLOCK),
            locators: Vec::new(),
            ttl: Span::secs(60),
        },
    );
    net.input(at.paris, asked);
    net.run_for(Span::secs(1));
    assert_eq!(net.cache(at.paris)[0].origin, "publication");
    let show = NodeCommand::Show {
        what: Show::Requesters,
    };
    let NodeReport::Requesters { rows } = net.command(at.telco, show) else {
        panic!("requesters were asked for")
    };
    let row = rows.iter().find(|row| row.client == paris()).unwrap();
    assert_eq!(row.told_by, "map-server");
    let everyone = |change, order: &[Rloc]| NodeCommand::SetLocators {
        change: ChangeId(change),
        eid: prefix(VM_BLOCK),
        audience: Audience::Everyone,
        locators: ranked(order),
        tell: Tell::ChangePriority,
    };
    net.forget_reports();
    let before = net.tap.len();
    net.command(at.telco, everyone(20, &[lip6(), telco()]));
    net.run_for(Span::secs(3));
    assert_eq!(told(&net, before, paris()), (1, 0, 0));
    let known = |outcome: &ChangeOutcome| matches!(outcome, ChangeOutcome::Acknowledged { client, attempts: 0, .. } if *client == paris());
    assert_eq!(
        outcomes(&net, at.telco, 20)
            .iter()
            .filter(|outcome| known(outcome))
            .count(),
        1
    );
    // Where packets enter here before and after, they could not show that it was not told.
    net.command(at.telco, everyone(21, &[telco(), lip6()]));
    net.run_for(Span::secs(3));
    let (_, updates, _) = told(&net, before, paris());
    assert_eq!(updates, 1);
}

#[test]
fn the_destination_of_a_prepared_move_sees_subscribers_come_or_tells_them() {
    let (mut net, at, _) = mixed_fabric();
    let once = |net: &mut Network, change: u64| {
        net.command(at.telco, switch(change, paris(), &[telco(), lip6(), marilyn()]));
        net.run_for(Span::secs(1));
        net.command(at.telco, prepare(change + 1, marilyn()));
        net.run_for(Span::secs(1));
        move_on(net, at, change + 2)
    };
    // What Telco knows of subscriptions is not handed over: the first time Marilyn tells, and learns.
    let before = once(&mut net, 10);
    net.run_for(Span::secs(10));
    assert_eq!(told(&net, before, paris()), (1, 1, 0));
    for (change, speaks, updates) in [(20, true, 0), (30, false, 1)] {
        net.command(at.telco, arrived(change));
        net.run_for(Span::secs(1));
        let before = once(&mut net, change + 1);
        if speaks {
            talk(&mut net, (paris(), at.marilyn), Span::secs(1));
        }
        net.run_for(Span::secs(10));
        assert_eq!(told(&net, before, paris()), (1, updates, 0), "{change}");
        assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    }
}

/// Telco is the Map-Server too.
fn at_home(config: Config) -> Config {
    let mut config = mixed(config);
    if config.name.as_str() == "telco" {
        let server = mixed(crate::fabric::map_server());
        config.roles.extend([Role::MapServer, Role::MapResolver]);
        config.sites = server.sites;
        config.pubsub = server.pubsub;
    }
    for server in &mut config.map_servers {
        server.address = telco();
    }
    config.map_resolvers = vec![telco()];
    if !config.subscribe.is_empty() {
        config.subscribe = BTreeMap::from([(telco(), pubsub_key().into())]);
    }
    config
}

#[test]
fn of_its_own_map_servers_subscribers_a_node_knows_who_was_told() {
    let (mut net, at, _) = mixed_fabric_with(at_home);
    let before = move_on(&mut net, at, 9);
    net.run_for(Span::millis(200));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert!(
        net.member(at.telco).published.watch().is_none(),
        "it has acknowledged"
    );
    // Late packets are late packets then.
    talk(&mut net, (paris(), at.telco), Span::secs(5));
    assert_eq!(told(&net, before, paris()), (1, 0, 0));
    assert_eq!(net.counter(at.telco, "control.change-priority.published"), 1);
}

#[test]
fn one_that_never_acknowledges_to_the_own_map_server_is_told_when_that_gives_up() {
    let (mut net, at, _) = mixed_fabric_with(at_home);
    net.lose(|packet| is_publication(packet) && packet.to.ip() == paris().0);
    let before = move_on(&mut net, at, 9);
    net.run_for(Span::secs(74));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    net.run_for(Span::secs(2));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(told(&net, before, paris()).1, 1);
}

#[test]
fn plain_questions_go_to_a_site_that_is_answered_for_to_subscribers_alone() {
    let (mut net, at) = fabric_with(mixed);
    net.miss(at.paris, VM);
    net.miss(at.lyon, VM);
    net.run_for(Span::secs(1));
    assert_eq!(net.cache(at.paris)[0].origin, "publication");
    assert_eq!(net.cache(at.lyon)[0].origin, "map-reply");
    assert_eq!(net.counter(at.server, "control.map-server.forwarded"), 1);
    assert_eq!(net.counter(at.server, "control.map-server.proxied"), 0);
    assert_eq!(net.counter(at.telco, "control.map-requests.answered"), 1);
}

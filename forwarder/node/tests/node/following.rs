//! The nonces of subscriptions, from one request to the next (RFC 9437 section 5).

use lisp_wire::message::MapRequest;
use lisp_wire::{Message, Nonce};
use proto::{NodeCommand, Span};

use crate::fabric::{VM, VM_BLOCK, lip6, paris, prefix, server, telco};
use crate::network::{Network, Packet, Way};
use crate::publishing::{everyone, publications, subscribed};

/// The Map-Requests to subscribe, or to end that, that Paris has sent.
fn requests(net: &Network) -> Vec<MapRequest> {
    let request = |packet: &Packet| {
        let request = match packet.message().filter(|_| packet.from.ip() == paris().0)? {
            Message::Encapsulated(envelope) => Message::parse(&envelope.message).ok()?,
            other => other,
        };
        match request {
            Message::MapRequest(request) if !request.notify.is_empty() => Some(request),
            _ => None,
        }
    };
    net.tap.iter().filter_map(request).collect()
}

fn last_nonce(net: &Network) -> u64 {
    publications(net).last().unwrap().1.nonce.0
}

/// Paris forgets the VM's mapping, and so what it is subscribed to.
fn forget(net: &mut Network, at: usize) {
    let command = NodeCommand::SetCache {
        eid: prefix(VM_BLOCK),
        locators: Vec::new(),
        ttl: Span::secs(60),
    };
    net.command(at, command);
    net.run_for(Span::millis(100));
}

#[test]
fn a_subscription_is_renewed_with_one_more_than_its_last_nonce() {
    let (mut net, at) = subscribed();
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    net.run_for(Span::millis(100));
    let last = last_nonce(&net);
    net.run_for(Span::secs(185));
    let renewed = requests(&net).last().unwrap().nonce;
    assert_eq!(renewed, Nonce(last + 1));
    assert_eq!(last_nonce(&net), last + 1, "and confirmed with it");
    everyone(&mut net, at, 2, &[telco(), lip6()]);
    net.run_for(Span::millis(100));
    assert_eq!(
        (last_nonce(&net), net.member(at.paris).way(VM)),
        (last + 2, Way::To(telco()))
    );
    forget(&mut net, at.paris);
    let ended = requests(&net).pop().unwrap();
    assert!(ended.unsubscribes());
    assert_eq!(ended.nonce, Nonce(last + 3));
}

#[test]
fn whoever_has_missed_publications_still_subscribes_anew() {
    let (mut net, at) = subscribed();
    net.run_for(Span::secs(150));
    net.lose(|packet| packet.to.ip() == paris().0 && packet.from.ip() == server().0);
    everyone(&mut net, at, 1, &[lip6(), telco()]);
    // The Map-Server has sent and counted several times by now.
    net.run_for(Span::secs(29));
    net.lose(|_| false);
    net.run_for(Span::secs(3));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    assert_eq!(net.counter(at.server, "control.pubsub.subscribed"), 2);
    everyone(&mut net, at, 2, &[telco(), lip6()]);
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
}

// A publication and a confirmation on their way at one time have nonces of their own.
#[test]
fn a_change_while_a_subscription_is_renewed_is_told_and_ends_nothing() {
    // Asked for anew 180 s after it was confirmed; the change reaches the Map-Server before the question does, between that
    // and the acknowledgement of its answer, and after it.
    for after in [0, 15, 30, 45] {
        let (mut net, at) = subscribed();
        net.run_for(Span::millis(180_020 - 100 - 10 + after));
        everyone(&mut net, at, 1, &[lip6(), telco()]);
        net.run_for(Span::secs(100));
        assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()), "{after}");
        assert_eq!(net.counter(at.paris, "control.pubsub.ended"), 0, "{after}");
        assert_eq!(net.counter(at.server, "control.pubsub.unanswered"), 0, "{after}");
        everyone(&mut net, at, 2, &[telco(), lip6()]);
        net.run_for(Span::millis(100));
        assert_eq!(net.member(at.paris).way(VM), Way::To(telco()), "{after}");
    }
}

// RFC 9437 section 5: the last nonce outlives the subscription.
#[test]
fn a_request_that_is_replayed_after_the_end_of_its_subscription_is_not_answered() {
    let (mut net, at) = subscribed();
    let asks = |packet: &&Packet| {
        packet.from.ip() == paris().0 && packet.is(|message| matches!(message, Message::Encapsulated(_)))
    };
    let caught = net.tap.iter().find(asks).cloned().unwrap();
    forget(&mut net, at.paris);
    assert_eq!(net.counter(at.server, "control.pubsub.unsubscribed"), 1);
    let told = publications(&net).len();
    net.inject(caught.from, server().0, caught.bytes);
    net.run_for(Span::secs(60));
    assert_eq!(publications(&net).len(), told);
    assert_eq!(net.counter(at.server, "control.pubsub.refused.replay"), 1);
    // Its real subscriber may come back.
    net.miss(at.paris, VM);
    net.run_for(Span::secs(2));
    assert_eq!(net.cache(at.paris)[0].origin, "publication");
}

//! `tell_by: best`, which is the default: each peer is told as it has shown to heed, and what it has shown may change.

mod subscribed;

use lisp_wire::{Message, Rloc};
use proto::Span;

use crate::fabric::{Fabric, VM, fabric_with, marilyn, paris, switch, telco};
use crate::moving::{is_update, outcomes};
use crate::network::{Network, Packet, Way};
use crate::preparing::{arrived, prepare};

/// Whether Paris has the key by which it could take a Change-Priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paris {
    Hears,
    IsDeaf,
}

/// All choose; Paris speaks to the VM.
fn choosing_fabric(paris: Paris) -> (Network, Fabric) {
    let (mut net, at) = fabric_with(|mut config| {
        if paris == Paris::IsDeaf && config.name.as_str() == "paris" {
            config.change_priority.keys.clear();
        }
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::secs(1));
    (net, at)
}

pub(crate) fn is_solicitation(packet: &Packet) -> bool {
    matches!(packet.message(), Some(Message::MapRequest(request)) if request.solicit)
}

/// Tells Paris something new; how many updates and solicitations that took, and for how long the packets went astray.
fn told(net: &mut Network, at: Fabric, change: u64) -> (usize, usize, Span) {
    let order: &[Rloc] = if change % 2 == 1 {
        &[marilyn(), telco()]
    } else {
        &[telco(), marilyn()]
    };
    let before = net.tap.len();
    let began = net.now;
    net.command(at.telco, switch(change, paris(), order));
    let new = order[0];
    net.run_until(Span::secs(30), |net| net.member(at.paris).way(VM) == Way::To(new));
    let astray = net.now.since(began);
    net.run_for(Span::secs(10));
    assert!(!outcomes(net, at.telco, change).is_empty());
    let sent = |kind: fn(&Packet) -> bool| {
        let to_paris = |packet: &&Packet| packet.to.ip() == paris().0 && kind(packet);
        net.tap[before..].iter().filter(to_paris).count()
    };
    (sent(is_update), sent(is_solicitation), astray)
}

#[test]
fn who_acknowledges_change_priority_is_told_by_that_alone() {
    let (mut net, at) = choosing_fabric(Paris::Hears);
    for change in 1..4 {
        assert_eq!(told(&mut net, at, change), (1, 0, Span::millis(10)));
    }
}

#[test]
fn who_does_not_is_solicited_after_a_moment_and_the_next_time_at_once() {
    let (mut net, at) = choosing_fabric(Paris::IsDeaf);
    let (updates, solicits, astray) = told(&mut net, at, 1);
    assert_eq!((updates, solicits), (2, 1));
    assert!(astray < Span::millis(200), "{astray}");
    let (updates, solicits, astray) = told(&mut net, at, 2);
    assert_eq!(
        (updates, solicits),
        (0, 1),
        "nothing that an ordinary peer need not know"
    );
    assert!(astray < Span::millis(100), "{astray}");
}

#[test]
fn who_learns_it_is_found_out_within_ten_minutes_and_told_by_it_from_then_on() {
    let (mut net, at) = choosing_fabric(Paris::IsDeaf);
    told(&mut net, at, 1);
    net.configure(at.paris, |config| {
        config.change_priority.keys = crate::fabric::bare("any", paris()).change_priority.keys;
    });
    assert_eq!(told(&mut net, at, 2).0, 0, "not asked again so soon");
    net.run_for(Span::secs(600));
    net.miss(at.paris, VM);
    net.run_for(Span::secs(1));
    let (updates, solicits, _) = told(&mut net, at, 3);
    assert_eq!((updates, solicits), (1, 1), "tried once, besides");
    assert_eq!(told(&mut net, at, 4), (1, 0, Span::millis(10)));
}

#[test]
fn who_forgets_it_is_solicited_after_three_attempts_and_then_at_once() {
    let (mut net, at) = choosing_fabric(Paris::Hears);
    told(&mut net, at, 1);
    net.configure(at.paris, |config| config.change_priority.keys.clear());
    let (updates, solicits, astray) = told(&mut net, at, 2);
    assert_eq!((updates, solicits), (4, 1));
    assert!(astray < Span::secs(1), "{astray}");
    let (updates, solicits, _) = told(&mut net, at, 3);
    assert_eq!((updates, solicits), (0, 1));
}

#[test]
fn what_the_source_found_out_is_known_at_the_destination_of_a_prepared_move() {
    let (mut net, at) = choosing_fabric(Paris::IsDeaf);
    told(&mut net, at, 1);
    net.command(at.telco, switch(2, paris(), &[telco()]));
    net.run_for(Span::secs(3));
    net.command(at.telco, prepare(3, marilyn()));
    net.run_for(Span::millis(100));
    let before = net.tap.len();
    net.command(at.marilyn, arrived(4));
    net.run_for(Span::secs(2));
    let by = |kind: fn(&Packet) -> bool| {
        let to_paris =
            |packet: &&Packet| packet.from.ip() == marilyn().0 && packet.to.ip() == paris().0 && kind(packet);
        net.tap[before..].iter().filter(to_paris).count()
    };
    assert_eq!((by(is_update), by(is_solicitation)), (0, 1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
}

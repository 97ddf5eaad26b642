//! Mappings set by hand, and solicitations of many.

use lisp_wire::Message;
use proto::{NodeCommand, Span};

use crate::fabric::{
    VM, VM_BLOCK, fabric, fabric_of_hosts, host, lip6, paris, prefix, ranked, switch, telco,
};
use crate::network::{Network, Way};
use crate::resolving::{bytes_of, is_ecm, last_request};

fn pin(eid: &str, to: lisp_wire::Rloc) -> NodeCommand {
    NodeCommand::SetCache {
        eid: prefix(eid),
        locators: ranked(&[to]),
        ttl: Span::secs(600),
    }
}

#[test]
fn a_pinned_mapping_is_changed_by_nothing_that_is_heard() {
    for pinned in [VM_BLOCK, "10.1.0.0/16"] {
        let (mut net, at) = fabric();
        net.command(at.paris, pin(pinned, lip6()));
        net.command(at.telco, switch(1, paris(), &[telco()]));
        net.run_for(Span::secs(1));
        assert_eq!(
            net.member(at.paris).way(VM),
            Way::To(lip6()),
            "{pinned}, switched"
        );
        // The answer is on its way when it is pinned.
        let (mut net, at) = fabric();
        net.miss(at.paris, VM);
        net.run_for(Span::millis(25));
        net.command(at.paris, pin(pinned, lip6()));
        net.run_for(Span::secs(1));
        assert_eq!(
            net.member(at.paris).way(VM),
            Way::To(lip6()),
            "{pinned}, answered"
        );
        // There will be none.
        let (mut net, at) = fabric();
        net.lose(|packet| packet.is(is_ecm));
        net.miss(at.paris, VM);
        net.run_for(Span::millis(25));
        net.command(at.paris, pin(pinned, lip6()));
        net.run_for(Span::secs(15));
        assert_eq!(
            net.member(at.paris).way(VM),
            Way::To(lip6()),
            "{pinned}, unanswered"
        );
    }
}

#[test]
fn of_the_blocks_of_a_solicitation_the_first_four_are_looked_at() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(3));
    let mut followed = |eids: &[&str]| {
        let mut solicitation = last_request(&net, paris());
        (solicitation.solicit, solicitation.source_eid) = (true, None);
        solicitation.eids = eids.iter().map(|eid| prefix(eid)).collect();
        let bytes = bytes_of(&Message::MapRequest(solicitation));
        net.inject("172.16.6.6:4342".parse().unwrap(), paris().0, bytes);
        net.run_for(Span::secs(3));
        net.counter(at.paris, "control.smr.followed")
    };
    let others = ["10.7.0.0/16", "10.8.0.0/16", "10.9.0.0/16", "10.10.0.0/16"];
    let [a, b, c, d] = others;
    assert_eq!(followed(&[a, b, c, d, VM_BLOCK]), 0);
    assert_eq!(followed(&[a, b, c, VM_BLOCK, d]), 1);
}

#[test]
fn who_solicits_for_everything_leaves_others_their_turn() {
    let (mut net, at) = fabric_of_hosts(90);
    let solicit = |net: &mut Network, from: &str, number| {
        let mut solicitation = last_request(net, paris());
        (solicitation.solicit, solicitation.source_eid) = (true, None);
        solicitation.eids = vec![prefix(&format!("{}/32", host(number)))];
        let bytes = bytes_of(&Message::MapRequest(solicitation));
        net.inject(from.parse().unwrap(), paris().0, bytes);
    };
    (1..=89).for_each(|number| solicit(&mut net, "172.16.6.6:4342", number));
    net.run_for(Span::millis(100));
    let followed = net.counter(at.paris, "control.smr.followed");
    assert!((32..=40).contains(&followed), "{followed}");
    solicit(&mut net, "172.16.0.1:4342", 90);
    net.run_for(Span::millis(100));
    assert_eq!(net.counter(at.paris, "control.smr.followed"), followed + 1);
}

#[test]
fn a_solicitation_for_everything_is_looked_up_so_far_and_no_further() {
    let followed_after = |nobody: u32| {
        let (mut net, at) = fabric();
        net.miss(at.paris, VM);
        net.run_for(Span::secs(3));
        let mut solicitation = last_request(&net, paris());
        (solicitation.solicit, solicitation.source_eid) = (true, None);
        solicitation.eids = vec![prefix("10.0.0.0/8")];
        // What is asked for stands before the mapping in the cache.
        net.lose(|packet| packet.is(is_ecm));
        for number in 0..nobody {
            net.miss(at.paris, &format!("10.0.{}.{}", number / 250, number % 250));
        }
        let bytes = bytes_of(&Message::MapRequest(solicitation));
        net.inject("172.16.6.6:4342".parse().unwrap(), paris().0, bytes);
        net.run_for(Span::millis(100));
        net.counter(at.paris, "control.smr.followed")
    };
    assert_eq!([followed_after(255), followed_after(256)], [1, 0]);
}

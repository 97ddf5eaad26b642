//! How often the mapping system is asked, and what of an answer is kept (RFC 9301 sections 5.3 to 5.5).

use lisp_wire::message::MapReply;
use lisp_wire::{Message, Ttl};
use proto::Span;

use crate::fabric::{VM, VM_BLOCK, fabric, lip6, paris, prefix, telco};
use crate::network::{Network, Way};
use crate::resolving::{bytes_of, is_ecm, is_reply, last_request, net_record};

/// When Paris asked the mapping system, from now on, in milliseconds.
fn asked_at(net: &Network, since: proto::Timestamp) -> Vec<u64> {
    let asked = net
        .tap
        .iter()
        .filter(|packet| packet.from.ip() == paris().0 && packet.is(is_ecm));
    asked
        .map(|packet| packet.sent_at.since(since).micros() / 1000)
        .collect()
}

// RFC 9301 section 5.3.
#[test]
fn after_ten_repetitions_without_an_answer_an_eid_is_left_alone_for_half_a_minute() {
    let (mut net, at) = fabric();
    net.lose(|packet| packet.is(is_ecm));
    let start = net.now;
    // There is always a packet that wants to go there.
    for _ in 0..700 {
        net.miss(at.paris, VM);
        net.run_for(Span::millis(100));
    }
    let asked = asked_at(&net, start);
    assert!(asked.is_sorted_by(|one, next| next - one >= 1_000), "{asked:?}");
    assert_eq!(asked[..4], [0, 1_000, 2_000, 4_000]);
    assert!(
        asked[11] - asked[10] >= 30_000 && asked[11] - asked[10] < 31_000,
        "{asked:?}"
    );
    assert!(asked[10] - asked[0] < 30_000, "{asked:?}");
}

/// Somebody says that what Paris has asked for last is another by now.
fn solicit(net: &mut Network) {
    let mut solicitation = last_request(net, paris());
    solicitation.solicit = true;
    net.inject(
        "172.16.6.6:4342".parse().unwrap(),
        paris().0,
        bytes_of(&Message::MapRequest(solicitation)),
    );
}

// RFC 9301 section 5.3: whatever it is asked for.
#[test]
fn a_solicitation_right_after_a_miss_waits_until_the_eid_may_be_asked_for_again() {
    let (mut net, at) = fabric();
    let start = net.now;
    net.miss(at.paris, VM);
    net.run_for(Span::millis(300));
    solicit(&mut net);
    net.run_for(Span::secs(1));
    assert_eq!(asked_at(&net, start), [0, 1_000]);
    assert!(last_request(&net, paris()).invoked);
}

/// What the mapping system answers Paris's last question with.
fn answer(net: &mut Network, records: Vec<lisp_wire::MappingRecord>) {
    let nonce = last_request(net, paris()).nonce;
    let reply = MapReply {
        nonce,
        probe: false,
        echo_nonce: false,
        records,
    };
    net.inject(
        "172.16.6.6:4342".parse().unwrap(),
        paris().0,
        bytes_of(&Message::MapReply(reply)),
    );
    net.run_for(Span::millis(5));
}

// RFC 9301 section 5.4.
#[test]
fn an_answer_that_lives_no_time_is_forgotten_at_once() {
    let (mut net, at) = fabric();
    net.lose(|packet| packet.is(is_reply));
    net.miss(at.paris, VM);
    answer(&mut net, vec![net_record("10.1.0.0/24", &[telco()])]);
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    net.run_for(Span::secs(2));
    solicit(&mut net);
    net.run_for(Span::millis(5));
    let mut gone = net_record("10.1.0.0/24", &[telco()]);
    gone.ttl = Ttl(0);
    answer(&mut net, vec![gone]);
    assert_eq!(net.member(at.paris).way(VM), Way::Miss);
    assert_eq!(net.member(at.paris).discarded, [prefix("10.1.0.0/24")]);
}

// RFC 9301 section 5.5: who has a longer mapping and is told a shorter one for the same EID has had the longer one.
#[test]
fn a_shorter_mapping_takes_the_place_of_the_longer_one_that_was_asked_for_anew() {
    let (mut net, at) = fabric();
    net.lose(|packet| packet.is(is_reply));
    net.miss(at.paris, VM);
    answer(&mut net, vec![net_record(VM_BLOCK, &[lip6()])]);
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    net.run_for(Span::secs(2));
    solicit(&mut net);
    net.run_for(Span::millis(5));
    answer(&mut net, vec![net_record("10.1.0.0/24", &[telco()])]);
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.cache(at.paris).len(), 1);
}

// RFC 9301 section 5.5: or the shorter one would go on hiding that the longer one has changed.
#[test]
fn a_shorter_mapping_does_not_outlive_a_longer_one_within_it() {
    let (mut net, at) = fabric();
    net.lose(|packet| packet.is(is_reply));
    net.miss(at.paris, VM);
    answer(&mut net, vec![net_record(VM_BLOCK, &[lip6()])]);
    net.run_for(Span::secs(100));
    net.miss(at.paris, "10.1.0.9");
    let mut block = net_record("10.1.0.0/24", &[telco()]);
    block.ttl = Ttl(1440);
    answer(&mut net, vec![block]);
    assert_eq!(net.member(at.paris).way("10.1.0.9"), Way::To(telco()));
    let lives: Vec<Span> = net.cache(at.paris).iter().map(|row| row.expires_in).collect();
    assert_eq!(lives.len(), 2);
    assert_eq!(lives[0], lives[1]);
}

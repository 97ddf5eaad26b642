//! To which of its ITR-RLOCs an asker is answered.

use lisp_wire::Message;
use lisp_wire::message::Encapsulated;

use crate::fabric::{fabric, paris, rloc, telco};
use crate::resolving::{asked_by, bytes_of};

/// Where the answer goes when `source` asks, by envelope, for answers at `itr_rlocs`.
fn answered_at(source: &str, itr_rlocs: &[&str]) -> Vec<std::net::SocketAddr> {
    let (mut net, _) = fabric();
    let mut request = asked_by(1);
    request.itr_rlocs = itr_rlocs.iter().map(|text| rloc(text)).collect();
    let source: std::net::SocketAddr = source.parse().unwrap();
    let envelope = Encapsulated {
        source,
        // Of one family with the source; it is the request that says what is asked.
        destination: source.ip(),
        ddt_originated: false,
        via: lisp_wire::Via::Nobody,
        message: bytes_of(&Message::MapRequest(request)),
    };
    net.inject(
        "172.16.1.1:4342".parse().unwrap(),
        telco().0,
        bytes_of(&Message::Encapsulated(envelope)),
    );
    net.run_for(proto::Span::millis(100));
    net.tap
        .iter()
        .filter(|packet| packet.is(|message| matches!(message, Message::MapReply(_))))
        .map(|packet| packet.to)
        .collect()
}

#[test]
fn an_asker_that_names_an_address_of_a_family_we_lack_is_answered_at_one_that_we_reach() {
    let answered = answered_at("[2001:db8::1]:61001", &["2001:db8::1", &paris().0.to_string()]);
    assert_eq!(answered, [std::net::SocketAddr::new(paris().0, 61001)]);
}

#[test]
fn an_asker_is_answered_where_it_asks_from_before_any_other_of_its_addresses() {
    let answered = answered_at("172.16.1.2:61001", &["172.16.1.1", "172.16.1.2"]);
    assert_eq!(answered, ["172.16.1.2:61001".parse().unwrap()]);
}

#[test]
fn an_asker_without_an_address_that_we_reach_is_not_answered() {
    assert_eq!(answered_at("[2001:db8::1]:61001", &["2001:db8::1"]), []);
}

//! Two sites that speak over one encapsulator and one decapsulator each.

use std::sync::Arc;

use lisp_wire::data_header::{DataNonce, EchoRequest};
use lisp_wire::{DataHeader, Locator, Priority, Rloc, Weight};
use proptest::prelude::*;

use super::*;
use crate::{
    Counters, Decapsulator, Egress, Encapsulator, Entry, Forwarding, Ingress, Limits, LocatorTable, MapCache,
    Outer, PacketBatch, Reach, Relay, Routes,
};

const NEAR: [u8; 4] = [192, 0, 2, 1];
const FAR: [u8; 4] = [192, 0, 2, 2];
const ALL: Signals = Signals {
    locator_status: true,
    echo_nonce: true,
    map_version: true,
};

fn version(number: u16) -> MapVersion {
    MapVersion::new(number).unwrap()
}

/// A site whose own EIDs are 10.`own`.0.0/16 and that speaks to 10.`other`.0.0/16 at `rloc`.
struct Site {
    cache: MapCache,
    peer: Arc<Peer>,
    mapping: Arc<MappingMarks>,
    news: Arc<News>,
    counters: Arc<Counters>,
    met: Option<IpAddr>,
}

struct Ends {
    own: u8,
    other: u8,
    rloc: [u8; 4],
    iid: u32,
}

impl Site {
    fn new(ends: &Ends, signals: Signals, versions: (u16, u16)) -> Self {
        let iid = InstanceId::new(ends.iid).unwrap();
        let block = |second| EidPrefix::new(iid, [10, second, 0, 0].into(), 16).unwrap();
        let mapping = Arc::new(MappingMarks::new(version(versions.1)));
        let locator = Locator::unicast(Rloc(ends.rloc.into()), Priority(1), Weight(1));
        let mut table = LocatorTable::new([(locator, Reach::Up)], None);
        table.set_marks(Some(Arc::clone(&mapping)));
        let mut cache = MapCache::new();
        cache.insert(Entry {
            prefix: block(ends.own),
            forwarding: Forwarding::Local,
        });
        cache.insert(Entry {
            prefix: block(ends.other),
            forwarding: Forwarding::Encapsulate(table),
        });
        let peer = Arc::new(Peer::new(signals));
        let own = OwnMark {
            eid: block(ends.own),
            status: Some(0b101),
            version: version(versions.0),
            number: 6,
        };
        let news = Arc::new(News::default());
        let trusted = [("192.0.2.0/24".parse().unwrap(), signals)];
        let marks = Marks::new(trusted, Arc::clone(&news))
            .with_peers([(IpAddr::from(ends.rloc), Arc::clone(&peer))])
            .with_own([own]);
        cache.set_marks(Some(Arc::new(marks)));
        Self {
            cache,
            peer,
            mapping,
            news,
            counters: Arc::default(),
            met: None,
        }
    }

    fn near(signals: Signals, versions: (u16, u16), iid: u32) -> Self {
        let ends = Ends {
            own: 1,
            other: 2,
            rloc: FAR,
            iid,
        };
        Self::new(&ends, signals, versions)
    }

    fn far(signals: Signals, versions: (u16, u16), iid: u32) -> Self {
        let ends = Ends {
            own: 2,
            other: 1,
            rloc: NEAR,
            iid,
        };
        Self::new(&ends, signals, versions)
    }

    /// The payload of a packet from 10.`own`.0.7 to 10.`other`.0.7.
    fn send(&self, own: u8, other: u8, iid: u32) -> Vec<u8> {
        let (mut batch, mut egress) = (PacketBatch::new(1, 1500), Egress::new(1, 1500));
        let slot = batch.push(&packet([10, own, 0, 7], [10, other, 0, 7])).unwrap();
        batch.set_tenant(slot, InstanceId::new(iid).unwrap());
        let limits = Limits::new(1500);
        let routes = Routes {
            cache: &self.cache,
            limits: &limits,
        };
        let encapsulator = Encapsulator::new(1, Arc::clone(&self.counters));
        encapsulator.encapsulate_batch(routes, &mut batch, &mut egress);
        egress.payload(&batch, &egress.datagrams[0]).to_vec()
    }

    /// Takes a datagram in; whether its packet got through.
    fn receive(&mut self, from: [u8; 4], payload: &[u8], iid: u32) -> bool {
        let mut batch = PacketBatch::new(1, 1500);
        batch.spare().unwrap()[..payload.len()].copy_from_slice(payload);
        let outer = Outer {
            source: Some(from.into()),
            ..Outer::default()
        };
        batch.commit(payload.len(), outer).unwrap();
        let tenants = [InstanceId::new(iid).unwrap()];
        let decapsulator = Decapsulator::new(tenants, Relay::Refused, Arc::clone(&self.counters));
        let mut ingress = Ingress::new(1);
        decapsulator.decapsulate_batch(&self.cache, &mut batch, &mut ingress);
        self.met = ingress.met;
        !ingress.local.is_empty()
    }

    fn ignored(&self) -> u64 {
        self.counters.get(Fate::MarksIgnored)
    }
}

fn packet(from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(from.into_iter().chain(to));
    packet.resize(28, 0);
    packet
}

fn header_of(payload: &[u8]) -> DataHeader {
    DataHeader::parse(payload).unwrap()
}

#[test]
fn a_trusted_peer_is_told_status_and_versions_and_learns_the_status() {
    let near = Site::near(ALL, (5, 9), 0);
    let mut far = Site::far(ALL, (9, 5), 0);
    let payload = near.send(1, 2, 0);
    let header = header_of(&payload);
    assert_eq!(header.locator_status(), Some(0b101));
    let (source, destination) = (version(5), version(9));
    assert_eq!(header.mark(), Mark::Versions { source, destination });
    assert!(far.receive(NEAR, &payload, 0));
    assert!(far.news.take() && !far.news.take());
    let status = far.mapping.status().unwrap();
    let said: Vec<bool> = (0..4).map(|place| status.says_down(place)).collect();
    assert_eq!(said, [false, true, false, true]);
    // The same again is no news.
    assert!(far.receive(NEAR, &near.send(1, 2, 0), 0) && !far.news.take());
    assert_eq!(far.ignored(), 0);
}

#[test]
fn beside_an_instance_id_only_the_first_eight_locators_have_a_bit() {
    let near = Site::near(ALL, (0, 0), 7);
    let mut far = Site::far(ALL, (0, 0), 7);
    let payload = near.send(1, 2, 7);
    assert_eq!(header_of(&payload).iid().get(), 7);
    assert_eq!(header_of(&payload).mark(), Mark::Absent, "there are no versions");
    assert!(far.receive(NEAR, &payload, 7));
    let status = far.mapping.status().unwrap();
    assert_eq!((status.bits, status.width), (0b101, 8));
    assert!(status.says_down(7) && !status.says_down(8));
}

#[test]
fn nobody_is_told_anything_unless_trusted_and_what_others_say_is_forwarded_and_ignored() {
    let near = Site::near(ALL, (5, 9), 0);
    let mut far = Site::far(Signals::default(), (9, 5), 0);
    assert_eq!(header_of(&far.send(2, 1, 0)), DataHeader::PLAIN);
    assert!(far.receive(NEAR, &near.send(1, 2, 0), 0));
    assert_eq!((far.ignored(), far.mapping.status(), far.met), (1, None, None));
    // Without any marks at all it is the same.
    far.cache.set_marks(None);
    assert!(far.receive(NEAR, &near.send(1, 2, 0), 0));
    assert_eq!((far.ignored(), far.mapping.status()), (2, None));
}

#[test]
fn who_is_trusted_but_not_known_is_told_of_and_who_is_not_is_not() {
    let near = Site::near(ALL, (5, 9), 0);
    let mut far = Site::far(ALL, (9, 5), 0);
    assert!(far.receive([192, 0, 2, 77], &near.send(1, 2, 0), 0));
    assert_eq!(far.met, Some([192, 0, 2, 77].into()));
    assert!(far.receive([198, 51, 100, 7], &near.send(1, 2, 0), 0));
    assert_eq!((far.met, far.ignored(), far.mapping.status()), (None, 2, None));
}

#[test]
fn a_peer_does_not_speak_for_the_locators_of_another_site() {
    let near = Site::near(ALL, (0, 0), 0);
    let mut far = Site::far(ALL, (0, 0), 0);
    let stranger = Arc::new(Peer::new(ALL));
    let marks = Marks::clone(far.cache.marks().unwrap()).with_peers([([192, 0, 2, 77].into(), stranger)]);
    far.cache.set_marks(Some(Arc::new(marks)));
    assert!(far.receive([192, 0, 2, 77], &near.send(1, 2, 0), 0));
    assert_eq!((far.mapping.status(), far.ignored()), (None, 1));
}

#[test]
fn versions_lead_to_a_solicitation_a_question_or_a_drop() {
    // What the sender has of itself and of us; what we have of ourselves and of it.
    let hear = |sender, receiver| {
        let near = Site::near(ALL, sender, 0);
        let mut far = Site::far(ALL, receiver, 0);
        let passed = far.receive(NEAR, &near.send(1, 2, 0), 0);
        (passed, far.peer.take_stale(), far.mapping.take_newer())
    };
    assert_eq!(hear((5, 9), (9, 5)), (true, None, false));
    assert_eq!(
        hear((5, 8), (9, 5)),
        (true, Some(6), false),
        "it has an old one of ours"
    );
    assert_eq!(
        hear((6, 9), (9, 5)),
        (true, None, true),
        "we have an old one of its"
    );
    assert_eq!(
        hear((5, 10), (9, 5)),
        (false, None, false),
        "it has one that we never had"
    );
    assert_eq!(
        hear((4, 9), (9, 5)),
        (false, None, false),
        "it is behind what it told"
    );
    assert_eq!(
        hear((5, 0), (9, 5)),
        (true, None, false),
        "it knows no version of ours"
    );
    assert_eq!(hear((0, 9), (9, 5)), (true, None, false), "it has none");
    assert_eq!(hear((5, 1), (4095, 5)), (false, None, false), "round the circle");
    assert_eq!(
        hear((5, 4095), (1, 5)),
        (true, Some(6), false),
        "round the circle"
    );
}

#[test]
fn a_nonce_goes_there_and_comes_back_and_the_versions_give_way_to_it() {
    let mut near = Site::near(ALL, (5, 9), 0);
    let mut far = Site::far(ALL, (9, 5), 0);
    let nonce = DataNonce::from_random(0xab_cdef);
    near.peer.echo.ask(nonce);
    let request = near.send(1, 2, 0);
    let echo = EchoRequest::Yes;
    assert_eq!(header_of(&request).mark(), Mark::Nonce { nonce, echo });
    assert!(far.receive(NEAR, &request, 0));
    let answer = far.send(2, 1, 0);
    let echo = EchoRequest::No;
    assert_eq!(header_of(&answer).mark(), Mark::Nonce { nonce, echo });
    assert!(near.peer.echo.is_awaited());
    assert!(near.receive(FAR, &answer, 0));
    assert!(!near.peer.echo.is_awaited());
    assert!(matches!(
        header_of(&near.send(1, 2, 0)).mark(),
        Mark::Versions { .. }
    ));
    let traffic = near.peer.echo.traffic();
    assert_eq!((traffic.sent, traffic.asked, traffic.heard), (2, 1, 1));
    // Three more packets carry the echo, in case one was lost, and then no more.
    let echoes = (0..10).filter(|_| matches!(header_of(&far.send(2, 1, 0)).mark(), Mark::Nonce { .. }));
    assert_eq!(echoes.count(), 3);
}

#[test]
fn two_that_ask_each_other_answer_once_they_have_done_asking() {
    let mut near = Site::near(ALL, (0, 0), 0);
    let mut far = Site::far(ALL, (0, 0), 0);
    near.peer.echo.ask(DataNonce::from_random(1));
    far.peer.echo.ask(DataNonce::from_random(2));
    for _ in 0..5 {
        assert!(far.receive(NEAR, &near.send(1, 2, 0), 0) && near.receive(FAR, &far.send(2, 1, 0), 0));
    }
    assert!(near.peer.echo.is_awaited() && far.peer.echo.is_awaited());
    near.peer.echo.cease();
    far.peer.echo.cease();
    assert!(far.receive(NEAR, &near.send(1, 2, 0), 0) && near.receive(FAR, &far.send(2, 1, 0), 0));
    assert!(!near.peer.echo.is_awaited() && !far.peer.echo.is_awaited());
}

#[test]
fn only_the_nonce_that_was_asked_for_is_taken_for_an_answer() {
    let mut near = Site::near(ALL, (0, 0), 0);
    near.peer.echo.ask(DataNonce::from_random(7));
    let forged = |number, echo| {
        let nonce = DataNonce::from_random(number);
        let mut payload = DataHeader::PLAIN
            .with_mark(Mark::Nonce { nonce, echo })
            .emit()
            .to_vec();
        payload.extend(packet([10, 2, 0, 7], [10, 1, 0, 7]));
        payload
    };
    for (number, echo) in [(8, EchoRequest::No), (7, EchoRequest::Yes)] {
        assert!(near.receive(FAR, &forged(number, echo), 0));
        assert!(near.peer.echo.is_awaited(), "{number}");
    }
    assert!(near.receive(FAR, &forged(7, EchoRequest::No), 0));
    assert!(!near.peer.echo.is_awaited());
}

/// A packet from the near site's EID that says these versions, source and destination.
fn versioned(source: u16, destination: u16) -> Vec<u8> {
    let mark = Mark::Versions {
        source: version(source),
        destination: version(destination),
    };
    let mut payload = DataHeader::PLAIN.with_mark(mark).emit().to_vec();
    payload.extend(packet([10, 1, 0, 7], [10, 2, 0, 7]));
    payload
}

// RFC 9302 section 6.1.
#[test]
fn to_a_mapping_without_a_version_no_versions_are_said_and_none_come_through() {
    let near = Site::near(ALL, (9, 0), 0);
    assert_eq!(header_of(&near.send(1, 2, 0)).mark(), Mark::Absent);
    let mut without = Site::far(ALL, (0, 9), 0);
    assert!(!without.receive(NEAR, &versioned(9, 5), 0));
    let mut with = Site::far(ALL, (5, 9), 0);
    assert!(!with.receive(NEAR, &versioned(9, 0), 0));
    assert!(
        with.receive(NEAR, &versioned(0, 5), 0),
        "of the source's nothing need be said"
    );
    assert!(with.receive(NEAR, &versioned(9, 5), 0));
    let null = |site: &Site| site.counters.get(Fate::VersionNull);
    assert_eq!((null(&without), null(&with)), (1, 1));
}

proptest! {
    /// Whatever a header says, from whomever: a packet that can be read gets through unless its versions are wrong, and
    /// nothing is learned from those who are not trusted with it.
    #[test]
    fn any_header_is_forwarded_or_counted(word in any::<u64>(), trusted in any::<[bool; 3]>(), known in any::<bool>()) {
        let [locator_status, echo_nonce, map_version] = trusted;
        let signals = Signals { locator_status, echo_nonce, map_version };
        // The tenant is the default one's, and the payload in the clear.
        let bytes = (word & !(0b1011 << 56)).to_be_bytes();
        let mut far = Site::far(signals, (9, 5), 0);
        let mut payload = bytes.to_vec();
        payload.extend(packet([10, 1, 0, 7], [10, 2, 0, 7]));
        let from = if known { NEAR } else { [198, 51, 100, 1] };
        let passed = far.receive(from, &payload, 0);
        let count = |fate| far.counters.get(fate);
        let header = DataHeader::parse(&bytes).unwrap();
        let dropped = count(Fate::VersionAhead) + count(Fate::VersionBehind) + count(Fate::VersionNull);
        prop_assert_eq!(passed, dropped == 0);
        let versioned = matches!(header.mark(), Mark::Versions { .. });
        prop_assert!(dropped == 0 || known && map_version && versioned);
        let learned = far.mapping.status().is_some();
        prop_assert_eq!(learned, passed && known && locator_status && header.locator_status().is_some());
        if !known && header.is_marked() {
            prop_assert_eq!(far.ignored(), 1);
        }
    }
}

//! Packets through the tunnel and out again.

mod packets;

use std::net::IpAddr;
use std::sync::Arc;

use crate::ecn::Ecn;
use crate::mtu::packet_too_big;
use crate::{
    Counters, Decapsulator, Egress, EidSet, Encapsulator, Entry, Envelope, Fate, Forwarding, Ingress, Inner,
    Limits, LocatorTable, MapCache, Outer, PacketBatch, Reach, Relay, Routes,
};
use lisp_wire::{InstanceId, Locator, Priority, Rloc, Weight};
use packets::{Packet, checksum_is_right, reassembled};
use proptest::prelude::*;

const LOCATOR: [u8; 4] = [172, 16, 0, 2];

/// Both ends of a tunnel for one tenant: the near end knows every EID behind one locator, for the far end all are local.
struct Tunnel {
    near: MapCache,
    far: MapCache,
    iid: InstanceId,
    limits: Limits,
    encapsulator: Encapsulator,
    decapsulator: Decapsulator,
    counters: Arc<Counters>,
    egress: Egress,
    ingress: Ingress,
}

impl Tunnel {
    fn new(iid: InstanceId) -> Self {
        let table = LocatorTable::new(
            [(
                Locator::unicast(Rloc(LOCATOR.into()), Priority(1), Weight(1)),
                Reach::Up,
            )],
            None,
        );
        let everything = |forwarding: Forwarding| {
            let mut cache = MapCache::new();
            for any in ["0.0.0.0", "::"] {
                let prefix = lisp_wire::EidPrefix::new(iid, any.parse().unwrap(), 0).unwrap();
                cache.insert(Entry {
                    prefix,
                    forwarding: forwarding.clone(),
                });
            }
            cache
        };
        let counters = Arc::new(Counters::default());
        Self {
            near: everything(Forwarding::Encapsulate(table)),
            far: everything(Forwarding::Local),
            iid,
            limits: Limits::new(1500),
            encapsulator: Encapsulator::new(32, Arc::clone(&counters)),
            decapsulator: Decapsulator::new([iid], Relay::Refused, Arc::clone(&counters)),
            counters,
            egress: Egress::new(64, 9000),
            ingress: Ingress::new(64),
        }
    }

    /// Encapsulates one packet; its datagrams' payloads.
    fn enter(&mut self, packet: &[u8]) -> Vec<Vec<u8>> {
        let mut batch = PacketBatch::new(4, 9000);
        let slot = batch.push(packet).unwrap();
        batch.set_tenant(slot, self.iid);
        let routes = Routes {
            cache: &self.near,
            limits: &self.limits,
        };
        self.encapsulator
            .encapsulate_batch(routes, &mut batch, &mut self.egress);
        self.egress
            .datagrams
            .iter()
            .map(|datagram| self.egress.payload(&batch, datagram).to_vec())
            .collect()
    }

    /// Decapsulates one payload; what is for the site.
    fn leave(&mut self, payload: &[u8], outer: Outer) -> Option<Vec<u8>> {
        let mut batch = PacketBatch::new(4, 9100);
        batch.spare().unwrap()[..payload.len()].copy_from_slice(payload);
        batch.commit(payload.len(), outer).unwrap();
        self.ingress.clear();
        self.decapsulator
            .decapsulate_batch(&self.far, &mut batch, &mut self.ingress);
        self.ingress
            .local
            .first()
            .map(|slot| batch.packet(*slot).to_vec())
    }
}

fn outer(ttl: u8, traffic_class: u8) -> Outer {
    Outer {
        ttl,
        traffic_class,
        source: None,
    }
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_but_for_its_ttl_and_class(packet in packets::any(), iid in 0u32..3) {
        let mut tunnel = Tunnel::new(InstanceId::new(iid).unwrap());
        let bytes = packet.bytes();
        let payloads = tunnel.enter(&bytes);
        prop_assert_eq!(payloads.len(), 1);
        let sent = tunnel.egress.datagrams[0];
        prop_assert_eq!((sent.ttl, sent.traffic_class, sent.to), (packet.ttl, packet.class, IpAddr::from(LOCATOR)));
        prop_assert!(sent.lane.0 < 32);
        // The network takes two hops off and changes nothing else.
        let ttl = packet.ttl.saturating_sub(2).max(1);
        let out = tunnel.leave(&payloads[0], outer(ttl, sent.traffic_class)).unwrap();
        let expected = Packet { ttl: ttl.min(packet.ttl), ..packet };
        prop_assert_eq!(out, expected.bytes());
    }

    #[test]
    fn an_outer_ttl_or_class_that_says_more_is_taken_over(packet in packets::any(), ttl in 1u8.., class in any::<u8>()) {
        let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
        let payload = tunnel.enter(&packet.bytes()).remove(0);
        let out = tunnel.leave(&payload, outer(ttl, class));
        if Ecn::of(packet.class) == Ecn::NotCapable && Ecn::of(class) == Ecn::Congested {
            prop_assert_eq!(out, None);
            prop_assert_eq!(tunnel.counters.get(Fate::CongestionDrop), 1);
        } else {
            let out = out.unwrap();
            let inner = Inner::parse(&out).unwrap();
            prop_assert_eq!(inner.ttl, ttl.min(packet.ttl));
            prop_assert_eq!(inner.traffic_class >> 2, class >> 2);
            prop_assert!(out[0] >> 4 == 6 || checksum_is_right(&out[..20]));
        }
    }

    #[test]
    fn garbage_breaks_nothing_and_is_counted(bytes in prop::collection::vec(any::<u8>(), 0..200), head in any::<u8>()) {
        let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
        for version in [0x45, 0x4f, 0x60, head] {
            let mut bytes = bytes.clone();
            if let Some(first) = bytes.first_mut() {
                *first = version;
            }
            tunnel.limits = Limits::new(76);
            let pieces = tunnel.enter(&bytes).len();
            let held = tunnel.egress.held.len();
            let lost: u64 = Fate::ALL.iter().filter(|f| f.name().contains("encap.drop")).map(|f| tunnel.counters.get(*f)).sum();
            prop_assert!(pieces > 0 || held > 0 || lost > 0);
            tunnel.egress.clear();
            let before = tunnel.counters.get(Fate::Decapsulated);
            let delivered = tunnel.leave(&bytes, outer(64, 0)).is_some();
            prop_assert_eq!(delivered, tunnel.counters.get(Fate::Decapsulated) > before);
            let mut room = [0; 1280];
            if let Some(length) = packet_too_big(&bytes, 1400, &mut room) {
                prop_assert!(Inner::parse(&room[..length]).is_ok());
            }
        }
    }

    #[test]
    fn pieces_of_a_packet_make_it_whole_again(packet in packets::big_v4(), options in 0usize..=10, path in 140u16..1500) {
        let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
        tunnel.limits.learn(LOCATOR.into(), path);
        let bytes = packet.with_options(options);
        let pieces = tunnel.enter(&bytes);
        let limit = usize::from(path - 36);
        let mut inner = Vec::new();
        for payload in &pieces {
            let piece = &payload[8..];
            prop_assert!(piece.len() <= limit);
            prop_assert!(checksum_is_right(&piece[..usize::from(piece[0] & 15) * 4]));
            inner.push(piece.to_vec());
        }
        if pieces.is_empty() {
            // More pieces than a batch has room for: not one of them is sent.
            prop_assert_eq!(tunnel.counters.get(Fate::TooBig), 1);
            prop_assert!(bytes.len() / (limit - 68) > 60);
        } else {
            let header = 20 + options * 4;
            prop_assert_eq!(reassembled(&inner), &bytes[header..]);
            // RFC 9300 section 7.1 wants them of equal size; they are, but for what must be a multiple of 8.
            let body = |piece: &Vec<u8>| piece.len() - usize::from(piece[0] & 15) * 4;
            if let [first, second] = inner.as_slice() {
                prop_assert!(body(first).abs_diff(body(second)) < 16, "{} {}", body(first), body(second));
            }
            let lanes: std::collections::BTreeSet<_> = tunnel.egress.datagrams.iter().map(|d| d.lane).collect();
            prop_assert_eq!(lanes.len(), 1);
        }
    }

    #[test]
    fn the_sender_of_a_packet_too_big_is_told_what_fits(packet in packets::any(), path in 200u16..1400) {
        let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
        tunnel.limits.learn(LOCATOR.into(), path);
        let packet = Packet { df: true, payload: vec![7; 1400], ..packet };
        let bytes = packet.bytes();
        prop_assert!(tunnel.enter(&bytes).is_empty());
        let told = tunnel.egress.too_big[0];
        prop_assert_eq!(told.mtu, path - 36);
        let mut room = [0; 1280];
        let length = packet_too_big(&bytes, told.mtu, &mut room).unwrap();
        let message = Inner::parse(&room[..length]).unwrap();
        prop_assert_eq!((message.source, message.destination), (packet.destination, packet.source));
        if packet.source.is_ipv4() {
            prop_assert!(checksum_is_right(&room[..20]) && checksum_is_right(&room[20..length]));
            prop_assert_eq!(&room[20..22], &[3, 4]);
            prop_assert_eq!(u16::from_be_bytes([room[26], room[27]]), told.mtu);
            prop_assert_eq!(&room[28..48], &bytes[..20]);
            prop_assert!(length <= 576);
        } else {
            let mut covered = room[8..40].to_vec();
            covered.extend((length as u32 - 40).to_be_bytes());
            covered.extend([0, 0, 0, 58]);
            covered.extend(&room[40..length]);
            prop_assert!(checksum_is_right(&covered));
            prop_assert_eq!(room[40], 2);
            prop_assert_eq!(u32::from_be_bytes([room[44], room[45], room[46], room[47]]), u32::from(told.mtu.max(1280)));
        }
        // Never an error about an error.
        prop_assert_eq!(packet_too_big(&room[..length], 500, &mut [0; 1280]), None);
    }
}

#[test]
fn what_every_ipv6_link_carries_gets_through_however_narrow_the_path() {
    let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
    tunnel.limits.learn(LOCATOR.into(), 1300);
    let (source, destination) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    let sized = |length: usize| Packet {
        payload: vec![1; length - 48],
        ..Packet::udp(source, destination, 1)
    };
    for (length, envelope) in [
        (1264, Some(Envelope::Whole)),
        (1280, Some(Envelope::Divisible)),
        (1281, None),
    ] {
        tunnel.egress.clear();
        tunnel.enter(&sized(length).bytes());
        let sent = tunnel.egress.datagrams.first().map(|datagram| datagram.envelope);
        assert_eq!(sent, envelope, "{length}");
        assert_eq!(tunnel.egress.too_big.len(), usize::from(envelope.is_none()));
    }
}

#[test]
fn a_flow_keeps_its_lane_and_flows_spread_over_all() {
    let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
    let mut lanes = std::collections::BTreeMap::<u16, usize>::new();
    for port in 0..4096u16 {
        let packet = Packet::udp([10, 1, 0, 7].into(), [10, 2, 0, 7].into(), port);
        let mut seen = Vec::new();
        for length in [10, 500] {
            tunnel.egress.clear();
            tunnel.enter(
                &Packet {
                    payload: vec![1; length],
                    ..packet.clone()
                }
                .bytes(),
            );
            seen.push(tunnel.egress.datagrams[0].lane);
        }
        assert_eq!(seen[0], seen[1]);
        *lanes.entry(seen[0].0).or_default() += 1;
    }
    assert_eq!(lanes.len(), 32);
    assert!(
        lanes.values().all(|count| (64..=192).contains(count)),
        "{lanes:?}"
    );
}

#[test]
fn pieces_that_come_in_take_one_way() {
    let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
    let mut lanes = Vec::new();
    for field in [0x2000u16, 0x2010, 0x0020] {
        let mut packet = Packet::udp([10, 1, 0, 7].into(), [10, 2, 0, 7].into(), field).bytes();
        packet[6..8].copy_from_slice(&field.to_be_bytes());
        tunnel.egress.clear();
        tunnel.enter(&packet);
        lanes.push(tunnel.egress.datagrams[0].lane);
    }
    assert!(lanes.windows(2).all(|pair| pair[0] == pair[1]), "{lanes:?}");
}

#[test]
fn every_reason_not_to_encapsulate_has_its_own_count() {
    let unicast = |last: u8| Packet::udp([10, 1, 0, 7].into(), [10, 2, 0, last].into(), 1);
    let locator = |address: IpAddr, priority| Locator::unicast(Rloc(address), Priority(priority), Weight(1));
    let unusable = LocatorTable::new([(locator(LOCATOR.into(), 255), Reach::Up)], None);
    let ways = [
        (Forwarding::Local, Fate::EncapLocal),
        (Forwarding::Native, Fate::EncapNative),
        (Forwarding::Drop, Fate::EncapPolicy),
        (Forwarding::Encapsulate(unusable), Fate::NoLocator),
        (Forwarding::Pending, Fate::Missed),
    ];
    for (forwarding, fate) in ways {
        let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
        tunnel.near.insert(Entry {
            prefix: "10.2.0.9".parse().unwrap(),
            forwarding,
        });
        assert!(tunnel.enter(&unicast(9).bytes()).is_empty());
        assert_eq!(tunnel.counters.get(fate), 1, "{fate:?}");
        assert_eq!(tunnel.egress.held.len(), usize::from(fate == Fate::Missed));
    }
    let packets = [
        (
            Packet {
                destination: [224, 0, 0, 5].into(),
                ..unicast(9)
            },
            Fate::EncapNotUnicast,
        ),
        (
            Packet {
                destination: [255; 4].into(),
                ..unicast(9)
            },
            Fate::EncapNotUnicast,
        ),
        (
            Packet {
                source: [0; 4].into(),
                ..unicast(9)
            },
            Fate::EncapNotUnicast,
        ),
        (Packet { ttl: 0, ..unicast(9) }, Fate::TtlExpired),
    ];
    for (packet, fate) in packets {
        let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
        assert!(tunnel.enter(&packet.bytes()).is_empty());
        assert_eq!(tunnel.counters.get(fate), 1, "{fate:?}");
    }
}

#[test]
fn every_reason_not_to_decapsulate_has_its_own_count() {
    let good = {
        let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
        tunnel
            .enter(&Packet::udp([10, 1, 0, 7].into(), [10, 2, 0, 7].into(), 1).bytes())
            .remove(0)
    };
    let with = |at: usize, byte: u8| {
        let mut payload = good.clone();
        payload[at] = byte;
        payload
    };
    let mut other_tenant = with(0, 0x08);
    other_tenant[6] = 9;
    let cases = [
        (good[..7].to_vec(), Fate::BadHeader),
        (with(0, 0x01), Fate::Encrypted),
        (other_tenant, Fate::WrongInstance),
        (good[..20].to_vec(), Fate::DecapMalformed),
        (with(8, 0x55), Fate::DecapMalformed),
        (with(24, 239), Fate::DecapMalformed), // to a group
    ];
    for (payload, fate) in cases {
        let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
        assert_eq!(tunnel.leave(&payload, outer(64, 0)), None);
        assert_eq!(tunnel.counters.get(fate), 1, "{fate:?}");
    }
    let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
    tunnel.far = MapCache::new();
    assert_eq!(tunnel.leave(&good, outer(64, 0)), None);
    assert_eq!(tunnel.counters.get(Fate::NotLocal), 1);
}

#[test]
fn a_relay_sends_on_with_a_ttl_less_one_and_stops_at_one() {
    let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
    let payload = tunnel
        .enter(&Packet::udp([10, 1, 0, 7].into(), [10, 2, 0, 7].into(), 1).bytes())
        .remove(0);
    let relay = Decapsulator::new(
        [],
        Relay::For(EidSet::from_iter(["10.2.0.0/16".parse().unwrap()])),
        Arc::clone(&tunnel.counters),
    );
    for (ttl, passes) in [(9, true), (1, false)] {
        let mut batch = PacketBatch::new(1, 2000);
        batch.spare().unwrap()[..payload.len()].copy_from_slice(&payload);
        batch.commit(payload.len(), outer(ttl, 0)).unwrap();
        let (mut ingress, mut egress) = (Ingress::new(1), Egress::new(1, 2000));
        relay.decapsulate_batch(&MapCache::new(), &mut batch, &mut ingress);
        assert!(ingress.local.is_empty());
        let routes = Routes {
            cache: &tunnel.near,
            limits: &tunnel.limits,
        };
        tunnel
            .encapsulator
            .relay_batch(routes, (&mut batch, &ingress.relayed), Fate::Relayed, &mut egress);
        let sent: Vec<u8> = egress.datagrams.iter().map(|datagram| datagram.ttl).collect();
        assert_eq!(sent, if passes { vec![ttl - 1] } else { vec![] });
        if let Some(datagram) = egress.datagrams.first() {
            let again = egress.payload(&batch, datagram).to_vec();
            assert_eq!(Inner::parse(&again[8..]).unwrap().ttl, ttl - 1);
            assert!(checksum_is_right(&again[8..28]));
        }
    }
    assert_eq!(
        (
            tunnel.counters.get(Fate::Relayed),
            tunnel.counters.get(Fate::TtlExpired)
        ),
        (1, 1)
    );
}

/// One packet that the far end of a tunnel gets while it has this for the EID.
fn received(tunnel: &mut Tunnel, forwarding: Forwarding) -> PacketBatch {
    let payload = tunnel
        .enter(&Packet::udp([10, 1, 0, 7].into(), [10, 2, 0, 7].into(), 1).bytes())
        .remove(0);
    tunnel.far.insert(Entry {
        prefix: "10.2.0.7/32".parse().unwrap(),
        forwarding,
    });
    let mut batch = PacketBatch::new(1, 2000);
    batch.spare().unwrap()[..payload.len()].copy_from_slice(&payload);
    batch.commit(payload.len(), outer(9, 0)).unwrap();
    tunnel.ingress.clear();
    tunnel
        .decapsulator
        .decapsulate_batch(&tunnel.far, &mut batch, &mut tunnel.ingress);
    batch
}

#[test]
fn what_comes_for_an_eid_that_has_left_goes_on_to_where_it_is_though_the_node_is_no_rtr() {
    let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
    let new = Locator::unicast(Rloc([198, 51, 100, 1].into()), Priority(1), Weight(1));
    let table = LocatorTable::new([(new, Reach::Up)], None);
    let mut batch = received(&mut tunnel, Forwarding::Redirect(table));
    assert!(tunnel.ingress.local.is_empty() && tunnel.ingress.relayed.is_empty());
    let routes = Routes {
        cache: &tunnel.far,
        limits: &tunnel.limits,
    };
    let slots = (&mut batch, tunnel.ingress.redirected.as_slice());
    tunnel.egress.clear();
    tunnel
        .encapsulator
        .relay_batch(routes, slots, Fate::Redirected, &mut tunnel.egress);
    let sent = tunnel.egress.datagrams[0];
    // One hop more, so that two sites that each believe the EID at the other's do not send it round for ever.
    assert_eq!((sent.to, sent.ttl), (new.rloc.0, 8));
    assert_eq!(tunnel.counters.get(Fate::Redirected), 1);
}

#[test]
fn a_peer_that_is_watched_is_seen_wherever_its_packet_goes_and_by_no_packet_of_another() {
    let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
    let payload = tunnel
        .enter(&Packet::udp([10, 1, 0, 7].into(), [10, 2, 0, 7].into(), 1).bytes())
        .remove(0);
    let new = Locator::unicast(Rloc([198, 51, 100, 1].into()), Priority(1), Weight(1));
    let redirect = || Forwarding::Redirect(LocatorTable::new([(new, Reach::Up)], None));
    let prefix: lisp_wire::EidPrefix = "10.2.0.7/32".parse().unwrap();
    let (peer, other) = (IpAddr::from([192, 0, 2, 7]), IpAddr::from([192, 0, 2, 8]));
    for forwarding in [redirect(), Forwarding::Local] {
        tunnel.far.insert(Entry { prefix, forwarding });
        for (from, seen) in [(peer, true), (other, false)] {
            let sight = Arc::new(crate::Sight::default());
            let watch = crate::Watch::new([(peer, prefix, Arc::clone(&sight))]);
            tunnel.far.set_watch(Some(Arc::new(watch)));
            let mut batch = PacketBatch::new(1, 2000);
            batch.spare().unwrap()[..payload.len()].copy_from_slice(&payload);
            let from = Outer {
                source: Some(from),
                ..Outer::default()
            };
            batch.commit(payload.len(), from).unwrap();
            tunnel.ingress.clear();
            tunnel
                .decapsulator
                .decapsulate_batch(&tunnel.far, &mut batch, &mut tunnel.ingress);
            assert_eq!((sight.take(), sight.take()), (seen, false));
        }
    }
}

#[test]
fn what_comes_for_an_eid_before_it_runs_waits_and_what_comes_after_goes_not_past_it() {
    let mut tunnel = Tunnel::new(InstanceId::DEFAULT);
    let gate = Arc::new(crate::Gate::default());
    let arriving = || Forwarding::Arriving(Arc::clone(&gate));
    received(&mut tunnel, arriving());
    let early = tunnel.ingress.early.pop().unwrap();
    assert_eq!(early.eid.address, IpAddr::from([10, 2, 0, 7]));
    assert!(tunnel.ingress.local.is_empty());
    early.gate.entered();
    gate.open();
    received(&mut tunnel, arriving());
    assert_eq!((tunnel.ingress.local.len(), tunnel.ingress.early.len()), (0, 1));
    early.gate.left();
    received(&mut tunnel, arriving());
    assert_eq!((tunnel.ingress.local.len(), tunnel.ingress.early.len()), (1, 0));
}

#[test]
fn a_batch_is_full_when_it_says_so_and_never_mixes_packets() {
    let mut batch = PacketBatch::new(2, 100);
    let first = batch.push(&[1; 100]).unwrap();
    let second = batch.push(&[2; 3]).unwrap();
    assert!(batch.is_full() && batch.spare().is_none() && batch.spares().next().is_none());
    assert_eq!(batch.push(&[3]), None);
    assert_eq!(
        (batch.packet(first), batch.packet(second)),
        (&[1; 100][..], &[2; 3][..])
    );
    batch.clear();
    assert_eq!(batch.push(&[4; 10_000]), None);
    assert_eq!(batch.spares().count(), 2);
}

//! Packets to send through the tunnel, built by hand: nothing here uses what is under test.

use std::net::IpAddr;

use proptest::prelude::*;

/// A UDP packet.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) class: u8,
    pub(crate) df: bool,
    pub(crate) port: u16,
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    pub(crate) fn udp(source: IpAddr, destination: IpAddr, port: u16) -> Self {
        Self {
            source,
            destination,
            ttl: 63,
            class: 0,
            df: false,
            port,
            payload: vec![5; 20],
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.with_options(0)
    }

    /// With so many words of IPv4 options: every second one to be copied into pieces.
    pub(crate) fn with_options(&self, words: usize) -> Vec<u8> {
        let mut udp = Vec::new();
        udp.extend(self.port.to_be_bytes());
        udp.extend(53u16.to_be_bytes());
        udp.extend((8 + self.payload.len() as u16).to_be_bytes());
        udp.extend([0, 0]);
        udp.extend(&self.payload);
        let mut packet = Vec::new();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let total = 20 + 4 * words + udp.len();
                packet.extend([0x45 + words as u8, self.class]);
                packet.extend((total as u16).to_be_bytes());
                packet.extend([0x12, 0x34, if self.df { 0x40 } else { 0 }, 0, self.ttl, 17, 0, 0]);
                packet.extend(source.octets());
                packet.extend(destination.octets());
                for word in 0..words {
                    packet.extend([if word % 2 == 0 { 0x94 } else { 0x44 }, 4, 9, 9]);
                }
                let sum = !folded(&packet);
                packet[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                packet.extend([0x60 | self.class >> 4, self.class << 4, 0, 0]);
                packet.extend((udp.len() as u16).to_be_bytes());
                packet.extend([17, self.ttl]);
                packet.extend(source.octets());
                packet.extend(destination.octets());
            }
            mixed => panic!("{mixed:?}"),
        }
        packet.extend(udp);
        packet
    }
}

/// Any unicast packet of up to 1,200 bytes of payload.
pub(crate) fn any() -> impl Strategy<Value = Packet> {
    let v4 = (any_bits(), any_bits()).prop_map(|(a, b)| {
        let address = |bits: u128| IpAddr::from([10, (bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
        (address(a), address(b))
    });
    let v6 = (any_bits(), any_bits()).prop_map(|(a, b)| {
        let address = |bits: u128| IpAddr::from((0x2001_0db8 << 96 | bits >> 32).to_be_bytes());
        (address(a), address(b))
    });
    let rest = (
        1u8..,
        proptest::num::u8::ANY,
        proptest::bool::ANY,
        proptest::num::u16::ANY,
    );
    let payload = prop::collection::vec(proptest::num::u8::ANY, 0..1200);
    (prop_oneof![v4, v6], rest, payload).prop_map(
        |((source, destination), (ttl, class, df, port), payload)| Packet {
            source,
            destination,
            ttl,
            class,
            df,
            port,
            payload,
        },
    )
}

/// IPv4 packets that may be cut, and have to be.
pub(crate) fn big_v4() -> impl Strategy<Value = Packet> {
    let payload = prop::collection::vec(proptest::num::u8::ANY, 1500..8000);
    payload.prop_map(|payload| Packet {
        payload,
        ..Packet::udp([10, 1, 0, 7].into(), [10, 2, 0, 7].into(), 9)
    })
}

fn any_bits() -> proptest::num::u128::Any {
    proptest::num::u128::ANY
}

fn folded(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum = words.sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// Whether what a checksum covers, itself included, adds up.
pub(crate) fn checksum_is_right(covered: &[u8]) -> bool {
    folded(covered) == 0xffff
}

/// The payload of a packet that was cut, from its pieces in order.
pub(crate) fn reassembled(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let field = u16::from_be_bytes([piece[6], piece[7]]);
        assert_eq!(usize::from(field & 0x1fff) * 8, whole.len(), "pieces adjoin");
        assert_eq!(
            field & 0x2000 == 0,
            at + 1 == pieces.len(),
            "only the last says it is the last"
        );
        assert_eq!(usize::from(u16::from_be_bytes([piece[2], piece[3]])), piece.len());
        whole.extend(&piece[usize::from(piece[0] & 15) * 4..]);
    }
    whole
}

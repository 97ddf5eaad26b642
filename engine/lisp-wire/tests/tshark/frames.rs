//! A capture file of Ethernet frames, written by hand.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A capture file: the classic header, microseconds, Ethernet.
pub(crate) fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0002_0004, 0, 0, 65_535, 1_u32] {
        file.extend(word.to_be_bytes());
    }
    for (second, frame) in (1_u32..).zip(frames) {
        for word in [second, 0, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_be_bytes());
        }
        file.extend(frame);
    }
    file
}

pub(crate) fn over_ipv4(port: u16, payload: &[u8]) -> Vec<u8> {
    let packet = ipv4(
        Ipv4Addr::new(192, 0, 2, 1),
        Ipv4Addr::new(192, 0, 2, 2),
        &udp(None, port, payload),
    );
    [
        [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00].as_slice(),
        &packet,
    ]
    .concat()
}

pub(crate) fn over_ipv6(port: u16, payload: &[u8]) -> Vec<u8> {
    let (from, to) = ("2001:db8:f::1".parse().unwrap(), "2001:db8:f::2".parse().unwrap());
    let packet = ipv6(from, to, &udp(Some((from, to)), port, payload));
    [
        [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd].as_slice(),
        &packet,
    ]
    .concat()
}

pub(crate) fn ipv6(from: Ipv6Addr, to: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([17, 64]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    packet
}

/// A UDP datagram from an odd port. Over IPv4 the checksum may be left out, over IPv6 not.
pub(crate) fn udp(ends: Option<(Ipv6Addr, Ipv6Addr)>, port: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut datagram = [61_000_u16, port, length, 0].map(u16::to_be_bytes).concat();
    datagram.extend(payload);
    if let Some((from, to)) = ends {
        let pseudo = [from.octets(), to.octets()].concat();
        let sum = sum(&pseudo) + 17 + u64::from(length) + sum(&datagram);
        datagram[6..8].copy_from_slice(&folded(sum).to_be_bytes());
    }
    datagram
}

pub(crate) fn ipv4(from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((20 + payload.len() as u16).to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    header.extend(from.octets());
    header.extend(to.octets());
    let checksum = folded(sum(&header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header.extend(payload);
    header
}

/// Written here once more, so that the crate's own checksums have a second opinion beside tshark's.
fn sum(bytes: &[u8]) -> u64 {
    bytes
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)))
        .sum()
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

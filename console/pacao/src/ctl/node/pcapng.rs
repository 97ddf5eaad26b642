//! Messages as packets of a pcapng file (draft-ietf-opsawg-pcapng).
//!
//! The link type is raw IP (LINKTYPE_RAW): a node knows the UDP payload and both ends, and no more was on the wire that
//! matters to anyone. IP and UDP headers are made anew, with checksums.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use proto::{Direction, Timestamp};

/// Block types.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
/// Options of any block, of the section header, of an interface, of a packet.
const COMMENT: u16 = 1;
const USER_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const TIME_RESOLUTION: u16 = 9;
const PACKET_FLAGS: u16 = 2;
/// LINKTYPE_RAW (tcpdump.org/linktypes.html): the packet begins with its IPv4 or IPv6 header.
const RAW_IP: u16 = 101;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const UDP: u8 = 17;
const HOPS: u8 = 64;
const DONT_FRAGMENT: u16 = 0x4000;

/// A packet to be written.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    pub(super) at: Timestamp,
    pub(super) direction: Direction,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    /// 0 to 63.
    pub(super) dscp: u8,
    pub(super) payload: &'a [u8],
    /// What the node made of it.
    pub(super) comment: &'a str,
}

/// Begins a file.
///
/// # Errors
/// Those of `out`.
pub(super) fn begin(name: &str, out: &mut impl Write) -> io::Result<()> {
    let mut body = BYTE_ORDER.to_le_bytes().to_vec();
    body.extend([1, 0, 0, 0]); // version 1.0
    body.extend(u64::MAX.to_le_bytes()); // a section of unknown length
    option(
        USER_APPLICATION,
        concat!("pacao ", env!("CARGO_PKG_VERSION")).as_bytes(),
        &mut body,
    );
    end_of_options(&mut body);
    block(SECTION_HEADER, &body, out)?;

    let mut body = RAW_IP.to_le_bytes().to_vec();
    body.extend([0, 0]);
    body.extend(0_u32.to_le_bytes()); // nothing is cut short
    option(INTERFACE_NAME, name.as_bytes(), &mut body);
    option(TIME_RESOLUTION, &[6], &mut body); // microseconds
    end_of_options(&mut body);
    block(INTERFACE_DESCRIPTION, &body, out)
}

/// Writes a packet, whole.
///
/// # Errors
/// Those of `out`.
pub(super) fn write(packet: &Packet<'_>, out: &mut impl Write) -> io::Result<()> {
    let bytes = datagram(packet);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let micros = packet.at.micros();
    let mut body = 0_u32.to_le_bytes().to_vec();
    body.extend(((micros >> 32) as u32).to_le_bytes());
    body.extend((micros as u32).to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(&bytes);
    pad(&mut body);
    let flags: u32 = match packet.direction {
        Direction::In => 1,
        Direction::Out => 2,
    };
    option(PACKET_FLAGS, &flags.to_le_bytes(), &mut body);
    option(COMMENT, packet.comment.as_bytes(), &mut body);
    end_of_options(&mut body);
    block(ENHANCED_PACKET, &body, out)
}

fn block(kind: u32, body: &[u8], out: &mut impl Write) -> io::Result<()> {
    let length = u32::try_from(body.len() + 12).map_err(io::Error::other)?;
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(body)?;
    out.write_all(&length.to_le_bytes())
}

/// An option of at most 65,535 bytes.
fn option(code: u16, value: &[u8], body: &mut Vec<u8>) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn end_of_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

/// To 32 bits. Blocks begin at such a place, and what stands before a body has a length of such a multiple.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

/// The IP packet around a payload. Ends of different families, which no packet has, become the wildcard of the sender's.
fn datagram(packet: &Packet<'_>) -> Vec<u8> {
    let Packet {
        from,
        to,
        dscp,
        payload,
        ..
    } = packet;
    let length = (payload.len() + 8) as u16;
    let mut udp = Vec::with_capacity(payload.len() + 8);
    udp.extend(from.port().to_be_bytes());
    udp.extend(to.port().to_be_bytes());
    udp.extend(length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(*payload);
    let (mut header, pseudo) = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let addresses = [from.octets(), to.octets()].concat();
            let mut header = vec![0x45, dscp << 2];
            header.extend((length.saturating_add(20)).to_be_bytes());
            header.extend([0, 0]);
            header.extend(DONT_FRAGMENT.to_be_bytes());
            header.extend([HOPS, UDP, 0, 0]);
            header.extend(&addresses);
            let sum = checksum(&[&header]);
            put(&mut header, 10, sum);
            (header, addresses)
        }
        (from, to) => {
            let sixteen = |address: IpAddr| match address {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            };
            let addresses = [sixteen(from), sixteen(to)].concat();
            let mut header = (6 << 28 | u32::from(*dscp) << 22).to_be_bytes().to_vec();
            header.extend(length.to_be_bytes());
            header.extend([UDP, HOPS]);
            header.extend(&addresses);
            (header, addresses)
        }
    };
    // RFC 768: the sum is over a pseudo header too; one that comes out as zero is sent as all ones.
    let tail = [u16::from(UDP).to_be_bytes(), length.to_be_bytes()].concat();
    let sum = match checksum(&[&pseudo, &tail, &udp]) {
        0 => u16::MAX,
        sum => sum,
    };
    put(&mut udp, 6, sum);
    header.extend(udp);
    header
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// RFC 1071, over parts of even length but for the last.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum = words.fold(0_u64, |sum, word| {
        let low = word.get(1).copied().unwrap_or(0);
        sum + u64::from(u16::from_be_bytes([word.first().copied().unwrap_or(0), low]))
    });
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !(folded as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet<'a>(from: &str, to: &str, payload: &'a [u8]) -> Packet<'a> {
        Packet {
            at: Timestamp(0x0001_0002_0003_0004),
            direction: Direction::Out,
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            dscp: 46,
            payload,
            comment: "sent",
        }
    }

    #[test]
    fn headers_sum_up_and_name_both_ends() {
        let v4 = datagram(&packet("172.16.0.1:4342", "172.16.0.2:4343", b"odd"));
        assert_eq!(v4.len(), 20 + 8 + 3);
        assert_eq!(v4[1], 46 << 2);
        assert_eq!(checksum(&[&v4[..20]]), 0);
        let tail = [0, UDP, 0, 11];
        assert_eq!(checksum(&[&v4[12..20], &tail, &v4[20..]]), 0);
        assert_eq!(v4[20..24], [0x10, 0xf6, 0x10, 0xf7]);

        let v6 = datagram(&packet("[2001:db8::1]:4342", "[2001:db8::2]:4342", b"even"));
        assert_eq!(v6.len(), 40 + 8 + 4);
        let tail = [0, UDP, 0, 12];
        assert_eq!(checksum(&[&v6[8..40], &tail, &v6[40..]]), 0);
        assert_eq!((v6[0], v6[1]), (0x6b, 0x80), "version 6, DSCP 46");
    }

    #[test]
    fn blocks_have_their_length_at_both_ends_and_begin_at_four_bytes() {
        let mut file = Vec::new();
        begin("telco", &mut file).unwrap();
        for length in 0..9 {
            let payload = vec![7; length];
            write(&packet("172.16.0.1:4342", "172.16.0.2:4342", &payload), &mut file).unwrap();
        }
        let (mut rest, mut blocks) = (file.as_slice(), 0);
        while !rest.is_empty() {
            let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
            assert_eq!(length % 4, 0);
            assert_eq!(rest[4..8], rest[length - 4..length]);
            rest = &rest[length..];
            blocks += 1;
        }
        assert_eq!(blocks, 11);
    }
}

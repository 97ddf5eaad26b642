//! A checked view of an IPv4 or IPv6 packet: what the tunnel must know of it, and the few bytes it may change.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::checksum;

/// Bytes of an IPv4 header without options.
pub(crate) const IPV4_HEADER: usize = 20;
/// Bytes of the fixed IPv6 header.
pub(crate) const IPV6_HEADER: usize = 40;
/// IPv6 extension headers looked through for the ports; more than a sender has reason for.
const MOST_EXTENSIONS: usize = 8;

const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// What the tunnel must know of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// Who sent it.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Bytes, as its own header says; the buffer may be longer.
    pub length: usize,
    /// The same for all packets of a flow, well mixed over flows.
    pub flow_hash: u32,
    /// What to do if it does not fit.
    pub fragmentation: Fragmentation,
}

/// Whether a packet may be cut on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragmentation {
    /// IPv4 with DF=0.
    Allowed,
    /// IPv4 with DF=1, and IPv6.
    Forbidden,
}

/// Not an IP packet, or a broken one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No byte at all, or a version that is neither 4 nor 6.
    #[error("not an IP packet")]
    Version,
    /// Shorter than its header says.
    #[error("IPv{version} packet truncated: need {need} bytes, have {have}")]
    Truncated {
        /// 4 or 6.
        version: u8,
        /// What the header says.
        need: usize,
        /// What there is.
        have: usize,
    },
    /// An IPv4 header length that cannot be.
    #[error("IPv4 header of {length} bytes in a packet of {total}")]
    HeaderLength {
        /// As given.
        length: usize,
        /// Total length as given.
        total: usize,
    },
}

impl Inner {
    /// Checks a packet.
    pub fn parse(packet: &[u8]) -> Result<Self, Malformed> {
        match packet.first().map(|byte| byte >> 4) {
            Some(4) => Self::parse_v4(packet),
            Some(6) => Self::parse_v6(packet),
            _ => Err(Malformed::Version),
        }
    }

    fn parse_v4(packet: &[u8]) -> Result<Self, Malformed> {
        let truncated = |need| Malformed::Truncated {
            version: 4,
            need,
            have: packet.len(),
        };
        let Some(header) = packet.first_chunk::<IPV4_HEADER>() else {
            return Err(truncated(IPV4_HEADER));
        };
        let header_length = usize::from(header[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header_length < IPV4_HEADER || total < header_length {
            return Err(Malformed::HeaderLength {
                length: header_length,
                total,
            });
        }
        let (Some(whole), Some(payload)) = (packet.get(..total), packet.get(header_length..total)) else {
            return Err(truncated(total));
        };
        let fragment = u16::from_be_bytes([header[6], header[7]]);
        let source = u32::from_be_bytes([header[12], header[13], header[14], header[15]]);
        let destination = u32::from_be_bytes([header[16], header[17], header[18], header[19]]);
        // Pieces of one packet must take one way, and only the first has ports: none counts.
        let is_piece = fragment & 0x3fff != 0;
        let ports = if is_piece { 0 } else { ports(header[9], payload) };
        let addresses = u64::from(source) << 32 | u64::from(destination);
        Ok(Self {
            source: Ipv4Addr::from(source).into(),
            destination: Ipv4Addr::from(destination).into(),
            ttl: header[8],
            traffic_class: header[1],
            length: whole.len(),
            flow_hash: mix(addresses, ports << 8 | u64::from(header[9])),
            fragmentation: if fragment & 0x4000 == 0 {
                Fragmentation::Allowed
            } else {
                Fragmentation::Forbidden
            },
        })
    }

    fn parse_v6(packet: &[u8]) -> Result<Self, Malformed> {
        let truncated = |need| Malformed::Truncated {
            version: 6,
            need,
            have: packet.len(),
        };
        let Some((header, rest)) = packet.split_first_chunk::<IPV6_HEADER>() else {
            return Err(truncated(IPV6_HEADER));
        };
        let payload_length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let Some(payload) = rest.get(..payload_length) else {
            return Err(truncated(IPV6_HEADER + payload_length));
        };
        let address = |at: usize| {
            let bytes: [u8; 16] = std::array::from_fn(|index| header[at + index]);
            u128::from_be_bytes(bytes)
        };
        let (source, destination) = (address(8), address(24));
        let (protocol, ports) = upper_layer(header[6], payload);
        let fold = |address: u128| (address >> 64) as u64 ^ (address as u64).rotate_left(29);
        let addresses = fold(source).rotate_left(17) ^ fold(destination);
        Ok(Self {
            source: Ipv6Addr::from(source).into(),
            destination: Ipv6Addr::from(destination).into(),
            ttl: header[7],
            traffic_class: header[0] << 4 | header[1] >> 4,
            length: IPV6_HEADER + payload_length,
            flow_hash: mix(addresses, ports << 8 | u64::from(protocol)),
            fragmentation: Fragmentation::Forbidden,
        })
    }

    /// Whether both ends may be EIDs: no multicast, broadcast, loopback, link-local or unspecified address.
    pub fn is_routable_unicast(&self) -> bool {
        routable(self.source) && routable(self.destination)
    }
}

fn routable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let first = v4.octets()[0];
            // 0/8, 127/8, and 224/4 upwards with the broadcast address in it.
            first != 0 && first != 127 && first < 224 && !v4.is_link_local()
        }
        IpAddr::V6(v6) => {
            !(v6.is_multicast() || v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local())
        }
    }
}

/// Both ports as one number; 0 for protocols without.
fn ports(protocol: u8, payload: &[u8]) -> u64 {
    match (protocol, payload.first_chunk::<4>()) {
        (TCP | UDP | DCCP | SCTP | UDP_LITE, Some(ports)) => u64::from(u32::from_be_bytes(*ports)),
        _ => 0,
    }
}

/// The transport protocol and its ports, behind the extension headers. Of fragments, the fragment header and no ports.
fn upper_layer(first: u8, payload: &[u8]) -> (u8, u64) {
    let (mut protocol, mut rest) = (first, payload);
    for _ in 0..MOST_EXTENSIONS {
        match protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                let Some(&[next, length]) = rest.first_chunk::<2>() else {
                    break;
                };
                protocol = next;
                rest = rest.get((usize::from(length) + 1) * 8..).unwrap_or_default();
            }
            FRAGMENT => return (FRAGMENT, 0),
            _ => break,
        }
    }
    (protocol, ports(protocol, rest))
}

/// Two words to 32 well-mixed bits: the halves of a 128-bit product, folded.
fn mix(a: u64, b: u64) -> u32 {
    let fold = |x: u64, y: u64| {
        let product = u128::from(x) * u128::from(y);
        (product >> 64) as u64 ^ product as u64
    };
    // Odd constants with about half their bits set: digits of pi and e.
    let once = fold(a ^ 0x243f_6a88_85a3_08d3, b ^ 0x1319_8a2e_0370_7345);
    let twice = fold(once ^ 0xb7e1_5162_8aed_2a6b, 0xbf71_5880_9cf4_f3c7);
    (twice >> 32) as u32 ^ twice as u32
}

/// Sets TTL or hop limit of a packet that [`Inner::parse`] accepted.
pub(crate) fn set_ttl(packet: &mut [u8], ttl: u8) {
    if packet.first().is_some_and(|byte| byte >> 4 == 6) {
        if let Some(byte) = packet.get_mut(7) {
            *byte = ttl;
        }
    } else if let Some(header) = packet.first_chunk_mut::<IPV4_HEADER>() {
        let old = u16::from_be_bytes([header[8], header[9]]);
        header[8] = ttl;
        update_checksum(header, old, u16::from_be_bytes([header[8], header[9]]));
    }
}

/// Sets DSCP and ECN of a packet that [`Inner::parse`] accepted.
pub(crate) fn set_traffic_class(packet: &mut [u8], class: u8) {
    if packet.first().is_some_and(|byte| byte >> 4 == 6) {
        if let Some([first, second]) = packet.first_chunk_mut::<2>() {
            *first = *first & 0xf0 | class >> 4;
            *second = *second & 0x0f | class << 4;
        }
    } else if let Some(header) = packet.first_chunk_mut::<IPV4_HEADER>() {
        let old = u16::from_be_bytes([header[0], header[1]]);
        header[1] = class;
        update_checksum(header, old, u16::from_be_bytes([header[0], header[1]]));
    }
}

fn update_checksum(header: &mut [u8; IPV4_HEADER], old: u16, new: u16) {
    let checksum = u16::from_be_bytes([header[10], header[11]]);
    [header[10], header[11]] = checksum::updated(checksum, old, new).to_be_bytes();
}

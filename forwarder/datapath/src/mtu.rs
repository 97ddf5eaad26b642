//! Packets too big for the tunnel (RFC 9300 section 7): their sender is told, or they are cut before they enter it.
//! So there is never a silent black hole, and no locator has to put pieces of outer packets together.

use std::net::IpAddr;

use crate::checksum;
use crate::inner::{Fragmentation, IPV4_HEADER, IPV6_HEADER, Inner};

/// IPv4, UDP and LISP headers (H of RFC 9300 section 7.1).
pub const OVERHEAD_V4: u16 = 20 + 8 + 8;
/// IPv6, UDP and LISP headers.
pub const OVERHEAD_V6: u16 = 40 + 8 + 8;
/// Every IPv6 link carries this much (RFC 8200 section 5).
pub const LEAST_V6: u16 = 1280;
/// An ICMPv4 error quotes so much that it stays within this (RFC 1812 section 4.3.2.3).
const MOST_ICMP_V4: usize = 576;
/// Bytes of an ICMP header.
const ICMP_HEADER: usize = 8;

/// How large a packet may be before it enters the tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    uplink: u16,
    /// Locators known to have a narrower path, sorted; few.
    paths: Vec<(IpAddr, u16)>,
}

impl Limits {
    /// All paths are as wide as the uplink (L of RFC 9300 section 7.1), bytes of an outer IP packet.
    pub fn new(uplink_mtu: u16) -> Self {
        Self {
            uplink: uplink_mtu,
            paths: Vec::new(),
        }
    }

    /// The path to `locator` was found to carry outer packets of at most `mtu` bytes (RFC 9300 section 7.2).
    /// What the uplink carries is forgotten again, since it limits nothing.
    pub fn learn(&mut self, locator: IpAddr, mtu: u16) {
        self.paths.retain(|(known, _)| *known != locator);
        if mtu < self.uplink {
            let at = self.paths.partition_point(|(known, _)| *known < locator);
            self.paths.insert(at, (locator, mtu));
        }
    }

    /// The locators known to have a narrower path.
    pub fn narrow(&self) -> impl Iterator<Item = IpAddr> {
        self.paths.iter().map(|(locator, _)| *locator)
    }

    /// The largest inner packet that fits an outer one to `locator`, bytes.
    pub fn inner(&self, locator: IpAddr) -> u16 {
        let overhead = if locator.is_ipv4() {
            OVERHEAD_V4
        } else {
            OVERHEAD_V6
        };
        let mut mtu = self.uplink;
        if !self.paths.is_empty()
            && let Ok(at) = self.paths.binary_search_by_key(&locator, |(known, _)| *known)
        {
            mtu = self.paths.get(at).map_or(mtu, |(_, mtu)| *mtu);
        }
        mtu.saturating_sub(overhead)
    }
}

/// Builds what the sender of a packet is told: ICMPv4 "fragmentation needed" (RFC 1191) or ICMPv6 "packet too big"
/// (RFC 4443 section 3.2). Returns its length in `out`, which should have 1280 bytes.
///
/// It comes from the address the packet was meant for. The forwarder's own would be refused by the kernel, since it
/// enters by the TUN, where the reverse path of a local address never leads.
///
/// `None` where none may be sent: for an ICMP error, for a piece that is not the first, or where `out` is too small.
pub fn packet_too_big(packet: &[u8], mtu: u16, out: &mut [u8]) -> Option<usize> {
    let inner = Inner::parse(packet).ok()?;
    if !inner.is_routable_unicast() {
        return None;
    }
    match (inner.source, inner.destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) => too_big_v4(packet.get(..inner.length)?, mtu, out),
        (IpAddr::V6(_), IpAddr::V6(_)) => too_big_v6(packet.get(..inner.length)?, mtu, out),
        _ => None,
    }
}

fn too_big_v4(packet: &[u8], mtu: u16, out: &mut [u8]) -> Option<usize> {
    const ICMP: u8 = 1;
    let header = packet.first_chunk::<IPV4_HEADER>()?;
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let is_error = header[9] == ICMP && !matches!(packet.get(header_length), Some(0 | 8 | 13..=18));
    let is_later_piece = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
    if is_error || is_later_piece {
        return None;
    }
    let quoted = packet.get(..packet.len().min(MOST_ICMP_V4 - IPV4_HEADER - ICMP_HEADER))?;
    let total = IPV4_HEADER + ICMP_HEADER + quoted.len();
    let (ip, icmp) = out.get_mut(..total)?.split_at_mut(IPV4_HEADER);
    ip.fill(0);
    ip[0] = 0x45;
    // RFC 1812 section 4.3.2.5: precedence "internetwork control".
    ip[1] = 0xc0;
    ip[2..4].copy_from_slice(&(total as u16).to_be_bytes());
    ip[8] = 64;
    ip[9] = ICMP;
    ip[12..16].copy_from_slice(&header[16..20]);
    ip[16..20].copy_from_slice(&header[12..16]);
    let sum = checksum::finish(checksum::sum(ip));
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    icmp[..ICMP_HEADER].copy_from_slice(&[3, 4, 0, 0, 0, 0, 0, 0]);
    icmp[6..8].copy_from_slice(&mtu.to_be_bytes());
    icmp[ICMP_HEADER..].copy_from_slice(quoted);
    let sum = checksum::finish(checksum::sum(icmp));
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    Some(total)
}

fn too_big_v6(packet: &[u8], mtu: u16, out: &mut [u8]) -> Option<usize> {
    const ICMP_V6: u8 = 58;
    let header = packet.first_chunk::<IPV6_HEADER>()?;
    // Error messages have types below 128 (RFC 4443 section 2.1).
    if header[6] == ICMP_V6 && packet.get(IPV6_HEADER).is_none_or(|kind| *kind < 128) {
        return None;
    }
    let quoted = packet.get(
        ..packet
            .len()
            .min(usize::from(LEAST_V6) - IPV6_HEADER - ICMP_HEADER),
    )?;
    let length = ICMP_HEADER + quoted.len();
    let (ip, icmp) = out.get_mut(..IPV6_HEADER + length)?.split_at_mut(IPV6_HEADER);
    ip.fill(0);
    ip[0] = 0x60;
    ip[4..6].copy_from_slice(&(length as u16).to_be_bytes());
    ip[6] = ICMP_V6;
    ip[7] = 64;
    ip[8..24].copy_from_slice(&header[24..40]);
    ip[24..40].copy_from_slice(&header[8..24]);
    icmp[..4].copy_from_slice(&[2, 0, 0, 0]);
    icmp[4..8].copy_from_slice(&u32::from(mtu.max(LEAST_V6)).to_be_bytes());
    icmp[ICMP_HEADER..].copy_from_slice(quoted);
    // RFC 8200 section 8.1: the sum covers the addresses, the length and the protocol too.
    let pseudo = checksum::sum(&ip[8..40]) + length as u32 + u32::from(ICMP_V6);
    let sum = checksum::finish(pseudo + checksum::sum(icmp));
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    Some(IPV6_HEADER + length)
}

/// Whether a piece found room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Taken,
    None,
}

/// Cuts an IPv4 packet into pieces of at most `limit` bytes (RFC 791 section 3.2), as few and as equal as can be (RFC 9300
/// section 7.1), and hands each out as header and body.
/// [`Room::None`] if the packet may not be cut, the limit holds no 8 bytes, or a piece found no room.
pub(crate) fn fragment(packet: &[u8], limit: usize, mut take: impl FnMut(&[u8], &[u8]) -> Room) -> Room {
    let Ok(inner) = Inner::parse(packet) else {
        return Room::None;
    };
    let Some(fixed) = packet
        .first_chunk::<IPV4_HEADER>()
        .filter(|_| inner.source.is_ipv4())
    else {
        return Room::None;
    };
    let header_length = usize::from(fixed[0] & 0x0f) * 4;
    let (Some(header), Some(mut body)) = (
        packet.get(..header_length),
        packet.get(header_length..inner.length),
    ) else {
        return Room::None;
    };
    if inner.fragmentation == Fragmentation::Forbidden {
        return Room::None;
    }
    let field = u16::from_be_bytes([fixed[6], fixed[7]]);
    let (last_of_all, mut offset) = (field & 0x2000 == 0, field & 0x1fff);
    let mut first = [0u8; 60];
    let mut later = [0u8; 60];
    first[..header_length].copy_from_slice(header);
    let later_length = copied_options(header, &mut later);
    let mut current = (&mut first, header_length);
    loop {
        let (buffer, length) = (&mut *current.0, current.1);
        let room = limit.saturating_sub(length) / 8 * 8;
        if room == 0 {
            return Room::None;
        }
        let pieces = body.len().div_ceil(room).max(1);
        let even = body.len().div_ceil(pieces).next_multiple_of(8);
        let (piece, rest) = body.split_at(even.min(body.len()));
        let more = if rest.is_empty() && last_of_all { 0 } else { 0x2000 };
        let head = &mut buffer[..length];
        head[0] = 0x40 | (length / 4) as u8;
        head[2..4].copy_from_slice(&((length + piece.len()) as u16).to_be_bytes());
        head[6..8].copy_from_slice(&(offset | more).to_be_bytes());
        head[10..12].fill(0);
        let sum = checksum::finish(checksum::sum(head));
        head[10..12].copy_from_slice(&sum.to_be_bytes());
        if take(head, piece) == Room::None {
            return Room::None;
        }
        if rest.is_empty() {
            return Room::Taken;
        }
        offset += (piece.len() / 8) as u16;
        body = rest;
        current = (&mut later, later_length);
    }
}

/// The header of the later pieces: the fixed part, and the options that are to be copied. Returns its length.
fn copied_options(header: &[u8], later: &mut [u8; 60]) -> usize {
    let (fixed, mut options) = header.split_at(IPV4_HEADER.min(header.len()));
    later[..fixed.len()].copy_from_slice(fixed);
    let mut end = IPV4_HEADER;
    while let Some(&kind) = options.first() {
        let length = match kind {
            0 => break,                                                   // end of list
            1 => 1,                                                       // no operation
            _ => options.get(1).map_or(0, |length| usize::from(*length)), // kind, length, data
        };
        let Some(option) = options.get(..length).filter(|option| !option.is_empty()) else {
            break;
        };
        if kind & 0x80 != 0
            && let Some(room) = later.get_mut(end..end + length)
        {
            room.copy_from_slice(option);
            end += length;
        }
        options = options.get(length..).unwrap_or_default();
    }
    end.next_multiple_of(4).min(60)
}

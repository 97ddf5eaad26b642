//! Encapsulated Control Message (RFC 9301 section 5.8): a control message with IP and UDP headers of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::flag;
use super::reader::Reader;
use crate::CONTROL_PORT;
use crate::error::{EmitError, Part, WireError};
use crate::message::{AuthField, Encapsulated, Via};

/// Bits of the first word.
const SECURITY: u32 = 1 << 27;
const DDT: u32 = 1 << 26;
/// The NAT draft's: R, to be processed by a router; N, handed on by one.
const ROUTER: u32 = 1 << 22;
const RELAYED: u32 = 1 << 21;
/// The kind of authentication data that is a router's (LISP-SEC has type 1).
const AD_ROUTER: u8 = 2;

const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
const IPV4_HEADER: usize = 20;
/// The inner packet crosses no router, but whoever unwraps it may send it on.
const HOP_LIMIT: u8 = 255;
const DONT_FRAGMENT: u16 = 0x4000;
/// MF and the fragment offset.
const FRAGMENT: u16 = 0x3fff;

impl Encapsulated {
    pub(super) fn read(word: u32, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let via = read_via(word, reader)?;
        let mut ahead = *reader;
        let (from, destination) = match ahead.u8(Part::InnerIp)? >> 4 {
            4 => read_ipv4(reader)?,
            6 => read_ipv6(reader)?,
            version => return Err(inner(Part::InnerIp, "version", u32::from(version), 4)),
        };
        let (port, message) = read_udp(reader, from, destination)?;
        Ok(Self {
            source: SocketAddr::new(from, port),
            destination,
            ddt_originated: word & DDT != 0,
            via,
            message: message.to_vec(),
        })
    }

    pub(super) fn write(&self, word: u32, out: &mut Vec<u8>) -> Result<(), EmitError> {
        let Self {
            source,
            destination,
            ddt_originated,
            via,
            message,
        } = self;
        let bits = match via {
            Via::Nobody => 0,
            Via::ToRouter => ROUTER,
            Via::FromRouter => RELAYED,
            Via::Notice(_) => SECURITY | ROUTER,
        };
        out.extend_from_slice(&(word | flag(*ddt_originated, DDT) | bits).to_be_bytes());
        if let Via::Notice(auth) = via {
            out.extend_from_slice(&[AD_ROUTER, 0, 0, 0]);
            auth.write(out)?;
        }
        let length = UDP_HEADER + message.len();
        // The IPv4 length counts its own header, and so is the first to overflow.
        let most = usize::from(u16::MAX) - IPV4_HEADER;
        if length > most {
            return Err(EmitError::TooLong {
                length: message.len(),
                most: most - UDP_HEADER,
            });
        }
        match (source.ip(), destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => write_ipv4(from, *to, length, out),
            (IpAddr::V6(from), IpAddr::V6(to)) => write_ipv6(from, *to, length, out),
            _ => {
                return Err(EmitError::Contradiction {
                    what: "source and destination of an inner packet are of one address family",
                });
            }
        }
        write_udp(source, *destination, message, out);
        Ok(())
    }
}

/// Authentication data is read where it is a router's; LISP-SEC is not spoken here.
fn read_via(word: u32, reader: &mut Reader<'_>) -> Result<Via, WireError> {
    if word & SECURITY != 0 {
        let [kind, ..] = reader.array::<4>(Part::Authentication)?;
        if kind != AD_ROUTER || word & ROUTER == 0 {
            return Err(WireError::LispSec);
        }
        return AuthField::read(reader).map(Via::Notice);
    }
    Ok(if word & ROUTER != 0 {
        Via::ToRouter
    } else if word & RELAYED != 0 {
        Via::FromRouter
    } else {
        Via::Nobody
    })
}

fn read_ipv4(reader: &mut Reader<'_>) -> Result<(IpAddr, IpAddr), WireError> {
    let part = Part::InnerIp;
    let mut fields = *reader;
    let packet = fields.left();
    let [first, _tos] = fields.array(part)?;
    let header = usize::from(first & 0x0f) * 4;
    if header < IPV4_HEADER {
        return Err(inner(part, "header length", header as u32, IPV4_HEADER as u32));
    }
    let bytes = reader.bytes(header, part)?;
    if sum(0, bytes) != 0xffff {
        return Err(WireError::Checksum { part });
    }
    let total = fields.u16(part)?;
    if usize::from(total) != packet {
        return Err(inner(part, "total length", u32::from(total), packet as u32));
    }
    let [_id, fragment] = [fields.u16(part)?, fields.u16(part)?];
    if fragment & FRAGMENT != 0 {
        return Err(inner(part, "fragment", u32::from(fragment & FRAGMENT), 0));
    }
    let [_ttl, protocol] = fields.array(part)?;
    if protocol != UDP {
        return Err(inner(part, "protocol", u32::from(protocol), u32::from(UDP)));
    }
    let _checksum = fields.u16(part)?;
    Ok((fields.array::<4>(part)?.into(), fields.array::<4>(part)?.into()))
}

fn read_ipv6(reader: &mut Reader<'_>) -> Result<(IpAddr, IpAddr), WireError> {
    let part = Part::InnerIp;
    let _version_class_flow = reader.u32(part)?;
    let length = reader.u16(part)?;
    let [next, _hop_limit] = reader.array(part)?;
    let (from, to) = (reader.array::<16>(part)?, reader.array::<16>(part)?);
    if usize::from(length) != reader.left() {
        return Err(inner(
            part,
            "payload length",
            u32::from(length),
            reader.left() as u32,
        ));
    }
    if next != UDP {
        return Err(inner(part, "next header", u32::from(next), u32::from(UDP)));
    }
    Ok((from.into(), to.into()))
}

/// The inner source port, and the message, which is all that is left.
fn read_udp<'a>(reader: &mut Reader<'a>, from: IpAddr, to: IpAddr) -> Result<(u16, &'a [u8]), WireError> {
    let part = Part::InnerUdp;
    let mut whole = *reader;
    let datagram = whole.bytes(whole.left(), part)?;
    let [source, destination, length, checksum] = [
        reader.u16(part)?,
        reader.u16(part)?,
        reader.u16(part)?,
        reader.u16(part)?,
    ];
    if destination != CONTROL_PORT {
        return Err(inner(
            part,
            "destination port",
            u32::from(destination),
            u32::from(CONTROL_PORT),
        ));
    }
    if usize::from(length) != datagram.len() {
        return Err(inner(part, "length", u32::from(length), datagram.len() as u32));
    }
    // Zero is "not computed" over IPv4 (RFC 768); over IPv6 there must be one (RFC 8200 section 8.1).
    if (checksum != 0 || to.is_ipv6()) && sum(pseudo_header(from, to, length), datagram) != 0xffff {
        return Err(WireError::Checksum { part });
    }
    Ok((source, reader.bytes(reader.left(), Part::InnerMessage)?))
}

fn write_ipv4(from: Ipv4Addr, to: Ipv4Addr, length: usize, out: &mut Vec<u8>) {
    let mut header = [0; IPV4_HEADER];
    let fields: [&[u8]; 8] = [
        &[0x45, 0],
        &((IPV4_HEADER + length) as u16).to_be_bytes(),
        &[0, 0],
        &DONT_FRAGMENT.to_be_bytes(),
        &[HOP_LIMIT, UDP],
        &[0, 0],
        &from.octets(),
        &to.octets(),
    ];
    header
        .iter_mut()
        .zip(fields.into_iter().flatten())
        .for_each(|(to, from)| *to = *from);
    let checksum = !sum(0, &header);
    out.extend_from_slice(&header[..10]);
    out.extend_from_slice(&checksum.to_be_bytes());
    out.extend_from_slice(&header[12..]);
}

fn write_ipv6(from: Ipv6Addr, to: Ipv6Addr, length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x60, 0, 0, 0]);
    out.extend_from_slice(&(length as u16).to_be_bytes());
    out.extend_from_slice(&[UDP, HOP_LIMIT]);
    out.extend_from_slice(&from.octets());
    out.extend_from_slice(&to.octets());
}

fn write_udp(source: &SocketAddr, destination: IpAddr, message: &[u8], out: &mut Vec<u8>) {
    let length = (UDP_HEADER + message.len()) as u16;
    let ports = [
        source.port().to_be_bytes(),
        CONTROL_PORT.to_be_bytes(),
        length.to_be_bytes(),
    ];
    let head = sum(
        pseudo_header(source.ip(), destination, length),
        ports.as_flattened(),
    );
    // RFC 768: a checksum of zero is sent as ones, for zero says there is none.
    let checksum = match !sum(u32::from(head), message) {
        0 => 0xffff,
        checksum => checksum,
    };
    out.extend_from_slice(ports.as_flattened());
    out.extend_from_slice(&checksum.to_be_bytes());
    out.extend_from_slice(message);
}

fn pseudo_header(from: IpAddr, to: IpAddr, length: u16) -> u32 {
    let addresses = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => sum(0, [from.octets(), to.octets()].as_flattened()),
        (IpAddr::V6(from), IpAddr::V6(to)) => sum(0, [from.octets(), to.octets()].as_flattened()),
        // Never so: both come from one header, or were compared.
        _ => 0,
    };
    u32::from(addresses) + u32::from(UDP) + u32::from(length)
}

/// The one's complement sum of 16-bit words (RFC 1071), an odd last byte padded with zero.
fn sum(start: u32, bytes: &[u8]) -> u16 {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut total = pairs
        .iter()
        .map(|pair| u64::from(u16::from_be_bytes(*pair)))
        .sum::<u64>()
        + u64::from(start);
    total += odd.first().map_or(0, |byte| u64::from(*byte) << 8);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

const fn inner(part: Part, field: &'static str, says: u32, is: u32) -> WireError {
    WireError::Inner {
        part,
        field,
        says,
        is,
    }
}

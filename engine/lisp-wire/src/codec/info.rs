//! Info-Request and Info-Reply, type 7 (draft-ermagan-lisp-nat-traversal section 4), and the NAT-Traversal address in
//! the reply (RFC 8060 section 4.4, LCAF type 7).
//!
//! ```text
//! |Type=7 |R|            Reserved                                 |
//! |                        Nonce (64 bits)                        |
//! |    Key ID     | Algorithm ID  |  Authentication Data Length   |
//! ~                      Authentication Data                      ~
//! |                              TTL                              |
//! |   Reserved    | EID mask-len  |        EID-prefix-AFI ...     |
//! |   AFI = 0 (request), or a NAT-Traversal address (reply)       |
//! ```

use std::net::IpAddr;

use super::family::{self, Address};
use super::reader::Reader;
use super::register::{self, AuthView};
use crate::Rloc;
use crate::error::{EmitError, Part, WireError};
use crate::mapping::Ttl;
use crate::message::{AuthField, Info, NatTraversal, Nonce};

/// R: it is a reply.
const REPLY: u32 = 1 << 27;
/// IANA "LISP Canonical Address Format (LCAF) Types".
const LCAF_NAT_TRAVERSAL: u8 = 7;
/// Re-encapsulating routers that a reply can name; more would fit the length field, but no router needs them.
const MOST_RTRS: usize = 16;

impl Info {
    pub(super) fn read(word: u32, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let nonce = Nonce(reader.u64(Part::Nonce)?);
        let auth = AuthField::read(reader)?;
        let ttl = Ttl(reader.u32(Part::EidRecord(0))?);
        let [_reserved, mask_length] = reader.array(Part::EidRecord(0))?;
        let eid = Address::read(reader, Part::EidRecord(0))?.prefix(mask_length, Part::EidRecord(0))?;
        let nat = if word & REPLY == 0 {
            // "Nothing follows AFI=0"; what a request has in this place is not looked at otherwise.
            match reader.u16(Part::NatTraversal)? {
                family::AFI_NONE => None,
                afi => {
                    let part = Part::NatTraversal;
                    return Err(WireError::AddressFamily { part, afi });
                }
            }
        } else {
            Some(read_nat(reader)?)
        };
        Ok(Self {
            nonce,
            auth,
            ttl,
            eid,
            nat,
        })
    }

    pub(super) fn write(&self, word: u32, auth: AuthView<'_>, out: &mut Vec<u8>) -> Result<(), EmitError> {
        let Self {
            nonce,
            auth: _,
            ttl,
            eid,
            nat,
        } = self;
        register::write_head(word | super::flag(nat.is_some(), REPLY), *nonce, auth, out)?;
        out.extend_from_slice(&ttl.0.to_be_bytes());
        out.extend_from_slice(&[0, eid.length()]);
        family::write_eid(eid.first(), out);
        match nat {
            None => family::write_none(out),
            Some(nat) => write_nat(nat, out)?,
        }
        Ok(())
    }
}

fn read_nat(reader: &mut Reader<'_>) -> Result<NatTraversal, WireError> {
    let part = Part::NatTraversal;
    let afi = reader.u16(part)?;
    if afi != family::AFI_LCAF {
        return Err(WireError::AddressFamily { part, afi });
    }
    let [_reserved, _flags, kind, _reserved_2] = reader.array(part)?;
    let length = reader.u16(part)?;
    if kind != LCAF_NAT_TRAVERSAL {
        return Err(WireError::Lcaf { part, kind });
    }
    let mut inside = Reader::new(reader.bytes(usize::from(length), part)?);
    let [server_port, etr_port] = [inside.u16(part)?, inside.u16(part)?];
    let mut address = || read_address(&mut inside);
    let (global, server, private) = (address()?, address()?, address()?);
    let mut rtrs = Vec::new();
    while inside.left() > 0 && rtrs.len() < MOST_RTRS {
        rtrs.extend(read_address(&mut inside)?);
    }
    if inside.left() > 0 {
        let holds = usize::from(length) - inside.left();
        return Err(WireError::LcafLength { part, length, holds });
    }
    Ok(NatTraversal {
        server_port,
        etr_port,
        global,
        server,
        private,
        rtrs,
    })
}

fn read_address(inside: &mut Reader<'_>) -> Result<Option<Rloc>, WireError> {
    let part = Part::NatTraversal;
    match Address::read(inside, part)? {
        Address::None => Ok(None),
        Address::Ip(address) => Ok(Some(Rloc(address))),
        _ => Err(WireError::AddressFamily {
            part,
            afi: family::AFI_LCAF,
        }),
    }
}

fn write_nat(nat: &NatTraversal, out: &mut Vec<u8>) -> Result<(), EmitError> {
    let NatTraversal {
        server_port,
        etr_port,
        global,
        server,
        private,
        rtrs,
    } = nat;
    if rtrs.len() > MOST_RTRS {
        return Err(EmitError::Count {
            what: "re-encapsulating routers",
            count: rtrs.len(),
            least: 0,
            most: MOST_RTRS,
        });
    }
    let fixed = [*global, *server, *private];
    let addresses = || fixed.into_iter().chain(rtrs.iter().copied().map(Some));
    let bytes: usize = addresses().map(bytes_of).sum();
    out.extend_from_slice(&family::AFI_LCAF.to_be_bytes());
    out.extend_from_slice(&[0, 0, LCAF_NAT_TRAVERSAL, 0]);
    out.extend_from_slice(&(bytes as u16 + 4).to_be_bytes());
    out.extend_from_slice(&server_port.to_be_bytes());
    out.extend_from_slice(&etr_port.to_be_bytes());
    for address in addresses() {
        match address {
            Some(rloc) => family::write_ip(rloc.0, out),
            None => family::write_none(out),
        }
    }
    Ok(())
}

/// Family and address.
const fn bytes_of(address: Option<Rloc>) -> usize {
    match address {
        None => 2,
        Some(Rloc(IpAddr::V4(_))) => 6,
        Some(Rloc(IpAddr::V6(_))) => 18,
    }
}

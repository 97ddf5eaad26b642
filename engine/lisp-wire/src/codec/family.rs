//! Addresses with their family before them (RFC 9301 section 5.1), instance-ids (RFC 8060 section 4.1), and explicit
//! locator paths (RFC 8060, LCAF type 10).

use std::net::IpAddr;

use super::reader::Reader;
use crate::error::{Part, WireError};
use crate::path::PathError;
use crate::{Eid, EidPrefix, Hop, InstanceId, Path, Rloc};

/// IANA "Address Family Numbers".
pub(super) const AFI_NONE: u16 = 0;
const AFI_IPV4: u16 = 1;
const AFI_IPV6: u16 = 2;
pub(super) const AFI_LCAF: u16 = 16387;

/// IANA "LISP Canonical Address Format (LCAF) Types".
pub(super) const LCAF_INSTANCE_ID: u8 = 2;

pub(super) const LCAF_PATH: u8 = 10;

/// Flags before each hop of a path.
const LOOKUP: u16 = 0x0004;
const PROBE: u16 = 0x0002;
const STRICT: u16 = 0x0001;

/// Bytes of an instance-id and the address family after it, which the stated length counts beside the address.
const INSTANCE_ID_HEAD: usize = 6;

/// An address as it stands on the wire.
pub(super) enum Address {
    /// AFI 0.
    None,
    /// AFI 1 or 2.
    Ip(IpAddr),
    /// An instance-id LCAF around AFI 1 or 2.
    Tenant(Eid),
    /// An explicit locator path; refused where it has no hop, too many, or one twice.
    Path(Result<Path, PathError>),
    /// Another LCAF: understood only as far as its length.
    OtherLcaf {
        /// Its type.
        kind: u8,
    },
}

impl Address {
    /// Reads the family and what follows it.
    pub(super) fn read(reader: &mut Reader<'_>, part: Part) -> Result<Self, WireError> {
        match reader.u16(part)? {
            AFI_NONE => Ok(Self::None),
            AFI_LCAF => Self::read_lcaf(reader, part),
            afi => read_ip(reader, afi, part).map(Self::Ip),
        }
    }

    fn read_lcaf(reader: &mut Reader<'_>, part: Part) -> Result<Self, WireError> {
        let [_reserved, _flags, kind, _iid_mask_len] = reader.array(part)?;
        let length = reader.u16(part)?;
        let mut inside = Reader::new(reader.bytes(usize::from(length), part)?);
        if kind == LCAF_PATH {
            return match read_path(&mut inside, part) {
                // A hop that is no IP address: the path is none that we could go.
                Err(WireError::AddressFamily { .. }) => Ok(Self::OtherLcaf { kind }),
                path => path.map(Self::Path),
            };
        }
        if kind != LCAF_INSTANCE_ID {
            return Ok(Self::OtherLcaf { kind });
        }
        let number = inside.u32(part)?;
        let iid = InstanceId::new(number).map_err(|_| WireError::InstanceId { part, number })?;
        let afi = inside.u16(part)?;
        let address = read_ip(&mut inside, afi, part)?;
        if inside.left() != 0 {
            return Err(WireError::LcafLength {
                part,
                length,
                holds: usize::from(length) - inside.left(),
            });
        }
        Ok(Self::Tenant(Eid { iid, address }))
    }

    /// An EID, which must be an IP address; `None` for AFI 0.
    pub(super) fn eid(self, part: Part) -> Result<Option<Eid>, WireError> {
        match self {
            Self::None => Ok(None),
            Self::Ip(address) => Ok(Some(Eid::of(address))),
            Self::Tenant(eid) => Ok(Some(eid)),
            Self::Path(_) => Err(WireError::Lcaf {
                part,
                kind: LCAF_PATH,
            }),
            Self::OtherLcaf { kind } => Err(WireError::Lcaf { part, kind }),
        }
    }

    /// An EID prefix of this mask length.
    pub(super) fn prefix(self, length: u8, part: Part) -> Result<EidPrefix, WireError> {
        let eid = self
            .eid(part)?
            .ok_or(WireError::AddressFamily { part, afi: AFI_NONE })?;
        EidPrefix::new(eid.iid, eid.address, length).map_err(|_| WireError::MaskLength {
            part,
            address: eid.address,
            length,
        })
    }
}

fn read_ip(reader: &mut Reader<'_>, afi: u16, part: Part) -> Result<IpAddr, WireError> {
    match afi {
        AFI_IPV4 => Ok(IpAddr::from(reader.array::<4>(part)?)),
        AFI_IPV6 => Ok(IpAddr::from(reader.array::<16>(part)?)),
        afi => Err(WireError::AddressFamily { part, afi }),
    }
}

/// Reads hops to the end.
fn read_path(inside: &mut Reader<'_>, part: Part) -> Result<Result<Path, PathError>, WireError> {
    let mut hops = Vec::new();
    while inside.left() > 0 {
        let flags = inside.u16(part)?;
        let afi = inside.u16(part)?;
        let rloc = Rloc(read_ip(inside, afi, part)?);
        let flag = |bit| flags & bit != 0;
        hops.push(Hop {
            rloc,
            lookup: flag(LOOKUP),
            probe: flag(PROBE),
            strict: flag(STRICT),
        });
    }
    Ok(Path::new(&hops))
}

/// Appends a path.
pub(super) fn write_path(path: &Path, out: &mut Vec<u8>) {
    let mut hops = Vec::new();
    for hop in path.hops() {
        let mut flags = 0;
        for (set, bit) in [(hop.lookup, LOOKUP), (hop.probe, PROBE), (hop.strict, STRICT)] {
            if set {
                flags |= bit;
            }
        }
        hops.extend_from_slice(&flags.to_be_bytes());
        write_ip(hop.rloc.0, &mut hops);
    }
    out.extend_from_slice(&AFI_LCAF.to_be_bytes());
    out.extend_from_slice(&[0, 0, LCAF_PATH, 0]);
    out.extend_from_slice(&(hops.len() as u16).to_be_bytes());
    out.extend(hops);
}

/// Appends AFI 0.
pub(super) fn write_none(out: &mut Vec<u8>) {
    out.extend_from_slice(&AFI_NONE.to_be_bytes());
}

/// Appends family and address.
pub(super) fn write_ip(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => {
            out.extend_from_slice(&AFI_IPV4.to_be_bytes());
            out.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            out.extend_from_slice(&AFI_IPV6.to_be_bytes());
            out.extend_from_slice(&v6.octets());
        }
    }
}

/// Appends an EID: bare in the default tenant, in an instance-id LCAF in others.
pub(super) fn write_eid(eid: Eid, out: &mut Vec<u8>) {
    if eid.iid != InstanceId::DEFAULT {
        let length = INSTANCE_ID_HEAD + if eid.address.is_ipv4() { 4 } else { 16 };
        out.extend_from_slice(&AFI_LCAF.to_be_bytes());
        // Reserved, flags, type; the mask length matters only where no address follows, and peers write all 32 bits.
        out.extend_from_slice(&[0, 0, LCAF_INSTANCE_ID, 32]);
        out.extend_from_slice(&(length as u16).to_be_bytes());
        out.extend_from_slice(&eid.iid.get().to_be_bytes());
    }
    write_ip(eid.address, out);
}

//! Map-Request (RFC 9301 section 5.2) and Map-Reply (section 5.4).

use super::family::{self, Address};
use super::reader::Reader;
use super::{flag, record, register};
use crate::error::{EmitError, Part, WireError};
use crate::message::{MapReply, MapRequest, Nonce, NotifyBits};
use crate::{EidPrefix, Rloc};

/// Bits of the first word of a Map-Request.
mod ask {
    pub(super) const A: u32 = 1 << 27;
    pub(super) const M: u32 = 1 << 26;
    pub(super) const P: u32 = 1 << 25;
    pub(super) const SOLICIT: u32 = 1 << 24;
    pub(super) const PROXY: u32 = 1 << 23;
    pub(super) const INVOKED: u32 = 1 << 22;
    /// RFC 9437 section 4: xTR-ID and Site-ID follow the last record.
    pub(super) const I: u32 = 1 << 20;
    pub(super) const NO_REPLY: u32 = 1 << 13;
    /// Count of ITR-RLOCs less one, 5 bits.
    pub(super) const IRC_SHIFT: u32 = 8;
    pub(super) const IRC: u32 = 0x1f << IRC_SHIFT;
}

/// Bits of the first word of a Map-Reply.
mod answer {
    pub(super) const P: u32 = 1 << 27;
    pub(super) const E: u32 = 1 << 26;
    pub(super) const SECURITY: u32 = 1 << 25;
}

/// The most ITR-RLOCs a request can name.
const MOST_ITR_RLOCS: usize = 32;
/// Bytes of the shortest ITR-RLOC, one without an address.
const LEAST_ITR_RLOC: usize = 2;
/// Bytes of the shortest EID record, an IPv4 prefix.
const LEAST_EID_RECORD: usize = 8;
/// N of an EID record (RFC 9437 section 4).
const NOTIFY: u8 = 1 << 7;

impl MapRequest {
    pub(super) fn read(word: u32, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let nonce = Nonce(reader.u64(Part::Nonce)?);
        let source_eid = Address::read(reader, Part::SourceEid)?.eid(Part::SourceEid)?;
        let itr_rlocs = read_itr_rlocs(reader, ((word & ask::IRC) >> ask::IRC_SHIFT) as u8 + 1)?;
        let (eids, notify) = read_eids(reader, word as u8)?;
        let map_reply = match word & ask::M {
            0 => None,
            _ => Some(record::read(reader, Part::CarriedRecord)?),
        };
        let xtr = register::read_trailer(word & ask::I, reader)?;
        // Without the I bit nobody subscribes, and N is the reserved bit that it was.
        let notify = xtr.map_or(NotifyBits::NONE, |_| notify);
        let itr_rlocs = match itr_rlocs {
            ItrRlocs::Some(itr_rlocs) => itr_rlocs,
            ItrRlocs::Unknown if !notify.is_empty() => Vec::new(),
            ItrRlocs::Unknown | ItrRlocs::Unusable => {
                return Err(WireError::Missing {
                    part: Part::ItrRloc(0),
                });
            }
        };
        Ok(Self {
            nonce,
            authoritative: word & ask::A != 0,
            probe: word & ask::P != 0,
            solicit: word & ask::SOLICIT != 0,
            invoked: word & ask::INVOKED != 0,
            proxy_itr: word & ask::PROXY != 0,
            no_reply: word & ask::NO_REPLY != 0,
            source_eid,
            itr_rlocs,
            eids,
            map_reply,
            notify,
            xtr,
        })
    }

    pub(super) fn write(&self, word: u32, out: &mut Vec<u8>) -> Result<(), EmitError> {
        let Self {
            nonce,
            authoritative,
            probe,
            solicit,
            invoked,
            proxy_itr,
            no_reply,
            notify,
            xtr,
            ..
        } = *self;
        let Self {
            source_eid,
            itr_rlocs,
            eids,
            map_reply,
            ..
        } = self;
        if !notify.is_empty() && xtr.is_none() {
            return Err(EmitError::Contradiction {
                what: "whoever asks to be notified must say which xTR it is",
            });
        }
        if !notify.are_within(eids.len()) {
            return Err(EmitError::Contradiction {
                what: "notifications are asked for of EID records that are not there",
            });
        }
        let least = usize::from(notify.is_empty());
        if !(least..=MOST_ITR_RLOCS).contains(&itr_rlocs.len()) {
            let count = itr_rlocs.len();
            return Err(EmitError::Count {
                what: "ITR-RLOCs",
                count,
                least,
                most: MOST_ITR_RLOCS,
            });
        }
        let word = word
            | flag(authoritative, ask::A)
            | flag(map_reply.is_some(), ask::M)
            | flag(probe, ask::P)
            | flag(solicit, ask::SOLICIT)
            | flag(proxy_itr, ask::PROXY)
            | flag(invoked, ask::INVOKED)
            | flag(no_reply, ask::NO_REPLY)
            | flag(xtr.is_some(), ask::I)
            | (itr_rlocs.len().saturating_sub(1) as u32) << ask::IRC_SHIFT
            | u32::from(record::count("EID records", eids.len(), 1)?);
        out.extend_from_slice(&word.to_be_bytes());
        out.extend_from_slice(&nonce.0.to_be_bytes());
        match source_eid {
            Some(eid) => family::write_eid(*eid, out),
            None => family::write_none(out),
        }
        if itr_rlocs.is_empty() {
            family::write_none(out);
        }
        for rloc in itr_rlocs {
            family::write_ip(rloc.0, out);
        }
        for (index, eid) in (0..=u8::MAX).zip(eids) {
            let reserved = if notify.contains(index) { NOTIFY } else { 0 };
            out.extend_from_slice(&[reserved, eid.length()]);
            family::write_eid(eid.first(), out);
        }
        map_reply
            .iter()
            .try_for_each(|mapping| record::write(mapping, out))?;
        register::write_trailer(xtr, out);
        Ok(())
    }
}

impl MapReply {
    pub(super) fn read(word: u32, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        if word & answer::SECURITY != 0 {
            return Err(WireError::LispSec);
        }
        let nonce = Nonce(reader.u64(Part::Nonce)?);
        let records = record::read_all(reader, word as u8)?;
        Ok(Self {
            nonce,
            probe: word & answer::P != 0,
            echo_nonce: word & answer::E != 0,
            records,
        })
    }

    pub(super) fn write(&self, word: u32, out: &mut Vec<u8>) -> Result<(), EmitError> {
        let Self {
            nonce,
            probe,
            echo_nonce,
            records,
        } = self;
        let word = word
            | flag(*probe, answer::P)
            | flag(*echo_nonce, answer::E)
            | u32::from(record::count("records", records.len(), 0)?);
        out.extend_from_slice(&word.to_be_bytes());
        out.extend_from_slice(&nonce.0.to_be_bytes());
        record::write_all(records, out)
    }
}

/// What can be made of the ITR-RLOCs of a request.
enum ItrRlocs {
    /// At least one IP address; what is none is left out.
    Some(Vec<Rloc>),
    /// One without an address (AFI 0) and no other.
    Unknown,
    /// None that we could answer to.
    Unusable,
}

fn read_itr_rlocs(reader: &mut Reader<'_>, count: u8) -> Result<ItrRlocs, WireError> {
    reader.expect(count, LEAST_ITR_RLOC, Part::ItrRloc(0))?;
    let mut rlocs = Vec::with_capacity(usize::from(count));
    let mut unknown = false;
    for index in 0..count {
        match Address::read(reader, Part::ItrRloc(index))? {
            Address::Ip(address) => rlocs.push(Rloc(address)),
            Address::None => unknown = count == 1,
            Address::Tenant(_) | Address::Path(_) | Address::OtherLcaf { .. } => {}
        }
    }
    Ok(match (rlocs.is_empty(), unknown) {
        (false, _) => ItrRlocs::Some(rlocs),
        (true, true) => ItrRlocs::Unknown,
        (true, false) => ItrRlocs::Unusable,
    })
}

fn read_eids(reader: &mut Reader<'_>, count: u8) -> Result<(Vec<EidPrefix>, NotifyBits), WireError> {
    if count == 0 {
        return Err(WireError::Missing {
            part: Part::EidRecord(0),
        });
    }
    reader.expect(count, LEAST_EID_RECORD, Part::EidRecord(0))?;
    let mut eids = Vec::with_capacity(usize::from(count));
    let mut notify = NotifyBits::NONE;
    for index in 0..count {
        let part = Part::EidRecord(index);
        let [reserved, mask_length] = reader.array(part)?;
        if reserved & NOTIFY != 0 {
            notify = notify.with(index);
        }
        eids.push(Address::read(reader, part)?.prefix(mask_length, part)?);
    }
    Ok((eids, notify))
}

//! Map-Referral (RFC 8111 section 6.4): whom to ask next on the way down a delegation tree.
//!
//! ```text
//! |Type=6 |                Reserved               | Record Count  |
//! |                        Nonce (64 bits)                        |
//! |                          Record  TTL                          |
//! | Referral Count| EID mask-len  | ACT |A|I|     Reserved        |
//! |SigCnt |   Map Version Number  |            EID-AFI ...        |
//! |    Priority   |    Weight     |  M Priority   |   M Weight    |
//! |         Unused Flags        |R|         Loc-AFI ...           |
//! ```

use super::family::{self, Address};
use super::reader::Reader;
use super::record;
use crate::error::{EmitError, Part, WireError};
use crate::mapping::Ttl;
use crate::message::{MapReferral, Nonce, Referral, ReferralAction};

/// Bytes of the shortest record: an IPv4 EID and no referrals.
const LEAST_RECORD: usize = 16;

const ACTION_SHIFT: u32 = 13;
const AUTHORITATIVE: u16 = 0x1000;
const INCOMPLETE: u16 = 0x0800;
/// 12 bits; the four above them count signatures.
const MAP_VERSION: u16 = 0x0fff;
const SIGNATURES_SHIFT: u32 = 12;
/// Of a signature section: all before its length, and all between the length and the signature.
const SIGNATURE_HEAD: usize = 14;
const SIGNATURE_TAIL: usize = 4;

impl MapReferral {
    pub(super) fn read(word: u32, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let nonce = Nonce(reader.u64(Part::Nonce)?);
        let count = word as u8;
        reader.expect(count, LEAST_RECORD, Part::Record(0))?;
        let mut records = Vec::with_capacity(usize::from(count));
        for index in 0..count {
            records.push(Referral::read(reader, Part::Record(index))?);
        }
        Ok(Self { nonce, records })
    }

    pub(super) fn write(&self, word: u32, out: &mut Vec<u8>) -> Result<(), EmitError> {
        let Self { nonce, records } = self;
        let word = word | u32::from(record::count("records", records.len(), 0)?);
        out.extend_from_slice(&word.to_be_bytes());
        out.extend_from_slice(&nonce.0.to_be_bytes());
        records.iter().try_for_each(|referral| referral.write(out))
    }
}

impl Referral {
    /// Reads one record. Signatures are passed over: nothing is believed for their sake.
    fn read(reader: &mut Reader<'_>, part: Part) -> Result<Self, WireError> {
        let ttl = Ttl(reader.u32(part)?);
        let [count, mask_length] = reader.array(part)?;
        let flags = reader.u16(part)?;
        let versions = reader.u16(part)?;
        let eid = Address::read(reader, part)?.prefix(mask_length, part)?;
        let (nodes, refusal) = record::read_locators(reader, count, part)?;
        if let (true, Some(unusable)) = (nodes.is_empty(), refusal) {
            return Err(unusable);
        }
        for _ in 0..versions >> SIGNATURES_SHIFT {
            reader.bytes(SIGNATURE_HEAD, part)?;
            let length = reader.u16(part)?;
            reader.bytes(SIGNATURE_TAIL + usize::from(length), part)?;
        }
        let number = (flags >> ACTION_SHIFT) as u8;
        Ok(Self {
            ttl,
            eid,
            action: ReferralAction::from_number(number).ok_or(WireError::Action { part, number })?,
            authoritative: flags & AUTHORITATIVE != 0,
            incomplete: flags & INCOMPLETE != 0,
            map_version: versions & MAP_VERSION,
            nodes,
        })
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), EmitError> {
        let Self {
            ttl,
            eid,
            action,
            authoritative,
            incomplete,
            map_version,
            nodes,
        } = self;
        record::check_version(*map_version)?;
        let mut flags = u16::from(*action as u8) << ACTION_SHIFT;
        for (set, bit) in [(*authoritative, AUTHORITATIVE), (*incomplete, INCOMPLETE)] {
            if set {
                flags |= bit;
            }
        }
        out.extend_from_slice(&ttl.0.to_be_bytes());
        out.extend_from_slice(&[record::count("referrals", nodes.len(), 0)?, eid.length()]);
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(&map_version.to_be_bytes());
        family::write_eid(eid.first(), out);
        for node in nodes {
            record::write_locator(node, out);
        }
        Ok(())
    }
}

impl ReferralAction {
    const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::NodeReferral),
            1 => Some(Self::MsReferral),
            2 => Some(Self::MsAck),
            3 => Some(Self::MsNotRegistered),
            4 => Some(Self::DelegationHole),
            5 => Some(Self::NotAuthoritative),
            _ => None,
        }
    }
}

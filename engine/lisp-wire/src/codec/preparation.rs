//! Preparation of a handover, a shared extension of ours.
//!
//! Type 15 (RFC 9304), sub-type [`SUB_TYPE`], which is not registered:
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Type=15|   Sub-type = 3153     | Step  |       Reserved        |
//! |                        Nonce (64 bits)                        |
//! |    Key ID     | Algorithm ID  |  Authentication Data Length   |
//! ~                      Authentication Data                      ~
//! |                       xTR-ID (128 bits)                       |
//! |                       Serial (64 bits)                        |
//! |                       Life, seconds                           |
//! |        Sender's AFI           |   Sender's RLOC ...           ~
//! |        Receiver's AFI         |   Receiver's RLOC ...         ~
//! | EID mask-len  |   Reserved    |   EID-Prefix-AFI              |
//! ~   EID-Prefix ...                                              ~
//! |   Sealed bytes: 0 but in Step 0                               |
//! ~   what is sealed                                              ~
//! ```

use super::family::{self, Address};
use super::reader::Reader;
use super::register::{self, AuthView};
use super::sub_type_word;
use crate::error::{EmitError, Part, WireError};
use crate::message::{AuthField, Nonce, Preparation, Step, XtrId};
use crate::{EidPrefix, Rloc};

/// The sub-type of a preparation, 3153, from the range that is given away first come, first served (IANA "LISP Shared
/// Extension Message Type Sub-types"). It is not registered.
pub const SUB_TYPE: u16 = 0xc51;

const STEP_SHIFT: u32 = 12;

impl Preparation {
    pub(super) fn read(word: u32, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let step = match word >> STEP_SHIFT & 0x0f {
            0 => Step::Hand,
            1 => Step::Stopped,
            2 => Step::Cancelled,
            3 => Step::Acknowledge,
            _ => {
                return Err(WireError::Flags {
                    part: Part::Header,
                    flags: (word >> 8) as u8,
                });
            }
        };
        let nonce = Nonce(reader.u64(Part::Nonce)?);
        let auth = AuthField::read(reader)?;
        let xtr = XtrId(reader.u128(Part::XtrId)?);
        let serial = reader.u64(Part::Ends)?;
        let life_seconds = reader.u32(Part::Ends)?;
        let sender = read_rloc(reader)?;
        let receiver = read_rloc(reader)?;
        let eid = read_eid(reader)?;
        let length = usize::from(reader.u16(Part::Sealed)?);
        let sealed = reader.bytes(length, Part::Sealed)?.to_vec();
        match (step, length) {
            (Step::Hand, 0) => return Err(WireError::Missing { part: Part::Sealed }),
            (Step::Hand, _) | (_, 0) => {}
            (_, count) => return Err(WireError::Trailing { count }),
        }
        Ok(Self {
            step,
            nonce,
            auth,
            xtr,
            sender,
            receiver,
            eid,
            serial,
            life_seconds,
            sealed,
        })
    }

    pub(super) fn write(&self, word: u32, auth: AuthView<'_>, out: &mut Vec<u8>) -> Result<(), EmitError> {
        if (self.step == Step::Hand) == self.sealed.is_empty() {
            return Err(EmitError::Contradiction {
                what: "a preparation has something sealed if it hands it over, and else not",
            });
        }
        let word = word | sub_type_word(SUB_TYPE) | (self.step as u32) << STEP_SHIFT;
        register::write_head(word, self.nonce, auth, out)?;
        out.extend_from_slice(&self.xtr.0.to_be_bytes());
        out.extend_from_slice(&self.serial.to_be_bytes());
        out.extend_from_slice(&self.life_seconds.to_be_bytes());
        family::write_ip(self.sender.0, out);
        family::write_ip(self.receiver.0, out);
        out.extend_from_slice(&[self.eid.length(), 0]);
        family::write_eid(self.eid.first(), out);
        let length = u16::try_from(self.sealed.len()).map_err(|_| EmitError::Count {
            what: "sealed bytes",
            count: self.sealed.len(),
            least: 0,
            most: usize::from(u16::MAX),
        })?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&self.sealed);
        Ok(())
    }
}

fn read_rloc(reader: &mut Reader<'_>) -> Result<Rloc, WireError> {
    rloc(reader, Part::Ends)?.ok_or(WireError::AddressFamily {
        part: Part::Ends,
        afi: family::AFI_NONE,
    })
}

/// A locator that is a plain address; `None` for AFI 0.
pub(super) fn rloc(reader: &mut Reader<'_>, part: Part) -> Result<Option<Rloc>, WireError> {
    match Address::read(reader, part)? {
        Address::Ip(address) => Ok(Some(Rloc(address))),
        Address::None => Ok(None),
        Address::Tenant(_) => Err(WireError::Lcaf {
            part,
            kind: family::LCAF_INSTANCE_ID,
        }),
        Address::Path(_) => Err(WireError::Lcaf {
            part,
            kind: family::LCAF_PATH,
        }),
        Address::OtherLcaf { kind } => Err(WireError::Lcaf { part, kind }),
    }
}

fn read_eid(reader: &mut Reader<'_>) -> Result<EidPrefix, WireError> {
    let [length, _reserved] = reader.array(Part::MovingEid)?;
    Address::read(reader, Part::MovingEid)?.prefix(length, Part::MovingEid)
}

//! Change-Priority (thesis, section 4.2.1 and Algorithm 1) in its two forms.
//!
//! Shared extension, type 15 (RFC 9304), sub-type [`SUB_TYPE`], which is not registered:
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Type=15|   Sub-type = 3152     |H|C|A|T|S|Resrvd| Record Count  |
//! |                        Nonce (64 bits)                        |
//! |    Key ID     | Algorithm ID  |  Authentication Data Length   |
//! ~                      Authentication Data                      ~
//! |                       xTR-ID (128 bits)                       |
//! ~   Record Count mapping records (RFC 9301 section 5.4)         ~
//! ```
//!
//! Legacy, type 5. The thesis gives it the fields of a Map-Register, two flags, and a Record Count that counts the
//! locators of the one EID prefix in the EID-prefix field:
//!
//! ```text
//! |Type=5 |H|C|          Reserved                 | Record Count  |
//! |                        Nonce (64 bits)                        |
//! |    Key ID     | Algorithm ID  |  Authentication Data Length   |
//! ~                      Authentication Data                      ~
//! ~   one mapping record: its mask length has 8 bits and its      ~
//! ~   Locator Count repeats the Record Count                      ~
//! ```

use super::reader::Reader;
use super::register::{self, AuthView};
use super::{flag, record};
use crate::MappingRecord;
use crate::error::{EmitError, Part, WireError};
use crate::message::{AuthField, ChangePriority, ChangePriorityForm, Nonce, Purpose, XtrId};

/// The sub-type of Change-Priority, 3152, from the range that is given away first come, first served (IANA "LISP
/// Shared Extension Message Type Sub-types"). It is not registered.
pub const SUB_TYPE: u16 = 0xc50;

/// Bits of the first word, shared-extension form.
mod shared {
    pub(super) const H: u32 = 1 << 15;
    pub(super) const C: u32 = 1 << 14;
    pub(super) const A: u32 = 1 << 13;
    pub(super) const T: u32 = 1 << 12;
    /// Of acknowledgements alone: what was reserved before, and so is passed over by who does not know it.
    pub(super) const S: u32 = 1 << 11;
}

/// Bits of the first word, legacy form.
pub(super) mod legacy {
    pub(in super::super) const H: u32 = 1 << 27;
    pub(in super::super) const C: u32 = 1 << 26;
}

impl ChangePriority {
    pub(super) fn read_shared(word: u32, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let purpose = match (
            word & shared::H != 0,
            word & shared::C != 0,
            word & shared::A != 0,
            word & shared::T != 0,
        ) {
            (true, false, false, false) => Purpose::Arrived,
            (false, false, false, false) => Purpose::Handover,
            (false, false, false, true) => Purpose::HandoverTold,
            (false, true, false, false) => Purpose::UpdateCache,
            (false, false, true, false) if word & shared::S != 0 => Purpose::AcknowledgeSubscribed,
            (false, false, true, false) => Purpose::Acknowledge,
            _ => {
                return Err(WireError::Flags {
                    part: Part::Header,
                    flags: (word >> 8) as u8,
                });
            }
        };
        let nonce = Nonce(reader.u64(Part::Nonce)?);
        let auth = AuthField::read(reader)?;
        let xtr = Some(XtrId(reader.u128(Part::XtrId)?));
        let records = record::read_all(reader, word as u8)?;
        if records.is_empty() && !purpose.acknowledges() {
            return Err(WireError::Missing {
                part: Part::Record(0),
            });
        }
        for (index, record) in (0..).zip(&records) {
            check_locators(purpose, record, Part::Record(index))?;
        }
        Ok(Self {
            form: ChangePriorityForm::SharedExtension,
            purpose,
            nonce,
            auth,
            xtr,
            records,
        })
    }

    pub(super) fn read_legacy(word: u32, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let purpose = match (word & legacy::H != 0, word & legacy::C != 0) {
            (true, false) => Purpose::Arrived,
            (false, false) => Purpose::Handover,
            (false, true) => Purpose::UpdateCache,
            (true, true) => {
                return Err(WireError::Flags {
                    part: Part::Header,
                    flags: (word >> 24) as u8 & 0x0f,
                });
            }
        };
        let nonce = Nonce(reader.u64(Part::Nonce)?);
        let auth = AuthField::read(reader)?;
        let part = Part::Record(0);
        let (header, stated) = (word as u8, record::stated_locators(*reader, part)?);
        if header != stated {
            return Err(WireError::Counts {
                part,
                header,
                record: stated,
            });
        }
        let record = record::read(reader, part)?;
        check_locators(purpose, &record, part)?;
        Ok(Self {
            form: ChangePriorityForm::Legacy,
            purpose,
            nonce,
            auth,
            xtr: None,
            records: vec![record],
        })
    }

    pub(super) fn write_shared(
        &self,
        word: u32,
        auth: AuthView<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EmitError> {
        let Some(xtr) = self.xtr else {
            return Err(EmitError::Contradiction {
                what: "a Change-Priority of type 15 names the xTR that sends it",
            });
        };
        let least = u8::from(!self.purpose.acknowledges());
        self.check_locators()?;
        let word = word
            | super::sub_type_word(SUB_TYPE)
            | flag(self.purpose == Purpose::Arrived, shared::H)
            | flag(self.purpose == Purpose::UpdateCache, shared::C)
            | flag(self.purpose.acknowledges(), shared::A)
            | flag(self.purpose == Purpose::AcknowledgeSubscribed, shared::S)
            | flag(self.purpose == Purpose::HandoverTold, shared::T)
            | u32::from(record::count("records", self.records.len(), least)?);
        register::write_head(word, self.nonce, auth, out)?;
        out.extend_from_slice(&xtr.0.to_be_bytes());
        record::write_all(&self.records, out)
    }

    pub(super) fn write_legacy(
        &self,
        word: u32,
        auth: AuthView<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EmitError> {
        if self.xtr.is_some() {
            return Err(EmitError::Contradiction {
                what: "a Change-Priority of type 5 has no xTR-ID",
            });
        }
        if self.purpose.acknowledges() || self.purpose == Purpose::HandoverTold {
            return Err(EmitError::Contradiction {
                what: "a Change-Priority of type 5 has no A bit and no T bit",
            });
        }
        let [record] = self.records.as_slice() else {
            let count = self.records.len();
            return Err(EmitError::Count {
                what: "records",
                count,
                least: 1,
                most: 1,
            });
        };
        self.check_locators()?;
        let word = word
            | flag(self.purpose == Purpose::Arrived, legacy::H)
            | flag(self.purpose == Purpose::UpdateCache, legacy::C)
            | u32::from(record::count("locators", record.locators.len(), 0)?);
        register::write_head(word, self.nonce, auth, out)?;
        record::write(record, out)
    }

    fn check_locators(&self) -> Result<(), EmitError> {
        let what = match self.purpose {
            Purpose::Arrived | Purpose::Acknowledge | Purpose::AcknowledgeSubscribed => {
                "this Change-Priority names EIDs only, no locators"
            }
            Purpose::Handover | Purpose::HandoverTold => "a handover names the locators that take over",
            Purpose::UpdateCache => return Ok(()),
        };
        let fits = |record: &MappingRecord| locators_fit(self.purpose, record.locators.len());
        if self.records.iter().all(fits) {
            Ok(())
        } else {
            Err(EmitError::Contradiction { what })
        }
    }
}

fn check_locators(purpose: Purpose, record: &MappingRecord, part: Part) -> Result<(), WireError> {
    let count = record.locators.len();
    if locators_fit(purpose, count) {
        Ok(())
    } else {
        Err(WireError::LocatorCount {
            part,
            count: count as u8,
        })
    }
}

/// H and A speak of an EID only; a handover without the new locators would leave nothing to hand over to. An update
/// may take the last locator away.
const fn locators_fit(purpose: Purpose, count: usize) -> bool {
    match purpose {
        Purpose::Arrived | Purpose::Acknowledge | Purpose::AcknowledgeSubscribed => count == 0,
        Purpose::Handover | Purpose::HandoverTold => count > 0,
        Purpose::UpdateCache => true,
    }
}

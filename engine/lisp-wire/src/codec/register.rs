//! Map-Register (RFC 9301 section 5.6), Map-Notify and Map-Notify-Ack (section 5.7), and the field that
//! authenticates them.

use super::reader::Reader;
use super::{flag, record};
use crate::MappingRecord;
use crate::error::{EmitError, Part, WireError};
use crate::message::{Algorithm, AuthField, MapNotify, MapRegister, Nonce, SiteId, XtrId};

/// Bits of the first word of a Map-Register.
mod bit {
    pub(super) const P: u32 = 1 << 27;
    pub(super) const I: u32 = 1 << 25;
    /// T: the record's TTL is the registration's life (RFC 9301 section 5.6).
    pub(super) const T: u32 = 1 << 11;
    /// a: merge with what other xTRs register.
    pub(super) const MERGE: u32 = 1 << 10;
    pub(super) const M: u32 = 1 << 8;
}

/// I of a Map-Notify: xTR-ID and Site-ID follow the last record. RFC 9301 has no bit for it; this is the one that
/// implementations have used since RFC 6833.
const NOTIFY_I: u32 = 1 << 27;

impl MapRegister {
    pub(super) fn read(word: u32, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let nonce = Nonce(reader.u64(Part::Nonce)?);
        let auth = AuthField::read(reader)?;
        let records = record::read_all(reader, word as u8)?;
        let xtr = read_trailer(word & bit::I, reader)?;
        Ok(Self {
            nonce,
            proxy_reply: word & bit::P != 0,
            want_notify: word & bit::M != 0,
            merge: word & bit::MERGE != 0,
            use_ttl: word & bit::T != 0,
            auth,
            records,
            xtr,
        })
    }

    pub(super) fn write(&self, word: u32, auth: AuthView<'_>, out: &mut Vec<u8>) -> Result<(), EmitError> {
        let Self {
            nonce,
            proxy_reply,
            want_notify,
            merge,
            use_ttl,
            auth: _,
            records,
            xtr,
        } = self;
        let word = word
            | flag(*proxy_reply, bit::P)
            | flag(xtr.is_some(), bit::I)
            | flag(*use_ttl, bit::T)
            | flag(*merge, bit::MERGE)
            | flag(*want_notify, bit::M)
            | u32::from(record::count("records", records.len(), 0)?);
        write_head(word, *nonce, auth, out)?;
        write_rest(records, *xtr, out)
    }
}

impl MapNotify {
    /// What acknowledges this Map-Notify: the same content (RFC 9301 section 5.7), but no xTR-ID, for which type 5
    /// has no bit.
    #[must_use]
    pub fn acknowledgement(&self) -> Self {
        Self {
            xtr: None,
            ..self.clone()
        }
    }

    pub(super) fn read(word: u32, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Self::read_body(word & NOTIFY_I, word as u8, reader)
    }

    /// A Map-Notify-Ack, all of whose flags are reserved.
    pub(super) fn read_ack(word: u32, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Self::read_body(0, word as u8, reader)
    }

    fn read_body(trailer: u32, count: u8, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let nonce = Nonce(reader.u64(Part::Nonce)?);
        let auth = AuthField::read(reader)?;
        let records = record::read_all(reader, count)?;
        let xtr = read_trailer(trailer, reader)?;
        Ok(Self {
            nonce,
            auth,
            records,
            xtr,
        })
    }

    pub(super) fn write(&self, word: u32, auth: AuthView<'_>, out: &mut Vec<u8>) -> Result<(), EmitError> {
        let word = word | flag(self.xtr.is_some(), NOTIFY_I) | self.count()?;
        write_head(word, self.nonce, auth, out)?;
        write_rest(&self.records, self.xtr, out)
    }

    pub(super) fn write_ack(
        &self,
        word: u32,
        auth: AuthView<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EmitError> {
        if self.xtr.is_some() {
            return Err(EmitError::Contradiction {
                what: "a Map-Notify-Ack has no bit for an xTR-ID",
            });
        }
        write_head(word | self.count()?, self.nonce, auth, out)?;
        write_rest(&self.records, None, out)
    }

    fn count(&self) -> Result<u32, EmitError> {
        record::count("records", self.records.len(), 0).map(u32::from)
    }
}

/// An authentication field to be written: a message's own, or room for a MAC.
#[derive(Clone, Copy)]
pub(crate) struct AuthView<'a> {
    pub(crate) key_id: u8,
    pub(crate) algorithm: Algorithm,
    pub(crate) mac: &'a [u8],
}

impl AuthField {
    pub(super) const fn view(&self) -> AuthView<'_> {
        AuthView {
            key_id: self.key_id,
            algorithm: self.algorithm,
            mac: self.mac.as_slice(),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), EmitError> {
        write_auth(self.view(), out)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let [key_id, number] = reader.array(Part::Authentication)?;
        let algorithm = Algorithm::from_number(number).ok_or(WireError::Algorithm { number })?;
        let length = reader.u16(Part::Authentication)?;
        if !algorithm.has_mac_of(usize::from(length)) {
            return Err(WireError::MacLength { algorithm, length });
        }
        let mac = reader.bytes(usize::from(length), Part::Authentication)?.to_vec();
        Ok(Self {
            key_id,
            algorithm,
            mac,
        })
    }
}

impl Algorithm {
    /// The algorithm with this number (IANA "LISP Algorithm ID Numbers").
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::HmacSha1),
            2 => Some(Self::HmacSha256),
            3 => Some(Self::HmacSha256Hkdf),
            _ => None,
        }
    }

    /// Whether a MAC of this algorithm can have `length` bytes: truncated as its name says, or whole.
    pub(crate) const fn has_mac_of(self, length: usize) -> bool {
        match self {
            Self::None => length == 0,
            Self::HmacSha1 => matches!(length, 12 | 20),
            Self::HmacSha256 | Self::HmacSha256Hkdf => matches!(length, 16 | 32),
        }
    }
}

/// First word, nonce and authentication.
pub(super) fn write_head(
    word: u32,
    nonce: Nonce,
    auth: AuthView<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EmitError> {
    out.extend_from_slice(&word.to_be_bytes());
    out.extend_from_slice(&nonce.0.to_be_bytes());
    write_auth(auth, out)
}

/// Key id, algorithm, length and MAC.
fn write_auth(auth: AuthView<'_>, out: &mut Vec<u8>) -> Result<(), EmitError> {
    let AuthView {
        key_id,
        algorithm,
        mac,
    } = auth;
    if !algorithm.has_mac_of(mac.len()) {
        return Err(EmitError::MacLength {
            algorithm,
            length: mac.len(),
        });
    }
    out.extend_from_slice(&[key_id, algorithm as u8]);
    out.extend_from_slice(&(mac.len() as u16).to_be_bytes());
    out.extend_from_slice(mac);
    Ok(())
}

/// Records and trailer.
fn write_rest(
    records: &[MappingRecord],
    xtr: Option<(XtrId, SiteId)>,
    out: &mut Vec<u8>,
) -> Result<(), EmitError> {
    record::write_all(records, out)?;
    write_trailer(xtr, out);
    Ok(())
}

/// Appends what the I bit announces.
pub(super) fn write_trailer(xtr: Option<(XtrId, SiteId)>, out: &mut Vec<u8>) {
    if let Some((xtr, site)) = xtr {
        out.extend_from_slice(&xtr.0.to_be_bytes());
        out.extend_from_slice(&site.0.to_be_bytes());
    }
}

pub(super) fn read_trailer(bit: u32, reader: &mut Reader<'_>) -> Result<Option<(XtrId, SiteId)>, WireError> {
    if bit == 0 {
        return Ok(None);
    }
    let xtr = XtrId(reader.u128(Part::Trailer)?);
    Ok(Some((xtr, SiteId(reader.u64(Part::Trailer)?))))
}

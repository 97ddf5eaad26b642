//! Message authentication codes (RFC 2104) and the keys they are made with.

use hmac::digest::InvalidLength;
use hmac::{EagerHash, Hmac, KeyInit, Mac as _};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{Authenticated, Key};
use crate::message::Algorithm;

/// Bytes of the longest MAC, HMAC-SHA-256.
pub(super) const MOST_BYTES: usize = 32;

/// A whole MAC: 20 or 32 bytes.
pub(super) struct Mac {
    bytes: [u8; MOST_BYTES],
    length: usize,
}

impl Mac {
    /// The MAC that `key` makes of a message whose MAC field is taken for zero.
    pub(super) fn of(message: &Authenticated<'_>, key: &Key) -> Result<Self, InvalidLength> {
        let zero = [0; MOST_BYTES];
        let parts = [
            message.head,
            &zero[..message.stated.len().min(MOST_BYTES)],
            message.rest,
        ];
        match key.algorithm {
            Algorithm::None => Err(InvalidLength),
            Algorithm::HmacSha1 => hmac::<Sha1>(&key.secret, &parts),
            Algorithm::HmacSha256 => hmac::<Sha256>(&key.secret, &parts),
            Algorithm::HmacSha256Hkdf => {
                let own = derive(&key.secret, message)?;
                hmac::<Sha256>(own.bytes(), &parts)
            }
        }
    }

    /// The MAC that `key` makes of bytes that stand apart from it.
    pub(super) fn apart(bytes: &[u8], key: &Key) -> Result<Self, InvalidLength> {
        match key.algorithm {
            Algorithm::None => Err(InvalidLength),
            Algorithm::HmacSha1 => hmac::<Sha1>(&key.secret, &[bytes]),
            Algorithm::HmacSha256 => hmac::<Sha256>(&key.secret, &[bytes]),
            Algorithm::HmacSha256Hkdf => {
                let message = Authenticated::of(bytes).ok_or(InvalidLength)?;
                hmac::<Sha256>(derive(&key.secret, &message)?.bytes(), &[bytes])
            }
        }
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    /// Whether `stated` is the whole of it or its beginning, told in constant time. How much must be stated is the
    /// key's business.
    pub(super) fn begins_with(&self, stated: &[u8]) -> bool {
        self.bytes()
            .get(..stated.len())
            .is_some_and(|begin| begin.ct_eq(stated).into())
    }
}

/// HKDF-SHA-256 (RFC 5869) as RFC 9301 section 5.6 uses it: KDF(nonce + PSK, s), where s, the salt, is a string for
/// the type of the message. It names no "info", so there is none; and the key is as long as HMAC-SHA-256-128 wants it
/// (RFC 4868 section 2.1.1), which is one block.
fn derive(secret: &[u8], message: &Authenticated<'_>) -> Result<Mac, InvalidLength> {
    let salt: &[u8] = match message.packet_type {
        3 => b"Map-Register Authentication",
        4 => b"Map-Notify Authentication",
        5 => b"Map-Notify-Ack Authentication",
        // Ours, after the pattern of the others.
        7 => b"Info Authentication",
        _ => b"Change-Priority Authentication",
    };
    Ok(Mac {
        bytes: hkdf(salt, &[message.nonce, secret], &[])?,
        length: MOST_BYTES,
    })
}

/// HKDF-SHA-256 (RFC 5869) of a secret in parts: extract, then one block of expansion with `info`.
pub(super) fn hkdf(salt: &[u8], secret: &[&[u8]], info: &[&[u8]]) -> Result<[u8; MOST_BYTES], InvalidLength> {
    let extracted = hmac::<Sha256>(salt, secret)?;
    let expanded: Vec<&[u8]> = info.iter().copied().chain([[1].as_slice()]).collect();
    hmac::<Sha256>(extracted.bytes(), &expanded).map(|mac| mac.bytes)
}

/// HMAC of the parts one after another. Keys of any length will do, so that this does not fail.
fn hmac<D: EagerHash>(key: &[u8], parts: &[&[u8]]) -> Result<Mac, InvalidLength>
where
    Hmac<D>: KeyInit + hmac::Mac,
{
    let mut state = <Hmac<D> as KeyInit>::new_from_slice(key)?;
    for part in parts {
        state.update(part);
    }
    let output = state.finalize().into_bytes();
    let mut bytes = [0; MOST_BYTES];
    bytes
        .iter_mut()
        .zip(output.iter())
        .for_each(|(to, from)| *to = *from);
    Ok(Mac {
        bytes,
        length: output.len().min(MOST_BYTES),
    })
}

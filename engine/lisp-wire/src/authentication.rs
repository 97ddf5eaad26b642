//! Who may be believed: keys, signing, verification (RFC 9301 section 5.6).
//!
//! The MAC is over the whole UDP payload, an xTR-ID trailer included, with its own field zero. It stands in the same
//! place in every type that has one:
//!
//! ```text
//! |                   first word, nonce (12 bytes)                |
//! |    Key ID     | Algorithm ID  |  Authentication Data Length   |
//! ~                      Authentication Data                      ~
//! ```

mod error;
mod mac;

use std::fmt;

pub use error::{AuthError, KeyError};

use mac::Mac;
use subtle::ConstantTimeEq;

use crate::codec::AuthView;
use crate::error::EmitError;
use crate::message::{Algorithm, AuthField, Message};

/// Where the MAC begins.
const MAC_AT: usize = 16;

/// A secret shared with a peer.
///
/// It is overwritten when dropped, and never shown.
#[derive(Clone)]
pub struct Key {
    /// The number both sides know it by.
    pub id: u8,
    /// The one algorithm it is used with.
    pub algorithm: Algorithm,
    mac_length: MacLength,
    secret: Box<[u8]>,
}

/// How much of a MAC goes on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MacLength {
    /// 12 bytes of HMAC-SHA-1, 16 of HMAC-SHA-256, as the algorithms' names say. Whole MACs are accepted too.
    #[default]
    Truncated,
    /// 20 and 32 bytes, as the peers in the field have it. Truncated MACs are refused.
    Whole,
}

impl Key {
    /// A key that truncates its MACs.
    ///
    /// # Errors
    /// [`KeyError`], for a key that would authenticate nothing.
    pub fn new(id: u8, algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        if algorithm == Algorithm::None {
            return Err(KeyError::NoAlgorithm { id });
        }
        if secret.is_empty() {
            return Err(KeyError::Empty { id });
        }
        Ok(Self {
            id,
            algorithm,
            mac_length: MacLength::Truncated,
            secret: secret.into(),
        })
    }

    /// The same key with MACs of this length.
    #[must_use]
    pub fn with_mac_length(mut self, mac_length: MacLength) -> Self {
        self.mac_length = mac_length;
        self
    }

    /// Whether it is the same key: number, algorithm and secret, the last told in constant time.
    pub fn same_as(&self, other: &Self) -> bool {
        let same_secret = self.same_secret(other);
        (self.id, self.algorithm) == (other.id, other.algorithm) && same_secret
    }

    /// Whether whoever has the one has the other, whatever they are called; told in constant time.
    pub fn same_secret(&self, other: &Self) -> bool {
        self.secret.ct_eq(&other.secret).into()
    }

    /// For those who hand keys over under a seal, and for nobody else.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// How much of its MACs goes on the wire.
    pub(crate) const fn mac_length(&self) -> MacLength {
        self.mac_length
    }

    /// A key for another purpose, that tells nothing about this one: HKDF-SHA-256 (RFC 5869), one block.
    pub(crate) fn derive(&self, salt: &[u8], info: &[&[u8]]) -> Option<[u8; 32]> {
        mac::hkdf(salt, &[&self.secret], info).ok()
    }

    /// Whether a MAC of so many bytes may be taken for one of this key's.
    const fn takes_mac_of(&self, length: usize) -> bool {
        self.algorithm.has_mac_of(length) && length >= self.mac_bytes()
    }

    /// Bytes of the MACs this key makes.
    const fn mac_bytes(&self) -> usize {
        match (self.algorithm, self.mac_length) {
            (Algorithm::None, _) => 0,
            (Algorithm::HmacSha1, MacLength::Truncated) => 12,
            (Algorithm::HmacSha1, MacLength::Whole) => 20,
            (Algorithm::HmacSha256 | Algorithm::HmacSha256Hkdf, MacLength::Truncated) => 16,
            (Algorithm::HmacSha256 | Algorithm::HmacSha256Hkdf, MacLength::Whole) => 32,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .field("mac_length", &self.mac_length)
            .finish_non_exhaustive()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.secret.fill(0);
        // Without an observer the compiler may leave the stores out.
        std::hint::black_box(&mut self.secret);
    }
}

impl Message {
    /// Appends the message with a MAC of `key` over the whole of it, in place of what its `AuthField` says.
    ///
    /// # Errors
    /// As [`Message::emit`], and [`EmitError::NotAuthenticated`] for types that carry no authentication. `out` is
    /// as it was then.
    pub fn emit_signed(&self, key: &Key, out: &mut Vec<u8>) -> Result<(), EmitError> {
        let start = out.len();
        let room = [0; mac::MOST_BYTES];
        let length = key.mac_bytes();
        let auth = AuthView {
            key_id: key.id,
            algorithm: key.algorithm,
            mac: &room[..length],
        };
        self.write(Some(auth), out)?;
        let message = &mut out[start..];
        let mac = Authenticated::of(message).and_then(|view| Mac::of(&view, key).ok());
        let field = message.get_mut(MAC_AT..).and_then(|rest| rest.get_mut(..length));
        if let (Some(field), Some(mac)) = (field, mac) {
            field
                .iter_mut()
                .zip(mac.bytes())
                .for_each(|(to, from)| *to = *from);
            Ok(())
        } else {
            out.truncate(start);
            Err(EmitError::NotAuthenticated {
                number: self.packet_type(),
            })
        }
    }
}

/// Finds the key that vouches for a message, on its bytes as they came.
///
/// Several keys may have one number, while a secret is being replaced; any of them will do. The MAC is compared in
/// constant time.
///
/// # Errors
/// [`AuthError`], where the message carries no authentication, or none of the keys made its MAC.
pub fn verify<'k>(datagram: &[u8], keys: &'k [Key]) -> Result<&'k Key, AuthError> {
    let number = datagram.first().map_or(0, |byte| byte >> 4);
    if !AUTHENTICATED_TYPES.contains(&number) {
        return Err(AuthError::NotAuthenticated { number });
    }
    let message = Authenticated::of(datagram).ok_or(AuthError::Short { have: datagram.len() })?;
    let mut refusal = AuthError::UnknownKey {
        key_id: message.key_id,
    };
    for key in keys.iter().filter(|key| key.id == message.key_id) {
        match message.vouched_by(key) {
            Ok(()) => return Ok(key),
            // They are ordered by how far the message got.
            Err(closer) => refusal = refusal.max(closer),
        }
    }
    Err(refusal)
}

impl Key {
    /// Vouches for bytes that have no room for a MAC of their own: a message inside an envelope that carries it.
    ///
    /// # Errors
    /// [`EmitError::NotAuthenticated`] for a key without an algorithm, or of one that derives keys from a message's nonce
    /// and type, where the bytes are no message that has them.
    pub fn vouch(&self, bytes: &[u8]) -> Result<AuthField, EmitError> {
        let number = bytes.first().map_or(0, |byte| byte >> 4);
        let mac = Mac::apart(bytes, self).map_err(|_| EmitError::NotAuthenticated { number })?;
        let stated = mac.bytes().get(..self.mac_bytes()).unwrap_or_default();
        Ok(AuthField {
            key_id: self.id,
            algorithm: self.algorithm,
            mac: stated.to_vec(),
        })
    }
}

/// Finds the key that vouches for bytes by a MAC that stands apart from them, as [`Key::vouch`] makes it.
///
/// # Errors
/// As [`verify`].
pub fn verify_apart<'k>(bytes: &[u8], auth: &AuthField, keys: &'k [Key]) -> Result<&'k Key, AuthError> {
    let key_id = auth.key_id;
    let mut refusal = AuthError::UnknownKey { key_id };
    for key in keys.iter().filter(|key| key.id == key_id) {
        let closer = if key.algorithm != auth.algorithm {
            let algorithm = auth.algorithm as u8;
            AuthError::AlgorithmMismatch { key_id, algorithm }
        } else if !key.takes_mac_of(auth.mac.len()) {
            let length = auth.mac.len() as u16;
            AuthError::Length { length }
        } else if Mac::apart(bytes, key).is_ok_and(|mac| mac.begins_with(&auth.mac)) {
            return Ok(key);
        } else {
            AuthError::Mismatch
        };
        refusal = refusal.max(closer);
    }
    Err(refusal)
}

/// IANA "LISP Packet Types": Map-Register, Map-Notify, type 5 in both its readings, Info-Request and -Reply, Shared
/// Extension.
const AUTHENTICATED_TYPES: [u8; 5] = [3, 4, 5, 7, 15];

/// A message taken apart around its MAC.
struct Authenticated<'a> {
    packet_type: u8,
    nonce: &'a [u8],
    key_id: u8,
    /// As its number, which may be none that we know.
    algorithm: u8,
    /// All before the MAC.
    head: &'a [u8],
    /// The MAC the message states.
    stated: &'a [u8],
    /// All after the MAC.
    rest: &'a [u8],
}

impl<'a> Authenticated<'a> {
    /// `None` where the message ends before its MAC does.
    fn of(message: &'a [u8]) -> Option<Self> {
        let (head, tail) = message.split_first_chunk::<MAC_AT>()?;
        let [first, _, _, _, nonce @ .., key_id, algorithm, high, low] = head;
        let length = u16::from_be_bytes([*high, *low]);
        let (stated, rest) = tail.split_at_checked(usize::from(length))?;
        let (packet_type, key_id, algorithm) = (first >> 4, *key_id, *algorithm);
        Some(Self {
            packet_type,
            nonce,
            key_id,
            algorithm,
            head,
            stated,
            rest,
        })
    }

    fn vouched_by(&self, key: &Key) -> Result<(), AuthError> {
        let Self {
            key_id,
            algorithm,
            stated,
            ..
        } = *self;
        if key.algorithm as u8 != algorithm {
            return Err(AuthError::AlgorithmMismatch { key_id, algorithm });
        }
        if !key.takes_mac_of(stated.len()) {
            return Err(AuthError::Length {
                length: stated.len() as u16,
            });
        }
        match Mac::of(self, key) {
            Ok(mac) if mac.begins_with(stated) => Ok(()),
            _ => Err(AuthError::Mismatch),
        }
    }
}

#[cfg(test)]
mod tests;

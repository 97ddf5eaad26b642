//! Keys that cannot be, and messages that are not believed.

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

/// Why a message is not believed. Of several keys with the message's number, the one that came closest is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum AuthError {
    /// Messages of this type carry no authentication.
    #[error("messages of type {number} carry no authentication")]
    NotAuthenticated {
        /// IANA "LISP Packet Types"; 0 for an empty datagram.
        number: u8,
    },
    /// The datagram ends before its MAC does.
    #[error("the message is cut short: {have} bytes do not reach the end of its MAC")]
    Short {
        /// Bytes of the datagram.
        have: usize,
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
    /// The key makes no MACs of this length.
    #[error("a MAC of {length} bytes is not what the key makes")]
    Length {
        /// What the message says, in bytes.
        length: u16,
    },
    /// The MAC is not the one the key makes.
    #[error("the MAC is wrong")]
    Mismatch,
}

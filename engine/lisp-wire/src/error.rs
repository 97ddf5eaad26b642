//! What can be wrong with bytes that claim to be LISP, and with values that no bytes can say.

use std::fmt;
use std::net::IpAddr;

/// Which part of a datagram an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The first word of a control message.
    Header,
    /// The 64-bit nonce.
    Nonce,
    /// Key ID, Algorithm ID, length and MAC.
    Authentication,
    /// The source EID of a Map-Request.
    SourceEid,
    /// The ITR-RLOC with this index.
    ItrRloc(u8),
    /// The EID record of a Map-Request with this index.
    EidRecord(u8),
    /// The mapping record with this index.
    Record(u8),
    /// A locator of a mapping record.
    Locator {
        /// Index of the record.
        record: u8,
        /// Index of the locator in it.
        locator: u8,
    },
    /// The mapping a Map-Request carries when its M bit is set.
    CarriedRecord,
    /// The locator with this index in that mapping.
    CarriedLocator(u8),
    /// The 128-bit xTR-ID.
    XtrId,
    /// xTR-ID and Site-ID at the end of a message with the I bit.
    Trailer,
    /// The IP header inside an Encapsulated Control Message.
    InnerIp,
    /// The UDP header inside an Encapsulated Control Message.
    InnerUdp,
    /// The message inside an Encapsulated Control Message.
    InnerMessage,
    /// The NAT-Traversal address of an Info-Reply, or the AFI in its place.
    NatTraversal,
    /// The 8-byte header before each encapsulated packet.
    DataHeader,
    /// Who sends a preparation, who is to receive it, and how long it holds.
    Ends,
    /// The EID that a preparation is about.
    MovingEid,
    /// What a preparation has sealed.
    Sealed,
    /// The key with this index in it.
    HandedKey(u8),
    /// The client with this index in it.
    HandedClient(u16),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("first word"),
            Self::Nonce => f.write_str("nonce"),
            Self::Authentication => f.write_str("authentication"),
            Self::SourceEid => f.write_str("source EID"),
            Self::ItrRloc(index) => write!(f, "ITR-RLOC {index}"),
            Self::EidRecord(index) => write!(f, "EID record {index}"),
            Self::Record(index) => write!(f, "record {index}"),
            Self::Locator { record, locator } => write!(f, "locator {locator} of record {record}"),
            Self::CarriedRecord => f.write_str("carried record"),
            Self::CarriedLocator(index) => write!(f, "locator {index} of the carried record"),
            Self::XtrId => f.write_str("xTR-ID"),
            Self::Trailer => f.write_str("xTR-ID and Site-ID"),
            Self::InnerIp => f.write_str("inner IP header"),
            Self::InnerUdp => f.write_str("inner UDP header"),
            Self::InnerMessage => f.write_str("inner message"),
            Self::NatTraversal => f.write_str("NAT-Traversal address"),
            Self::DataHeader => f.write_str("data header"),
            Self::Ends => f.write_str("sender and receiver"),
            Self::MovingEid => f.write_str("EID that moves"),
            Self::Sealed => f.write_str("sealed part"),
            Self::HandedKey(index) => write!(f, "key {index}"),
            Self::HandedClient(index) => write!(f, "client {index}"),
        }
    }
}

/// Bytes that are no message. Nothing of such a datagram is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The datagram ends too early.
    #[error("{part}: cut short, it needs {need} bytes and {have} are left")]
    Truncated {
        /// Where.
        part: Part,
        /// Bytes this part needs, at the least.
        need: usize,
        /// Bytes that are left.
        have: usize,
    },
    /// Bytes follow the last part. Control messages are exact: what is not understood is not accepted.
    #[error("{count} bytes follow the end of the message")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// A type we do not speak (IANA "LISP Packet Types").
    #[error("message type {number} is not spoken here")]
    UnknownType {
        /// The type, 0 to 15.
        number: u8,
    },
    /// A shared-extension sub-type that is not Change-Priority (RFC 9304).
    #[error("shared extension sub-type {number} is not spoken here")]
    UnknownSubType {
        /// The sub-type, 12 bits.
        number: u16,
    },
    /// An address family that cannot stand here (IANA "Address Family Numbers").
    #[error("{part}: address family {afi} is not understood")]
    AddressFamily {
        /// Where.
        part: Part,
        /// The family's number.
        afi: u16,
    },
    /// A canonical address that cannot stand here (IANA "LCAF Types").
    #[error("{part}: canonical address type {kind} is not understood")]
    Lcaf {
        /// Where.
        part: Part,
        /// The LCAF type.
        kind: u8,
    },
    /// The length of a canonical address does not fit what it holds.
    #[error("{part}: canonical address of {length} bytes, but it holds {holds}")]
    LcafLength {
        /// Where.
        part: Part,
        /// The length it states.
        length: u16,
        /// The length of what is in it.
        holds: usize,
    },
    /// A locator path that cannot be.
    #[error("{part}: {why}")]
    Path {
        /// Where.
        part: Part,
        /// Why not.
        why: crate::path::PathError,
    },
    /// An instance-id has 24 bits.
    #[error("{part}: instance-id {number} has more than 24 bits")]
    InstanceId {
        /// Where.
        part: Part,
        /// What was said.
        number: u32,
    },
    /// The mask is longer than the address.
    #[error("{part}: mask length {length} is too long for {address}")]
    MaskLength {
        /// Where.
        part: Part,
        /// The address.
        address: IpAddr,
        /// The mask length.
        length: u8,
    },
    /// A message of this kind must have at least one of these.
    #[error("{part}: there must be one, and there is none")]
    Missing {
        /// What is missing.
        part: Part,
    },
    /// An action without a meaning (IANA "LISP ACT Values").
    #[error("{part}: action {number} is not assigned")]
    Action {
        /// Where.
        part: Part,
        /// The action, 6 or 7.
        number: u8,
    },
    /// An algorithm without a meaning (IANA "LISP Algorithm ID Numbers").
    #[error("authentication algorithm {number} is not assigned")]
    Algorithm {
        /// Its number.
        number: u8,
    },
    /// A MAC of a length that its algorithm does not have.
    #[error("a MAC of {length} bytes does not belong to {algorithm:?}")]
    MacLength {
        /// The algorithm.
        algorithm: crate::message::Algorithm,
        /// Bytes of MAC.
        length: u16,
    },
    /// Flags that exclude each other.
    #[error("{part}: the flags {flags:#04x} contradict each other")]
    Flags {
        /// Where.
        part: Part,
        /// The flags as they stand in their byte.
        flags: u8,
    },
    /// The S bit of a Map-Reply or Encapsulated Control Message: LISP-SEC (RFC 9303) is not spoken here.
    #[error("LISP-SEC is not spoken here")]
    LispSec,
    /// Two counts of the same thing.
    #[error("{part}: the header counts {header} locators, the record {record}")]
    Counts {
        /// Which record.
        part: Part,
        /// What the header says.
        header: u8,
        /// What the record says.
        record: u8,
    },
    /// A length or protocol field of the inner headers contradicts the datagram.
    #[error("{part}: {field} says {says}, but it is {is}")]
    Inner {
        /// Which header.
        part: Part,
        /// Which field of it.
        field: &'static str,
        /// What it says.
        says: u32,
        /// What it should say.
        is: u32,
    },
    /// A checksum of the inner headers is wrong.
    #[error("{part}: the checksum is wrong")]
    Checksum {
        /// Which header.
        part: Part,
    },
    /// Locators where the message's purpose allows none, or none where it needs them.
    #[error("{part}: {count} locators are not what this message's purpose allows")]
    LocatorCount {
        /// Which record.
        part: Part,
        /// How many.
        count: u8,
    },
}

/// A value that no bytes can say. Nothing has been appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// A count beyond its field.
    #[error("{count} {what}, but a message has {least} to {most}")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The least a message has.
        least: usize,
        /// The most its field can say.
        most: usize,
    },
    /// A number beyond its field.
    #[error("{what} {value} does not fit {bits} bits")]
    Range {
        /// Of what.
        what: &'static str,
        /// What was given.
        value: u32,
        /// How many bits there are.
        bits: u8,
    },
    /// Fields that exclude each other.
    #[error("{what}")]
    Contradiction {
        /// Which, and why.
        what: &'static str,
    },
    /// A MAC of a length that its algorithm does not have.
    #[error("a MAC of {length} bytes does not belong to {algorithm:?}")]
    MacLength {
        /// The algorithm.
        algorithm: crate::message::Algorithm,
        /// Bytes of MAC.
        length: usize,
    },
    /// Longer than a UDP datagram can be.
    #[error("the message has {length} bytes, a datagram at most {most}")]
    TooLong {
        /// Bytes of the message.
        length: usize,
        /// Bytes that fit.
        most: usize,
    },
    /// Messages of this type carry no authentication.
    #[error("messages of type {number} carry no authentication")]
    NotAuthenticated {
        /// IANA "LISP Packet Types".
        number: u8,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_what_and_how_much() {
        let part = Part::Locator {
            record: 2,
            locator: 0,
        };
        let cut = WireError::Truncated {
            part,
            need: 12,
            have: 3,
        };
        assert_eq!(
            cut.to_string(),
            "locator 0 of record 2: cut short, it needs 12 bytes and 3 are left"
        );
        let inner = WireError::Inner {
            part: Part::InnerUdp,
            field: "length",
            says: 9,
            is: 40,
        };
        assert_eq!(inner.to_string(), "inner UDP header: length says 9, but it is 40");
        let count = EmitError::Count {
            what: "locators",
            count: 256,
            least: 0,
            most: 255,
        };
        assert_eq!(count.to_string(), "256 locators, but a message has 0 to 255");
    }
}

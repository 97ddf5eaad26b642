//! Addresses: endpoint identifiers and routing locators.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A tenant's number, 24 bits (RFC 9300 section 5.3, RFC 8060 section 4.1). Zero is the default tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct InstanceId(u32);

impl InstanceId {
    /// The default tenant.
    pub const DEFAULT: Self = Self(0);

    /// A number below 2^24.
    pub const fn new(number: u32) -> Result<Self, AddressError> {
        if number < 1 << 24 {
            Ok(Self(number))
        } else {
            Err(AddressError::InstanceId { number })
        }
    }

    /// The low 24 bits, for fields that have no more.
    pub(crate) const fn of_low_bits(number: u32) -> Self {
        Self(number & 0x00ff_ffff)
    }

    /// The number, below 2^24.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for InstanceId {
    type Error = AddressError;
    fn try_from(number: u32) -> Result<Self, AddressError> {
        Self::new(number)
    }
}

impl From<InstanceId> for u32 {
    fn from(id: InstanceId) -> Self {
        id.0
    }
}

/// An endpoint identifier: the address of a VM or user host, which never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Eid {
    /// Tenant.
    pub iid: InstanceId,
    /// Address within the tenant.
    pub address: IpAddr,
}

impl Eid {
    /// An EID of the default tenant.
    pub const fn of(address: IpAddr) -> Self {
        Self {
            iid: InstanceId::DEFAULT,
            address,
        }
    }
}

impl fmt::Display for Eid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.iid == InstanceId::DEFAULT {
            write!(f, "{}", self.address)
        } else {
            write!(f, "[{}]{}", self.iid.0, self.address)
        }
    }
}

/// A routing locator: the address of a border router through which EIDs are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rloc(pub IpAddr);

impl fmt::Display for Rloc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A block of EIDs in one tenant. Host bits are zero by construction.
///
/// Text form: `10.1.0.0/24`, `[7]10.1.0.0/24` for instance-id 7; a bare address is a host prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EidPrefix {
    iid: InstanceId,
    address: IpAddr,
    length: u8,
}

impl EidPrefix {
    /// A prefix; host bits of `address` are cleared.
    pub fn new(iid: InstanceId, address: IpAddr, length: u8) -> Result<Self, AddressError> {
        let address = match address {
            IpAddr::V4(v4) if length <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                IpAddr::V4((u32::from(v4) & mask).into())
            }
            IpAddr::V6(v6) if length <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                IpAddr::V6((u128::from(v6) & mask).into())
            }
            _ => return Err(AddressError::PrefixLength { address, length }),
        };
        Ok(Self { iid, address, length })
    }

    /// The prefix that holds just this EID.
    pub fn host(eid: Eid) -> Self {
        let length = if eid.address.is_ipv4() { 32 } else { 128 };
        Self {
            iid: eid.iid,
            address: eid.address,
            length,
        }
    }

    /// Tenant.
    pub const fn iid(&self) -> InstanceId {
        self.iid
    }

    /// First address of the block.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Mask length in bits: at most 32 or 128.
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// The first EID of the block.
    pub const fn first(&self) -> Eid {
        Eid {
            iid: self.iid,
            address: self.address,
        }
    }

    /// Whether `eid` lies in this block.
    pub fn contains(&self, eid: &Eid) -> bool {
        self.iid == eid.iid
            && self.address.is_ipv4() == eid.address.is_ipv4()
            && Self::new(eid.iid, eid.address, self.length).is_ok_and(|masked| masked.address == self.address)
    }

    /// Whether every EID of `other` lies in this block.
    pub fn covers(&self, other: &Self) -> bool {
        self.length <= other.length && self.contains(&other.first())
    }
}

impl fmt::Display for EidPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.length)
    }
}

impl From<EidPrefix> for String {
    fn from(prefix: EidPrefix) -> Self {
        prefix.to_string()
    }
}

impl TryFrom<String> for EidPrefix {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl FromStr for EidPrefix {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let bad = || AddressError::Prefix {
            text: text.to_owned(),
        };
        let (iid, rest) = match text.strip_prefix('[') {
            Some(tagged) => {
                let (number, rest) = tagged.split_once(']').ok_or_else(bad)?;
                (InstanceId::new(number.parse().map_err(|_| bad())?)?, rest)
            }
            None => (InstanceId::DEFAULT, text),
        };
        match rest.split_once('/') {
            Some((address, length)) => Self::new(
                iid,
                address.parse().map_err(|_| bad())?,
                length.parse().map_err(|_| bad())?,
            ),
            None => Ok(Self::host(Eid {
                iid,
                address: rest.parse().map_err(|_| bad())?,
            })),
        }
    }
}

/// An address that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Instance-ids have 24 bits.
    #[error("instance-id {number} is out of range: it must be below 16777216")]
    InstanceId {
        /// What was given.
        number: u32,
    },
    /// The mask is longer than the address.
    #[error("prefix length {length} is too long for {address}")]
    PrefixLength {
        /// What was given.
        address: IpAddr,
        /// What was given.
        length: u8,
    },
    /// Not of the form `address/length`.
    #[error("'{text}' is not an EID prefix: write it like 10.1.0.0/24, 2001:db8::/32 or [7]10.1.0.7")]
    Prefix {
        /// What was given.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_reads_as_it_is_written() {
        for text in [
            "10.1.0.0/24",
            "[7]10.1.0.7/32",
            "2001:db8::/32",
            "[16777215]::/0",
            "0.0.0.0/0",
        ] {
            assert_eq!(text.parse::<EidPrefix>().unwrap().to_string(), text);
        }
        assert_eq!(
            "10.1.0.7".parse::<EidPrefix>().unwrap().to_string(),
            "10.1.0.7/32"
        );
    }

    #[test]
    fn host_bits_are_cleared_and_tenants_kept_apart() {
        let prefix: EidPrefix = "10.1.0.77/24".parse().unwrap();
        assert_eq!(prefix.to_string(), "10.1.0.0/24");
        assert!(prefix.contains(&Eid::of([10, 1, 0, 9].into())));
        let other = Eid {
            iid: InstanceId::new(7).unwrap(),
            address: [10, 1, 0, 9].into(),
        };
        assert!(!prefix.contains(&other));
    }

    #[test]
    fn impossible_prefixes_are_refused() {
        for text in [
            "10.1.0.0/33",
            "[16777216]10.0.0.1",
            "ten/8",
            "10.0.0.0/",
            "[3 10.0.0.0/8",
            "",
        ] {
            assert!(text.parse::<EidPrefix>().is_err(), "{text}");
        }
    }
}

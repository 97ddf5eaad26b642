//! Mappings: an EID prefix and the locators through which it is reached.

use serde::{Deserialize, Serialize};

use crate::path::Path;
use crate::{EidPrefix, Rloc};

/// Order in which locators are used: the lowest wins, equal ones share by [`Weight`] (RFC 9301 section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(pub u8);

impl Priority {
    /// The best.
    pub const FIRST: Self = Self(1);
    /// 255: the locator must not be used for unicast.
    pub const NEVER: Self = Self(255);

    /// Whether a locator of this priority may carry traffic.
    pub const fn usable(self) -> bool {
        self.0 != 255
    }
}

/// Share of the traffic among locators of equal priority; all zero means equal shares (RFC 9301 section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weight(pub u8);

/// How long a mapping may be cached, in minutes; [`Ttl::DEREGISTER`] withdraws it (RFC 9301 section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ttl(pub u32);

impl Ttl {
    /// In a Map-Register: take the mapping back.
    pub const DEREGISTER: Self = Self(0);
    /// One day, the customary lifetime.
    pub const DAY: Self = Self(1440);
}

/// What to do with packets to a mapping without locators (IANA registry "LISP ACT Value").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Action {
    /// 0: nothing said.
    #[default]
    NoAction = 0,
    /// 1: forward without encapsulation.
    NativelyForward = 1,
    /// 2: ask the mapping system for each packet.
    SendMapRequest = 2,
    /// 3: drop, no reason given.
    Drop = 3,
    /// 4: drop, policy denied.
    DropPolicyDenied = 4,
    /// 5: drop, authentication failure.
    DropAuthFailure = 5,
}

/// One locator of a mapping (RFC 9301 section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Locator {
    /// The address; of an explicit path, its first hop.
    pub rloc: Rloc,
    /// The routers that packets are to go through (LISP-TE), the last one being the ETR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
    /// Unicast priority.
    pub priority: Priority,
    /// Unicast weight.
    pub weight: Weight,
    /// Multicast priority; 255 where multicast is not meant.
    pub multicast_priority: Priority,
    /// Multicast weight.
    pub multicast_weight: Weight,
    /// L: the locator belongs to the ETR that sends the record.
    pub local: bool,
    /// p: the locator this RLOC-probe reply was asked of.
    pub probed: bool,
    /// R: the sender believes the locator is reachable.
    pub reachable: bool,
}

impl Locator {
    /// A reachable unicast locator, not local to the sender.
    pub const fn unicast(rloc: Rloc, priority: Priority, weight: Weight) -> Self {
        Self {
            rloc,
            path: None,
            priority,
            weight,
            multicast_priority: Priority::NEVER,
            multicast_weight: Weight(0),
            local: false,
            probed: false,
            reachable: true,
        }
    }

    /// A reachable unicast locator over an explicit path.
    pub const fn over(path: Path, priority: Priority, weight: Weight) -> Self {
        Self {
            path: Some(path),
            ..Self::unicast(path.first(), priority, weight)
        }
    }

    /// The router where packets leave the tunnel: the address itself, or the last hop of a path.
    pub fn etr(&self) -> Rloc {
        self.path.map_or(self.rloc, |path| path.last())
    }
}

/// An EID-to-RLOC mapping as it crosses the wire (RFC 9301 section 5.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MappingRecord {
    /// Lifetime.
    pub ttl: Ttl,
    /// Which EIDs.
    pub eid: EidPrefix,
    /// What to do when `locators` is empty.
    pub action: Action,
    /// A: the reply comes from the ETR itself.
    pub authoritative: bool,
    /// 12 bits; zero where versions are not used (RFC 9302).
    pub map_version: u16,
    /// At most 255.
    pub locators: Vec<Locator>,
}

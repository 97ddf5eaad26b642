//! The part of a session that a lab builds in network namespaces.

use std::collections::BTreeMap;

use lisp_wire::Rloc;
use proto::{SiteName, Span};

use super::{BitRate, ByteSize};

/// The lab's Map-Server under this name in pairs and access lines; no site or user may bear it.
pub const MAP_SERVER: &str = "map-server";

/// How a lab builds a session's fabric. Every data centre and every user is a site of the lab under its own name.
#[derive(Clone, Debug, PartialEq)]
pub struct Lab {
    /// Locator of the Map-Server and Map-Resolver.
    pub map_server: Rloc,
    /// Between all sites.
    pub wan: Wan,
    /// Between the data centres, behind the forwarders.
    pub fabric: Fabric,
}

/// The network that carries encapsulated packets.
#[derive(Clone, Debug, PartialEq)]
pub struct Wan {
    /// Any two sites that `pairs` does not name.
    pub default: LinkShape,
    /// Single pairs.
    pub pairs: BTreeMap<Pair, LinkShape>,
    /// Access lines by site; a site without one has no limit.
    pub access: BTreeMap<SiteName, AccessShape>,
}

impl Wan {
    /// The shape of the way between two sites, in either order.
    pub fn between(&self, a: &str, b: &str) -> LinkShape {
        shape_of(&self.pairs, a, b).unwrap_or(self.default)
    }
}

/// The network that joins the data centres behind the forwarders.
#[derive(Clone, Debug, PartialEq)]
pub struct Fabric {
    /// Any two data centres that `pairs` does not name.
    pub default: LinkShape,
    /// Single pairs.
    pub pairs: BTreeMap<Pair, LinkShape>,
}

impl Fabric {
    /// The shape of the way between two data centres, in either order.
    pub fn between(&self, a: &str, b: &str) -> LinkShape {
        shape_of(&self.pairs, a, b).unwrap_or(self.default)
    }
}

fn shape_of(pairs: &BTreeMap<Pair, LinkShape>, a: &str, b: &str) -> Option<LinkShape> {
    pairs
        .iter()
        .find(|(pair, _)| pair.joins(a, b))
        .map(|(_, shape)| *shape)
}

/// Two different sites, in no order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    lower: SiteName,
    higher: SiteName,
}

impl Pair {
    /// The same pair whichever comes first; `None` if both are one.
    pub fn new(a: SiteName, b: SiteName) -> Option<Self> {
        match a.cmp(&b) {
            std::cmp::Ordering::Less => Some(Self { lower: a, higher: b }),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(Self { lower: b, higher: a }),
        }
    }

    /// Both ends, in the order of their names.
    pub const fn ends(&self) -> (&SiteName, &SiteName) {
        (&self.lower, &self.higher)
    }

    /// Whether it is the pair of these two.
    pub fn joins(&self, a: &str, b: &str) -> bool {
        let (lower, higher) = (self.lower.as_str(), self.higher.as_str());
        (lower, higher) == (a, b) || (lower, higher) == (b, a)
    }
}

/// How a way between two sites behaves. Each direction gets half of the round trip, and jitter and loss of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkShape {
    /// Round trip without queues.
    pub rtt: Span,
    /// Mean deviation added to each direction.
    pub jitter: Span,
    /// Loss in each direction, percent, 0 to 100.
    pub loss_pct: f64,
}

/// The access line of a site, the same both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessShape {
    /// Bottleneck rate.
    pub rate: BitRate,
    /// How its queue serves flows.
    pub queue: Queue,
    /// How much its queue holds.
    pub buffer: ByteSize,
}

/// How a queue serves flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    /// A queue a flow, served in turn, as RFC 8290 does: a probe does not wait behind a download.
    Fair,
    /// One queue for all.
    Fifo,
}

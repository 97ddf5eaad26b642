//! What is to be built: sites, users, VMs, and how the networks between them behave.

use std::collections::BTreeMap;

use engine::session::{AccessShape, LinkShape, Pair, Queue, Session};
use lisp_wire::{EidPrefix, Rloc};
use proto::{SiteName, Span, UserName, VmName};
use serde::{Deserialize, Serialize};

/// A whole fabric.
#[derive(Clone, Debug, PartialEq)]
pub struct Fabric {
    /// The session's name.
    pub name: String,
    /// Data centres and their locators.
    pub sites: BTreeMap<SiteName, Rloc>,
    /// User sites.
    pub users: BTreeMap<UserName, User>,
    /// Virtual machines.
    pub vms: BTreeMap<VmName, Vm>,
    /// Where Map-Server and Map-Resolver answer.
    pub map_server: Rloc,
    /// The network between all locators.
    pub wan: Shapes,
    /// The network that joins the data centres behind their forwarders.
    pub inner: Shapes,
}

impl Fabric {
    /// The fabric that a session's `lab:` part describes; `None` if it has none.
    pub fn of(session: &Session) -> Option<Self> {
        let lab = session.lab.as_ref()?;
        let config = &session.config;
        let pairs = |pairs: &BTreeMap<Pair, LinkShape>| {
            pairs
                .iter()
                .map(|(pair, shape)| {
                    let (a, b) = pair.ends();
                    (a.to_string(), b.to_string(), PairShape::half_of(shape))
                })
                .collect()
        };
        let access = lab
            .wan
            .access
            .iter()
            .map(|(name, shape)| (name.to_string(), Access::of(shape)))
            .collect();
        Some(Self {
            name: session.name.clone(),
            sites: config
                .sites
                .iter()
                .map(|(name, site)| (name.clone(), site.rloc))
                .collect(),
            users: config
                .users
                .iter()
                .map(|(name, user)| {
                    (
                        name.clone(),
                        User {
                            rloc: user.rloc,
                            eid: user.eid,
                        },
                    )
                })
                .collect(),
            vms: config
                .vms
                .iter()
                .map(|(name, vm)| {
                    (
                        name.clone(),
                        Vm {
                            eid: vm.eid,
                            home: vm.home.clone(),
                        },
                    )
                })
                .collect(),
            map_server: lab.map_server,
            wan: Shapes {
                default: PairShape::half_of(&lab.wan.default),
                pairs: pairs(&lab.wan.pairs),
                access,
            },
            inner: Shapes {
                default: PairShape::half_of(&lab.fabric.default),
                pairs: pairs(&lab.fabric.pairs),
                access: BTreeMap::new(),
            },
        })
    }
}

/// A user site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its xTR's locator.
    pub rloc: Rloc,
    /// Its EIDs; the host gets the tenth (or the last, in a smaller block).
    pub eid: EidPrefix,
}

/// A virtual machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vm {
    /// Its address, as a host prefix.
    pub eid: EidPrefix,
    /// The data centre whose hypervisor runs it.
    pub home: SiteName,
}

/// How a network behaves between any two of its ports, which are named after their sites and users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shapes {
    /// Unless said otherwise, for each direction.
    pub default: PairShape,
    /// For the two ports named, in either order; the same in each direction.
    pub pairs: Vec<(String, String, PairShape)>,
    /// Access lines, by port.
    pub access: BTreeMap<String, Access>,
}

/// One direction between two ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairShape {
    /// One way.
    pub delay: Span,
    /// Mean deviation of a packet's delay, which is drawn uniformly from `delay` plus or minus twice this. Packets keep
    /// their order.
    pub jitter: Span,
    /// Share of packets lost at random, percent.
    pub loss_pct: f64,
    /// Bottleneck, if any.
    pub limit: Option<Limit>,
}

impl PairShape {
    /// One direction of a link whose round trip is given.
    pub fn half_of(link: &LinkShape) -> Self {
        Self {
            delay: Span(link.rtt.micros() / 2),
            jitter: link.jitter,
            loss_pct: link.loss_pct,
            limit: None,
        }
    }
}

/// A bottleneck with a tail-drop queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Bits a second, counted from the IP header on.
    pub rate: u64,
    /// Bytes that may wait.
    pub queue: u64,
}

/// The line between a site and the network, the same both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Bits a second, counted from the IP header on.
    pub rate: u64,
    /// Bytes that may wait.
    pub buffer: u64,
    /// Who is served next.
    pub discipline: Discipline,
}

impl Access {
    /// As a session says it.
    pub fn of(shape: &AccessShape) -> Self {
        let discipline = match shape.queue {
            Queue::Fair => Discipline::Fair,
            Queue::Fifo => Discipline::Fifo,
        };
        Self {
            rate: shape.rate.0,
            buffer: shape.buffer.0,
            discipline,
        }
    }
}

/// Who is served next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Discipline {
    /// A queue for each flow, served in turn by deficit round robin, new flows first (RFC 8290 section 4, without its
    /// CoDel drops).
    #[default]
    Fair,
    /// First come, first served; what does not fit is dropped.
    Fifo,
}

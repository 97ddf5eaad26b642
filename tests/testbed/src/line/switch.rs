//! Whom a frame is for.
//!
//! A plain segment is a learning Ethernet switch. The inner network is one more thing: its data centres' xTRs share
//! one gateway address, and the switch returns a VM's packets to the data centre by which the peer's packets came in
//! (*symmetric return*), as the virtual switch of a hypervisor does by connection tracking. So a user who enters by
//! Marilyn is answered by Marilyn, wherever the VM runs. What was learned last wins, except that stragglers on the way
//! just left turn nothing back for a second; a peer that was never heard is answered through the VM's own data centre.

use std::collections::HashMap;
use std::net::IpAddr;

use super::config::{GATEWAY, LineConfig, PortKind};
use super::frame::View;
use super::{Nanos, PortId};
use crate::namespace::Mac;

/// Remembered pairs of addresses in a generation; two generations are kept.
const GENERATION: usize = 65_536;

/// After a peer changed its entry, packets it sent before still come by the old one, for as long as they are under way. They
/// would draw the answers back to the way that was left, and forth again with the next packet.
const HOLD: Nanos = 1_000_000_000;

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To one port.
    Port(PortId),
    /// To all others of its segment, except that gateways do not hear each other.
    All,
    /// To all gateways of its segment.
    Gateways,
    /// Nowhere: it is on its own side already.
    Nowhere,
}

/// The ports of a destination.
#[derive(Debug)]
pub enum Ports {
    /// One.
    One(PortId),
    /// Several or none.
    Many(Vec<PortId>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Plain,
    Gateway,
    Guest { home: PortId },
}

/// The switch of all segments.
#[derive(Debug)]
pub struct Switch {
    ports: Vec<(usize, Role)>,
    macs: HashMap<(usize, Mac), PortId>,
    returns: Returns,
}

impl Switch {
    /// That knows its ports and no address.
    pub fn new(config: &LineConfig, names: &HashMap<String, PortId>) -> Self {
        let mut segments: Vec<&str> = config.ports.iter().map(|port| port.segment.as_str()).collect();
        segments.sort_unstable();
        segments.dedup();
        let ports = config
            .ports
            .iter()
            .enumerate()
            .map(|(number, port)| {
                let segment = segments.binary_search(&port.segment.as_str()).unwrap_or_default();
                let role = match &port.kind {
                    PortKind::Plain => Role::Plain,
                    PortKind::Gateway => Role::Gateway,
                    PortKind::Guest { home } => Role::Guest {
                        home: names.get(home).copied().unwrap_or(PortId(number)),
                    },
                };
                (segment, role)
            })
            .collect();
        Self {
            ports,
            macs: HashMap::new(),
            returns: Returns::default(),
        }
    }

    /// Decides on one frame that came at `at`, and learns from it.
    pub fn decide(&mut self, from: PortId, frame: &View<'_>, at: Nanos) -> Destination {
        let (segment, role) = self.ports[from.0];
        if role != Role::Gateway {
            self.macs.insert((segment, frame.source()), from);
        }
        match role {
            Role::Guest { home } if frame.destination() == GATEWAY => self.gateway_for(home, frame),
            _ if frame.is_group() => Destination::All,
            role => match self.macs.get(&(segment, frame.destination())).copied() {
                Some(port) if port == from => Destination::Nowhere,
                Some(port) => {
                    if role == Role::Gateway
                        && let Some((remote, guest)) = frame.addresses()
                    {
                        self.returns.learn((guest, remote), from, at);
                    }
                    Destination::Port(port)
                }
                None => Destination::All,
            },
        }
    }

    /// The ports of a destination, for a frame that came in at `from`.
    pub fn ports(&self, to: Destination, from: PortId) -> Ports {
        let (segment, role) = self.ports[from.0];
        let among = |wanted: &dyn Fn(Role) -> bool| {
            let chosen =
                self.ports.iter().enumerate().filter(|(number, (there, other))| {
                    *number != from.0 && *there == segment && wanted(*other)
                });
            Ports::Many(chosen.map(|(number, _)| PortId(number)).collect())
        };
        match to {
            Destination::Port(port) => Ports::One(port),
            Destination::All if role == Role::Gateway => among(&|other| other != Role::Gateway),
            Destination::All => among(&|_| true),
            Destination::Gateways => among(&|other| other == Role::Gateway),
            Destination::Nowhere => Ports::Many(Vec::new()),
        }
    }

    /// A VM runs elsewhere now. Whoever entered by some data centre is still answered there.
    pub fn rehome(&mut self, guest: PortId, gateway: PortId) {
        self.ports[guest.0].1 = Role::Guest { home: gateway };
    }

    fn gateway_for(&mut self, home: PortId, frame: &View<'_>) -> Destination {
        if frame.resolves_neighbours() {
            // The answer does not say which of the gateways asked; to the others it is no news.
            return Destination::Gateways;
        }
        let learned = frame
            .addresses()
            .and_then(|(guest, remote)| self.returns.find(&(guest, remote)));
        Destination::Port(learned.unwrap_or(home))
    }
}

/// By which gateway each pair of (VM, peer) came in, bounded: when a generation is full, the one before is forgotten.
#[derive(Debug, Default)]
struct Returns {
    fresh: HashMap<(IpAddr, IpAddr), Entry>,
    aged: HashMap<(IpAddr, IpAddr), Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    gateway: PortId,
    /// The one before, and when it was left.
    left: Option<(PortId, Nanos)>,
}

impl Returns {
    fn learn(&mut self, pair: (IpAddr, IpAddr), gateway: PortId, at: Nanos) {
        let known = self.entry(&pair);
        let straggler = known
            .and_then(|entry| entry.left)
            .is_some_and(|(left, when)| left == gateway && at.saturating_sub(when) < HOLD);
        if straggler || known.is_some_and(|entry| entry.gateway == gateway) {
            return;
        }
        self.keep(
            pair,
            Entry {
                gateway,
                left: known.map(|entry| (entry.gateway, at)),
            },
        );
    }

    fn find(&mut self, pair: &(IpAddr, IpAddr)) -> Option<PortId> {
        self.entry(pair).map(|entry| entry.gateway)
    }

    /// What is known of a pair; what is asked for stays young.
    fn entry(&mut self, pair: &(IpAddr, IpAddr)) -> Option<Entry> {
        if let Some(entry) = self.fresh.get(pair) {
            return Some(*entry);
        }
        let entry = self.aged.get(pair).copied()?;
        self.keep(*pair, entry);
        Some(entry)
    }

    fn keep(&mut self, pair: (IpAddr, IpAddr), entry: Entry) {
        if self.fresh.len() >= GENERATION && !self.fresh.contains_key(&pair) {
            self.aged = std::mem::take(&mut self.fresh);
        }
        self.fresh.insert(pair, entry);
    }
}

//! What goes into a node and what comes out.

use std::net::{IpAddr, SocketAddr};

use datapath::MapCache;
use lisp_wire::{Eid, EidPrefix, Rloc};
use proto::{NodeCommand, NodeReport, Timestamp};

use crate::config::{Config, OwnRloc};
use crate::state::State;

/// A connection of the control socket, named by the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A datagram on UDP 4342.
    Datagram {
        /// Who sent it.
        from: SocketAddr,
        /// To which of our addresses.
        local: IpAddr,
        /// Its payload.
        bytes: Vec<u8>,
        /// When the kernel had it, by the same clock as `now`; RTTs are taken from it.
        received_at: Timestamp,
    },
    /// The packet path found no mapping; packets for it are held.
    Miss {
        /// Where a packet wants to go.
        eid: Eid,
        /// Whose packet it is.
        source: Option<Eid>,
    },
    /// Somebody connected to the control socket: answered with a Hello.
    Connected {
        /// Who.
        client: ClientId,
    },
    /// Somebody asks for something over the control socket.
    Command {
        /// Who.
        client: ClientId,
        /// Their id for it; the report that answers repeats it.
        request: u64,
        /// What.
        command: NodeCommand,
    },
    /// A control connection closed.
    ClientGone {
        /// Whose.
        client: ClientId,
    },
    /// Time passed; [`Node::next_deadline`](crate::Node::next_deadline) is reached.
    Tick,
    /// What [`Effect::Remember`] said last before the process ended. Given first, before any datagram.
    Remembered(State),
    /// The network refused to carry packets to this locator (ICMP, no route): it counts as a lost probe.
    Unreachable {
        /// Which.
        rloc: Rloc,
    },
    /// A peer that is trusted with marks in data headers, and that the packet path does not know, has sent some.
    Met {
        /// Where from.
        rloc: Rloc,
    },
    /// A packet for an EID that has left this site came from this locator, and was sent on.
    Late {
        /// Where from.
        rloc: Rloc,
        /// For whom.
        eid: Eid,
    },
    /// The configuration was read anew: [`Config::fixed`](crate::Config::fixed) says what of it does not count. Everything
    /// is registered at once, by the new keys.
    Configured(Box<Config>),
    /// The node has moved: these are its locators from now on. Its peers and the mapping system are told.
    Relocated {
        /// At least one, else nothing happens.
        rlocs: Vec<OwnRloc>,
    },
    /// The process ends: registrations are withdrawn.
    Shutdown,
}

/// Something to be done by the daemon, in this order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send a datagram from UDP 4342.
    Send {
        /// From this of our addresses; `None` leaves it to the routing table.
        from: Option<IpAddr>,
        /// To whom.
        to: SocketAddr,
        /// The payload.
        bytes: Vec<u8>,
        /// DSCP of the outer header, 0 to 63.
        dscp: u8,
    },
    /// Send a datagram from UDP 4341, so that a NAT on the way lets packets in there.
    SendFromData {
        /// To whom.
        to: SocketAddr,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// From now on forward by this map cache.
    Publish(MapCache),
    /// Send the packets held for EIDs in this block, from the site or from the network; the map cache that knows the way
    /// was published before.
    Release {
        /// Which.
        eid: EidPrefix,
    },
    /// Drop the packets held for EIDs in this block: there is no way.
    Discard {
        /// Which.
        eid: EidPrefix,
    },
    /// Hand the packets held for EIDs in this block, which have come for them by the network, to the site: in order, and
    /// before what comes later. Their gate is open.
    Deliver {
        /// Which.
        eid: EidPrefix,
    },
    /// Tell somebody on the control socket.
    Report {
        /// Whom.
        to: To,
        /// The request it answers.
        reply_to: Option<u64>,
        /// What.
        report: NodeReport,
    },
    /// Keep this over a restart, and give it back by [`Input::Remembered`].
    Remember(State),
}

/// Whom a report is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum To {
    /// One connection.
    Client(ClientId),
    /// Every connection that subscribed; the daemon is told of nobody else by `Node`, which keeps the list.
    Subscribers,
}

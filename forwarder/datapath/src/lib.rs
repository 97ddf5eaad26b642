//! The pure packet path: bytes in, bytes out. No sockets, no clock, no lock; nothing is allocated for a packet.
//!
//! | module | what it holds |
//! |---|---|
//! | [`map_cache`] | [`MapCache`]: which way each EID goes; longest prefix wins; replaced whole |
//! | [`eid_set`] | [`EidSet`]: EIDs given as prefixes |
//! | [`locator_table`] | [`LocatorTable`]: priorities and weights, worked out once, so that a hash picks a locator |
//! | [`batch`] | [`PacketBatch`]: packets in preallocated slots with room for headers in front |
//! | [`inner`] | [`Inner`]: a checked view of an IPv4 or IPv6 packet, and its flow hash |
//! | [`encap`] | [`Encapsulator`]: packets from the site to datagrams for locators |
//! | [`decap`] | [`Decapsulator`]: datagrams from the network to packets for the site |
//! | [`gate`] | [`Gate`]: packets for an EID that is about to run here wait before it |
//! | [`ecn`] | congestion marks through a tunnel (RFC 6040) |
//! | [`marks`] | [`Marks`]: locator-status bits, echoed nonces and map versions, where peers are trusted with them |
//! | [`watch`] | [`Watch`]: which of the peers that were told of a change still send here |
//! | [`mtu`] | packets too big for the tunnel: told (ICMP) or cut |
//! | [`counters`] | [`Counters`]: every packet's [`Fate`] |
//!
//! The seams for segmentation offload and for a kernel table: a slot may hold a super-packet, since a [`Datagram`]
//! says where its bytes are; and a [`MapCache`] is a value that another table can be filled from and compared with.

pub mod batch;
mod checksum;
pub mod counters;
pub mod decap;
pub mod ecn;
mod eid_map;
pub mod eid_set;
pub mod encap;
pub mod gate;
pub mod inner;
pub mod locator_table;
pub mod map_cache;
pub mod marks;
pub mod mtu;
mod trie;
pub mod watch;

pub use batch::{Outer, PacketBatch, Slot};
pub use counters::{Counters, Fate};
pub use decap::{Decapsulator, Early, Ingress, Relay};
pub use eid_set::EidSet;
pub use encap::{Datagram, Egress, Encapsulator, Envelope, Held, Lane, Routes, TooBig};
pub use gate::Gate;
pub use inner::{Inner, Malformed};
pub use locator_table::{LocatorCounters, LocatorTable, Reach, TableLocator, Transit};
pub use map_cache::{Entry, Forwarding, MapCache};
pub use marks::{MappingMarks, Marks, Signals};
pub use mtu::Limits;
pub use watch::{Sight, Watch};

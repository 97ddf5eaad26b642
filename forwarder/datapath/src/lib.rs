//! The pure packet path: bytes in, bytes out. No sockets, no clock, no lock; nothing is allocated for a packet.
//!
//! | module | what it holds |
//! |---|---|
//! | [`map_cache`] | [`MapCache`]: which way each EID goes; longest prefix wins; replaced whole |
//! | [`locator_table`] | [`LocatorTable`]: priorities and weights, worked out once, so that a hash picks a locator |

pub mod locator_table;
pub mod map_cache;
mod trie;

pub use locator_table::{LocatorCounters, LocatorTable, Reach, TableLocator};
pub use map_cache::{Entry, Forwarding, MapCache};

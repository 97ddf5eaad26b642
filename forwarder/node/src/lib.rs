//! The control machines of a LISP node. No sockets, no clock, no threads: [`Input`]s go in with the time,
//! [`Effect`]s come out, and [`Node::next_deadline`] says when to come back at the latest.
//!
//! | module | what it decides |
//! |---|---|
//! | [`config`] | what a node is told of itself and of its peers |
//! | [`input`] | [`Input`] and [`Effect`] |
//! | [`node`] | [`Node`]: routes an input to its machine, gathers the effects |
//! | `datagrams` | which machine a datagram is for |
//! | `commands` | what the engine asks: locators, probes, the map cache, figures |
//! | `xtr` | the xTR's machines: |
//! | `cache` | mappings of others: lifetimes, reachability, what the packet path is given |
//! | `resolution` | questions to the mapping system, and which answers are taken |
//! | `database` | own mappings, views of single clients, who asked lately |
//! | `registration` | registering with the Map-Servers |
//! | `etr` | answers to Map-Requests and RLOC-probes |
//! | `subscriber` | mappings that Map-Servers tell of by themselves (RFC 9437) |
//! | `map_server`, `map_resolver` | the mapping system's two roles |
//! | `referrals` | the Map-Resolver's walk down a delegation tree (RFC 8111) |
//! | `nat` | an xTR behind a NAT asks how it is seen, and by whom it is helped |
//! | `nat_router` | the router that helps: registrations handed on, and how each site is reached (RTR) |
//! | `signals` | what data headers say and teach: locators down, paths closed one way, mappings that are old |
//! | `answers` | how much anybody can have us send to one address |
//! | `pubsub` | the Map-Server's subscribers, and what they are told (RFC 9437) |
//! | `probing` | RTT, jitter, loss, availability of locators |
//! | `mobility` | Algorithm 1 of the thesis: an EID moves, clients are told |
//! | `relocation` | a node that roams: everyone is told where it is now |
//! | `whereabouts` | own EIDs that are about to come, or have just gone |
//! | `residents` | engines are told which of the own EIDs run here |
//! | `preparing`, `prepared` | a handover made ready at the site that an EID leaves, and at the one it comes to |
//! | `abilities` | how each peer is told, as far as it has shown |
//! | `deliveries` | Change-Priority on its way: repeated until acknowledged |
//! | `replay` | which Change-Priority messages are new |
//! | [`state`] | what must outlive the process |
//! | `journal` | every message, as far back as there is room, and what became of it |
//! | `tables` | what people look at, page by page |
//! | `context` | what every machine is handed |
//! | `nonces`, `timers`, `limits`, `counters` | the tools of all |

mod abilities;
mod answers;
mod cache;
mod commands;
pub mod config;
mod context;
mod counters;
mod database;
mod datagrams;
mod deliveries;
mod etr;
pub mod input;
mod journal;
mod late;
mod limits;
mod map_resolver;
mod map_server;
mod mobility;
mod nat;
mod nat_router;
pub mod node;
mod nonces;
mod prepared;
mod preparing;
mod probing;
mod pubsub;
mod referrals;
mod registration;
mod relocation;
mod replay;
mod residents;
mod resolution;
mod signals;
pub mod state;
mod subscriber;
mod tables;
mod timers;
mod whereabouts;
mod xtr;

pub use config::{Config, ConfigError};
pub use input::{ClientId, Effect, Input, To};
pub use node::Node;
pub use state::State;
pub use whereabouts::HOLD_FOR;

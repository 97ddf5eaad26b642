//! The control machines of a LISP node. No sockets, no clock, no threads: [`Input`]s go in with the time,
//! [`Effect`]s come out, and [`Node::next_deadline`] says when to come back at the latest.
//!
//! | module | what it decides |
//! |---|---|
//! | [`config`] | what a node is told of itself and of its peers |
//! | [`input`] | [`Input`] and [`Effect`] |
//! | [`node`] | [`Node`]: routes an input to its machine, gathers the effects |
//! | [`state`] | what must outlive the process |

pub mod config;
pub mod input;
pub mod node;
pub mod state;

pub use config::{Config, ConfigError};
pub use input::{ClientId, Effect, Input, To};
pub use node::Node;
pub use state::State;

//! The engine's machines. No sockets, no clock, no tokio: [`Input`]s go in with the time, [`Effect`]s come out.
//!
//! | module | what it decides |
//! |---|---|
//! | [`config`] | what the engine is told of the fabric and of its limits |
//! | [`input`] | [`Input`] and [`Effect`] |

pub mod config;
pub mod input;

pub use config::Config;
pub use input::{Effect, Input};

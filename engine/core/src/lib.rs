//! The engine's machines. No sockets, no clock, no tokio: [`Input`]s go in with the time, [`Effect`]s come out.
//!
//! | module | what it decides |
//! |---|---|
//! | [`config`] | what the engine is told of the fabric and of its limits |
//! | [`engine`] | the root: [`Engine`] |
//! | [`input`] | [`Input`] and [`Effect`] |

pub mod config;
pub mod engine;
pub mod input;

pub use config::Config;
pub use engine::{Engine, decisions};
pub use input::{Effect, Input};

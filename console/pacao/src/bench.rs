//! Measurements against named peers.

pub mod forward;

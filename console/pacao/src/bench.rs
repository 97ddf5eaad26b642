//! Measurements against named peers.

pub(crate) mod forward;

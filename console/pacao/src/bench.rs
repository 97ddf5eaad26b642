//! Measurements against named peers.

pub(crate) mod forward;
pub(crate) mod handover;

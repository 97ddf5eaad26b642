//! Measurements against named peers and given targets.

pub(crate) mod assign;
pub(crate) mod forward;
pub(crate) mod handover;

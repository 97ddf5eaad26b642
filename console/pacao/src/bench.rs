//! Measurements against named peers and given targets.

pub(crate) mod assign;
mod clock;
pub(crate) mod decide;
pub(crate) mod forward;
pub(crate) mod handover;
pub(crate) mod monitor;
#[path = "../../../engine/core/benches/decide/probing.rs"]
mod probing;
pub(crate) mod pubsub;

//! A country of moving users in virtual time, driving the engine's own machines (thesis section 5.4).
//!
//! | module | what it holds |
//! |---|---|
//! | [`geo`] | places, distances, and the round trip they cost |
//! | [`region`] | the cities of France and of Europe |
//! | [`areas`] | location areas, drawn where people are |
//! | [`trace`] | trajectories, and which of them may be kept (k-anonymity) |
//! | [`wander`] | trajectories made of a seed |
//! | [`csv`] | trajectories read and written |
//! | [`fabric`] | data centres drawn over the areas; every round trip |
//! | [`slots`] | S' and S'' |
//! | [`walk`] | one user's day: legacy, RLOC switching, and migration |
//! | [`day`] | everybody's day, on all processors |
//! | [`tally`] | round trips by the time users spent with them |
//! | [`congestion`] | everybody at once, (5.4)-(5.9) |
//! | [`study`] | the figures, their findings and checks |
//! | [`plot`] | drawings |
//!
//! No clock, no socket: whoever calls shows progress and says when to stop. The same seed gives the same results,
//! whatever the number of threads.

pub mod areas;
mod chance;
pub mod congestion;
pub mod csv;
pub mod day;
pub mod fabric;
pub mod geo;
pub mod plot;
pub mod region;
pub mod slots;
pub mod study;
pub mod tally;
pub mod trace;
pub mod walk;
pub mod wander;

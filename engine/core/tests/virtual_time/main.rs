//! The engine in a small world, in virtual time. Nothing here sleeps or asks for the time.

mod approving;
mod calm;
mod failing;
mod random;
mod restarting;
mod switching;
mod world;

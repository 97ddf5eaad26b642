//! The engine's shell from outside: fake forwarders on Unix sockets, real files, real WebSockets.
//! Slots are short; whatever is waited for is a condition, with a limit that only a hang reaches.

// The helpers of tests are tests: they may unwrap.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;
mod consoles;
mod forwarder;
mod planning;
mod record;
mod switching;

//! The codec from outside: real peers' bytes, every message both ways, and bytes that mean harm.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as a test does")]

mod corpora;
mod forged;
mod hostile;
mod peers;
mod roundtrip;
mod samples;
mod strategies;
mod unsayable;

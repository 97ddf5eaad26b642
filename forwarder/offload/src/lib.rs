//! Everything that needs `unsafe`: TUN devices, batches of datagrams with what the kernel knows of each, capabilities.
//!
//! | module | what it holds |
//! |---|---|
//! | [`tun`] | [`Tun`]: a network interface whose wire is a file |
//! | [`socket`] | [`UdpSocket`]: a bound socket with the options the tunnel needs |
//! | [`receive`] | [`Receiver`]: many datagrams a call, with TTL, traffic class and kernel time |
//! | [`send`] | [`Sender`]: many datagrams a call, each with TTL and traffic class of its own |
//! | [`path`] | what the kernel knows of the way to an address |
//! | [`capabilities`] | giving up what is no longer needed |
//!
//! Segmentation offload has its seams here: a [`Tun`] could carry virtio headers, a [`Sender`] a segment size.

// The one crate where it is allowed; each block says why it is sound.
#![allow(unsafe_code)]

pub mod capabilities;
mod control_message;
mod error;
pub mod path;
pub mod receive;
pub mod send;
mod sockaddr;
pub mod socket;
pub mod tun;

pub use capabilities::Capability;
pub use error::{Operation, SystemError};
pub use receive::{Received, Receiver};
pub use send::{Outgoing, Sender};
pub use socket::{Role, UdpSocket};
pub use tun::Tun;

#[cfg(test)]
mod tests;

//! The unsafe crate: TUN devices, batches of datagrams, kernel timestamps.

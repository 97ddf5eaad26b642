//! Consoles of other processes: WebSocket, one JSON frame a text message, on loopback only until there is TLS.
//!
//! Who may connect: whoever can read the token file (mode 0600) beside the record. No browser: a request with an
//! `Origin` is refused, so that no web page reaches the engine through its visitor.

mod client;
mod server;
mod token;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub use client::{ConnectError, Connection, connect};
pub(crate) use server::Server;
pub use token::Token;

/// A connection, its HTTP part and the greeting each take no longer than this.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Each side asks for a sign of life this often,
const PING_EVERY: Duration = Duration::from_secs(10);

/// and gives the other up after this long without any.
const SILENCE: Duration = Duration::from_secs(30);

/// A client's frames are commands: short.
const MAX_FROM_CLIENT: usize = 64 << 10;

/// An engine's frames may be snapshots of large fabrics.
const MAX_FROM_ENGINE: usize = 256 << 20;

fn limits(max_message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
}

/// Where an engine can be attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `ws://127.0.0.1:PORT/`.
    pub url: String,
    /// The file with the token.
    pub token: PathBuf,
}

/// A server for consoles that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleLinkError {
    /// Only loopback, for there is no TLS yet.
    #[error(
        "consoles can be served on a loopback address only, not on {address}: the connection is not encrypted; use 127.0.0.1 or [::1], and SSH port forwarding from elsewhere"
    )]
    NotLoopback {
        /// As asked.
        address: SocketAddr,
    },
    /// The port is taken, or not allowed.
    #[error("cannot listen for consoles on {address}: {source}")]
    Bind {
        /// As asked.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The token or the endpoint file.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// A verb.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The token file holds something else, or others can read it.
    #[error("{} is not a token of ours: {why}; {mend}", path.display())]
    Token {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
        /// What would be right.
        mend: &'static str,
    },
}

//! Framing: one JSON object a line on sockets, one a text frame on a WebSocket.

use serde::{Deserialize, Serialize};

use crate::{Command, Mode, NodeCommand, NodeReport, Notice, Reply, RequestId, Snapshot};

/// Version of everything in this crate. Peers of another version are told so and let go.
pub const PROTOCOL: u32 = 1;

/// Console to engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "frame")]
pub enum ClientFrame {
    /// First frame.
    Hello {
        /// [`PROTOCOL`] of the console.
        protocol: u32,
        /// Login name of the person.
        operator: String,
    },
    /// A command; the reply carries the same id.
    Ask {
        /// Id.
        request: RequestId,
        /// Command.
        command: Command,
    },
}

/// Engine to console.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "frame")]
#[allow(clippy::large_enum_variant)] // one frame at a time, never stored in bulk
pub enum EngineFrame {
    /// First frame.
    Hello {
        /// [`PROTOCOL`] of the engine.
        protocol: u32,
        /// The session's name.
        session: String,
        /// The mode at this moment.
        mode: Mode,
    },
    /// All there is. Sent first, and again after notices had to be dropped for a slow console.
    Snapshot {
        /// It.
        snapshot: Snapshot,
    },
    /// What changed since, in order.
    Notices {
        /// The changes.
        notices: Vec<Notice>,
    },
    /// Answer to one command.
    Reply {
        /// Its id.
        request: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// The engine is about to close the connection.
    Bye {
        /// Why.
        why: String,
    },
}

/// Engine to forwarder, one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeFrame {
    /// Repeated in the direct answer.
    pub request: u64,
    /// What is asked.
    #[serde(flatten)]
    pub command: NodeCommand,
}

/// Forwarder to engine, one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportFrame {
    /// Of the command answered; `None` for what the node tells by itself.
    pub reply_to: Option<u64>,
    /// What is told.
    #[serde(flatten)]
    pub report: NodeReport,
}

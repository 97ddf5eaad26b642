//! What goes into the engine and what comes out.

use proto::{Actor, ChangeId, Command, NodeCommand, NodeReport, Notice, Reply, RequestId, SiteName, VmName};
use serde::{Deserialize, Serialize};

/// Something that happened. Every one is recorded before it is handled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "input")]
pub enum Input {
    /// Time passed; nothing else happened. Sent when the engine's next deadline is reached.
    Tick,
    /// The engine's shell took up (or took up again after a crash): nothing is connected, nothing is fresh.
    Started,
    /// The control connection to a forwarder stands; its `Hello` follows as a report.
    NodeUp {
        /// Which.
        site: SiteName,
    },
    /// The control connection to a forwarder broke.
    NodeDown {
        /// Which.
        site: SiteName,
        /// The error, for the log.
        why: String,
    },
    /// A forwarder told something.
    Report {
        /// Which.
        site: SiteName,
        /// What.
        report: NodeReport,
    },
    /// The fabric's agent tells the IS-IS cost from a data centre's border router to a VM (thesis chapter 7).
    FabricCost {
        /// The data centre entered.
        site: SiteName,
        /// The VM.
        vm: VmName,
        /// The cost; `None` if there is no path.
        cost: Option<u32>,
    },
    /// Somebody asks for something.
    Command {
        /// Their id for it.
        request: RequestId,
        /// Who.
        by: Actor,
        /// What.
        command: Command,
    },
    /// The record cannot be written: nothing moves until it can. Not on the record itself, but in the state from which it
    /// goes on.
    RecordFailed {
        /// The error.
        why: String,
        /// Changes that were not told to anybody, for they could not be recorded.
        withheld: Vec<ChangeId>,
        /// The command that came to nothing by that.
        undone: Option<RequestId>,
    },
    /// The record can be written again.
    RecordMended,
}

/// Something to be done by the shell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "effect")]
pub enum Effect {
    /// Tell all consoles.
    Notify {
        /// What changed.
        notice: Notice,
    },
    /// Answer a command.
    Reply {
        /// Its id.
        request: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// Send to a forwarder; dropped if it is not connected (the machines know, by [`Input::NodeDown`]).
    Node {
        /// Which.
        site: SiteName,
        /// What.
        command: NodeCommand,
    },
}

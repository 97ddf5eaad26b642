//! The process that is the WAN: it runs [`crate::line`] on raw sockets and obeys commands on its standard input.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use proto::Span;
use serde::{Deserialize, Serialize};

use crate::fabric::PairShape;

/// `delay-line --config FILE [--die-with-parent]`: runs until its standard input ends.
pub fn main_with_args(arguments: Vec<OsString>) -> ExitCode {
    drop(arguments);
    ExitCode::FAILURE
}

/// What the delay line is told while it runs, one JSON object a line on its standard input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum LineCommand {
    /// Delay packets from one port to another longer, by `add` (not by `add` more than before).
    Stress {
        /// Where they come in.
        from: String,
        /// Where they go out.
        to: String,
        /// One way, on top of the pair's own delay. Zero ends the stress.
        add: Span,
    },
    /// Give one direction another shape.
    Shape {
        /// Where packets come in.
        from: String,
        /// Where they go out.
        to: String,
        /// From now on. A stress stays on top of it.
        shape: PairShape,
    },
    /// A VM lives elsewhere now.
    Rehome {
        /// The VM's port.
        port: String,
        /// The data centre's port.
        home: String,
    },
    /// Report.
    Stats,
    /// Begin the statistics anew.
    Reset,
}

/// The answer, one a command, on standard output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reply")]
pub enum LineReply {
    /// Done.
    Done,
    /// Not done.
    Refused {
        /// Why.
        why: String,
    },
    /// To [`LineCommand::Stats`].
    Stats(LineStats),
}

/// What the line did since it began, or since [`LineCommand::Reset`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LineStats {
    /// Actual minus intended time of release.
    pub error: ErrorFigures,
    /// By direction, written `from>to`.
    pub pairs: BTreeMap<String, PairCounters>,
    /// By port: the access line towards the network and from it.
    pub access: BTreeMap<String, AccessCounters>,
    /// Frames the kernel dropped before the line saw them. Zero, or the machine is too busy for this lab.
    pub kernel_drops: u64,
    /// Whether the process runs with real-time priority.
    pub realtime: bool,
}

/// Quantiles of the line's own error, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorFigures {
    /// Packets released.
    pub count: u64,
    /// Median.
    pub p50_us: f64,
    /// 99 in 100 are below.
    pub p99_us: f64,
    /// 999 in 1,000 are below.
    pub p999_us: f64,
    /// The largest.
    pub max_us: f64,
}

/// One direction between two ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCounters {
    /// Packets let through.
    pub packets: u64,
    /// Their bytes from the IP header on.
    pub bytes: u64,
    /// Packets lost by the configured loss.
    pub lost: u64,
    /// Packets dropped because the pair's queue was full.
    pub dropped: u64,
}

/// Both directions of an access line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessCounters {
    /// Packets from the site dropped for want of buffer.
    pub up_dropped: u64,
    /// Packets to the site dropped for want of buffer.
    pub down_dropped: u64,
    /// Most bytes that ever waited towards the network.
    pub up_peak: u64,
    /// Most bytes that ever waited towards the site.
    pub down_peak: u64,
}

//! Traffic to look at, as subcommands: `serve`, `download`, `echo`. Each prints JSON lines.

use std::ffi::OsString;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// `traffic serve|download|echo ...`, for use inside the lab's hosts.
pub fn main_with_args(arguments: Vec<OsString>) -> ExitCode {
    drop(arguments);
    ExitCode::FAILURE
}

/// What `traffic` prints, one a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "traffic")]
pub enum TrafficLine {
    /// `serve` listens.
    Serving {
        /// TCP byte source.
        tcp: u16,
        /// UDP echo.
        udp: u16,
    },
    /// `download`, every `--report-every`.
    Volume {
        /// Milliseconds since the connection was asked for.
        at_ms: f64,
        /// Bytes received so far.
        bytes: u64,
    },
    /// `download`, last.
    Downloaded {
        /// Seconds from the first byte asked for to the end.
        seconds: f64,
        /// Bytes received in all.
        bytes: u64,
        /// The connection broke, and why; absent when it ran to its end.
        broke: Option<String>,
    },
    /// `echo --each`: one packet came back.
    Back {
        /// Its number.
        seq: u64,
        /// Milliseconds since the first was sent, when this one was sent.
        at_ms: f64,
        /// Round trip, milliseconds.
        rtt_ms: f64,
    },
    /// `echo --each`: one packet did not come back in time. Told when the drain time is over.
    Missing {
        /// Its number.
        seq: u64,
        /// Milliseconds since the first was sent, when this one was sent.
        at_ms: f64,
    },
    /// `echo`, last.
    Echoed(EchoSummary),
}

/// What became of a sequence of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EchoSummary {
    /// Packets sent.
    pub sent: u64,
    /// Packets that came back, each counted once.
    pub received: u64,
    /// Packets that did not come back within the drain time.
    pub lost: u64,
    /// Packets that came back more than once, counted by their surplus.
    pub duplicated: u64,
    /// Packets that came back after one sent later.
    pub reordered: u64,
    /// Least round trip, milliseconds.
    pub rtt_min_ms: f64,
    /// Mean round trip, milliseconds.
    pub rtt_mean_ms: f64,
    /// Median round trip, milliseconds.
    pub rtt_p50_ms: f64,
    /// 99 in 100 are below, milliseconds.
    pub rtt_p99_ms: f64,
    /// Largest round trip, milliseconds.
    pub rtt_max_ms: f64,
}

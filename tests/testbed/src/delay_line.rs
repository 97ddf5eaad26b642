//! The process that is the WAN: it runs [`crate::line`] on raw sockets and obeys commands on its standard input.

mod process;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use proto::Span;
use serde::{Deserialize, Serialize};

use crate::fabric::PairShape;
use crate::guard::die_with_parent;
use crate::line::config::{ConfigError, LineConfig};
use process::Process;

/// `delay-line`: be the WAN of a lab, until standard input ends.
#[derive(Debug, Parser)]
#[command(name = "delay-line")]
struct Arguments {
    /// Ports and shapes, as JSON.
    #[arg(long)]
    config: PathBuf,
    /// End when the parent ends, however it ends.
    #[arg(long)]
    die_with_parent: bool,
}

/// `delay-line --config FILE [--die-with-parent]`: runs until its standard input ends.
#[expect(
    clippy::print_stderr,
    reason = "a process of its own; the lab keeps its standard error as a log"
)]
pub fn main_with_args(arguments: Vec<OsString>) -> ExitCode {
    let name = OsString::from("delay-line");
    let arguments = match Arguments::try_parse_from(std::iter::once(name).chain(arguments)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("delay-line: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), DelayLineError> {
    if arguments.die_with_parent {
        die_with_parent().map_err(|source| DelayLineError::Parent { source })?;
    }
    let file = &arguments.config;
    let text = std::fs::read_to_string(file).map_err(|source| DelayLineError::Unreadable {
        file: file.clone(),
        source,
    })?;
    let config: LineConfig = serde_json::from_str(&text).map_err(|source| DelayLineError::Unparsable {
        file: file.clone(),
        source,
    })?;
    Process::start(config)?.run()
}

/// Why a delay line does not run.
#[derive(Debug, thiserror::Error)]
pub enum DelayLineError {
    /// It was to die with its parent.
    #[error("cannot tie this process to its parent: {source}")]
    Parent {
        /// Why.
        source: io::Error,
    },
    /// No file.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not the JSON of a line.
    #[error("{}: {source}", file.display())]
    Unparsable {
        /// Which.
        file: PathBuf,
        /// What.
        source: serde_json::Error,
    },
    /// It contradicts itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No packet socket on an interface.
    #[error("cannot open port '{port}' on interface {interface}: {source}")]
    Port {
        /// The port.
        port: String,
        /// The interface.
        interface: String,
        /// Why.
        source: io::Error,
    },
    /// A socket broke.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
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
    /// A VM stands still: what reaches it is lost, until it is said where it lives.
    Halt {
        /// The VM's port.
        port: String,
    },
    /// A VM lives elsewhere now, and runs.
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
    /// First word: all ports are open.
    Ready,
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
    /// Frames the kernel dropped before the line saw them, or did not take. Zero, or the machine is too busy for this lab.
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

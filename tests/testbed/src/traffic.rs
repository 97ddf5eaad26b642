//! Traffic to look at, as subcommands: `serve`, `download`, `echo`. Each prints JSON lines.

mod download;
mod echo;
mod serve;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use proto::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::guard::die_with_parent;

/// Make traffic, and say how it fares in JSON lines.
#[derive(Debug, Parser)]
#[command(name = "traffic")]
struct Arguments {
    /// End when the parent ends, however it ends.
    #[arg(long)]
    die_with_parent: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Give bytes to whoever connects by TCP, and send UDP packets back to where they came from.
    Serve {
        /// Where to listen; the same port for TCP and UDP.
        #[arg(long, default_value = "0.0.0.0:5001")]
        listen: SocketAddr,
    },
    /// Download from `serve`.
    Download {
        /// Where `serve` listens.
        server: SocketAddr,
        /// The receive window to hold, bytes; the system's choice if absent.
        #[arg(long)]
        window: Option<u32>,
        /// For how long.
        #[arg(long, default_value_t = 10.0)]
        seconds: f64,
        /// Time between two reports.
        #[arg(long, default_value = "250ms", value_parser = Span::parse)]
        report_every: Span,
    },
    /// Send numbered UDP packets to `serve` and account for each.
    Echo {
        /// Where `serve` listens.
        server: SocketAddr,
        /// Time between two packets.
        #[arg(long, default_value = "20ms", value_parser = Span::parse)]
        interval: Span,
        /// For how long packets are sent; until standard input ends if absent.
        #[arg(long)]
        seconds: Option<f64>,
        /// How long to wait for the last ones before they count as lost.
        #[arg(long, default_value = "2s", value_parser = Span::parse)]
        drain: Span,
        /// Payload, bytes.
        #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(16..=1400))]
        size: u16,
        /// Print what became of each packet, too.
        #[arg(long)]
        each: bool,
    },
}

/// `traffic serve|download|echo ...`, for use inside the lab's hosts.
#[expect(
    clippy::print_stderr,
    reason = "a process of its own; its standard output is data"
)]
pub fn main_with_args(arguments: Vec<OsString>) -> ExitCode {
    let name = OsString::from("traffic");
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
            eprintln!("traffic: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), TrafficError> {
    if arguments.die_with_parent {
        die_with_parent().map_err(|source| TrafficError::Io {
            what: "tie itself to its parent",
            source,
        })?;
    }
    match &arguments.verb {
        Verb::Serve { listen } => serve::run(*listen),
        Verb::Download {
            server,
            window,
            seconds,
            report_every,
        } => download::run(&download::Order {
            server: *server,
            window: *window,
            time: span(*seconds),
            report_every: *report_every,
        }),
        Verb::Echo {
            server,
            interval,
            seconds,
            drain,
            size,
            each,
        } => echo::run(&echo::Order {
            server: *server,
            interval: *interval,
            time: seconds.map(span),
            drain: *drain,
            size: (*size).into(),
            detail: if *each {
                echo::Detail::Each
            } else {
                echo::Detail::Summary
            },
        }),
    }
}

fn span(seconds: f64) -> Span {
    Span((seconds.clamp(0.0, 1e9) * 1e6) as u64)
}

/// Prints one line, at once.
fn say(line: &TrafficLine) -> Result<(), TrafficError> {
    let failed = |source| TrafficError::Io {
        what: "print",
        source,
    };
    let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    let mut output = io::stdout().lock();
    output
        .write_all(&text)
        .and_then(|()| output.flush())
        .map_err(failed)
}

/// Traffic that does not flow.
#[derive(Debug, thiserror::Error)]
enum TrafficError {
    #[error("cannot {what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error("cannot {what} {peer}: {source}")]
    Peer {
        what: &'static str,
        peer: SocketAddr,
        source: io::Error,
    },
}

/// What `traffic` prints, one a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "traffic")]
pub enum TrafficLine {
    /// `serve` listens.
    Serving {
        /// By TCP and UDP.
        at: SocketAddr,
    },
    /// `download` is connected.
    Connected {
        /// Milliseconds since the connection was asked for.
        after_ms: f64,
    },
    /// `download`, every `--report-every`.
    Volume {
        /// Milliseconds since the connection was asked for.
        at_ms: f64,
        /// Bytes received so far.
        bytes: u64,
        /// The window the receiver advertises, bytes; absent on kernels before 6.2.
        window: Option<u32>,
    },
    /// `download`, last.
    Downloaded {
        /// Seconds since the connection was asked for.
        seconds: f64,
        /// Bytes received in all.
        bytes: u64,
        /// The connection broke, and why; absent when it ran to its end.
        broke: Option<String>,
    },
    /// `echo --each`, first.
    Began {
        /// When the first packet was sent, by the wall clock.
        at: Timestamp,
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

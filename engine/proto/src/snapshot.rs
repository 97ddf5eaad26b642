//! All there is, as rows.

use std::collections::VecDeque;
use std::fmt;

use lisp_wire::{EidPrefix, Priority, Rloc, Weight};
use serde::{Deserialize, Serialize};

use crate::{
    AvailabilityReport, PolicyRow, Proposal, QoeReport, SiteName, SlaName, Span, Timestamp, UserName, VmName,
};

/// What the engine may do by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Measures and shows; proposes nothing.
    Observe,
    /// Proposes; staff decide.
    #[default]
    Recommend,
    /// Proposes and carries out.
    Auto,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Observe => "observe",
            Self::Recommend => "recommend",
            Self::Auto => "auto",
        })
    }
}

/// Everything a console needs to start from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Timestamp,
    /// The session's name.
    pub session: String,
    /// When this engine process took up.
    pub engine_since: Timestamp,
    /// The mode.
    pub mode: Mode,
    /// One row a forwarder, by name.
    pub nodes: Vec<NodeRow>,
    /// One row for each user and data centre.
    pub links: Vec<LinkRow>,
    /// One row for each two data centres of which a VM lives at the second.
    #[serde(default)]
    pub legs: Vec<LegRow>,
    /// RTT of each link over the last two minutes, one point a probe, oldest first.
    pub histories: Vec<LinkHistory>,
    /// One row for each user, VM and data centre.
    pub rlocs: Vec<RlocRow>,
    /// Open ones, and those ended lately, by number.
    pub proposals: Vec<Proposal>,
    /// The latest entries, oldest first.
    pub log: VecDeque<LogEntry>,
    /// What policy allows now.
    #[serde(default)]
    pub policy: PolicyRow,
    /// How long VMs and locators could be reached.
    #[serde(default)]
    pub availability: AvailabilityReport,
    /// What users' scores tell.
    #[serde(default)]
    pub qoe: QoeReport,
    /// How far engine time is ahead of the system's clock; zero up to a second.
    #[serde(default)]
    pub clock_ahead: Span,
}

/// A forwarder as the engine sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Which site.
    pub site: SiteName,
    /// The name for people.
    pub label: String,
    /// Its locator.
    pub rloc: Rloc,
    /// Whether its control connection stands.
    pub connected: bool,
    /// When that last changed.
    pub since: Timestamp,
}

/// Which link: a user and the data centre entered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkId {
    /// The user.
    pub user: UserName,
    /// The data centre.
    pub dc: SiteName,
}

/// How a link stands. The order is the order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Within the bounds.
    Ok,
    /// A bound is broken in samples, or nearly, but the slot has not ended.
    Warn,
    /// A bound was broken for a whole slot.
    Broken,
    /// Probes go unanswered.
    Down,
    /// Nobody reports on it (no data yet, or the forwarder is gone).
    Stale,
}

impl LinkState {
    /// The mark that carries the meaning without colour.
    pub const fn mark(self) -> char {
        match self {
            Self::Ok => 'o',
            Self::Warn => '~',
            Self::Broken | Self::Down => 'x',
            Self::Stale => '?',
        }
    }

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Broken => "broken",
            Self::Down => "down",
            Self::Stale => "stale",
        }
    }
}

/// One user-to-data-centre link. Figures are over the monitor's sliding window (S').
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkRow {
    /// Which link.
    pub link: LinkId,
    /// The user's locator.
    pub user_rloc: Rloc,
    /// The user's SLA class.
    pub sla: SlaName,
    /// State; where the link carries traffic, that of the worst whole way to the VMs, second legs and all.
    pub state: LinkState,
    /// VMs that this user enters by this data centre now.
    pub carries: Vec<VmName>,
    /// RTT in milliseconds; `None` while nothing was answered in the window.
    pub rtt: Option<RttFigures>,
    /// Jitter after RFC 3550 section 6.4.1, milliseconds.
    pub jitter_ms: Option<f64>,
    /// Lost probes in the window, percent; `None` while none was due.
    pub loss_pct: Option<f64>,
    /// Share of the window in which the link was up, percent.
    pub availability_pct: Option<f64>,
    /// RTT bound minus the RTT statistic, milliseconds: what is left, negative when broken. Where the link carries traffic,
    /// of the longest whole way.
    pub margin_ms: Option<f64>,
    /// When the last probe result came in.
    pub heard_at: Option<Timestamp>,
}

/// The way from a data centre that is entered to one where a VM lives, as the border routers measure it. Figures are over
/// the longest window of the classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegRow {
    /// The data centre entered.
    pub from: SiteName,
    /// The data centre where a VM lives.
    pub to: SiteName,
    /// How it stands by itself, against the strictest bounds of the classes; stale if it is not measured, or its other
    /// end answers nobody.
    pub state: LinkState,
    /// RTT in milliseconds; `None` while nothing was answered in the window.
    pub rtt: Option<RttFigures>,
    /// Jitter after RFC 3550 section 6.4.1, milliseconds.
    pub jitter_ms: Option<f64>,
    /// Lost probes in the window, percent; `None` while none was due.
    pub loss_pct: Option<f64>,
    /// When the last probe result came in; `None` if it was never measured.
    pub heard_at: Option<Timestamp>,
    /// How many entries, of a user to a VM, go by it now.
    pub carries: u32,
}

/// Order statistics of the RTT in a window, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RttFigures {
    /// The newest sample.
    pub last: f64,
    /// Least.
    pub min: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// The recent past of one link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkHistory {
    /// Which link.
    pub link: LinkId,
    /// Oldest first.
    pub points: Vec<HistoryPoint>,
}

/// One probe's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryPoint {
    /// When it was known.
    pub at: Timestamp,
    /// Milliseconds; `None` is a lost probe, never 0 ms.
    pub rtt_ms: Option<f64>,
}

/// One locator of a VM's EID, as one user is told to use it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RlocRow {
    /// Whose view.
    pub user: UserName,
    /// Of which VM.
    pub vm: VmName,
    /// The VM's EID.
    pub eid: EidPrefix,
    /// The data centre the locator enters by.
    pub dc: SiteName,
    /// The locator.
    pub rloc: Rloc,
    /// Lowest wins; 255 is not to be used.
    pub priority: Priority,
    /// Share among equals.
    pub weight: Weight,
    /// Whether the VM lives at that data centre.
    pub home: bool,
}

/// How grave a log entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Fine.
    Info,
    /// Look at it.
    Warning,
    /// Broken.
    Error,
}

impl Severity {
    /// The mark that carries the meaning without colour.
    pub const fn mark(self) -> char {
        match self {
            Self::Info => 'o',
            Self::Warning => '~',
            Self::Error => 'x',
        }
    }
}

/// One line of the event log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When.
    pub at: Timestamp,
    /// How grave.
    pub severity: Severity,
    /// What, with units.
    pub text: String,
}

//! What changed.

use serde::{Deserialize, Serialize};

use crate::snapshot::HistoryPoint;
use crate::{
    AvailabilityRow, LegRow, LinkId, LinkRow, LogEntry, Mode, NodeRow, PolicyRow, Proposal, QoeReport,
    RlocRow, Span,
};

/// A change, to be applied to the last snapshot. Rows come whole and replace the row of the same key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "notice")]
pub enum Notice {
    /// A link's figures or state.
    Link {
        /// The row.
        row: LinkRow,
    },
    /// Figures or state of a way between two data centres.
    Leg {
        /// The row; it replaces that of the same two.
        row: LegRow,
    },
    /// A probe's outcome, for histories.
    Point {
        /// Which link.
        link: LinkId,
        /// The outcome.
        point: HistoryPoint,
    },
    /// All locators of one user's view of one VM; they replace those of the same user and VM.
    Rlocs {
        /// The rows.
        rows: Vec<RlocRow>,
    },
    /// A proposal was opened, revised, decided or ended.
    Proposal {
        /// As it stands now.
        proposal: Proposal,
    },
    /// The mode changed.
    Mode {
        /// The new one.
        mode: Mode,
    },
    /// What policy allows changed; at most once a second for what merely counts.
    Policy {
        /// All of it.
        row: PolicyRow,
    },
    /// A forwarder came or went.
    Node {
        /// The row.
        row: NodeRow,
    },
    /// Accounts that went up or down, at most once a second; all of them once a minute.
    Availability {
        /// The rows; they replace those of the same subject.
        rows: Vec<AvailabilityRow>,
    },
    /// A score came in.
    Qoe {
        /// All that is learnt.
        report: QoeReport,
    },
    /// Engine time against the system's clock.
    Clock {
        /// How far it is ahead; zero: it is not, or by no more than a second.
        ahead: Span,
    },
    /// Something worth a line.
    Log {
        /// The line.
        entry: LogEntry,
    },
}

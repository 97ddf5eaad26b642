//! Why somebody is not moved, and what else could be done.

use serde::{Deserialize, Serialize};

use crate::proposal::Criterion;
use crate::{SiteName, Span, Timestamp, UserName, VmName};

/// The engine's answer to "why not there?": every condition in the order in which the engine looks at them. The first
/// that does not hold is the binding one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// Whose entry.
    pub user: UserName,
    /// To which VM.
    pub vm: VmName,
    /// Entry now.
    pub from: SiteName,
    /// The entry asked about.
    pub to: SiteName,
    /// When it was asked.
    pub at: Timestamp,
    /// What becomes of it as things are.
    pub outlook: Outlook,
    /// The conditions.
    pub checks: Vec<Check>,
    /// What could be done, the cheapest first.
    pub rungs: Vec<Rung>,
    /// The cheapest rung that is enough, by its place in `rungs`.
    pub pick: u32,
}

/// What the engine does with an entry as things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outlook {
    /// It moves by itself.
    Moves,
    /// It is proposed; staff decide.
    Asks,
    /// It stays where it is.
    Stays,
}

/// One condition of a move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, a word.
    pub name: String,
    /// Whether it lets the move pass.
    pub holds: bool,
    /// How it stands, with figures.
    pub text: String,
    /// What would flip it; `None` if no single figure would, or it holds.
    pub margin: Option<Margin>,
}

/// What flips a condition that does not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "margin")]
pub enum Margin {
    /// A figure of a data centre's link.
    Figure {
        /// Of which data centre.
        dc: SiteName,
        /// Which figure.
        criterion: Criterion,
        /// As measured, in the criterion's unit.
        now: f64,
        /// From here on it is otherwise: at most this for the entry asked about, more than this for the present one.
        flips_at: f64,
    },
    /// The gain.
    Gain {
        /// Unit of the criterion that weighs most.
        unit: String,
        /// As measured.
        now: f64,
        /// The least gain.
        flips_at: f64,
    },
    /// Time.
    Until {
        /// When it is over.
        at: Timestamp,
        /// What is left.
        left: Span,
    },
}

/// One way to deal with a broken level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// Which.
    pub kind: RungKind,
    /// Where to, if anywhere.
    pub to: Option<SiteName>,
    /// Whether the levels would be kept, as far as measurements tell; `None` if they do not.
    pub enough: Option<bool>,
    /// Round trip saved, summed over the users it helps, milliseconds.
    pub gain_user_ms: Option<f64>,
    /// How long traffic stands still.
    pub downtime: Option<Span>,
    /// Bytes moved.
    pub bytes: Option<u64>,
    /// Users whose traffic is touched.
    pub users_at_risk: u64,
    /// Time to take it back.
    pub revert_in: Option<Span>,
    /// Why it cannot be done, if it cannot.
    pub unavailable: Option<String>,
}

/// The rungs of the decision ladder, the cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RungKind {
    /// Leave it.
    Nothing,
    /// Enter by another locator.
    Switch,
    /// Open an MPTCP subflow over another locator.
    Subflow,
    /// Move the VM.
    Migrate,
}

impl RungKind {
    /// As staff read it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "do nothing",
            Self::Switch => "switch RLOC",
            Self::Subflow => "add MPTCP subflow",
            Self::Migrate => "migrate VM",
        }
    }
}

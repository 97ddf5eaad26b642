//! What the engine is told of the fabric and of its limits. Checked by the session reader; here it is taken as true.

mod autonomy;
mod calm;
mod entries;
mod legs;
mod offer;
mod select;
mod sla;

use std::collections::BTreeMap;

use lisp_wire::{EidPrefix, Rloc};
use proto::{Mode, SiteName, SlaName, Span, UserName, VmName};
use serde::{Deserialize, Serialize};

pub use autonomy::Autonomy;
pub use calm::{
    Backoff, Budget, Calm, Damp, ModeAt, OnFailure, Rule, RuleKind, ScopedBudget, Shift, When, Window,
    WindowKind, Zone,
};
pub use entries::Entries;
pub use legs::Legs;
pub use offer::{Capacity, Demand, Offer, Shared};
pub use select::{Glob, GlobError, Selector, Subject, Traits};
pub use sla::{
    Bands, Contract, OnViolation, Penalty, Sla, SlidingWindow, Statistic, Statistics, Term, Terms, Watch,
    Weights, shipped,
};

/// Probes within the longest window there can be: so many samples of a link are kept. Sessions that ask for more are
/// refused, since their windows would be cut without a word.
pub const MOST_PROBES: u32 = 4096;

/// Everything that decisions depend on, besides the inputs. It stands at the head of every recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The session's name.
    pub session: String,
    /// The mode at the first start; later the recorded one wins.
    pub mode: Mode,
    /// S', S'', S'''.
    pub slots: Slots,
    /// Data centres by name.
    pub sites: BTreeMap<SiteName, Site>,
    /// Users by name.
    pub users: BTreeMap<UserName, User>,
    /// VMs by name.
    pub vms: BTreeMap<VmName, Vm>,
    /// SLA classes by name.
    pub sla: BTreeMap<SlaName, Sla>,
    /// What keeps decisions calm.
    pub policy: Policy,
    /// What keeps moves few, small and wanted.
    #[serde(default)]
    pub calm: Calm,
    /// How the ways between data centres are watched; as the classes have it if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legs: Option<Legs>,
}

/// The scheduling slots of the thesis (section 5.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// S': how long a level must be broken before the engine decides; also the monitor's window.
    pub decide: Span,
    /// S'' < S': how long the new link is watched after a switch.
    pub settle: Span,
    /// S''': time between probes.
    pub probe: Span,
}

/// A data centre.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// The name for people.
    pub label: String,
    /// Its locator.
    pub rloc: Rloc,
    /// What it has to give, and at what cost.
    #[serde(default)]
    pub offer: Offer,
}

/// A user, or a group of users behind one RLOC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The name for people.
    pub label: String,
    /// The user's xTR.
    pub rloc: Rloc,
    /// The user's EIDs.
    pub eid: EidPrefix,
    /// SLA class.
    pub sla: SlaName,
    /// VMs used, and the data centre first entered for each.
    pub vms: Entries,
    /// How many people are behind the locator; budgets and capacities count them.
    #[serde(default = "one")]
    pub size: u32,
    /// What selectors may go by.
    #[serde(default)]
    pub traits: Traits,
}

const fn one() -> u32 {
    1
}

/// A virtual machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vm {
    /// Its EID.
    pub eid: EidPrefix,
    /// Where it lives.
    pub home: SiteName,
    /// What selectors may go by.
    #[serde(default)]
    pub traits: Traits,
    /// What it takes from the data centre that hosts it.
    #[serde(default)]
    pub demand: Demand,
    /// How the levels of its users make up the level of a place for it.
    #[serde(default)]
    pub shared: Shared,
}

/// What keeps decisions calm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// A proposal lapses after this long.
    pub proposal_ttl: Span,
    /// A user is not moved again within this long by the engine; staff may.
    pub cool_down: Span,
    /// Least gain in a criterion that is a time, milliseconds.
    pub gain_min: f64,
    /// Least gain in any criterion as a share of what is measured, 0 to 1. Of times the larger of the two counts.
    pub gain_min_share: f64,
    /// A switch not confirmed within this long has failed.
    pub confirm_within: Span,
    /// A confirmed switch is provisional for this long: unless the new entry keeps its levels within it, the
    /// switch is taken back. Zero: switches are final at once.
    #[serde(default)]
    pub prove_within: Span,
    /// A link is down after this many probes lost in a row.
    pub down_after: u32,
    /// And up again after this many answered in a row.
    pub up_after: u32,
    /// Figures older than this are stale: nothing is decided on them.
    pub stale_after: Span,
    /// A probe unanswered this long is lost.
    pub probe_timeout: Span,
}

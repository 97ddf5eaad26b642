//! All of policy that changes while the engine runs, as it is written down.

use std::collections::BTreeSet;

use proto::policy::{Arming, Scope};
use proto::{Actor, Mode, Timestamp};
use serde::{Deserialize, Serialize};

use super::damping::Flaps;
use super::spending::Spending;
use super::{GateKind, Need};
use crate::autonomy::Shadow;
use crate::fabric::{Dc, PairIx};

/// Arming, modes, drains, penalties, and what of the budgets is used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Calmness {
    pub(crate) arming: Arming,
    /// Since when the record cannot be written; then nothing moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unrecorded: Option<Timestamp>,
    /// Set while the engine ran.
    pub(crate) modes: Vec<(Scope, Mode)>,
    pub(crate) drains: Vec<Drain>,
    pub(crate) flaps: Flaps,
    pub(crate) spending: Spending,
    pub(crate) shadow: Shadow,
    /// Held back by a gate that another move's end may open; the most pressing first.
    pub(crate) waiting: BTreeSet<(Need, PairIx)>,
    /// A move ended: those that wait are to be looked at.
    pub(crate) landed: bool,
    /// Whose views say otherwise than rules do now: they are told, so many at once.
    pub(crate) closing: BTreeSet<PairIx>,
    /// When some were told last.
    pub(crate) closed_at: Timestamp,
    /// Consoles do not know yet.
    pub(crate) untold: bool,
    pub(crate) told_at: Timestamp,
    /// When a window opens or closes next.
    pub(crate) window_at: Option<Timestamp>,
}

/// A data centre that staff want empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Drain {
    pub(crate) dc: Dc,
    pub(crate) by: Actor,
    /// Whether the log said that nobody enters by it any more.
    pub(crate) told_empty: bool,
}

impl Calmness {
    /// One that waits for a gate to open.
    pub(crate) fn wait(&mut self, need: Need, ix: PairIx, gate: GateKind) {
        if matches!(gate, GateKind::Budget | GateKind::InFlight | GateKind::Rule) {
            self.waiting.insert((need, ix));
        }
    }

    /// It departs, whatever need it waited with.
    pub(crate) fn no_longer_waits(&mut self, ix: PairIx) {
        for need in Need::ALL {
            self.waiting.remove(&(need, ix));
        }
    }
}

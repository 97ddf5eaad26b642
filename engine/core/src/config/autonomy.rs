//! Knobs of earned autonomy (`policy.autonomy:`).

use std::collections::BTreeSet;

use proto::{ActionClass, Span};
use serde::{Deserialize, Serialize};

/// Which classes of actions may earn `auto`, on what evidence, and for how long they lose it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Autonomy {
    /// Classes that may rise from `recommend` to `auto` by themselves. None, unless the session says so.
    pub rise: BTreeSet<ActionClass>,
    /// So many decisions must have a word of staff, and so many must have been judged by what happened.
    pub min_actions: u32,
    /// At least this share of decisions must be agreed with, by the lower bound at 95 %.
    pub min_agreement: f64,
    /// At most this share of decisions may be wrong in hindsight: by the upper bound at 95 % to rise, and by the lower
    /// one of the last few to fall.
    pub max_regret: f64,
    /// A decision is judged so long after it was carried out or turned down.
    pub judge_after: Span,
    /// Evidence counts half after so long.
    pub half_life: Span,
    /// A class that fell cannot rise again within this; doubled each time it falls again.
    pub back_off: Span,
    /// It never grows past this.
    pub back_off_max: Span,
}

impl Default for Autonomy {
    fn default() -> Self {
        Self {
            rise: BTreeSet::new(),
            min_actions: 20,
            min_agreement: 0.8,
            max_regret: 0.2,
            judge_after: Span::secs(60),
            half_life: Span::secs(14 * 86_400),
            back_off: Span::secs(3600),
            back_off_max: Span::secs(86_400),
        }
    }
}

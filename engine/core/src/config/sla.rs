//! SLA classes: which criteria count, how they are measured, and when a link counts as out of them.

use std::collections::{BTreeMap, BTreeSet};

use proto::Span;
use proto::availability::{Availability, Horizon};
use proto::proposal::Criterion;
use serde::{Deserialize, Serialize};

use super::Slots;

/// An SLA class: bounds M^k and weights alpha_k of (5.1)-(5.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sla {
    /// Bound on the RTT, milliseconds.
    pub rtt_ms: f64,
    /// Bound on the jitter, milliseconds.
    pub jitter_ms: f64,
    /// Bound on the loss, percent.
    pub loss_pct: f64,
    /// Weights; with those of the further terms they sum to 1.
    pub weights: Weights,
    /// Which statistic of the RTT is held against the bound.
    pub statistic: Statistic,
    /// DSCP of the class's traffic, 0 to 63; its users are probed with it, so that probes see what users see.
    #[serde(default)]
    pub dscp: u8,
    /// Criteria besides RTT, jitter and loss; none by default.
    #[serde(default)]
    pub terms: Terms,
    /// How links of this class are watched; as the session says by default.
    #[serde(default)]
    pub watch: Watch,
}

/// alpha_k of (5.1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Of the RTT.
    pub rtt: f64,
    /// Of the jitter.
    pub jitter: f64,
    /// Of the loss.
    pub loss: f64,
}

/// A statistic over the samples of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistic {
    /// Arithmetic mean.
    #[default]
    Mean,
    /// A quantile, 0 to 1; 0.5 is the median.
    Quantile(f64),
    /// The largest.
    Worst,
    /// The mean without this share of the samples at each end, 0 to below 0.5: outliers do not count.
    Trimmed(f64),
}

/// The statistics of the other measured criteria.
///
/// Of the jitter, [`Statistic::Mean`] is the estimate of RFC 3550 section 6.4.1 and the others are taken over the
/// differences between successive round trips. Of loss and availability they are taken over the parts of the
/// [`SlidingWindow`]: with one part all are its share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Statistics {
    /// Of the jitter.
    pub jitter: Statistic,
    /// Of the loss.
    pub loss: Statistic,
    /// Of the availability (its worst is its least).
    pub availability: Statistic,
}

/// What counts besides RTT, jitter and loss.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Bound and weight of further criteria, in the unit of [`Criterion::unit`]. That on RAM, CPU and
    /// capacity is a share of what is left.
    pub further: BTreeMap<Criterion, Term>,
    /// How the criteria besides the RTT are measured.
    pub statistics: Statistics,
    /// Criteria whose bound is never exceeded: a data centre that would is no candidate.
    pub hard: BTreeSet<Criterion>,
    /// What was agreed on as to availability, and what it costs to break that. Nothing is decided by it.
    pub contract: Option<Contract>,
}

/// How much of each calendar period an entry is to be reachable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// The least share.
    pub target: Availability,
    /// Of each calendar week, month or year.
    pub per: Horizon,
    /// What penalties are counted in: points, or a currency.
    pub unit: String,
    /// The dearest that applies is owed, once a period and entry.
    pub penalties: Vec<Penalty>,
}

/// One step of a contract's penalties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Penalty {
    /// Owed below this.
    pub below: Availability,
    /// So much.
    pub amount: u64,
}

/// One further criterion of (5.1)-(5.3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// M^k.
    pub bound: f64,
    /// alpha_k.
    pub weight: f64,
}

/// How links of a class are watched. What is `None` is as the session says for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    /// S', S'', S''' of this class.
    pub slots: Option<Slots>,
    /// What statistics are taken over; S' by default.
    pub window: Option<SlidingWindow>,
    /// Lost in a row until a link is down.
    pub down_after: Option<u32>,
    /// Answered in a row until it is up again.
    pub up_after: Option<u32>,
    /// Where the levels of a link begin and end.
    pub bands: Bands,
    /// What is done when a level is broken.
    pub on_violation: OnViolation,
}

/// A number of parts of equal length, such as `30s x 4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlidingWindow {
    /// The length of one.
    pub part: Span,
    /// How many; at least 1.
    pub parts: u32,
}

impl SlidingWindow {
    /// The length of all.
    pub fn whole(self) -> Span {
        Span(self.part.0.saturating_mul(u64::from(self.parts.max(1))))
    }
}

/// Shares of a bound at which a link changes its level, so that it does not flap around one value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bands {
    /// From here on it is shown as nearly out.
    pub warn: f64,
    /// Above this a kept level is out of its bound.
    pub leave: f64,
    /// At or below this a broken level is kept again.
    pub enter: f64,
}

impl Default for Bands {
    fn default() -> Self {
        Self {
            warn: 0.9,
            leave: 1.0,
            enter: 1.0,
        }
    }
}

/// What is done when a level is broken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnViolation {
    /// The user goes only where all levels are kept; if nowhere, it stays.
    Hold,
    /// The user goes to the best of those that do not keep them, if its level is better by at least this share
    /// of the present one, 0 to 1.
    BestOfWorst(f64),
    /// As the best of the worst by any margin, and if levels are not kept S'' after the switch either, the VM is
    /// to follow.
    Migrate,
}

impl Default for OnViolation {
    fn default() -> Self {
        Self::BestOfWorst(0.0)
    }
}

/// The classes that a session may name without defining them: `voice`, `interactive` and `bulk`.
///
/// Bounds of voice are those of ITU-T G.114 (150 ms one way) and of common practice for jitter and loss; DSCPs
/// are those of RFC 4594 figure 3: EF, AF21, AF11.
pub fn shipped(name: &str) -> Option<Sla> {
    let class = |(rtt_ms, jitter_ms, loss_pct), [rtt, jitter, loss]: [f64; 3], statistic, dscp| Sla {
        rtt_ms,
        jitter_ms,
        loss_pct,
        weights: Weights { rtt, jitter, loss },
        statistic,
        dscp,
        terms: Terms::default(),
        watch: Watch::default(),
    };
    match name {
        "voice" => Some(class(
            (300.0, 30.0, 1.0),
            [0.3, 0.35, 0.35],
            Statistic::Quantile(0.95),
            46,
        )),
        "interactive" => Some(class((100.0, 30.0, 2.0), [0.6, 0.2, 0.2], Statistic::Mean, 18)),
        "bulk" => Some(class(
            (400.0, 200.0, 5.0),
            [0.2, 0.1, 0.7],
            Statistic::Quantile(0.5),
            10,
        )),
        _ => None,
    }
}

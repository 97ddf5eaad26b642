//! When a level of a whole way counts as broken: from a user over the data centre entered to the one where the VM lives.
//!
//! The rule is that of a link (see `monitor`), on both legs together: the user's leg is held against what the other
//! leg leaves of the bounds. The first probe with which the way leaves a bound opens a slot; S' later the statistics
//! decide; latest samples that are within the bounds again close it. What is over of the other leg weighs nothing.

use proto::Timestamp;
use serde::{Deserialize, Serialize};

use crate::legs::sum;
use crate::monitor::{Limits, Link, Verdict};
use crate::optimizer::criteria::LINK;

/// A way that left its bounds; one that has not is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// Its slot runs.
    Open { since: Timestamp },
    /// It was out for a whole slot.
    Broken { since: Timestamp },
}

impl Way {
    /// The first probe with which it was out.
    pub(crate) const fn since(self) -> Timestamp {
        match self {
            Self::Open { since } | Self::Broken { since } => since,
        }
    }

    /// Whether its slot still runs: nothing is held against bounds before it ends.
    pub(crate) fn is_early(self, now: Timestamp, limits: &Limits) -> bool {
        matches!(self, Self::Open { since } if now < since + limits.decide)
    }

    /// What a look makes of it, its slot being over; `None` if its levels are kept.
    pub(crate) fn judged(
        self,
        (link, behind): (&Link, &Taken),
        (now, limits): (Timestamp, &Limits),
    ) -> Option<Self> {
        let bounds = match self {
            Self::Open { .. } => &limits.leave,
            Self::Broken { .. } => &limits.enter,
        };
        match self.held_against(bounds, (link, behind), (now, limits)) {
            Verdict::Kept => None,
            Verdict::Lagging => Some(self),
            Verdict::Broken => Some(Self::Broken { since: self.since() }),
        }
    }

    /// Whether it is broken, and out of its bounds only by samples that are over.
    pub(crate) fn is_recovering(
        self,
        (link, behind): (&Link, &Taken),
        (now, limits): (Timestamp, &Limits),
    ) -> bool {
        matches!(self, Self::Broken { .. })
            && self.held_against(&limits.enter, (link, behind), (now, limits)) == Verdict::Lagging
    }

    fn held_against(
        self,
        bounds: &[u32; LINK],
        (link, behind): (&Link, &Taken),
        look: (Timestamp, &Limits),
    ) -> Verdict {
        match sum::rest(bounds, &behind.pressing) {
            None => Verdict::Broken,
            Some(left) => link.held_against(&left, self.since(), look),
        }
    }
}

/// What the second leg takes of a way's bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Its latest round trip, microseconds.
    pub(crate) last: u32,
    /// Microseconds.
    pub(crate) jitter: u32,
    /// As far as its latest samples do not say that it is over.
    pub(crate) pressing: [u32; LINK],
}

impl Taken {
    /// By a round trip that does not change, microseconds.
    pub(crate) const fn steady(rtt_us: u32) -> Self {
        Self {
            last: rtt_us,
            jitter: 0,
            pressing: [rtt_us, 0, 0, 0],
        }
    }

    /// Whether with a round trip of `rtt_us` over the user's leg, of the given jitter, both legs together are out of a
    /// bound.
    pub(crate) fn leaves_a_bound(&self, (rtt_us, jitter): (u32, u32), limits: &Limits) -> bool {
        let leave = &limits.leave;
        rtt_us.saturating_add(self.last) > leave[0]
            || sum::together(jitter, self.jitter) > leave[1]
            || (self.pressing[2] > 0 && leave[2] < u32::MAX)
            || (self.pressing[3] > 0 && leave[3] < u32::MAX)
    }
}

/// What lies behind the data centre entered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Onward {
    /// So many milliseconds more.
    Adds(f64),
    /// A dead leg.
    Nothing,
    /// A leg that nobody hears of.
    Unknown,
}

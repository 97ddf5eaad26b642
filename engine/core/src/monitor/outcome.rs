//! One probe's outcome, in four bytes.

use proto::{ProbeOutcome, Span};
use serde::{Deserialize, Serialize};

const WAS_DOWN: u32 = 1 << 31;
const LOST: u32 = WAS_DOWN - 1;
const OVERDUE: u32 = 1 << 30;
const LONGEST: u32 = OVERDUE - 1;

/// One probe's outcome, and whether the link was down at that moment. RTTs above 17 minutes are cut to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Outcome(u32);

impl Outcome {
    /// Lost while the link was not down.
    pub(super) const LOST: Self = Self(LOST);

    pub(crate) fn new(outcome: ProbeOutcome, was_down: bool) -> Self {
        match outcome {
            ProbeOutcome::Rtt(rtt) => Self::answered(cut(rtt)),
            ProbeOutcome::Overdue(so_far) => Self::overdue(cut(so_far)),
            ProbeOutcome::Lost => Self::LOST,
        }
        .when_down(was_down)
    }

    /// Answered after so many microseconds.
    pub(super) fn answered(rtt: u32) -> Self {
        Self(rtt.min(LONGEST))
    }

    /// Still out after so many microseconds.
    pub(super) fn overdue(so_far: u32) -> Self {
        Self(so_far.min(LONGEST) | OVERDUE)
    }

    /// The same, of a link that was down or not.
    pub(super) const fn when_down(self, was_down: bool) -> Self {
        if was_down {
            Self(self.0 | WAS_DOWN)
        } else {
            Self(self.0 & !WAS_DOWN)
        }
    }

    /// Microseconds; `None` if the probe was lost. Of one that is still out, what it took so far.
    pub(crate) const fn at_least(self) -> Option<u32> {
        match self.0 & !WAS_DOWN {
            LOST => None,
            rtt => Some(rtt & LONGEST),
        }
    }

    /// Microseconds; `None` unless the probe was answered.
    pub(crate) const fn rtt(self) -> Option<u32> {
        match self.0 & !WAS_DOWN {
            rtt if rtt <= LONGEST => Some(rtt),
            _ => None,
        }
    }

    pub(crate) const fn is_lost(self) -> bool {
        self.0 & !WAS_DOWN == LOST
    }

    pub(crate) const fn was_down(self) -> bool {
        self.0 & WAS_DOWN != 0
    }
}

fn cut(span: Span) -> u32 {
    u32::try_from(span.micros()).unwrap_or(LONGEST).min(LONGEST)
}

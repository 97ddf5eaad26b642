//! When a user's entry may be left. The live engine and `alone` both ask here, so that what is simulated is what
//! would be done.

use proto::{LinkState, Span, Timestamp};

use super::{Gain, Gates, Need, Withheld};
use crate::config::Policy;
use crate::monitor::{Limits, Link};

/// What of one user's entry decides whether it may be left now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving<'a> {
    /// The link entered by, and what it is held against.
    pub(crate) link: (&'a Link, &'a Limits),
    /// The whole way, if that is broken.
    pub(crate) behind: Option<Behind>,
    /// For how many slots S' a level must be broken.
    pub(crate) hold: u32,
    pub(crate) gates: &'a Gates,
    pub(crate) policy: &'a Policy,
}

/// A way that is broken over both of its legs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behind {
    pub(crate) since: Timestamp,
    /// Whether it is out of its bounds only by samples that are over.
    pub(crate) recovering: bool,
}

impl Leaving<'_> {
    /// Whether the engine may make a move that gains `gain` by itself.
    pub(crate) fn pass(&self, need: Need, gain: Gain, now: Timestamp) -> Result<(), Withheld> {
        self.worth(need, gain, now)?;
        self.gates.calm(need, now)
    }

    /// Whether such a move is worth asking staff for: what they did lately does not bind them.
    pub(crate) fn worth(&self, need: Need, gain: Gain, now: Timestamp) -> Result<(), Withheld> {
        super::worth(need, gain, self.policy)?;
        match need {
            Need::Soft => self.held(now),
            // Who is cut off or ordered away does not wait.
            Need::Hard | Need::Ordered => Ok(()),
        }
    }

    /// A level must be broken for the hold, and still be.
    pub(crate) fn held(&self, now: Timestamp) -> Result<(), Withheld> {
        let (link, limits) = self.link;
        match self.hold_ends() {
            Some(at) if now < at => Err(Withheld::Brief),
            Some(_) if self.is_over(link.is_recovering(now, limits)) => Err(Withheld::Recovering),
            _ => Ok(()),
        }
    }

    /// When the level will have been broken for the hold; `None` while it is kept.
    pub(crate) fn hold_ends(&self) -> Option<Timestamp> {
        let (link, limits) = self.link;
        let hold = Span(limits.decide.micros().saturating_mul(self.hold.into()));
        let behind = self.behind.map(|behind| behind.since);
        let since = link.broken_since().into_iter().chain(behind).min()?;
        Some(since + hold)
    }

    /// Whether whatever is broken is over.
    fn is_over(&self, link_recovers: bool) -> bool {
        match self.behind {
            Some(behind) => behind.recovering && (link_recovers || self.link.0.state() != LinkState::Broken),
            None => link_recovers,
        }
    }
}

//! What of a link's figures is not over.

use proto::Timestamp;

use super::Link;
use super::verdict::Verdict;
use super::window::{Window, per_million};
use crate::monitor::limits::Limits;
use crate::monitor::outcome::Outcome;
use crate::optimizer::criteria::LINK;

impl Link {
    /// Of `measured`, what the latest samples do not contradict: a spike that is over weighs nothing, and one lost
    /// probe is forgiven, as when the link itself is held against bounds.
    pub(crate) fn pressing(&self, measured: [u32; LINK], (now, limits): (Timestamp, &Limits)) -> [u32; LINK] {
        self.window(now, limits).pressing(measured, limits)
    }
}

impl Window {
    fn pressing(&self, measured: [u32; LINK], limits: &Limits) -> [u32; LINK] {
        let (count, latest) = (self.len(), limits.enough() as usize);
        let rtt = self.outcomes().rev().filter_map(Outcome::at_least);
        let steps: Vec<u32> = self.steps(count).collect();
        let lost = self.count(Outcome::is_lost);
        let lasts =
            |is_bad: fn(Outcome) -> bool| self.unless_over(true, (count, is_bad), limits) == Verdict::Broken;
        [
            measured[0].min(rtt.take(latest).max().unwrap_or(0)),
            measured[1].min(steps.iter().rev().take(latest).copied().max().unwrap_or(0)),
            if lost > 1 && lasts(Outcome::is_lost) {
                measured[2].min(per_million(lost - 1, count))
            } else {
                0
            },
            if measured[3] > 0 && lasts(Outcome::was_down) {
                measured[3]
            } else {
                0
            },
        ]
    }
}

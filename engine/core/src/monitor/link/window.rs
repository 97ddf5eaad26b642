//! The samples that a link is judged by, and figures over them.

use proto::Timestamp;

use crate::config::Statistic;
use crate::monitor::limits::Limits;
use crate::monitor::outcome::Outcome;
use crate::monitor::ring::Sample;
use crate::monitor::statistic;

/// Samples of the last window, oldest first.
pub(super) struct Window {
    samples: Vec<Sample>,
    now: Timestamp,
}

impl Window {
    pub(super) fn new(samples: Vec<Sample>, now: Timestamp) -> Self {
        Self { samples, now }
    }

    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    /// All outcomes, oldest first.
    pub(super) fn outcomes(&self) -> impl DoubleEndedIterator<Item = Outcome> + Clone + '_ {
        self.last(self.len())
    }

    /// The last `count` outcomes, oldest first.
    pub(super) fn last(&self, count: usize) -> impl DoubleEndedIterator<Item = Outcome> + Clone + '_ {
        let from = self.len().saturating_sub(count);
        self.samples[from..].iter().map(|&(_, outcome)| outcome)
    }

    /// How many samples are not older than `from`.
    pub(super) fn since(&self, from: Timestamp) -> usize {
        let newer = self.samples.iter().rev();
        newer.take_while(|&&(at, _)| at >= from).count()
    }

    /// So many outcomes are so.
    pub(super) fn count(&self, so: fn(Outcome) -> bool) -> usize {
        self.outcomes().filter(|&outcome| so(outcome)).count()
    }

    pub(super) fn rtts(&self) -> impl Iterator<Item = u32> + '_ {
        self.outcomes().filter_map(Outcome::rtt)
    }

    pub(super) fn rtt_statistic(&self, statistic: Statistic) -> Option<u32> {
        statistic::of(self.outcomes().filter_map(Outcome::at_least), statistic)
    }

    /// Differences between successive round trips of the last `count` samples.
    pub(super) fn steps(&self, count: usize) -> impl Iterator<Item = u32> + '_ {
        let mut last = None;
        self.last(count)
            .filter_map(Outcome::rtt)
            .filter_map(move |rtt| Some(rtt.abs_diff(last.replace(rtt)?)))
    }

    /// The share of samples that are so, parts per million: a statistic over the parts of the window.
    pub(super) fn share(&self, limits: &Limits, (statistic, so): (Statistic, fn(Outcome) -> bool)) -> u32 {
        if limits.parts <= 1 {
            return per_million(self.count(so), self.len());
        }
        let length = (limits.window.0 / u64::from(limits.parts)).max(1);
        let mut parts: Vec<(usize, usize)> = vec![(0, 0); limits.parts as usize];
        for &(at, outcome) in &self.samples {
            let part = (self.now.since(at).0 / length) as usize;
            if let Some((those, all)) = parts.get_mut(part.min(limits.parts as usize - 1)) {
                *all += 1;
                *those += usize::from(so(outcome));
            }
        }
        let heard = parts.into_iter().filter(|&(_, all)| all > 0);
        let shares = heard.map(|(those, all)| per_million(those, all));
        statistic::of(shares, statistic).unwrap_or(0)
    }
}

pub(super) fn per_million(part: usize, whole: usize) -> u32 {
    (part as u64 * 1_000_000).checked_div(whole as u64).unwrap_or(0) as u32
}

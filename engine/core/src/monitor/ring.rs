//! The samples of one link, eight bytes each.

use std::collections::VecDeque;

use proto::{ProbeOutcome, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::MOST_PROBES;

/// How far back histories go.
pub(crate) const HISTORY: Span = Span::secs(120);
/// Points in a history, at most.
pub(crate) const POINTS: usize = 240;
/// Samples kept of one link, whatever is reported: a window's and the one at its other end.
const MOST: usize = MOST_PROBES as usize + 1;

const WAS_DOWN: u32 = 1 << 31;
const LOST: u32 = WAS_DOWN - 1;
const OVERDUE: u32 = 1 << 30;
const LONGEST: u32 = OVERDUE - 1;

/// One probe's outcome, and whether the link was down at that moment. RTTs above 17 minutes are cut to that.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Outcome(u32);

impl Outcome {
    pub(crate) fn new(outcome: ProbeOutcome, was_down: bool) -> Self {
        let word = match outcome {
            ProbeOutcome::Rtt(rtt) => cut(rtt),
            ProbeOutcome::Overdue(so_far) => cut(so_far) | OVERDUE,
            ProbeOutcome::Lost => LOST,
        };
        Self(if was_down { word | WAS_DOWN } else { word })
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

/// Outcomes in the order they became known. Each is stored with the time since the one before, so that a
/// history of two minutes takes two kilobytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ring {
    /// Microseconds since the sample before (of the first: without meaning), and the outcome.
    samples: VecDeque<(u32, Outcome)>,
    first_at: Timestamp,
    last_at: Timestamp,
    /// How many were ever taken in.
    #[serde(default)]
    taken: u64,
}

impl Ring {
    /// Takes a sample in and forgets those that neither the window nor the history needs.
    pub(crate) fn push(&mut self, outcome: Outcome, now: Timestamp, window: Span) {
        let gap = u32::try_from(now.since(self.last_at).micros()).unwrap_or(u32::MAX);
        if gap == u32::MAX {
            self.samples.clear();
        }
        if self.samples.is_empty() {
            self.first_at = now;
        }
        self.samples.push_back((gap, outcome));
        self.taken += 1;
        self.last_at = now;
        while self.samples.len() > 1 {
            let age = now.since(self.first_at);
            let full = self.samples.len() > MOST;
            let spare = age > window && (age > HISTORY || self.samples.len() > POINTS);
            if !full && !spare {
                break;
            }
            self.samples.pop_front();
            if let Some(&(gap, _)) = self.samples.front() {
                self.first_at = self.first_at + Span(u64::from(gap));
            }
        }
    }

    /// The number of the newest sample, for [`Self::replace`].
    pub(crate) fn newest(&self) -> u64 {
        self.taken
    }

    /// Puts an outcome in the place of one taken in before; false if that is forgotten already.
    pub(crate) fn replace(&mut self, number: u64, outcome: Outcome) -> bool {
        let place = usize::try_from(self.taken.saturating_sub(number))
            .ok()
            .and_then(|back| self.samples.len().checked_sub(back + 1))
            .and_then(|at| self.samples.get_mut(at));
        match place {
            Some(sample) => {
                sample.1 = outcome;
                true
            }
            None => false,
        }
    }

    /// How many samples are not older than `from`.
    pub(crate) fn since(&self, from: Timestamp) -> usize {
        self.backwards().take_while(|&(at, _)| at >= from).count()
    }

    /// The last `count` outcomes, oldest first.
    pub(crate) fn last(&self, count: usize) -> impl DoubleEndedIterator<Item = Outcome> + Clone + '_ {
        let from = self.samples.len().saturating_sub(count);
        self.samples.range(from..).map(|&(_, outcome)| outcome)
    }

    /// Newest first, with the moment it became known.
    pub(crate) fn backwards(&self) -> impl Iterator<Item = (Timestamp, Outcome)> + '_ {
        self.samples
            .iter()
            .rev()
            .scan(self.last_at, |at, &(gap, outcome)| {
                let this = *at;
                *at = this - Span(u64::from(gap));
                Some((this, outcome))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back_with_the_moments_they_went_in() {
        let mut ring = Ring::default();
        let mut want = Vec::new();
        for n in 0..1000_u64 {
            let at = Timestamp(1_700_000_000_000_000 + n * 500_000 + n % 7);
            let outcome = if n % 9 == 0 {
                ProbeOutcome::Lost
            } else {
                ProbeOutcome::Rtt(Span(n))
            };
            ring.push(Outcome::new(outcome, n % 5 == 0), at, Span::secs(10));
            want.push((at, outcome, n % 5 == 0));
        }
        let got: Vec<_> = ring.backwards().collect();
        assert_eq!(got.len(), POINTS);
        for ((at, outcome), (want_at, want, down)) in got.iter().zip(want.iter().rev()) {
            assert_eq!(at, want_at);
            assert_eq!(
                outcome.rtt().map(u64::from),
                match want {
                    ProbeOutcome::Rtt(rtt) => Some(rtt.micros()),
                    ProbeOutcome::Overdue(_) | ProbeOutcome::Lost => None,
                }
            );
            assert_eq!(outcome.was_down(), *down);
        }
        assert_eq!(ring.since(want[980].0), 20);
    }

    #[test]
    fn a_window_longer_than_the_history_is_kept_whole() {
        let mut ring = Ring::default();
        for n in 0..1000_u64 {
            ring.push(
                Outcome::new(ProbeOutcome::Rtt(Span(1)), false),
                Timestamp(n * 1_000_000),
                Span::secs(600),
            );
        }
        assert_eq!(ring.since(Timestamp(399_000_000)), 601);
    }

    #[test]
    fn a_flood_of_samples_is_bounded() {
        let mut ring = Ring::default();
        for n in 0..100_000_u64 {
            ring.push(
                Outcome::new(ProbeOutcome::Lost, true),
                Timestamp(n),
                Span::secs(600),
            );
        }
        assert_eq!(ring.backwards().count(), MOST);
        ring.push(
            Outcome::new(ProbeOutcome::Lost, true),
            Timestamp(u64::MAX),
            Span::secs(600),
        );
        assert_eq!(ring.backwards().count(), 1);
    }
}

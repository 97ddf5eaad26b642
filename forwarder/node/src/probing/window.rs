//! The figures of one probed locator: over the last 30 probes, and since probing began.

use std::collections::VecDeque;

use proto::{ProbeOutcome, Span, Timestamp, snapshot::RttFigures};

/// How many probes the figures look back.
const SIZE: usize = 30;

/// Outcomes of probes, and what they amount to.
#[derive(Debug, Default)]
pub(crate) struct Window {
    outcomes: VecDeque<Option<Span>>,
    last: Option<Span>,
    jitter: f64,
    /// Since when, and how much of that time the locator was up until `changed`.
    availability: Option<Availability>,
}

#[derive(Clone, Copy, Debug)]
struct Availability {
    began: Timestamp,
    up: Span,
    up_since: Option<Timestamp>,
}

impl Window {
    /// Takes an outcome in.
    pub(crate) fn push(&mut self, outcome: ProbeOutcome) {
        let rtt = match outcome {
            ProbeOutcome::Rtt(rtt) => Some(rtt),
            ProbeOutcome::Overdue(_) | ProbeOutcome::Lost => None,
        };
        if let Some(rtt) = rtt {
            if let Some(last) = self.last {
                // RFC 3550 section 6.4.1: J += (|D| - J) / 16. Both ways together, D is the difference of two RTTs.
                let difference = (rtt.as_millis_f64() - last.as_millis_f64()).abs();
                self.jitter += (difference - self.jitter) / 16.0;
            }
            self.last = Some(rtt);
        }
        if self.outcomes.len() == SIZE {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back(rtt);
    }

    /// Notes that the locator is up, or not, from now on.
    pub(crate) fn mark(&mut self, up: Up, now: Timestamp) {
        let state = self.availability.get_or_insert(Availability {
            began: now,
            up: Span::ZERO,
            up_since: None,
        });
        match (up, state.up_since) {
            (Up::Yes, None) => state.up_since = Some(now),
            (Up::No, Some(since)) => {
                state.up = Span(state.up.micros() + now.since(since).micros());
                state.up_since = None;
            }
            (Up::Yes, Some(_)) | (Up::No, None) => {}
        }
    }

    /// Order statistics of the answered probes, milliseconds, by nearest rank.
    pub(crate) fn rtt(&self) -> Option<RttFigures> {
        let mut sorted: Vec<f64> = self
            .outcomes
            .iter()
            .flatten()
            .map(|rtt| rtt.as_millis_f64())
            .collect();
        sorted.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied()
        };
        Some(RttFigures {
            last: self.last?.as_millis_f64(),
            min: *sorted.first()?,
            mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
            p50: rank(50)?,
            p95: rank(95)?,
            p99: rank(99)?,
        })
    }

    /// Milliseconds; nothing while fewer than two probes were answered.
    pub(crate) fn jitter_ms(&self) -> Option<f64> {
        (self.outcomes.iter().flatten().count() >= 2).then_some(self.jitter)
    }

    /// Percent; nothing while no outcome is known.
    pub(crate) fn loss_pct(&self) -> Option<f64> {
        let lost = self.outcomes.iter().filter(|outcome| outcome.is_none()).count();
        (!self.outcomes.is_empty()).then(|| 100.0 * lost as f64 / self.outcomes.len() as f64)
    }

    /// Share of the time since the first outcome in which the locator was up, percent.
    pub(crate) fn availability_pct(&self, now: Timestamp) -> f64 {
        let Some(state) = self.availability else {
            return 0.0;
        };
        let up = state.up.micros() + state.up_since.map_or(0, |since| now.since(since).micros());
        let whole = now.since(state.began).micros();
        if whole == 0 {
            if state.up_since.is_some() { 100.0 } else { 0.0 }
        } else {
            100.0 * up as f64 / whole as f64
        }
    }
}

/// Whether a locator answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Up {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(rtts_ms: &[Option<u64>]) -> Window {
        let mut window = Window::default();
        for rtt in rtts_ms {
            window.push(rtt.map_or(ProbeOutcome::Lost, |ms| ProbeOutcome::Rtt(Span::millis(ms))));
        }
        window
    }

    #[test]
    fn figures_are_those_of_the_last_thirty_probes() {
        let old = [Some(900); 5];
        let recent: Vec<Option<u64>> = (1..=27).map(Some).chain([None, None, None]).collect();
        let figures = window(&[&old[..], &recent].concat());
        let rtt = figures.rtt().unwrap();
        assert_eq!(
            (rtt.min, rtt.mean, rtt.p50, rtt.p95, rtt.p99, rtt.last),
            (1.0, 14.0, 14.0, 26.0, 27.0, 27.0)
        );
        assert_eq!(figures.loss_pct(), Some(10.0));
    }

    #[test]
    fn jitter_is_a_sixteenth_of_each_difference() {
        let figures = window(&[Some(10), Some(26), None, Some(26)]);
        // 16 ms once, then 0: 1.0, then 1.0 - 1/16.
        assert_eq!(figures.jitter_ms(), Some(0.9375));
        assert_eq!(window(&[Some(10), None]).jitter_ms(), None);
    }

    #[test]
    fn availability_counts_time_not_probes() {
        let at = |seconds: u64| Timestamp(seconds * 1_000_000);
        let mut window = Window::default();
        assert!(window.rtt().is_none() && window.loss_pct().is_none());
        window.mark(Up::Yes, at(10));
        window.mark(Up::No, at(40));
        window.mark(Up::No, at(45));
        window.mark(Up::Yes, at(50));
        assert!((window.availability_pct(at(60)) - 80.0).abs() < 1e-9);
    }
}

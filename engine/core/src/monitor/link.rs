//! One link: its samples, its slot, and the figures drawn from them.

use proto::snapshot::RttFigures;
use proto::{LinkState, ProbeSample, Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::ring::{Outcome, Ring};
use super::statistic::{self, quantile};
use crate::config::Statistic;
use crate::optimizer::criteria::LINK;

/// What a link is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// S'.
    pub(crate) window: Span,
    /// Bounds on RTT and jitter in microseconds, on loss in parts per million.
    pub(crate) bound: [u32; 3],
    pub(crate) statistic: Statistic,
    pub(crate) down_after: u32,
    pub(crate) up_after: u32,
    /// A probe unanswered this long is lost.
    pub(crate) timeout: Span,
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A level was broken for a whole slot that opened at `since`.
    Broken { since: Timestamp },
    /// It is kept again.
    Kept,
    /// Probes go unanswered since then.
    Down { since: Timestamp },
    /// They are answered again.
    Up,
    /// Nobody reports any more.
    Stale,
    /// Somebody reports again.
    Fresh,
}

/// A slot and the sample that opened it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Slot {
    since: Timestamp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Phase {
    #[default]
    Calm,
    Open(Slot),
    Broken(Slot),
}

/// Everything known of one link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Link {
    ring: Ring,
    phase: Phase,
    /// Sixteen times the jitter in microseconds, as RFC 3550 appendix A.8 keeps it.
    jitter16: u64,
    last_rtt: Option<u32>,
    /// When the latest answered probe was sent, by the forwarder's clock.
    answered_sent_at: Timestamp,
    lost_run: u32,
    answered_run: u32,
    /// First of the probes lost in a row.
    lost_since: Timestamp,
    down_since: Option<Timestamp>,
    heard_at: Option<Timestamp>,
    /// Samples from before this are of another life of the engine and count for histories only.
    valid_from: Timestamp,
    fresh: bool,
    /// Whether the link waits for its row to be told.
    pub(super) dirty: bool,
}

impl Link {
    /// Takes a probe's outcome in.
    pub(crate) fn take(&mut self, sample: &ProbeSample, now: Timestamp, limits: &Limits) -> Option<Turn> {
        let fresh = if self.fresh { None } else { Some(Turn::Fresh) };
        self.fresh = true;
        self.heard_at = Some(now);
        let outcome = Outcome::new(sample.outcome, self.down_since.is_some());
        self.ring.push(outcome, now, limits.window);
        let leaves_a_bound = if let Some(rtt) = outcome.rtt() {
            self.answered_run = self.answered_run.saturating_add(1);
            self.lost_run = 0;
            self.answered_sent_at = sample.sent_at;
            if let Some(last) = self.last_rtt.replace(rtt) {
                self.jitter16 = next_jitter16(self.jitter16, rtt.abs_diff(last));
            }
            rtt > limits.bound[0] || self.jitter() > limits.bound[1]
        } else {
            if !self.is_late_word(sample, limits) {
                if self.lost_run == 0 {
                    self.lost_since = now;
                }
                self.lost_run = self.lost_run.saturating_add(1);
                self.answered_run = 0;
            }
            true
        };
        if self.down_since.is_some() {
            if self.answered_run < limits.up_after.max(1) {
                return fresh;
            }
            self.down_since = None;
            return Some(Turn::Up);
        }
        if self.lost_run >= limits.down_after.max(1) {
            self.down_since = Some(self.lost_since);
            self.phase = Phase::Calm;
            return Some(Turn::Down {
                since: self.lost_since,
            });
        }
        match self.phase {
            Phase::Calm if leaves_a_bound => {
                self.phase = Phase::Open(Slot { since: now });
                fresh
            }
            Phase::Calm => fresh,
            Phase::Open(_) | Phase::Broken(_) => self.judge(now, limits).or(fresh),
        }
    }

    /// When the open slot ends.
    pub(crate) fn slot_end(&self, window: Span) -> Option<Timestamp> {
        match self.phase {
            Phase::Open(slot) => Some(slot.since + window),
            Phase::Calm | Phase::Broken(_) => None,
        }
    }

    /// Holds the slot against the bounds, if it has ended.
    pub(crate) fn judge(&mut self, now: Timestamp, limits: &Limits) -> Option<Turn> {
        match self.phase {
            Phase::Calm => None,
            Phase::Open(slot) => {
                if now < slot.since + limits.window {
                    return None;
                }
                match self.verdict(slot, now, limits) {
                    Verdict::Broken => {
                        self.phase = Phase::Broken(slot);
                        Some(Turn::Broken { since: slot.since })
                    }
                    Verdict::Lagging => None,
                    Verdict::Kept => {
                        self.phase = Phase::Calm;
                        None
                    }
                }
            }
            Phase::Broken(slot) => {
                if self.verdict(slot, now, limits) != Verdict::Kept {
                    return None;
                }
                self.phase = Phase::Calm;
                Some(Turn::Kept)
            }
        }
    }

    /// Nobody reported for too long.
    pub(crate) fn turn_stale(&mut self) -> Turn {
        self.fresh = false;
        self.phase = Phase::Calm;
        self.lost_run = 0;
        self.answered_run = 0;
        self.last_rtt = None;
        Turn::Stale
    }

    /// A new life of the engine: nothing heard before counts, but the history stays.
    pub(crate) fn restart(&mut self, now: Timestamp) {
        let ring = std::mem::take(&mut self.ring);
        *self = Self {
            ring,
            heard_at: self.heard_at,
            valid_from: now,
            ..Self::default()
        };
    }

    /// How the link stands, as far as its own samples tell.
    pub(crate) fn state(&self) -> LinkState {
        if !self.fresh {
            return LinkState::Stale;
        }
        match (self.down_since, self.phase) {
            (Some(_), _) => LinkState::Down,
            (None, Phase::Broken(_)) => LinkState::Broken,
            (None, Phase::Open(_)) => LinkState::Warn,
            (None, Phase::Calm) => LinkState::Ok,
        }
    }

    /// Probes lost in a row.
    pub(crate) fn lost_run(&self) -> u32 {
        self.lost_run
    }

    /// That a probe is lost is known only after its timeout. One sent before a probe that was answered already
    /// says nothing about now: it counts as loss, not as lost in a row. (A larger gap is a clock set back.)
    fn is_late_word(&self, sample: &ProbeSample, limits: &Limits) -> bool {
        let before = self.answered_sent_at.since(sample.sent_at);
        before > Span::ZERO && before <= limits.timeout
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// When the last outcome became known.
    pub(crate) fn heard_at(&self) -> Option<Timestamp> {
        self.heard_at
    }

    /// First bad sample of the trouble the link is in.
    pub(crate) fn broken_since(&self) -> Option<Timestamp> {
        match (self.down_since, self.phase) {
            (Some(since), _) => Some(since),
            (None, Phase::Open(slot) | Phase::Broken(slot)) => Some(slot.since),
            (None, Phase::Calm) => None,
        }
    }

    /// RFC 3550 section 6.4.1, on round trips: microseconds.
    pub(crate) fn jitter(&self) -> u32 {
        u32::try_from(self.jitter16 >> 4).unwrap_or(u32::MAX)
    }

    /// RTT statistic and jitter in microseconds, loss and unavailability in parts per million, over the window; `None` unless
    /// enough was answered to be held against bounds and the link is neither down nor stale.
    pub(crate) fn measured(&self, now: Timestamp, limits: &Limits) -> Option<[u32; LINK]> {
        if !self.fresh || self.down_since.is_some() {
            return None;
        }
        let count = self.in_window(now, limits.window);
        let answered = self
            .ring
            .last(count)
            .filter(|outcome| outcome.rtt().is_some())
            .count();
        if (answered as u64) < u64::from(limits.up_after.max(1)) {
            return None;
        }
        let rtt = self.statistic(count, limits.statistic)?;
        let down = self.ring.last(count).filter(|outcome| outcome.was_down()).count();
        Some([
            rtt,
            self.jitter(),
            per_million(count - answered, count),
            per_million(down, count),
        ])
    }

    /// Figures for a row of the link table.
    pub(crate) fn figures(&self, now: Timestamp, limits: &Limits) -> Figures {
        let count = self.in_window(now, limits.window);
        let mut rtts: Vec<u32> = self.ring.last(count).filter_map(Outcome::rtt).collect();
        let last = rtts.last().copied();
        let up = self
            .ring
            .last(count)
            .filter(|outcome| !outcome.was_down())
            .count();
        let share = |part: usize| (count > 0).then(|| f64::from(per_million(part, count)) / 1e4);
        rtts.sort_unstable();
        let rtt = last.and_then(|last| {
            let total: u64 = rtts.iter().map(|&rtt| u64::from(rtt)).sum();
            Some(RttFigures {
                last: millis(last),
                min: millis(*rtts.first()?),
                mean: millis((total / rtts.len() as u64) as u32),
                p50: millis(quantile(&rtts, 0.50)?),
                p95: millis(quantile(&rtts, 0.95)?),
                p99: millis(quantile(&rtts, 0.99)?),
            })
        });
        Figures {
            statistic: self.statistic(count, limits.statistic),
            jitter_ms: rtt.map(|_| millis(self.jitter())),
            loss_pct: share(count - rtts.len()),
            availability_pct: share(up),
            rtt,
        }
    }

    /// Newest first.
    pub(crate) fn history(&self) -> impl Iterator<Item = (Timestamp, Outcome)> + '_ {
        self.ring.backwards()
    }

    fn in_window(&self, now: Timestamp, window: Span) -> usize {
        self.ring.since((now - window).max(self.valid_from))
    }

    fn statistic(&self, count: usize, statistic: Statistic) -> Option<u32> {
        statistic::of(self.ring.last(count).filter_map(Outcome::rtt), statistic)
    }

    fn verdict(&self, slot: Slot, now: Timestamp, limits: &Limits) -> Verdict {
        let window = self.in_window(now, limits.window);
        let after_opening = self.ring.since(slot.since + Span(1)).min(window);
        let recent = limits.up_after.max(1) as usize;

        let rtt = match self.statistic(window, limits.statistic) {
            Some(rtt) if rtt > limits.bound[0] => {
                let last = self.ring.last(window).rev().filter_map(Outcome::rtt).take(recent);
                if last.into_iter().any(|rtt| rtt > limits.bound[0]) {
                    Verdict::Broken
                } else {
                    Verdict::Lagging
                }
            }
            _ => Verdict::Kept,
        };
        rtt.max(self.jitter_verdict(after_opening, recent, limits.bound[1]))
            .max(self.loss_verdict(after_opening, limits.bound[2]))
    }

    /// The jitter of the slot's own samples: the step into the slot does not count, or a single spike would
    /// look like jitter for half a slot.
    fn jitter_verdict(&self, count: usize, recent: usize, bound: u32) -> Verdict {
        let mut last = None;
        let mut jitter16 = 0;
        let mut calm_steps = usize::MAX;
        for rtt in self.ring.last(count).filter_map(Outcome::rtt) {
            if let Some(last) = last.replace(rtt) {
                let step = rtt.abs_diff(last);
                jitter16 = next_jitter16(jitter16, step);
                calm_steps = if step > bound {
                    0
                } else {
                    calm_steps.saturating_add(1)
                };
            }
        }
        match (jitter16 >> 4 > u64::from(bound), calm_steps < recent) {
            (false, _) => Verdict::Kept,
            (true, false) => Verdict::Lagging,
            (true, true) => Verdict::Broken,
        }
    }

    fn loss_verdict(&self, count: usize, bound: u32) -> Verdict {
        let lost = self
            .ring
            .last(count)
            .filter(|outcome| outcome.rtt().is_none())
            .count();
        if per_million(lost.saturating_sub(1), count) > bound {
            Verdict::Broken
        } else {
            Verdict::Kept
        }
    }
}

/// Figures over a window, as shown.
pub(crate) struct Figures {
    /// Microseconds.
    pub(crate) statistic: Option<u32>,
    pub(crate) rtt: Option<RttFigures>,
    pub(crate) jitter_ms: Option<f64>,
    pub(crate) loss_pct: Option<f64>,
    pub(crate) availability_pct: Option<f64>,
}

/// In the order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Kept,
    /// The statistic is out of its bound only because of samples that are over.
    Lagging,
    Broken,
}

/// RFC 3550 appendix A.8: `J += (|D| - J) / 16` in integers.
fn next_jitter16(jitter16: u64, step: u32) -> u64 {
    jitter16 + u64::from(step) - ((jitter16 + 8) >> 4)
}

fn per_million(part: usize, whole: usize) -> u32 {
    (part as u64 * 1_000_000).checked_div(whole as u64).unwrap_or(0) as u32
}

/// Microseconds as milliseconds; three decimals, so that it reads back exactly.
pub(crate) fn millis(micros: u32) -> f64 {
    f64::from(micros) / 1e3
}

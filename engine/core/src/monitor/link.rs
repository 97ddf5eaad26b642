//! One link: its samples, its slot, and the figures drawn from them.

mod verdict;

use std::collections::VecDeque;

use proto::snapshot::RttFigures;
use proto::{LinkState, ProbeOutcome, ProbeSample, Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::limits::Limits;
use super::ring::{Outcome, Ring};
use super::statistic::{self, quantile};
use crate::config::Statistic;
use crate::optimizer::criteria::LINK;
use verdict::Verdict;

/// Overdue probes of one link that are waited for.
const OVERDUE_KEPT: usize = 64;
/// So many answers are needed to judge a link by, and so many of the latest tell whether a trouble is over.
pub(super) const ENOUGH: u32 = 3;

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
    /// Probes told to be overdue, by the moment they were sent and the number of their sample.
    #[serde(default)]
    overdue: VecDeque<(Timestamp, u64)>,
    /// Whether the link waits for its row to be told.
    pub(super) dirty: bool,
}

impl Link {
    /// Takes a probe's outcome in.
    pub(crate) fn take(&mut self, sample: &ProbeSample, now: Timestamp, limits: &Limits) -> Option<Turn> {
        let outcome = Outcome::new(sample.outcome, self.down_since.is_some());
        let is_overdue = matches!(sample.outcome, ProbeOutcome::Overdue(_));
        // Within the bound of this class it tells nothing yet: the probe was made for one that is stricter.
        if is_overdue && outcome.at_least().is_some_and(|rtt| rtt <= limits.leave[0]) {
            return None;
        }
        let fresh = if self.fresh { None } else { Some(Turn::Fresh) };
        self.fresh = true;
        self.heard_at = Some(now);
        if !self.settle_overdue(sample.sent_at, outcome) {
            self.ring.push(outcome, now, limits.window);
        }
        let leaves_a_bound = if is_overdue {
            if self.overdue.len() == OVERDUE_KEPT {
                self.overdue.pop_front();
            }
            self.overdue.push_back((sample.sent_at, self.ring.newest()));
            true
        } else if let Some(rtt) = outcome.rtt() {
            self.answered_run = self.answered_run.saturating_add(1);
            self.lost_run = 0;
            self.answered_sent_at = sample.sent_at;
            if let Some(last) = self.last_rtt.replace(rtt) {
                self.jitter16 = next_jitter16(self.jitter16, rtt.abs_diff(last));
            }
            rtt > limits.leave[0]
                || self.jitter() > limits.leave[1]
                || (outcome.was_down() && limits.leave[3] < u32::MAX)
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

    /// The outcome of a probe that was told to be overdue takes its place, so that it counts once.
    fn settle_overdue(&mut self, sent_at: Timestamp, outcome: Outcome) -> bool {
        let Some(at) = self.overdue.iter().position(|&(sent, _)| sent == sent_at) else {
            return false;
        };
        let number = self.overdue.remove(at).map_or(0, |(_, number)| number);
        self.ring.replace(number, outcome)
    }

    /// When the open slot ends.
    pub(crate) fn slot_end(&self, decide: Span) -> Option<Timestamp> {
        match self.phase {
            Phase::Open(slot) => Some(slot.since + decide),
            Phase::Calm | Phase::Broken(_) => None,
        }
    }

    /// Holds the slot against the bounds, if it has ended.
    pub(crate) fn judge(&mut self, now: Timestamp, limits: &Limits) -> Option<Turn> {
        match self.phase {
            Phase::Calm => None,
            Phase::Open(slot) => {
                if now < slot.since + limits.decide {
                    return None;
                }
                match self.verdict(slot, now, (&limits.leave, limits)) {
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
                if self.verdict(slot, now, (&limits.enter, limits)) != Verdict::Kept {
                    return None;
                }
                self.phase = Phase::Calm;
                Some(Turn::Kept)
            }
        }
    }

    /// Whether a broken level is out of its bounds only because of samples that are over.
    pub(crate) fn is_recovering(&self, now: Timestamp, limits: &Limits) -> bool {
        match self.phase {
            Phase::Broken(slot) => self.verdict(slot, now, (&limits.enter, limits)) == Verdict::Lagging,
            Phase::Calm | Phase::Open(_) => false,
        }
    }

    /// Nobody reported for too long.
    pub(crate) fn turn_stale(&mut self) -> Turn {
        self.fresh = false;
        self.phase = Phase::Calm;
        self.lost_run = 0;
        self.answered_run = 0;
        self.last_rtt = None;
        self.overdue.clear();
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

    /// Whether the latest probes were answered.
    pub(crate) fn answers_again(&self) -> bool {
        self.answered_run > 0
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
        if (answered as u64) < u64::from(limits.enough()) {
            return None;
        }
        let rtt = self.statistic(count, limits.statistics[0])?;
        let jitter = match limits.statistics[1] {
            Statistic::Mean => self.jitter(),
            other => statistic::of(self.steps(count), other).unwrap_or(0),
        };
        Some([
            rtt,
            jitter,
            self.share(now, limits, (limits.statistics[2], Outcome::is_lost)),
            self.share(now, limits, (limits.statistics[3], Outcome::was_down)),
        ])
    }

    /// Figures for a row of the link table.
    pub(crate) fn figures(&self, now: Timestamp, limits: &Limits) -> Figures {
        let count = self.in_window(now, limits.window);
        let mut rtts: Vec<u32> = self.ring.last(count).filter_map(Outcome::rtt).collect();
        let lost = self.ring.last(count).filter(|outcome| outcome.is_lost()).count();
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
            statistic: self.statistic(count, limits.statistics[0]),
            jitter_ms: rtt.map(|_| millis(self.jitter())),
            loss_pct: share(lost),
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
        statistic::of(self.ring.last(count).filter_map(Outcome::at_least), statistic)
    }

    /// Differences between successive round trips.
    fn steps(&self, count: usize) -> impl Iterator<Item = u32> + '_ {
        let mut last = None;
        self.ring
            .last(count)
            .filter_map(Outcome::rtt)
            .filter_map(move |rtt| Some(rtt.abs_diff(last.replace(rtt)?)))
    }

    /// The share of samples that are so, parts per million: a statistic over the parts of the window.
    fn share(
        &self,
        now: Timestamp,
        limits: &Limits,
        (statistic, so): (Statistic, fn(Outcome) -> bool),
    ) -> u32 {
        if limits.parts <= 1 {
            let count = self.in_window(now, limits.window);
            return per_million(
                self.ring.last(count).filter(|&outcome| so(outcome)).count(),
                count,
            );
        }
        let from = (now - limits.window).max(self.valid_from);
        let length = (limits.window.0 / u64::from(limits.parts)).max(1);
        let mut parts: Vec<(usize, usize)> = vec![(0, 0); limits.parts as usize];
        for (at, outcome) in self.ring.backwards().take_while(|&(at, _)| at >= from) {
            let part = (now.since(at).0 / length) as usize;
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

/// Figures over a window, as shown.
pub(crate) struct Figures {
    /// Microseconds.
    pub(crate) statistic: Option<u32>,
    pub(crate) rtt: Option<RttFigures>,
    pub(crate) jitter_ms: Option<f64>,
    pub(crate) loss_pct: Option<f64>,
    pub(crate) availability_pct: Option<f64>,
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

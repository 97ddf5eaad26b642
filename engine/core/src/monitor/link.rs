//! One link: its samples, its slot, and the figures drawn from them.

mod pressing;
#[cfg(test)]
mod tests;
mod verdict;
mod window;
mod written;

use std::collections::VecDeque;
use std::num::NonZero;

use proto::snapshot::RttFigures;
use proto::{LinkState, ProbeOutcome, ProbeSample, Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::limits::Limits;
use super::outcome::Outcome;
use super::ring::{Ring, Sample};
use super::statistic::{self, quantile};
use crate::config::Statistic;
use crate::optimizer::criteria::LINK;
pub(crate) use verdict::Verdict;
use window::{Window, per_million};

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

/// A slot, by the moment of the sample that opened it. Its bytes need no place of their own in a link.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenSlot", into = "WrittenSlot")]
struct Slot([u8; 8]);

/// A slot as it is written down.
#[derive(Serialize, Deserialize)]
struct WrittenSlot {
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

/// Everything known of one link. There are a hundred thousand of them: what a calm one does not need is elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "written::Written")]
pub(crate) struct Link {
    ring: Ring,
    /// When the latest answered probe was sent, by the forwarder's clock.
    answered_sent_at: Timestamp,
    rare: Option<Box<Rare>>,
    /// Sixteen times the jitter in microseconds, as RFC 3550 appendix A.8 keeps it.
    jitter16: u32,
    /// One more than the round trip that the next one's jitter is against.
    after_last: Option<NonZero<u32>>,
    /// Probes answered in a row; below zero: lost in a row.
    run: i32,
    phase: Phase,
    fresh: bool,
}

/// What is known of a link in trouble.
#[derive(Clone, Debug, Default)]
struct Rare {
    /// First of the probes lost in a row, if some are.
    lost_since: Timestamp,
    down_since: Option<Timestamp>,
    /// When the last outcome became known, if it took the place of an earlier one.
    heard_at: Option<Timestamp>,
    /// Probes told to be overdue, by the moment they were sent and the number of their sample.
    overdue: VecDeque<(Timestamp, u64)>,
    /// The number of the newest sample.
    taken: u64,
}

impl Link {
    /// Bytes it takes, as an allocator gives them out: itself, its samples, and what is known of its trouble.
    pub(crate) fn memory(&self) -> usize {
        let overdue = |rare: &Rare| rare.overdue.capacity() * size_of::<(Timestamp, u64)>();
        let rare = self
            .rare
            .as_deref()
            .map_or(0, |rare| given(size_of::<Rare>()) + given(overdue(rare)));
        size_of::<Self>() + given(self.ring.memory()) + rare
    }

    /// Takes a probe's outcome in.
    pub(crate) fn take(&mut self, sample: &ProbeSample, now: Timestamp, limits: &Limits) -> Option<Turn> {
        let outcome = Outcome::new(sample.outcome, self.down_since().is_some());
        // Within the bound of this class it tells nothing yet: the probe was made for one that is stricter.
        if matches!(sample.outcome, ProbeOutcome::Overdue(_))
            && outcome.at_least().is_some_and(|rtt| rtt <= limits.leave[0])
        {
            return None;
        }
        let fresh = if self.fresh { None } else { Some(Turn::Fresh) };
        self.fresh = true;
        self.put(sample.sent_at, outcome, (now, limits));
        let leaves_a_bound = self.count(sample, outcome, (now, limits));
        let turn = self.turn(leaves_a_bound, now, limits);
        self.tidy();
        turn.or(fresh)
    }

    /// Puts an outcome where it belongs among the samples.
    fn put(&mut self, sent_at: Timestamp, outcome: Outcome, (now, limits): (Timestamp, &Limits)) {
        if self.settle_overdue(sent_at, outcome) {
            self.rare_mut().heard_at = Some(now);
            return;
        }
        self.ring.push(outcome, now, (limits.window, limits.probe));
        if let Some(rare) = &mut self.rare {
            rare.heard_at = None;
            rare.taken += 1;
        }
    }

    /// Counts an outcome among those in a row; whether it leaves a bound.
    fn count(&mut self, sample: &ProbeSample, outcome: Outcome, (now, limits): (Timestamp, &Limits)) -> bool {
        if matches!(sample.outcome, ProbeOutcome::Overdue(_)) {
            let rare = self.rare_mut();
            if rare.overdue.len() == OVERDUE_KEPT {
                rare.overdue.pop_front();
            }
            rare.overdue.push_back((sample.sent_at, rare.taken));
            return true;
        }
        let Some(rtt) = outcome.rtt() else {
            if !self.is_late_word(sample, limits) {
                if self.run >= 0 {
                    self.run = 0;
                    self.rare_mut().lost_since = now;
                }
                self.run = self.run.saturating_sub(1);
            }
            return true;
        };
        self.run = self.run.max(0).saturating_add(1);
        self.answered_sent_at = sample.sent_at;
        if let Some(last) = self.last_rtt() {
            self.jitter16 =
                u32::try_from(next_jitter16(self.jitter16.into(), rtt.abs_diff(last))).unwrap_or(u32::MAX);
        }
        self.after_last = NonZero::new(rtt.saturating_add(1));
        rtt > limits.leave[0]
            || self.jitter() > limits.leave[1]
            || (outcome.was_down() && limits.leave[3] < u32::MAX)
    }

    fn turn(&mut self, leaves_a_bound: bool, now: Timestamp, limits: &Limits) -> Option<Turn> {
        if self.down_since().is_some() {
            if self.answered_run() < limits.up_after.max(1) {
                return None;
            }
            self.rare_mut().down_since = None;
            return Some(Turn::Up);
        }
        if self.lost_run() >= limits.down_after.max(1) {
            let rare = self.rare_mut();
            let since = rare.lost_since;
            rare.down_since = Some(since);
            self.phase = Phase::Calm;
            return Some(Turn::Down { since });
        }
        match self.phase {
            Phase::Calm if leaves_a_bound => {
                self.phase = Phase::Open(Slot::since(now));
                None
            }
            Phase::Calm => None,
            Phase::Open(_) | Phase::Broken(_) => self.judge(now, limits),
        }
    }

    /// The outcome of a probe that was told to be overdue takes its place, so that it counts once.
    fn settle_overdue(&mut self, sent_at: Timestamp, outcome: Outcome) -> bool {
        let Some(rare) = &mut self.rare else { return false };
        let Some(at) = rare.overdue.iter().position(|&(sent, _)| sent == sent_at) else {
            return false;
        };
        let number = rare.overdue.remove(at).map_or(0, |(_, number)| number);
        let back = usize::try_from(rare.taken.saturating_sub(number)).unwrap_or(usize::MAX);
        self.ring.replace(back, outcome)
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Gives back what a calm link does not need.
    fn tidy(&mut self) {
        let needs =
            |rare: &Rare| rare.down_since.is_some() || rare.heard_at.is_some() || !rare.overdue.is_empty();
        if self.run >= 0 && self.rare.as_deref().is_some_and(|rare| !needs(rare)) {
            self.rare = None;
        }
    }

    /// When the open slot ends.
    pub(crate) fn slot_end(&self, decide: Span) -> Option<Timestamp> {
        match self.phase {
            Phase::Open(slot) => Some(slot.at() + decide),
            Phase::Calm | Phase::Broken(_) => None,
        }
    }

    /// Holds the slot against the bounds, if it has ended.
    pub(crate) fn judge(&mut self, now: Timestamp, limits: &Limits) -> Option<Turn> {
        match self.phase {
            Phase::Calm => None,
            Phase::Open(slot) => {
                if now < slot.at() + limits.decide {
                    return None;
                }
                match self.verdict(slot, now, (&limits.leave, limits)) {
                    Verdict::Broken => {
                        self.phase = Phase::Broken(slot);
                        Some(Turn::Broken { since: slot.at() })
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
        self.run = 0;
        self.after_last = None;
        if let Some(rare) = &mut self.rare {
            rare.overdue.clear();
        }
        self.tidy();
        Turn::Stale
    }

    /// A new life of the engine: nothing heard before counts, but the history stays.
    pub(crate) fn restart(&mut self) {
        let mut ring = std::mem::take(&mut self.ring);
        ring.retire_all();
        let heard_at = self.rare.as_ref().and_then(|rare| rare.heard_at);
        let rare = heard_at.map(|at| {
            Box::new(Rare {
                heard_at: Some(at),
                ..Rare::default()
            })
        });
        *self = Self {
            ring,
            rare,
            ..Self::default()
        };
    }

    /// One that was read: versions that kept all samples exactly did not say which are the window's.
    pub(crate) fn fit(&mut self, limits: &Limits) {
        self.ring.fit(limits.window);
    }

    /// How the link stands, as far as its own samples tell.
    pub(crate) fn state(&self) -> LinkState {
        if !self.fresh {
            return LinkState::Stale;
        }
        match (self.down_since(), self.phase) {
            (Some(_), _) => LinkState::Down,
            (None, Phase::Broken(_)) => LinkState::Broken,
            (None, Phase::Open(_)) => LinkState::Warn,
            (None, Phase::Calm) => LinkState::Ok,
        }
    }

    /// Probes lost in a row.
    pub(crate) fn lost_run(&self) -> u32 {
        self.run.min(0).unsigned_abs()
    }

    fn answered_run(&self) -> u32 {
        self.run.max(0).unsigned_abs()
    }

    fn down_since(&self) -> Option<Timestamp> {
        self.rare.as_ref()?.down_since
    }

    fn last_rtt(&self) -> Option<u32> {
        self.after_last.map(|after| after.get() - 1)
    }

    /// Whether the latest probes were answered.
    pub(crate) fn answers_again(&self) -> bool {
        self.run > 0
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
        let instead = self.rare.as_ref().and_then(|rare| rare.heard_at);
        instead.or_else(|| self.ring.last_at())
    }

    /// First bad sample of the trouble the link is in.
    pub(crate) fn broken_since(&self) -> Option<Timestamp> {
        match (self.down_since(), self.phase) {
            (Some(since), _) => Some(since),
            (None, Phase::Open(slot) | Phase::Broken(slot)) => Some(slot.at()),
            (None, Phase::Calm) => None,
        }
    }

    /// RFC 3550 section 6.4.1, on round trips: microseconds.
    pub(crate) fn jitter(&self) -> u32 {
        self.jitter16 >> 4
    }

    /// RTT statistic and jitter in microseconds, loss and unavailability in parts per million, over the window; `None` unless
    /// enough was answered to be held against bounds and the link is neither down nor stale.
    pub(crate) fn measured(&self, now: Timestamp, limits: &Limits) -> Option<[u32; LINK]> {
        if !self.fresh || self.down_since().is_some() {
            return None;
        }
        let window = self.window(now, limits);
        if (window.rtts().count() as u64) < u64::from(limits.enough()) {
            return None;
        }
        let rtt = window.rtt_statistic(limits.statistics[0])?;
        let jitter = match limits.statistics[1] {
            Statistic::Mean => self.jitter(),
            other => statistic::of(window.steps(window.len()), other).unwrap_or(0),
        };
        Some([
            rtt,
            jitter,
            window.share(limits, (limits.statistics[2], Outcome::is_lost)),
            window.share(limits, (limits.statistics[3], Outcome::was_down)),
        ])
    }

    /// Figures for a row of the link table.
    pub(crate) fn figures(&self, now: Timestamp, limits: &Limits) -> Figures {
        let window = self.window(now, limits);
        let count = window.len();
        let mut rtts: Vec<u32> = Vec::with_capacity(count);
        rtts.extend(window.rtts());
        let last = rtts.last().copied();
        let of = |part: usize, all: usize| (all > 0).then(|| f64::from(per_million(part, all)) / 1e4);
        let share = |part: usize| of(part, count);
        let answered = rtts.len();
        let of_ended = |lost: usize| of(lost, lost + answered);
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
            // By a link that is down nothing comes: what came before says nothing of it.
            statistic: window
                .rtt_statistic(limits.statistics[0])
                .filter(|_| self.down_since().is_none()),
            jitter_ms: rtt.map(|_| millis(self.jitter())),
            // Of the probes that ended: those that are out may yet be answered.
            loss_pct: of_ended(window.count(Outcome::is_lost)),
            availability_pct: share(window.count(|outcome| !outcome.was_down())),
            rtt,
        }
    }

    /// All samples kept, oldest first: those of the window exactly, those before it as well as can be seen.
    pub(crate) fn history(&self) -> Vec<Sample> {
        self.ring.all()
    }

    fn window(&self, now: Timestamp, limits: &Limits) -> Window {
        Window::new(self.ring.since(now - limits.window), now)
    }
}

/// What an allocator gives for `bytes`: a word of its own, in steps of sixteen.
const fn given(bytes: usize) -> usize {
    if bytes == 0 {
        0
    } else {
        (bytes + size_of::<usize>()).next_multiple_of(16)
    }
}

/// Numbers count from anywhere: what they are apart is what tells.
impl PartialEq for Rare {
    fn eq(&self, other: &Self) -> bool {
        let overdue = |rare: &Self| -> Vec<(Timestamp, u64)> {
            let back = |&(sent_at, number): &(Timestamp, u64)| (sent_at, rare.taken.saturating_sub(number));
            rare.overdue.iter().map(back).collect()
        };
        (self.lost_since, self.down_since, self.heard_at)
            == (other.lost_since, other.down_since, other.heard_at)
            && overdue(self) == overdue(other)
    }
}

impl Slot {
    fn since(at: Timestamp) -> Self {
        Self(at.0.to_ne_bytes())
    }

    fn at(self) -> Timestamp {
        Timestamp(u64::from_ne_bytes(self.0))
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.at().fmt(f)
    }
}

impl From<WrittenSlot> for Slot {
    fn from(slot: WrittenSlot) -> Self {
        Self::since(slot.since)
    }
}

impl From<Slot> for WrittenSlot {
    fn from(slot: Slot) -> Self {
        Self { since: slot.at() }
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

/// Microseconds as milliseconds; three decimals, so that it reads back exactly.
pub(crate) fn millis(micros: u32) -> f64 {
    f64::from(micros) / 1e3
}

//! What keeps decisions calm: least gain, hold, cool-down, damping, budgets, rules, windows and modes.
//!
//! Cool-down and penalties are kept for each user and VM: a user's other VM may follow at once when the link they
//! share breaks.
//!
//! | module | what it keeps |
//! |---|---|
//! | `admit` | the executor's gates: nothing moves without a `Pass` |
//! | `conduct` | policy in the engine's course: who acts, who waits, what is spent and counted |
//! | [`contradiction`] | rules that cannot all be kept, for the session reader |
//! | `gain` | what a move gains, and how much is enough |
//! | `damping` | flap penalties (RFC 2439) |
//! | `leaving` | when an entry may be left: one rule for the live engine and for simulations |
//! | `spending` | what of the budgets is used |
//! | `scope` | selectors and rules of the session, resolved to numbers |
//! | `rules` | where rules let an entry be |
//! | `windows` | freeze windows by the wall clock |
//! | `state` | what of all this is written down |

pub(crate) mod admit;
pub(crate) mod conduct;
pub mod contradiction;
pub(crate) mod damping;
pub(crate) mod gain;
pub(crate) mod leaving;
mod rules;
pub(crate) mod scope;
pub(crate) mod spending;
pub(crate) mod state;
pub(crate) mod windows;

use std::fmt;

use proto::policy::Hold;
use proto::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::{Backoff, Policy};
use crate::fabric::Dc;
use crate::places::Places;
pub(crate) use gain::Gain;

/// So many hard failures in one cool-down are moved away from; after that even they wait.
const HARD_MOVES: u8 = 3;

/// How pressing a move is, the most pressing first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Need {
    /// The entry cannot carry traffic at all: no least gain, and up to three moves in one cool-down.
    Hard,
    /// A rule or a drain wants it away: no least gain and no hold.
    Ordered,
    /// A level is broken.
    Soft,
}

impl Need {
    /// All there are.
    pub(crate) const ALL: [Self; 3] = [Self::Hard, Self::Ordered, Self::Soft];
}

/// Why nothing is proposed although something else would be better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Withheld {
    /// The best other entry gains too little.
    Gain,
    /// The user was moved lately.
    CoolDown,
    /// Nobody answered the last proposal; the next one waits a slot.
    Quiet,
    /// No other entry is usable and better.
    NothingBetter,
    /// No other entry keeps all levels, and the class moves only where they are kept.
    Hold,
    /// No entry keeps all levels, and the best of them is not better by enough.
    Variance,
    /// The level is not broken for the hold yet.
    Brief,
    /// The level is out of its bounds only by samples that are over.
    Recovering,
    /// A gate of the executor is shut.
    Gate(GateKind),
}

/// Which gate of the executor, without its particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GateKind {
    Unrecorded,
    Disarmed,
    Mode,
    Warming,
    InFlight,
    Rule,
    Window,
    Damped,
    CoolDown,
    Budget,
}

impl From<&Hold> for GateKind {
    fn from(hold: &Hold) -> Self {
        match hold {
            Hold::Unrecorded => Self::Unrecorded,
            Hold::Disarmed { .. } => Self::Disarmed,
            Hold::Mode { .. } => Self::Mode,
            Hold::Warming { .. } => Self::Warming,
            Hold::InFlight { .. } => Self::InFlight,
            Hold::Rule { .. } => Self::Rule,
            Hold::Window { .. } => Self::Window,
            Hold::Damped { .. } => Self::Damped,
            Hold::CoolDown { .. } => Self::CoolDown,
            Hold::Budget { .. } => Self::Budget,
        }
    }
}

impl GateKind {
    /// Which it was, in words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Unrecorded => "nothing could be recorded",
            Self::Disarmed => "the engine was disarmed",
            Self::Mode => "the mode was observe",
            Self::Warming => "the engine had just started",
            Self::InFlight => "another switch of the user was under way",
            Self::Rule => "a rule forbade it",
            Self::Window => "a window was shut",
            Self::Damped => "it had flapped too often",
            Self::CoolDown => "it cooled down",
            Self::Budget => "a budget had no room",
        }
    }
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gain => "the best other entry gains less than the least gain",
            Self::CoolDown => "it was moved lately and cools down",
            Self::Quiet => "the last proposal lapsed less than a slot ago",
            Self::NothingBetter => "no other entry is usable and better",
            Self::Hold => "no other entry keeps all levels, and its class holds then",
            Self::Variance => "no entry keeps all levels, and the best of the worst is not better by enough",
            Self::Brief => "its level is not broken for long enough yet",
            Self::Recovering => "its latest samples are within their bounds again",
            Self::Gate(_) => "policy holds it back",
        })
    }
}

/// The gates of one user and VM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gates {
    cool_until: Timestamp,
    cool_for: Span,
    hard_moves: u8,
    /// Entries that are not proposed until then: rejected by staff, or tried in vain. Who is cut off goes there rather
    /// than nowhere.
    barred: Vec<(Dc, Timestamp)>,
    /// Entries that not even who is cut off goes to until then: rejected or tried in vain for such a one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<(Dc, Timestamp)>,
    quiet_until: Timestamp,
}

impl Gates {
    /// Whether a move by the engine itself is let pass.
    pub(crate) fn pass(
        &self,
        need: Need,
        gain: Gain,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<(), Withheld> {
        worth(need, gain, policy)?;
        self.calm(need, now)
    }

    /// Whether the engine may move it again.
    pub(crate) fn calm(&self, need: Need, now: Timestamp) -> Result<(), Withheld> {
        match self.cools_until(need, now) {
            Some(_) => Err(Withheld::CoolDown),
            None => Ok(()),
        }
    }

    /// Until when a move of this need has to wait.
    pub(crate) fn cools_until(&self, need: Need, now: Timestamp) -> Option<Timestamp> {
        let waits = match need {
            Need::Hard => self.hard_moves >= HARD_MOVES,
            Need::Ordered => false,
            Need::Soft => true,
        };
        Some(self.cool_until).filter(|&until| waits && now < until)
    }

    /// The gates of the same entry in an edited session.
    pub(crate) fn carried(&self, places: &Places) -> Self {
        let kept = |until: &[(Dc, Timestamp)]| {
            let known = until.iter();
            known
                .filter_map(|&(dc, until)| Some((places.dc(dc)?, until)))
                .collect()
        };
        Self {
            barred: kept(&self.barred),
            refused: kept(&self.refused),
            ..self.clone()
        }
    }

    /// Until when the engine keeps quiet.
    pub(crate) fn quiet_until(&self, now: Timestamp) -> Option<Timestamp> {
        Some(self.quiet_until).filter(|&until| now < until)
    }

    /// Until when `to` is not to be proposed.
    pub(crate) fn barred_until(&self, to: Dc, now: Timestamp) -> Option<Timestamp> {
        let all = self.barred.iter().chain(&self.refused);
        let bars = all.filter(|&&(dc, until)| dc == to && now < until);
        bars.map(|&(_, until)| until).max()
    }

    /// Whether `to` is not to be proposed while anything else is left.
    pub(crate) fn is_barred(&self, to: Dc, now: Timestamp) -> bool {
        is_on(&self.barred, to, now) || self.is_refused(to, now)
    }

    /// Whether `to` is not to be proposed even if nothing else is left.
    pub(crate) fn is_refused(&self, to: Dc, now: Timestamp) -> bool {
        is_on(&self.refused, to, now)
    }

    /// `to` is not proposed again for the cool-down.
    pub(crate) fn bar(&mut self, to: Dc, policy: &Policy, now: Timestamp) {
        put(&mut self.barred, to, now + policy.cool_down, now);
    }

    /// Not even to who is cut off, until then.
    pub(crate) fn refuse(&mut self, to: Dc, until: Timestamp, now: Timestamp) {
        put(&mut self.refused, to, until, now);
    }

    /// Nobody answered.
    pub(crate) fn keep_quiet(&mut self, until: Timestamp) {
        self.quiet_until = until;
    }

    /// A move was carried out. One that follows soon after the cool-down of the one before multiplies it.
    pub(crate) fn moved(&mut self, need: Need, (policy, backoff): (&Policy, &Backoff), now: Timestamp) {
        let soon = self.cool_for > Span::ZERO && now < self.cool_until + self.cool_for;
        self.cool_for = if soon {
            Span(self.cool_for.0.saturating_mul(backoff.factor.max(1).into()))
                .min(backoff.max)
                .max(policy.cool_down)
        } else {
            policy.cool_down
        };
        if now >= self.cool_until {
            self.hard_moves = 0;
        }
        if need == Need::Hard {
            self.hard_moves = self.hard_moves.saturating_add(1);
        }
        self.cool_until = now + self.cool_for;
    }
}

fn is_on(list: &[(Dc, Timestamp)], to: Dc, now: Timestamp) -> bool {
    list.iter().any(|&(dc, until)| dc == to && now < until)
}

/// What is over goes off the list.
fn put(list: &mut Vec<(Dc, Timestamp)>, to: Dc, until: Timestamp, now: Timestamp) {
    list.retain(|&(dc, until)| dc != to && now < until);
    list.push((to, until));
}

/// Whether a move gains enough. Who is cut off or ordered away need not gain.
pub(crate) fn worth(need: Need, gain: Gain, policy: &Policy) -> Result<(), Withheld> {
    match need {
        Need::Soft if !gain.is_enough(policy) => Err(Withheld::Gain),
        Need::Hard | Need::Ordered | Need::Soft => Ok(()),
    }
}

/// Four decimals: what is shown, and what reads back exactly from a recording.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        proposal_ttl: Span::secs(60),
        cool_down: Span::secs(30),
        gain_min: 5.0,
        gain_min_share: 0.1,
        confirm_within: Span::secs(10),
        prove_within: Span::ZERO,
        down_after: 3,
        up_after: 3,
        stale_after: Span::secs(5),
        probe_timeout: Span::secs(2),
    };
    const GOOD: Gain = Gain {
        measured: 437_000,
        expected: 35_000,
        ..Gain::NONE
    };
    const T0: Timestamp = Timestamp(1_000_000_000);

    #[test]
    fn the_larger_of_both_least_gains_counts() {
        let gates = Gates::default();
        let gain = |measured, expected| gates.pass(Need::Soft, Gain::of_rtt(measured, expected), &POLICY, T0);
        assert_eq!(gain(120.0, 107.9), Ok(()));
        assert_eq!(
            gain(120.0, 109.0),
            Err(Withheld::Gain),
            "11 of 120 ms is under 10 %"
        );
        assert_eq!(gain(20.0, 15.5), Err(Withheld::Gain), "4.5 ms is under 5 ms");
        assert_eq!(
            gates.pass(Need::Hard, Gain::of_rtt(1.0, 1.0), &POLICY, T0),
            Ok(())
        );
    }

    #[test]
    fn moves_that_follow_each_other_double_the_cool_down_up_to_eight_hours() {
        let mut gates = Gates::default();
        let mut now = T0;
        let mut waits = Vec::new();
        for _ in 0..13 {
            gates.moved(Need::Soft, (&POLICY, &Backoff::default()), now);
            let opens = gates.cool_until;
            waits.push(opens.since(now));
            assert_eq!(
                gates.pass(Need::Soft, GOOD, &POLICY, opens - Span(1)),
                Err(Withheld::CoolDown)
            );
            assert_eq!(gates.pass(Need::Soft, GOOD, &POLICY, opens), Ok(()));
            now = opens;
        }
        assert_eq!(waits[..4], [30, 60, 120, 240].map(Span::secs));
        assert_eq!(waits[12], Backoff::default().max);
        gates.moved(
            Need::Soft,
            (&POLICY, &Backoff::default()),
            now + Span::secs(9 * 3600 * 2),
        );
        assert_eq!(
            gates.cool_for, POLICY.cool_down,
            "after a long calm it starts over"
        );
    }

    #[test]
    fn hard_failures_are_moved_away_from_three_times_in_one_cool_down() {
        let mut gates = Gates::default();
        for _ in 0..3 {
            assert_eq!(gates.pass(Need::Hard, GOOD, &POLICY, T0), Ok(()));
            gates.moved(Need::Hard, (&POLICY, &Backoff::default()), T0);
        }
        assert_eq!(gates.pass(Need::Hard, GOOD, &POLICY, T0), Err(Withheld::CoolDown));
    }

    #[test]
    fn an_entry_is_barred_for_the_cool_down_and_no_other() {
        let mut gates = Gates::default();
        gates.bar(Dc(2), &POLICY, T0);
        assert!(gates.is_barred(Dc(2), T0 + Span(29_999_999)));
        assert!(!gates.is_barred(Dc(2), T0 + Span::secs(30)));
        assert!(!gates.is_barred(Dc(1), T0));
    }
}

//! What is remembered of one class of actions, and how sure that makes us.

use std::collections::VecDeque;

use proto::autonomy::{Bounded, Outcomes, Words};
use proto::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Decisions remembered for each class.
const KEPT: usize = 64;
/// A class falls by its last so many outcomes.
pub(super) const RECENT: usize = 8;
/// Never by fewer wrong ones than this: two may be chance.
const LEAST_WRONG: usize = 3;
/// Of the normal distribution, one side, at 95 %.
const Z: f64 = 1.645;

/// What staff said to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Said {
    Approved,
    Rejected,
    Other,
    Lapsed,
}

/// What reality said to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Held,
    Broke,
    Regretted,
}

/// One decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) word: Option<Said>,
    pub(crate) outcome: Option<Outcome>,
}

/// The latest decisions of a class, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Evidence {
    entries: VecDeque<Entry>,
}

impl Evidence {
    pub(crate) fn add(&mut self, entry: Entry) {
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Decisions with a word of staff, and decisions judged.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let worded = self.entries.iter().filter(|entry| entry.word.is_some()).count();
        let judged = self
            .entries
            .iter()
            .filter(|entry| entry.outcome.is_some())
            .count();
        (worded, judged)
    }

    /// Share of decisions that staff agreed with. Silence is no agreement.
    pub(crate) fn agreement(&self, half_life: Span, now: Timestamp) -> Option<Bounded> {
        let words = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry.at, entry.word?)));
        share(words.map(|(at, word)| (weight(at, half_life, now), word == Said::Approved)))
    }

    /// Share of decisions that were wrong in hindsight.
    pub(crate) fn regret(&self, half_life: Span, now: Timestamp) -> Option<Bounded> {
        let judged = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry.at, entry.outcome?)));
        share(judged.map(|(at, outcome)| (weight(at, half_life, now), outcome != Outcome::Held)))
    }

    /// The last outcomes: wrong ones, and all.
    pub(crate) fn recent(&self) -> (usize, usize) {
        let outcomes = self.entries.iter().rev().filter_map(|entry| entry.outcome);
        let last: Vec<Outcome> = outcomes.take(RECENT).collect();
        let wrong = last.iter().filter(|&&outcome| outcome != Outcome::Held).count();
        (wrong, last.len())
    }

    pub(crate) fn words(&self) -> Words {
        let count = |word| {
            self.entries
                .iter()
                .filter(|entry| entry.word == Some(word))
                .count() as u32
        };
        Words {
            approved: count(Said::Approved),
            rejected: count(Said::Rejected),
            other: count(Said::Other),
            lapsed: count(Said::Lapsed),
        }
    }

    pub(crate) fn outcomes(&self) -> Outcomes {
        let count = |outcome| {
            self.entries
                .iter()
                .filter(|entry| entry.outcome == Some(outcome))
                .count() as u32
        };
        Outcomes {
            held: count(Outcome::Held),
            broke: count(Outcome::Broke),
            regretted: count(Outcome::Regretted),
        }
    }
}

/// Whether the last outcomes break the bound: more are wrong than chance would have it, at 95 %.
pub(super) fn breaks((wrong, of): (usize, usize), max_regret: f64) -> bool {
    wrong >= LEAST_WRONG && wilson(wrong as f64, of as f64).is_some_and(|found| found.low > max_regret)
}

/// A class whose decisions are all wrong from now on falls after this many, whatever its record was; `None`: never.
pub fn falls_within(max_regret: f64) -> Option<u32> {
    (1..=RECENT)
        .find(|&wrong| breaks((wrong, RECENT), max_regret))
        .map(|wrong| wrong as u32)
}

/// Halved each half-life in steps, so that it is the same number on every machine.
fn weight(at: Timestamp, half_life: Span, now: Timestamp) -> f64 {
    let halvings = now.since(at).micros() / half_life.micros().max(1);
    1.0 / f64::from(1_u32 << halvings.min(24))
}

fn share(weighted: impl Iterator<Item = (f64, bool)>) -> Option<Bounded> {
    let add = |(hits, of): (f64, f64), (weight, hit): (f64, bool)| {
        (if hit { hits + weight } else { hits }, of + weight)
    };
    let (hits, of) = weighted.fold((0.0, 0.0), add);
    wilson(hits, of)
}

/// Wilson's score interval: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
/// JASA 22 (1927), with each bound at 95 %.
fn wilson(hits: f64, of: f64) -> Option<Bounded> {
    if of <= 0.0 {
        return None;
    }
    let share = hits / of;
    let z2 = Z * Z;
    let middle = share + z2 / (2.0 * of);
    let reach = Z
        * (share * (1.0 - share) / of + z2 / (4.0 * of * of))
            .max(0.0)
            .sqrt();
    let scale = 1.0 + z2 / of;
    Some(Bounded {
        share,
        low: ((middle - reach) / scale).clamp(0.0, 1.0),
        high: ((middle + reach) / scale).clamp(0.0, 1.0),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: Timestamp = Timestamp(1_000_000_000);
    const DAY: Span = Span::secs(86_400);

    fn entry(at: Timestamp, word: Said, outcome: Outcome) -> Entry {
        Entry {
            at,
            word: Some(word),
            outcome: Some(outcome),
        }
    }

    #[test]
    fn twenty_decisions_with_one_against_them_are_just_enough_for_the_defaults() {
        let mut evidence = Evidence::default();
        evidence.add(entry(T0, Said::Rejected, Outcome::Regretted));
        for _ in 0..19 {
            evidence.add(entry(T0, Said::Approved, Outcome::Held));
        }
        let agreement = evidence.agreement(DAY, T0).unwrap();
        let regret = evidence.regret(DAY, T0).unwrap();
        assert!(agreement.low > 0.8 && agreement.low < 0.81, "{agreement:?}");
        assert!(regret.high < 0.2 && regret.high > 0.19, "{regret:?}");
        evidence.add(entry(T0, Said::Lapsed, Outcome::Broke));
        assert!(
            evidence.agreement(DAY, T0).unwrap().low < 0.8,
            "silence is no agreement"
        );
    }

    #[test]
    fn old_evidence_makes_the_bounds_wider_and_the_share_no_other() {
        let mut evidence = Evidence::default();
        for _ in 0..20 {
            evidence.add(entry(T0, Said::Approved, Outcome::Held));
        }
        let fresh = evidence.agreement(DAY, T0).unwrap();
        let old = evidence.agreement(DAY, T0 + Span::secs(3 * 86_400)).unwrap();
        assert!(old.low < fresh.low - 0.2, "{old:?} {fresh:?}");
        assert!((old.share - fresh.share).abs() < 1e-9);
    }

    #[test]
    fn by_the_default_bound_four_wrong_ones_in_a_row_are_too_many() {
        assert_eq!(falls_within(0.2), Some(4));
        assert!(breaks((3, 3), 0.2));
        assert!(!breaks((2, 2), 0.2), "two may be chance");
        assert_eq!(falls_within(0.9), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut evidence = Evidence::default();
        for _ in 0..10 * KEPT {
            evidence.add(entry(T0, Said::Approved, Outcome::Held));
        }
        assert_eq!(evidence.counts(), (KEPT, KEPT));
    }

    proptest! {
        /// The promise of `falls_within`, against any record before.
        #[test]
        fn whatever_the_record_was_a_class_that_turns_wrong_breaks_the_bound_in_time(
            before in prop::collection::vec(any::<bool>(), 0..100),
            max_regret in 0.02..0.7_f64,
        ) {
            let mut evidence = Evidence::default();
            for good in before {
                let outcome = if good { Outcome::Held } else { Outcome::Broke };
                evidence.add(entry(T0, Said::Approved, outcome));
            }
            let promised = falls_within(max_regret).unwrap();
            for _ in 0..promised {
                evidence.add(entry(T0, Said::Approved, Outcome::Broke));
            }
            prop_assert!(breaks(evidence.recent(), max_regret));
        }

        #[test]
        fn the_interval_holds_the_share_and_lies_within_nothing_and_all(hits in 0.0..50.0_f64, more in 0.0..50.0_f64) {
            if let Some(found) = wilson(hits, hits + more) {
                prop_assert!(0.0 <= found.low && found.low <= found.share + 1e-9);
                prop_assert!(found.share <= found.high + 1e-9 && found.high <= 1.0);
            }
        }
    }
}

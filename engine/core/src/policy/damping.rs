//! Flap damping after RFC 2439: every flap adds a penalty that halves with time; above `suppress` a thing is left
//! alone until the penalty has come down to `reuse`.
//!
//! The penalty of an entry is kept for the user and the VM, not for the way it takes: changing the way does not
//! reset it. The moment of release is computed at each flap, and that moment is the release: what is foretold
//! is what happens. Only additions and multiplications are used, so that another machine computes the same.

use std::collections::BTreeMap;

use proto::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Damp;
use crate::fabric::{LinkIx, PairIx};

/// Parts of one penalty point.
const POINT: u64 = 1_000_000;
/// Ledgers longer than this are cleared of what has decayed.
const LONG: usize = 1024;

/// Penalties of entries and of locators.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flaps {
    pub(crate) entries: BTreeMap<PairIx, Flap>,
    pub(crate) locators: BTreeMap<LinkIx, Flap>,
}

impl Flaps {
    /// An entry was moved.
    pub(crate) fn entry(&mut self, ix: PairIx, damp: &Damp, now: Timestamp) -> &Flap {
        tidy(&mut self.entries, damp, now);
        let flap = self.entries.entry(ix).or_default();
        flap.count(damp, now);
        flap
    }

    /// A link broke or went down.
    pub(crate) fn locator(&mut self, ix: LinkIx, damp: &Damp, now: Timestamp) {
        tidy(&mut self.locators, damp, now);
        self.locators.entry(ix).or_default().count(damp, now);
    }

    /// Until when an entry is left alone.
    pub(crate) fn entry_until(&self, ix: PairIx, now: Timestamp) -> Option<Timestamp> {
        self.entries.get(&ix)?.suppressed_until(now)
    }

    /// Until when a locator is no place to go to.
    pub(crate) fn locator_until(&self, ix: LinkIx, now: Timestamp) -> Option<Timestamp> {
        self.locators.get(&ix)?.suppressed_until(now)
    }
}

/// What has decayed to less than a point is forgotten, once there is much of it.
fn tidy<K: Ord>(flaps: &mut BTreeMap<K, Flap>, damp: &Damp, now: Timestamp) {
    if flaps.len() >= LONG && flaps.len().is_power_of_two() {
        flaps.retain(|_, flap| flap.penalty(damp, now) >= POINT);
    }
}

/// One penalty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flap {
    /// Millionths of a point at `at`.
    penalty: u64,
    at: Timestamp,
    /// Since the penalty was last nothing.
    flaps: u32,
    release_at: Option<Timestamp>,
}

impl Flap {
    /// One flap more.
    fn count(&mut self, damp: &Damp, now: Timestamp) {
        let left = self.penalty(damp, now);
        let held = self.suppressed_until(now).is_some();
        self.flaps = if left < POINT {
            1
        } else {
            self.flaps.saturating_add(1)
        };
        self.penalty = (left + u64::from(damp.penalty) * POINT).min(ceiling(damp));
        self.at = now;
        let suppress = held || self.penalty > u64::from(damp.suppress) * POINT;
        self.release_at = suppress.then(|| now + self.time_to_reuse(damp));
    }

    /// Millionths of a point.
    pub(crate) fn penalty(&self, damp: &Damp, now: Timestamp) -> u64 {
        decayed(self.penalty, now.since(self.at), damp.half_life)
    }

    pub(crate) fn suppressed_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.release_at.filter(|&at| now < at)
    }

    /// The penalty in points, and when it was so.
    pub(crate) fn last(&self) -> (f64, Timestamp) {
        (super::rounded(self.penalty as f64 / POINT as f64), self.at)
    }

    pub(crate) const fn flaps(&self) -> u32 {
        self.flaps
    }

    /// How long the penalty needs to come down to `reuse`.
    fn time_to_reuse(&self, damp: &Damp) -> Span {
        let reuse = u64::from(damp.reuse.max(1)) * POINT;
        if self.penalty <= reuse {
            return Span::ZERO;
        }
        let halvings = log2(self.penalty as f64 / reuse as f64);
        let micros = (halvings * damp.half_life.micros() as f64).ceil();
        Span(micros as u64).min(damp.max)
    }
}

/// RFC 2439 section 4.8.1: a penalty that takes the longest suppression to decay; none grows past it.
fn ceiling(damp: &Damp) -> u64 {
    let half_life = damp.half_life.micros().max(1);
    let (whole, part) = (damp.max.micros() / half_life, damp.max.micros() % half_life);
    let reuse = u64::from(damp.reuse.max(1)) * POINT;
    // 2^31 is enough for any reuse that fits 32 bits to stay below 2^63 parts after the least of shifts.
    let doubled = u32::try_from(whole)
        .ok()
        .filter(|whole| *whole < reuse.leading_zeros().saturating_sub(1))
        .map_or(u64::MAX / 4, |whole| reuse << whole);
    let grown = doubled as f64 / exp2_neg(part as f64 / half_life as f64);
    (grown as u64).min(u64::MAX / 4)
}

/// `value` after `age`, halved every `half_life`.
fn decayed(value: u64, age: Span, half_life: Span) -> u64 {
    let half_life = half_life.micros().max(1);
    let (whole, part) = (age.micros() / half_life, age.micros() % half_life);
    if whole >= 64 {
        return 0;
    }
    let part = exp2_neg(part as f64 / half_life as f64);
    ((value as f64 * part).round() as u64) >> whole
}

/// `2^-x` for `x` in 0 to 1 by its power series.
fn exp2_neg(x: f64) -> f64 {
    let y = -x * std::f64::consts::LN_2;
    (1..=20).rev().fold(1.0, |sum, k| 1.0 + sum * y / f64::from(k))
}

/// The binary logarithm of `ratio >= 1`, by `ln r = 2 artanh((r - 1) / (r + 1))`.
fn log2(mut ratio: f64) -> f64 {
    let mut whole = 0.0;
    while ratio >= 2.0 {
        ratio /= 2.0;
        whole += 1.0;
    }
    let y = (ratio - 1.0) / (ratio + 1.0);
    let series = (0..24)
        .rev()
        .fold(0.0, |sum, k| sum * y * y + 1.0 / f64::from(2 * k + 1));
    whole + 2.0 * y * series / std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: Timestamp = Timestamp(1_700_000_000_000_000);

    proptest! {
        #[test]
        fn a_foretold_release_is_exact_within_a_second(
            gaps in prop::collection::vec(0_u64..900, 1..40),
            half_life in 10_u64..1200,
            reuse in 100_u32..1500,
            above in 1_u32..4000,
            longest in 60_u64..7200,
        ) {
            let damp = Damp {
                half_life: Span::secs(half_life),
                penalty: 1000,
                suppress: reuse + above,
                reuse,
                max: Span::secs(longest),
            };
            let mut flap = Flap::default();
            let mut now = T0;
            // The model: the same penalty, stepped with the standard library's powers.
            let (mut model, mut held) = (0.0_f64, false);
            let ceiling = f64::from(reuse) * 2.0_f64.powf(longest as f64 / half_life as f64);
            let after = |penalty: f64, seconds: f64| penalty * 0.5_f64.powf(seconds / half_life as f64);
            for gap in gaps {
                now = now + Span::secs(gap);
                model = after(model, gap as f64);
                held = held && model > f64::from(reuse) * 1.000_001;
                prop_assert_eq!(held, flap.suppressed_until(now).is_some());
                flap.count(&damp, now);
                model = (model + 1000.0).min(ceiling);
                held = held || model > f64::from(damp.suppress) * 1.000_001;
                // Within a millionth of the threshold both are right.
                prop_assume!((model - f64::from(damp.suppress)).abs() > 0.01);
                prop_assume!((model - f64::from(reuse)).abs() > 0.01);
                let Some(release) = flap.suppressed_until(now) else {
                    prop_assert!(!held);
                    continue;
                };
                prop_assert!(held);
                let wait = release.since(now).as_secs_f64();
                prop_assert!(wait <= longest as f64 + 1e-6);
                prop_assert!(after(model, wait + 1.0) <= f64::from(reuse));
                prop_assert!(after(model, (wait - 1.0).max(0.0)) >= f64::from(reuse) || wait < 1.0);
            }
        }
    }

    #[test]
    fn four_quick_flaps_suppress_and_the_ledger_says_until_when() {
        let damp = Damp::default();
        let mut flaps = Flaps::default();
        for n in 0..4 {
            assert_eq!(flaps.entry_until(PairIx(0), T0 + Span::secs(n)), None);
            flaps.entry(PairIx(0), &damp, T0 + Span::secs(n));
        }
        let now = T0 + Span::secs(3);
        let until = flaps.entry_until(PairIx(0), now).unwrap();
        // 300 s times log2(3993 / 750).
        assert!((until.since(now).as_secs_f64() - 723.7).abs() < 1.0, "{until:?}");
        assert_eq!(flaps.entry_until(PairIx(0), until), None);
        assert_eq!(flaps.entry_until(PairIx(1), now), None, "others are not hurt");
    }

    #[test]
    fn a_penalty_never_suppresses_longer_than_the_longest() {
        let damp = Damp::default();
        let mut flap = Flap::default();
        for _ in 0..100_000 {
            flap.count(&damp, T0);
        }
        let until = flap.suppressed_until(T0).unwrap();
        assert!(until.since(T0) <= damp.max && until + Span::secs(1) >= T0 + damp.max);
        let sharp = Damp {
            half_life: Span::millis(1),
            ..damp
        };
        flap.count(&sharp, T0 + Span::secs(1));
        assert!(
            flap.suppressed_until(T0 + Span::secs(1))
                .is_none_or(|at| at <= T0 + Span::secs(3602))
        );
    }

    #[test]
    fn a_decayed_ledger_is_cleared() {
        let damp = Damp::default();
        let mut flaps = Flaps::default();
        for n in 0..LONG as u32 {
            flaps.locator(LinkIx(n), &damp, T0);
        }
        flaps.locator(LinkIx(u32::MAX), &damp, T0 + Span::secs(24 * 3600));
        assert_eq!(flaps.locators.len(), 1);
    }
}

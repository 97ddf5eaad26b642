//! What a move gains, and whether that is worth it.
//!
//! A gain is judged within one criterion, in integers of [`Measures`]: milliseconds are never held against percents.
//! Of those that are out of their bound, one that gains enough is enough; (5.1) has weighed them against each other
//! already.

use super::rounded;
use crate::config::Policy;
use crate::monitor::Limits;
use crate::optimizer::Class;
use crate::optimizer::criteria::{ALL, K, Measures, integer, is_time, shown};

/// The place of loss among the criteria.
const LOSS: usize = 2;

/// What a move gains in one criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gain {
    /// Which.
    pub(crate) k: usize,
    pub(crate) measured: u32,
    pub(crate) expected: u32,
    /// M^k.
    pub(crate) bound: u32,
}

impl Gain {
    /// Nothing is claimed.
    pub(crate) const NONE: Self = Self {
        k: 0,
        measured: 0,
        expected: 0,
        bound: 0,
    };

    /// Of two round trips, milliseconds.
    pub(crate) fn of_rtt(measured_ms: f64, expected_ms: f64) -> Self {
        Self {
            measured: integer(0, measured_ms),
            expected: integer(0, expected_ms),
            ..Self::NONE
        }
    }

    /// Of an entry by which nothing comes through.
    pub(crate) fn of_all_lost(class: &Class<K>, expected: &Measures) -> Self {
        Self {
            k: LOSS,
            measured: ALL,
            expected: expected[LOSS],
            bound: class.bound(LOSS),
        }
    }

    /// The gain that a move from `present` to `expected` is judged by: of the criteria that are out of their bound one
    /// that gains enough, and of those the one that weighs most.
    pub(crate) fn decisive(
        (class, limits): (&Class<K>, &Limits),
        (present, expected): (&Measures, &Measures),
        policy: &Policy,
    ) -> Self {
        let of = |k: usize| Self {
            k,
            measured: present[k],
            expected: expected[k],
            bound: class.bound(k),
        };
        let key = |gain: &Self| {
            let gravity = gravity((class, limits), gain.k, gain.measured);
            let enough = gravity > Gravity::Kept && gain.is_enough(policy);
            (gravity, enough, class.weighted(gain.k, gain.measured))
        };
        (0..K).rev().map(of).max_by_key(key).unwrap_or(Self::NONE)
    }

    /// In the criterion's unit.
    pub(crate) fn value(self) -> f64 {
        rounded(shown(self.k, self.measured) - shown(self.k, self.expected))
    }

    /// As a share of what is measured.
    pub(crate) fn share(self) -> f64 {
        match shown(self.k, self.measured) {
            measured if measured > 0.0 => rounded(self.value() / measured),
            _ => 0.0,
        }
    }

    /// The least that is worth a move: the share of what is measured, and of times the least gain as well. A figure
    /// of another kind is so small below its bound that a share of it would be nothing: there it is the bound's.
    pub(crate) fn least(self, policy: &Policy) -> u32 {
        let millionths = (policy.gain_min_share.clamp(0.0, 1.0) * f64::from(ALL)).round() as u64;
        let share = |of: u32| (u64::from(of) * millionths).div_ceil(u64::from(ALL)) as u32;
        if is_time(self.k) {
            share(self.measured).max(integer(self.k, policy.gain_min))
        } else {
            share(self.measured.max(self.bound))
        }
    }

    /// [`Self::least`] in the criterion's unit.
    pub(crate) fn least_shown(self, policy: &Policy) -> f64 {
        rounded(shown(self.k, self.least(policy)))
    }

    pub(crate) fn is_enough(self, policy: &Policy) -> bool {
        let gained = self.measured.saturating_sub(self.expected);
        gained > 0 && gained >= self.least(policy)
    }
}

/// How far a criterion is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gravity {
    Kept,
    /// Within its bound, and above where a broken level is kept again.
    Lingering,
    Out,
}

/// How far a figure of the k-th criterion is out, in this class.
pub(crate) fn gravity((class, limits): (&Class<K>, &Limits), k: usize, figure: u32) -> Gravity {
    if !class.counts(k) {
        Gravity::Kept
    } else if figure > class.bound(k) {
        Gravity::Out
    } else if limits.enter.get(k).is_some_and(|&enter| figure > enter) {
        Gravity::Lingering
    } else {
        Gravity::Kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::Span;

    use super::*;
    use crate::config::{Slots, shipped};
    use crate::optimizer::criteria::{CRITERIA, LINK, class_of};

    fn policy(gain_min: f64, gain_min_share: f64) -> Policy {
        Policy {
            proposal_ttl: Span::secs(60),
            cool_down: Span::secs(30),
            gain_min,
            gain_min_share,
            confirm_within: Span::secs(10),
            prove_within: Span::ZERO,
            down_after: 3,
            up_after: 3,
            stale_after: Span::secs(5),
            probe_timeout: Span::secs(2),
        }
    }

    fn gain(k: usize, measured: f64, expected: f64, bound: f64) -> Gain {
        Gain {
            k,
            measured: integer(k, measured),
            expected: integer(k, expected),
            bound: integer(k, bound),
        }
    }

    #[test]
    fn the_least_gain_is_milliseconds_of_times_and_a_share_of_everything() {
        let default = policy(5.0, 0.1);
        let cases = [
            // k, measured, expected, bound, enough
            (0, 120.0, 108.0, 100.0, true),
            (0, 120.0, 108.001, 100.0, false),
            (0, 20.0, 15.0, 10.0, true),
            (0, 20.0, 15.001, 10.0, false),
            (1, 40.0, 35.0, 30.0, true),
            (1, 40.0, 36.0, 30.0, false),
            // Loss and unavailability: a tenth, whatever the unit says.
            (2, 4.9, 0.0, 1.0, true),
            (2, 4.9, 4.41, 1.0, true),
            (2, 4.9, 4.42, 1.0, false),
            (3, 0.2, 0.18, 0.1, true),
            // Within the bound, a tenth of that.
            (2, 0.15, 0.0, 2.0, false),
            (2, 0.2, 0.0, 2.0, true),
            (7, 30.0, 27.0, 20.0, true),
            (7, 30.0, 27.5, 20.0, false),
            (2, 5.0, 5.0, 2.0, false),
        ];
        for (k, measured, expected, bound, enough) in cases {
            let found = gain(k, measured, expected, bound);
            assert_eq!(
                found.is_enough(&default),
                enough,
                "{:?}: {measured} to {expected}",
                CRITERIA[k]
            );
        }
        assert!(
            !gain(2, 5.0, 5.0, 2.0).is_enough(&policy(0.0, 0.0)),
            "no gain at all"
        );
    }

    proptest! {
        /// N4: whichever criterion decides, a gain of exactly the least is enough and one unit less is not.
        #[test]
        fn solving_again_at_the_margin_of_the_gain_flips_the_decision(
            present in prop::array::uniform4(0_u32..2_000_000),
            expected in prop::array::uniform4(0_u32..2_000_000),
            gain_min in 0.0..50.0_f64,
            share in 0.01..0.9_f64,
        ) {
            let sla = shipped("voice").unwrap();
            let class = class_of(&sla);
            let policy = policy(gain_min, share);
            let slots = Slots { decide: Span::secs(10), settle: Span::secs(5), probe: Span::secs(1) };
            let limits = Limits::of((slots, &policy), &sla, &class);
            let whole = |link: [u32; LINK]| std::array::from_fn(|k| link.get(k).copied().unwrap_or(0));
            let (present, mut expected): (Measures, Measures) = (whole(present), whole(expected));
            let decide = |expected: &Measures| Gain::decisive((&class, &limits), (&present, expected), &policy);
            let found = decide(&expected);
            prop_assume!(!found.is_enough(&policy) && found.least(&policy) <= found.measured);
            expected[found.k] = found.measured - found.least(&policy);
            let at = decide(&expected);
            prop_assert!(at.is_enough(&policy));
            prop_assert_eq!(at.k, found.k);
            expected[found.k] += 1;
            prop_assert!(!decide(&expected).is_enough(&policy));
        }
    }
}

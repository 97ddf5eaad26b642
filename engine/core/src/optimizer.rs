//! The per-user program of the thesis, section 5.2.2: (5.1)-(5.3).
//!
//! With one binary r_d a user and everything else fixed, the program is solved by looking at each data centre
//! once: `T^k = ceil(m^k / M^k)` is the least integer that satisfies (5.3), and the best data centre is the one
//! with the least `sum_k alpha_k T^k`. All is integer arithmetic, so that equal scores are equal and a replay
//! on another machine decides alike.

pub mod criteria;
pub mod group;
pub mod margin;
pub mod multipath;
pub mod placement;

use crate::config::OnViolation;

/// Millionths, for weights and scores.
const MICRO: f64 = 1e6;

/// Bounds M^k and weights alpha_k of one SLA class, K criteria in a fixed order.
#[derive(Clone, Debug, PartialEq)]
pub struct Class<const K: usize> {
    /// Millionths.
    alpha: [u64; K],
    bound: [u32; K],
    /// `2^64 / M`, rounded up: the high half of its product with a 32-bit number is that number divided by M,
    /// exactly (Lemire, Kaser, Kurz: Faster remainder by direct computation, 2019). A division would take ten
    /// times as long, and a float would round.
    reciprocal: [u64; K],
    /// What must not be exceeded; `u32::MAX` where a bound is soft.
    most: [u32; K],
}

impl<const K: usize> Class<K> {
    /// `alpha` in 0..=1; `bound` in the unit of the measurements (less than two units count as two).
    pub fn new(alpha: [f64; K], bound: [u32; K]) -> Self {
        let bound = bound.map(|m| m.max(2));
        Self {
            most: [u32::MAX; K],
            alpha: alpha.map(|a| (a.clamp(0.0, 1.0) * MICRO).round() as u64),
            reciprocal: bound.map(|m| u64::MAX / u64::from(m) + 1),
            bound,
        }
    }

    /// The same class with the bound of criterion `k` enforced: whoever exceeds it is no candidate. (5.3) alone
    /// only makes it dear.
    #[must_use]
    pub fn enforcing(mut self, k: usize) -> Self {
        self.most[k] = self.bound[k];
        self
    }

    /// Whether all enforced bounds are kept.
    pub fn allows(&self, measured: &[u32; K]) -> bool {
        // Counted to the end, so that the compiler takes several at once.
        let exceeded = measured
            .iter()
            .zip(&self.most)
            .filter(|(m, most)| m > most)
            .count();
        exceeded == 0
    }

    /// Whether all bounds are kept of criteria that weigh something or are enforced.
    pub fn keeps(&self, measured: &[u32; K]) -> bool {
        self.first_exceeded(measured).is_none()
    }

    /// The first criterion out of its bound, of those that weigh something or are enforced.
    pub fn first_exceeded(&self, measured: &[u32; K]) -> Option<usize> {
        (0..K).find(|&k| self.counts(k) && measured[k] > self.bound[k])
    }

    /// Whether criterion `k` weighs something or is enforced.
    pub fn counts(&self, k: usize) -> bool {
        self.alpha[k] > 0 || self.most[k] < u32::MAX
    }

    /// M^k.
    pub fn bound(&self, k: usize) -> u32 {
        self.bound[k]
    }

    /// T^k of (5.3): the least integer with `m <= M T`.
    pub fn penalty(&self, k: usize, measured: u32) -> u64 {
        let covered = high(self.reciprocal[k], u64::from(measured.saturating_sub(1)));
        covered + u64::from(measured > 0)
    }

    /// alpha_k T^k, millionths.
    pub fn weighted(&self, k: usize, measured: u32) -> u64 {
        self.alpha[k] * self.penalty(k, measured)
    }

    /// The objective (5.1) and its real-valued tie-break for one data centre.
    pub fn score(&self, measured: &[u32; K]) -> Score {
        Score {
            penalty: self.objective(measured),
            excess: self.excess(measured),
        }
    }

    /// `sum_k alpha_k T^k` (5.1), millionths.
    fn objective(&self, measured: &[u32; K]) -> u64 {
        measured
            .iter()
            .enumerate()
            .map(|(k, &m)| self.weighted(k, m))
            .sum()
    }

    /// `sum_k alpha_k max(0, m/M - 1)`, millionths.
    fn excess(&self, measured: &[u32; K]) -> u64 {
        let over = |(k, &m): (usize, &u32)| {
            high(
                self.reciprocal[k],
                self.alpha[k] * u64::from(m.saturating_sub(self.bound[k])),
            )
        };
        measured.iter().enumerate().map(over).sum()
    }
}

/// The high half of a product.
const fn high(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 64) as u64
}

/// How good an entry is; less is better. The order of the fields is the order of comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    /// `sum_k alpha_k T^k` (5.1), millionths.
    pub penalty: u64,
    /// `sum_k alpha_k max(0, m/M - 1)`, millionths: tells apart entries of equal penalty.
    pub excess: u64,
}

impl Score {
    /// The penalty as people read it.
    pub fn penalty_f64(self) -> f64 {
        self.penalty as f64 / MICRO
    }

    /// By how much, of its own level, `self` is better than `other`, 0 to 1. The level is 1 at the bounds and grows with
    /// the excess.
    pub fn better_than(self, other: Self) -> f64 {
        let level = |score: Self| MICRO + score.excess as f64;
        (1.0 - level(self) / level(other)).max(0.0)
    }
}

/// The best of `candidates`, and its score. `None` stands for a data centre without usable measurement: infeasible,
/// as one that exceeds an enforced bound is.
///
/// Ties go to the least excess, then to `present` (staying costs nothing), then to the least first criterion,
/// then to the first in order.
pub fn choose<const K: usize>(
    class: &Class<K>,
    candidates: &[Option<[u32; K]>],
    present: Option<usize>,
) -> Option<(usize, Score)> {
    let mut best: Option<(Score, bool, u32, usize)> = None;
    let mut least = u64::MAX;
    for (at, candidate) in candidates.iter().enumerate() {
        let Some(measured) = candidate else { continue };
        if !class.allows(measured) {
            continue;
        }
        let penalty = class.objective(measured);
        if penalty > least {
            continue;
        }
        least = penalty;
        let score = Score {
            penalty,
            excess: class.excess(measured),
        };
        let key = (
            score,
            present != Some(at),
            measured.first().copied().unwrap_or(0),
            at,
        );
        if best.is_none_or(|best| key < best) {
            best = Some(key);
        }
    }
    best.map(|(score, _, _, at)| (at, score))
}

/// What stands against leaving `present` for `chosen` where that does not keep all levels either; `Ok` if nothing.
///
/// # Errors
/// What the class says about it.
pub fn worth_leaving<const K: usize>(
    class: &Class<K>,
    (present, chosen): (&[u32; K], &[u32; K]),
    on_violation: OnViolation,
) -> Result<(), Unmoved> {
    if class.keeps(chosen) {
        return Ok(());
    }
    match on_violation {
        OnViolation::Hold => Err(Unmoved::Hold),
        OnViolation::Migrate => Ok(()),
        OnViolation::BestOfWorst(variance) => {
            let better = class.score(chosen).better_than(class.score(present));
            if better >= variance {
                Ok(())
            } else {
                Err(Unmoved::Variance { better, variance })
            }
        }
    }
}

/// Why a class keeps its users where they are although another entry scores better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unmoved {
    /// The other does not keep all levels, and the class moves only where they are kept.
    Hold,
    /// The other does not keep all levels and is not better by enough.
    Variance {
        /// By how much of the present level it is better, 0 to 1.
        better: f64,
        /// By how much it must be.
        variance: f64,
    },
}

/// All feasible candidates from best to worst, as a user's locators are to be sorted (section 5.2.2).
pub fn rank<const K: usize>(class: &Class<K>, candidates: &[Option<[u32; K]>]) -> Vec<usize> {
    let mut keys: Vec<_> = candidates
        .iter()
        .enumerate()
        .filter_map(|(at, candidate)| {
            candidate
                .as_ref()
                .filter(|m| class.allows(m))
                .map(|m| (class.score(m), m.first().copied().unwrap_or(0), at))
        })
        .collect();
    keys.sort_unstable();
    keys.into_iter().map(|(_, _, at)| at).collect()
}

#[cfg(test)]
mod tests;

//! The per-user program of the thesis, section 5.2.2: (5.1)-(5.3).
//!
//! With one binary r_d a user and everything else fixed, the program is solved by looking at each data centre
//! once: `T^k = ceil(m^k / M^k)` is the least integer that satisfies (5.3), and the best data centre is the one
//! with the least `sum_k alpha_k T^k`. All is integer arithmetic, so that equal scores are equal and a replay
//! on another machine decides alike.

pub mod group;

use crate::config::Sla;

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
}

impl<const K: usize> Class<K> {
    /// `alpha` in 0..=1; `bound` in the unit of the measurements (less than two units count as two).
    pub fn new(alpha: [f64; K], bound: [u32; K]) -> Self {
        let bound = bound.map(|m| m.max(2));
        Self {
            alpha: alpha.map(|a| (a.clamp(0.0, 1.0) * MICRO).round() as u64),
            reciprocal: bound.map(|m| u64::MAX / u64::from(m) + 1),
            bound,
        }
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

/// RTT and jitter in microseconds, loss in parts per million.
pub(crate) fn class_of(sla: &Sla) -> Class<3> {
    let unit = |value: f64, scale: f64| (value * scale).round().clamp(0.0, f64::from(u32::MAX)) as u32;
    Class::new(
        [sla.weights.rtt, sla.weights.jitter, sla.weights.loss],
        [
            unit(sla.rtt_ms, 1e3),
            unit(sla.jitter_ms, 1e3),
            unit(sla.loss_pct, 1e4),
        ],
    )
}

/// How good an entry is; less is better. The order of the fields is the order of comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
}

/// The best of `candidates`, and its score. `None` stands for a data centre without usable measurement: infeasible.
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

/// All feasible candidates from best to worst, as a user's locators are to be sorted (section 5.2.2).
pub fn rank<const K: usize>(class: &Class<K>, candidates: &[Option<[u32; K]>]) -> Vec<usize> {
    let mut keys: Vec<_> = candidates
        .iter()
        .enumerate()
        .filter_map(|(at, candidate)| {
            candidate
                .as_ref()
                .map(|m| (class.score(m), m.first().copied().unwrap_or(0), at))
        })
        .collect();
    keys.sort_unstable();
    keys.into_iter().map(|(_, _, at)| at).collect()
}

#[cfg(test)]
mod tests;

//! A bound from below: the Lagrangian of "everybody has one place" (5.5).
//!
//! For any price pi_j of serving a user of area j, no plan costs less than
//! `sum_j w_j pi_j - sum_d max_k g_d(k)`, where `g_d(k)` is the most that site d can earn with at most k users
//! who all see the load of k: the k best of `pi_j - max(0, lateness_jd + f_d(k))`. [`Market::quote`] finds the
//! maximum over all k exactly, in whole numbers, so the bound holds to the last unit.

use super::bundle::Bundle;
use super::offer::{Offer, Take};
use super::problem::{LEFT_OUT, Problem};

/// Prices are in fractions of a microsecond.
pub(super) const FINE: i64 = 256;

/// Prices, what they prove, and how they are improved.
#[derive(Debug)]
pub(super) struct Market {
    /// pi_j of the best bound so far.
    best: Vec<i64>,
    /// The bound, [`FINE`] fractions of a microsecond.
    bound: i64,
    /// The prices tried.
    at: Vec<f64>,
    bundle: Bundle,
    offer: Offer,
    takes: Vec<Take>,
}

impl Market {
    pub(super) fn new(problem: &Problem) -> Self {
        Self {
            best: Vec::new(),
            bound: i64::MIN,
            at: Vec::new(),
            bundle: Bundle::default(),
            offer: Offer::default(),
            takes: vec![Take::default(); problem.sites().len()],
        }
    }

    /// What is proven of the excess, whole microseconds.
    pub(super) fn bound_us(&self) -> i64 {
        if self.bound == i64::MIN {
            return 0;
        }
        // Costs are whole microseconds, so the bound may be rounded up.
        self.bound.div_euclid(FINE) + i64::from(self.bound.rem_euclid(FINE) > 0)
    }

    /// A plan in outline: whom each site would have, in part, by the shares of what was tried (see [`Bundle::outline`]).
    pub(super) fn outline(&self, draw: impl FnMut() -> Option<f64>) -> Vec<Vec<(u32, f64)>> {
        self.bundle.outline(draw)
    }

    /// What is proven no longer holds: the problem changed. The prices are kept as a start.
    pub(super) fn doubt(&mut self) {
        self.bound = i64::MIN;
        self.bundle = Bundle::default();
    }

    /// Tries the prices that slots at each column, `worth` microseconds, lead to.
    pub(super) fn try_worth(&mut self, problem: &Problem, delays: &[i32], worth: &[i64]) {
        let prices: Vec<f64> = (0..problem.areas().len())
            .map(|area| {
                let each = problem.row(area).iter().zip(delays).zip(worth);
                let price = each.map(|((late, delay), worth)| i64::from((late + delay).max(0)) + worth);
                (price.min().unwrap_or(0) * FINE) as f64
            })
            .collect();
        self.try_prices(problem, prices);
    }

    /// Tries the best prices known once more, for a problem that has changed.
    pub(super) fn try_best(&mut self, problem: &Problem) {
        let mut prices: Vec<f64> = self.best.iter().map(|&price| price as f64).collect();
        prices.resize(problem.areas().len(), 0.0);
        self.try_prices(problem, prices);
    }

    fn try_prices(&mut self, problem: &Problem, prices: Vec<f64>) {
        self.at = prices;
        self.quote(problem);
        let tried = self.prices();
        self.bundle.learn(&tried, &self.takes);
        let users = problem.areas().iter().map(|area| f64::from(area.users)).collect();
        self.bundle.start(&self.best, self.bound, users);
    }

    /// Tries the prices that all tried before lead to. Whether the bound rose.
    pub(super) fn step(&mut self, problem: &Problem, target: i64) -> bool {
        let target = target.saturating_mul(FINE) as f64;
        self.at = self.bundle.next(target);
        let prices = self.prices();
        let before = self.bound;
        let bound = self.quote(problem);
        self.bundle.told(&prices, bound);
        self.bundle.learn(&prices, &self.takes);
        self.bound > before
    }

    fn prices(&self) -> Vec<i64> {
        let most = i64::from(LEFT_OUT) * FINE;
        self.at
            .iter()
            .map(|&price| (price.round() as i64).clamp(0, most))
            .collect()
    }

    /// The bound at the present prices, exactly. Kept if it is the best.
    fn quote(&mut self, problem: &Problem) -> i64 {
        let prices = self.prices();
        self.offer.price(problem, &prices);
        let mut bound: i64 = prices
            .iter()
            .zip(problem.areas())
            .map(|(price, area)| price * i64::from(area.users))
            .sum();
        self.takes.resize_with(problem.sites().len(), Take::default);
        for (site, take) in self.takes.iter_mut().enumerate() {
            self.offer.best(problem, site, take);
            bound -= take.earned;
        }
        if bound > self.bound {
            self.bound = bound;
            self.best = prices;
        }
        bound
    }
}

//! A bound from below: the Lagrangian of "everybody has one place" (5.5).
//!
//! For any price pi_j of serving a user of area j, no plan costs less than
//! `sum_j w_j pi_j - sum_d max_k g_d(k)`, where `g_d(k)` is the most that site d can earn with at most k users
//! who all see the load of k: the k best of `pi_j - max(0, lateness_jd + f_d(k))`. [`Market::quote`] finds the
//! maximum over all k exactly, in whole numbers, so the bound holds to the last unit.

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
    at: Vec<f64>,
    /// The way prices went last.
    drift: Vec<f64>,
    stride: f64,
    idle: u32,
    offer: Offer,
    takes: Vec<Take>,
    /// Who earns each site most at the best bound.
    best_takes: Vec<Take>,
}

/// Steps without a better bound after which the stride is halved.
const PATIENCE: u32 = 6;
/// How much of the last step's direction is kept.
const MEMORY: f64 = 0.5;

impl Market {
    pub(super) fn new(problem: &Problem) -> Self {
        Self {
            best: Vec::new(),
            bound: i64::MIN,
            at: Vec::new(),
            drift: Vec::new(),
            stride: 1.0,
            idle: 0,
            offer: Offer::default(),
            takes: vec![Take::default(); problem.sites().len()],
            best_takes: Vec::new(),
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

    /// Users each site would choose for itself at the best prices: a sketch of a good plan.
    pub(super) fn sketch(&self) -> &[Take] {
        &self.best_takes
    }

    /// What is proven no longer holds: the problem changed. The prices are kept as a start.
    pub(super) fn doubt(&mut self) {
        self.bound = i64::MIN;
        self.stride = 0.1;
        self.idle = 0;
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
        if !self.quote(problem) {
            self.at = self.best.iter().map(|&price| price as f64).collect();
            self.takes.clone_from(&self.best_takes);
        }
        self.drift.clear();
    }

    /// One step of the subgradient method towards `target` (a plan's cost, microseconds), deflected, each price
    /// in proportion to how far its area is from being served once (Polyak's step). Whether the bound rose.
    pub(super) fn step(&mut self, problem: &Problem, target: i64) -> bool {
        if self.idle >= PATIENCE {
            self.idle = 0;
            self.stride = (self.stride * 0.6).max(1e-4);
            self.at = self.best.iter().map(|&price| price as f64).collect();
            self.takes.clone_from(&self.best_takes);
            self.drift.clear();
        }
        let areas = problem.areas();
        let mut served = vec![0_i64; areas.len()];
        for (area, users) in self.takes.iter().flat_map(|take| take.users.iter()) {
            served[*area as usize] += i64::from(*users);
        }
        self.drift.resize(areas.len(), 0.0);
        let mut norm = 0.0;
        for ((drift, area), served) in self.drift.iter_mut().zip(areas).zip(served) {
            let users = f64::from(area.users.max(1));
            let short = (f64::from(area.users) - served as f64) / users;
            *drift = short + MEMORY * *drift;
            norm += users * *drift * *drift;
        }
        if norm <= 0.0 {
            self.idle = PATIENCE;
            return false;
        }
        let apart = (target.saturating_mul(FINE) - self.bound.max(0)) as f64;
        let step = self.stride * apart.max(FINE as f64) / norm;
        for (price, drift) in self.at.iter_mut().zip(&self.drift) {
            *price += step * drift;
        }
        let rose = self.quote(problem);
        self.idle = if rose { 0 } else { self.idle + 1 };
        rose
    }

    /// The bound at the present prices, exactly. Keeps it if it is the best; whether it is.
    fn quote(&mut self, problem: &Problem) -> bool {
        let most = i64::from(LEFT_OUT) * FINE;
        let prices: Vec<i64> = self
            .at
            .iter()
            .map(|&price| (price.round() as i64).clamp(0, most))
            .collect();
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
        let rose = bound > self.bound;
        if rose {
            self.bound = bound;
            self.best_takes.clone_from(&self.takes);
            self.best = prices;
        }
        rose
    }
}

//! What is proven of all plans: branch and bound over the loads of single sites.
//!
//! Some sites earn most at one of two loads far apart, and no prices can choose between them. Then the plans are parted
//! by the load of such a site, and each part is priced by itself: the proof is the least of the parts' bounds.

use super::dual::{Branch, Exchange, FINE};
use super::problem::Problem;

/// Steps between two looks at a part, and the share of what is missing that they must have brought.
const PATIENCE: (u32, f64) = (10, 0.04);

/// Parts that together hold all plans.
#[derive(Debug)]
pub(super) struct Tree {
    exchange: Exchange,
    open: Vec<Branch>,
    /// The least bound of parts that hold nothing better than what was found, [`FINE`] fractions of a microsecond.
    closed: i64,
    /// The best prices of all plans together.
    root: Vec<i64>,
}

impl Tree {
    /// Nothing proven; sites are asked by so many threads.
    pub(super) fn new(problem: &Problem, threads: usize) -> Self {
        Self {
            exchange: Exchange::new(threads),
            open: vec![Branch::whole(problem)],
            closed: i64::MAX,
            root: Vec::new(),
        }
    }

    /// What is proven of the excess, whole microseconds.
    pub(super) fn bound_us(&self) -> i64 {
        let least = self.open.iter().map(Branch::bound).min();
        let bound = least.map_or(self.closed, |least| least.min(self.closed));
        if bound == i64::MIN {
            return 0;
        }
        // Costs are whole microseconds, so the bound may be rounded up.
        bound.div_euclid(FINE) + i64::from(bound.rem_euclid(FINE) > 0)
    }

    /// Whether all plans are in one part.
    pub(super) fn is_whole(&self) -> bool {
        self.open.len() == 1 && self.closed == i64::MAX
    }

    /// A plan in outline: whom each site would have, in part, by the shares of what was tried (see [`Bundle::outline`]).
    pub(super) fn outline(&self, draw: impl FnMut() -> Option<f64>) -> Vec<Vec<(u32, f64)>> {
        self.least()
            .map_or(Vec::new(), |at| self.open[at].bundle().outline(draw))
    }

    /// The load of each site that most speaks for, where least is proven.
    pub(super) fn levels(&self) -> Option<Vec<u32>> {
        self.least().map(|at| self.open[at].bundle().levels())
    }

    /// What is proven no longer holds: the problem changed. The prices are kept as a start.
    pub(super) fn doubt(&mut self, problem: &Problem) {
        self.open = vec![Branch::whole(problem)];
        self.closed = i64::MAX;
    }

    /// Tries the prices that slots at each column, `worth` microseconds, lead to, where least is proven.
    pub(super) fn try_worth(&mut self, problem: &Problem, delays: &[i32], worth: &[i64]) {
        let prices: Vec<f64> = (0..problem.areas().len())
            .map(|area| {
                let each = problem.row(area).iter().zip(delays).zip(worth);
                let price = each.map(|((late, delay), worth)| i64::from((late + delay).max(0)) + worth);
                (price.min().unwrap_or(0) * FINE) as f64
            })
            .collect();
        self.try_prices(problem, &prices);
    }

    /// Tries the best prices known once more, for a problem that has changed.
    pub(super) fn try_best(&mut self, problem: &Problem) {
        let mut prices: Vec<f64> = self.root.iter().map(|&price| price as f64).collect();
        prices.resize(problem.areas().len(), 0.0);
        self.try_prices(problem, &prices);
    }

    fn try_prices(&mut self, problem: &Problem, prices: &[f64]) {
        if let Some(at) = self.least() {
            self.open[at].try_prices(problem, &mut self.exchange, prices);
            self.remember();
        }
    }

    /// One step where least is proven: other prices, or its plans parted. `target` is what the best plan costs.
    pub(super) fn step(&mut self, problem: &Problem, target: i64) {
        let Some(at) = self.least() else { return };
        let branch = &mut self.open[at];
        branch.step(problem, &mut self.exchange, target);
        if branch.bound() >= target.saturating_mul(FINE) {
            self.close(at);
        } else if branch.stuck(target, PATIENCE)
            && let Some(parts) = branch.parts(problem, &mut self.exchange)
        {
            self.remember();
            self.open.swap_remove(at);
            for part in parts {
                self.open.push(part);
                if self.open[self.open.len() - 1].bound() >= target.saturating_mul(FINE) {
                    self.close(self.open.len() - 1);
                }
            }
        }
        self.remember();
    }

    fn close(&mut self, at: usize) {
        let branch = self.open.swap_remove(at);
        self.closed = self.closed.min(branch.bound());
    }

    fn remember(&mut self) {
        if let [whole] = &self.open[..]
            && self.closed == i64::MAX
        {
            self.root.clone_from(whole.best());
        }
    }

    fn least(&self) -> Option<usize> {
        (0..self.open.len()).min_by_key(|&at| self.open[at].bound())
    }
}

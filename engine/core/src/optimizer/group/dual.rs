//! A bound from below: the Lagrangian of "everybody has one place" (5.5).
//!
//! For any price pi_j of serving a user of area j, no plan costs less than
//! `sum_j w_j pi_j - sum_d max_k g_d(k)`, where `g_d(k)` is the most that site d can earn with at most k users
//! who all see the load of k: the k best of `pi_j - max(0, lateness_jd + f_d(k))`. [`Exchange::quote`] finds the
//! maximum over all k that the site may have exactly, in whole numbers, so the bound holds to the last unit.

use std::sync::{Mutex, PoisonError};

use super::bundle::{Bundle, Plane, Rows};
use super::offer::{Levels, Offer, Prices, Take};
use super::problem::{LEFT_OUT, Problem};

/// Prices are in fractions of a microsecond.
pub(super) const FINE: i64 = 256;
/// Fewer areas than this at all sites together are not worth a second thread.
const WORTH_THREADS: usize = 50_000;

/// Where sites say what they would take, several at a time.
#[derive(Debug)]
pub(super) struct Exchange {
    desks: Vec<Offer>,
    takes: Vec<Take>,
}

impl Exchange {
    /// With so many threads at most; what is quoted does not depend on them.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            desks: (0..threads.max(1)).map(|_| Offer::default()).collect(),
            takes: Vec::new(),
        }
    }

    /// The bound at `prices`, [`FINE`] fractions of a microsecond.
    fn quote(&mut self, problem: &Problem, prices: &[i64], levels: &[Levels]) -> i64 {
        self.takes.resize_with(problem.sites().len(), Take::default);
        let income = prices.iter().zip(problem.areas());
        let income: i64 = income.map(|(price, area)| price * i64::from(area.users)).sum();
        let prices = Prices::new(problem, prices);
        let work = problem.areas().len() * problem.sites().len();
        let desks = if work < WORTH_THREADS { 1 } else { self.desks.len() };
        let queue = Mutex::new(self.takes.iter_mut().zip(levels).enumerate());
        let serve = |desk: &mut Offer| {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((site, (take, &levels))) = next else {
                    return;
                };
                desk.best(problem, &prices, (site, levels), take);
            }
        };
        if let [own, others @ ..] = &mut self.desks[..desks] {
            std::thread::scope(|scope| {
                for desk in others {
                    scope.spawn(|| serve(desk));
                }
                serve(own);
            });
        }
        income - self.takes.iter().map(|take| take.earned).sum::<i64>()
    }
}

/// Part of all plans, those in which each site has one of its levels; prices, what they prove of these plans, and how
/// they are improved.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    levels: Vec<Levels>,
    /// pi_j of the best bound so far.
    best: Vec<i64>,
    /// The bound, [`FINE`] fractions of a microsecond.
    bound: i64,
    /// What each site earns at the best prices.
    earned: Vec<i64>,
    bundle: Bundle,
    /// Steps since the bound was looked at, and what it was then.
    steps: u32,
    mark: i64,
}

impl Branch {
    /// All plans.
    pub(super) fn whole(problem: &Problem) -> Self {
        let all = |site| Levels {
            least: 0,
            most: problem.room(site),
        };
        Self {
            levels: (0..problem.sites().len()).map(all).collect(),
            best: Vec::new(),
            bound: i64::MIN,
            earned: Vec::new(),
            bundle: Bundle::default(),
            steps: 0,
            mark: i64::MIN,
        }
    }

    /// What is proven of its plans.
    pub(super) fn bound(&self) -> i64 {
        self.bound
    }

    /// The prices that proved it.
    pub(super) fn best(&self) -> &Vec<i64> {
        &self.best
    }

    pub(super) fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Tries prices from elsewhere, [`FINE`] fractions of a microsecond.
    pub(super) fn try_prices(&mut self, problem: &Problem, exchange: &mut Exchange, prices: &[f64]) {
        let before = self.bound;
        self.quote(problem, exchange, &whole(prices));
        if self.bound > before {
            let users = problem.areas().iter().map(|area| f64::from(area.users)).collect();
            self.bundle
                .start(floats(&self.best), self.bound as f64, Rows::of_users(users));
        }
    }

    /// Tries the prices that all tried before lead to.
    pub(super) fn step(&mut self, problem: &Problem, exchange: &mut Exchange, target: i64) {
        let target = target.saturating_mul(FINE) as f64;
        let prices = whole(&self.bundle.next(target));
        let bound = self.quote(problem, exchange, &prices);
        self.bundle.told(floats(&prices), bound as f64);
        self.steps += 1;
    }

    /// Whether the last `steps` of prices raised the bound by less than `share` of what is missing of `target`.
    pub(super) fn stuck(&mut self, target: i64, (steps, share): (u32, f64)) -> bool {
        if self.steps < steps {
            return false;
        }
        let gain = self.bound.saturating_sub(self.mark) as f64;
        let missing = target.saturating_mul(FINE).saturating_sub(self.bound) as f64;
        (self.steps, self.mark) = (0, self.bound);
        gain < share * missing
    }

    /// Its plans in two parts, by the load of the site that prices do least for; `None` if that is no help.
    pub(super) fn parts(&self, problem: &Problem, exchange: &mut Exchange) -> Option<[Self; 2]> {
        let (site, split) = self.bundle.torn(problem).or_else(|| self.open())?;
        let Levels { least, most } = self.levels[site];
        let low = Levels { least, most: split };
        let high = Levels {
            least: split + 1,
            most,
        };
        let prices = Prices::new(problem, &self.best);
        Some([low, high].map(|levels| {
            let mut take = Take::default();
            exchange.desks[0].best(problem, &prices, (site, levels), &mut take);
            let mut part = self.clone();
            part.levels[site] = levels;
            part.bound += part.earned[site] - take.earned;
            part.earned[site] = take.earned;
            part.bundle.restrict((site, levels), plane(&self.best, &take));
            part.bundle.raise(part.bound as f64);
            part.bound = part.bound.max(part.without_prices(problem));
            (part.steps, part.mark) = (0, part.bound);
            part
        }))
    }

    /// The site with most loads to choose from, and its present load as the end of a part.
    fn open(&self) -> Option<(usize, u32)> {
        let range = |site: &usize| self.levels[*site].most - self.levels[*site].least;
        let site = (0..self.levels.len())
            .max_by_key(range)
            .filter(|site| range(site) > 0)?;
        let Levels { least, most } = self.levels[site];
        let now = *self.bundle.levels().get(site)?;
        Some((
            site,
            if now > least { now - 1 } else { now }.clamp(least, most - 1),
        ))
    }

    /// What room and loads alone prove.
    fn without_prices(&self, problem: &Problem) -> i64 {
        let users = problem.users().cast_signed();
        let most: i64 = self.levels.iter().map(|levels| i64::from(levels.most)).sum();
        let least: i64 = self.levels.iter().map(|levels| i64::from(levels.least)).sum();
        if least > users {
            // There are no such plans.
            return i64::MAX;
        }
        (users - most).max(0) * i64::from(LEFT_OUT) * FINE
    }

    fn quote(&mut self, problem: &Problem, exchange: &mut Exchange, prices: &[i64]) -> i64 {
        let bound = exchange.quote(problem, prices, &self.levels);
        self.bundle
            .learn(exchange.takes.iter().map(|take| plane(prices, take)));
        if bound > self.bound {
            self.bound = bound;
            self.best = prices.to_vec();
            self.earned = exchange.takes.iter().map(|take| take.earned).collect();
        }
        bound
    }
}

/// What a site takes at `prices`.
fn plane(prices: &[i64], take: &Take) -> Plane {
    let income = |&(area, users): &(u32, u32)| prices[area as usize] * i64::from(users);
    Plane {
        // Users are few enough to be exact.
        terms: take
            .users
            .iter()
            .map(|&(area, users)| (area, users as f32))
            .collect(),
        level: take.level,
        cost: (take.users.iter().map(income).sum::<i64>() - take.earned) as f64,
    }
}

fn floats(prices: &[i64]) -> Vec<f64> {
    prices.iter().map(|&price| price as f64).collect()
}

fn whole(prices: &[f64]) -> Vec<i64> {
    let most = i64::from(LEFT_OUT) * FINE;
    prices
        .iter()
        .map(|&price| (price.round() as i64).clamp(0, most))
        .collect()
}

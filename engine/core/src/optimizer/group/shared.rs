//! Several paths for each of many users: (6.1)-(6.2) beside (5.4)-(5.9), with shares in place of places.
//!
//! What T_u is defined on is a [`Reading`]. By the worst path used, a user pays for each of his paths at least what that
//! path costs alone; and at fixed whole loads to place users one path each is a transportation problem, whose best plan
//! needs no fractions. So a plan of single paths is a plan of [`Reading::Worst`] that only loads between two whole
//! numbers could better, and those are in the bound. By the averaged latency a path in time makes up for one that is
//! late: areas pool what they have (T_u is convex, so users of one area do best with the same shares), and late areas swap
//! shares with areas that have time to spare, until no swap helps. Where everybody is late on all paths, the sum is linear
//! in shares, and again nothing is gained.
//!
//! The bound is a Lagrangian once more. A load between m - 1 and m users is at least as slow as m - 1 of them, and takes
//! m at most: sites choose m at that delay. For averages, T_u >= its latency gets a multiplier of 0 to 1 an area.

use super::dual::FINE;
use super::placement::Placement;
use super::problem::{LEFT_OUT, Problem};
use super::solver::Solver;
use crate::optimizer::multipath::{Reading, weights};

/// Shares are in hundredths of a user, as weights of locators are.
pub const HUNDRED: u32 = 100;
/// Steps of prices of single paths before multipliers, about.
const QUESTIONS: u32 = 150;
/// Steps of multipliers at most.
const STEPS: u32 = 300;
/// Steps without a better bound before they get shorter.
const PATIENCE: u32 = 6;
/// Lateness that moves a multiplier as much as one user too many moves a price, microseconds.
const TYPICAL: f64 = 10_000.0;

/// A plan of shares and its proof.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    /// Hundredths of users by area and site: a row an area, a column a site.
    pub hundredths: Vec<u32>,
    /// F = sum T_u under the reading.
    pub objective: f64,
    /// No shares have a lesser F.
    pub lower_bound: f64,
    /// (F - bound) / F.
    pub gap: f64,
    /// F less the users, in hundredths of a microsecond.
    pub excess_hundredths: u64,
    /// The excess that no shares can avoid, microseconds, rounded down.
    pub excess_bound_us: u64,
}

impl Shares {
    /// The weights of the sites as locators of an area's users: whole per cents that sum to 100. Of averages only: by the
    /// worst path each user has one site, and a row says how many have which.
    pub fn weights(&self, problem: &Problem, area: usize) -> Vec<u8> {
        let columns = problem.sites().len();
        let row = self.hundredths.chunks_exact(columns).nth(area);
        row.map_or(Vec::new(), weights)
    }
}

/// The best shares found from the solver's plan, and a bound under the reading, until `stop`. `None` if the plan leaves
/// somebody out.
pub fn share(solver: &Solver, reading: Reading, stop: &mut dyn FnMut() -> bool) -> Option<Shares> {
    let problem = solver.problem();
    let plan = solver.plan();
    if !plan.left_out.is_empty() {
        return None;
    }
    let (hundredths, excess, bound) = match reading {
        Reading::Worst => {
            let hundredths: Vec<u32> = plan.counts.iter().map(|&users| users * HUNDRED).collect();
            let excess = plan.excess_us.cast_signed() * i64::from(HUNDRED);
            let mut lighter = solver.lighter();
            lighter.prove(0.0, stop);
            // Costs of shares need not be whole microseconds, to which the bound was rounded up.
            (hundredths, excess, lighter.bound_us() - 1)
        }
        Reading::Averaged => {
            let mut pool = Pool::new(problem, &plan.counts);
            pool.swap_all(stop);
            let excess = pool.excess();
            let mut lighter = solver.lighter();
            let mut asked = 0;
            lighter.prove(0.0, &mut || {
                asked += 1;
                asked == QUESTIONS || stop()
            });
            let mut multipliers = Multipliers::new(&pool, lighter.prices());
            let bound = multipliers.climb(excess / i64::from(HUNDRED), stop);
            (
                pool.shares.iter().map(|&share| share as u32).collect(),
                excess,
                bound,
            )
        }
    };
    let bound = bound.clamp(0, excess / i64::from(HUNDRED));
    let unit = f64::from(problem.bound_us());
    let users = problem.users() as f64;
    let objective = users + excess as f64 / f64::from(HUNDRED) / unit;
    let lower_bound = users + bound as f64 / unit;
    Some(Shares {
        hundredths,
        objective,
        lower_bound,
        gap: (objective - lower_bound) / objective.max(1.0),
        excess_hundredths: excess as u64,
        excess_bound_us: bound as u64,
    })
}

/// Shares at fixed loads.
struct Pool<'a> {
    problem: &'a Problem,
    /// f_d of the loads.
    delays: Vec<i64>,
    /// Hundredths of users.
    shares: Vec<i64>,
    /// The sum of lateness over an area's shares, hundredths of a microsecond; below 0 is time to spare.
    late: Vec<i64>,
}

/// Area and another area exchange hundredths of users: the first from `from` to `to`.
struct Swap {
    with: usize,
    from: usize,
    to: usize,
    hundredths: i64,
}

impl<'a> Pool<'a> {
    fn new(problem: &'a Problem, counts: &[u32]) -> Self {
        let columns = problem.sites().len();
        let load = |site: usize| counts.iter().skip(site).step_by(columns).sum();
        let mut pool = Self {
            problem,
            delays: (0..columns)
                .map(|site| i64::from(problem.delay(site, load(site))))
                .collect(),
            shares: counts.iter().map(|&users| i64::from(users * HUNDRED)).collect(),
            late: Vec::new(),
        };
        pool.late = (0..problem.areas().len())
            .map(|area| pool.late_of(area))
            .collect();
        pool
    }

    /// l + f - L; `None` if the area cannot use the site.
    fn each(&self, area: usize, site: usize) -> Option<i64> {
        let late = self.problem.late(area, site);
        (late < LEFT_OUT).then(|| i64::from(late) + self.delays[site])
    }

    fn late_of(&self, area: usize) -> i64 {
        let columns = self.delays.len();
        let held = (0..columns).filter(|site| self.shares[area * columns + site] > 0);
        held.map(|site| self.shares[area * columns + site] * self.each(area, site).unwrap_or(0))
            .sum()
    }

    fn excess(&self) -> i64 {
        self.late.iter().map(|&late| late.max(0)).sum()
    }

    /// Swaps until none helps.
    fn swap_all(&mut self, stop: &mut dyn FnMut() -> bool) {
        let columns = self.delays.len();
        loop {
            let mut helped = false;
            let mut holders: Vec<Vec<usize>> = vec![Vec::new(); columns];
            for area in (0..self.late.len()).filter(|&area| self.late[area] < 0) {
                for (site, holders) in holders.iter_mut().enumerate() {
                    if self.shares[area * columns + site] > 0 {
                        holders.push(area);
                    }
                }
            }
            for area in 0..self.late.len() {
                while self.late[area] > 0 && !stop() {
                    let Some(swap) = self.best_swap(area, &holders) else {
                        break;
                    };
                    self.swap(area, &swap);
                    helped = true;
                }
            }
            if !helped {
                return;
            }
        }
    }

    /// What spends least time of others for the time it saves.
    fn best_swap(&self, area: usize, holders: &[Vec<usize>]) -> Option<Swap> {
        let columns = self.delays.len();
        let share = |area: usize, site: usize| self.shares[area * columns + site];
        let mut best: Option<(i64, i64, Swap)> = None;
        for from in (0..columns).filter(|&site| share(area, site) > 0) {
            let here = self.each(area, from)?;
            for (to, holders) in holders.iter().enumerate() {
                let Some(gain) = self
                    .each(area, to)
                    .map(|there| here - there)
                    .filter(|&gain| gain > 0)
                else {
                    continue;
                };
                for &with in holders
                    .iter()
                    .filter(|&&with| share(with, to) > 0 && self.late[with] < 0)
                {
                    let (Some(back), Some(now)) = (self.each(with, from), self.each(with, to)) else {
                        continue;
                    };
                    let cost = (back - now).max(0);
                    let afford = if cost > 0 {
                        -self.late[with] / cost
                    } else {
                        i64::MAX
                    };
                    let needed = (self.late[area] + gain - 1) / gain;
                    let hundredths = share(area, from).min(share(with, to)).min(needed).min(afford);
                    if hundredths > 0 && best.as_ref().is_none_or(|best| cost * best.1 < best.0 * gain) {
                        best = Some((
                            cost,
                            gain,
                            Swap {
                                with,
                                from,
                                to,
                                hundredths,
                            },
                        ));
                    }
                }
            }
        }
        best.map(|best| best.2)
    }

    fn swap(&mut self, area: usize, swap: &Swap) {
        let columns = self.delays.len();
        for (who, from, to) in [(area, swap.from, swap.to), (swap.with, swap.to, swap.from)] {
            self.shares[who * columns + from] -= swap.hundredths;
            self.shares[who * columns + to] += swap.hundredths;
            self.late[who] = self.late_of(who);
        }
    }
}

/// Prices of users, and how much of its lateness an area pays for.
struct Multipliers<'a> {
    problem: &'a Problem,
    /// Microseconds.
    prices: Vec<f64>,
    /// 0 to 1.
    paid: Vec<f64>,
    /// Areas by what they earn: value, users, area.
    worth: Vec<(i64, i64, u32)>,
}

/// What multipliers prove, and where they are wrong.
struct Quote {
    /// [`FINE`] fractions of a microsecond.
    bound: i64,
    /// Users of each area beyond those that sites take.
    short: Vec<f64>,
    /// The sum of lateness of those taken, microseconds.
    late: Vec<f64>,
}

impl<'a> Multipliers<'a> {
    fn new(pool: &Pool<'a>, prices: &[i64]) -> Self {
        let paid = |&late: &i64| match late.signum() {
            1 => 1.0,
            0 => 0.5,
            _ => 0.0,
        };
        let paid: Vec<f64> = pool.late.iter().map(paid).collect();
        let mut start: Vec<f64> = prices.iter().map(|&price| price as f64 / FINE as f64).collect();
        start.resize(paid.len(), 0.0);
        Self {
            problem: pool.problem,
            prices: start,
            paid,
            worth: Vec::new(),
        }
    }

    /// The best bound found, microseconds, rounded down.
    fn climb(&mut self, target: i64, stop: &mut dyn FnMut() -> bool) -> i64 {
        let mut best = 0;
        let (mut length, mut fruitless) = (1.0, 0);
        for _ in 0..STEPS {
            if best >= target.saturating_mul(FINE) || stop() {
                break;
            }
            let quote = self.quote();
            if quote.bound > best {
                best = quote.bound;
                fruitless = 0;
            } else {
                fruitless += 1;
                if fruitless == PATIENCE {
                    (length, fruitless) = (length * 0.5, 0);
                }
            }
            self.step(&quote, target, length);
        }
        best.div_euclid(FINE)
    }

    /// Polyak's step towards `target`, each multiplier in proportion to its area's users.
    fn step(&mut self, quote: &Quote, target: i64, length: f64) {
        let missing = (target * FINE - quote.bound) as f64 / FINE as f64;
        let scale = |area: usize| 1.0 / f64::from(self.problem.areas()[area].users.max(1));
        let slope = |area: usize| {
            let late = quote.late[area] / TYPICAL;
            (quote.short[area] * quote.short[area] + late * late) * scale(area)
        };
        let slopes: f64 = (0..self.prices.len()).map(slope).sum();
        if slopes <= 0.0 {
            return;
        }
        let reach = length * missing / slopes;
        for area in 0..self.prices.len() {
            let far = reach * scale(area);
            self.prices[area] = (self.prices[area] + far * quote.short[area]).clamp(0.0, f64::from(LEFT_OUT));
            let paid = self.paid[area] + far * quote.late[area] / (TYPICAL * TYPICAL);
            self.paid[area] = paid.clamp(0.0, 1.0);
        }
    }

    fn quote(&mut self) -> Quote {
        let areas = self.problem.areas();
        let prices: Vec<i64> = self
            .prices
            .iter()
            .map(|price| (price * FINE as f64) as i64)
            .collect();
        let paid: Vec<i64> = self.paid.iter().map(|paid| (paid * FINE as f64) as i64).collect();
        let income = prices
            .iter()
            .zip(areas)
            .map(|(price, area)| price * i64::from(area.users));
        let mut quote = Quote {
            bound: income.sum(),
            short: areas.iter().map(|area| f64::from(area.users)).collect(),
            late: vec![0.0; areas.len()],
        };
        for site in 0..self.problem.sites().len() {
            let (earned, level) = self.best(site, &prices, &paid);
            quote.bound -= earned;
            if level > 0 {
                let delay = self.problem.delay(site, level - 1);
                self.top(site, (level, delay), &prices, &paid);
                let mut left = i64::from(level);
                for &(_, users, area) in &self.worth {
                    let users = users.min(left) as f64;
                    left -= users as i64;
                    quote.short[area as usize] -= users;
                    let late = self.problem.late(area as usize, site) + delay;
                    quote.late[area as usize] += users * f64::from(late);
                }
            }
        }
        quote
    }

    /// The most that the site earns over all loads, and the load: halves of loads are given up where even the best of
    /// the most users at the least delay earn no more.
    fn best(&mut self, site: usize, prices: &[i64], paid: &[i64]) -> (i64, u32) {
        let room = self.problem.room(site).min(self.problem.users() as u32);
        let mut best = (0, 0);
        let mut open = vec![(1, room)];
        while let Some((least, most)) = open.pop() {
            if least > most {
                continue;
            }
            let delay = self.problem.delay(site, least - 1);
            let upper = self.top(site, (most, delay), prices, paid);
            if upper <= best.0 {
                continue;
            }
            if least == most {
                best = (upper, least);
            } else {
                let middle = u32::midpoint(least, most);
                open.extend([(least, middle), (middle + 1, most)]);
            }
        }
        best
    }

    /// What the best `level` users earn at a delay; `worth` then holds all who earn anything, the best first.
    fn top(&mut self, site: usize, (level, delay): (u32, i32), prices: &[i64], paid: &[i64]) -> i64 {
        self.worth.clear();
        let each = prices
            .iter()
            .zip(paid)
            .zip(self.problem.column(site))
            .zip(self.problem.areas());
        for (area, (((price, paid), &late), of)) in (0..).zip(each) {
            let value = price - paid * i64::from(late + delay);
            if late < LEFT_OUT && value > 0 && of.users > 0 {
                self.worth.push((value, i64::from(of.users), area));
            }
        }
        self.worth.sort_unstable_by(|a, b| b.cmp(a));
        let mut left = i64::from(level);
        let mut earned = 0;
        for &(value, users, _) in &self.worth {
            let users = users.min(left);
            earned += value * users;
            left -= users;
            if left == 0 {
                break;
            }
        }
        earned
    }
}

impl Solver {
    /// The same plan where sites are as fast as with one user less.
    fn lighter(&self) -> Self {
        let lighter = self.problem().lighter();
        let placement = Placement::like(&lighter, self.counts());
        Self::of(lighter, placement)
    }
}

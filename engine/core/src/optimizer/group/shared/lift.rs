//! The bound of averages: multipliers of users' places and of their lateness, raised by a proximal bundle.

use crate::optimizer::group::bundle::{Bundle, Rows};
use crate::optimizer::group::problem::{LEFT_OUT, Problem};

use super::stall::{PART, Paid, SMALL, Stall, TYPICAL};

/// The dearest price of a user, microseconds: more than one more user at any site costs everybody.
const DEAREST: i64 = (LEFT_OUT / 4) as i64;
/// Sites are asked until all together are known to so small a part of what is missing, or of F.
const MISSED: i128 = 1024;
const OF_F: i128 = 1_000_000;

/// The multipliers known to be best, and what they prove.
pub(super) struct Lift<'a> {
    problem: &'a Problem,
    stalls: Vec<Stall>,
    bundle: Bundle,
    best: Paid,
    /// [`SMALL`] fractions of a [`PART`] of a microsecond.
    bound: i128,
}

impl<'a> Lift<'a> {
    /// Begins where one more user at each site would be worth `worth` microseconds at `delays`.
    pub(super) fn new(problem: &'a Problem, delays: &[i32], worth: &[i64]) -> Self {
        let areas = problem.areas().len();
        let users: Vec<f64> = problem.areas().iter().map(|area| f64::from(area.users)).collect();
        let mut lift = Self {
            problem,
            stalls: vec![Stall::default(); problem.sites().len()],
            bundle: Bundle::default(),
            best: at_slots(problem, delays, worth),
            bound: 0,
        };
        let start = lift.best.clone();
        let bound = lift.quote(&start, 0);
        lift.bound = bound.max(0);
        let most = |most: i64| std::iter::repeat_n(most as f64, areas);
        let rows = Rows {
            need: users
                .iter()
                .copied()
                .chain(std::iter::repeat_n(0.0, areas))
                .collect(),
            weight: users.repeat(2),
            most: most(DEAREST * PART)
                .chain(most(PART).map(|most| most * TYPICAL))
                .collect(),
        };
        lift.bundle
            .start(values(&start), bound as f64 / SMALL as f64, rows);
        lift
    }

    /// What is proven of the excess, microseconds, rounded down.
    pub(super) fn bound_us(&self) -> i64 {
        (self.bound / (SMALL * i128::from(PART))) as i64
    }

    /// The best multipliers.
    pub(super) fn best(&self) -> &Paid {
        &self.best
    }

    /// What sites take by the shares of the bundle, users by area.
    pub(super) fn outline(&self) -> Vec<Vec<(u32, f64)>> {
        let areas = self.problem.areas().len() as u32;
        let mut mean = self.bundle.mean();
        for site in &mut mean {
            site.retain(|&(row, _)| row < areas);
        }
        mean
    }

    /// Tries the multipliers that all tried before lead to. `target` is what the best shares known cost, in hundredths
    /// of a microsecond for hundredths of a user.
    pub(super) fn step(&mut self, target: i64) {
        let target = i128::from(target) * i128::from(PART);
        let paid = paid(&self.bundle.next((target / SMALL) as f64));
        let bound = self.quote(&paid, target);
        self.bundle.told(values(&paid), bound as f64 / SMALL as f64);
        if bound > self.bound {
            (self.bound, self.best) = (bound, paid);
        }
    }

    fn quote(&mut self, paid: &Paid, target: i128) -> i128 {
        let problem = self.problem;
        let sites = self.stalls.len().max(1) as i128;
        let of_f = i128::from(problem.users()) * i128::from(problem.bound_us()) * SMALL * i128::from(PART);
        let slack = ((target - self.bound) / MISSED).max(of_f / OF_F) / sites;
        let income = paid.price.iter().zip(problem.areas());
        let income: i128 = income
            .map(|(&price, area)| i128::from(price) * i128::from(area.users))
            .sum();
        let mut bound = income * SMALL;
        let mut planes = Vec::with_capacity(self.stalls.len());
        for (site, stall) in self.stalls.iter_mut().enumerate() {
            bound -= stall.ask(problem, paid, site, slack);
            planes.push(stall.plane(problem, site));
        }
        self.bundle.learn(planes.into_iter());
        bound
    }
}

fn values(paid: &Paid) -> Vec<f64> {
    let late = paid.late.iter().map(|&late| late as f64 * TYPICAL);
    paid.price.iter().map(|&price| price as f64).chain(late).collect()
}

fn paid(values: &[f64]) -> Paid {
    let (price, late) = values.split_at(values.len() / 2);
    let whole = |value: f64, most: i64| (value.round() as i64).clamp(0, most);
    Paid {
        price: price.iter().map(|&price| whole(price, DEAREST * PART)).collect(),
        late: late.iter().map(|&late| whole(late / TYPICAL, PART)).collect(),
    }
}

/// What areas pay if one more user at each site is worth `worth` beside his own lateness there: the dearest that any
/// part of lateness makes the cheapest site.
pub(super) fn at_slots(problem: &Problem, delays: &[i32], worth: &[i64]) -> Paid {
    let mut paid = Paid::default();
    for area in 0..problem.areas().len() {
        let open = problem.row(area).iter().zip(delays).zip(worth);
        let lines: Vec<(f64, f64)> = open
            .filter(|((late, _), _)| **late < LEFT_OUT)
            .map(|((late, delay), worth)| (f64::from(late + delay), *worth as f64))
            .collect();
        let (part, price) = dearest(&lines);
        let most = (DEAREST * PART) as f64;
        paid.price.push((price * PART as f64).clamp(0.0, most) as i64);
        paid.late.push((part * PART as f64).round() as i64);
    }
    paid
}

/// Where in 0 to 1 the least of the lines (slope, value at 0) is greatest, and how great.
fn dearest(lines: &[(f64, f64)]) -> (f64, f64) {
    let least = |at: f64, side: f64| {
        let key = |line: &(f64, f64)| (line.0 * at + line.1, line.0 * side);
        lines
            .iter()
            .copied()
            .min_by(|a, b| key(a).0.total_cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1)))
    };
    let (Some(mut left), Some(mut right)) = (least(0.0, 1.0), least(1.0, -1.0)) else {
        return (0.0, 0.0);
    };
    if left.0 <= 0.0 {
        return (0.0, left.1);
    }
    if right.0 >= 0.0 {
        return (1.0, right.0 + right.1);
    }
    loop {
        let at = (right.1 - left.1) / (left.0 - right.0);
        let here = left.0 * at + left.1;
        match least(at, 1.0) {
            Some(lower) if lower.0 * at + lower.1 < here - 1e-6 => {
                if lower.0 > 0.0 {
                    left = lower;
                } else {
                    right = lower;
                }
            }
            _ => return (at.clamp(0.0, 1.0), here),
        }
    }
}

//! One site's best choice at given prices, over every number of users it might take.
//!
//! Going from k to k + 1 users, the load's latency rises and the least earning taken falls. An area earns
//! `pi` while it is in time, `pi - lateness - f` when late; in time it can only become late. So two lists, one by
//! pi and one by pi - lateness, with a mark for how far each is taken, follow the best choice with few steps.

use super::dual::FINE;
use super::problem::Problem;

/// Users that a site may have: its load is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) least: u32,
    pub(super) most: u32,
}

impl Levels {
    pub(super) fn have(self, level: u32) -> bool {
        (self.least..=self.most).contains(&level)
    }
}

/// What a site earns and whom it takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Take {
    /// [`FINE`] fractions of a microsecond.
    pub(super) earned: i64,
    /// Users at most, all of whom see the load of so many.
    pub(super) level: u32,
    /// Area, users.
    pub(super) users: Vec<(u32, u32)>,
}

/// What serving a user of each area earns.
#[derive(Debug, Default)]
pub(super) struct Prices {
    /// [`FINE`] fractions of a microsecond.
    each: Vec<i64>,
    /// Areas by price, the dearest first.
    order: Vec<u32>,
}

/// Room to work in.
#[derive(Debug, Default)]
pub(super) struct Offer {
    wanted: Vec<Wanted>,
    in_time: Line,
    late: Line,
    /// By lateness, the latest first: lateness, place in both lines.
    turning: Vec<(i32, u32, u32)>,
    keys: Vec<(i64, u32)>,
}

/// An area that the site could earn from.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    area: u32,
    users: i64,
    price: i64,
    late: i32,
}

/// Areas in falling order of a value; those `present`, of which those before `mark` are taken.
#[derive(Debug, Default)]
struct Line {
    values: Vec<i64>,
    users: Vec<i64>,
    present: Vec<u64>,
    mark: usize,
    /// Of those taken.
    taken: i64,
    value: i64,
}

impl Prices {
    /// Prices, [`FINE`] fractions of a microsecond.
    pub(super) fn new(problem: &Problem, prices: &[i64]) -> Self {
        let areas = problem.areas();
        let worthy = |&area: &u32| prices[area as usize] > 0 && areas[area as usize].users > 0;
        let mut order: Vec<u32> = (0..areas.len() as u32).filter(worthy).collect();
        order.sort_unstable_by_key(|&area| std::cmp::Reverse(prices[area as usize]));
        Self {
            each: prices.to_vec(),
            order,
        }
    }
}

impl Offer {
    /// The best choice of `site` at one of `levels`.
    pub(super) fn best(
        &mut self,
        problem: &Problem,
        prices: &Prices,
        (site, levels): (usize, Levels),
        take: &mut Take,
    ) {
        take.earned = 0;
        take.level = levels.least;
        take.users.clear();
        let delays = problem.delays(site);
        let first = levels.least.max(1) as usize;
        let Some(&least_delay) = delays.get(first) else {
            return;
        };
        if !self.line_up(problem, prices, site, least_delay) {
            return;
        }
        let mut best = (0, 0, 0);
        let within = (levels.most as usize + 1).saturating_sub(first);
        for (k, &delay) in (0_i64..).zip(delays).skip(first).take(within) {
            self.turn(delay);
            let delay = i64::from(delay) * FINE;
            let worst = self.settle(k, delay);
            let taken = self.in_time.taken + self.late.taken;
            let earned = self.in_time.value + self.late.value - delay * self.late.taken;
            let over = (taken - k).max(0);
            let earned = earned - over * worst;
            if earned > best.0 {
                best = (earned, k, worst);
            }
            if taken < k {
                // All who earn anything are in: more room only adds latency.
                break;
            }
        }
        let (earned, k, least) = best;
        if earned > 0 {
            take.earned = earned;
            take.level = k as u32;
            self.write_down(take, delays[k as usize], k, least);
        }
    }

    /// Puts those whom the site could earn from in both lines; whether there are any.
    fn line_up(&mut self, problem: &Problem, prices: &Prices, site: usize, least_delay: i32) -> bool {
        let column = problem.column(site);
        self.wanted.clear();
        for &area in &prices.order {
            let late = column[area as usize];
            let price = prices.each[area as usize];
            if price > i64::from((late + least_delay).max(0)) * FINE {
                let users = i64::from(problem.areas()[area as usize].users);
                self.wanted.push(Wanted {
                    area,
                    users,
                    price,
                    late,
                });
            }
        }
        let count = self.wanted.len();
        self.in_time.reset(count);
        self.late.reset(count);
        self.keys.clear();
        for (at, wanted) in self.wanted.iter().enumerate() {
            self.in_time.values[at] = wanted.price;
            self.in_time.users[at] = wanted.users;
            self.keys
                .push((wanted.price - i64::from(wanted.late) * FINE, at as u32));
        }
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        self.turning.clear();
        for (place, &(value, at)) in self.keys.iter().enumerate() {
            let wanted = self.wanted[at as usize];
            self.late.values[place] = value;
            self.late.users[place] = wanted.users;
            if wanted.late + least_delay > 0 {
                self.late.set(place);
            } else {
                self.in_time.set(at as usize);
                self.turning.push((wanted.late, at, place as u32));
            }
        }
        // The next to turn is last.
        self.turning.sort_unstable();
        count > 0
    }

    /// Those who are late at `delay` change lines.
    fn turn(&mut self, delay: i32) {
        while let Some(&(late, at, place)) = self.turning.last() {
            if late + delay <= 0 {
                return;
            }
            self.turning.pop();
            self.in_time.leave(at as usize);
            self.late.join(place as usize);
        }
    }

    /// Marks the best so that at least `k` users are taken, if so many earn anything, and none too many but part
    /// of the least earning area. What that one earns.
    fn settle(&mut self, k: i64, delay: i64) -> i64 {
        loop {
            let next_in_time = self.in_time.next();
            let next_late = self.late.next();
            let gain = |line: &Line, at: Option<usize>, less: i64| at.map(|at| line.values[at] - less);
            let offer = gain(&self.in_time, next_in_time, 0).max(gain(&self.late, next_late, delay));
            let taken = self.in_time.taken + self.late.taken;
            let late_first = gain(&self.late, next_late, delay) > gain(&self.in_time, next_in_time, 0);
            let offer_at = if late_first { next_late } else { next_in_time };
            let last_in_time = self.in_time.last();
            let last_late = self.late.last();
            let least =
                |line: &Line, at: Option<usize>, less: i64| at.map_or(i64::MAX, |at| line.values[at] - less);
            let (least_in_time, least_late) = (
                least(&self.in_time, last_in_time, 0),
                least(&self.late, last_late, delay),
            );
            let worst = least_in_time.min(least_late);
            let line_of_worst = if least_late < least_in_time {
                &mut self.late
            } else {
                &mut self.in_time
            };
            let worst_at = if least_late < least_in_time {
                last_late
            } else {
                last_in_time
            };
            if let Some(at) = worst_at
                && (worst <= 0 || taken - line_of_worst.users[at] >= k)
            {
                line_of_worst.drop_last(at);
                continue;
            }
            match (offer, offer_at) {
                (Some(value), Some(at)) if value > 0 && (taken < k || value > worst) => {
                    let line = if late_first {
                        &mut self.late
                    } else {
                        &mut self.in_time
                    };
                    line.take(at);
                }
                _ => return if worst_at.is_some() { worst } else { 0 },
            }
        }
    }

    /// The k best at `delay`, all of those above `least` and part of those at it.
    fn write_down(&self, take: &mut Take, delay: i32, k: i64, least: i64) {
        let mut rest = k;
        let mut at_least = Vec::new();
        for wanted in &self.wanted {
            let earns = wanted.price - i64::from((wanted.late + delay).max(0)) * FINE;
            if earns > least {
                let users = wanted.users.min(rest);
                rest -= users;
                take.users.push((wanted.area, users as u32));
            } else if earns == least && least > 0 {
                at_least.push(wanted);
            }
        }
        for wanted in at_least {
            let users = wanted.users.min(rest);
            rest -= users;
            if users > 0 {
                take.users.push((wanted.area, users as u32));
            }
        }
        take.users.sort_unstable();
    }
}

impl Line {
    fn reset(&mut self, count: usize) {
        self.values.clear();
        self.values.resize(count, 0);
        self.users.clear();
        self.users.resize(count, 0);
        self.present.clear();
        self.present.resize(count.div_ceil(64), 0);
        (self.mark, self.taken, self.value) = (0, 0, 0);
    }

    fn set(&mut self, at: usize) {
        self.present[at / 64] |= 1 << (at % 64);
    }

    /// Becomes present; if before the mark, also taken.
    fn join(&mut self, at: usize) {
        self.set(at);
        if at < self.mark {
            self.count(at, 1);
        }
    }

    fn leave(&mut self, at: usize) {
        self.present[at / 64] &= !(1 << (at % 64));
        if at < self.mark {
            self.count(at, -1);
        }
    }

    fn count(&mut self, at: usize, sign: i64) {
        self.taken += sign * self.users[at];
        self.value += sign * self.users[at] * self.values[at];
    }

    /// Moves the mark behind the first that is not taken.
    fn take(&mut self, at: usize) {
        self.mark = at + 1;
        self.count(at, 1);
    }

    /// Moves the mark before the last that is taken.
    fn drop_last(&mut self, at: usize) {
        self.mark = at;
        self.count(at, -1);
    }

    /// The first present that is not taken.
    fn next(&self) -> Option<usize> {
        let mut word = self.mark / 64;
        let mut bits = self.present.get(word)? & (u64::MAX << (self.mark % 64));
        while bits == 0 {
            word += 1;
            bits = *self.present.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }

    /// The last that is taken.
    fn last(&self) -> Option<usize> {
        let mut word = self.mark / 64;
        let below = !(u64::MAX << (self.mark % 64));
        let mut bits = self.present.get(word).map_or(0, |bits| bits & below);
        while bits == 0 {
            word = word.checked_sub(1)?;
            bits = self.present[word];
        }
        Some(word * 64 + 63 - bits.leading_zeros() as usize)
    }
}

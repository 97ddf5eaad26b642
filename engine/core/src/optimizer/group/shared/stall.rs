//! One site's best choice where users pay for a part of their lateness, over every load in hundredths of a user.
//!
//! A user of area j earns the site `pi_j - mu_j (lateness + f(k))`, in time or late, and it takes the k best. Between two
//! whole numbers of users f is a straight line, so what is earned on the way from load a to load b, a share t of it done,
//! is at most the straight line between what both earn plus `t (1 - t) (f(b) - f(a)) (b - a)`: whole areas being the
//! same at both, only one area's users are more at b, and each pays at most all of the rise.

use crate::optimizer::group::bundle::{Plane, Term};
use crate::optimizer::group::problem::{LEFT_OUT, Problem};

use super::HUNDRED;

/// Prices, and shares of lateness that are paid for, are in so many parts of a microsecond, or of all.
pub(super) const PART: i64 = 1 << 16;
/// Lateness that weighs as much as one user too many, microseconds.
pub(super) const TYPICAL: f64 = 10_000.0;
/// Earnings are in this fraction of a [`PART`]: hundredths of a microsecond for hundredths of a user.
pub(super) const SMALL: i128 = (HUNDRED as i128) * (HUNDRED as i128);

/// What an area pays.
#[derive(Clone, Debug, Default)]
pub(super) struct Paid {
    /// pi_j, for one user.
    pub(super) price: Vec<i64>,
    /// mu_j of each microsecond of lateness, 0 to [`PART`].
    pub(super) late: Vec<i64>,
}

/// An area that the site could earn from.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    area: u32,
    /// Hundredths.
    users: i64,
    /// Without f; hundredths of a [`PART`].
    gain: i64,
    paid: i64,
}

/// Those of whom it is settled that they are taken, in sums, and those of whom it is not.
#[derive(Clone, Debug, Default)]
struct Crowd {
    /// Hundredths taken.
    users: i64,
    gain: i128,
    paid: i128,
    /// Places in `wanted`.
    open: Vec<u32>,
}

/// A load in hundredths, what is earned with it, and what the last hundredth taken earns for a user.
#[derive(Clone, Copy, Debug)]
struct End {
    load: u32,
    earned: i128,
    last: i64,
}

/// Loads from one to another, and whom a load between them could concern.
#[derive(Debug)]
struct Stretch {
    from: End,
    to: End,
    crowd: Crowd,
}

/// One site: room to work in, and its last choice.
#[derive(Clone, Debug, Default)]
pub(super) struct Stall {
    wanted: Vec<Wanted>,
    /// Value of one user, hundredths, place in `wanted`.
    worth: Vec<(i64, i64, u32)>,
    /// The load that earned most, in hundredths, and what.
    level: u32,
    earned: i128,
    /// What no load earns more than.
    most: i128,
}

/// f_d of a load in hundredths of users, hundredths of a microsecond: a straight line between whole numbers.
pub(super) fn delay(problem: &Problem, site: usize, load: u32) -> i64 {
    let (whole, part) = (load / HUNDRED, i64::from(load % HUNDRED));
    let below = i64::from(problem.delay(site, whole));
    if part == 0 {
        return below * i64::from(HUNDRED);
    }
    let above = i64::from(problem.delay(site, whole + 1));
    below * (i64::from(HUNDRED) - part) + above * part
}

impl Stall {
    /// What the site earns at most, to within `slack` of what it may.
    pub(super) fn ask(&mut self, problem: &Problem, paid: &Paid, site: usize, slack: i128) -> i128 {
        self.line_up(problem, paid, site);
        let users = u32::try_from(problem.users()).unwrap_or(u32::MAX);
        let room = problem.room(site).min(users) * HUNDRED;
        let last = self.level / HUNDRED * HUNDRED;
        (self.level, self.earned, self.most) = (0, 0, 0);
        if room == 0 || self.wanted.is_empty() {
            return 0;
        }
        let crowd = Crowd {
            open: (0..self.wanted.len() as u32).collect(),
            ..Crowd::default()
        };
        let from = End {
            load: 0,
            earned: 0,
            last: i64::MAX,
        };
        let to = self.earns(problem, site, room, &crowd);
        let whole = Stretch { from, to, crowd };
        let mut open = Vec::new();
        if last > 0 && last < room {
            open.extend(self.halves(problem, site, whole, last));
        } else {
            open.push(whole);
        }
        while let Some(stretch) = open.pop() {
            let (from, to) = (stretch.from.load, stretch.to.load);
            let within = to - from <= HUNDRED;
            let upper = if within {
                stretch.bow(problem, site)
            } else {
                self.upper(problem, site, &stretch)
            };
            if upper <= self.earned + slack || to - from <= 1 {
                self.most = self.most.max(upper);
                continue;
            }
            let middle = if within {
                u32::midpoint(from, to)
            } else {
                u32::midpoint(from / HUNDRED, to / HUNDRED) * HUNDRED
            };
            open.extend(self.halves(problem, site, stretch, middle));
        }
        self.most = self.most.max(self.earned);
        self.most
    }

    /// Two parts, the more promising last.
    fn halves(&mut self, problem: &Problem, site: usize, whole: Stretch, middle: u32) -> [Stretch; 2] {
        let Stretch { from, to, crowd } = whole;
        let middle = self.earns(problem, site, middle, &crowd);
        let delays = [from, middle, to].map(|end| delay(problem, site, end.load));
        let part = |from: End, to: End, delays: [i64; 2]| Stretch {
            from,
            to,
            crowd: self.narrow(&crowd, (from.last, to.last), delays),
        };
        let low = part(from, middle, [delays[0], delays[1]]);
        let high = part(middle, to, [delays[1], delays[2]]);
        if from.earned > to.earned {
            [high, low]
        } else {
            [low, high]
        }
    }

    /// Whom loads between two ends may concern: as f rises, everybody is worth less, and so is the last one taken.
    fn narrow(&self, crowd: &Crowd, (first, last): (i64, i64), [fast, slow]: [i64; 2]) -> Crowd {
        let mut narrow = Crowd {
            open: Vec::new(),
            ..*crowd
        };
        for &at in &crowd.open {
            let wanted = self.wanted[at as usize];
            let value = |delay: i64| wanted.gain - wanted.paid * delay;
            if value(slow) > first {
                narrow.users += wanted.users;
                narrow.gain += i128::from(wanted.gain) * i128::from(wanted.users);
                narrow.paid += i128::from(wanted.paid) * i128::from(wanted.users);
            } else if value(fast) >= last.max(1) {
                narrow.open.push(at);
            }
        }
        narrow
    }

    /// What no load on the stretch earns more than: with the delay of its start, those not settled earn at most what as
    /// many as at its end do, less what fewer lose; and those settled pay for at least the line under f.
    fn upper(&mut self, problem: &Problem, site: usize, stretch: &Stretch) -> i128 {
        let Stretch { from, to, crowd } = stretch;
        let (least, most) = ((from.load / HUNDRED) as usize, (to.load / HUNDRED) as usize);
        let first = delay(problem, site, from.load);
        let (open, last) = self.top(crowd, to.load, first);
        let settled = crowd.gain - crowd.paid * i128::from(first) + open;
        let fewer = i128::from(last) * i128::from(to.load - from.load);
        let rise = slope(problem.delays(site), least, most) * i64::from(HUNDRED);
        (settled - fewer).max(settled - crowd.paid * i128::from(rise))
    }

    /// What the last choice is a plane of: users by area, then lateness by area.
    pub(super) fn plane(&mut self, problem: &Problem, site: usize) -> Plane {
        let f = delay(problem, site, self.level);
        self.worth.clear();
        let valued = (0..)
            .zip(&self.wanted)
            .map(|(at, wanted)| (wanted.gain - wanted.paid * f, wanted.users, at));
        self.worth.extend(valued.filter(|each| each.0 > 0));
        self.worth.sort_unstable_by(|a, b| (b.0, a.2).cmp(&(a.0, b.2)));
        let mut left = i64::from(self.level);
        let mut users: Vec<Term> = Vec::new();
        for &(_, all, at) in &self.worth {
            let taken = all.min(left);
            left -= taken;
            if taken > 0 {
                let many = taken as f32 / HUNDRED as f32;
                users.push((self.wanted[at as usize].area, many));
            }
        }
        users.sort_unstable_by_key(|term| term.0);
        let areas = problem.areas().len() as u32;
        let column = problem.column(site);
        let delay = f as f64 / f64::from(HUNDRED);
        let late = |&(area, many): &Term| {
            let each = f64::from(column[area as usize]) + delay;
            (areas + area, (-f64::from(many) * each / TYPICAL) as f32)
        };
        let late: Vec<Term> = users.iter().map(late).collect();
        Plane {
            terms: [users, late].concat(),
            level: self.level,
            cost: 0.0,
        }
    }

    /// Puts down those whom the site could earn from when it is empty.
    fn line_up(&mut self, problem: &Problem, paid: &Paid, site: usize) {
        let hundred = i64::from(HUNDRED);
        let first = delay(problem, site, 0);
        self.wanted.clear();
        let each = paid
            .price
            .iter()
            .zip(&paid.late)
            .zip(problem.column(site))
            .zip(problem.areas());
        for (area, (((price, &paid), &late), of)) in (0..).zip(each) {
            let gain = hundred * (price - paid * i64::from(late));
            if late < LEFT_OUT && of.users > 0 && gain - paid * first > 0 {
                let users = i64::from(of.users) * hundred;
                self.wanted.push(Wanted {
                    area,
                    users,
                    gain,
                    paid,
                });
            }
        }
    }

    /// What those not settled earn at most at a delay, if with the settled there are to be so many hundredths, and what
    /// the last of these earns for a user.
    fn top(&mut self, crowd: &Crowd, load: u32, delay: i64) -> (i128, i64) {
        self.worth.clear();
        for &at in &crowd.open {
            let wanted = self.wanted[at as usize];
            let value = wanted.gain - wanted.paid * delay;
            if value > 0 {
                self.worth.push((value, wanted.users, at));
            }
        }
        best(&mut self.worth, i64::from(load) - crowd.users)
    }

    /// What a load earns; remembers the best.
    fn earns(&mut self, problem: &Problem, site: usize, load: u32, crowd: &Crowd) -> End {
        let delay = delay(problem, site, load);
        let (open, last) = self.top(crowd, load, delay);
        let earned = crowd.gain - crowd.paid * i128::from(delay) + open;
        if earned > self.earned {
            (self.level, self.earned) = (load, earned);
        }
        End { load, earned, last }
    }
}

impl Stretch {
    /// The most on the way between two whole numbers of users: a line and a bow on it.
    fn bow(&self, problem: &Problem, site: usize) -> i128 {
        let (a, b) = (self.from, self.to);
        let rise = delay(problem, site, b.load) - delay(problem, site, a.load);
        let bow = i128::from(rise) * i128::from(PART) * i128::from(b.load - a.load);
        let apart = (a.earned - b.earned).abs();
        if apart >= bow {
            return a.earned.max(b.earned);
        }
        // (1 - t) a + t b + t (1 - t) bow, where it is most; rounded up.
        i128::midpoint(a.earned, b.earned) + bow / 4 + apart * apart / (4 * bow) + 3
    }
}

/// The value of the best so many hundredths, and what the last of them earns for a user: nothing if there are fewer.
fn best(mut worth: &mut [(i64, i64, u32)], mut left: i64) -> (i128, i64) {
    let mut earned = 0;
    if left <= 0 {
        return (0, i64::MAX);
    }
    while worth.len() > 1 {
        let middle = worth.len() / 2;
        worth.select_nth_unstable_by(middle, |a, b| b.0.cmp(&a.0));
        let (best, others) = worth.split_at_mut(middle);
        let (users, sum) = best.iter().fold((0, 0), |(users, sum), each| {
            (users + each.1, sum + i128::from(each.0) * i128::from(each.1))
        });
        if users < left {
            left -= users;
            earned += sum;
            worth = others;
        } else {
            worth = best;
        }
    }
    let Some(&mut (value, users, _)) = worth.first_mut() else {
        return (0, 0);
    };
    earned += i128::from(value) * i128::from(users.min(left));
    (earned, if users < left { 0 } else { value })
}

/// How far the steepest line that starts at `least` and is nowhere above f has risen at `most`, microseconds.
fn slope(delays: &[i32], least: usize, most: usize) -> i64 {
    let first = i64::from(delays[least]);
    let (mut rise, mut run) = (i64::MAX, 1);
    for (along, &delay) in (1..).zip(&delays[least + 1..=most]) {
        let more = i64::from(delay) - first;
        if rise == i64::MAX || more * run < rise * along {
            (rise, run) = (more, along);
        }
    }
    rise * (most - least).cast_signed() as i64 / run
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::optimizer::group::problem::{Area, LoadLatency, Site};

    fn problem(areas: &[(u32, u32)], capacity: u32) -> Problem {
        let named = |&(users, _): &(u32, u32)| Area {
            name: String::new(),
            users,
        };
        let site = Site {
            name: String::new(),
            capacity,
            load: 0,
        };
        let latency: Vec<u32> = areas.iter().map(|area| area.1).collect();
        let areas = areas.iter().map(named).collect();
        Problem::new(areas, vec![site], &latency, LoadLatency::figure_5_17(), 50_000).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn nothing_is_earned_beyond_what_a_stall_says_at_any_load(
            areas in prop::collection::vec((1_u32..9, 10_000_u32..90_000), 1..6),
            capacity in 2_u32..30,
            paid in prop::collection::vec((0..90_000 * PART, 0..=PART), 6),
            slack in prop_oneof![Just(0), Just(1_000 * SMALL * i128::from(PART))],
        ) {
            let problem = problem(&areas, capacity);
            let (price, late) = paid[..areas.len()].iter().copied().unzip();
            let paid = Paid { price, late };
            let mut stall = Stall::default();
            let most = stall.ask(&problem, &paid, 0, slack);
            let mut truth = 0;
            for load in 1..=capacity.min(areas.iter().map(|area| area.0).sum()) * HUNDRED {
                let f = delay(&problem, 0, load);
                let each = |at: usize| {
                    100 * paid.price[at] - paid.late[at] * (100 * i64::from(problem.late(at, 0)) + f)
                };
                let mut worth: Vec<(i64, i64)> = (0..areas.len()).map(|at| (each(at), 100 * i64::from(areas[at].0))).collect();
                worth.sort_unstable_by(|a, b| b.cmp(a));
                let mut left = i64::from(load);
                let mut earned = 0;
                for (value, users) in worth.into_iter().filter(|worth| worth.0 > 0) {
                    let users = users.min(left);
                    left -= users;
                    earned += i128::from(value) * i128::from(users);
                }
                truth = truth.max(earned);
            }
            prop_assert!(truth <= most, "{} is more than {}", truth, most);
            // Between two hundredths there is little more, and what is found is a load's.
            let little = 4 + i128::from(700_000 * PART);
            prop_assert!(most <= truth + slack + little, "{} is much more than {}", most, truth);
            let again = stall.ask(&problem, &paid, 0, slack);
            prop_assert!((again - most).abs() <= slack + little, "{} and {}", again, most);
        }
    }
}

//! Where to try prices next: a bundle of what sites chose at prices tried before.
//!
//! Each choice of a site, whom it takes and at which load, is a plane below its earnings at any prices: rows have prices,
//! the users of each area first, and a choice is so much of each. The next prices maximise the bound that all planes together promise, less a charge for going far from the best prices
//! known (Lemarechal's proximal bundle method, one bundle a site). The charge's dual is a plan in shares of choices:
//! each site's shares sum to one, and where it serves areas short or over, prices go up or down in proportion.

use std::sync::Arc;

use super::dual::FINE;
use super::offer::Levels;
use super::problem::Problem;

/// Choices of one site at most.
const CHOICES: usize = 40;
/// Rounds in which a choice had no share before it is forgotten.
const OLD: u32 = 20;
/// Passes over all sites for one set of prices.
const PASSES: u32 = 60;
/// Shifts at one site in a pass.
const SHIFTS: u32 = 3;
/// Of what is promised, the part within which shares are balanced.
const SLACK: f64 = 0.05;

/// Of what was promised, what makes prices the best, and what makes the next ones bolder.
const ENOUGH: f64 = 0.1;
const MUCH: f64 = 0.5;
/// Prices that prove less than nothing so many times in a row were too far away.
const PATIENCE: u32 = 3;
/// Loads that differ by one part in so many are alike.
const NEAR: u32 = 64;

/// A row that has a price, and how much of it.
pub(super) type Term = (u32, f32);

/// A choice of a site as a plane.
#[derive(Debug)]
pub(super) struct Plane {
    /// By row: whom it takes of each area, and what else has a price.
    pub(super) terms: Vec<Term>,
    /// The load they see.
    pub(super) level: u32,
    /// What it costs whatever the prices, price fractions.
    pub(super) cost: f64,
}

/// What has a price.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    /// What the choices of all sites together should come to.
    pub(super) need: Vec<f64>,
    /// How little its price moves for what is missing: the users concerned.
    pub(super) weight: Vec<f64>,
    /// Its dearest price, the least being 0; infinite where prices have no ends.
    pub(super) most: Vec<f64>,
}

/// One choice of a site.
#[derive(Clone, Debug)]
struct Choice {
    /// What it is of each row that it is anything of: whom it takes of an area, and what else has a price.
    terms: Arc<[Term]>,
    /// The load they see.
    level: u32,
    /// What it costs whatever the prices, price fractions.
    cost: f64,
    /// Its share.
    share: f64,
    /// Rounds without a share.
    age: u32,
    /// What it would earn at the prices looked at last.
    worth: f64,
}

/// The bundle of every site, and the prices it leads to.
#[derive(Clone, Debug, Default)]
pub(super) struct Bundle {
    /// The best prices known, and their bound.
    centre: Vec<f64>,
    bound: f64,
    rows: Rows,
    sites: Vec<Vec<Choice>>,
    now: Now,
    /// How far prices may go.
    reach: f64,
    /// The bound that the planes promise at the prices asked for last.
    promised: f64,
    /// Prices tried in a row that proved little.
    nulls: u32,
}

/// Prices that shares lead to.
#[derive(Clone, Debug, Default)]
struct Now {
    /// centre + reach * short / weight.
    free: Vec<f64>,
    /// The same, within what prices may be.
    kept: Vec<f64>,
}

impl Rows {
    /// Users of areas, whose prices have no ends.
    pub(super) fn of_users(users: Vec<f64>) -> Self {
        Self {
            weight: users.clone(),
            most: vec![f64::INFINITY; users.len()],
            need: users,
        }
    }

    fn kept(&self, row: usize, price: f64) -> f64 {
        let most = self.most[row];
        if most < f64::INFINITY {
            price.clamp(0.0, most)
        } else {
            price
        }
    }
}

impl Bundle {
    /// Starts at `prices`, with a bound of `bound` proven there.
    pub(super) fn start(&mut self, prices: Vec<f64>, bound: f64, rows: Rows) {
        self.now.free.clone_from(&prices);
        self.now.kept.clone_from(&prices);
        self.centre = prices;
        self.bound = bound;
        self.rows = rows;
        self.nulls = 0;
    }

    /// The best prices now prove `bound`.
    pub(super) fn raise(&mut self, bound: f64) {
        self.bound = bound;
    }

    /// A plan in shares: for each site, how much of each row all its choices take on average.
    pub(super) fn mean(&self) -> Vec<Vec<(u32, f64)>> {
        let mean = |choices: &Vec<Choice>| {
            let held = choices.iter().filter(|choice| choice.share > 0.0);
            let terms = |choice: &Choice| {
                let share = choice.share;
                let terms = choice.terms.clone();
                (0..terms.len()).map(move |at| (terms[at].0, share * f64::from(terms[at].1)))
            };
            summed(held.flat_map(terms).collect())
        };
        self.sites.iter().map(mean).collect()
    }

    /// A plan in outline: for each site, whom the choices of one load that has a share take on average. `draw` picks
    /// the load: 0 to 1 along the shares, `None` for the load of most.
    pub(super) fn outline(&self, mut draw: impl FnMut() -> Option<f64>) -> Vec<Vec<(u32, f64)>> {
        self.sites
            .iter()
            .map(|choices| outline(choices, draw()))
            .collect()
    }

    /// The load of each site with most of its shares.
    pub(super) fn levels(&self) -> Vec<u32> {
        let most = |choices: &Vec<Choice>| {
            let share = |level: u32| -> f64 {
                let at = choices.iter().filter(|choice| choice.level == level);
                at.map(|choice| choice.share).sum()
            };
            let levels = choices.iter().map(|choice| choice.level);
            levels.max_by(|&a, &b| share(a).total_cmp(&share(b))).unwrap_or(0)
        };
        self.sites.iter().map(most).collect()
    }

    /// What sites chose.
    pub(super) fn learn(&mut self, planes: impl ExactSizeIterator<Item = Plane>) {
        self.sites.resize_with(planes.len(), Vec::new);
        for (choices, plane) in self.sites.iter_mut().zip(planes) {
            learn(choices, plane);
        }
    }

    /// From now on `site` may only have `levels`; `plane` is its best of these.
    pub(super) fn restrict(&mut self, (site, levels): (usize, Levels), plane: Plane) {
        let Some(choices) = self.sites.get_mut(site) else {
            return;
        };
        choices.retain(|choice| levels.have(choice.level));
        learn(choices, plane);
        let all: f64 = choices.iter().map(|choice| choice.share).sum();
        if all > 0.0 {
            for choice in choices.iter_mut() {
                choice.share /= all;
            }
        } else if let Some(choice) = choices.last_mut() {
            choice.share = 1.0;
        }
        self.nulls = 0;
    }

    /// The site whose shares of choices promise most that no load can keep, and the load between its choices.
    pub(super) fn torn(&self, problem: &Problem) -> Option<(usize, u32)> {
        let torn = |(site, choices): (usize, &Vec<Choice>)| {
            let held = || choices.iter().filter(|choice| choice.share > 0.0);
            let (least, most) = held().fold((u32::MAX, 0), |(least, most), choice| {
                (least.min(choice.level), most.max(choice.level))
            });
            if least >= most {
                return None;
            }
            let mean: f64 = held().map(|choice| choice.share * f64::from(choice.level)).sum();
            let split = (mean as u32).clamp(least, most - 1);
            let (below, above) = (problem.delay(site, split), problem.delay(site, split + 1));
            let delay = f64::from(below) + f64::from(above - below) * (mean - f64::from(split));
            let column = problem.column(site);
            let truth = held().flat_map(|choice| choice.terms.iter().map(|term| (choice.share, term)));
            let truth: f64 = truth
                .map(|(share, &(area, users))| {
                    share * f64::from(users) * (f64::from(column[area as usize]) + delay).max(0.0)
                })
                .sum();
            let promise: f64 = held().map(|choice| choice.share * choice.cost).sum();
            let spread = f64::from(most - least) * 1e-6;
            Some(((truth * FINE as f64 - promise).max(0.0) + spread, site, split))
        };
        self.sites
            .iter()
            .enumerate()
            .filter_map(torn)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, site, split)| (site, split))
    }

    /// The next prices to try, towards `target`.
    pub(super) fn next(&mut self, target: f64) -> Vec<f64> {
        if self.reach <= 0.0 {
            let short = self.short();
            let norm: f64 = short
                .iter()
                .zip(&self.rows.weight)
                .map(|(short, weight)| short * short / weight.max(1.0))
                .sum();
            self.reach = (target - self.bound).max(1.0) / norm.max(1e-9);
        }
        self.balance();
        self.forget();
        self.now.kept.clone()
    }

    /// The bound that the prices asked for turned out to prove.
    pub(super) fn told(&mut self, prices: Vec<f64>, bound: f64) {
        let gain = bound - self.bound;
        let hoped = self.promised - self.bound;
        if gain > ENOUGH * hoped {
            if gain > MUCH * hoped {
                self.reach *= 2.0;
            }
            self.centre = prices;
            self.bound = bound;
            self.nulls = 0;
        } else {
            self.nulls += 1;
            if self.nulls >= PATIENCE && gain < -hoped {
                self.reach *= 0.5;
                self.nulls = 0;
            }
        }
    }

    /// What shares leave missing of each row.
    fn short(&self) -> Vec<f64> {
        let mut short = self.rows.need.clone();
        for choice in self.sites.iter().flatten().filter(|choice| choice.share > 0.0) {
            for &(row, much) in choice.terms.iter() {
                short[row as usize] -= choice.share * f64::from(much);
            }
        }
        short
    }

    /// Shifts shares between each site's choices until no other shares would do better; prices follow.
    fn balance(&mut self) {
        let short = self.short();
        let by_row = self.centre.iter().zip(short.iter().zip(&self.rows.weight));
        for (row, (centre, (short, weight))) in by_row.enumerate() {
            let free = centre + self.reach * short / weight.max(1.0);
            (self.now.free[row], self.now.kept[row]) = (free, self.rows.kept(row, free));
        }
        for _ in 0..PASSES {
            let (mut apart, mut earned) = (0.0, 0.0);
            for choices in &mut self.sites {
                let (slack, most) = shift(choices, &mut self.now, &self.rows, self.reach);
                apart += slack;
                earned += most;
            }
            let income: f64 = self
                .now
                .kept
                .iter()
                .zip(&self.rows.need)
                .map(|(price, need)| price * need)
                .sum();
            self.promised = income - earned;
            if apart <= SLACK * (self.promised - self.bound) {
                break;
            }
        }
    }

    fn forget(&mut self) {
        for choices in &mut self.sites {
            for choice in choices.iter_mut() {
                choice.age = if choice.share > 0.0 { 0 } else { choice.age + 1 };
            }
            choices.retain(|choice| choice.age < OLD);
            while choices.len() > CHOICES {
                let oldest = (0..choices.len()).max_by_key(|&at| choices[at].age);
                match oldest {
                    Some(at) if choices[at].share <= 0.0 => drop(choices.remove(at)),
                    _ => break,
                }
            }
        }
    }
}

fn learn(choices: &mut Vec<Choice>, plane: Plane) {
    let Plane { terms, level, cost } = plane;
    if choices
        .iter()
        .any(|known| *known.terms == *terms && known.cost <= cost)
    {
        return;
    }
    let share = if choices.is_empty() { 1.0 } else { 0.0 };
    choices.push(Choice {
        terms: terms.into(),
        level,
        cost,
        share,
        age: 0,
        worth: 0.0,
    });
}

fn outline(choices: &[Choice], drawn: Option<f64>) -> Vec<(u32, f64)> {
    let load = |choice: &Choice| choice.terms.iter().map(|&(_, users)| users as u32).sum::<u32>();
    let mut held: Vec<(u32, &Choice)> = choices
        .iter()
        .filter(|choice| choice.share > 0.0)
        .map(|choice| (load(choice), choice))
        .collect();
    held.sort_unstable_by_key(|held| held.0);
    let alike = |one: u32, other: u32| one.abs_diff(other) <= one.max(other) / NEAR;
    let share_at = |at: u32| {
        held.iter()
            .filter(|held| alike(held.0, at))
            .map(|held| held.1.share)
            .sum::<f64>()
    };
    let picked = match drawn {
        Some(drawn) => {
            let mut along = 0.0;
            held.iter().find(|held| {
                along += held.1.share;
                along >= drawn
            })
        }
        None => held.iter().max_by(|a, b| share_at(a.0).total_cmp(&share_at(b.0))),
    };
    let Some(&(picked, _)) = picked.or(held.last()) else {
        return Vec::new();
    };
    let all = share_at(picked);
    let mut taken: Vec<(u32, f64)> = Vec::new();
    for (_, choice) in held.iter().filter(|held| alike(held.0, picked)) {
        taken.extend(
            choice
                .terms
                .iter()
                .map(|&(area, users)| (area, choice.share / all * f64::from(users))),
        );
    }
    summed(taken)
}

/// One of each row.
fn summed(mut taken: Vec<(u32, f64)>) -> Vec<(u32, f64)> {
    taken.sort_by_key(|taken| taken.0);
    taken.dedup_by(|next, first| {
        let same = next.0 == first.0;
        if same {
            first.1 += next.1;
        }
        same
    });
    taken
}

fn worth(choice: &Choice, prices: &[f64]) -> f64 {
    let income: f64 = choice
        .terms
        .iter()
        .map(|&(row, much)| prices[row as usize] * f64::from(much))
        .sum();
    income - choice.cost
}

/// Moves share from a site's poorest choice to its best. What its shares earn less than its best, and that.
fn shift(choices: &mut [Choice], now: &mut Now, rows: &Rows, reach: f64) -> (f64, f64) {
    let mut before = None;
    for _ in 0..SHIFTS {
        for choice in choices.iter_mut() {
            choice.worth = worth(choice, &now.kept);
        }
        let by_worth = |a: &usize, b: &usize| choices[*a].worth.total_cmp(&choices[*b].worth);
        let Some(best) = (0..choices.len()).max_by(by_worth) else {
            return (0.0, 0.0);
        };
        let held = |&at: &usize| choices[at].share > 0.0;
        let Some(worst) = (0..choices.len()).filter(held).min_by(by_worth) else {
            return (0.0, 0.0);
        };
        let most = choices[best].worth;
        if before.is_none() {
            let mean: f64 = choices.iter().map(|choice| choice.share * choice.worth).sum();
            before = Some((most - mean, most));
        }
        let gain = most - choices[worst].worth;
        if gain <= 0.0 || best == worst {
            break;
        }
        let mut bend = 0.0;
        merge(&choices[best].terms, &choices[worst].terms, |row, more| {
            bend += more * more / rows.weight[row];
        });
        let most_shift = choices[worst].share;
        let share = if bend > 0.0 {
            (gain / (reach * bend)).min(most_shift)
        } else {
            most_shift
        };
        if share >= most_shift {
            choices[worst].share = 0.0;
        } else {
            choices[worst].share -= share;
        }
        choices[best].share += share;
        let pull = reach * share;
        merge(&choices[best].terms, &choices[worst].terms, |row, more| {
            now.free[row] -= pull * more / rows.weight[row];
            now.kept[row] = rows.kept(row, now.free[row]);
        });
    }
    before.unwrap_or((0.0, 0.0))
}

/// Calls `each` with every row that both do not take alike, and how much more of it `one` takes.
fn merge(one: &[Term], other: &[Term], mut each: impl FnMut(usize, f64)) {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    loop {
        let next = |at: Option<&&Term>| at.map_or(u32::MAX, |at| at.0);
        let row = next(one.peek()).min(next(other.peek()));
        if row == u32::MAX {
            return;
        }
        let more = one.next_if(|at| at.0 == row).map_or(0.0, |at| f64::from(at.1));
        let less = other.next_if(|at| at.0 == row).map_or(0.0, |at| f64::from(at.1));
        if more.total_cmp(&less).is_ne() {
            each(row as usize, more - less);
        }
    }
}

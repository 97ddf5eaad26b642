//! Shares and what they cost when areas pool their lateness: moves between loads, and swaps at loads.
//!
//! Loads are in hundredths of a user. Lateness is kept in hundredths of a microsecond for hundredths of a user, and is
//! below 0 for areas with time to spare.

use crate::optimizer::group::problem::{LEFT_OUT, Problem};

use super::HUNDRED;
use super::stall::{PART, delay};

/// Passes of moves and swaps, if they help so long.
const PASSES: u32 = 20;
/// What another pass must promise, and a swap save: one part of the excess in so many.
const WORTH_A_PASS: i64 = 500;
const WORTH_A_SWAP: i64 = 200_000;
/// A move is tried with all of what an area has at a site, then with half, and so on so many times.
const HALVES: u32 = 6;

/// Shares of all areas.
#[derive(Clone)]
pub(super) struct Pool<'a> {
    problem: &'a Problem,
    /// Hundredths of users by site.
    loads: Vec<u32>,
    /// f_d of the loads, hundredths of a microsecond.
    delays: Vec<i64>,
    /// Hundredths of users: a row an area.
    shares: Vec<i64>,
    /// The sum of lateness over an area's shares.
    late: Vec<i64>,
    /// Areas that have a share of a site.
    holders: Vec<Vec<u32>>,
}

/// Hundredths of users of an area that go from one site to another.
#[derive(Clone, Copy)]
struct Move {
    area: usize,
    from: usize,
    to: usize,
    hundredths: i64,
}

/// Area and another area exchange hundredths of users: the first from `from` to `to`.
struct Swap {
    with: usize,
    from: usize,
    to: usize,
    hundredths: i64,
    /// For the first, before what the other spends.
    saves: i64,
}

impl<'a> Pool<'a> {
    /// Users whole, a row an area.
    pub(super) fn new(problem: &'a Problem, counts: &[u32]) -> Self {
        let hundred = i64::from(HUNDRED);
        let shares = counts.iter().map(|&users| i64::from(users) * hundred).collect();
        Self::of(problem, shares)
    }

    /// What sites would have of each area, in part, made into shares of everybody: those who are missing go where they
    /// cost least by themselves. `None` if there is no room for all.
    pub(super) fn outlined(problem: &'a Problem, outline: &[Vec<(u32, f64)>]) -> Option<Self> {
        let columns = problem.sites().len();
        let wanted = |area: usize| i64::from(problem.areas()[area].users) * i64::from(HUNDRED);
        let mut all = vec![0.0; problem.areas().len()];
        for &(area, users) in outline.iter().flatten() {
            all[area as usize] += users * f64::from(HUNDRED);
        }
        let mut shares = vec![0_i64; all.len() * columns];
        let mut free: Vec<i64> = (0..columns)
            .map(|site| i64::from(problem.room(site)) * i64::from(HUNDRED))
            .collect();
        for (site, taken) in outline.iter().enumerate() {
            for &(area, users) in taken {
                let area = area as usize;
                let fit = (wanted(area) as f64 / all[area]).min(1.0);
                let share = ((users * f64::from(HUNDRED) * fit) as i64).min(free[site]);
                shares[area * columns + site] = share;
                free[site] -= share;
            }
        }
        let mut pool = Self::of(problem, shares);
        for area in 0..all.len() {
            pool.complete(area, wanted(area))?;
        }
        Some(pool)
    }

    fn of(problem: &'a Problem, shares: Vec<i64>) -> Self {
        let columns = problem.sites().len();
        let mut pool = Self {
            problem,
            loads: vec![0; columns],
            delays: vec![0; columns],
            holders: vec![Vec::new(); columns],
            late: vec![0; problem.areas().len()],
            shares,
        };
        for site in 0..columns {
            let here = pool.shares.iter().skip(site).step_by(columns);
            pool.loads[site] = here.clone().sum::<i64>() as u32;
            pool.delays[site] = delay(problem, site, pool.loads[site]);
            let held = (0..).zip(here).filter(|(_, share)| **share > 0);
            pool.holders[site] = held.map(|(area, _)| area).collect();
        }
        for area in 0..pool.late.len() {
            pool.late[area] = pool.late_of(area);
        }
        pool
    }

    /// Gives an area what it lacks.
    fn complete(&mut self, area: usize, wanted: i64) -> Option<()> {
        let columns = self.loads.len();
        loop {
            let missing = wanted - self.shares[area * columns..][..columns].iter().sum::<i64>();
            if missing == 0 {
                return Some(());
            }
            let open = (0..columns).filter(|&site| self.free(site) > 0);
            let dear = |site: &usize| {
                let more = delay(
                    self.problem,
                    *site,
                    (self.loads[*site] + HUNDRED).min(self.room(*site)),
                );
                let burden = (more - self.delays[*site]) * i64::from(self.loads[*site] / HUNDRED);
                Some((self.each(area, *site)? + burden, *site))
            };
            let (_, site) = open.filter_map(|site| dear(&site)).min()?;
            self.put(area, site, missing.min(self.free(site)));
        }
    }

    /// Hundredths of users, a row an area.
    pub(super) fn shares(&self) -> &[i64] {
        &self.shares
    }

    /// The sum of what areas are late in all, hundredths of a microsecond for hundredths of a user.
    pub(super) fn excess(&self) -> i64 {
        self.late.iter().map(|&late| late.max(0)).sum()
    }

    /// Moves and swaps until neither helps much; only moves where what areas pay of their lateness is given.
    pub(super) fn improve(&mut self, paid: Option<&[i64]>, stop: &mut dyn FnMut() -> bool) {
        for _ in 0..PASSES {
            let before = self.excess();
            self.move_all(paid, stop);
            if paid.is_none() {
                self.swap_all(stop);
            }
            if stop() || before - self.excess() <= before / WORTH_A_PASS {
                return;
            }
        }
    }

    fn room(&self, site: usize) -> u32 {
        self.problem.room(site).saturating_mul(HUNDRED)
    }

    fn free(&self, site: usize) -> i64 {
        i64::from(self.room(site)) - i64::from(self.loads[site])
    }

    fn share(&self, area: usize, site: usize) -> i64 {
        self.shares[area * self.loads.len() + site]
    }

    /// l + f - L, hundredths of a microsecond; `None` if the area cannot use the site.
    fn each(&self, area: usize, site: usize) -> Option<i64> {
        let late = self.problem.late(area, site);
        (late < LEFT_OUT).then(|| i64::from(late) * i64::from(HUNDRED) + self.delays[site])
    }

    fn late_of(&self, area: usize) -> i64 {
        let held = (0..self.loads.len()).filter(|&site| self.share(area, site) > 0);
        held.map(|site| self.share(area, site) * self.each(area, site).unwrap_or(0))
            .sum()
    }

    /// The site's share of the area is more, or less, from now on.
    fn put(&mut self, area: usize, site: usize, more: i64) {
        let columns = self.loads.len();
        let share = &mut self.shares[area * columns + site];
        *share += more;
        let held = *share > 0;
        let known = self.holders[site]
            .iter()
            .position(|&holder| holder as usize == area);
        match known {
            None if held => self.holders[site].push(area as u32),
            Some(at) if !held => drop(self.holders[site].swap_remove(at)),
            _ => {}
        }
        self.loads[site] = (i64::from(self.loads[site]) + more) as u32;
        let slower = delay(self.problem, site, self.loads[site]) - self.delays[site];
        self.delays[site] += slower;
        for &holder in &self.holders[site] {
            self.late[holder as usize] += slower * self.shares[holder as usize * columns + site];
        }
        // With what came or went: its part of the rise is in the sum already, or gone.
        self.late[area] = self.late_of(area);
    }

    /// How the excess changes; nothing is moved.
    fn change(&self, tried: Move, more: &mut Vec<(u32, i64)>) -> i64 {
        let Move {
            area,
            from,
            to,
            hundredths,
        } = tried;
        let (Some(here), Some(there)) = (self.each(area, from), self.each(area, to)) else {
            return i64::MAX;
        };
        more.clear();
        more.push((area as u32, hundredths * (there - here)));
        for (site, sign) in [(from, -1), (to, 1)] {
            let load = (i64::from(self.loads[site]) + sign * hundredths) as u32;
            let slower = delay(self.problem, site, load) - self.delays[site];
            let held = self.holders[site]
                .iter()
                .map(|&holder| (holder, self.share(holder as usize, site)));
            more.extend(held.map(|(holder, share)| (holder, share * slower)));
            more.push((area as u32, sign * hundredths * slower));
        }
        more.sort_unstable_by_key(|more| more.0);
        let same = more.chunk_by(|a, b| a.0 == b.0);
        same.map(|of| {
            let late = self.late[of[0].0 as usize];
            let after = late + of.iter().map(|more| more.1).sum::<i64>();
            after.max(0) - late.max(0)
        })
        .sum()
    }

    /// What one user more at a site costs those there who pay, hundredths of a microsecond.
    fn burden(&self, site: usize, paid: &[i64]) -> i64 {
        let next = (self.loads[site] / HUNDRED + 1) * HUNDRED;
        let at = |load: u32| delay(self.problem, site, load.min(self.room(site)));
        let rise = at(next) - at(next - HUNDRED);
        let held = self.holders[site].iter().map(|&holder| holder as usize);
        let shares: i64 = held
            .map(|holder| self.share(holder, site) * paid[holder] / PART)
            .sum();
        rise * shares / i64::from(HUNDRED)
    }

    /// What areas pay of their lateness, as it is.
    fn paid(&self) -> Vec<i64> {
        self.late
            .iter()
            .map(|&late| if late > 0 { PART } else { 0 })
            .collect()
    }

    /// Each area from each of its sites to where it costs least by what is seen there, as much as helps most.
    fn move_all(&mut self, given: Option<&[i64]>, stop: &mut dyn FnMut() -> bool) {
        let columns = self.loads.len();
        let mut paid = given.map_or_else(|| self.paid(), <[i64]>::to_vec);
        let mut burdens: Vec<i64> = (0..columns).map(|site| self.burden(site, &paid)).collect();
        let mut more = Vec::new();
        for area in 0..self.late.len() {
            if area % 16 == 0 && stop() {
                return;
            }
            for from in 0..columns {
                let share = self.share(area, from);
                if share == 0 {
                    continue;
                }
                let cost = |site: usize| Some(self.each(area, site)? * paid[area] / PART + burdens[site]);
                let others = (0..columns).filter(|&site| site != from && self.free(site) > 0);
                let Some((dear, to)) = others.filter_map(|site| Some((cost(site)?, site))).min() else {
                    continue;
                };
                if cost(from).is_none_or(|here| here <= dear) {
                    continue;
                }
                let tried = Move {
                    area,
                    from,
                    to,
                    hundredths: share.min(self.free(to)),
                };
                if let Some(made) = self.best_part(tried, &mut more) {
                    self.put(area, from, -made.hundredths);
                    self.put(area, to, made.hundredths);
                    if given.is_none() {
                        paid[area] = if self.late[area] > 0 { PART } else { 0 };
                    }
                    for site in [from, to] {
                        burdens[site] = self.burden(site, &paid);
                    }
                }
            }
        }
    }

    fn best_part(&self, whole: Move, more: &mut Vec<(u32, i64)>) -> Option<Move> {
        let mut best: Option<(i64, Move)> = None;
        for half in 0..=HALVES {
            let tried = Move {
                hundredths: whole.hundredths >> half,
                ..whole
            };
            if tried.hundredths == 0 {
                break;
            }
            let change = self.change(tried, more);
            match &best {
                Some((least, _)) if change >= *least => break,
                _ if change < 0 => best = Some((change, tried)),
                _ => {}
            }
        }
        best.map(|best| best.1)
    }

    /// Swaps until none helps much.
    fn swap_all(&mut self, stop: &mut dyn FnMut() -> bool) {
        let columns = self.loads.len();
        let worth = self.excess() / WORTH_A_SWAP;
        loop {
            let mut helped = false;
            let mut holders: Vec<Vec<usize>> = vec![Vec::new(); columns];
            for area in (0..self.late.len()).filter(|&area| self.late[area] < 0) {
                for (site, holders) in holders.iter_mut().enumerate() {
                    if self.share(area, site) > 0 {
                        holders.push(area);
                    }
                }
            }
            for area in 0..self.late.len() {
                while self.late[area] > 0 && !stop() {
                    let Some(swap) = self.best_swap(area, &holders).filter(|swap| swap.saves >= worth) else {
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
        let mut best: Option<(i64, i64, Swap)> = None;
        for from in (0..self.loads.len()).filter(|&site| self.share(area, site) > 0) {
            let here = self.each(area, from)?;
            for (to, holders) in holders.iter().enumerate() {
                let there = self.each(area, to);
                let Some(gain) = there.map(|there| here - there).filter(|&gain| gain > 0) else {
                    continue;
                };
                let able = |with: usize| self.late[with] < 0 && self.share(with, to) > 0;
                for &with in holders.iter().filter(|&&with| able(with)) {
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
                    let hundredths = self
                        .share(area, from)
                        .min(self.share(with, to))
                        .min(needed)
                        .min(afford);
                    if hundredths > 0 && best.as_ref().is_none_or(|best| cost * best.1 < best.0 * gain) {
                        let saves = hundredths * gain;
                        let swap = Swap {
                            with,
                            from,
                            to,
                            hundredths,
                            saves,
                        };
                        best = Some((cost, gain, swap));
                    }
                }
            }
        }
        best.map(|best| best.2)
    }

    fn swap(&mut self, area: usize, swap: &Swap) {
        let &Swap {
            with,
            from,
            to,
            hundredths,
            ..
        } = swap;
        self.put(area, from, -hundredths);
        self.put(with, to, -hundredths);
        self.put(with, from, hundredths);
        self.put(area, to, hundredths);
    }
}

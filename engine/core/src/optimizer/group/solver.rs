//! Search and proof, in pieces that a caller may stop between.

use std::time::Duration;

use super::coarse::Groups;
use super::placement::{Batch, Placement};
use super::plan::{Badge, Plan};
use super::problem::{LEFT_OUT, Problem, ProblemError, know};
use super::tree::Tree;
use super::{greedy, paths, ruin};

/// Steps of prices between two looks for a better plan.
const STEPS: u32 = 10;
/// Passes of single moves before chains.
const SWEEPS: u32 = 4;

/// A problem, the best plan known, and what is proven.
///
/// It has no clock: `stop` is asked often, and once it says `true` the work ends with what there is.
#[derive(Debug)]
pub struct Solver {
    problem: Problem,
    placement: Placement,
    proof: Tree,
    cost: i64,
    chance: u64,
    /// Users who arrived since it was settled, and so have no home.
    arrived: u64,
}

impl Solver {
    /// Nobody placed, nothing proven.
    pub fn new(problem: Problem) -> Self {
        Self {
            placement: Placement::empty(&problem),
            proof: Tree::new(&problem, 1),
            cost: 0,
            chance: 0x9E37_79B9_7F4A_7C15,
            arrived: 0,
            problem,
        }
    }

    /// With users where `counts` has them, a row an area and a column a site, as far as there is a way and room.
    pub fn starting_at(problem: Problem, counts: &[u32]) -> Self {
        let sites = problem.sites().len();
        let mut whole = vec![0; problem.areas().len() * problem.columns()];
        for (area, row) in counts.chunks_exact(sites).enumerate().take(problem.areas().len()) {
            for (site, &users) in row.iter().enumerate() {
                if problem.late(area, site) < LEFT_OUT {
                    whole[area * problem.columns() + site] = users;
                }
            }
        }
        let placement = Placement::like(&problem, &whole);
        Self::of(problem, placement)
    }

    /// With everybody placed already.
    pub(super) fn of(problem: Problem, placement: Placement) -> Self {
        Self {
            placement,
            ..Self::new(problem)
        }
    }

    /// Counts x_jd, with a column of those left out.
    pub(super) fn counts(&self) -> &[u32] {
        self.placement.counts()
    }

    /// f_d of the present loads, and what one more user at each column costs beside his own lateness, microseconds.
    pub(super) fn slots(&self) -> (Vec<i32>, Vec<i64>) {
        let worth = paths::prices(&self.problem, &self.placement);
        (self.placement.delays().to_vec(), worth)
    }

    /// What is proven of the cost, those left out included, microseconds.
    pub(super) fn bound_us(&self) -> i64 {
        self.proof.bound_us()
    }

    /// Lets so many threads ask sites at a time for large problems; what comes out does not depend on them.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.proof = Tree::new(&self.problem, threads);
        self
    }

    /// What is solved.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The best plan so far, with what is proven of it.
    pub fn plan(&self) -> Plan {
        let cost = self.placement.excess(&self.problem);
        Plan::new(
            &self.problem,
            self.placement.counts(),
            (cost, self.proof.bound_us()),
        )
    }

    /// What is known of the plan, for whoever shows it; `spent` is what the caller measured it to take.
    pub fn badge(&self, spent: Duration) -> Badge {
        let plan = self.plan();
        Badge {
            objective: plan.objective,
            lower_bound: plan.lower_bound,
            gap: plan.gap,
            optimal: plan.is_optimal(),
            spent,
            ties: self.ties(),
        }
    }

    /// Users of whom each alone could be at another site at no cost to anybody.
    fn ties(&self) -> u64 {
        let free = |site: usize| self.placement.free(&self.problem, site) > 0;
        let open: Vec<usize> = (0..self.problem.nowhere()).filter(|&site| free(site)).collect();
        let mut ties = 0;
        for area in 0..self.problem.areas().len() {
            let one = Some(Batch { area, users: 1 });
            let come = |site| self.placement.change(&self.problem, site, None, one);
            let arrivals = open.iter().map(|&site| (come(site), site)).collect::<Vec<_>>();
            for (site, &users) in self.placement.counts_of(area).iter().enumerate() {
                if users > 0 {
                    let left = self.placement.change(&self.problem, site, one, None);
                    let tied = |&(come, to): &(i64, usize)| to != site && come + left == 0;
                    ties += if arrivals.iter().any(tied) {
                        u64::from(users)
                    } else {
                        0
                    };
                }
            }
        }
        ties
    }

    /// Places everybody who has no place yet, and improves on it by moves and chains of moves.
    pub fn place(&mut self, stop: &mut dyn FnMut() -> bool) {
        if self.placement.is_empty() {
            self.placement = placed(&self.problem, stop);
        } else {
            greedy::place_all(&self.problem, &mut self.placement);
            polish(&self.problem, &mut self.placement, stop);
        }
        self.cost = self.placement.excess(&self.problem);
    }

    /// Raises the bound and looks for better plans in turn, until the gap of F is at most `gap` or `stop` says so.
    /// While moves have a price (see [`settle`](Self::settle)), only the bound is raised.
    pub fn prove(&mut self, gap: f64, stop: &mut dyn FnMut() -> bool) {
        self.cost = self.placement.excess(&self.problem);
        if self.good_enough(gap) {
            return;
        }
        if self.proof.is_whole() {
            self.price(stop);
        }
        let mut round = 0_u32;
        while !self.good_enough(gap) && !stop() {
            for _ in 0..STEPS {
                self.proof.step(&self.problem, self.cost);
                if self.good_enough(gap) || stop() {
                    return;
                }
            }
            if self.placement.priced() {
                // Another plan altogether would move too many; only the bound is worked on.
                continue;
            }
            match round % 5 {
                0 | 2 => self.follow_outline(round, stop),
                1 | 3 => self.rebuild_parts(stop),
                _ => self.follow_levels(stop),
            }
            round += 1;
        }
    }

    /// One quote of the prices known and one of those the plan leads to: a quick proof after a change.
    pub fn price(&mut self, stop: &mut dyn FnMut() -> bool) {
        self.proof.try_best(&self.problem);
        if self.placement.priced() {
            // While moves have a price, a plan is not at rest, and prices read from it mean little: they are read
            // from the plan that free moves would lead to.
            let mut free = self.placement.clone();
            free.settle(0);
            paths::improve(&self.problem, &mut free, stop);
            self.read_prices(&free);
        } else {
            let placement = self.placement.clone();
            self.read_prices(&placement);
        }
    }

    fn read_prices(&mut self, placement: &Placement) {
        let worth = paths::prices(&self.problem, placement);
        self.proof.try_worth(&self.problem, placement.delays(), &worth);
    }

    /// Whether the plan's own [`Plan::gap`] is no wider: those left out are in neither side of it.
    fn good_enough(&self, gap: f64) -> bool {
        let unit = f64::from(self.problem.bound_us());
        let out = u64::from(self.placement.host(self.problem.nowhere()).load);
        let weight = out.cast_signed() * i64::from(LEFT_OUT);
        let (cost, bound) = (self.cost - weight, (self.proof.bound_us() - weight).max(0));
        let objective = (self.problem.users() - out) as f64 + cost as f64 / unit;
        (cost - bound) as f64 / unit <= gap * objective
    }

    /// Starts a plan from whom each site would have by the shares of the bundle.
    fn follow_outline(&mut self, round: u32, stop: &mut dyn FnMut() -> bool) {
        let chance = &mut self.chance;
        let outline = self
            .proof
            .outline(|| (round > 0).then(|| ruin::below(chance, 1 << 20) as f64 / f64::from(1 << 20)));
        let mut other = Placement::empty(&self.problem);
        let mut wish: Vec<(f64, u32, usize, u32)> = Vec::new();
        for (site, taken) in outline.iter().enumerate() {
            wish.extend(taken.iter().map(|&(area, users)| {
                let all = f64::from(self.problem.areas()[area as usize].users);
                (-users / all, area, site, users.round() as u32)
            }));
        }
        wish.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut rest: Vec<u32> = self.problem.areas().iter().map(|area| area.users).collect();
        for (_, area, site, users) in wish {
            let area = area as usize;
            let users = users.min(rest[area]).min(other.free(&self.problem, site));
            rest[area] -= users;
            other.add(&self.problem, site, Batch { area, users });
        }
        self.try_start(other, stop);
    }

    /// Starts a plan from the best one at the loads that most speaks for, which also has prices.
    fn follow_levels(&mut self, stop: &mut dyn FnMut() -> bool) {
        let Some(levels) = self.proof.levels().filter(|levels| !levels.is_empty()) else {
            return;
        };
        let fixed = self.problem.at_levels(&levels);
        let mut there = Placement::like(&fixed, self.placement.counts());
        greedy::place_all(&fixed, &mut there);
        paths::improve(&fixed, &mut there, stop);
        let worth = paths::prices(&fixed, &there);
        self.proof.try_worth(&self.problem, there.delays(), &worth);
        self.try_start(Placement::like(&self.problem, there.counts()), stop);
    }

    /// Takes the plan that `start` leads to if it is better.
    fn try_start(&mut self, start: Placement, stop: &mut dyn FnMut() -> bool) {
        let mut other = start;
        greedy::place_all(&self.problem, &mut other);
        polish(&self.problem, &mut other, stop);
        let cost = other.excess(&self.problem);
        if cost < self.cost {
            self.cost = cost;
            self.placement = other;
        }
    }

    /// Empties a few neighbouring sites at a time and fills them again.
    fn rebuild_parts(&mut self, stop: &mut dyn FnMut() -> bool) {
        ruin::rebuild(&self.problem, &mut self.placement, &mut self.chance, stop);
        self.cost = self.placement.excess(&self.problem);
    }
}

/// What changes while the engine runs. Each call keeps the placement whole; [`Solver::mend`] then improves it.
impl Solver {
    /// Those placed are where they belong: from now on each user moved away costs `price_us`.
    pub fn settle(&mut self, price_us: u32) {
        self.placement.settle(price_us);
        self.arrived = 0;
    }

    /// Users away from where they were at [`settle`](Self::settle), newly arrived ones not counted.
    pub fn moved(&self) -> u64 {
        self.placement.away().saturating_sub(self.arrived)
    }

    /// An area has `users` from now on: the new ones go where they cost least, the others leave where they cost most.
    pub fn set_users(&mut self, area: usize, users: u32) -> Result<(), ProblemError> {
        let before = self.problem.areas().get(area).map_or(0, |area| area.users);
        self.problem.set_users(area, users)?;
        self.proof.doubt(&self.problem);
        if users >= before {
            let users = users - before;
            self.arrived += u64::from(users);
            greedy::place(&self.problem, &mut self.placement, Batch { area, users });
        } else {
            let users = before - users;
            greedy::withdraw(&self.problem, &mut self.placement, Batch { area, users });
        }
        Ok(())
    }

    /// Users of one area are now in another. They stay at their site, if it can be reached from there.
    pub fn hand_over(
        &mut self,
        from: usize,
        to: usize,
        (site, users): (usize, u32),
    ) -> Result<(), ProblemError> {
        know("area", from, self.problem.areas().len())?;
        know("area", to, self.problem.areas().len())?;
        know("site", site, self.problem.sites().len())?;
        let have = self.placement.count(from, site);
        if users > have {
            return Err(ProblemError::TooFew {
                area: self.problem.areas()[from].name.clone(),
                site: self.problem.sites()[site].name.clone(),
                have,
                asked: users,
            });
        }
        let (left, come) = (self.problem.areas()[from].users, self.problem.areas()[to].users);
        self.problem.set_users(from, left - users)?;
        self.problem
            .set_users(to, come + if from == to { 0 } else { users })?;
        if from == to {
            return self.problem.set_users(to, come);
        }
        self.proof.doubt(&self.problem);
        self.placement
            .remove(&self.problem, site, Batch { area: from, users });
        self.placement.disown(site, Batch { area: from, users });
        self.placement.own(site, Batch { area: to, users });
        if self.problem.late(to, site) < LEFT_OUT {
            self.placement.add(&self.problem, site, Batch { area: to, users });
        } else {
            self.placement.disown(site, Batch { area: to, users });
            greedy::place(&self.problem, &mut self.placement, Batch { area: to, users });
        }
        Ok(())
    }

    /// The latency between an area and a site is now `us` microseconds, or [`UNREACHABLE`](super::UNREACHABLE): then
    /// its users go elsewhere.
    pub fn set_latency(&mut self, area: usize, site: usize, us: u32) -> Result<(), ProblemError> {
        know("area", area, self.problem.areas().len())?;
        know("site", site, self.problem.sites().len())?;
        self.proof.doubt(&self.problem);
        self.placement
            .relate(&mut self.problem, (area, site), |problem| {
                problem.set_latency(area, site, us)
            })?;
        if us == super::UNREACHABLE {
            let users = self.placement.count(area, site);
            self.evict(site, Batch { area, users });
        }
        Ok(())
    }

    /// A site's capacity and existing load are now these; capacity 0 is a failed site. Those who no longer fit are
    /// evicted, the latest first, and placed elsewhere; [`Plan::left_out`] names those for whom there is no place.
    pub fn set_site(&mut self, site: usize, capacity: u32, load: u32) -> Result<(), ProblemError> {
        self.problem.set_site(site, capacity, load)?;
        self.placement.weigh(&self.problem, site);
        self.proof.doubt(&self.problem);
        let mut over = self
            .placement
            .host(site)
            .load
            .saturating_sub(self.problem.room(site));
        let mut evicted = Vec::new();
        for held in self.placement.host(site).held.iter().rev() {
            let users = held.users.min(over);
            over -= users;
            evicted.push(Batch {
                area: held.area as usize,
                users,
            });
            if over == 0 {
                break;
            }
        }
        for &batch in &evicted {
            self.placement.remove(&self.problem, site, batch);
            self.placement.disown(site, batch);
        }
        for batch in evicted {
            greedy::place(&self.problem, &mut self.placement, batch);
        }
        Ok(())
    }

    /// Improves the plan after changes by chains of moves, each worth its price.
    pub fn mend(&mut self, stop: &mut dyn FnMut() -> bool) {
        paths::improve(&self.problem, &mut self.placement, stop);
        self.cost = self.placement.excess(&self.problem);
    }

    fn evict(&mut self, site: usize, batch: Batch) {
        self.placement.remove(&self.problem, site, batch);
        self.placement.disown(site, batch);
        greedy::place(&self.problem, &mut self.placement, batch);
    }
}

/// A good placement of everybody: that of a smaller problem first, where the problem is large.
fn placed(problem: &Problem, stop: &mut dyn FnMut() -> bool) -> Placement {
    let mut placement = match Groups::of(problem) {
        Some(groups) => {
            let small = groups.merge(problem);
            groups.hand_down(problem, &placed(&small, stop))
        }
        None => Placement::empty(problem),
    };
    greedy::place_all(problem, &mut placement);
    polish(problem, &mut placement, stop);
    placement
}

fn polish(problem: &Problem, placement: &mut Placement, stop: &mut dyn FnMut() -> bool) {
    for _ in 0..SWEEPS {
        if !greedy::sweep(problem, placement, stop) {
            break;
        }
    }
    paths::improve(problem, placement, stop);
}

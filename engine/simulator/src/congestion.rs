//! Everybody at once: the congestion-aware program (5.4)-(5.9) over one moment of the traces, beside what everybody
//! for himself would choose (section 5.4.3).

use pacao_core::optimizer::group::{self, LoadLatency, Problem, ProblemError, Solver};
use proto::Span;

use crate::areas::Areas;
use crate::day::Control;
use crate::fabric::Fabric;
use crate::tally::Tally;
use crate::trace::Trace;

/// The moment at which everybody is placed at once, unless more are there at another.
const NOON: Span = Span::secs(12 * 3600);
/// Room of all data centres together, in users: "twice the bandwidth required to collect the portion of traffic in
/// case of equal traffic".
pub const ROOM: f64 = 2.0;
/// The gap of F at which the search ends, and which is always reached.
pub const GAP: f64 = 0.001;
/// Sub-groups of [`Congestion::grouped`]. The thesis does not say how many it takes.
pub const GROUPS: usize = 10;
/// So often the solver is let go on before its proof is taken as it is. A count and no time, so that the same seed
/// gives the same plan on any machine.
const PATIENCE: u64 = 20_000;

/// Where everybody goes at one moment.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Round trips with the latency that load adds, by users.
    pub rtt: Tally,
    /// Users at each data centre.
    pub users: Vec<u32>,
}

/// All ways to place a crowd.
#[derive(Clone, Debug)]
pub struct Congestion {
    /// Everybody enters by what is best for him, (5.1)-(5.3), as if he were alone.
    pub alone: Crowd,
    /// By (5.4)-(5.9).
    pub aware: Crowd,
    /// By (5.4)-(5.9) in [`GROUPS`] sub-groups one after the other, as the thesis does it: each finds those before it as
    /// load e^d, and none sees what it costs them, or who comes after it.
    pub grouped: Crowd,
    /// F of (5.4), and what no plan can be below.
    pub objective: f64,
    /// Proven.
    pub lower_bound: f64,
    /// (F - bound) / F.
    pub gap: f64,
    /// Users missing, and users over the capacity of a data centre: (5.5), (5.6).
    pub rules_broken: u64,
    /// C^d, users.
    pub capacity: u32,
}

impl Congestion {
    /// All ways, as files call them.
    pub fn ways(&self) -> [(&'static str, &Crowd); 3] {
        [
            ("alone", &self.alone),
            ("aware", &self.aware),
            ("groups", &self.grouped),
        ]
    }
}

/// Noon, or the first moment at which most users are somewhere if those are more than at noon.
pub fn busiest(traces: &[Trace]) -> Span {
    let there = |trace: &Trace| Some((trace.stays().first()?.from, trace.stays().last()?.to));
    let mut turns: Vec<(Span, i64)> = Vec::with_capacity(2 * traces.len());
    for (from, to) in traces.iter().filter_map(there) {
        turns.extend([(from, 1), (to, -1)]);
    }
    // Whoever goes is gone before others come at that moment.
    turns.sort_unstable();
    let at_noon: i64 = turns
        .iter()
        .filter(|turn| turn.0 <= NOON)
        .map(|turn| turn.1)
        .sum();
    let (mut users, mut most) = (0, (at_noon, NOON));
    for (at, turn) in turns {
        users += turn;
        if users > most.0 {
            most = (users, at);
        }
    }
    most.1
}

/// The area of each user who is somewhere at `moment`, in the order of `traces`.
pub fn present(traces: &[Trace], moment: Span) -> Vec<u32> {
    let here = |trace: &Trace| {
        let mut stays = trace.stays().iter();
        let stay = stays.find(|stay| stay.from <= moment && moment < stay.to)?;
        Some(stay.area)
    };
    traces.iter().filter_map(here).collect()
}

/// Places users who are in these areas, one an entry, on the fabric; `bound_us` is L of (5.9).
pub fn place(
    (areas, users): (&Areas, &[u32]),
    fabric: &Fabric,
    bound_us: u32,
    control: &Control<'_>,
) -> Result<Congestion, ProblemError> {
    let square = Square::new((areas, users), fabric, bound_us);
    let weights = square.weights(users);
    let mut solver = Solver::new(square.problem(&weights, &vec![0; fabric.dcs().len()])?);
    solver.place(&mut || control.is_stopped());
    let mut asked = 0;
    solver.prove(GAP, &mut || {
        asked += 1;
        asked > PATIENCE || control.is_stopped()
    });
    let plan = solver.plan();
    let aware = square.crowd(&plan.counts);
    Ok(Congestion {
        rules_broken: square.broken(users.len(), &aware),
        alone: square.crowd(&square.nearest(&weights)),
        grouped: square.crowd(&square.in_groups(users, control)?),
        aware,
        objective: plan.objective,
        lower_bound: plan.lower_bound,
        gap: plan.gap,
        capacity: square.capacity,
    })
}

/// What stays the same however users are placed.
struct Square<'a> {
    areas: &'a Areas,
    fabric: &'a Fabric,
    /// Areas with users in them: others would only be looked at in vain.
    peopled: Vec<u32>,
    curve: LoadLatency,
    /// C^d.
    capacity: u32,
    bound_us: u32,
}

impl<'a> Square<'a> {
    fn new((areas, users): (&'a Areas, &[u32]), fabric: &'a Fabric, bound_us: u32) -> Self {
        let mut peopled = users.to_vec();
        peopled.sort_unstable();
        peopled.dedup();
        let share = ROOM * users.len() as f64 / fabric.dcs().len() as f64;
        Self {
            areas,
            fabric,
            peopled,
            curve: LoadLatency::figure_5_17(),
            capacity: share.ceil().max(1.0) as u32,
            bound_us,
        }
    }

    /// How many of these users are in each of the peopled areas.
    fn weights(&self, users: &[u32]) -> Vec<u32> {
        let mut weights = vec![0; self.peopled.len()];
        for area in users {
            if let Ok(row) = self.peopled.binary_search(area) {
                weights[row] += 1;
            }
        }
        weights
    }

    /// The program for `weights`, beside users who are at each data centre already.
    fn problem(&self, weights: &[u32], loads: &[u32]) -> Result<Problem, ProblemError> {
        let areas = self
            .peopled
            .iter()
            .zip(weights)
            .map(|(&area, &users)| group::Area {
                name: self.areas.all()[area as usize].name.clone(),
                users,
            });
        let sites = self
            .fabric
            .dcs()
            .iter()
            .zip(loads)
            .map(|(dc, &load)| group::Site {
                name: dc.name.clone(),
                capacity: self.capacity,
                load,
            });
        let legs = |&area: &u32| (0..loads.len()).map(move |dc| self.fabric.leg(area, dc));
        let latencies: Vec<u32> = self.peopled.iter().flat_map(legs).collect();
        let curve = self.curve.clone();
        Problem::new(areas.collect(), sites.collect(), &latencies, curve, self.bound_us)
    }

    /// Sub-groups placed one after the other; who finds no place is missing.
    fn in_groups(&self, users: &[u32], control: &Control<'_>) -> Result<Vec<u32>, ProblemError> {
        let columns = self.fabric.dcs().len();
        let mut counts = vec![0; self.peopled.len() * columns];
        for group in users.chunks(users.len().div_ceil(GROUPS).max(1)) {
            let loads = self.crowd(&counts).users;
            let mut solver = Solver::new(self.problem(&self.weights(group), &loads)?);
            solver.place(&mut || control.is_stopped());
            for (all, placed) in counts.iter_mut().zip(solver.plan().counts) {
                *all += placed;
            }
        }
        Ok(counts)
    }

    /// Everybody at his nearest data centre: a row an area, a column a data centre.
    fn nearest(&self, weights: &[u32]) -> Vec<u32> {
        let columns = self.fabric.dcs().len();
        let mut counts = vec![0; self.peopled.len() * columns];
        for (row, (&area, &users)) in self.peopled.iter().zip(weights).enumerate() {
            let best = (0..columns).min_by_key(|&dc| self.fabric.leg(area, dc));
            counts[row * columns + best.unwrap_or(0)] = users;
        }
        counts
    }

    fn crowd(&self, counts: &[u32]) -> Crowd {
        let columns = self.fabric.dcs().len();
        let mut users = vec![0; columns];
        for row in counts.chunks_exact(columns) {
            for (all, count) in users.iter_mut().zip(row) {
                *all += count;
            }
        }
        let mut rtt = Tally::default();
        for (row, &area) in counts.chunks_exact(columns).zip(&self.peopled) {
            for (dc, &count) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
                let congested = self.curve.at(users[dc], self.capacity);
                let seen = self.fabric.leg(area, dc).saturating_add(congested);
                rtt.weigh(seen, u64::from(count));
            }
        }
        Crowd { rtt, users }
    }

    /// Users missing, and users over the capacity of a data centre.
    fn broken(&self, all: usize, crowd: &Crowd) -> u64 {
        let placed: u64 = crowd.users.iter().map(|&count| u64::from(count)).sum();
        let over = |&count: &u32| u64::from(count.saturating_sub(self.capacity));
        placed.abs_diff(all as u64) + crowd.users.iter().map(over).sum::<u64>()
    }
}

impl Crowd {
    /// The fullest data centre, in shares of `capacity`.
    pub fn fullest(&self, capacity: u32) -> f64 {
        let most = self.users.iter().copied().max().unwrap_or(0);
        f64::from(most) / f64::from(capacity.max(1))
    }

    /// How unevenly users are spread: Gini's coefficient, 0 (all alike) to 1.
    pub fn unevenness(&self) -> f64 {
        let mut users: Vec<u64> = self.users.iter().map(|&count| u64::from(count)).collect();
        users.sort_unstable();
        let (n, total) = (users.len() as f64, users.iter().sum::<u64>() as f64);
        if total <= 0.0 {
            return 0.0;
        }
        let ranked: f64 = users
            .iter()
            .enumerate()
            .map(|(at, &count)| (at as f64 + 1.0) * count as f64)
            .sum();
        2.0 * ranked / (n * total) - (n + 1.0) / n
    }
}

#[cfg(test)]
mod tests;

//! Everybody at once: the congestion-aware program (5.4)-(5.9) over one moment of the traces, beside what everybody
//! for himself would choose (section 5.4.3).

use pacao_core::optimizer::group::{self, LoadLatency, Problem, ProblemError, Solver};
use proto::Span;

use crate::areas::Areas;
use crate::day::Control;
use crate::fabric::Fabric;
use crate::tally::Tally;
use crate::trace::Trace;

/// Room of all data centres together, in users: "twice the bandwidth required to collect the portion of traffic in
/// case of equal traffic".
pub const ROOM: f64 = 2.0;
/// The gap of F at which the search ends.
pub const GAP: f64 = 0.001;
/// The gap of F that is always reached.
pub const PROVEN: f64 = 0.002;
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

/// Both ways to place a crowd.
#[derive(Clone, Debug)]
pub struct Congestion {
    /// Everybody enters by what is best for him, (5.1)-(5.3), as if he were alone.
    pub alone: Crowd,
    /// By (5.4)-(5.9).
    pub aware: Crowd,
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

/// Users in each area at `moment`.
pub fn present(areas: &Areas, traces: &[Trace], moment: Span) -> Vec<u32> {
    let mut users = vec![0; areas.all().len()];
    for trace in traces {
        let here = trace
            .stays()
            .iter()
            .find(|stay| stay.from <= moment && moment < stay.to);
        if let Some(stay) = here {
            users[stay.area as usize] += 1;
        }
    }
    users
}

/// Places the users of each area on the fabric; `bound_us` is L of (5.9).
pub fn place(
    areas: &Areas,
    users: &[u32],
    fabric: &Fabric,
    bound_us: u32,
    control: &Control<'_>,
) -> Result<Congestion, ProblemError> {
    let all: u64 = users.iter().map(|&count| u64::from(count)).sum();
    let capacity = (ROOM * all as f64 / fabric.dcs().len() as f64).ceil().max(1.0) as u32;
    // Areas without anybody would only be looked at in vain.
    let peopled: Vec<u32> = (0_u32..)
        .zip(users)
        .filter(|(_, count)| **count > 0)
        .map(|(area, _)| area)
        .collect();
    let curve = LoadLatency::figure_5_17();
    let problem = Problem::new(
        peopled
            .iter()
            .map(|&area| group::Area {
                name: areas.all()[area as usize].name.clone(),
                users: users[area as usize],
            })
            .collect(),
        fabric
            .dcs()
            .iter()
            .map(|dc| group::Site {
                name: dc.name.clone(),
                capacity,
                load: 0,
            })
            .collect(),
        &peopled
            .iter()
            .flat_map(|&area| (0..fabric.dcs().len()).map(move |dc| fabric.leg(area, dc)))
            .collect::<Vec<u32>>(),
        curve.clone(),
        bound_us,
    )?;
    let mut solver = Solver::new(problem);
    solver.place(&mut || control.is_stopped());
    let mut asked = 0;
    solver.prove(GAP, &mut || {
        asked += 1;
        asked > PATIENCE || control.is_stopped()
    });
    let plan = solver.plan();
    let missing: u64 = plan.left_out.iter().map(|left| u64::from(left.users)).sum();
    let aware = Crowd::new(fabric, &peopled, &plan.counts, (&curve, capacity));
    let placed: u64 = aware.users.iter().map(|&count| u64::from(count)).sum();
    let over: u64 = aware
        .users
        .iter()
        .map(|&count| u64::from(count.saturating_sub(capacity)))
        .sum();
    Ok(Congestion {
        alone: Crowd::new(
            fabric,
            &peopled,
            &nearest(fabric, &peopled, users),
            (&curve, capacity),
        ),
        aware,
        objective: plan.objective,
        lower_bound: plan.lower_bound,
        gap: plan.gap,
        rules_broken: missing + placed.abs_diff(all) + over,
        capacity,
    })
}

/// Everybody at his nearest data centre: a row an area, a column a data centre.
fn nearest(fabric: &Fabric, peopled: &[u32], users: &[u32]) -> Vec<u32> {
    let columns = fabric.dcs().len();
    let mut counts = vec![0; peopled.len() * columns];
    for (row, &area) in peopled.iter().enumerate() {
        let best = (0..columns).min_by_key(|&dc| fabric.leg(area, dc)).unwrap_or(0);
        counts[row * columns + best] = users[area as usize];
    }
    counts
}

impl Crowd {
    fn new(fabric: &Fabric, peopled: &[u32], counts: &[u32], (curve, capacity): (&LoadLatency, u32)) -> Self {
        let columns = fabric.dcs().len();
        let mut users = vec![0; columns];
        for row in counts.chunks_exact(columns) {
            for (all, count) in users.iter_mut().zip(row) {
                *all += count;
            }
        }
        let mut rtt = Tally::default();
        for (row, &area) in counts.chunks_exact(columns).zip(peopled) {
            for (dc, &count) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
                let congested = curve.at(users[dc], capacity);
                rtt.weigh(fabric.leg(area, dc).saturating_add(congested), u64::from(count));
            }
        }
        Self { rtt, users }
    }

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

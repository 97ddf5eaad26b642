//! Several paths for each of many users: (6.1)-(6.2) beside (5.4)-(5.9), with shares in place of places.
//!
//! What T_u is defined on is a [`Reading`]. By the worst path used, a user pays for each of his paths at least what that
//! path costs alone; and at fixed whole loads to place users one path each is a transportation problem, whose best plan
//! needs no fractions. So a plan of single paths is a plan of [`Reading::Worst`] that only loads between two whole
//! numbers could better, and those are in the bound: such a load is at least as slow as one user less.
//!
//! By the averaged latency a path in time makes up for one that is late: areas pool what they have (T_u is convex, so users
//! of one area do best with the same shares). Where everybody is late on all paths, the sum is linear in shares, and nothing
//! is gained. Loads are in hundredths of a user, and f is a straight line between two whole numbers of users.
//!
//! | module | what it does |
//! |---|---|
//! | `pool` | shares, and what they cost: moves between loads, swaps at loads |
//! | `stall` | a site's best choice over every load, where areas pay for part of their lateness |
//! | `lift` | the Lagrangian bound of averages, raised by the bundle |

mod lift;
mod pool;
mod stall;

use lift::Lift;
use pool::Pool;

use super::placement::Placement;
use super::problem::Problem;
use super::solver::Solver;
use crate::optimizer::multipath::{Reading, weights};

/// Shares are in hundredths of a user, as weights of locators are.
pub const HUNDRED: u32 = 100;

/// Steps of multipliers between two looks for better shares.
const STEPS: u32 = 25;
/// Shares that cost at most so many parts of the best known are looked at more closely.
const NEAR: (i64, i64) = (11, 10);

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

/// Shares, the excess in hundredths of a microsecond rounded up, the bound in microseconds rounded down.
fn averaged(solver: &Solver, counts: &[u32], stop: &mut dyn FnMut() -> bool) -> (Vec<u32>, i64, i64) {
    let problem = solver.problem();
    let mut best = Pool::new(problem, counts);
    best.improve(None, stop);
    let (delays, worth) = solver.slots();
    let mut lift = Lift::new(problem, &delays, &worth);
    let fine = i64::from(HUNDRED);
    let enough = |lift: &Lift, best: &Pool| lift.bound_us() >= best.excess() / (fine * fine);
    while !enough(&lift, &best) && !stop() {
        for _ in 0..STEPS {
            lift.step(best.excess());
            if enough(&lift, &best) || stop() {
                break;
            }
        }
        if let Some(mut other) = Pool::outlined(problem, &lift.outline()) {
            other.improve(Some(&lift.best().late), stop);
            if other.excess() < best.excess() / NEAR.1 * NEAR.0 {
                other.improve(None, stop);
            }
            if other.excess() < best.excess() {
                best = other;
            }
        }
    }
    let shares = best.shares().iter().map(|&share| share as u32).collect();
    let excess = best.excess();
    (
        shares,
        excess / fine + i64::from(excess % fine > 0),
        lift.bound_us(),
    )
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
        Reading::Averaged => averaged(solver, &plan.counts, stop),
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

impl Solver {
    /// The same plan where sites are as fast as with one user less.
    fn lighter(&self) -> Self {
        let lighter = self.problem().lighter();
        let placement = Placement::like(&lighter, self.counts());
        Self::of(lighter, placement)
    }
}

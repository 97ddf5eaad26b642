//! Many users at once, congestion-aware: the program (5.4)-(5.9) of the thesis, section 5.4.3, with a proof.
//!
//! Users of one area see all data centres alike, so a plan is how many of each area each data centre serves, and
//! the program is
//!
//! ```text
//! min F = sum_u T_u = |U| + E / L,   E = sum_jd x_jd max(0, l_jd + f_d(k_d) - L),   k_d = sum_j x_jd
//! sum_d x_jd = w_j,   k_d + e_d <= C_d,   x whole
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `problem` | areas, sites, latencies, f: checked |
//! | `placement` | counts x_jd, and the exact price of any change |
//! | `greedy` | a first placement in order of regret; single moves |
//! | `coarse` | a start from a smaller problem like it |
//! | `paths` | chains and circles of moves on the graph of sites |
//! | `ruin` | leaves local optima |
//! | `dual`, `offer` | prices, and the bound they prove |
//! | `tree` | the bound of all plans: parted by loads where prices cannot choose |
//! | `bundle` | which prices to try next, and a plan in outline |
//! | `solver` | search and proof in turn; changes while it runs |
//! | `shared` | several paths for each user, (6.1)-(6.2) |
//! | `plan` | what comes out |

mod bundle;
mod coarse;
mod dual;
mod greedy;
mod offer;
mod paths;
mod placement;
mod plan;
mod problem;
mod ruin;
mod shared;
mod solver;
mod tree;

pub use plan::{Badge, LeftOut, Plan};
pub use problem::{Area, Crowding, LoadLatency, Problem, ProblemError, Site, UNREACHABLE};
pub use shared::{HUNDRED, Shares, share};
pub use solver::Solver;

/// Places everybody and proves how good that is, until the gap of F is at most `gap` or `stop` says so.
pub fn solve(problem: Problem, gap: f64, stop: &mut dyn FnMut() -> bool) -> Plan {
    let mut solver = Solver::new(problem);
    solver.place(stop);
    solver.prove(gap, stop);
    solver.plan()
}

#[cfg(test)]
mod tests;

//! What comes out: who goes where, what it costs, and what no plan can do better than.

use std::time::Duration;

use super::problem::{LEFT_OUT, Problem};

/// A plan and its proof.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Users by area and site: a row an area, a column a site. Rows sum to the area's users less those left out.
    pub counts: Vec<u32>,
    /// Areas some of whose users have no place, and how many.
    pub left_out: Vec<LeftOut>,
    /// F = sum T_u of (5.4) over those placed, T_u = max(1, latency / L).
    pub objective: f64,
    /// No plan that leaves as many users out has a lesser F.
    pub lower_bound: f64,
    /// (F - bound) / F.
    pub gap: f64,
    /// F less the users placed, exactly: the microseconds by which all together are over L. All that any plan
    /// could improve.
    pub excess_us: u64,
    /// The excess that no plan can avoid, microseconds; proven in whole numbers.
    pub excess_bound_us: u64,
}

/// Users without a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The area's name.
    pub area: String,
    /// How many of its users.
    pub users: u32,
}

/// How good a plan is known to be, as shown beside it (the optimality badge).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Badge {
    /// F of (5.4).
    pub objective: f64,
    /// No plan that leaves as many users out has a lesser F.
    pub lower_bound: f64,
    /// (F - bound) / F.
    pub gap: f64,
    /// Whether no plan is better, to the microsecond.
    pub optimal: bool,
    /// What finding and proving it took, as the caller measured: this crate has no clock.
    pub spent: Duration,
    /// Users who would be served just as well at another site, F unchanged: how free the choice was.
    pub ties: u64,
}

impl Plan {
    /// The excess in units of T.
    pub fn excess(&self, problem: &Problem) -> f64 {
        self.excess_us as f64 / f64::from(problem.bound_us())
    }

    /// Whether the bound meets it: no plan is better, to the microsecond.
    pub fn is_optimal(&self) -> bool {
        self.excess_us == self.excess_bound_us
    }

    /// (excess - its bound) / excess; 0 where there is no excess.
    pub fn excess_gap(&self) -> f64 {
        if self.excess_us == 0 {
            return 0.0;
        }
        (self.excess_us as f64 - self.excess_bound_us as f64) / self.excess_us as f64
    }

    /// From counts with the column of those left out, and costs with their weight in.
    pub(super) fn new(problem: &Problem, counts: &[u32], (cost, bound): (i64, i64)) -> Self {
        let columns = problem.columns();
        let mut left_out = Vec::new();
        let mut kept = Vec::with_capacity(problem.areas().len() * problem.sites().len());
        for (row, area) in counts.chunks_exact(columns).zip(problem.areas()) {
            let (at_sites, nowhere) = row.split_at(problem.nowhere());
            kept.extend_from_slice(at_sites);
            if let Some(&users) = nowhere.first().filter(|&&users| users > 0) {
                let area = area.name.clone();
                left_out.push(LeftOut { area, users });
            }
        }
        let out: u64 = left_out.iter().map(|left| u64::from(left.users)).sum();
        let weight = out.cast_signed() * i64::from(LEFT_OUT);
        let excess_us = (cost - weight).max(0) as u64;
        let excess_bound_us = (bound - weight).max(0) as u64;
        let placed = (problem.users() - out) as f64;
        let unit = f64::from(problem.bound_us());
        let objective = placed + excess_us as f64 / unit;
        let lower_bound = placed + excess_bound_us as f64 / unit;
        let gap = if objective > 0.0 {
            (objective - lower_bound) / objective
        } else {
            0.0
        };
        Self {
            counts: kept,
            left_out,
            objective,
            lower_bound,
            gap,
            excess_us,
            excess_bound_us,
        }
    }
}

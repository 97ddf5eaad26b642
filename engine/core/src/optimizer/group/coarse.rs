//! A smaller problem like a large one: areas that see the sites alike become one. Its plan, handed down, is a
//! start near the optimum, reached with moves of many users at a time.

use super::placement::{Batch, Placement};
use super::problem::Problem;

/// Groups for each site, and in all, that keep the picture sharp enough.
const GROUPS_A_SITE: usize = 4;
const GROUPS: usize = 256;
/// Merging fewer areas than this into one is not worth the trouble.
const WORTH: usize = 3;

/// Areas of the large problem, group by group.
pub(super) struct Groups(Vec<Vec<usize>>);

impl Groups {
    /// Of areas with the same nearest sites; `None` if the problem is small.
    pub(super) fn of(problem: &Problem) -> Option<Self> {
        let target = (GROUPS_A_SITE * problem.sites().len()).max(GROUPS);
        if problem.areas().len() < WORTH * target {
            return None;
        }
        let mut order: Vec<_> = (0..problem.areas().len())
            .map(|area| (nearest(problem.row(area)), area))
            .collect();
        order.sort_unstable();
        let share = problem.users().div_ceil(target as u64);
        let mut groups: Vec<Vec<usize>> = Vec::with_capacity(2 * target);
        let (mut users, mut before) = (share, None);
        for ((sites, _), area) in order {
            if users >= share || before != Some(sites[0]) {
                groups.push(Vec::new());
                users = 0;
            }
            if let Some(group) = groups.last_mut() {
                group.push(area);
            }
            users += u64::from(problem.areas()[area].users);
            before = Some(sites[0]);
        }
        Some(Self(groups))
    }

    /// The problem with each group as one area, as far from each site as its users are on average.
    pub(super) fn merge(&self, problem: &Problem) -> Problem {
        let merged = self.0.iter().map(|group| {
            let mut row = vec![0_i64; problem.columns()];
            let mut users = 0;
            for &area in group {
                let here = i64::from(problem.areas()[area].users);
                users += here;
                for (sum, &late) in row.iter_mut().zip(problem.row(area)) {
                    *sum += i64::from(late) * here;
                }
            }
            let mean = |sum: i64| (sum / users.max(1)) as i32;
            (users as u32, row.into_iter().map(mean).collect())
        });
        problem.with_areas(merged.collect())
    }

    /// Shares out what each group has at each site among its areas, each area to where it loses least.
    pub(super) fn hand_down(&self, problem: &Problem, plan: &Placement) -> Placement {
        let mut placement = Placement::empty(problem);
        let mut choices = Vec::new();
        for (at, group) in self.0.iter().enumerate() {
            let mut quota = plan.counts_of(at).to_vec();
            choices.clear();
            for &area in group {
                let each = problem
                    .row(area)
                    .iter()
                    .zip(plan.delays())
                    .zip(&quota)
                    .enumerate();
                let open = each.filter(|(_, (_, quota))| **quota > 0);
                let costs = open.map(|(column, ((late, delay), _))| ((late + delay).max(0), column));
                let least = costs.clone().map(|(cost, _)| cost).min().unwrap_or(0);
                choices.extend(costs.map(|(cost, column)| (cost - least, area, column)));
            }
            choices.sort_unstable();
            for &(_, area, column) in &choices {
                let placed: u32 = placement.counts_of(area).iter().sum();
                let users = (problem.areas()[area].users - placed).min(quota[column]);
                quota[column] -= users;
                placement.add(problem, column, Batch { area, users });
            }
        }
        placement
    }
}

/// The three nearest sites, and how late the first is.
fn nearest(row: &[i32]) -> ([usize; 3], i32) {
    let mut best = [(i32::MAX, usize::MAX); 3];
    for (column, &late) in row.iter().enumerate() {
        let mut next = (late, column);
        for best in &mut best {
            if next < *best {
                std::mem::swap(best, &mut next);
            }
        }
    }
    (best.map(|(_, column)| column), best[0].0)
}

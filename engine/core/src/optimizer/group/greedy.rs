//! A first placement, and moves of one area at a time.

use super::placement::{Batch, NO_ROOM, Placement};
use super::problem::Problem;

/// An area is placed in so many pieces, so that a large one may spread.
const PIECES: u32 = 3;

/// Places everybody who is not placed, the areas with most to lose first.
pub(super) fn place_all(problem: &Problem, placement: &mut Placement) {
    for area in by_regret(problem) {
        let placed: u32 = placement.counts_of(area).iter().sum();
        let users = problem.areas()[area].users.saturating_sub(placed);
        place(problem, placement, Batch { area, users });
    }
}

/// Places users where they add least.
pub(super) fn place(problem: &Problem, placement: &mut Placement, batch: Batch) {
    let mut rest = batch.users;
    let piece = batch.users.div_ceil(PIECES);
    while rest > 0 {
        let users = piece.min(rest);
        let part = Batch { users, ..batch };
        let (column, users) =
            cheapest(problem, placement, part, None).map_or((problem.nowhere(), users), |b| (b.0, b.1));
        placement.add(problem, column, Batch { users, ..batch });
        rest -= users;
    }
}

/// Takes users from where that saves most.
pub(super) fn withdraw(problem: &Problem, placement: &mut Placement, batch: Batch) {
    let mut rest = batch.users;
    while rest > 0 {
        let dearest = (0..problem.columns())
            .filter_map(|column| {
                let users = placement.count(batch.area, column).min(rest);
                let part = Batch { users, ..batch };
                (users > 0).then(|| {
                    let saved = -placement.change(problem, column, Some(part), None);
                    (saved / i64::from(users), std::cmp::Reverse(column), users)
                })
            })
            .max();
        let Some((_, column, users)) = dearest else { return };
        placement.remove(problem, column.0, Batch { users, ..batch });
        rest -= users;
    }
}

/// The column where the batch, or as much of it as there is room for, adds least a user; how many; what they add.
fn cheapest(
    problem: &Problem,
    placement: &Placement,
    batch: Batch,
    but: Option<usize>,
) -> Option<(usize, u32, i64)> {
    // One user's own cost and what he adds for the others: f being convex, no user of a batch adds less.
    let row = problem.row(batch.area).iter();
    let each = row.zip(placement.delays()).zip(placement.burdens());
    let least = |((late, delay), burden): ((&i32, &i32), &i64)| i64::from((late + delay).max(0)) + burden;
    let mut best: Option<(usize, u32, i64)> = None;
    let mut ceiling = NO_ROOM;
    let mut consider = |column: usize, ceiling: &mut i64| {
        let users = batch.users.min(placement.free(problem, column));
        if users == 0 || Some(column) == but {
            return;
        }
        let added = placement.change(problem, column, None, Some(Batch { users, ..batch }));
        if best.is_none_or(|(_, n, dear)| added * i64::from(n) < dear * i64::from(users)) {
            best = Some((column, users, added));
            *ceiling = added.div_euclid(i64::from(users)) + 1;
        }
    };
    let first = each
        .clone()
        .map(least)
        .enumerate()
        .map(|(column, cost)| {
            if Some(column) == but {
                (NO_ROOM, column)
            } else {
                (cost, column)
            }
        })
        .min()?
        .1;
    consider(first, &mut ceiling);
    for (column, cost) in each.map(least).enumerate() {
        if cost < ceiling && column != first {
            consider(column, &mut ceiling);
        }
    }
    best
}

/// Areas by how much their second choice costs more than their first, at loads evenly shared.
fn by_regret(problem: &Problem) -> Vec<usize> {
    let room: u64 = problem.sites().iter().map(|site| u64::from(site.room())).sum();
    let users = problem.users();
    let fair: Vec<i32> = (0..problem.nowhere())
        .map(|d| {
            let share = u64::from(problem.room(d)) * users / room.max(1);
            problem.delay(d, u32::try_from(share).unwrap_or(u32::MAX))
        })
        .collect();
    let mut order: Vec<_> = (0..problem.areas().len())
        .map(|area| {
            let (mut first, mut second, mut in_time) = (i32::MAX, i32::MAX, 0_usize);
            for (&late, delay) in problem.row(area).iter().zip(&fair) {
                let cost = (late + delay).max(0);
                in_time += usize::from(cost == 0);
                second = second.min(cost.max(first));
                first = first.min(cost);
            }
            (
                std::cmp::Reverse(i64::from(second) - i64::from(first)),
                in_time,
                area,
            )
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, _, area)| area).collect()
}

/// Moves areas, whole or in part, from one site to another as long as that helps; one pass. Whether it did.
pub(super) fn sweep(problem: &Problem, placement: &mut Placement, stop: &mut dyn FnMut() -> bool) -> bool {
    let mut helped = false;
    for area in 0..problem.areas().len() {
        if area % 64 == 0 && stop() {
            break;
        }
        for column in 0..problem.columns() {
            helped |= relocate(problem, placement, area, column);
        }
    }
    helped
}

fn relocate(problem: &Problem, placement: &mut Placement, area: usize, from: usize) -> bool {
    let mut users = placement.count(area, from);
    let mut helped = false;
    while users > 0 {
        let batch = Batch { area, users };
        let saved = -placement.change(problem, from, Some(batch), None);
        let worth = saved > 0;
        let to = worth
            .then(|| cheapest(problem, placement, batch, Some(from)))
            .flatten();
        match to {
            Some((to, n, added)) if n == users && added < saved => {
                placement.remove(problem, from, batch);
                placement.add(problem, to, batch);
                helped = true;
                users = placement.count(area, from);
            }
            _ => users /= 4,
        }
    }
    helped
}

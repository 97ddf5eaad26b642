//! Empties a few neighbouring sites and fills them again, to leave a local optimum; keeps what is better.

use super::greedy;
use super::paths;
use super::placement::{Batch, Placement};
use super::problem::Problem;

/// Attempts of one call.
const ATTEMPTS: u32 = 6;
/// Sites emptied together.
const SITES: usize = 3;
/// Of four users of an emptied site, so many are placed anew.
const QUARTERS: u32 = 2;

/// Tries a few parts; `chance` is the state of the generator that picks them.
pub(super) fn rebuild(
    problem: &Problem,
    placement: &mut Placement,
    chance: &mut u64,
    stop: &mut dyn FnMut() -> bool,
) {
    for _ in 0..ATTEMPTS {
        if stop() {
            return;
        }
        let mut other = placement.clone();
        let taken = empty(problem, &mut other, chance);
        for batch in taken {
            greedy::place(problem, &mut other, batch);
        }
        paths::improve(problem, &mut other, stop);
        if other.excess(problem) < placement.excess(problem) {
            *placement = other;
        }
    }
}

fn empty(problem: &Problem, placement: &mut Placement, chance: &mut u64) -> Vec<Batch> {
    let sites = problem.sites().len();
    let first = below(chance, sites);
    let mut near: Vec<usize> = (0..sites).collect();
    // Near is what those at the first site could reach next best.
    let mut far = vec![0_i64; sites];
    for held in &placement.host(first).held {
        for (far, late) in far.iter_mut().zip(problem.row(held.area as usize)) {
            *far += i64::from(*late) * i64::from(held.users);
        }
    }
    far[first] = i64::MIN;
    near.sort_unstable_by_key(|&site| far[site]);
    let mut taken = Vec::new();
    for &site in near.iter().take(SITES) {
        let held = placement.host(site).held.clone();
        for held in held {
            if below(chance, 4) < QUARTERS as usize {
                let batch = Batch {
                    area: held.area as usize,
                    users: held.users,
                };
                placement.remove(problem, site, batch);
                taken.push(batch);
            }
        }
    }
    for at in (1..taken.len()).rev() {
        taken.swap(at, below(chance, at + 1));
    }
    taken
}

/// A number below `end`, by xorshift.
pub(super) fn below(chance: &mut u64, end: usize) -> usize {
    *chance ^= *chance << 13;
    *chance ^= *chance >> 7;
    *chance ^= *chance << 17;
    (*chance >> 16) as usize % end.max(1)
}

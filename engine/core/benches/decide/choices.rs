//! Users with figures around their bounds, and how long (5.1)-(5.3) take for each.

use std::hint::black_box;

use pacao_core::optimizer::{Class, choose, criteria};

/// Decisions timed together.
const USERS: usize = 4096;

/// Seconds a decision with four criteria, by `clock`.
pub(crate) fn four_criteria(sites: usize, clock: impl Fn() -> f64) -> f64 {
    let bound = [100_000, 30_000, 20_000, 500_000];
    seconds_each(&Class::new([0.4, 0.2, 0.2, 0.2], bound), bound, sites, clock)
}

/// As [`four_criteria`], with every criterion the engine knows and two of them enforced.
pub(crate) fn all_criteria(sites: usize, clock: impl Fn() -> f64) -> f64 {
    let bound: criteria::Measures = [
        100_000, 30_000, 20_000, 5_000, 1_000_000, 1_000_000, 900_000, 40_000, 3_000,
    ];
    let class = Class::new([0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05], bound)
        .enforcing(4)
        .enforcing(5);
    seconds_each(&class, bound, sites, clock)
}

fn seconds_each<const K: usize>(
    class: &Class<K>,
    bound: [u32; K],
    sites: usize,
    clock: impl Fn() -> f64,
) -> f64 {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut around = |most: u32| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        ((seed >> 33) % (u64::from(most) * 2)) as u32
    };
    let users: Vec<Vec<Option<[u32; K]>>> = (0..USERS)
        .map(|_| (0..sites).map(|_| Some(bound.map(&mut around))).collect())
        .collect();
    let begun = clock();
    for (present, candidates) in users.iter().enumerate() {
        black_box(choose(class, black_box(candidates), Some(present % sites)));
    }
    (clock() - begun) / USERS as f64
}

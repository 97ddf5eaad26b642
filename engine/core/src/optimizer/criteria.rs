//! The criteria of (5.1)-(5.3), k in K, in a fixed order and as integers, so that equal figures compare equal.
//!
//! Of all of them less is better: availability is held as its complement, and what is left of a resource as the
//! share that would be taken of it, for `m <= M T` with M what is left is `m / M <= 1 T`.

use proto::proposal::Criterion;

use super::Class;
use crate::config::Sla;

/// How many there are.
pub const K: usize = 9;

/// One figure for each of [`CRITERIA`]: RTT and jitter in microseconds, shares in parts per million, cost and price
/// in thousandths. A criterion that does not apply is 0 and costs nothing.
pub type Measures = [u32; K];

/// In the order of [`Measures`].
pub const CRITERIA: [Criterion; K] = [
    Criterion::Rtt,
    Criterion::Jitter,
    Criterion::Loss,
    Criterion::Unavailability,
    Criterion::Ram,
    Criterion::Cpu,
    Criterion::Capacity,
    Criterion::IsisCost,
    Criterion::Price,
];

/// The first so many are measured of links; the others are known of data centres.
pub const LINK: usize = 4;

/// The place in [`CRITERIA`] of the memory a VM takes.
pub const RAM: usize = at(Criterion::Ram);
/// That of the processors a VM takes.
pub const CPU: usize = at(Criterion::Cpu);
/// That of the users a data centre can take.
pub const CAPACITY: usize = at(Criterion::Capacity);
/// That of the IS-IS cost.
pub const ISIS_COST: usize = at(Criterion::IsisCost);
/// That of the price.
pub const PRICE: usize = at(Criterion::Price);

/// All of what there is.
pub const ALL: u32 = 1_000_000;

/// Its place in [`CRITERIA`]; `None` of what is no criterion of (5.1).
pub fn place(criterion: Criterion) -> Option<usize> {
    CRITERIA.iter().position(|&known| known == criterion)
}

/// The same while compiling, which stops at what is no criterion of (5.1).
const fn at(criterion: Criterion) -> usize {
    let mut k = 0;
    while CRITERIA[k] as usize != criterion as usize {
        k += 1;
    }
    k
}

/// Whether it is a time, milliseconds to people.
pub const fn is_time(k: usize) -> bool {
    matches!(CRITERIA[k], Criterion::Rtt | Criterion::Jitter)
}

/// How many of the integers make one of the unit people read.
fn scale(k: usize) -> f64 {
    match CRITERIA.get(k) {
        Some(
            Criterion::Loss
            | Criterion::Unavailability
            | Criterion::Ram
            | Criterion::Cpu
            | Criterion::Capacity,
        ) => 1e4,
        _ => 1e3,
    }
}

/// The figure of the k-th criterion in the unit of [`Criterion::unit`].
pub fn shown(k: usize, measured: u32) -> f64 {
    f64::from(measured) / scale(k)
}

/// The integer nearest to a figure in the unit of [`Criterion::unit`]; what does not fit is cut.
pub fn integer(k: usize, shown: f64) -> u32 {
    (shown * scale(k)).round().clamp(0.0, f64::from(u32::MAX)) as u32
}

/// `demand` as a share of what is `left`, parts per million, rounded up; without demand nothing, of nothing too much.
pub fn share(demand: u64, left: u64) -> u32 {
    let millionths = u128::from(demand) * u128::from(ALL);
    match left {
        _ if demand == 0 => 0,
        0 => u32::MAX,
        left => u32::try_from(millionths.div_ceil(u128::from(left))).unwrap_or(u32::MAX),
    }
}

/// An SLA class made ready for (5.1)-(5.3). A criterion that it does not name weighs nothing.
pub fn class_of(sla: &Sla) -> Class<K> {
    let mut alpha = [0.0; K];
    let mut bound = [u32::MAX; K];
    let own = [
        (sla.weights.rtt, sla.rtt_ms),
        (sla.weights.jitter, sla.jitter_ms),
        (sla.weights.loss, sla.loss_pct),
    ];
    for (k, (weight, most)) in own.into_iter().enumerate() {
        (alpha[k], bound[k]) = (weight, integer(k, most));
    }
    for (criterion, term) in &sla.terms.further {
        if let Some(k) = place(*criterion).filter(|&k| k >= own.len()) {
            (alpha[k], bound[k]) = (term.weight, integer(k, term.bound));
        }
    }
    let hard = sla.terms.hard.iter().filter_map(|&criterion| place(criterion));
    hard.fold(Class::new(alpha, bound), Class::enforcing)
}

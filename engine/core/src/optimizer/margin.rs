//! By how much a decision misses: the value of one figure from which on (5.1)-(5.3) decide otherwise.

use super::Class;

/// One figure and the value that flips a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Which criterion.
    pub k: usize,
    /// As measured.
    pub now: u32,
    /// The largest value with which the decision is the other one.
    pub at: u32,
}

/// The smallest change of one figure of `measured` that makes `decides` true, relative to the figure; `None` if no
/// single one does. `decides` is to be false of `measured`, and to stay true when a figure falls further.
pub fn flip<const N: usize>(
    class: &Class<N>,
    measured: &[u32; N],
    decides: impl Fn(&[u32; N]) -> bool,
) -> Option<Flip> {
    let with = |k: usize, value: u32| {
        let mut changed = *measured;
        changed[k] = value;
        decides(&changed)
    };
    (0..N)
        .filter(|&k| class.counts(k) && measured[k] > 0)
        .filter_map(|k| {
            let at = largest(measured[k] - 1, |value| with(k, value))?;
            Some(Flip {
                k,
                now: measured[k],
                at,
            })
        })
        // The largest share of it that may stay; of equal ones the first criterion.
        .min_by(|a, b| {
            let kept = |flip: &Flip| u64::from(flip.at) * 1_000_000 / u64::from(flip.now);
            kept(b).cmp(&kept(a)).then(a.k.cmp(&b.k))
        })
}

/// The largest number up to `most` of which `holds` is true, if it is true of all below it as well.
fn largest(most: u32, holds: impl Fn(u32) -> bool) -> Option<u32> {
    if !holds(0) {
        return None;
    }
    let (mut yes, mut no) = (0, u64::from(most) + 1);
    while u64::from(yes) + 1 < no {
        let middle = u64::midpoint(u64::from(yes), no) as u32;
        if holds(middle) {
            yes = middle;
        } else {
            no = u64::from(middle);
        }
    }
    Some(yes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::optimizer::choose;

    proptest! {
        /// N4: at the margin the program decides otherwise, and one unit before it does not.
        #[test]
        fn solving_again_at_the_margin_flips_the_decision(
            candidates in prop::collection::vec(
                (0..2_000_000_u32, 0..200_000_u32, 0..=1_000_000_u32).prop_map(|(a, b, c)| [a, b, c]), 2..8),
            bound in prop::array::uniform3(1000..200_000_u32),
            hard in prop::option::of(0..3_usize),
            to in 0..8_usize,
        ) {
            let class = Class::new([0.6, 0.2, 0.2], bound);
            let class = hard.map_or(class.clone(), |k| class.clone().enforcing(k));
            let to = to % candidates.len();
            let solve = |m: &[u32; 3]| {
                let mut changed: Vec<_> = candidates.iter().copied().map(Some).collect();
                changed[to] = Some(*m);
                choose(&class, &changed, Some(0)).is_some_and(|(best, _)| best == to)
            };
            prop_assume!(!solve(&candidates[to]));
            let Some(found) = flip(&class, &candidates[to], solve) else {
                // No single figure does it: not even at its best.
                for k in 0..3 {
                    let mut best = candidates[to];
                    best[k] = 0;
                    prop_assert!(!solve(&best));
                }
                return Ok(());
            };
            let mut at = candidates[to];
            at[found.k] = found.at;
            prop_assert!(solve(&at));
            at[found.k] += 1;
            prop_assert!(!solve(&at));
        }
    }
}

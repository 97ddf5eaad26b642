//! Several paths for one user: (6.1)-(6.2) of the thesis, section 6.2, with shares r^d in [0, 1] in place of one entry.
//!
//! Taken literally, `l + l_u <= L T_u` wherever r > 0 with the single path's big-M rows lets any share, however large,
//! be free: the program claims far below what users see. So T_u is defined on one of two [`Reading`]s. For one user with
//! paths of known latency both are solved exactly by filling the fastest path first: share moved from a slower path to
//! a faster one lowers the average and never makes the worst path worse.

/// What T_u of (6.1)-(6.2) is defined on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The latency averaged over the shares: `T_u = max(1, sum_d r^d l^d / L)`. What bulk transfers feel; a path in time
    /// makes up for one that is late.
    Averaged,
    /// The worst path that carries anything: `T_u = max(1, max_(r^d > 0) l^d / L)`. What a flow over in-order subflows,
    /// or a user whose flows are hashed onto paths, feels at worst.
    Worst,
}

/// All of a user's traffic, in the unit of shares: millionths.
pub const WHOLE: u32 = 1_000_000;

/// A path that a user could take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Latency, load included, microseconds.
    pub latency_us: u32,
    /// The most of the user's traffic that it may carry, millionths.
    pub most: u32,
}

/// How a user's traffic is split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Millionths on each path; they sum to [`WHOLE`].
    pub shares: Vec<u32>,
    /// The latency that T_u is defined on, microseconds, rounded up.
    pub latency_us: u32,
}

impl Split {
    /// T_u for a bound L of `bound_us`.
    pub fn t(&self, bound_us: u32) -> f64 {
        (f64::from(self.latency_us) / f64::from(bound_us.max(1))).max(1.0)
    }

    /// The shares as weights of locators (RFC 9301, section 5.4): whole per cents that sum to 100. A path without a share
    /// weighs 0, one with a share at least 1 where there are at most 100.
    pub fn weights(&self) -> Vec<u8> {
        weights(&self.shares)
    }
}

/// The best split over `paths`, `None` of which cannot be used; `None` if together they may not carry all.
pub fn split(paths: &[Option<Path>], reading: Reading) -> Option<Split> {
    let mut order: Vec<(u32, usize, u32)> = paths
        .iter()
        .enumerate()
        .filter_map(|(at, path)| path.map(|path| (path.latency_us, at, path.most.min(WHOLE))))
        .collect();
    order.sort_unstable();
    let mut shares = vec![0; paths.len()];
    let (mut left, mut sum, mut worst) = (WHOLE, 0_u64, 0);
    for (latency, at, most) in order {
        let share = most.min(left);
        if share > 0 {
            shares[at] = share;
            left -= share;
            sum += u64::from(share) * u64::from(latency);
            worst = latency;
        }
    }
    (left == 0).then(|| Split {
        shares,
        latency_us: match reading {
            Reading::Averaged => sum.div_ceil(u64::from(WHOLE)) as u32,
            Reading::Worst => worst,
        },
    })
}

/// Shares of any unit as whole per cents that sum to 100: rounded down, the rest to those who lost most by it, but
/// everybody with a share has at least one as far as a hundred go. All zero if there are no shares.
pub fn weights(shares: &[u32]) -> Vec<u8> {
    let all: u64 = shares.iter().map(|&share| u64::from(share)).sum();
    let mut weights = vec![0_u8; shares.len()];
    if all == 0 {
        return weights;
    }
    let mut rest = Vec::new();
    for (at, &share) in shares.iter().enumerate().filter(|&(_, &share)| share > 0) {
        let hundred = u64::from(share) * 100;
        weights[at] = (hundred / all) as u8;
        // A path of less than a hundredth comes first: weight 0 would close it.
        rest.push((weights[at] > 0, std::cmp::Reverse(hundred % all), at));
    }
    rest.sort_unstable();
    let short = 100 - weights.iter().map(|&weight| usize::from(weight)).sum::<usize>();
    for &(_, _, at) in rest.iter().take(short) {
        weights[at] += 1;
    }
    // More small paths than hundredths were left over: the largest give.
    let closed: Vec<usize> = rest
        .iter()
        .map(|rest| rest.2)
        .filter(|&at| weights[at] == 0)
        .collect();
    for at in closed {
        let largest = (0..weights.len()).max_by_key(|&at| weights[at]);
        if let Some(largest) = largest.filter(|&largest| weights[largest] > 1) {
            weights[largest] -= 1;
            weights[at] = 1;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paths() -> impl Strategy<Value = Vec<Option<Path>>> {
        let path = (1..200_u32, 0..=10_u32).prop_map(|(ms, tenths)| Path {
            latency_us: ms * 1000,
            most: tenths * (WHOLE / 10),
        });
        prop::collection::vec(prop::option::weighted(0.9, path), 1..5)
    }

    /// Every split in tenths.
    fn by_enumeration(paths: &[Option<Path>], reading: Reading) -> Option<u32> {
        let mut best: Option<u32> = None;
        let combinations = 11_usize.pow(paths.len() as u32);
        for code in 0..combinations {
            let tenths: Vec<u32> = (0..paths.len() as u32)
                .map(|at| (code / 11_usize.pow(at) % 11) as u32)
                .collect();
            let fits = |(path, &tenths): (&Option<Path>, &u32)| {
                tenths == 0 || path.is_some_and(|path| tenths * (WHOLE / 10) <= path.most)
            };
            if tenths.iter().sum::<u32>() != 10 || !paths.iter().zip(&tenths).all(fits) {
                continue;
            }
            let used = || {
                let each = paths.iter().zip(&tenths).filter(|(_, tenths)| **tenths > 0);
                each.filter_map(|(path, &tenths)| Some((path.as_ref()?.latency_us, tenths)))
            };
            let latency = match reading {
                Reading::Averaged => used().map(|(us, tenths)| us * tenths).sum::<u32>().div_ceil(10),
                Reading::Worst => used().map(|(us, _)| us).max().unwrap_or(0),
            };
            best = Some(best.map_or(latency, |best| best.min(latency)));
        }
        best
    }

    proptest! {
        #[test]
        fn a_split_is_the_best_of_all(paths in paths()) {
            for reading in [Reading::Averaged, Reading::Worst] {
                let split = split(&paths, reading);
                prop_assert_eq!(split.as_ref().map(|split| split.latency_us), by_enumeration(&paths, reading));
                let Some(split) = split else { continue };
                prop_assert_eq!(split.shares.iter().sum::<u32>(), WHOLE);
                for (share, path) in split.shares.iter().zip(&paths) {
                    prop_assert!(*share <= path.map_or(0, |path| path.most));
                }
            }
        }

        #[test]
        fn weights_are_per_cents_near_the_shares_and_close_no_path(shares in prop::collection::vec(prop_oneof![0..5_u32, 0..1_000_000_u32], 1..30)) {
            let weights = weights(&shares);
            let all: f64 = shares.iter().map(|&share| f64::from(share)).sum();
            prop_assume!(all > 0.0);
            prop_assert_eq!(weights.iter().map(|&weight| u32::from(weight)).sum::<u32>(), 100);
            let used = shares.iter().filter(|&&share| share > 0).count() as f64;
            for (&weight, &share) in weights.iter().zip(&shares) {
                prop_assert_eq!(weight > 0, share > 0);
                prop_assert!((f64::from(weight) - 100.0 * f64::from(share) / all).abs() <= used.max(1.0));
            }
        }
    }
}

//! Two legs make one way: round trips add, shares of what is lost or unreachable as those of independent events do.
//! Jitter is a deviation, and those of independent ways add as their squares do.

use crate::optimizer::criteria::{ALL, LINK};

/// Both legs together: RTT and jitter in microseconds, loss and unavailability in parts per million.
pub(crate) fn sum(a: &[u32; LINK], b: &[u32; LINK]) -> [u32; LINK] {
    [
        a[0].saturating_add(b[0]),
        together(a[1], b[1]),
        either(a[2], b[2]),
        either(a[3], b[3]),
    ]
}

/// What is left of a way's bounds for one leg once the other has taken its part; `None` if that alone is too much.
/// `u32::MAX` is no bound.
pub(crate) fn rest(bounds: &[u32; LINK], taken: &[u32; LINK]) -> Option<[u32; LINK]> {
    let mut left = [u32::MAX; LINK];
    for k in 0..LINK {
        let (bound, taken) = (bounds[k], taken[k]);
        if bound == u32::MAX {
            continue;
        }
        if taken > bound {
            return None;
        }
        left[k] = match k {
            0 => bound - taken,
            1 => apart(bound, taken),
            _ => without(bound, taken),
        };
    }
    Some(left)
}

/// Jitter of both.
pub(crate) fn together(a: u32, b: u32) -> u32 {
    let squares = u64::from(a).pow(2).saturating_add(u64::from(b).pow(2));
    u32::try_from(squares.isqrt()).unwrap_or(u32::MAX)
}

/// The jitter that makes `whole` together with `b`.
fn apart(whole: u32, b: u32) -> u32 {
    let squares = u64::from(whole).pow(2) - u64::from(b).pow(2);
    u32::try_from(squares.isqrt()).unwrap_or(u32::MAX)
}

/// 1 - (1 - a)(1 - b).
fn either(a: u32, b: u32) -> u32 {
    let (a, b, all) = (u64::from(a.min(ALL)), u64::from(b.min(ALL)), u64::from(ALL));
    (a + b - a * b / all) as u32
}

/// The share that makes `whole` together with `b`.
fn without(whole: u32, b: u32) -> u32 {
    if whole >= ALL {
        return whole;
    }
    let (whole, b, all) = (u64::from(whole), u64::from(b), u64::from(ALL));
    ((whole - b) * all / (all - b)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_legs_make_one_way() {
        let user = [35_000, 3_000, 100_000, 0];
        let leg = [20_000, 4_000, 200_000, 500_000];
        assert_eq!(sum(&user, &leg), [55_000, 5_000, 280_000, 500_000]);
        assert_eq!(sum(&user, &[0; LINK]), user);
    }

    #[test]
    fn a_leg_that_takes_all_of_a_bound_leaves_nothing_of_it() {
        let bounds = [100_000, 30_000, 20_000, u32::MAX];
        assert_eq!(rest(&bounds, &[0; LINK]), Some(bounds));
        assert_eq!(
            rest(&bounds, &[100_000, 30_000, 20_000, ALL]),
            Some([0, 0, 0, u32::MAX])
        );
        for k in 0..3 {
            let mut taken = [0; LINK];
            taken[k] = bounds[k] + 1;
            assert_eq!(rest(&bounds, &taken), None, "{k}");
        }
    }

    proptest! {
        /// Who keeps what is left keeps the whole, to within the rounding of integers.
        #[test]
        fn what_is_left_is_what_the_sum_keeps(
            bounds in prop::array::uniform4(1..=ALL),
            a in prop::array::uniform4(0..=ALL),
            b in prop::array::uniform4(0..=ALL),
        ) {
            let way = sum(&a, &b);
            match rest(&bounds, &b) {
                None => prop_assert!((0..LINK).any(|k| way[k] > bounds[k])),
                Some(left) => for k in 0..LINK {
                    if a[k] <= left[k] {
                        prop_assert!(way[k] <= bounds[k].saturating_add(1), "{k}: {way:?} {bounds:?}");
                    } else if a[k] > left[k].saturating_add(1 + left[k] / 1000) && bounds[k] < ALL && b[k] < ALL / 2 {
                        prop_assert!(way[k] >= bounds[k], "{k}: {way:?} {bounds:?}");
                    }
                },
            }
        }
    }
}

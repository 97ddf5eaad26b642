use proptest::prelude::*;

use super::*;
use crate::config::Shared;

/// (5.1)-(5.3) as written: over all binary r with sum 1, the least objective for which integers T exist with
/// `m r <= M T`. T is found by counting up.
fn by_enumeration(alpha: &[u64; 3], bound: &[u32; 3], candidates: &[Option<[u32; 3]>]) -> Option<u64> {
    candidates
        .iter()
        .flatten()
        .map(|m| {
            (0..3)
                .map(|k| {
                    let mut t = 0_u64;
                    while u64::from(bound[k]) * t < u64::from(m[k]) {
                        t += 1;
                    }
                    alpha[k] * t
                })
                .sum()
        })
        .min()
}

fn measurement() -> impl Strategy<Value = Option<[u32; 3]>> {
    prop_oneof![
        1 => Just(None),
        6 => (0..2_000_000_u32, 0..200_000_u32, 0..=1_000_000_u32).prop_map(|(a, b, c)| Some([a, b, c])),
        // On the bounds and beside them, where rounding would show.
        4 => (0..20_u32, 0..20_u32, 0..20_u32, 0..3_u32)
            .prop_map(|(a, b, c, d)| Some([a * 1000 + d, b * 1000 + d, c * 1000 + d])),
    ]
}

proptest! {
    #[test]
    fn the_choice_is_the_optimum_of_the_program(
        candidates in prop::collection::vec(measurement(), 0..10),
        alpha in prop::array::uniform3(0..=1000_u32),
        bound in prop::array::uniform3(1000..200_000_u32),
        present in prop::option::of(0..10_usize),
    ) {
        let class = Class::new(alpha.map(|a| f64::from(a) / 1000.0), bound);
        let micro = alpha.map(|a| u64::from(a) * 1000);
        let choice = choose(&class, &candidates, present);
        prop_assert_eq!(choice.map(|(_, score)| score.penalty), by_enumeration(&micro, &bound, &candidates));
        let Some((best, score)) = choice else { return Ok(()) };
        let ranked = rank(&class, &candidates);
        prop_assert_eq!(ranked.len(), candidates.iter().flatten().count());
        prop_assert_eq!(class.score(&candidates[ranked[0]].unwrap()), score);
        // Nothing else beats it; and who is present stays unless strictly beaten.
        for (at, m) in candidates.iter().enumerate() {
            let Some(m) = m else { continue };
            prop_assert!(class.score(m) >= score);
            if present == Some(at) && class.score(m) == score {
                prop_assert_eq!(best, at);
            }
        }
    }

    #[test]
    fn a_penalty_is_the_least_integer_that_covers_the_measurement(m in any::<u32>(), bound in any::<u32>()) {
        let class = Class::new([1.0], [bound]);
        let bound = u64::from(bound.max(2));
        let t = class.penalty(0, m);
        prop_assert_eq!(t, u64::from(m).div_ceil(bound));
    }
}

proptest! {
    #[test]
    fn a_penalty_is_exact_beside_every_multiple_of_the_bound(bound in 2..=u32::MAX, times in any::<u32>(), off in 0..3_u32) {
        let class = Class::new([1.0], [bound]);
        let m = (bound.saturating_mul(times % (u32::MAX / bound + 1))).saturating_add(off).saturating_sub(1);
        prop_assert_eq!(class.penalty(0, m), u64::from(m).div_ceil(u64::from(bound)));
    }
}

#[test]
fn at_the_bound_the_penalty_is_one_and_just_above_it_two() {
    let class = Class::new([1.0], [100_000]);
    assert_eq!(
        [0, 1, 100_000, 100_001, 200_000, 200_001].map(|m| class.penalty(0, m)),
        [0, 1, 1, 2, 2, 3]
    );
}

#[test]
fn of_two_within_the_bounds_the_present_one_stays() {
    let class = Class::new([0.6, 0.2, 0.2], [100_000, 30_000, 20_000]);
    let candidates = [Some([37_000, 1_000, 0]), Some([20_000, 1_000, 0])];
    assert_eq!(choose(&class, &candidates, Some(0)).unwrap().0, 0);
    assert_eq!(
        choose(&class, &candidates, None).unwrap().0,
        1,
        "and without one the nearer wins"
    );
}

#[test]
fn of_two_with_the_same_penalty_the_one_less_over_its_bound_wins() {
    let class = Class::new([1.0, 0.0, 0.0], [100_000, 30_000, 20_000]);
    let candidates = [Some([190_000, 0, 0]), Some([110_000, 0, 0])];
    assert_eq!(choose(&class, &candidates, Some(0)).unwrap().0, 1);
}

#[test]
fn without_a_usable_measurement_there_is_no_choice() {
    let class = Class::new([1.0, 0.0, 0.0], [100_000, 30_000, 20_000]);
    assert_eq!(choose(&class, &[None, None], Some(0)), None);
    assert_eq!(choose::<3>(&class, &[], None), None);
}

proptest! {
    #[test]
    fn an_enforced_bound_is_never_exceeded_and_the_rest_is_the_optimum(
        candidates in prop::collection::vec(measurement(), 0..10),
        alpha in prop::array::uniform3(0..=1000_u32),
        bound in prop::array::uniform3(1000..200_000_u32),
        hard in 0..3_usize,
    ) {
        let class = Class::new(alpha.map(|a| f64::from(a) / 1000.0), bound).enforcing(hard);
        let micro = alpha.map(|a| u64::from(a) * 1000);
        let allowed: Vec<_> = candidates
            .iter()
            .map(|m| m.filter(|m| m[hard] <= bound[hard]))
            .collect();
        let choice = choose(&class, &candidates, None);
        prop_assert_eq!(choice.map(|(_, score)| score.penalty), by_enumeration(&micro, &bound, &allowed));
        prop_assert_eq!(rank(&class, &candidates).len(), allowed.iter().flatten().count());
    }

    /// By trying every place, and joining the users' scores as the definition says.
    #[test]
    fn the_place_of_a_vm_is_the_optimum_over_all_its_users(
        users in prop::collection::vec(prop::collection::vec(measurement(), 5), 1..6),
        bound in prop::array::uniform3(1000..200_000_u32),
        hard in prop::option::of(0..3_usize),
        home in prop::option::of(0..5_usize),
        share in 1..=100_u32,
    ) {
        let class = Class::new([0.5, 0.25, 0.25], bound);
        let class = hard.map_or(class.clone(), |k| class.clone().enforcing(k));
        let members: Vec<_> = users
            .iter()
            .map(|measured| placement::Member { class: &class, measured: measured.clone() })
            .collect();
        let q = f64::from(share) / 100.0;
        for shared in [Shared::Sum, Shared::Worst, Shared::Quantile(q)] {
            let mut best: Option<(Score, bool, (u64, u64), usize)> = None;
            for at in 0..5 {
                let scores: Vec<Score> = users
                    .iter()
                    .filter_map(|user| user[at].filter(|m| class.allows(m)).map(|m| class.score(&m)))
                    .collect();
                if scores.len() < users.len() {
                    continue;
                }
                let mut sorted = scores.clone();
                sorted.sort();
                let joined = match shared {
                    Shared::Sum => Score {
                        penalty: scores.iter().map(|score| score.penalty).sum(),
                        excess: scores.iter().map(|score| score.excess).sum(),
                    },
                    Shared::Worst => sorted[sorted.len() - 1],
                    // The least that at least this share of the users does not exceed.
                    Shared::Quantile(q) => *sorted
                        .iter()
                        .find(|least| {
                            let those = scores.iter().filter(|score| score <= least).count();
                            those as f64 >= q * scores.len() as f64 - 1e-9
                        })
                        .unwrap(),
                };
                let mut rtts: Vec<u64> = users.iter().map(|user| user[at].unwrap()[0].into()).collect();
                rtts.sort_unstable();
                let sum = rtts.iter().sum();
                let rtt = match shared {
                    Shared::Sum => sum,
                    Shared::Worst => rtts[rtts.len() - 1],
                    Shared::Quantile(q) => rtts[((q * rtts.len() as f64).ceil() as usize).max(1) - 1],
                };
                // Staying costs nothing, so home wins every tie of scores; then the least RTT, then the first.
                let key = (joined, home != Some(at), (rtt, sum), at);
                if best.is_none_or(|best| key < best) {
                    best = Some(key);
                }
            }
            prop_assert_eq!(
                placement::choose(&members, home, shared),
                best.map(|(score, _, _, at)| (at, score)),
                "{:?}", shared
            );
        }
    }
}

#[test]
fn a_demand_that_does_not_fit_is_dear_or_ruled_out_and_ties_stay_at_home() {
    // RAM: 4 GB of 8 left, of 2 left, of none; the second criterion is the same everywhere.
    let measured: Vec<_> = [8_000, 2_000, 0]
        .map(|left| Some([criteria::share(4_000, left), 10_000]))
        .to_vec();
    assert_eq!(measured[0], Some([500_000, 10_000]));
    assert_eq!(measured[1], Some([2_000_000, 10_000]));
    let soft = Class::new([0.5, 0.5], [criteria::ALL, 20_000]);
    let place = |class: &Class<2>, measured: &[Option<[u32; 2]>], home| {
        let member = placement::Member {
            class,
            measured: measured.to_vec(),
        };
        placement::choose(&[member], home, Shared::Sum).map(|(at, _)| at)
    };
    assert_eq!(place(&soft, &measured, Some(1)), Some(0));
    let hard = soft.clone().enforcing(0);
    assert_eq!(place(&hard, &measured[1..], Some(0)), None, "nothing fits");
    assert_eq!(place(&soft, &[measured[0]; 3], Some(2)), Some(2), "a tie stays");
    assert_eq!(place(&soft, &[measured[0]; 3], None), Some(0));
    assert_eq!(criteria::share(0, 0), 0);
    assert_eq!(criteria::share(u64::MAX, 1), u32::MAX);
}

/// Two users, both within their bounds at every place: all scores are alike.
#[test]
fn places_of_equal_score_are_told_apart_by_home_then_by_the_round_trip_and_only_then_by_order() {
    let class = Class::new([1.0], [60_000]);
    let place = |rtts: [[u32; 3]; 2], home, shared| {
        let members = rtts.map(|rtts| placement::Member {
            class: &class,
            measured: rtts.map(|rtt| Some([rtt])).to_vec(),
        });
        placement::choose(&members, home, shared).map(|(at, _)| at)
    };
    let rtts = [[40_000, 10_000, 28_000], [41_000, 50_000, 33_000]];
    assert_eq!(place(rtts, None, Shared::Sum), Some(1), "60 ms together");
    assert_eq!(
        place(rtts, None, Shared::Worst),
        Some(2),
        "33 ms for the worst off"
    );
    assert_eq!(
        place(rtts, None, Shared::Quantile(0.5)),
        Some(1),
        "10 ms for half of them"
    );
    assert_eq!(
        place(rtts, Some(0), Shared::Sum),
        Some(0),
        "nothing is gained by moving"
    );
    let level = [[20_000; 3], [30_000; 3]];
    assert_eq!(place(level, None, Shared::Sum), Some(0), "the first of equals");
    // The worst off is alike everywhere: the others count.
    let others = [[50_000; 3], [30_000, 20_000, 40_000]];
    assert_eq!(place(others, None, Shared::Worst), Some(1));
    // Out of bounds by different amounts, but equal whole penalties: the least excess, wherever home is.
    let over = [[90_000, 80_000, 70_000], [10_000; 3]];
    assert_eq!(place(over, Some(0), Shared::Sum), Some(2));
}

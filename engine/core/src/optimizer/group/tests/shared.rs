use crate::optimizer::multipath::Reading;

use super::*;

impl Made {
    /// What shares in hundredths (a row an area) cost by averages, hundredths of a microsecond for hundredths of a user:
    /// f of a load between two whole numbers lies on the line between theirs. `None` breaks a rule.
    fn averaged(&self, hundredths: &[u32]) -> Option<i64> {
        let columns = self.sites.len();
        let load = |site: usize| hundredths.iter().skip(site).step_by(columns).sum::<u32>();
        let mut delays = vec![0; columns];
        for (site, delay) in delays.iter_mut().enumerate() {
            let (capacity, existing) = self.sites[site];
            let (load, room) = (load(site), capacity.saturating_sub(existing));
            if load > 100 * room {
                return None;
            }
            if load > 0 {
                let (below, above) = (self.delay(site, load / 100), self.delay(site, load.div_ceil(100)));
                *delay = 100 * below + i64::from(load % 100) * (above - below);
            }
        }
        let mut cost = 0;
        for ((area, row), &users) in hundredths.chunks(columns).enumerate().zip(&self.users) {
            let mut late = 0;
            for (site, &share) in row.iter().enumerate().filter(|&(_, &share)| share > 0) {
                let latency = self.latency[area * columns + site];
                if latency == UNREACHABLE {
                    return None;
                }
                let each = 100 * (i64::from(latency) - i64::from(self.bound)) + delays[site];
                late += i64::from(share) * each;
            }
            if row.iter().sum::<u32>() != 100 * users {
                return None;
            }
            cost += late.max(0);
        }
        Some(cost)
    }
}

fn shares(made: &Made) -> Option<Shares> {
    let mut solver = Solver::new(made.problem());
    solver.place(&mut after(100));
    share(&solver, Reading::Averaged, &mut after(400))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_shares_cost_less_than_the_bound_of_averages(
        made in tiny(),
        tries in prop::collection::vec(prop::collection::vec(0_u32..100, 9), 40),
    ) {
        let Some(found) = shares(&made) else { return Ok(()) };
        let columns = made.sites.len();
        let cost = made.averaged(&found.hundredths).expect("the shares break a rule");
        prop_assert_eq!(found.excess_hundredths, cost.cast_unsigned().div_ceil(100));
        let bound = found.excess_bound_us.cast_signed() * 10_000;
        prop_assert!(bound <= cost);
        for parts in tries {
            let mut tried = found.hundredths.clone();
            for (row, parts) in tried.chunks_mut(columns).zip(parts.chunks(3)) {
                // A part of everybody's shares goes to the next site.
                for site in 0..columns {
                    let part = row[site] * parts[site] / 100;
                    row[site] -= part;
                    row[(site + 1) % columns] += part;
                }
            }
            if let Some(cost) = made.averaged(&tried) {
                prop_assert!(bound <= cost, "{} is below the bound {}: {:?}", cost, bound, tried);
            }
        }
    }
}

#[test]
fn a_path_in_time_makes_up_for_a_late_one_and_loads_are_chosen_for_it() {
    // Twelve users are just in time at the first site and eight late at the second. With ten at each, the second is late by
    // less than the first is early.
    let made = Made {
        users: vec![10, 10],
        sites: vec![(20, 0), (100, 0)],
        latency: vec![20_000, 33_500, 20_000, 33_500],
        bound: 30_000,
    };
    let alone = solve(made.problem(), 0.0, &mut after(10_000));
    let found = shares(&made).unwrap();
    assert!(alone.excess_us > 0);
    assert_eq!(found.excess_hundredths, 0, "alone {}", alone.excess_us);
    assert_eq!(made.averaged(&found.hundredths), Some(0));
}

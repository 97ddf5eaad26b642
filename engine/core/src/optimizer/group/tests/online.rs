use super::*;

/// Twelve areas on a line, three sites under them; room for half as many again.
fn line() -> Made {
    let at = |area: u32| 8_000 * area;
    let site_at = [8_000_u32, 44_000, 80_000];
    Made {
        users: vec![20; 12],
        sites: vec![(120, 0); 3],
        latency: (0..12)
            .flat_map(|area| site_at.map(|site| 20_000 + at(area).abs_diff(site)))
            .collect(),
        bound: 40_000,
    }
}

fn solved(made: &Made) -> Solver {
    let mut solver = Solver::new(made.problem());
    solver.place(&mut after(10_000));
    solver
}

fn total(plan: &Plan) -> u32 {
    plan.counts.iter().sum::<u32>() + plan.left_out.iter().map(|left| left.users).sum::<u32>()
}

#[test]
fn a_failed_site_holds_nobody_and_those_who_fit_are_placed() {
    let mut made = line();
    let mut solver = solved(&made);
    solver.settle(100);
    let there: u32 = solver.plan().counts.iter().skip(1).step_by(3).sum();
    assert!(there > 0);
    solver.set_site(1, 0, 0).unwrap();
    solver.mend(&mut after(10_000));
    let plan = solver.plan();
    assert_eq!(plan.counts.iter().skip(1).step_by(3).sum::<u32>(), 0);
    assert_eq!(plan.left_out, [], "the two others have room for all");
    assert!(
        solver.moved() >= u64::from(there),
        "all who were there had to move"
    );
    made.sites[1] = (0, 0);
    assert_eq!(made.cost(&plan.counts), Some(plan.excess_us.cast_signed()));
}

#[test]
fn with_too_few_sites_left_the_rest_are_named_and_come_back() {
    let made = line();
    let mut solver = solved(&made);
    solver.set_site(0, 0, 0).unwrap();
    solver.set_site(1, 0, 0).unwrap();
    solver.mend(&mut after(10_000));
    let out: u32 = solver.plan().left_out.iter().map(|left| left.users).sum();
    assert_eq!(out, 120);
    solver.set_site(1, 120, 0).unwrap();
    solver.mend(&mut after(10_000));
    assert_eq!(solver.plan().left_out, []);
}

#[test]
fn a_dear_move_is_made_only_where_it_must_be() {
    let made = line();
    let mut solver = solved(&made);
    solver.settle(1_000_000);
    let before = solver.plan().counts;
    for area in 0..12 {
        solver.set_latency(area, 0, 45_000).unwrap();
    }
    solver.mend(&mut after(10_000));
    assert_eq!(solver.plan().counts, before);
    assert_eq!(solver.moved(), 0);
    solver.settle(0);
    solver.mend(&mut after(10_000));
    assert!(solver.moved() > 0, "free moves are worth making");
}

#[test]
fn a_badge_tells_the_proof_and_counts_those_who_could_be_elsewhere() {
    let made = Made {
        users: vec![4, 4, 2],
        sites: vec![(100, 0); 3],
        // The first sees two sites in time, the second only one, the third is late at one of its own.
        latency: [
            [10_000, 10_000, UNREACHABLE],
            [10_000, 90_000, UNREACHABLE],
            [UNREACHABLE, UNREACHABLE, 50_000],
        ]
        .concat(),
        bound: 40_000,
    };
    let mut solver = solved(&made);
    solver.prove(0.0, &mut after(1_000));
    let spent = std::time::Duration::from_millis(3);
    let badge = solver.badge(spent);
    let plan = solver.plan();
    assert_eq!(badge.spent, spent);
    assert_eq!(badge.ties, 4);
    assert!((badge.objective - plan.objective).abs() < 1e-12 && badge.objective > 10.0);
    assert!(badge.optimal && badge.gap == 0.0 && badge.lower_bound <= badge.objective);
}

#[test]
fn users_who_change_area_stay_at_their_site() {
    let mut made = line();
    let mut solver = solved(&made);
    solver.settle(1_000);
    let before = solver.plan();
    let site = before.counts[..3].iter().position(|&count| count >= 5).unwrap();
    solver.hand_over(0, 1, (site, 5)).unwrap();
    assert_eq!(solver.moved(), 0);
    let plan = solver.plan();
    made.users[0] -= 5;
    made.users[1] += 5;
    assert_eq!(made.cost(&plan.counts), Some(plan.excess_us.cast_signed()));
    let refused = solver.hand_over(0, 1, (site, 500));
    assert!(matches!(refused, Err(ProblemError::TooFew { asked: 500, .. })));
    assert_eq!(solver.plan(), plan, "a refused change changes nothing");
}

#[test]
fn an_unreachable_site_is_left() {
    let mut made = line();
    let mut solver = solved(&made);
    solver.settle(1_000_000);
    let site = solver.plan().counts[..3]
        .iter()
        .position(|&count| count > 0)
        .unwrap();
    solver.set_latency(0, site, UNREACHABLE).unwrap();
    made.latency[site] = UNREACHABLE;
    let plan = solver.plan();
    assert_eq!(plan.counts[site], 0);
    assert_eq!(made.cost(&plan.counts), Some(plan.excess_us.cast_signed()));
}

proptest! {
    #[test]
    fn whatever_changes_users_are_conserved_and_the_proof_holds(
        made in tiny(),
        changes in prop::collection::vec((0_u8..4, 0_usize..3, 0_usize..3, 0_u32..6), 1..8),
        price in prop_oneof![Just(0_u32), Just(900)],
    ) {
        let mut made = made;
        let mut solver = Solver::new(made.problem());
        solver.place(&mut after(100));
        solver.prove(0.0, &mut after(50));
        solver.settle(price);
        let columns = made.sites.len();
        for (kind, area, site, users) in changes {
            let (area, site) = (area % made.users.len(), site % columns);
            match kind {
                0 => {
                    let users = users.min(4);
                    solver.set_users(area, users).unwrap();
                    made.users[area] = users;
                }
                1 => {
                    let to = (area + 1) % made.users.len();
                    if solver.hand_over(area, to, (site, users)).is_ok() {
                        made.users[area] -= users;
                        made.users[to] += users;
                    }
                }
                2 => {
                    let us = if users == 0 { UNREACHABLE } else { users * 15_000 };
                    solver.set_latency(area, site, us).unwrap();
                    made.latency[area * columns + site] = us;
                }
                _ => {
                    solver.set_site(site, users, 1).unwrap();
                    made.sites[site] = (users, 1);
                }
            }
            solver.mend(&mut after(100));
            solver.price(&mut after(100));
        }
        prop_assume!(made.users.iter().sum::<u32>() < 16);
        let plan = solver.plan();
        prop_assert_eq!(total(&plan), made.users.iter().sum::<u32>());
        let out: u32 = plan.left_out.iter().map(|left| left.users).sum();
        let weight = i64::from(out) * i64::from(LEFT_OUT);
        prop_assert_eq!(made.cost(&plan.counts), Some(plan.excess_us.cast_signed() + weight));
        let optimum = made.optimum();
        prop_assert!(plan.excess_bound_us.cast_signed() + weight <= optimum.max(weight));
    }
}

//! Judged by a verifier that shares no code with the search: it reads the written counts and the curve's points.

use proptest::prelude::*;

use super::dual::FINE;
use super::offer::{Levels, Offer, Prices, Take};
use super::placement::{Batch, Placement};
use super::problem::LEFT_OUT;
use super::*;

mod online;
mod shared;

const CHORDS: [(u32, u32); 4] = [(0, 0), (500_000, 5_000), (800_000, 20_000), (1_000_000, 700_000)];

fn curve() -> LoadLatency {
    LoadLatency::new(CHORDS.to_vec()).unwrap()
}

/// What a problem is made of, kept apart so that the verifier need not ask the problem.
#[derive(Clone, Debug)]
struct Made {
    users: Vec<u32>,
    sites: Vec<(u32, u32)>,
    latency: Vec<u32>,
    bound: u32,
}

impl Made {
    fn problem(&self) -> Problem {
        let named = |(at, &users): (usize, &u32)| Area {
            name: format!("area-{at}"),
            users,
        };
        let sites = self.sites.iter().enumerate().map(|(at, &(capacity, load))| Site {
            name: format!("site-{at}"),
            capacity,
            load,
        });
        let areas = self.users.iter().enumerate().map(named).collect();
        Problem::new(areas, sites.collect(), &self.latency, curve(), self.bound).unwrap()
    }

    /// f as a rational number rounded down, by looking for the chord.
    fn delay(&self, site: usize, placed: u32) -> i64 {
        let (capacity, load) = self.sites[site];
        let used = i64::from(placed + load) * 1_000_000;
        for pair in CHORDS.windows(2) {
            let [(x0, y0), (x1, y1)] = [pair[0], pair[1]].map(|(x, y)| (i64::from(x), i64::from(y)));
            if used <= x1 * i64::from(capacity) {
                let along = used - x0 * i64::from(capacity);
                return y0 + (y1 - y0) * along / ((x1 - x0) * i64::from(capacity));
            }
        }
        panic!("{placed} users are over the capacity of site {site}");
    }

    /// The cost of counts (a row an area), those missing counted as left out; `None` breaks a rule.
    fn cost(&self, counts: &[u32]) -> Option<i64> {
        let columns = self.sites.len();
        let mut cost = 0;
        let mut placed = vec![0; columns];
        for (row, &users) in counts.chunks(columns).zip(&self.users) {
            let sum: u32 = row.iter().sum();
            cost += i64::from(users.checked_sub(sum)?) * i64::from(LEFT_OUT);
            for (site, count) in row.iter().enumerate() {
                placed[site] += count;
            }
        }
        for (site, &placed) in placed.iter().enumerate() {
            let (capacity, load) = self.sites[site];
            if placed > 0 && placed + load > capacity {
                return None;
            }
        }
        for (area, row) in counts.chunks(columns).enumerate() {
            for (site, &count) in row.iter().enumerate().filter(|&(_, &count)| count > 0) {
                let latency = self.latency[area * columns + site];
                if latency == UNREACHABLE {
                    return None;
                }
                let total = i64::from(latency) + self.delay(site, placed[site]);
                cost += i64::from(count) * (total - i64::from(self.bound)).max(0);
            }
        }
        Some(cost)
    }

    /// The least cost of all counts there are.
    fn optimum(&self) -> i64 {
        let mut counts = vec![0; self.users.len() * self.sites.len()];
        self.least_from(0, &mut counts)
    }

    fn least_from(&self, at: usize, counts: &mut Vec<u32>) -> i64 {
        if at == counts.len() {
            return self.cost(counts).unwrap_or(i64::MAX);
        }
        let columns = self.sites.len();
        let row = at / columns;
        let spent: u32 = counts[row * columns..at].iter().sum();
        let mut least = i64::MAX;
        for count in 0..=self.users[row] - spent {
            counts[at] = count;
            least = least.min(self.least_from(at + 1, counts));
        }
        counts[at] = 0;
        least
    }
}

prop_compose! {
    fn tiny()(areas in 1_usize..4, sites in 1_usize..4)(
        users in prop::collection::vec(0_u32..5, areas),
        sites in prop::collection::vec((0_u32..8, 0_u32..3), sites),
        latency in prop::collection::vec(
            prop_oneof![8 => 1_000_u32..90_000, 1 => Just(UNREACHABLE)],
            areas * sites,
        ),
        bound in 20_000_u32..70_000,
    ) -> Made {
        Made { users, sites, latency, bound }
    }
}

/// Lets so many questions pass before it says stop.
fn after(mut questions: u32) -> impl FnMut() -> bool {
    move || {
        questions = questions.saturating_sub(1);
        questions == 0
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_bound_is_below_the_optimum_and_the_plan_not_below_it(made in tiny()) {
        let problem = made.problem();
        let plan = solve(problem.clone(), 0.0, &mut after(400));
        let out: u32 = plan.left_out.iter().map(|left| left.users).sum();
        let weight = i64::from(out) * i64::from(LEFT_OUT);
        let cost = made.cost(&plan.counts).expect("the plan breaks a rule");
        prop_assert_eq!(cost, plan.excess_us.cast_signed() + weight);
        let optimum = made.optimum();
        prop_assert!(cost >= optimum);
        prop_assert!(plan.excess_bound_us.cast_signed() + weight <= optimum.max(weight), "bound {} optimum {}", plan.excess_bound_us, optimum);
        prop_assert!(plan.lower_bound <= plan.objective);
        // At these sizes the search finds the optimum or comes near; nobody is left out who need not be.
        prop_assert_eq!(cost / i64::from(LEFT_OUT), optimum / i64::from(LEFT_OUT));
    }

    #[test]
    fn a_tiny_problem_is_solved_to_the_end(made in tiny()) {
        let plan = solve(made.problem(), 0.0, &mut after(20_000));
        prop_assert!(plan.is_optimal(), "{} after all is not {}", plan.excess_bound_us, plan.excess_us);
        prop_assert_eq!(made.cost(&plan.counts), Some(made.optimum()));
    }

    #[test]
    fn a_plan_stopped_at_any_moment_keeps_the_rules(made in tiny(), questions in 1_u32..60) {
        let plan = solve(made.problem(), 0.0, &mut after(questions));
        prop_assert!(made.cost(&plan.counts).is_some());
        for (area, row) in plan.counts.chunks(made.sites.len()).enumerate() {
            let name = format!("area-{area}");
            let out: u32 = plan.left_out.iter().filter(|left| left.area == name).map(|left| left.users).sum();
            prop_assert_eq!(row.iter().sum::<u32>() + out, made.users[area]);
        }
    }

    #[test]
    fn the_objective_is_the_sum_of_t(made in tiny()) {
        let plan = solve(made.problem(), 0.0, &mut after(50));
        let columns = made.sites.len();
        let mut sum = 0.0;
        for (at, &count) in plan.counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
            let site = at % columns;
            let placed = plan.counts.iter().skip(site).step_by(columns).sum();
            let latency = i64::from(made.latency[at]) + made.delay(site, placed);
            sum += f64::from(count) * (latency as f64 / f64::from(made.bound)).max(1.0);
        }
        prop_assert!((sum - plan.objective).abs() < 1e-6, "{} is not {}", sum, plan.objective);
    }

    #[test]
    fn a_sites_best_offer_is_the_best_of_all_loads_it_may_have(
        made in tiny(),
        prices in prop::collection::vec(0_i64..90_000 * FINE, 3),
        (one, other) in (0_u32..8, 0_u32..8),
    ) {
        let problem = made.problem();
        let prices = &prices[..made.users.len().min(3)];
        let mut offer = Offer::default();
        let told = Prices::new(&problem, prices);
        for (site, &(capacity, load)) in made.sites.iter().enumerate() {
            let room = capacity.saturating_sub(load);
            let levels = Levels { least: one.min(other).min(room), most: one.max(other).min(room) };
            let mut best = 0;
            for k in levels.least..=levels.most {
                best = best.max(earned(&made, prices, site, k));
            }
            let mut take = Take::default();
            offer.best(&problem, &told, (site, levels), &mut take);
            prop_assert_eq!(take.earned, best);
            let k: u32 = take.users.iter().map(|&(_, users)| users).sum();
            prop_assert!(levels.have(take.level) && k <= take.level);
            let earn = |&(area, users): &(u32, u32)| {
                let latency = i64::from(made.latency[area as usize * made.sites.len() + site]);
                let over = (latency + made.delay(site, take.level) - i64::from(made.bound)).max(0);
                i64::from(users) * (prices[area as usize] - over * FINE)
            };
            let together: i64 = take.users.iter().map(earn).sum();
            prop_assert_eq!(together, best, "those written down");
        }
    }

    #[test]
    fn a_change_is_priced_as_it_turns_out(
        made in tiny(),
        moves in prop::collection::vec((0_usize..3, 0_usize..4, 0_usize..4, 1_u32..3), 1..20),
        price in prop_oneof![Just(0_u32), Just(700)],
    ) {
        let problem = made.problem();
        let mut placement = Placement::empty(&problem);
        greedy::place_all(&problem, &mut placement);
        placement.settle(price);
        let total = |placement: &Placement| placement.excess(&problem) + i64::from(price) * placement.away().cast_signed();
        for (area, from, to, users) in moves {
            let (area, from, to) = (area % made.users.len(), from % problem.columns(), to % problem.columns());
            let users = users.min(placement.count(area, from)).min(placement.free(&problem, to));
            if users == 0 || from == to {
                continue;
            }
            let batch = Batch { area, users };
            let said = placement.change(&problem, from, Some(batch), None)
                + placement.change(&problem, to, None, Some(batch));
            let before = total(&placement);
            placement.remove(&problem, from, batch);
            placement.add(&problem, to, batch);
            prop_assert_eq!(total(&placement) - before, said);
        }
    }
}

/// What `site` earns with at most `k` users at `prices`: users one by one, the best first.
fn earned(made: &Made, prices: &[i64], site: usize, k: u32) -> i64 {
    let columns = made.sites.len();
    let mut each = Vec::new();
    for (area, &users) in made.users.iter().enumerate() {
        let latency = made.latency[area * columns + site];
        if latency != UNREACHABLE && k > 0 {
            let over = (i64::from(latency) + made.delay(site, k) - i64::from(made.bound)).max(0);
            each.extend(std::iter::repeat_n(prices[area] - over * FINE, users as usize));
        }
    }
    each.sort_unstable_by(|a, b| b.cmp(a));
    each.into_iter().take(k as usize).filter(|&gain| gain > 0).sum()
}

#[test]
fn threads_change_nothing_of_what_comes_out() {
    let areas = 900;
    let mut chance = 7_u64;
    let mut up_to = |end: usize| ruin::below(&mut chance, end) as u32;
    let sites = 64;
    let made = Made {
        users: (0..areas).map(|_| 1 + up_to(6)).collect(),
        sites: (0..sites).map(|_| (60 + up_to(30), up_to(9))).collect(),
        latency: (0..areas * sites).map(|_| 20_000 + up_to(60_000)).collect(),
        bound: 30_000,
    };
    let plan = |threads| {
        let mut solver = Solver::new(made.problem()).with_threads(threads);
        solver.place(&mut after(40));
        solver.prove(0.0, &mut after(25));
        solver.plan()
    };
    let alone = plan(1);
    assert!(alone.excess_bound_us > 0, "something is proven");
    assert_eq!(alone, plan(3));
}

#[test]
fn everybody_in_time_is_proven_at_once() {
    let made = Made {
        users: vec![10, 10],
        sites: vec![(20, 0), (20, 0)],
        latency: vec![10_000, 50_000, 50_000, 10_000],
        bound: 30_000,
    };
    let plan = solve(made.problem(), 0.0, &mut after(1000));
    assert_eq!(plan.excess_us, 0);
    assert_eq!(plan.counts, [10, 0, 0, 10]);
    assert!((plan.objective - 20.0).abs() < 1e-12 && plan.gap == 0.0);
}

#[test]
fn those_without_a_place_are_named() {
    let made = Made {
        users: vec![4, 3],
        sites: vec![(6, 1)],
        latency: vec![10_000, UNREACHABLE],
        bound: 30_000,
    };
    let plan = solve(made.problem(), 0.0, &mut after(1000));
    let left = LeftOut {
        area: "area-1".to_owned(),
        users: 3,
    };
    assert_eq!(plan.left_out, [left]);
    assert_eq!(plan.counts, [4, 0]);
}

#[test]
fn a_gap_is_proven_of_those_who_have_a_place() {
    // Most of the first area are left out; the others have room, and crowded sites to choose from.
    let (areas, sites) = (40_u32, 9_u32);
    let latency = |area: u32, site: u32| match (area, site) {
        (0, 0) => 10_000,
        (0, _) | (_, 0) => UNREACHABLE,
        _ => 10_000 + (area * 7_919 + site * site * 104_729) % 40_000,
    };
    let made = Made {
        users: (0..areas)
            .map(|area| if area == 0 { 300 } else { 2 + area % 3 })
            .collect(),
        sites: (0..sites).map(|site| (10 + site % 4 * 5, site % 3)).collect(),
        latency: (0..areas * sites)
            .map(|pair| latency(pair / sites, pair % sites))
            .collect(),
        bound: 15_000,
    };
    let mut solver = Solver::new(made.problem());
    let mut stop = after(20_000);
    solver.place(&mut stop);
    solver.prove(0.001, &mut stop);
    let plan = solver.plan();
    assert_eq!(plan.left_out.len(), 1);
    assert!(plan.gap <= 0.001, "{}", plan.gap);
}

#[test]
fn a_problem_says_what_is_wrong_with_it() {
    let area = |users| Area {
        name: "a".to_owned(),
        users,
    };
    let site = || Site {
        name: "s".to_owned(),
        capacity: 4,
        load: 0,
    };
    let new =
        |areas, sites, latency: &[u32], bound| Problem::new(areas, sites, latency, curve(), bound).err();
    assert_eq!(new(vec![area(1)], vec![], &[], 1), Some(ProblemError::NoSite));
    assert!(matches!(
        new(vec![area(1)], vec![site()], &[], 1),
        Some(ProblemError::Shape { have: 0, .. })
    ));
    assert_eq!(
        new(vec![area(1)], vec![site()], &[1], 0),
        Some(ProblemError::Bound { bound_us: 0 })
    );
    assert!(matches!(
        new(vec![area(1)], vec![site()], &[60_000_001], 1),
        Some(ProblemError::Latency { .. })
    ));
    assert_eq!(
        new(vec![area(u32::MAX)], vec![site()], &[1], 1),
        Some(ProblemError::TooMany {
            users: u64::from(u32::MAX)
        })
    );
}

#[test]
fn a_latency_of_load_must_be_convex_and_whole() {
    let shape = |points: &[(u32, u32)]| LoadLatency::new(points.to_vec()).err();
    assert_eq!(shape(&[(0, 0)]), Some(ProblemError::CurveEnds));
    assert_eq!(shape(&[(0, 0), (900_000, 9)]), Some(ProblemError::CurveEnds));
    assert_eq!(
        shape(&[(0, 9), (1_000_000, 0)]),
        Some(ProblemError::CurveShape { line: 1 })
    );
    assert_eq!(
        shape(&[(0, 0), (500_000, 9), (1_000_000, 10)]),
        Some(ProblemError::CurveShape { line: 2 })
    );
    assert_eq!(
        shape(&[(0, 0), (999_999, 0), (1_000_000, 700_000)]),
        Some(ProblemError::CurveTooSteep)
    );
    let figure = LoadLatency::figure_5_17();
    assert_eq!(LoadLatency::new(figure_points()), Ok(figure.clone()));
    assert_eq!(figure.at(0, 100), 0);
    assert_eq!(figure.at(75, 100), 15_833);
    assert_eq!(figure.at(100, 100), 700_000);
    assert_eq!(figure.at(1, 0), 700_000, "nothing fits, and it shows");
}

fn figure_points() -> Vec<(u32, u32)> {
    let chord = |load: u32| {
        (
            load * 10_000,
            (5_000.0 * f64::from(load) / f64::from(100 - load)).round() as u32,
        )
    };
    let mut points: Vec<_> = [0, 30, 50, 60, 70, 80, 85, 90, 95].map(chord).to_vec();
    points.push((1_000_000, 700_000));
    points
}

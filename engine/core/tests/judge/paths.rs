//! (6.1)-(6.2): shares against HiGHS, and figures against a verifier.

use pacao_core::optimizer::group::{Plan, Problem, Shares, Solver, share};
use pacao_core::optimizer::multipath::Reading;
use serde_json::{Value, json};

use crate::country::instance::{REGIMES, Size};
use crate::country::{after, instance, written};
use crate::python::ask;

fn judged(problem: &Problem, plan: &Plan, shares: &Shares, reading: &str) -> Value {
    let mut country = written::written(problem, plan);
    country["shares"] = json!({
        "reading": reading,
        "hundredths": shares.hundredths.chunks(problem.sites().len()).collect::<Vec<_>>(),
        "excess_hundredths": shares.excess_hundredths,
    });
    ask("paths.py", &country)
}

#[test]
fn shares_are_as_good_as_said_and_no_bound_is_above_what_highs_finds() {
    let mut gains = 0;
    for (regime, seed) in REGIMES.iter().zip(1..) {
        let size = Size {
            users: 36,
            areas: 12,
            sites: 4,
        };
        let problem = instance::make(size, regime, seed).unwrap();
        let mut solver = Solver::new(problem.clone());
        solver.place(&mut after(100_000));
        solver.prove(0.0, &mut after(100_000));
        let plan = solver.plan();
        let alone = plan.excess_us as f64;
        for (reading, name) in [(Reading::Averaged, "averaged"), (Reading::Worst, "worst")] {
            let shares = share(&solver, reading, &mut after(20_000)).unwrap();
            let judged = judged(&problem, &plan, &shares, name);
            let name = format!("{} {name}", regime.name);
            assert_eq!(judged["broken"].as_array().unwrap().len(), 0, "{name}: {judged}");
            let us = |field: &str| judged[field].as_f64().unwrap();
            let (excess, bound) = (
                shares.excess_hundredths as f64 / 100.0,
                shares.excess_bound_us as f64,
            );
            println!("{name}: alone {alone}, shares {excess}, bound {bound}, {judged}");
            // Thousandths of what HiGHS itself allows.
            let near = 1.0 + 1e-6 * alone;
            // At fixed whole loads, costs linear in shares are least without any.
            assert!((us("linear_us") - alone).abs() <= near, "{name}: {judged}");
            match reading {
                Reading::Worst => {
                    assert!((excess - alone).abs() < 0.01, "{name}: single paths are shares");
                    assert!(bound <= us("least_linear_us") + near, "{name}: {bound}, {judged}");
                    // All that loads between whole numbers could gain.
                    assert!(bound >= us("least_linear_us") - near, "{name}: {bound}, {judged}");
                }
                Reading::Averaged => {
                    // Other loads than the plan's are chosen where that is better.
                    assert!(
                        excess <= alone && excess <= us("averaged_us") + near,
                        "{name}: {judged}"
                    );
                    assert!(
                        bound <= us("least_averaged_us") + near,
                        "{name}: {bound}, {judged}"
                    );
                    gains += u32::from(excess < alone - near);
                }
            }
        }
    }
    assert!(
        gains >= 2,
        "a path in time makes up for a late one in {gains} of 6 countries"
    );
}

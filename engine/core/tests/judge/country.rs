//! (5.4)-(5.9): plans against the level form solved by HiGHS, and figures against a verifier.

#[path = "../../benches/assign/instance.rs"]
mod instance;
#[path = "../../benches/assign/written.rs"]
mod written;

use instance::{REGIMES, Size};
use pacao_core::optimizer::group::solve;

use crate::python::ask;

/// Lets so many questions pass before it says stop.
fn after(mut questions: u32) -> impl FnMut() -> bool {
    move || {
        questions = questions.saturating_sub(1);
        questions == 0
    }
}

#[test]
fn a_verifier_finds_the_same_f_and_no_rule_broken() {
    for regime in &REGIMES {
        let problem = instance::make(Size::new(3_000, 16), regime, 7).unwrap();
        let plan = solve(problem.clone(), 1e-3, &mut after(200));
        let judged = ask("verify.py", &written::written(&problem, &plan));
        assert_eq!(judged["broken"].as_array().unwrap().len(), 0, "{judged}");
        assert_eq!(judged["excess_us"], plan.excess_us, "{}", regime.name);
        let objective = judged["objective"].as_f64().unwrap();
        assert!((objective - plan.objective).abs() < 1e-6, "{}", regime.name);
    }
}

#[test]
fn no_bound_is_above_the_optimum_and_no_plan_below_it() {
    for (regime, seed) in REGIMES.iter().zip(1..) {
        let size = Size {
            users: 48,
            areas: 16,
            sites: 4,
        };
        let problem = instance::make(size, regime, seed).unwrap();
        let plan = solve(problem.clone(), 0.0, &mut after(2_000));
        let judged = ask("level.py", &written::written(&problem, &plan));
        assert_eq!(judged["status"], "Optimal", "{}: {judged}", regime.name);
        let optimum = judged["optimum_us"].as_u64().unwrap();
        let name = regime.name;
        let (cost, bound) = (plan.excess_us, plan.excess_bound_us);
        println!("{name}: plan {cost}, optimum {optimum}, bound {bound}");
        assert!(
            bound <= optimum,
            "{name}: the bound {bound} is above {optimum}, which HiGHS reached"
        );
        assert!(cost >= optimum, "{name}: {cost} is below the optimum {optimum}");
    }
}

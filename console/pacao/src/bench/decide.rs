//! `pacao bench decide`: one user's decision by (5.1)-(5.3).

#[path = "../../../../engine/core/benches/decide/choices.rs"]
mod choices;

use super::clock::{self, Clock};
use crate::checks::{Bound, Checks};
use crate::cli::BenchDecideArgs;

/// Nanoseconds that a decision with four criteria over so many data centres may take.
const GOAL: (f64, usize) = (1000.0, 64);

/// Runs the bench; `Ok(true)` if every check holds.
pub(crate) fn run(args: &BenchDecideArgs) -> anyhow::Result<bool> {
    let clock = Clock::start();
    let mut checks = Checks::default();
    let load = clock::load();
    let mut add = |criteria: usize, goal: Bound, run: &dyn Fn() -> f64| {
        let mut rounds: Vec<f64> = (0..args.rounds).map(|_| run() * 1e9).collect();
        rounds.sort_unstable_by(f64::total_cmp);
        let name = format!("a decision, {} data centres x {criteria} criteria", args.dcs);
        checks.add(format!("{name}, median"), rounds[rounds.len() / 2], "ns", goal);
        checks.add(format!("{name}, least"), rounds[0], "ns", Bound::None);
    };
    let goal = if args.dcs <= GOAL.1 {
        Bound::AtMost(GOAL.0)
    } else {
        Bound::None
    };
    add(4, goal, &|| choices::four_criteria(args.dcs, || clock.seconds()));
    let all = pacao_core::optimizer::criteria::K;
    add(all, Bound::None, &|| {
        choices::all_criteria(args.dcs, || clock.seconds())
    });
    checks.add("load of the machine before", load, "", Bound::None);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else {
        print!("{}", checks.table());
    }
    Ok(checks.hold())
}

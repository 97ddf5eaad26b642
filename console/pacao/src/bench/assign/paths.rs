//! What several paths for each user gain over one, and what is proven of it: (6.1)-(6.2).

use anyhow::Context;
use pacao_core::optimizer::group::{HUNDRED, Problem, Shares, Solver, share};
use pacao_core::optimizer::multipath::Reading;

use crate::bench::clock::Clock;
use crate::checks::{Bound, Checks};
use crate::cli::AssignReading;

/// Shares from the solver's plan, in so many processor seconds.
pub(super) fn run(
    regime: &str,
    solver: &Solver,
    (reading, seconds): (AssignReading, f64),
    checks: &mut Checks,
) -> anyhow::Result<()> {
    let (reading, name) = match reading {
        AssignReading::Averaged => (Reading::Averaged, "averaged"),
        AssignReading::Worst => (Reading::Worst, "worst"),
    };
    let clock = Clock::start();
    let shares = share(solver, reading, &mut || clock.seconds() >= seconds)
        .context("the plan leaves somebody out: there are no shares of it")?;
    let spent = clock.seconds();
    let problem = solver.problem();
    let mut add = |what: &str, value, unit, bound| {
        checks.add(format!("{regime}, multipath {name}: {what}"), value, unit, bound);
    };
    let alone = solver.plan();
    add("processor time", spent, "s", Bound::None);
    let most = alone.excess(problem) * (1.0 + 1e-12);
    let unit = f64::from(problem.bound_us());
    let excess = shares.excess_hundredths as f64 / f64::from(HUNDRED) / unit;
    add("excess, F - n", excess, "T", Bound::AtMost(most));
    add(
        "proven of it",
        shares.excess_bound_us as f64 / unit,
        "T",
        Bound::None,
    );
    add("gap of F", shares.gap * 100.0, "%", Bound::None);
    add("rules broken", broken(problem, &shares), "", Bound::AtMost(0.0));
    Ok(())
}

/// Hundredths missing, too many, or over a capacity; and areas whose weights do not sum to 100.
fn broken(problem: &Problem, shares: &Shares) -> f64 {
    let columns = problem.sites().len();
    let rows = || shares.hundredths.chunks(columns).zip(problem.areas());
    let sum = |row: &[u32]| row.iter().map(|&share| u64::from(share)).sum::<u64>();
    let missing: u64 = rows()
        .map(|(row, area)| sum(row).abs_diff(u64::from(area.users) * u64::from(HUNDRED)))
        .sum();
    let over: u64 = (0..columns)
        .map(|site| {
            let here = shares.hundredths.iter().skip(site).step_by(columns);
            let here: u64 = here.map(|&share| u64::from(share)).sum();
            here.saturating_sub(u64::from(problem.sites()[site].room()) * u64::from(HUNDRED))
        })
        .sum();
    let unweighed = (0..problem.areas().len()).filter(|&area| {
        let weights = shares.weights(problem, area);
        let weight: u32 = weights.iter().map(|&weight| u32::from(weight)).sum();
        problem.areas()[area].users > 0 && weight != HUNDRED
    });
    (missing + over) as f64 + unweighed.count() as f64
}

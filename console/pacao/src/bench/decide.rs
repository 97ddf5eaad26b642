//! `pacao bench decide`: one user's decision by (5.1)-(5.3), and those of everybody whose data centre dies.

#[path = "../../../../engine/core/benches/decide/choices.rs"]
mod choices;
#[path = "../../../../engine/core/benches/decide/outage.rs"]
mod outage;

use anyhow::Context;

use super::clock::{self, Clock};
use super::probing;
use crate::checks::{Bound, Checks};
use crate::cli::BenchDecideArgs;

/// Nanoseconds that a decision with four criteria over so many data centres may take.
const GOAL: (f64, usize) = (1000.0, 64);

/// Data centres around the one that dies, it included.
const OUTAGE_DCS: usize = 10;
/// Users up to whom its times are judged.
const OUTAGE_GOAL: usize = 10_000;

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
    outage_of(args, &mut checks, &clock)?;
    checks.add("load of the machine before", load, "", Bound::None);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else {
        print!("{}", checks.table());
    }
    Ok(checks.hold())
}

/// A data centre that everybody enters by dies; and what is copied out of the engine while it can do nothing else.
fn outage_of(args: &BenchDecideArgs, checks: &mut Checks, clock: &Clock) -> anyhow::Result<()> {
    let users = args.users as usize;
    let figures = outage::outage((users, OUTAGE_DCS), || clock.seconds())
        .map_err(anyhow::Error::from_boxed)
        .context("the users cannot be made")?;
    let mut add = |what: &str, seconds: f64, most: f64| {
        let goal = if users <= OUTAGE_GOAL {
            Bound::AtMost(most)
        } else {
            Bound::None
        };
        checks.add(what, seconds * 1e3, "ms", goal);
    };
    let died = format!("{users} users' data centre dies, {OUTAGE_DCS} data centres");
    add(&format!("{died}: to the first order"), figures.first, 1000.0);
    let orders = format!(
        "{died}: to the last of {} orders that budgets allow",
        figures.orders
    );
    add(&orders, figures.last, 5000.0);
    add(
        &format!("{died}: another look at all who wait"),
        figures.again,
        500.0,
    );
    add(
        &format!("a plan's figures of {users} users, copied"),
        figures.plan,
        250.0,
    );
    add(
        &format!("a score report of {} scores, made", figures.scores),
        figures.report,
        50.0,
    );
    let links = users * OUTAGE_DCS;
    add(
        &format!("a console's first picture of {links} links, copied"),
        figures.snapshot,
        2000.0,
    );
    Ok(())
}

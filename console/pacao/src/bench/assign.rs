//! `pacao bench assign`: countries of users placed at data centres, congestion-aware, with a proof of how good that
//! is (5.4)-(5.9). Times are processor seconds.

#[path = "../../../../engine/core/benches/assign/instance.rs"]
mod instance;
mod online;
mod paths;
#[path = "../../../../engine/core/benches/assign/written.rs"]
mod written;

use std::time::Duration;

use anyhow::Context;
use pacao_core::optimizer::group::{Plan, Problem, Solver};

use super::clock::{self, Clock};
use crate::checks::{Bound, Checks};
use crate::cli::AssignArgs;
use instance::{REGIMES, Regime, Size};

/// What is asked of a plan of so many users at most.
struct Target {
    users: u32,
    /// Cores, and threads.
    cores: usize,
    /// Gap of F, and the seconds it may take.
    gap: f64,
    seconds: f64,
    /// The gap with [`LATER`] times as long.
    later: Option<f64>,
}

const COUNTRY: Target = Target {
    users: 36_450,
    cores: 1,
    gap: 0.001,
    seconds: 1.0,
    later: Some(0.0002),
};
const CONTINENT: Target = Target {
    users: 1_000_000,
    cores: 2,
    gap: 0.001,
    seconds: 30.0,
    later: None,
};
const LATER: f64 = 10.0;
/// Megabytes that all of it may take.
const MEMORY: f64 = 300.0;

/// Runs the bench; `Ok(true)` if every check holds.
pub(crate) fn run(args: &AssignArgs) -> anyhow::Result<bool> {
    let mut checks = Checks::default();
    let size = Size::new(args.users, args.dcs);
    let load = clock::load();
    for regime in REGIMES.iter().filter(|regime| args.regime.takes(regime.name)) {
        let problem = instance::make(size, regime, args.seed).context("the instance cannot be made")?;
        let solver = place(args, regime, problem, &mut checks);
        if let Some(folder) = &args.write {
            let path = folder.join(format!("{}.json", regime.name));
            let country = written::written(solver.problem(), &solver.plan());
            let text = serde_json::to_vec(&country)?;
            std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        if let Some(reading) = args.multipath {
            let seconds = args.budget.unwrap_or(COUNTRY.seconds);
            paths::run(regime.name, &solver, (reading, seconds), &mut checks)?;
        }
        if args.online {
            online::run(regime.name, solver, &mut checks)?;
        }
    }
    checks.add(
        "peak memory, instances included",
        peak_memory().unwrap_or(f64::NAN),
        "MB",
        Bound::AtMost(MEMORY),
    );
    checks.add("load of the machine before", load, "", Bound::None);
    checks.add("load of the machine after", clock::load(), "", Bound::None);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else {
        print!("{}", checks.table());
    }
    Ok(checks.hold())
}

fn place(args: &AssignArgs, regime: &Regime, problem: Problem, checks: &mut Checks) -> Solver {
    let target = if args.users <= COUNTRY.users {
        COUNTRY
    } else {
        CONTINENT
    };
    let judged = |bound| {
        if args.users <= target.users {
            bound
        } else {
            Bound::None
        }
    };
    let cores = args.threads.unwrap_or(target.cores);
    let whole = target.seconds * if target.later.is_some() { LATER } else { 1.0 };
    let budget = args.budget.unwrap_or(whole);
    let clock = Clock::start();
    let spent = || clock.seconds_on(cores);
    let mut stop = || spent() >= budget;
    let mut solver = Solver::new(problem).with_threads(cores);
    solver.place(&mut stop);
    let placed = spent();
    solver.prove(target.gap, &mut stop);
    let reached = if solver.plan().gap <= target.gap {
        spent()
    } else {
        f64::INFINITY
    };
    solver.prove(0.0, &mut stop);
    let all = spent();
    let (plan, badge) = (solver.plan(), solver.badge(Duration::from_secs_f64(all)));
    eprintln!(
        "{}: F {:.3}, proven {:.3} after {all:.2} processor seconds on {cores} cores, {:.2} s by the clock{}",
        regime.name,
        plan.objective,
        plan.lower_bound,
        clock.wall(),
        if badge.optimal { ": optimal" } else { "" },
    );
    let mut add =
        |what: &str, value, unit, bound| checks.add(format!("{}: {what}", regime.name), value, unit, bound);
    let percent = target.gap * 100.0;
    add("everybody placed after", placed, "s", Bound::None);
    add(
        &format!("gap of {percent} % proven after"),
        reached,
        "s",
        judged(Bound::AtMost(target.seconds)),
    );
    let later = target.later.filter(|_| budget >= LATER * target.seconds);
    let most = later.map_or(Bound::None, |gap| judged(Bound::AtMost(gap * 100.0)));
    add("processor time, a core", all, "s", Bound::None);
    add("time by the clock", clock.wall(), "s", Bound::None);
    add("gap of F at the end", plan.gap * 100.0, "%", most);
    let unit = f64::from(solver.problem().bound_us());
    add("excess, F - n", plan.excess(solver.problem()), "T", Bound::None);
    add(
        "proven of it",
        plan.excess_bound_us as f64 / unit,
        "T",
        Bound::None,
    );
    add(
        "users with a choice as good",
        badge.ties as f64,
        "users",
        Bound::None,
    );
    add("gap of the excess", plan.excess_gap() * 100.0, "%", Bound::None);
    add(
        "rules broken",
        broken(solver.problem(), &plan),
        "",
        Bound::AtMost(0.0),
    );
    solver
}

/// Users missing or too many, and users over a capacity, (5.5) and (5.6), read from the written counts.
fn broken(problem: &Problem, plan: &Plan) -> f64 {
    let columns = problem.sites().len();
    let out: u64 = plan.left_out.iter().map(|left| u64::from(left.users)).sum();
    let placed: u64 = plan.counts.iter().map(|&count| u64::from(count)).sum();
    let over: u64 = (0..columns)
        .map(|site| {
            let here: u64 = plan
                .counts
                .iter()
                .skip(site)
                .step_by(columns)
                .map(|&c| u64::from(c))
                .sum();
            here.saturating_sub(u64::from(problem.sites()[site].room()))
        })
        .sum();
    let too_many: u64 = plan
        .counts
        .chunks(columns)
        .zip(problem.areas())
        .map(|(row, area)| {
            row.iter()
                .map(|&c| u64::from(c))
                .sum::<u64>()
                .saturating_sub(u64::from(area.users))
        })
        .sum();
    ((placed + out).abs_diff(problem.users()) + over + too_many) as f64
}

/// Megabytes, from proc_pid_status(5).
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

//! How soon a country of users has a plan with a proof.
//!
//! `cargo bench -p pacao-core --bench assign -- [USERS SITES SEED SECONDS [REGIME]]`. Times are processor seconds of
//! one core, since the machine may be busy with other things.

#[path = "assign/clock.rs"]
mod clock;
#[path = "assign/instance.rs"]
mod instance;

use std::io::Write as _;

use clock::Clock;
use instance::{REGIMES, Size};
use pacao_core::optimizer::group::Solver;

/// Gaps of F to report the time to.
const GOALS: [f64; 3] = [1e-3, 2e-4, 0.0];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let number = |at: usize, default: f64| args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or(default);
    let size = Size::new(number(0, 36_450.0) as u32, number(1, 64.0) as usize);
    let (seed, seconds) = (number(2, 1.0) as u64, number(3, 1.0));
    let mut out = std::io::stdout();
    writeln!(out, "{size:?}, seed {seed}")?;
    for regime in &REGIMES {
        if args.get(4).is_some_and(|name| name != regime.name) {
            continue;
        }
        let mut solver = Solver::new(instance::make(size, regime, seed)?);
        let clock = Clock::start();
        let mut stop = || clock.seconds() >= seconds;
        solver.place(&mut stop);
        let first = solver.plan();
        let placed = clock.seconds();
        let unit = f64::from(solver.problem().bound_us());
        write!(
            out,
            "{:<7} placed {placed:.3} s, excess {:.3};",
            regime.name,
            first.excess_us as f64 / unit
        )?;
        for goal in GOALS {
            solver.prove(goal, &mut stop);
            let plan = solver.plan();
            write!(
                out,
                "  {:.3} s: gap {:.4} % excess {:.3} bound {:.3};",
                clock.seconds(),
                plan.gap * 100.0,
                plan.excess_us as f64 / unit,
                plan.excess_bound_us as f64 / unit,
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

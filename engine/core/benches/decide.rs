//! How long one user's decision takes, and how many links one core can watch.
//!
//! `cargo bench -p pacao-core` prints them, by the clock; `pacao bench decide` and `pacao bench monitor` judge them in
//! processor time. The goals: one decision at 64 data centres and 4 criteria within a microsecond, 100,000 samples a
//! second within a quarter of a core.

#[path = "decide/choices.rs"]
mod choices;
#[path = "decide/outage.rs"]
mod outage;
#[path = "decide/probing.rs"]
mod probing;
#[path = "decide/watched.rs"]
mod watched;

use std::io::Write as _;
use std::time::Instant;

use pacao_core::optimizer::criteria;
use watched::Watching;

const RUNS: usize = 25;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut out = std::io::stdout();
    let began = Instant::now();
    let clock = || began.elapsed().as_secs_f64();
    let (least, median) = least_and_median(|| choices::four_criteria(64, clock));
    writeln!(
        out,
        "one decision, 64 data centres x 4 criteria: {:.0} ns at best, {:.0} ns median",
        least * 1e9,
        median * 1e9,
    )?;
    let (least, median) = least_and_median(|| choices::all_criteria(64, clock));
    writeln!(
        out,
        "one decision, 64 data centres x all {} criteria: {:.0} ns at best, {:.0} ns median",
        criteria::K,
        least * 1e9,
        median * 1e9,
    )?;
    for (users, sites, rounds) in [(1_000, 4, 200), (10_000, 10, 40)] {
        let figures = watched::watch(Watching { users, sites, rounds }, clock)?;
        writeln!(
            out,
            "monitor, {} links: {:.0} ns a sample, rows included; {:.1} % of a core at 100,000 samples a second",
            users * sites,
            figures.sample * 1e9,
            figures.sample * 1e5 * 100.0,
        )?;
        writeln!(
            out,
            "state, {} links: {:.0} bytes a link with one sample, {:.0} when full ({:.0} of them the monitor's); {:.0} written \
             down, in {:.0} ms",
            users * sites,
            figures.begun,
            figures.held,
            figures.watched,
            figures.written,
            figures.writing * 1e3,
        )?;
    }
    let figures = outage::outage((10_000, 10), clock)?;
    writeln!(
        out,
        "a data centre of 10000 users dies: first order after {:.1} ms, {} of them after {:.1} ms, all others looked at \
         again in {:.1} ms; a plan's figures {:.1} ms, a snapshot {:.1} ms, a report of {} scores {:.1} ms",
        figures.first * 1e3,
        figures.orders,
        figures.last * 1e3,
        figures.again * 1e3,
        figures.plan * 1e3,
        figures.snapshot * 1e3,
        figures.scores,
        figures.report * 1e3,
    )?;
    Ok(())
}

/// The least is what the code takes; the median also tells how busy the machine was.
fn least_and_median(mut run: impl FnMut() -> f64) -> (f64, f64) {
    let mut times: Vec<f64> = (0..RUNS).map(|_| run()).collect();
    times.sort_unstable_by(f64::total_cmp);
    (times[0], times[RUNS / 2])
}

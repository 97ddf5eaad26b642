//! `pacao bench monitor`: links through the engine's monitor.

#[path = "../../../../engine/core/benches/decide/watched.rs"]
mod watched;

use anyhow::Context;
use watched::Watching;

use super::clock::{self, Clock};
use super::probing;
use crate::checks::{Bound, Checks};
use crate::cli::BenchMonitorArgs;

/// Per cent of a core that 100,000 samples a second may take.
const SHARE: f64 = 25.0;
/// Bytes that the whole engine may take for a link: all that the process holds, what the allocator loses as well.
const BYTES: f64 = 500.0;
/// With fewer links what the process takes itself would weigh.
const JUDGED: usize = 100_000;

/// Runs the bench; `Ok(true)` if every check holds.
pub(crate) fn run(args: &BenchMonitorArgs) -> anyhow::Result<bool> {
    let clock = Clock::start();
    let mut checks = Checks::default();
    let load = clock::load();
    let watching = Watching {
        users: args.users as usize,
        sites: usize::from(args.dcs),
        rounds: args.rounds as usize,
    };
    let figures = watched::watch(watching, || clock.seconds())
        .map_err(anyhow::Error::from_boxed)
        .context("the links cannot be made")?;
    let links = watching.users * watching.sites;
    let bytes = if links < JUDGED {
        Bound::None
    } else {
        Bound::AtMost(BYTES)
    };
    checks.add("links", links as f64, "", Bound::None);
    checks.add("processor time a sample", figures.sample * 1e9, "ns", Bound::None);
    checks.add(
        "of a core, at 100,000 samples a second",
        figures.sample * 1e5 * 100.0,
        "%",
        Bound::AtMost(SHARE),
    );
    checks.add(
        "memory a link, with one sample",
        figures.begun,
        "bytes",
        Bound::None,
    );
    checks.add(
        "memory of the monitor a link, windows and histories full",
        figures.watched,
        "bytes",
        Bound::None,
    );
    checks.add(
        "memory of the engine a link, with users, entries and trails",
        figures.held,
        "bytes",
        bytes,
    );
    checks.add(
        "a link written down, in JSON",
        figures.written,
        "bytes",
        Bound::None,
    );
    checks.add("writing all down", figures.writing, "s", Bound::None);
    checks.add("load of the machine before", load, "", Bound::None);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else {
        print!("{}", checks.table());
    }
    Ok(checks.hold())
}

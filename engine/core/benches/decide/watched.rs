//! Links through the engine's monitor: what a sample costs, what a link takes.

use super::probing::{PROBE, Probing, config};
use proto::Span;

/// So many fill the windows and the history of two minutes.
const FULL: usize = 242;
/// An hour of trails, in minutes, and the one that runs.
const MINUTES: usize = 62;
/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Seconds a sample, rows and notices included, with all windows full.
    pub(crate) sample: f64,
    /// Bytes a link in memory after its first sample, its share of users, entries and sites included.
    pub(crate) begun: f64,
    /// The same with windows, histories and an hour of every entry's figures full: what the process takes, holes included.
    pub(crate) held: f64,
    /// Of that, bytes a link of the monitor: the link, its window and its history.
    pub(crate) watched: f64,
    /// Seconds to write the engine's state down.
    pub(crate) writing: f64,
    /// Bytes a link of that, in JSON.
    pub(crate) written: f64,
}

/// How many links, and how many of the last probes of each are timed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watching {
    pub(crate) users: usize,
    pub(crate) sites: usize,
    pub(crate) rounds: usize,
}

/// An hour in which every user's entry is probed now and then, then every link probed twice a second, in reports of 256
/// samples, with a level broken here and there. Seconds as `clock` says.
pub(crate) fn watch(
    watching: Watching,
    clock: impl Fn() -> f64,
) -> Result<Figures, Box<dyn std::error::Error + Send + Sync>> {
    let Watching { users, sites, rounds } = watching;
    let links = (users * sites) as f64;
    let empty = resident();
    let mut probing = Probing::begin(config(users, sites)?, &clock);
    probing.round(PROBE, |_, _| true);
    let begun = resident() - empty;
    for _ in 0..MINUTES {
        probing.now = probing.now + Span::secs(45);
        for _ in 0..5 {
            probing.round(Span::secs(3), |site, user| user % sites == site);
        }
    }
    for _ in 0..FULL.saturating_sub(rounds) {
        probing.round(PROBE, |_, _| true);
    }
    (probing.spent, probing.taken) = (0.0, 0);
    for _ in 0..rounds {
        probing.round(PROBE, |_, _| true);
    }
    let held = resident() - empty;
    let before = clock();
    let written = serde_json::to_vec(&probing.engine)?;
    Ok(Figures {
        sample: probing.spent / probing.taken as f64,
        begun: begun / links,
        held: held / links,
        watched: probing.engine.monitor_memory() as f64 / links,
        writing: clock() - before,
        written: written.len() as f64 / links,
    })
}

/// Bytes of this process in memory (proc_pid_status(5)).
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = field.and_then(|field| field.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| kilobytes * 1024.0)
}

//! What a small change costs once everybody is placed, with a small price on each move.

use pacao_core::optimizer::group::Solver;

use crate::bench::clock::Clock;
use crate::checks::{Bound, Checks};

/// Two hundredths of T at a bound of 58 ms, microseconds a moved user.
const PRICE_US: u32 = 1_160;
/// One user, or pair, in so many changes.
const ONE_IN: usize = 100;
/// What a proof must reach, and the seconds it may take.
const PROOF: (f64, f64) = (0.002, 0.3);

/// At most so many moves for each forced one.
const MOVES: f64 = 2.0;
/// Of the time for a new plan, what the search may take: it ends after the chain it follows.
const IN_HAND: f64 = 0.8;

/// What happened, to how many users, and within how many milliseconds there must be a new plan.
struct Change {
    name: &'static str,
    concerns: u64,
    within_ms: f64,
    /// Of users who went to another area.
    gone: Option<Gone>,
}

/// Users who went to another area, and stayed at their sites.
struct Gone {
    /// How many came to each area.
    came: Vec<u32>,
    /// Users by area and site since then.
    counts: Vec<u32>,
}

impl Gone {
    /// Moves that the change makes by itself: who leaves an area and comes to another counts a half, wherever he is
    /// served.
    fn forced(&self) -> f64 {
        f64::from(self.came.iter().sum::<u32>()) / 2.0
    }

    /// All moves: the forced ones, and one for everybody else who changes site. Users of an area are alike, so those
    /// who came to it are the first to change.
    fn moves(&self, counts: &[u32]) -> f64 {
        let sites = counts.len() / self.came.len();
        let rows = self.counts.chunks(sites).zip(counts.chunks(sites));
        let others = rows.zip(&self.came).map(|((before, after), came)| {
            let pairs = before.iter().zip(after);
            let left: u32 = pairs.map(|(before, after)| before.saturating_sub(*after)).sum();
            left.saturating_sub(*came)
        });
        self.forced() + f64::from(others.sum::<u32>())
    }
}

/// A handover of one user in a hundred, a failed site, a changed latency of one pair in a hundred.
pub(super) fn run(regime: &str, solver: Solver, checks: &mut Checks) -> anyhow::Result<()> {
    let mut solver = solver;
    for kind in 0..3 {
        solver.settle(PRICE_US);
        let failed = at_first_site(&solver);
        let clock = Clock::start();
        let change = match kind {
            0 => hand_over(&mut solver)?,
            1 => latencies(&mut solver)?,
            _ => Change {
                name: "a site fails",
                concerns: failed,
                within_ms: 10.0,
                gone: None,
            },
        };
        let spent = || clock.seconds() * 1e3;
        if kind == 2 {
            solver.set_site(0, 0, 0)?;
        }
        solver.mend(&mut || spent() > IN_HAND * change.within_ms);
        let (mended, wall) = (spent(), clock.wall() * 1e3);
        let out: u32 = solver.plan().left_out.iter().map(|left| left.users).sum();
        let (moved, counts) = (solver.moved(), solver.plan().counts);
        let clock = Clock::start();
        let mut stop = || clock.seconds() > PROOF.1;
        solver.prove(PROOF.0, &mut stop);
        let gap = solver.plan().gap;
        let mut add = |what: &str, value, unit, bound| {
            checks.add(format!("{regime}, {}: {what}", change.name), value, unit, bound);
        };
        add("new plan after", mended, "ms", Bound::AtMost(change.within_ms));
        add("and by the clock", wall, "ms", Bound::None);
        add(
            "users without a place",
            f64::from(out),
            "users",
            Bound::AtMost(0.0),
        );
        add("users concerned", change.concerns as f64, "users", Bound::None);
        add("at another site than before", moved as f64, "users", Bound::None);
        if let Some(gone) = &change.gone {
            let most = Bound::AtMost(MOVES * gone.forced());
            add(
                "forced moves, a half for each who went",
                gone.forced(),
                "",
                Bound::None,
            );
            add("moves, counted so", gone.moves(&counts), "", most);
        }
        add(
            "gap of F proven within 0.3 s",
            gap * 100.0,
            "%",
            Bound::AtMost(PROOF.0 * 100.0),
        );
    }
    Ok(())
}

fn at_first_site(solver: &Solver) -> u64 {
    let sites = solver.problem().sites().len();
    let plan = solver.plan();
    plan.counts
        .iter()
        .step_by(sites)
        .map(|&count| u64::from(count))
        .sum()
}

/// Every hundredth user goes to the next area and stays at his site.
fn hand_over(solver: &mut Solver) -> anyhow::Result<Change> {
    let mut counts = solver.plan().counts;
    let (areas, sites) = (solver.problem().areas().len(), solver.problem().sites().len());
    let mut seen = 0;
    let mut came = vec![0; areas];
    let people = counts.clone();
    for (at, &count) in people.iter().enumerate() {
        let before = seen / ONE_IN;
        seen += count as usize;
        let users = (seen / ONE_IN - before) as u32;
        if users > 0 {
            let (area, site) = (at / sites, at % sites);
            let next = (area + 1) % areas;
            solver.hand_over(area, next, (site, users))?;
            came[next] += users;
            counts[at] -= users;
            counts[next * sites + site] += users;
        }
    }
    Ok(Change {
        name: "1 % change area",
        concerns: (seen / ONE_IN) as u64,
        within_ms: 20.0,
        gone: Some(Gone { came, counts }),
    })
}

/// Every hundredth pair takes 15 ms longer.
fn latencies(solver: &mut Solver) -> anyhow::Result<Change> {
    let sites = solver.problem().sites().len();
    for pair in (0..solver.problem().areas().len() * sites).step_by(ONE_IN - 1) {
        let (area, site) = (pair / sites, pair % sites);
        if let Some(us) = solver.problem().latency_us(area, site) {
            solver.set_latency(area, site, us + 15_000)?;
        }
    }
    Ok(Change {
        name: "1 % of latencies +15 ms",
        concerns: 0,
        within_ms: 10.0,
        gone: None,
    })
}

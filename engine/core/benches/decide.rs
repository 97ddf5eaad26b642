//! How long one user's decision takes, and how many links one core can watch.
//!
//! `cargo bench -p pacao-core` prints them. The goals: one decision at
//! 64 data centres and 4 criteria within a microsecond, 100,000 samples a second within a quarter of a core.

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use lisp_wire::Rloc;
use pacao_core::config::{
    Calm, Demand, Offer, Policy, Shared, Site, Sla, Slots, Statistic, Terms, Traits, User, Vm, Watch, Weights,
};
use pacao_core::optimizer::{Class, choose, criteria};
use pacao_core::{Config, Engine, Input};
use proto::{Mode, NodeReport, ProbeOutcome, ProbeSample, Span, Timestamp};

const RUNS: usize = 25;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    let (least, median) = least_and_median(|| decisions(64));
    writeln!(
        out,
        "one decision, 64 data centres x 4 criteria: {:.0} ns at best, {:.0} ns median",
        least * 1e9,
        median * 1e9,
    )?;
    let (least, median) = least_and_median(|| all_criteria(64));
    writeln!(
        out,
        "one decision, 64 data centres x all {} criteria: {:.0} ns at best, {:.0} ns median",
        criteria::K,
        least * 1e9,
        median * 1e9,
    )?;
    for (users, sites) in [(1_000, 4), (10_000, 10)] {
        let figures = monitor(users, sites)?;
        writeln!(
            out,
            "monitor, {} links: {:.0} ns a sample, rows included; {:.1} % of a core at 100,000 samples a second",
            users * sites,
            figures.sample * 1e9,
            figures.sample * 1e5 * 100.0,
        )?;
        writeln!(
            out,
            "state written down, {} links: {:.0} bytes a link in JSON, {:.0} ms",
            users * sites,
            figures.bytes_a_link,
            figures.writing.as_secs_f64() * 1e3,
        )?;
    }
    Ok(())
}

/// The least is what the code takes; the median also tells how busy the machine was.
fn least_and_median(mut run: impl FnMut() -> f64) -> (f64, f64) {
    let mut times: Vec<f64> = (0..RUNS).map(|_| run()).collect();
    times.sort_unstable_by(f64::total_cmp);
    (times[0], times[RUNS / 2])
}

/// Seconds a decision, over 4,096 users with figures around their bounds.
fn decisions(sites: usize) -> f64 {
    let class = Class::new([0.4, 0.2, 0.2, 0.2], [100_000, 30_000, 20_000, 500_000]);
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut up_to = |most: u32| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 33) as u32 % most
    };
    let users: Vec<Vec<Option<[u32; 4]>>> = (0..4096)
        .map(|_| {
            (0..sites)
                .map(|_| Some([up_to(250_000), up_to(60_000), up_to(50_000), up_to(1_000_000)]))
                .collect()
        })
        .collect();
    let begun = Instant::now();
    for (present, candidates) in users.iter().enumerate() {
        black_box(choose(&class, black_box(candidates), Some(present % sites)));
    }
    begun.elapsed().as_secs_f64() / users.len() as f64
}

/// As [`decisions`], with every criterion the engine knows and two of them enforced.
fn all_criteria(sites: usize) -> f64 {
    let bound = [
        100_000, 30_000, 20_000, 5_000, 1_000_000, 1_000_000, 900_000, 40_000, 3_000,
    ];
    let class = Class::new([0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05], bound)
        .enforcing(4)
        .enforcing(5);
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut around = |most: u32| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        ((seed >> 33) % (u64::from(most) * 2)) as u32
    };
    let users: Vec<Vec<Option<criteria::Measures>>> = (0..2048)
        .map(|_| (0..sites).map(|_| Some(bound.map(&mut around))).collect())
        .collect();
    let begun = Instant::now();
    for (present, candidates) in users.iter().enumerate() {
        black_box(choose(&class, black_box(candidates), Some(present % sites)));
    }
    begun.elapsed().as_secs_f64() / users.len() as f64
}

struct Figures {
    /// Seconds.
    sample: f64,
    writing: Duration,
    bytes_a_link: f64,
}

/// Every link probed twice a second for a while, in reports of 256 samples, with a level broken here and there.
fn monitor(users: usize, sites: usize) -> Result<Figures, Box<dyn std::error::Error>> {
    let t0 = Timestamp(1_700_000_000_000_000);
    let mut engine = Engine::new(config(users, sites)?, t0);
    let names: Vec<_> = engine.config().sites.keys().cloned().collect();
    let targets: Vec<Rloc> = engine.config().users.values().map(|user| user.rloc).collect();
    engine.handle(Input::Started, t0);
    for site in &names {
        engine.handle(Input::NodeUp { site: site.clone() }, t0);
    }
    let rounds = if users > 5_000 { 40 } else { 200 };
    let mut now = t0;
    let mut spent = Duration::ZERO;
    let mut samples_taken = 0_usize;
    for round in 0..rounds {
        for site in &names {
            for (chunk, some) in targets.chunks(256).enumerate() {
                now = now + Span((500_000 / (names.len() * targets.len().div_ceil(256))) as u64);
                let samples: Vec<ProbeSample> = some
                    .iter()
                    .enumerate()
                    .map(|(at, &target)| ProbeSample {
                        target,
                        sent_at: now,
                        outcome: match (at + chunk + round) % 97 {
                            0 => ProbeOutcome::Lost,
                            n if at % 100 == 7 => ProbeOutcome::Rtt(Span(150_000 + n as u64)),
                            n => ProbeOutcome::Rtt(Span(35_000 + 40 * n as u64)),
                        },
                    })
                    .collect();
                samples_taken += samples.len();
                let input = Input::Report {
                    site: site.clone(),
                    report: NodeReport::Probes { samples },
                };
                let begun = Instant::now();
                black_box(engine.handle(input, now));
                spent += begun.elapsed();
            }
        }
    }
    let begun = Instant::now();
    let written = serde_json::to_vec(&engine)?;
    Ok(Figures {
        sample: spent.as_secs_f64() / samples_taken as f64,
        writing: begun.elapsed(),
        bytes_a_link: written.len() as f64 / (users * sites) as f64,
    })
}

fn config(users: usize, sites: usize) -> Result<Config, Box<dyn std::error::Error>> {
    let site_name = |at: usize| format!("dc-{at}").parse();
    let mut config = Config {
        session: "bench".to_owned(),
        mode: Mode::Observe,
        slots: Slots {
            decide: Span::secs(10),
            settle: Span::secs(5),
            probe: Span::millis(500),
        },
        sites: [].into(),
        users: [].into(),
        vms: [(
            "web".parse()?,
            Vm {
                eid: "10.0.0.7".parse()?,
                home: site_name(0)?,
                traits: Traits::default(),
                demand: Demand::default(),
                shared: Shared::default(),
            },
        )]
        .into(),
        sla: [(
            "interactive".parse()?,
            Sla {
                rtt_ms: 100.0,
                jitter_ms: 30.0,
                loss_pct: 2.0,
                weights: Weights {
                    rtt: 0.6,
                    jitter: 0.2,
                    loss: 0.2,
                },
                statistic: Statistic::Mean,
                dscp: 0,
                terms: Terms::default(),
                watch: Watch::default(),
            },
        )]
        .into(),
        policy: Policy {
            proposal_ttl: Span::secs(60),
            cool_down: Span::secs(30),
            gain_min: 5.0,
            gain_min_share: 0.1,
            confirm_within: Span::secs(10),
            prove_within: Span::ZERO,
            down_after: 3,
            up_after: 3,
            stale_after: Span::secs(5),
            probe_timeout: Span::secs(2),
        },
        calm: Calm::default(),
    };
    for at in 0..sites {
        let rloc = Rloc([172, 16, 0, at as u8].into());
        config.sites.insert(
            site_name(at)?,
            Site {
                label: format!("DC {at}"),
                rloc,
                offer: Offer::default(),
            },
        );
    }
    for at in 0..users {
        let [_, a, b, c] = (at as u32).to_be_bytes();
        let user = User {
            label: format!("User {at}"),
            rloc: Rloc([100, 64 + a, b, c].into()),
            eid: format!("10.{}.{b}.{c}", 128 + a).parse()?,
            sla: "interactive".parse()?,
            vms: [("web".parse()?, site_name(at % sites)?)].into(),
            size: 1,
            traits: Traits::default(),
        };
        config.users.insert(format!("user-{at:06}").parse()?, user);
    }
    Ok(config)
}

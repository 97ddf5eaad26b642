//! Links through the engine's monitor: what a sample costs, what a link takes.

use std::hint::black_box;

use lisp_wire::Rloc;
use pacao_core::config::{
    Calm, Demand, Offer, Policy, Shared, Site, Sla, Slots, Statistic, Terms, Traits, User, Vm, Watch, Weights,
};
use pacao_core::{Config, Engine, Input};
use proto::{Mode, NodeReport, ProbeOutcome, ProbeSample, Span, Timestamp};

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Seconds a sample, rows and notices included.
    pub(crate) sample: f64,
    /// Bytes a link in memory after its first sample, its share of users and sites included.
    pub(crate) held: f64,
    /// The same after all samples.
    pub(crate) held_with_history: f64,
    /// Seconds to write the engine's state down.
    pub(crate) writing: f64,
    /// Bytes a link of that, in JSON.
    pub(crate) written: f64,
}

/// How many links, and how often each is probed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watching {
    pub(crate) users: usize,
    pub(crate) sites: usize,
    pub(crate) rounds: usize,
}

/// Every link probed twice a second, in reports of 256 samples, with a level broken here and there. Seconds as `clock`
/// says.
pub(crate) fn watch(
    watching: Watching,
    clock: impl Fn() -> f64,
) -> Result<Figures, Box<dyn std::error::Error + Send + Sync>> {
    let Watching { users, sites, rounds } = watching;
    let t0 = Timestamp(1_700_000_000_000_000);
    let config = config(users, sites)?;
    let empty = resident();
    let mut engine = Engine::new(config, t0);
    let names: Vec<_> = engine.config().sites.keys().cloned().collect();
    let targets: Vec<Rloc> = engine.config().users.values().map(|user| user.rloc).collect();
    engine.handle(Input::Started, t0);
    for site in &names {
        engine.handle(Input::NodeUp { site: site.clone() }, t0);
    }
    let mut now = t0;
    let mut spent = 0.0;
    let mut without_history = 0.0;
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
                let begun = clock();
                black_box(engine.handle(input, now));
                spent += clock() - begun;
            }
        }
        if round == 0 {
            without_history = resident() - empty;
        }
    }
    let links = (users * sites) as f64;
    let with_history = resident() - empty;
    let begun = clock();
    let written = serde_json::to_vec(&engine)?;
    Ok(Figures {
        sample: spent / samples_taken as f64,
        held: without_history / links,
        held_with_history: with_history / links,
        writing: clock() - begun,
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

fn config(users: usize, sites: usize) -> Result<Config, Box<dyn std::error::Error + Send + Sync>> {
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

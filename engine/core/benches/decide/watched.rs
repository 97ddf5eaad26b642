//! Links through the engine's monitor: what a sample costs, what a link takes.

use std::hint::black_box;

use lisp_wire::Rloc;
use pacao_core::config::{
    Calm, Demand, Offer, Policy, Shared, Site, Sla, Slots, Statistic, Terms, Traits, User, Vm, Watch, Weights,
};
use pacao_core::{Config, Engine, Input};
use proto::{Mode, NodeReport, ProbeOutcome, ProbeSample, SiteName, Span, Timestamp};

/// Time between the probes of a link.
const PROBE: Span = Span::millis(500);
/// So many fill the windows and the history of two minutes.
const FULL: usize = 242;
/// An hour of trails, in minutes, and the one that runs.
const MINUTES: usize = 62;
/// A report's samples.
const REPORTED: usize = 256;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Seconds a sample, rows and notices included, with all windows full.
    pub(crate) sample: f64,
    /// Bytes a link in memory after its first sample, its share of users, entries and sites included.
    pub(crate) begun: f64,
    /// The same with windows, histories and an hour of every entry's figures full.
    pub(crate) held: f64,
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
    let mut probing = Probing::begin(config(users, sites)?, clock);
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
    let before = (probing.clock)();
    let written = serde_json::to_vec(&probing.engine)?;
    Ok(Figures {
        sample: probing.spent / probing.taken as f64,
        begun: begun / links,
        held: held / links,
        writing: (probing.clock)() - before,
        written: written.len() as f64 / links,
    })
}

/// An engine, and what its forwarders tell it.
struct Probing<C> {
    engine: Engine,
    sites: Vec<SiteName>,
    targets: Vec<Rloc>,
    now: Timestamp,
    round: usize,
    clock: C,
    /// Seconds that the engine took for `taken` samples.
    spent: f64,
    taken: usize,
}

impl<C: Fn() -> f64> Probing<C> {
    fn begin(config: Config, clock: C) -> Self {
        let now = Timestamp(1_700_000_000_000_000);
        let mut engine = Engine::new(config, now);
        let sites: Vec<SiteName> = engine.config().sites.keys().cloned().collect();
        engine.handle(Input::Started, now);
        for site in &sites {
            engine.handle(Input::NodeUp { site: site.clone() }, now);
        }
        Self {
            sites,
            targets: engine.config().users.values().map(|user| user.rloc).collect(),
            engine,
            now,
            round: 0,
            clock,
            spent: 0.0,
            taken: 0,
        }
    }

    /// One probe of each of those links, by their sites' and users' numbers, all within `lasting`.
    fn round(&mut self, lasting: Span, of: impl Fn(usize, usize) -> bool) {
        let reports = self.sites.len() * self.targets.len().div_ceil(REPORTED);
        for site in 0..self.sites.len() {
            for first in (0..self.targets.len()).step_by(REPORTED) {
                self.now = self.now + Span(lasting.0 / reports as u64);
                let last = self.targets.len().min(first + REPORTED);
                let those = (first..last).filter(|&user| of(site, user));
                let samples: Vec<ProbeSample> = those.map(|user| self.sample(user)).collect();
                self.taken += samples.len();
                let input = Input::Report {
                    site: self.sites[site].clone(),
                    report: NodeReport::Probes { samples },
                };
                let before = (self.clock)();
                black_box(self.engine.handle(input, self.now));
                self.spent += (self.clock)() - before;
            }
        }
        self.round += 1;
    }

    /// Around 37 ms, two ms more or less by chance; one of a hundred users is far away, one of a hundred probes lost.
    fn sample(&self, user: usize) -> ProbeSample {
        let chance = (31 * user + user / REPORTED + 37 * self.round) % 97;
        let outcome = match chance {
            0 => ProbeOutcome::Lost,
            chance if user % 100 == 7 => ProbeOutcome::Rtt(Span(150_000 + chance as u64)),
            chance => ProbeOutcome::Rtt(Span(35_000 + 40 * chance as u64)),
        };
        ProbeSample {
            target: self.targets[user],
            sent_at: self.now,
            outcome,
        }
    }
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
            probe: PROBE,
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

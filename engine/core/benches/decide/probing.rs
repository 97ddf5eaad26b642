//! An engine that many links are reported to.

use std::hint::black_box;

use lisp_wire::Rloc;
use pacao_core::config::{
    Calm, Demand, Offer, Policy, Shared, Site, Sla, Slots, Statistic, Terms, Traits, User, Vm, Watch, Weights,
};
use pacao_core::{Config, Effect, Engine, Input};
use proto::node::{ChangeOutcome, Tell};
use proto::{
    Audience, ChangeId, Mode, NodeCommand, NodeReport, ProbeOutcome, ProbeSample, SiteName, Span, Timestamp,
};

/// Time between the probes of a link.
pub(crate) const PROBE: Span = Span::millis(500);
/// A report's samples.
const REPORTED: usize = 256;

/// An engine, and what its forwarders tell it.
pub(crate) struct Probing<'a> {
    pub(crate) engine: Engine,
    pub(crate) sites: Vec<SiteName>,
    pub(crate) now: Timestamp,
    /// Seconds that the engine took for `taken` samples.
    pub(crate) spent: f64,
    pub(crate) taken: usize,
    targets: Vec<Rloc>,
    round: usize,
    clock: &'a dyn Fn() -> f64,
}

impl<'a> Probing<'a> {
    /// Seconds as `clock` says.
    pub(crate) fn begin(config: Config, clock: &'a dyn Fn() -> f64) -> Self {
        let now = Timestamp(1_700_000_000_000_000);
        let mut engine = Engine::new(config, now);
        let sites: Vec<SiteName> = engine.config().sites.keys().cloned().collect();
        engine.handle(Input::Started, now);
        for site in &sites {
            let told = orders(&engine.handle(Input::NodeUp { site: site.clone() }, now));
            for (site, report) in told {
                engine.handle(Input::Report { site, report }, now);
            }
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
    pub(crate) fn round(&mut self, lasting: Span, of: impl Fn(usize, usize) -> bool) {
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
                black_box(self.handle(input));
            }
        }
        self.round += 1;
    }

    /// One input, with its time.
    pub(crate) fn handle(&mut self, input: Input) -> Vec<Effect> {
        let before = (self.clock)();
        let effects = self.engine.handle(input, self.now);
        self.spent += (self.clock)() - before;
        effects
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

/// Whose entries are told to them, as the confirmations of that.
pub(crate) fn orders(effects: &[Effect]) -> Vec<(SiteName, NodeReport)> {
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Node {
            site,
            command:
                NodeCommand::SetLocators {
                    change,
                    audience: Audience::Client { rloc },
                    tell: Tell::ChangePriority,
                    ..
                },
        } => Some((site.clone(), confirmed(*change, *rloc))),
        _ => None,
    });
    told.collect()
}

fn confirmed(change: ChangeId, client: Rloc) -> NodeReport {
    let outcome = ChangeOutcome::Acknowledged {
        client,
        after: Span::millis(30),
        attempts: 1,
    };
    NodeReport::Changed { change, outcome }
}

/// Users and data centres; each user enters by another one.
pub(crate) fn config(users: usize, sites: usize) -> Result<Config, Box<dyn std::error::Error + Send + Sync>> {
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
        legs: None,
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

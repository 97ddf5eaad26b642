//! A small world in virtual time: forwarders that probe, tell users and acknowledge, around one engine.

use std::collections::{BTreeMap, BTreeSet};

use lisp_wire::{Locator, Rloc};
use pacao_core::config::{
    Calm, Demand, Offer, Policy, Shared, Site, Sla, Slots, Statistic, Terms, Traits, User, Vm, Watch, Weights,
};
use pacao_core::{Config, Effect, Engine, Input};
use proto::node::{ChangeOutcome, Tell};
use proto::{
    Actor, Audience, Command, LegRow, LinkRow, Mode, NodeCommand, NodeReport, Notice, ProbeOutcome,
    ProbeSample, Proposal, ProposalId, ProposalState, Reply, RequestId, Span, Timestamp, Verdict,
};

/// The moment the engine is made.
pub(crate) const T0: Timestamp = Timestamp(1_700_000_000_000_000);
/// From the sending of Change-Priority to its acknowledgement.
pub(crate) const SIGNALLING: Span = Span::millis(41);

/// Round trip between any two data centres, milliseconds, unless a test says otherwise.
pub(crate) const LEG: f64 = 4.0;

/// Milliseconds of round trip from a data centre to a user, `None` if the probe is lost; by seconds since [`T0`].
pub(crate) type Wan = Box<dyn FnMut(&str, &str, f64) -> Option<f64>>;

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Timestamp,
    pub(crate) wan: Wan,
    /// The same from a data centre to another, once [`World::measure_legs`] was asked for.
    pub(crate) between: Wan,
    /// Whether users acknowledge.
    pub(crate) answering: bool,
    /// Forwarders tell probes that are out for this long to be overdue; `None`: they are of an older version.
    pub(crate) overdue_after: Option<Span>,
    /// Forwarders that are connected and report nothing.
    pub(crate) mute: BTreeSet<String>,
    /// Data centres that are connected and report nothing of another.
    pub(crate) silent: BTreeSet<(String, String)>,
    /// What users hold: by their locator.
    pub(crate) held: BTreeMap<Rloc, Vec<Locator>>,
    pub(crate) inputs: Vec<(Timestamp, Input)>,
    pub(crate) effects: Vec<(Timestamp, Effect)>,
    connected: BTreeSet<String>,
    queue: BTreeMap<(Timestamp, u64), Due>,
    sequence: u64,
}

enum Due {
    Probe {
        site: String,
        user: String,
        target: Rloc,
    },
    Tell(Input),
}

/// RTTs of the first test bed of the thesis (Table 5.1) with its third site.
pub(crate) fn table_5_1(dc: &str, user: &str) -> f64 {
    match (user, dc) {
        ("lyon", "telco") => 44.0,
        ("lyon", "marilyn") => 33.0,
        ("lyon", "lip6") => 38.0,
        (_, "telco") => 37.0,
        (_, "marilyn") => 35.0,
        (_, _) => 41.0,
    }
}

pub(crate) fn config() -> Config {
    let site = |label: &str, last: u8| Site {
        label: label.to_owned(),
        rloc: Rloc([172, 16, 0, last].into()),
        offer: Offer::default(),
    };
    let user = |label: &str, last: u8, entry: &str| User {
        label: label.to_owned(),
        rloc: Rloc([172, 16, 1, last].into()),
        eid: format!("10.2.{last}.0/24").parse().unwrap(),
        sla: "interactive".parse().unwrap(),
        vms: [("web".parse().unwrap(), entry.parse().unwrap())].into(),
        size: 1,
        traits: Traits::default(),
    };
    Config {
        session: "table-5-1".to_owned(),
        mode: Mode::Auto,
        slots: Slots {
            decide: Span::secs(10),
            settle: Span::secs(5),
            probe: Span::millis(500),
        },
        sites: [
            ("telco".parse().unwrap(), site("TelcoCenter", 1)),
            ("marilyn".parse().unwrap(), site("Marilyn", 2)),
            ("lip6".parse().unwrap(), site("LIP6", 3)),
        ]
        .into(),
        users: [
            ("paris".parse().unwrap(), user("Paris", 1, "telco")),
            ("lyon".parse().unwrap(), user("Lyon", 2, "marilyn")),
        ]
        .into(),
        vms: [(
            "web".parse().unwrap(),
            Vm {
                eid: "10.1.0.7/32".parse().unwrap(),
                home: "telco".parse().unwrap(),
                traits: Traits::default(),
                demand: Demand::default(),
                shared: Shared::default(),
            },
        )]
        .into(),
        sla: [(
            "interactive".parse().unwrap(),
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
    }
}

impl World {
    /// All forwarders connected, all links as in Table 5.1, and time at [`T0`].
    pub(crate) fn new(mode: Mode) -> Self {
        Self::of(Config { mode, ..config() })
    }

    pub(crate) fn of(config: Config) -> Self {
        let mut world = Self {
            engine: Engine::new(config, T0),
            now: T0,
            wan: Box::new(|dc, user, _| Some(table_5_1(dc, user))),
            between: Box::new(|_, _, _| Some(LEG)),
            answering: true,
            overdue_after: None,
            mute: BTreeSet::new(),
            silent: BTreeSet::new(),
            held: BTreeMap::new(),
            inputs: Vec::new(),
            effects: Vec::new(),
            connected: BTreeSet::new(),
            queue: BTreeMap::new(),
            sequence: 0,
        };
        world.give(Input::Started);
        let sites: Vec<String> = world
            .engine
            .config()
            .sites
            .keys()
            .map(ToString::to_string)
            .collect();
        let users: Vec<(String, Rloc)> = world
            .engine
            .config()
            .users
            .iter()
            .map(|(name, user)| (name.to_string(), user.rloc))
            .collect();
        for (at, site) in sites.iter().enumerate() {
            world.connect(site);
            for (other, (user, target)) in users.iter().enumerate() {
                let first = T0 + Span::millis(50 + 60 * at as u64 + 20 * other as u64);
                world.plan(
                    first,
                    Due::Probe {
                        site: site.clone(),
                        user: user.clone(),
                        target: *target,
                    },
                );
            }
        }
        world
    }

    /// Data centres probe each other from now on, as a forwarder does that is told to.
    pub(crate) fn measure_legs(&mut self) {
        let sites = self.engine.config().sites.clone();
        let ends = |from: &_| {
            let others = sites.iter().filter(move |(to, _)| *to != from);
            others
                .map(|(to, site)| (to.to_string(), site.rloc))
                .collect::<Vec<_>>()
        };
        for (at, from) in sites.keys().enumerate() {
            for (other, (to, target)) in ends(from).into_iter().enumerate() {
                let first = self.now + Span::millis(70 + 60 * at as u64 + 20 * other as u64);
                let (site, user) = (from.to_string(), to);
                self.plan(first, Due::Probe { site, user, target });
            }
        }
    }

    pub(crate) fn leg(&self, from: &str, to: &str) -> LegRow {
        let rows = self.engine.snapshot(self.now).legs;
        rows.into_iter()
            .find(|row| row.from.as_str() == from && row.to.as_str() == to)
            .unwrap()
    }

    /// With the WAN as Table 5.1, but for one user's link, which takes `more` milliseconds from `from` to `to`.
    pub(crate) fn stress(&mut self, link: (&'static str, &'static str), more: f64, (from, to): (f64, f64)) {
        self.wan = Box::new(move |dc, user, at| {
            let base = table_5_1(dc, user);
            let stressed = (user, dc) == link && at >= from && at < to;
            Some(if stressed { base + more } else { base })
        });
    }

    pub(crate) fn is_connected(&self, site: &str) -> bool {
        self.connected.contains(site)
    }

    pub(crate) fn connect(&mut self, site: &str) {
        self.connected.insert(site.to_owned());
        self.give(Input::NodeUp {
            site: site.parse().unwrap(),
        });
        let hello = NodeReport::Hello {
            name: site.parse().unwrap(),
            version: "0.1.0".to_owned(),
            rlocs: Vec::new(),
            since: T0,
        };
        self.give(Input::Report {
            site: site.parse().unwrap(),
            report: hello,
        });
    }

    pub(crate) fn cut(&mut self, site: &str) {
        self.connected.remove(site);
        self.give(Input::NodeDown {
            site: site.parse().unwrap(),
            why: "connection reset".to_owned(),
        });
    }

    /// Kill -9 and a restart from what was written down, `away` later. Forwarders reconnect at once then.
    pub(crate) fn restart(&mut self, away: Span) {
        let written = serde_json::to_string(&self.engine).unwrap();
        self.engine = serde_json::from_str(&written).unwrap();
        let sites: Vec<String> = std::mem::take(&mut self.connected).into_iter().collect();
        let back = self.now + away;
        // Probes go on, but nobody hears of them.
        while let Some((&(at, _), _)) = self.queue.first_key_value() {
            if at > back {
                break;
            }
            self.next_due();
        }
        self.now = back;
        self.give(Input::Started);
        for site in sites {
            self.connect(&site);
        }
    }

    /// Lets the world run until so many seconds after [`T0`].
    pub(crate) fn run_to(&mut self, seconds: f64) {
        let end = T0 + Span((seconds * 1e6) as u64);
        loop {
            let queued = self.queue.first_key_value().map(|(&(at, _), _)| at);
            let deadline = self.engine.next_deadline();
            let Some(next) = queued.into_iter().chain(deadline).min().filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if queued == Some(next) {
                self.next_due();
            } else {
                self.give(Input::Tick);
            }
        }
        self.now = self.now.max(end);
    }

    pub(crate) fn ask(&mut self, command: Command) -> Reply {
        self.sequence += 1;
        let request = RequestId(format!("r{}", self.sequence));
        self.ask_as(&request, command)
    }

    pub(crate) fn ask_as(&mut self, request: &RequestId, command: Command) -> Reply {
        let by = Actor::Operator {
            name: "ada".to_owned(),
        };
        let before = self.effects.len();
        self.give(Input::Command {
            request: request.clone(),
            by,
            command,
        });
        let mut replies = self.effects[before..]
            .iter()
            .filter_map(|(_, effect)| match effect {
                Effect::Reply { request: of, reply } if of == request => Some(reply.clone()),
                _ => None,
            });
        let reply = replies.next().expect("every command is answered");
        assert!(replies.next().is_none(), "and only once");
        reply
    }

    pub(crate) fn decide(&mut self, proposal: &Proposal, verdict: Verdict) -> Reply {
        self.ask(Command::Decide {
            proposal: proposal.id,
            revision: proposal.revision,
            verdict,
        })
    }

    pub(crate) fn switch(&mut self, user: &str, to: &str) -> Reply {
        self.ask(Command::Switch {
            user: user.parse().unwrap(),
            vm: "web".parse().unwrap(),
            to: to.parse().unwrap(),
        })
    }

    /// Seconds since [`T0`].
    pub(crate) fn seconds(at: Timestamp) -> f64 {
        at.since(T0).as_secs_f64()
    }

    pub(crate) fn entry(&self, user: &str) -> String {
        let snapshot = self.engine.snapshot(self.now);
        let rows = snapshot.rlocs.iter().filter(|row| row.user.as_str() == user);
        rows.min_by_key(|row| row.priority).unwrap().dc.to_string()
    }

    /// The data centre a user's xTR really enters by.
    pub(crate) fn held_entry(&self, user: &str) -> String {
        let config = self.engine.config();
        let held = &self.held[&config.users[user].rloc];
        let best = held.iter().min_by_key(|locator| locator.priority).unwrap().rloc;
        config
            .sites
            .iter()
            .find(|(_, site)| site.rloc == best)
            .unwrap()
            .0
            .to_string()
    }

    pub(crate) fn row(&self, user: &str, dc: &str) -> LinkRow {
        let rows = self.engine.snapshot(self.now).links;
        rows.into_iter()
            .find(|row| row.link.user.as_str() == user && row.link.dc.as_str() == dc)
            .unwrap()
    }

    pub(crate) fn proposals(&self) -> Vec<Proposal> {
        self.engine.snapshot(self.now).proposals
    }

    pub(crate) fn proposal(&self, id: u64) -> Proposal {
        self.proposals()
            .into_iter()
            .find(|proposal| proposal.id == ProposalId(id))
            .unwrap()
    }

    pub(crate) fn open(&self) -> Vec<Proposal> {
        self.proposals()
            .into_iter()
            .filter(|proposal| proposal.state == ProposalState::Open)
            .collect()
    }

    /// Moments at which switches were confirmed, in seconds since [`T0`], with where to.
    pub(crate) fn switches(&self) -> Vec<(f64, String)> {
        let confirmed = |(at, effect): &(Timestamp, Effect)| match effect {
            Effect::Notify {
                notice: Notice::Proposal { proposal },
            } if matches!(proposal.state, ProposalState::Confirmed { .. }) => {
                Some((Self::seconds(*at), proposal.to.to_string()))
            }
            _ => None,
        };
        self.effects.iter().filter_map(confirmed).collect()
    }

    /// Moments at which a forwarder was asked to move `user`, in seconds since [`T0`].
    pub(crate) fn tellings(&self, user: &str) -> Vec<f64> {
        let rloc = self.engine.config().users[user].rloc;
        let told = |(at, effect): &(Timestamp, Effect)| match effect {
            Effect::Node {
                command: NodeCommand::SetLocators { audience, tell, .. },
                ..
            } if *tell == Tell::ChangePriority && *audience == (Audience::Client { rloc }) => {
                Some(Self::seconds(*at))
            }
            _ => None,
        };
        self.effects.iter().filter_map(told).collect()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.engine
            .snapshot(self.now)
            .log
            .into_iter()
            .map(|entry| entry.text)
            .collect()
    }

    pub(crate) fn give(&mut self, input: Input) {
        self.inputs.push((self.now, input.clone()));
        let effects = self.engine.handle(input, self.now);
        assert!(
            self.engine.next_deadline().is_none_or(|at| at > self.now),
            "a deadline in the past is a busy loop"
        );
        for effect in &effects {
            self.carry_out(effect);
        }
        let now = self.now;
        self.effects
            .extend(effects.into_iter().map(|effect| (now, effect)));
    }

    fn carry_out(&mut self, effect: &Effect) {
        let Effect::Node { site, command } = effect else {
            return;
        };
        assert!(
            self.connected.contains(site.as_str()),
            "{site} is not connected: {command:?}"
        );
        let NodeCommand::SetLocators {
            change,
            audience,
            locators,
            tell,
            ..
        } = command
        else {
            return;
        };
        let (Audience::Client { rloc: client }, Tell::ChangePriority) = (*audience, *tell) else {
            return;
        };
        let outcome = if self.answering {
            self.held.insert(client, locators.clone());
            ChangeOutcome::Acknowledged {
                client,
                after: SIGNALLING,
                attempts: 1,
            }
        } else {
            ChangeOutcome::Unanswered { client, attempts: 5 }
        };
        let after = if self.answering { SIGNALLING } else { Span::secs(4) };
        let report = NodeReport::Changed {
            change: *change,
            outcome,
        };
        self.plan(
            self.now + after,
            Due::Tell(Input::Report {
                site: site.clone(),
                report,
            }),
        );
    }

    fn next_due(&mut self) {
        let Some(((at, _), due)) = self.queue.pop_first() else {
            return;
        };
        match due {
            Due::Tell(input) => {
                let from = match &input {
                    Input::Report { site, .. } => site.to_string(),
                    _ => String::new(),
                };
                // What a forwarder would tell while nobody listens is lost.
                if self.connected.contains(&from) && !self.mute.contains(&from) {
                    self.give(input);
                }
            }
            Due::Probe { site, user, .. } if self.silent.contains(&(site.clone(), user.clone())) => {}
            Due::Probe { site, user, target } => {
                let config = self.engine.config();
                let (interval, timeout) = (config.slots.probe, config.policy.probe_timeout);
                let at_end = config.sites.values().any(|site| site.rloc == target);
                let way = if at_end { &mut self.between } else { &mut self.wan };
                let rtt = way(&site, &user, Self::seconds(at)).map(|ms| Span((ms * 1e3) as u64));
                let rtt = rtt.filter(|&rtt| rtt <= timeout);
                let outcome = rtt.map_or(ProbeOutcome::Lost, ProbeOutcome::Rtt);
                if let Some(after) = self
                    .overdue_after
                    .filter(|&after| rtt.is_none_or(|rtt| rtt > after))
                {
                    let overdue = NodeReport::Probes {
                        samples: vec![ProbeSample {
                            target,
                            sent_at: at,
                            outcome: ProbeOutcome::Overdue(after),
                        }],
                    };
                    let told = Due::Tell(Input::Report {
                        site: site.parse().unwrap(),
                        report: overdue,
                    });
                    self.plan(at + after, told);
                }
                let report = NodeReport::Probes {
                    samples: vec![ProbeSample {
                        target,
                        sent_at: at,
                        outcome,
                    }],
                };
                let known = at + rtt.unwrap_or(timeout);
                self.plan(
                    known,
                    Due::Tell(Input::Report {
                        site: site.parse().unwrap(),
                        report,
                    }),
                );
                self.plan(at + interval, Due::Probe { site, user, target });
            }
        }
    }

    fn plan(&mut self, at: Timestamp, due: Due) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), due);
    }
}

//! The root: routes an input to its machine and gathers the effects.

use std::collections::BTreeSet;

use lisp_wire::Rloc;
use proto::{NodeReport, Span, Timestamp};

use crate::answers::Answers;
use crate::commands::{self, Asked};
use crate::config::{Config, Role};
use crate::context::{Context, Memory};
use crate::counters::Counters;
use crate::datagrams::{self, Datagram};
use crate::input::{ClientId, Effect, Input, To};
use crate::journal::{Came, Journal};
use crate::late::Late;
use crate::limits::Rate;
use crate::map_server::MapServer;
use crate::mobility::Mobility;
use crate::nat_router::NatRouter;
use crate::nonces::Nonces;
use crate::probing::Probing;
use crate::referrals::Referrals;
use crate::relocation;
use crate::residents::Residents;
use crate::signals::Signals;
use crate::state::State;
use crate::xtr::Xtr;

/// What need not be remembered at once is remembered within this time.
const REMEMBER_WITHIN: Span = Span::secs(1);

/// So many Map-Requests and probes of others are looked at in a second.
const REQUESTS_PER_SECOND: u64 = 20_000;

/// A LISP node's control.
#[derive(Debug)]
pub struct Node {
    config: Config,
    nonces: Nonces,
    counters: Counters,
    journal: Journal,
    machines: Machines,
    subscribers: BTreeSet<ClientId>,
    since: Timestamp,
    memory: Memory,
    remembered_at: Timestamp,
}

/// The machines, apart from what all of them share.
#[derive(Debug)]
pub(crate) struct Machines {
    pub(crate) xtr: Xtr,
    pub(crate) server: MapServer,
    pub(crate) probing: Probing,
    pub(crate) mobility: Mobility,
    /// Anyone can ask; a flood must not take the time of probes and switches.
    pub(crate) requests: Rate,
    pub(crate) answers: Answers,
    /// Who solicits us, and how often.
    pub(crate) solicitors: Answers,
    pub(crate) late: Late,
    pub(crate) referrals: Referrals,
    pub(crate) signals: Signals,
    pub(crate) nat_router: NatRouter,
    pub(crate) residents: Residents,
}

impl Node {
    /// A node that takes up now and publishes its first map cache; it registers with the next input, be it
    /// [`Input::Remembered`] or the [`Input::Tick`] that is due at once. `config` has passed [`Config::check`]. `seed`
    /// must be unpredictable to outsiders: nonces come from it.
    pub fn new(config: Config, now: Timestamp, seed: [u8; 32]) -> (Self, Vec<Effect>) {
        let machines = Machines {
            xtr: Xtr::new(&config, now),
            server: MapServer::new(now),
            probing: Probing::default(),
            mobility: Mobility::new(&config),
            requests: Rate::per_second(REQUESTS_PER_SECOND, now),
            answers: Answers::new(now),
            solicitors: Answers::new(now),
            late: Late::new(now),
            referrals: Referrals::default(),
            signals: Signals::default(),
            nat_router: NatRouter::new(now),
            residents: Residents::default(),
        };
        let journal = Journal::new(config.change_priority.legacy.type5());
        let mut node = Self {
            config,
            journal,
            nonces: Nonces::new(seed),
            counters: Counters::default(),
            machines,
            subscribers: BTreeSet::new(),
            since: now,
            memory: Memory::Written,
            remembered_at: now,
        };
        let effects = node.with_context(now, |_, machines, cx| machines.xtr.start(cx));
        (node, effects)
    }

    /// Takes an input in, and whatever has come due. `now` never goes backwards.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        if let Input::Remembered(state) = &input {
            self.resume(state, now);
        }
        let input = match input {
            Input::Configured(newer) => {
                self.config.adopt(*newer);
                self.machines.mobility.rekey(&self.config);
                self.machines.xtr.registrations.start(&self.config, now);
                Input::Tick
            }
            input => input,
        };
        if let Input::Relocated { rlocs } = &input
            && !rlocs.is_empty()
        {
            self.config.rlocs.clone_from(rlocs);
        }
        let since = self.since;
        // After a stall answers wait in line that came in time: no probe is lost before those are read.
        let heard = match &input {
            Input::Datagram { received_at, .. } => now.min(*received_at),
            _ => now,
        };
        self.with_context(now, |subscribers, machines, cx| {
            match input {
                Input::Datagram {
                    from,
                    local,
                    bytes,
                    received_at,
                } => {
                    let datagram = Datagram {
                        from,
                        local,
                        bytes: &bytes,
                        received_at,
                    };
                    cx.journal.begin();
                    datagrams::take(&datagram, machines, cx);
                    cx.journal.end(Came {
                        from,
                        local,
                        at: received_at,
                        bytes,
                    });
                }
                Input::Miss { eid, source } => {
                    let Xtr {
                        cache, resolutions, ..
                    } = &mut machines.xtr;
                    resolutions.miss(eid, source, cache, cx);
                }
                Input::Connected { client } => {
                    let report = hello(cx.config, since);
                    cx.effects.push(Effect::Report {
                        to: To::Client(client),
                        reply_to: None,
                        report,
                    });
                }
                Input::Command {
                    client,
                    request,
                    command,
                } => {
                    commands::obey(
                        Asked {
                            client,
                            request,
                            command,
                        },
                        subscribers,
                        machines,
                        cx,
                    );
                }
                Input::ClientGone { client } => {
                    subscribers.remove(&client);
                    machines.residents.gone(client);
                }
                Input::Unreachable { rloc } => machines.probing.unreachable(rloc, cx),
                Input::Met { rloc } => machines.signals.met(rloc, cx),
                Input::Late { rloc, eid } => {
                    let Machines {
                        late, xtr, mobility, ..
                    } = machines;
                    late.came((rloc, eid), (xtr, &mobility.deliveries), cx);
                }
                Input::Relocated { rlocs } if rlocs.is_empty() => {}
                Input::Relocated { .. } => relocation::follow(machines, cx),
                Input::Shutdown => {
                    machines.xtr.registrations.withdraw(&machines.xtr.database, cx);
                    cx.remember(Memory::Now);
                }
                Input::Tick | Input::Remembered(_) | Input::Configured(_) => {}
            }
            machines.tick(heard, cx);
        })
    }

    /// When to call [`Node::handle`] with [`Input::Tick`] if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let remember = (self.memory == Memory::Soon).then(|| self.remembered_at + REMEMBER_WITHIN);
        [self.machines.next_deadline(), remember]
            .into_iter()
            .flatten()
            .min()
    }

    /// What the node goes by.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The connections that [`To::Subscribers`] stands for.
    pub fn subscribers(&self) -> impl Iterator<Item = ClientId> {
        self.subscribers.iter().copied()
    }

    fn with_context(
        &mut self,
        now: Timestamp,
        act: impl FnOnce(&mut BTreeSet<ClientId>, &mut Machines, &mut Context<'_>),
    ) -> Vec<Effect> {
        let (mut probes, mut effects) = (Vec::new(), Vec::new());
        let mut cx = Context {
            config: &self.config,
            now,
            nonces: &mut self.nonces,
            counters: &mut self.counters,
            journal: &mut self.journal,
            probes: &mut probes,
            effects: &mut effects,
            memory: &mut self.memory,
        };
        act(&mut self.subscribers, &mut self.machines, &mut cx);
        // Probes leave first: their clock runs already, and writing to a disk takes longer than a round trip may.
        let soon = self.memory == Memory::Soon && self.remembered_at + REMEMBER_WITHIN <= now;
        match self.memory {
            // Before anything is said about it: after a crash in between, silence is mended by repetition. Packets go the
            // new way already while the disk is written to.
            Memory::Now => {
                let said = |effect: &Effect| matches!(effect, Effect::Send { .. } | Effect::Report { .. });
                let at = effects.iter().position(said).unwrap_or(effects.len());
                effects.insert(at, self.remember(now));
            }
            Memory::Soon if soon => effects.push(self.remember(now)),
            Memory::Soon | Memory::Written => {}
        }
        probes.append(&mut effects);
        probes
    }

    fn remember(&mut self, now: Timestamp) -> Effect {
        self.memory = Memory::Written;
        self.remembered_at = now;
        let Machines {
            xtr,
            server,
            mobility,
            ..
        } = &self.machines;
        Effect::Remember(State {
            own: self.nonces.last_signed(),
            subscribed: self.nonces.last_subscribed(),
            senders: mobility.guard.nonces(),
            registrants: server.nonces(),
            changes: xtr.database.changes(&self.config),
            prepared: mobility.prepared.begun(),
            versions: xtr.database.versions(),
        })
    }

    fn resume(&mut self, state: &State, now: Timestamp) {
        let Machines {
            xtr,
            server,
            mobility,
            ..
        } = &mut self.machines;
        self.nonces.resume(state.own);
        self.nonces.resume_subscribing(state.subscribed);
        mobility.guard.resume(&state.senders);
        mobility.prepared.resume(&state.prepared, now);
        server.resume(&state.registrants);
        xtr.database.resume(&state.changes, &self.config);
        xtr.database.resume_versions(&state.versions);
    }
}

impl Machines {
    fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = [
            self.xtr.next_deadline(),
            self.server.next_deadline(),
            self.probing.next_deadline(),
            self.mobility.next_deadline(),
            self.referrals.next_deadline(),
            self.signals.next_deadline(),
            self.nat_router.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Whatever has come due, and what follows from it: probes tell who is up, the map cache tells whom to probe.
    /// What came in before `heard` has been read.
    fn tick(&mut self, heard: Timestamp, cx: &mut Context<'_>) {
        self.xtr.tick(cx);
        self.server.tick(cx);
        self.referrals.tick(cx);
        for publication in self.server.take_publications() {
            self.mobility.deliveries.published(&publication, cx);
        }
        self.mobility.tick(cx);
        if self.mobility.deliveries.watches_others() {
            self.xtr.cache.set_watch(self.mobility.deliveries.watch());
        }
        self.nat_router.tick(&mut self.xtr.cache, cx);
        let changed = self.xtr.cache.changed_locators();
        if changed {
            self.signals.outdated();
        }
        self.signals.tick(&mut self.xtr, cx);
        if (self.signals.changed_siblings() | changed) && cx.config.has(Role::Itr) {
            let siblings = self.signals.siblings().iter().copied();
            let rlocs = self.xtr.cache.locators().chain(siblings).collect();
            self.probing.follow_cache(&rlocs, cx);
        }
        self.probing.tick(heard, &self.xtr.cache, cx);
        for (rloc, reach) in self.probing.take_reaches() {
            self.xtr.cache.set_reach(rloc, reach);
            self.signals.set_reach(rloc, reach);
        }
        self.xtr.cache.publish(cx);
        self.probing.report(cx);
        self.residents.tick(&mut self.xtr, cx);
    }
}

fn hello(config: &Config, since: Timestamp) -> NodeReport {
    let rlocs: Vec<Rloc> = config.rlocs.iter().map(|own| own.rloc).collect();
    NodeReport::Hello {
        name: config.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rlocs,
        since,
    }
}

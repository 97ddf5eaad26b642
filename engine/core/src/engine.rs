//! The root: routes an [`Input`] to its machine and gathers [`Effect`]s.

mod ask;
mod books;
mod carry;
mod closed;
mod costs;
mod homes;
mod leg_rows;
mod measures;
mod nodes;
mod policy_rows;
mod rows;
mod steer;
mod unrecorded;
mod ways;
mod written;

pub(crate) use ask::{name_of, unknown};

use std::collections::{BTreeMap, BTreeSet};

use proto::text::is_unseen;
use proto::{LinkState, Mode, NodeCommand, NodeReport, Notice, ProbeSample, Severity, SiteName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::approval::Desk;
use crate::books::Books;
use crate::config::Policy;
use crate::crowds::Crowds;
use crate::execution::Changes;
use crate::fabric::{Dc, Fabric, LinkIx, PairIx};
use crate::homes::Homes;
use crate::journal::Journal;
use crate::legs::Legs;
use crate::monitor::{Monitor, Turn};
use crate::outbox::Outbox;
use crate::pair::{Known, Pair};
use crate::policy::Need;
use crate::policy::state::Calmness;
use crate::{Config, Effect, Input};
use nodes::Node;

/// The engine's whole state. It serialises: a restart reads the last one written, handles the inputs recorded
/// since (their effects discarded), and then [`Input::Started`].
///
/// Reading fails if the state does not fit its own configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")] // read and written by `written`, which checks
pub struct Engine {
    pub(crate) fabric: Fabric,
    pub(crate) mode: Mode,
    /// When this life of the engine began.
    since: Timestamp,
    /// The latest moment told; time never goes backwards in here.
    clock: Timestamp,
    pub(crate) nodes: Vec<Node>,
    /// Where forwarders say that VMs run; `fabric` follows it.
    #[serde(default)]
    homes: Homes,
    pub(crate) monitor: Monitor,
    /// The ways between data centres.
    #[serde(default)]
    pub(crate) legs: Legs,
    pub(crate) pairs: Vec<Pair>,
    /// When which pair is to be attended to.
    agenda: BTreeSet<(Timestamp, PairIx)>,
    /// Counted from `pairs`, and kept in step with them.
    #[serde(skip)]
    pub(crate) crowds: Crowds,
    pub(crate) desk: Desk,
    pub(crate) journal: Journal,
    pub(crate) changes: Changes,
    /// For each VM, the view that everyone without one of his own is given, once most users entered elsewhere.
    pub(crate) defaults: Vec<Option<Vec<Dc>>>,
    #[serde(default)]
    pub(crate) calm: Calmness,
    /// IS-IS costs as the fabric's agent told them, by VM and data centre entered.
    #[serde(default)]
    costs: BTreeMap<u32, BTreeMap<Dc, Option<u32>>>,
    /// Accounts and scores: written, never read by what decides. `None` before the first input, and in states of
    /// versions that had none.
    #[serde(default)]
    books: Option<Box<Books>>,
}

impl Engine {
    /// An engine that has heard nothing yet; the first input is [`Input::Started`].
    pub fn new(config: Config, now: Timestamp) -> Self {
        let mode = config.mode;
        let fabric = Fabric::new(config);
        let mut engine = Self {
            mode,
            since: now,
            clock: now,
            nodes: fabric.dcs().map(|_| Node::new(now)).collect(),
            homes: Homes::default(),
            monitor: Monitor::new(&fabric),
            legs: Legs::new(&fabric),
            pairs: (0..fabric.pairs.len() as u32)
                .map(|ix| Pair::new(&fabric, PairIx(ix)))
                .collect(),
            agenda: BTreeSet::new(),
            desk: Desk::default(),
            journal: Journal::default(),
            changes: Changes::default(),
            defaults: vec![None; fabric.vms.len()],
            calm: Calmness::default(),
            costs: BTreeMap::new(),
            books: None,
            crowds: Crowds::default(),
            fabric,
        };
        engine.crowds = Crowds::of(&engine.fabric, &engine.pairs);
        engine
    }

    /// Bytes that the monitor's links take, windows and histories included; for benches.
    pub fn monitor_memory(&self) -> usize {
        self.monitor.memory()
    }

    /// Takes one input in. Deterministic: the same state, input and time give the same state and effects.
    /// A time before that of the input before counts as that one.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        let now = now.max(self.clock);
        self.clock = now;
        let mut out = Outbox::new(now);
        self.open_books(now);
        match input {
            // What fell due while no engine ran is looked at only after everything was marked as not fresh.
            Input::Started => self.started(&mut out),
            other => {
                self.advance(&mut out);
                self.route(other, &mut out);
            }
        }
        self.advance(&mut out);
        self.tell_rows(&mut out);
        self.tell_legs(&mut out);
        self.tell_policy(&mut out);
        self.tell_books(&mut out);
        out.into_effects()
    }

    /// When [`Input::Tick`] is due, if nothing else comes before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let nodes = self.nodes.iter().filter_map(Node::dead_at).min();
        let agenda = self.agenda.first().map(|&(at, _)| at);
        let monitor = self.monitor.next_deadline(self.rows_every());
        let (policy, closed, books) = (self.policy_due(), self.closed_due(), self.books_due());
        let legs = self.legs.next_deadline(self.rows_every());
        let homes = self.homes.next_deadline();
        [nodes, agenda, monitor, legs, homes, policy, closed, books]
            .into_iter()
            .flatten()
            .min()
    }

    /// What the engine was told of the fabric.
    pub fn config(&self) -> &Config {
        &self.fabric.config
    }

    /// The mode now.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn policy(&self) -> Policy {
        self.fabric.config.policy
    }

    pub(crate) fn log(&mut self, severity: Severity, text: String, out: &mut Outbox) {
        self.journal.write(severity, text, out);
    }

    /// What staff did, however much else is told in the same second.
    pub(crate) fn log_word(&mut self, severity: Severity, text: String, out: &mut Outbox) {
        self.journal.write_word(severity, text, out);
    }

    fn route(&mut self, input: Input, out: &mut Outbox) {
        match input {
            Input::Tick | Input::Started => {}
            Input::NodeUp { site } => self.node_up(&site, out),
            Input::NodeDown { site, why } => self.node_down(&site, &why, out),
            Input::Report { site, report } => self.report(&site, report, out),
            Input::FabricCost { site, vm, cost } => self.fabric_cost(&site, &vm, cost, out),
            Input::Command { request, by, command } => self.ask(request, by, command, out),
            Input::RecordFailed {
                why,
                withheld,
                undone,
            } => self.record_failed(&why, (&withheld, undone), out),
            Input::RecordMended => self.record_mended(out),
        }
    }

    fn report(&mut self, site: &SiteName, report: NodeReport, out: &mut Outbox) {
        let Some(dc) = self.fabric.dc(site) else { return };
        match report {
            NodeReport::Probes { samples } => self.samples(dc, &samples, out),
            NodeReport::Changed { change, outcome } => self.changed((dc, change), &outcome, out),
            NodeReport::Hello { name, version, .. } => self.hello(dc, &name, &version, out),
            NodeReport::Refused { why } => {
                let text = format!("forwarder of {} refused: {}", self.fabric.label(dc), short(&why));
                self.log(Severity::Warning, text, out);
            }
            NodeReport::Residents { rows } => self.residents(dc, &rows, out),
            // A client that asked was answered from the view its forwarder holds, which is the one last sent.
            NodeReport::Requested { .. }
            | NodeReport::Done
            | NodeReport::Reloaded { .. }
            | NodeReport::MapCache { .. }
            | NodeReport::Registrations { .. }
            | NodeReport::Database { .. }
            | NodeReport::Requesters { .. }
            | NodeReport::ProbeFigures { .. }
            | NodeReport::Counters { .. }
            | NodeReport::Subscriptions { .. }
            | NodeReport::Subscribed { .. }
            | NodeReport::OwnRegistrations { .. }
            | NodeReport::Page(_)
            | NodeReport::Log(_) => {}
        }
    }

    fn samples(&mut self, dc: Dc, samples: &[ProbeSample], out: &mut Outbox) {
        let now = out.now;
        out.reserve(samples.len());
        // Many ways take a leg: whatever a report says of one, they are looked at once.
        let mut turned = BTreeMap::new();
        for sample in samples {
            if let Some(to) = self.fabric.dc_at(sample.target) {
                match self.leg_sample((dc, to), sample, now) {
                    Some((leg, turn @ (Turn::Down { .. } | Turn::Up))) => {
                        turned.insert(leg, turn);
                    }
                    Some((leg, turn)) => {
                        turned.entry(leg).or_insert(turn);
                    }
                    None => {}
                }
            }
            let mut user = self.fabric.user_at(sample.target);
            while let Some(at) = user {
                let link = self.fabric.link(at, dc);
                let turn = self.monitor.take(&self.fabric, link, sample, now);
                self.book_sample(link, sample.outcome, now);
                self.tell_point(link, sample.outcome, out);
                if let Some(turn) = turn {
                    self.turned(link, turn, out);
                }
                self.watch_ways(link, sample.outcome, out);
                user = self.fabric.users[at as usize].twin;
            }
        }
        for (leg, turn) in turned {
            self.leg_turned(leg, turn, out);
        }
    }

    /// Everything that is due by now.
    fn advance(&mut self, out: &mut Outbox) {
        let now = out.now;
        self.settle(now);
        // What an hour's end made room for is for those who wait, before anybody who comes by now.
        self.wake(out);
        self.bury_nodes(out);
        self.say_doubts(out);
        self.tell_views_again(now);
        let turns = self.monitor.advance(&self.fabric, now);
        let silent = self.monitor.silent(&self.fabric, now);
        self.log_silence(&silent, out);
        for (link, turn) in turns {
            self.turned(link, turn, out);
        }
        for link in silent {
            self.book_silence(link);
            self.turned(link, Turn::Stale, out);
        }
        for (leg, turn) in self.legs.advance(&self.fabric, now) {
            self.leg_turned(leg, turn, out);
        }
        // Each pair once, also when what it waits for lies at the end of time.
        let mut due: Vec<PairIx> = self
            .agenda
            .range(..=(now, PairIx(u32::MAX)))
            .map(|&(_, pair)| pair)
            .collect();
        // The most pressing first, and whoever waits for what one of them gave back before the next.
        due.sort_by_cached_key(|&pair| self.need_of(pair));
        for pair in due {
            self.attend(pair, out);
            self.wake(out);
        }
        self.wake(out);
        self.tell_closed(out);
        self.advance_books(out);
    }

    /// How pressing it would be to move a pair from where it enters; one under way gives back before others take.
    fn need_of(&self, ix: PairIx) -> Option<Need> {
        let pair = &self.pairs[ix.at()];
        if pair.flight.is_some() {
            return None;
        }
        Some(match self.way_state(ix, pair.entry()) {
            LinkState::Down => Need::Hard,
            _ if self.is_ordered_away(ix) => Need::Ordered,
            _ => Need::Soft,
        })
    }

    /// From here on what a pair's links tell counts in full, and the engine acts on it: one of its windows and one
    /// of its slots S' after the start, whichever is longer. A restart is not a trigger.
    pub(crate) fn armed_at(&self, ix: PairIx) -> Timestamp {
        let limits = self.limits(ix);
        self.since + limits.window.max(limits.decide)
    }

    /// Something became of a link: those who enter by it are looked at.
    fn turned(&mut self, link: LinkIx, turn: Turn, out: &mut Outbox) {
        self.log_turn(link, turn, out);
        self.count_flap(link, turn, out.now);
        for pair in self.carried(link) {
            if turn == Turn::Up && self.pairs[pair.at()].known == Known::Unanswered {
                self.retell(pair, out);
            }
            self.attend(pair, out);
        }
    }

    /// Keeps the agenda in step with a pair's own deadlines.
    pub(crate) fn schedule(&mut self, ix: PairIx, now: Timestamp) {
        let pair = &self.pairs[ix.at()];
        let expiry = pair
            .proposal
            .and_then(|id| self.desk.get(id))
            .map(|proposal| proposal.expires_at);
        let flight = pair.flight.as_ref().map(|flight| flight.deadline);
        let watch = pair.watch.map(|watch| watch.until);
        let proof = pair.provisional.as_ref().map(|provisional| provisional.check_at);
        let judged = self.judged_at(ix);
        // Later than now, so that a deadline that cannot be met is not chased.
        let way = self.way_due(ix, now);
        let due = [expiry, flight, watch, proof, judged, way, pair.recheck_at]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.max(now + proto::Span(1)));
        let pair = &mut self.pairs[ix.at()];
        if pair.due == due {
            return;
        }
        if let Some(at) = pair.due {
            self.agenda.remove(&(at, ix));
        }
        pair.due = due;
        if let Some(at) = due {
            self.agenda.insert((at, ix));
        }
    }

    /// Pairs that enter by this link.
    pub(crate) fn carried(&self, link: LinkIx) -> Vec<PairIx> {
        let (user, dc) = (self.fabric.user_of(link), self.fabric.dc_of(link));
        self.fabric
            .pairs_of(user)
            .filter(|pair| self.pairs[pair.at()].entry() == dc)
            .collect()
    }

    /// The link of a pair's user to a data centre.
    pub(crate) fn link(&self, pair: PairIx, dc: Dc) -> LinkIx {
        self.fabric.link(self.fabric.pairs[pair.at()].user, dc)
    }

    /// How a link stands: down if its forwarder is dead, else what its samples tell.
    pub(crate) fn state(&self, link: LinkIx) -> LinkState {
        if self.nodes[self.fabric.dc_of(link).at()].is_dead() {
            LinkState::Down
        } else {
            self.monitor.state(link)
        }
    }
}

/// Those effects that a replay must repeat: replies, what changes a mapping, and what becomes of proposals and the mode.
/// Figures for display are left out.
pub fn decisions(effects: &[Effect]) -> impl Iterator<Item = &Effect> {
    effects.iter().filter(|effect| match effect {
        Effect::Reply { .. } => true,
        Effect::Node { command, .. } => {
            matches!(
                command,
                NodeCommand::SetLocators { .. } | NodeCommand::Arrived { .. }
            )
        }
        Effect::Notify { notice } => {
            matches!(
                notice,
                Notice::Proposal { .. } | Notice::Rlocs { .. } | Notice::Mode { .. }
            )
        }
    })
}

/// Text of others, cut to a line of the log.
pub(crate) fn short(text: &str) -> String {
    text.chars().filter(|&c| !is_unseen(c)).take(200).collect()
}

//! Forwarders come, go, and are given up.

use std::collections::{BTreeMap, BTreeSet};

use lisp_wire::Rloc;
use proto::node::Tell;
use proto::{NodeCommand, NodeRow, Notice, ProbeTarget, Severity, SiteName, Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Engine, short};
use crate::Effect;
use crate::fabric::{Dc, PairIx};
use crate::outbox::Outbox;
use crate::pair::Known;

/// Forwarders do not tell probes to be overdue sooner than this.
const SOONEST_OVERDUE: Span = Span::millis(1);

/// A forwarder's control connection.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node {
    connected: bool,
    since: Timestamp,
    standing: Standing,
    /// When the log last said that nothing is heard of some of its links.
    #[serde(default)]
    silence_told_at: Timestamp,
}

/// Whether its data centre may be entered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Standing {
    /// As its links tell.
    Alive,
    /// Not connected; given up at `at`. Its forwarder may well carry traffic until then.
    Missed { at: Timestamp },
    /// Not connected for so long, while others are, that its entry counts as down.
    Dead,
}

impl Node {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            connected: false,
            since: now,
            standing: Standing::Alive,
            silence_told_at: Timestamp::default(),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.standing == Standing::Dead
    }

    /// When the log last said that nothing is heard of some of its links.
    pub(super) fn silence_told_at(&self) -> Timestamp {
        self.silence_told_at
    }

    pub(super) fn tell_silence(&mut self, now: Timestamp) {
        self.silence_told_at = now;
    }

    /// Since when it has been as it is.
    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    /// When it is given up.
    pub(crate) fn dead_at(&self) -> Option<Timestamp> {
        match self.standing {
            Standing::Missed { at } => Some(at),
            Standing::Alive | Standing::Dead => None,
        }
    }
}

impl Engine {
    /// Nothing is connected and nothing is fresh. What was under way is sent again as forwarders come back.
    pub(super) fn started(&mut self, out: &mut Outbox) {
        let now = out.now;
        let slots = self.fabric.config.slots;
        let policy = self.policy();
        self.since = now;
        self.thaw();
        self.book_absence(now);
        self.monitor.restart();
        self.legs.restart();
        for node in &mut self.nodes {
            // A restart is not a trigger: a forwarder that never came back is given up one window later than one that left.
            let at = now + slots.decide + policy.stale_after;
            *node = Node {
                connected: false,
                since: now,
                standing: Standing::Missed { at },
                silence_told_at: Timestamp::default(),
            };
        }
        self.changes.forget_awaited();
        self.put_judgements_off();
        for at in 0..self.pairs.len() {
            let ix = PairIx(at as u32);
            let deadline = if self.is_of_long_ago(ix, now) {
                now
            } else {
                self.stretch(ix, now + slots.decide + policy.confirm_within, now)
            };
            let pair = &mut self.pairs[at];
            pair.way = None;
            if matches!(pair.known, Known::Sent { .. }) {
                pair.known = Known::Unsent;
            }
            if let Some(flight) = &mut pair.flight {
                flight.teller = None;
                flight.deadline = deadline;
            }
            self.schedule(PairIx(at as u32), now);
        }
        self.recall_orders(now);
        let text = format!(
            "engine took up session {} in mode {}: {} data centres, {} users",
            self.fabric.config.session,
            self.mode,
            self.fabric.sites.len(),
            self.fabric.users.len(),
        );
        self.log(Severity::Info, text, out);
        for dc in self.fabric.dcs() {
            out.push(Effect::Notify {
                notice: Notice::Node {
                    row: self.node_row(dc),
                },
            });
        }
        self.break_off_old(out);
        self.close_anew(out);
    }

    /// A forwarder is told everything: whom to probe, and every view in force. What it knew may be of another
    /// engine's life or of none.
    pub(super) fn node_up(&mut self, site: &SiteName, out: &mut Outbox) {
        let now = out.now;
        let Some(dc) = self.fabric.dc(site) else { return };
        let was_dead = self.nodes[dc.at()].is_dead();
        self.nodes[dc.at()] = Node {
            connected: true,
            since: now,
            standing: Standing::Alive,
            ..self.nodes[dc.at()]
        };
        if was_dead {
            self.book_return(dc, now);
            self.touch_all(dc);
        }
        self.disown(dc);
        self.homes.connected(dc);
        out.push(Effect::Notify {
            notice: Notice::Node {
                row: self.node_row(dc),
            },
        });
        let text = format!("forwarder of {} is connected", self.fabric.label(dc));
        self.log(Severity::Info, text, out);
        let send = |command| Effect::Node {
            site: site.clone(),
            command,
        };
        out.push(send(NodeCommand::Subscribe {
            residents: self.fabric.vms.iter().map(|vm| vm.eid).collect(),
        }));
        out.push(send(NodeCommand::Probe {
            targets: self.probe_targets(dc),
        }));
        self.brief_all(dc, out);
    }

    /// Every view in force, to one node.
    pub(super) fn brief_all(&mut self, dc: Dc, out: &mut Outbox) {
        for at in 0..self.pairs.len() as u32 {
            self.brief(PairIx(at), dc, out);
        }
        // What everyone is told, a VM's home registers: one that is about to say what runs there is told then.
        if self.homes.awaits(dc) {
            return;
        }
        for vm in self.vms_at(dc) {
            self.tell_default(vm, out);
        }
    }

    pub(super) fn node_down(&mut self, site: &SiteName, why: &str, out: &mut Outbox) {
        let now = out.now;
        let Some(dc) = self.fabric.dc(site) else { return };
        if !self.nodes[dc.at()].connected {
            return;
        }
        let at = now + self.policy().stale_after;
        self.nodes[dc.at()] = Node {
            connected: false,
            since: now,
            standing: Standing::Missed { at },
            ..self.nodes[dc.at()]
        };
        out.push(Effect::Notify {
            notice: Notice::Node {
                row: self.node_row(dc),
            },
        });
        let text = format!(
            "forwarder of {} is gone ({}); it may still carry traffic, its figures are stale in {}",
            self.fabric.label(dc),
            short(why),
            self.policy().stale_after,
        );
        self.log(Severity::Warning, text, out);
        self.disown(dc);
        for at in 0..self.pairs.len() as u32 {
            self.relaunch(PairIx(at), out);
        }
        if self.nodes.iter().any(Node::is_connected) {
            self.retell_untold(out);
        }
    }

    pub(super) fn hello(&mut self, dc: Dc, name: &SiteName, version: &str, out: &mut Outbox) {
        let (label, site) = (self.fabric.label(dc), &self.fabric.sites[dc.at()].name);
        if name == site {
            let text = format!("forwarder of {label} says hello, version {}", short(version));
            self.log(Severity::Info, text, out);
        } else {
            let text = format!(
                "the forwarder at {site}'s address calls itself {name}: check the session's `control:`"
            );
            self.log(Severity::Error, text, out);
        }
    }

    /// Gives up forwarders that are missed too long, as long as another is connected: if none is, it is the
    /// engine that is cut off.
    pub(super) fn bury_nodes(&mut self, out: &mut Outbox) {
        let now = out.now;
        for dc in self.fabric.dcs() {
            if self.nodes[dc.at()].dead_at().is_none_or(|at| at > now) {
                continue;
            }
            if !self.nodes.iter().any(Node::is_connected) {
                let at = now + self.policy().stale_after.max(proto::Span::secs(1));
                self.nodes[dc.at()].standing = Standing::Missed { at };
                continue;
            }
            self.nodes[dc.at()].standing = Standing::Dead;
            self.book_burial(dc, now);
            let text = format!(
                "entry {} counts as down: its forwarder has been gone for {:.0} s and nothing is heard of its links",
                self.fabric.label(dc),
                now.since(self.nodes[dc.at()].since).as_secs_f64(),
            );
            self.log(Severity::Error, text, out);
            self.touch_all(dc);
            for at in 0..self.pairs.len() as u32 {
                if self.pairs[at as usize].entry() == dc {
                    self.attend(PairIx(at), out);
                }
            }
        }
    }

    pub(super) fn node_row(&self, dc: Dc) -> NodeRow {
        let (site, node) = (&self.fabric.sites[dc.at()], &self.nodes[dc.at()]);
        NodeRow {
            site: site.name.clone(),
            label: site.label.clone(),
            rloc: site.rloc,
            connected: node.connected,
            since: node.since,
        }
    }

    /// One view for a node that has just come: told to the user by it if the user is not known to hold the
    /// view and the node is the best to tell.
    fn brief(&mut self, ix: PairIx, dc: Dc, out: &mut Outbox) {
        let pair = &self.pairs[ix.at()];
        if let Some(flight) = &pair.flight {
            if flight.teller.is_none() {
                self.launch(ix, out);
            } else {
                let order = flight.order.clone();
                self.set_view(ix, &order, (dc, Tell::Nobody), out);
            }
            return;
        }
        let order = pair.order.clone();
        let entry = pair.entry();
        let tells = pair.known == Known::Unsent && (entry == dc || !self.nodes[entry.at()].is_connected());
        if tells {
            let change = self.set_view(ix, &order, (dc, Tell::ChangePriority), out);
            self.await_view(ix, change, dc);
        } else {
            self.set_view(ix, &order, (dc, Tell::Nobody), out);
        }
    }

    /// What `dc` was to tell and has not confirmed is untold.
    pub(super) fn disown(&mut self, dc: Dc) {
        for at in 0..self.pairs.len() {
            let pair = &mut self.pairs[at];
            if let Known::Sent { change, node } = pair.known
                && node == dc
            {
                pair.known = Known::Unsent;
                self.changes.forget(change, PairIx(at as u32));
            }
            if let Some(flight) = &mut pair.flight
                && flight.teller == Some(dc)
            {
                flight.teller = None;
            }
        }
    }

    /// Views that the lost forwarder was to tell are told by another.
    fn retell_untold(&mut self, out: &mut Outbox) {
        for at in 0..self.pairs.len() {
            let pair = &self.pairs[at];
            if pair.known == Known::Unsent && pair.flight.is_none() {
                self.retell(PairIx(at as u32), out);
            }
        }
    }

    /// Users behind one locator share its probes: at the pace and with the DSCP of the most pressing of their
    /// classes, and overdue by the strictest of their bounds. The other data centres where VMs live are probed for all of
    /// them.
    pub(super) fn probe_targets(&self, dc: Dc) -> Vec<ProbeTarget> {
        let classes = &self.fabric.config.sla;
        let timeout = self.policy().probe_timeout;
        let mut targets: BTreeMap<Rloc, ProbeTarget> = BTreeMap::new();
        for (at, user) in self.fabric.users.iter().enumerate() {
            let class = self.fabric.class_of(at as u32);
            let dscp = classes.get(&class.name).map_or(0, |class| class.dscp);
            let overdue_after = Span(u64::from(class.limits.leave[0]) + 1).max(SOONEST_OVERDUE);
            let target = targets.entry(user.rloc).or_insert(ProbeTarget {
                rloc: user.rloc,
                interval: class.limits.probe,
                timeout,
                dscp,
                overdue_after: None,
            });
            target.interval = target.interval.min(class.limits.probe);
            target.dscp = target.dscp.max(dscp);
            let strictest = target.overdue_after.unwrap_or(timeout).min(overdue_after);
            target.overdue_after = Some(strictest).filter(|&after| after < timeout);
        }
        for (_, to) in self.fabric.legs_from(dc) {
            let rloc = self.fabric.sites[to.at()].rloc;
            targets.entry(rloc).or_insert_with(|| self.leg_target(rloc));
        }
        targets.into_values().collect()
    }

    /// How a data centre is probed by the others: with the DSCP of the most pressing class.
    fn leg_target(&self, rloc: Rloc) -> ProbeTarget {
        let limits = &self.fabric.leg_limits;
        let used = self
            .fabric
            .users
            .iter()
            .map(|user| user.class)
            .collect::<BTreeSet<u32>>();
        let dscp = |class: u32| {
            let name = &self.fabric.classes[class as usize].name;
            self.fabric.config.sla.get(name).map_or(0, |class| class.dscp)
        };
        let overdue_after = Span(u64::from(limits.leave[0]) + 1).max(SOONEST_OVERDUE);
        ProbeTarget {
            rloc,
            interval: limits.probe,
            timeout: limits.timeout,
            dscp: used.into_iter().map(dscp).max().unwrap_or(0),
            overdue_after: Some(overdue_after).filter(|&after| after < limits.timeout),
        }
    }

    fn touch_all(&mut self, dc: Dc) {
        for user in 0..self.fabric.users.len() as u32 {
            self.monitor.touch(self.fabric.link(user, dc));
        }
    }
}

//! Carrying a switch out: tell the user's xTR by Change-Priority, wait for its acknowledgement, or take it back.
//!
//! One forwarder tells the user (the one entered by next, if it is connected); all others get the same view
//! without telling, so that whichever answers the user's next Map-Request says the same. The entry changes only
//! on the acknowledgement. Without one the old view is sent again everywhere.

use std::collections::BTreeSet;

use proto::node::{ChangeOutcome, Tell};
use proto::proposal::Receipt;
use proto::{Actor, Audience, ChangeId, LinkState, NodeCommand, Notice, ProposalId, Severity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fabric::{Dc, PairIx};
use crate::outbox::Outbox;
use crate::pair::{Flight, Known, Reverting, Watch, locators, rows};
use crate::policy::Need;
use crate::policy::admit::Pass;
use crate::{Effect, Engine};

/// Numbers of changes, and whose acknowledgement is awaited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Changes {
    last: u64,
    awaited: BTreeSet<(ChangeId, PairIx)>,
}

impl Changes {
    fn next(&mut self) -> ChangeId {
        self.last += 1;
        ChangeId(self.last)
    }

    fn expect(&mut self, change: ChangeId, pair: PairIx) {
        self.awaited.insert((change, pair));
    }

    pub(crate) fn forget(&mut self, change: ChangeId, pair: PairIx) {
        self.awaited.remove(&(change, pair));
    }

    /// Numbers go on where they were; nothing is awaited.
    pub(crate) fn carried(&self) -> Self {
        Self {
            last: self.last,
            awaited: BTreeSet::new(),
        }
    }

    pub(crate) fn forget_awaited(&mut self) {
        self.awaited.clear();
    }

    /// Whose acknowledgements are awaited.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = PairIx> + '_ {
        self.awaited.iter().map(|&(_, pair)| pair)
    }

    fn pair(&self, change: ChangeId) -> Option<PairIx> {
        self.awaited
            .range((change, PairIx(0))..=(change, PairIx(u32::MAX)))
            .next()
            .map(|&(_, pair)| pair)
    }
}

/// A switch that passed every gate.
pub(crate) struct Departure {
    pub(crate) proposal: ProposalId,
    /// The new view, best first.
    pub(crate) order: Vec<Dc>,
    pub(crate) need: Need,
    /// That it passed every gate.
    pub(crate) pass: Pass,
}

impl Engine {
    /// Sends an approved switch on its way. At least one forwarder is connected (see [`Self::teller`]).
    pub(crate) fn depart(&mut self, ix: PairIx, departure: Departure, by: Actor, out: &mut Outbox) {
        let now = out.now;
        let Departure {
            proposal,
            order,
            need,
            pass,
        } = departure;
        let broken_at = self.broken_since(ix);
        self.spend(ix, &pass, now);
        self.desk.approve(proposal, by, out);
        let pair = &mut self.pairs[ix.at()];
        pair.proposal = None;
        pair.recheck_at = None;
        pair.watch = None;
        pair.provisional = None;
        pair.withheld = None;
        if let Known::Sent { change, .. } = std::mem::replace(&mut pair.known, Known::Unsent) {
            self.changes.forget(change, ix);
        }
        let flight = Flight {
            proposal,
            order,
            closed: Vec::new(),
            need,
            change: ChangeId(0),
            teller: None,
            deadline: now,
            broken_at,
            reverting: None,
        };
        self.resettle(ix, |pair| pair.flight = Some(Box::new(flight)));
        self.launch(ix, out);
        self.schedule(ix, now);
    }

    /// Sends the view of a switch under way to every connected forwarder; one of them tells the user.
    pub(crate) fn launch(&mut self, ix: PairIx, out: &mut Outbox) {
        let now = out.now;
        let Some(flight) = &self.pairs[ix.at()].flight else {
            return;
        };
        let (order, stale_change) = (flight.order.clone(), flight.change);
        let Some(teller) = order.first().and_then(|&to| self.teller(to)) else {
            return;
        };
        self.changes.forget(stale_change, ix);
        let change = self.announce(ix, &order, teller, out);
        self.changes.expect(change, ix);
        let deadline = self.stretch(ix, now + self.policy().confirm_within, now);
        let closed = self.closed(ix, &order);
        if let Some(flight) = &mut self.pairs[ix.at()].flight {
            flight.closed = closed;
            flight.change = change;
            flight.teller = Some(teller);
            // Sent anew after a forwarder or the engine was lost: the user gets the whole time again.
            flight.deadline = flight.deadline.max(deadline);
        }
        self.schedule(ix, now);
    }

    /// After a forwarder was lost: a switch it was to tell is told by another.
    pub(crate) fn relaunch(&mut self, ix: PairIx, out: &mut Outbox) {
        if self.pairs[ix.at()]
            .flight
            .as_ref()
            .is_some_and(|flight| flight.teller.is_none())
        {
            self.launch(ix, out);
        }
    }

    /// What a forwarder says became of a change. Of one that another was asked to tell, it has nothing to say.
    pub(crate) fn changed(
        &mut self,
        (dc, change): (Dc, ChangeId),
        outcome: &ChangeOutcome,
        out: &mut Outbox,
    ) {
        let now = out.now;
        let Some(ix) = self
            .changes
            .pair(change)
            .filter(|&ix| self.tells(ix, change) == Some(dc))
        else {
            return;
        };
        let user = &self.fabric.users[self.fabric.pairs[ix.at()].user as usize];
        let acknowledged = match outcome {
            ChangeOutcome::Stored | ChangeOutcome::Prepared { .. } => return,
            ChangeOutcome::Acknowledged { client, .. } | ChangeOutcome::Unanswered { client, .. }
                if *client != user.rloc =>
            {
                return;
            }
            ChangeOutcome::Acknowledged { after, attempts, .. } => Ok((*after, *attempts)),
            ChangeOutcome::Unanswered { attempts, .. } => Err(*attempts),
        };
        self.changes.forget(change, ix);
        let pair = &mut self.pairs[ix.at()];
        if pair.flight.as_ref().is_none_or(|flight| flight.change != change) {
            pair.known = if acknowledged.is_ok() {
                Known::Confirmed
            } else {
                Known::Unanswered
            };
            return;
        }
        match acknowledged {
            Ok((signalling, attempts)) => {
                let Some(flight) = self.resettle(ix, |pair| pair.flight.take()) else {
                    return;
                };
                let approved_at = self.desk.approved(flight.proposal).map_or(now, |(_, at)| at);
                let receipt = Receipt {
                    broken_at: flight.broken_at,
                    approved_at,
                    confirmed_at: now,
                    signalling,
                    attempts,
                };
                self.confirm(ix, *flight, receipt, out);
            }
            Err(attempts) => {
                let why = format!(
                    "{} did not acknowledge {attempts} messages",
                    self.fabric.user_name(ix)
                );
                self.give_up(ix, why, out);
            }
        }
    }

    /// Who was asked to tell a user of a change, if its acknowledgement is awaited.
    fn tells(&self, ix: PairIx, change: ChangeId) -> Option<Dc> {
        let pair = &self.pairs[ix.at()];
        match (&pair.flight, pair.known) {
            (Some(flight), _) if flight.change == change => flight.teller,
            (_, Known::Sent { change: sent, node }) if sent == change => Some(node),
            _ => None,
        }
    }

    /// Ends a switch that was not confirmed in time.
    pub(crate) fn check_flight(&mut self, ix: PairIx, out: &mut Outbox) {
        let now = out.now;
        let Some(flight) = &self.pairs[ix.at()].flight else {
            return;
        };
        if now < flight.deadline {
            return;
        }
        let why = if flight.teller.is_some() {
            format!("not acknowledged within {}", self.policy().confirm_within)
        } else {
            "no forwarder was connected that could tell the user".to_owned()
        };
        self.give_up(ix, why, out);
    }

    /// S'' after a switch: were the levels kept there? (Thesis section 5.2.4: if not, the VM would follow.)
    pub(crate) fn check_watch(&mut self, ix: PairIx, out: &mut Outbox) {
        let now = out.now;
        let Some(watch) = self.pairs[ix.at()].watch.filter(|watch| watch.until <= now) else {
            return;
        };
        self.pairs[ix.at()].watch = None;
        let entry = self.pairs[ix.at()].entry();
        let class = self.fabric.class_of(self.fabric.pairs[ix.at()].user);
        let out_of_bounds = self
            .measured(ix, entry, now)
            .is_none_or(|measured| !class.class.keeps(&measured));
        let broken = match self.way_state(ix, entry) {
            LinkState::Ok => false,
            LinkState::Warn => out_of_bounds,
            LinkState::Broken | LinkState::Down | LinkState::Stale => true,
        };
        let name = format!("{}/{}", self.fabric.user_name(ix), self.fabric.label(entry));
        let slot = class.limits.settle;
        if broken {
            let next = self.next_step(ix, now);
            let text = format!(
                "switch #{}: {name} does not keep its levels {slot} after; {next}",
                watch.proposal.0
            );
            self.log(Severity::Warning, text, out);
        } else {
            let text = format!(
                "switch #{}: {name} keeps its levels {slot} after",
                watch.proposal.0
            );
            self.log(Severity::Info, text, out);
        }
    }

    /// What (5.1)-(5.3) say of the VM's place once a switch did not help (thesis section 5.2.4, step 2). Advice: this
    /// engine moves no VM.
    fn next_step(&self, ix: PairIx, now: Timestamp) -> String {
        let vm = &self.fabric.vm_of(ix).name;
        let rung = self.migrating(ix, now);
        let why = rung.unavailable.unwrap_or_default();
        let Some(to) = rung.to.as_ref().and_then(|to| self.fabric.dc(to)) else {
            return format!("migrating {vm} would be the next step, but {why}");
        };
        let users = rung.users_at_risk;
        let gain = rung.gain_user_ms.map_or_else(String::new, |gain| {
            format!(", {gain:.0} ms of round trip saved in all")
        });
        format!(
            "migrating {vm} to {} would be the next step ({users} users{gain}): {why}",
            self.fabric.label(to)
        )
    }

    /// The forwarder that tells a user to enter by `to`: its own if connected, else the first that is.
    pub(crate) fn teller(&self, to: Dc) -> Option<Dc> {
        let connected = |dc: &Dc| self.nodes[dc.at()].is_connected();
        Some(to)
            .filter(connected)
            .or_else(|| self.fabric.dcs().find(connected))
    }

    /// The user's view is told to him again.
    pub(crate) fn retell(&mut self, ix: PairIx, out: &mut Outbox) {
        let order = self.pairs[ix.at()].order.clone();
        let Some(teller) = self.teller(self.pairs[ix.at()].entry()) else {
            return;
        };
        let change = self.set_view(ix, &order, (teller, Tell::ChangePriority), out);
        self.await_view(ix, change, teller);
    }

    /// `node` was asked to tell the view in force; its word on it is awaited.
    pub(crate) fn await_view(&mut self, ix: PairIx, change: ChangeId, node: Dc) {
        if let Known::Sent { change, .. } = self.pairs[ix.at()].known {
            self.changes.forget(change, ix);
        }
        let closed = self.closed(ix, &self.pairs[ix.at()].order);
        self.pairs[ix.at()].closed = closed;
        self.pairs[ix.at()].known = Known::Sent { change, node };
        self.changes.expect(change, ix);
    }

    /// One view to one forwarder.
    pub(crate) fn set_view(
        &mut self,
        ix: PairIx,
        order: &[Dc],
        (node, tell): (Dc, Tell),
        out: &mut Outbox,
    ) -> ChangeId {
        let change = self.changes.next();
        let user = &self.fabric.users[self.fabric.pairs[ix.at()].user as usize];
        let command = NodeCommand::SetLocators {
            change,
            eid: self.fabric.vm_of(ix).eid,
            audience: Audience::Client { rloc: user.rloc },
            locators: locators(&self.fabric, order, &self.closed(ix, order)),
            tell,
        };
        out.push(Effect::Node {
            site: self.fabric.sites[node.at()].name.clone(),
            command,
        });
        change
    }

    /// The view of everyone who has none of his own, to the forwarder at the VM's home, which registers it.
    pub(crate) fn tell_default(&mut self, vm: usize, out: &mut Outbox) {
        let Some(order) = &self.defaults[vm] else { return };
        let Some(home) = self.fabric.vms[vm]
            .home
            .filter(|home| self.nodes[home.at()].is_connected())
        else {
            return;
        };
        let command = NodeCommand::SetLocators {
            change: self.changes.next(),
            eid: self.fabric.vms[vm].eid,
            audience: Audience::Everyone,
            locators: locators(&self.fabric, order, &self.closed_to_all(order)),
            tell: Tell::Nobody,
        };
        out.push(Effect::Node {
            site: self.fabric.sites[home.at()].name.clone(),
            command,
        });
    }

    /// One view to every connected forwarder; `teller` tells it to the user.
    pub(crate) fn announce(&mut self, ix: PairIx, order: &[Dc], teller: Dc, out: &mut Outbox) -> ChangeId {
        self.calm.closing.remove(&ix);
        for dc in self.fabric.dcs() {
            if dc != teller && self.nodes[dc.at()].is_connected() {
                self.set_view(ix, order, (dc, Tell::Nobody), out);
            }
        }
        self.set_view(ix, order, (teller, Tell::ChangePriority), out)
    }

    fn confirm(&mut self, ix: PairIx, flight: Flight, receipt: Receipt, out: &mut Outbox) {
        let now = receipt.confirmed_at;
        let policy = self.policy();
        let from = self.pairs[ix.at()].entry();
        let Some(to) = flight.to() else { return };
        let text = format!(
            "switch #{} {} {} -> {} confirmed: {} {}, {:.0} ms",
            flight.proposal.0,
            self.fabric.user_name(ix),
            self.fabric.label(from),
            self.fabric.label(to),
            receipt.attempts,
            if receipt.attempts == 1 {
                "message"
            } else {
                "messages"
            },
            receipt.signalling.as_millis_f64(),
        );
        let settle = self.limits(ix).settle;
        let before = self.resettle(ix, |pair| std::mem::replace(&mut pair.order, flight.order));
        let pair = &mut self.pairs[ix.at()];
        pair.closed = flight.closed;
        pair.way = None;
        pair.known = Known::Confirmed;
        let backoff = self.fabric.config.calm.backoff;
        pair.gates.moved(flight.need, (&policy, &backoff), now);
        pair.watch = Some(Watch {
            until: now + settle,
            proposal: flight.proposal,
        });
        let rows = rows(&self.fabric, ix, (&pair.order, &pair.closed));
        self.book_entry(ix, now);
        self.desk.confirm(flight.proposal, receipt, out);
        if let Some(Reverting { proposal, why }) = flight.reverting {
            self.pairs[ix.at()].gates.bar(from, &policy, now);
            self.desk.revert(proposal, why, out);
            self.note_taken_back(ix, proposal, out);
        } else {
            self.hold_against(ix, flight.proposal, now);
            self.begin_proof(ix, flight.proposal, before, now);
        }
        if self.pairs[ix.at()].provisional.is_none() {
            self.forget_proof(ix);
        }
        self.land(ix, now);
        out.push(Effect::Notify {
            notice: Notice::Rlocs { rows },
        });
        self.log(Severity::Info, text, out);
        self.monitor.touch(self.link(ix, from));
        self.monitor.touch(self.link(ix, to));
        self.follow_the_majority(ix, out);
        // A rule or a drain may have begun or ended meanwhile.
        self.close_anew_for(ix);
        self.attend(ix, out);
    }

    /// When most of a VM's users enter by another data centre than everyone is told, everyone is told that one.
    fn follow_the_majority(&mut self, ix: PairIx, out: &mut Outbox) {
        let vm = self.fabric.pairs[ix.at()].vm;
        let to = self.pairs[ix.at()].entry();
        let there = self.entering_for(vm, to);
        let vm = vm as usize;
        let told = self.defaults[vm]
            .as_ref()
            .and_then(|order| order.first().copied());
        let told = told.or(self.fabric.vms[vm].home);
        if u64::from(there) * 2 > u64::from(self.fabric.vms[vm].users) && told != Some(to) {
            self.defaults[vm] = Some(self.pairs[ix.at()].order.clone());
            self.tell_default(vm, out);
        }
    }

    fn give_up(&mut self, ix: PairIx, why: String, out: &mut Outbox) {
        let policy = self.policy();
        let pair = &mut self.pairs[ix.at()];
        if let Some(to) = pair.flight.as_ref().and_then(|flight| flight.to()) {
            pair.gates.bar(to, &policy, out.now);
            // Who is cut off tries it again rather than nothing, but not at once.
            pair.gates.refuse(to, out.now + policy.confirm_within, out.now);
        }
        self.break_off(ix, (why, out.now), out);
    }

    /// Whether a switch found at a start was approved too long ago to go on: by then nothing is known any more of what
    /// it was approved on.
    pub(crate) fn is_of_long_ago(&self, ix: PairIx, now: Timestamp) -> bool {
        let Some(flight) = &self.pairs[ix.at()].flight else {
            return false;
        };
        let (within, slot) = (self.policy().confirm_within, self.limits(ix).decide);
        let approved = self.desk.approved(flight.proposal);
        approved.is_none_or(|(_, at)| now > at + within + slot)
    }

    /// After a start, breaks off switches of long ago. One that was under way just now goes on as forwarders come
    /// back.
    pub(crate) fn break_off_old(&mut self, out: &mut Outbox) {
        let now = out.now;
        for ix in (0..self.pairs.len() as u32).map(PairIx) {
            if !self.is_of_long_ago(ix, now) {
                continue;
            }
            let flight = self.pairs[ix.at()].flight.as_ref();
            let approved = flight.and_then(|flight| self.desk.approved(flight.proposal));
            let ago = approved.map_or(0.0, |(_, at)| now.since(at).as_secs_f64());
            let why = format!(
                "the engine was away; it was approved {ago:.0} s ago, and what for is not known to be true any more"
            );
            // Forwarders had long given up telling: the users were at risk for the time it had, not for the absence.
            let until = self.calm.spending.until(ix).unwrap_or(now);
            self.break_off(ix, (why, until.min(now)), out);
        }
    }

    /// Ends a switch without its confirmation: the old view is told again.
    pub(crate) fn break_off(&mut self, ix: PairIx, (why, ended): (String, Timestamp), out: &mut Outbox) {
        let now = out.now;
        let Some(flight) = self.resettle(ix, |pair| pair.flight.take()) else {
            return;
        };
        self.changes.forget(flight.change, ix);
        self.land(ix, ended);
        self.forget_proof(ix);
        let from = self.pairs[ix.at()].entry();
        let order = self.pairs[ix.at()].order.clone();
        if let Some(to) = flight.to() {
            let text = format!(
                "switch #{} {} {} -> {} failed: {why}; the old entry stands",
                flight.proposal.0,
                self.fabric.user_name(ix),
                self.fabric.label(from),
                self.fabric.label(to),
            );
            self.log(Severity::Error, text, out);
        }
        self.desk.fail(flight.proposal, now, why, out);
        self.note_failed(ix, flight.proposal, out);
        // The message may have arrived and its acknowledgement not: the user is told the old view as well.
        self.pairs[ix.at()].known = Known::Unsent;
        if let Some(teller) = self.teller(from) {
            let change = self.announce(ix, &order, teller, out);
            self.await_view(ix, change, teller);
        }
        self.attend(ix, out);
    }
}

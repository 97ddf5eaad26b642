//! A VM lives elsewhere: what follows from it for the ways to it, its users, forwarders and accounts.

use std::collections::{BTreeMap, HashMap};

use proto::node::{Residence, ResidentRow};
use proto::{NodeCommand, Notice, Severity, Timestamp};

use super::Engine;
use crate::Effect;
use crate::fabric::{Dc, PairIx};
use crate::homes::{DOUBTED_AFTER, Event, RETOLD_AFTER};
use crate::outbox::Outbox;
use crate::pair::{Known, rows};

impl Engine {
    /// What a forwarder says of where VMs run. It is believed about VMs of the session only, and only about its own site.
    pub(super) fn residents(&mut self, dc: Dc, rows: &[ResidentRow], out: &mut Outbox) {
        let now = out.now;
        let vms = self.fabric.vms.iter().zip(0_u32..);
        let by_eid: HashMap<_, u32> = vms.map(|(vm, at)| (vm.eid, at)).collect();
        let told: BTreeMap<u32, Residence> = rows
            .iter()
            .filter_map(|row| Some((*by_eid.get(&row.eid)?, row.residence)))
            .collect();
        let news = self.homes.take(dc, &told, now);
        for (&vm, &event) in &news.of {
            let connected = |dc: Dc| self.nodes[dc.at()].is_connected();
            let home = self.fabric.vms[vm as usize].home;
            let moved = self.homes.elsewhere(vm, home, connected);
            self.homes.doubt(vm, connected, now + DOUBTED_AFTER);
            if let Some(to) = moved {
                let event = if to == dc { event } else { Event::Other };
                self.rehome(vm, (to, event), out);
            } else if event == Event::Arrived && home == Some(dc) {
                self.arrived_again(vm, dc, out);
            }
        }
        if news.first {
            // It was not told before it was known whether they live there.
            for vm in self.vms_at(dc) {
                self.tell_default(vm, out);
            }
        }
    }

    /// VMs that are taken to live at `dc`.
    pub(super) fn vms_at(&self, dc: Dc) -> Vec<usize> {
        let vms = self.fabric.vms.iter().enumerate();
        vms.filter(|(_, vm)| vm.home == Some(dc))
            .map(|(at, _)| at)
            .collect()
    }

    /// Says which VMs are told to run at several sites, once a move would be over.
    pub(super) fn say_doubts(&mut self, out: &mut Outbox) {
        let nodes = &self.nodes;
        let doubtful = self.homes.doubtful(|dc| nodes[dc.at()].is_connected(), out.now);
        for (vm, sites) in doubtful {
            let vm = &self.fabric.vms[vm as usize];
            let labels: Vec<&str> = sites.iter().map(|&dc| self.fabric.label(dc)).collect();
            let home = vm.home.map_or("neither", |home| self.fabric.label(home));
            let text = format!(
                "{} is told to run at {} sites: {}; {home} counts, where it came last",
                vm.name,
                if labels.len() == 2 {
                    "two".to_owned()
                } else {
                    labels.len().to_string()
                },
                labels.join(", "),
            );
            self.log(Severity::Warning, text, out);
        }
    }

    /// Views that forwarders forgot with a move, of which all have heard by now.
    pub(super) fn tell_views_again(&mut self, now: Timestamp) {
        for vm in self.homes.retold(now) {
            self.calm.closing.extend(self.fabric.pairs_with(vm));
        }
    }

    fn rehome(&mut self, vm: u32, (to, event): (Dc, Event), out: &mut Outbox) {
        let now = out.now;
        let from = self.fabric.vms[vm as usize].home;
        let before = self.fabric.homes_now();
        self.homes.settle(vm, to);
        self.follow_homes();
        if let Some(books) = &mut self.books {
            books.accounts.home((vm, to), now);
        }
        let text = format!(
            "{} lives at {} now (was {})",
            self.fabric.vms[vm as usize].name,
            self.fabric.label(to),
            from.map_or("nowhere", |from| self.fabric.label(from)),
        );
        self.log(Severity::Warning, text, out);
        if self.fabric.homes_now() != before {
            self.probe_anew(out);
        }
        let pairs = self.fabric.pairs_with(vm);
        self.costs.remove(&vm); // of paths to where it was
        if event == Event::Arrived {
            self.follow_all((vm, to), &pairs, out);
        } else {
            self.tell_default(vm as usize, out);
        }
        self.show_home((from, to), &pairs, out);
        for &ix in &pairs {
            self.pairs[ix.at()].way = None;
            self.write_anew(ix, out);
        }
        self.attend_ways(pairs, out);
    }

    /// Somebody said once more that it runs there, as the manual advises where two sites claim it: forwarders did as with
    /// any arrival.
    fn arrived_again(&mut self, vm: u32, at: Dc, out: &mut Outbox) {
        let pairs = self.fabric.pairs_with(vm);
        let elsewhere = |ix: &PairIx| self.pairs[ix.at()].entry() != at;
        let come: Vec<PairIx> = pairs.iter().copied().filter(elsewhere).collect();
        self.follow_all((vm, at), &pairs, out);
        for &ix in &come {
            self.pairs[ix.at()].way = None;
        }
        self.show_home((None, at), &come, out);
        self.attend_ways(come, out);
    }

    /// Forwarders have told everyone to enter there, whatever most of them did before.
    fn follow_all(&mut self, (vm, to): (u32, Dc), pairs: &[PairIx], out: &mut Outbox) {
        self.defaults[vm as usize] = None;
        self.homes.retell(vm, out.now + RETOLD_AFTER);
        for &ix in pairs {
            self.follow_home(ix, to, out);
        }
    }

    /// Consoles see the home mark and the legs follow.
    fn show_home(&mut self, (from, to): (Option<Dc>, Dc), pairs: &[PairIx], out: &mut Outbox) {
        for &ix in pairs {
            let pair = &self.pairs[ix.at()];
            let rows = rows(&self.fabric, ix, (&pair.order, &pair.closed));
            out.push(Effect::Notify {
                notice: Notice::Rlocs { rows },
            });
        }
        for dc in [from, Some(to)].into_iter().flatten() {
            for other in self.fabric.dcs() {
                if let Some(leg) = self.fabric.leg(other, dc) {
                    self.legs.touch(leg);
                }
            }
        }
    }

    /// Brings what is made of homes in line with them.
    pub(super) fn follow_homes(&mut self) {
        let Some(places) = self.fabric.follow(&self.homes) else {
            return;
        };
        self.legs.renumber(&self.fabric, &places);
        if let Some(books) = &mut self.books {
            books.accounts.renumber_legs(&places);
        }
    }

    fn probe_anew(&self, out: &mut Outbox) {
        for dc in self.fabric.dcs().filter(|dc| self.nodes[dc.at()].is_connected()) {
            out.push(Effect::Node {
                site: self.fabric.sites[dc.at()].name.clone(),
                command: NodeCommand::Probe {
                    targets: self.probe_targets(dc),
                },
            });
        }
    }

    /// With its arrival (H=1; H=0, C=0: thesis, Algorithm 1) a VM's forwarders have told its users to enter where it is,
    /// and forgotten their views. That is where they enter from now on, whatever was in force before. The engine tells the
    /// view once late packets have found their way ([`RETOLD_AFTER`]).
    fn follow_home(&mut self, ix: PairIx, to: Dc, out: &mut Outbox) {
        let now = out.now;
        if let Some(flight) = &mut self.pairs[ix.at()].flight {
            // It may have been told before the arrival or after.
            flight.teller = None;
            self.launch(ix, out);
            return;
        }
        let from = self.pairs[ix.at()].entry();
        if let Known::Sent { change, .. } = self.pairs[ix.at()].known {
            self.changes.forget(change, ix);
        }
        // They acknowledge it to the forwarders.
        self.pairs[ix.at()].known = Known::Unanswered;
        self.pairs[ix.at()].closed.clear();
        if from == to {
            return;
        }
        let why = format!(
            "{} has come to {}, and {} enters there with it",
            self.fabric.vm_of(ix).name,
            self.fabric.label(to),
            self.fabric.user_name(ix),
        );
        self.supersede(ix, &why, out);
        self.forget_proof(ix);
        self.resettle(ix, |pair| {
            pair.order.retain(|&dc| dc != to);
            pair.order.insert(0, to);
            pair.watch = None;
            pair.withheld = None;
        });
        self.book_entry(ix, now);
        self.monitor.touch(self.link(ix, from));
        self.monitor.touch(self.link(ix, to));
    }

    /// An open proposal was made for a VM that lived elsewhere: whoever reads it has another card to decide on.
    fn write_anew(&mut self, ix: PairIx, out: &mut Outbox) {
        let now = out.now;
        let open = self.pairs[ix.at()].proposal.and_then(|id| self.desk.get(id));
        let Some(open) = open.cloned() else { return };
        match self.still_true(ix, &open, now) {
            Ok(plan) => self.rewrite(open.id, ix, &plan, out),
            Err(why) => self.supersede(ix, &why, out),
        }
    }
}

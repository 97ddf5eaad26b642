//! What of an engine's state has a place in an edited session goes on there, by name. Nobody is moved by an edit, and
//! nothing that staff held back is let go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use proto::policy::Arming;
use proto::{Severity, Span, Timestamp};

use super::Engine;
use crate::Config;
use crate::books::Books;
use crate::crowds::Crowds;
use crate::fabric::{Fabric, PairIx};
use crate::outbox::Outbox;
use crate::pair::{Known, Pair};
use crate::places::Places;
use crate::policy::state::Drain;
use crate::proving::Provisional;

/// Switches that had still to prove themselves.
#[derive(Clone, Copy, Default)]
struct Proofs {
    go_on: usize,
    end: usize,
}

/// So many names are listed in a line.
const LISTED: usize = 8;

impl Engine {
    /// An engine of another session that goes on from this one; the next input is [`crate::Input::Started`]. The text, which
    /// is in its log too, says what was kept and what was dropped.
    ///
    /// Kept are, by name: entries and views, where VMs live, arming, modes, drains, cool-downs, penalties, bars, budgets
    /// used, what classes of actions have earned, accounts, scores, replies given, ended proposals and the log. A switch that
    /// has still to prove itself goes on doing so where its user, its class and both its data centres are left. Open proposals
    /// and switches under way end; what forwarders measured is of before and is not kept.
    #[must_use]
    pub fn carried_into(&self, config: Config, now: Timestamp) -> (Self, String) {
        let mut next = Self::new(config, now);
        let places = Places::new(&self.fabric, &next.fabric);
        let mut dropped = Dropped::new(&self.fabric, &next.fabric);
        next.mode = self.mode;
        next.clock = self.clock.max(now);
        next.journal = self.journal.clone();
        next.changes = self.changes.carried();
        let ended;
        (next.desk, ended) = self.desk.carried(now);
        if ended > 0 {
            dropped.note(format!("{ended} open proposals or switches under way ended"));
        }
        for at in 0..self.pairs.len() {
            if let Some(to) = places.pair(PairIx(at as u32)) {
                next.pairs[to.at()] = self.pair_carried(PairIx(at as u32), (&places, to), &next.fabric);
            }
        }
        next.crowds = Crowds::of(&next.fabric, &next.pairs);
        for (vm, order) in self.defaults.iter().enumerate() {
            if let (Some(to), Some(order)) = (places.vm(vm as u32), order) {
                next.defaults[to as usize] = Some(places.order(order, &next.fabric));
            }
        }
        self.carry_calm(&mut next, &places, &mut dropped);
        let proofs = self.carry_proofs(&mut next, &places);
        if proofs.end > 0 {
            dropped.note(format!("the proof of {} switches, which are final", proofs.end));
        }
        next.costs = self.costs_carried(&places);
        next.homes = self.homes.carried((&self.fabric, &next.fabric), &places);
        next.follow_homes();
        let entries = next.pairs.iter().map(Pair::entry).collect();
        next.books = self.books.as_ref().map(|books| {
            let accounts = &books.accounts;
            let mut accounts = accounts.carried((&self.fabric, &next.fabric), &places, entries);
            accounts.begin_at(next.homes.all());
            Box::new(Books {
                accounts,
                qoe: books.qoe.carried(&next.fabric, &places, now),
            })
        });
        let text = next.carried_text(proofs.go_on, dropped);
        let mut out = Outbox::new(next.clock);
        next.journal.write_word(Severity::Warning, text.clone(), &mut out);
        (next, text)
    }

    fn pair_carried(&self, from: PairIx, (places, to): (&Places, PairIx), fabric: &Fabric) -> Pair {
        let old = &self.pairs[from.at()];
        let mut pair = Pair::new(fabric, to);
        let first = |order: &[crate::fabric::Dc]| order.first().copied();
        pair.order = places.order(&old.order, fabric);
        pair.closed.retain(|&dc| first(&pair.order) != Some(dc));
        pair.gates = old.gates.carried(places);
        // Who is known to hold exactly this view need not be told it again.
        let same_view = pair.order.len() == old.order.len()
            && old
                .order
                .iter()
                .zip(&pair.order)
                .all(|(&was, &is)| places.dc(was) == Some(is))
            && old
                .closed
                .iter()
                .map(|&dc| places.dc(dc))
                .eq(pair.closed.iter().map(|&dc| Some(dc)))
            && self.same_addresses(from, (fabric, to));
        if same_view && old.flight.is_none() && matches!(old.known, Known::Confirmed | Known::Unanswered) {
            pair.known = old.known;
        }
        pair
    }

    /// Whether the user, the VM and all data centres are where they were.
    fn same_addresses(&self, from: PairIx, (fabric, to): (&Fabric, PairIx)) -> bool {
        let user = |fabric: &Fabric, ix: PairIx| fabric.users[fabric.pairs[ix.at()].user as usize].rloc;
        let sites = |fabric: &Fabric| fabric.sites.iter().map(|site| site.rloc).collect::<Vec<_>>();
        user(&self.fabric, from) == user(fabric, to)
            && self.fabric.vm_of(from).eid == fabric.vm_of(to).eid
            && sites(&self.fabric) == sites(fabric)
    }

    /// Room for the way back is kept as before. After the budgets were carried.
    fn carry_proofs(&self, next: &mut Self, places: &Places) -> Proofs {
        let mut proofs = Proofs::default();
        for (at, pair) in (0..).map(PairIx).zip(&self.pairs) {
            let Some(provisional) = &pair.provisional else {
                continue;
            };
            let goes_on = places
                .pair(at)
                .and_then(|to| Some((to, self.proof_carried((at, provisional), (next, to), places)?)));
            if let Some((to, provisional)) = goes_on {
                next.pairs[to.at()].provisional = Some(Box::new(provisional));
                let users = next.fabric.users[next.fabric.pairs[to.at()].user as usize].size;
                next.calm.spending.owe(to, users);
                proofs.go_on += 1;
            } else {
                proofs.end += 1;
            }
        }
        proofs
    }

    /// `None` where it has lost what it is held against: the entry, its bounds, or the place to go back to.
    fn proof_carried(
        &self,
        (from, provisional): (PairIx, &Provisional),
        (next, to): (&Self, PairIx),
        places: &Places,
    ) -> Option<Provisional> {
        let class = self.fabric.users[self.fabric.pairs[from.at()].user as usize].class;
        let same_class =
            places.class(class) == Some(next.fabric.users[next.fabric.pairs[to.at()].user as usize].class);
        let stands = places.dc(self.pairs[from.at()].entry()) == Some(next.pairs[to.at()].entry());
        let proves = next.policy().prove_within > Span::ZERO;
        (same_class && stands && proves)
            .then(|| provisional.carried((&next.fabric, places), (next.clock, next.limits(to).settle)))
            .flatten()
    }

    fn carry_calm(&self, next: &mut Self, places: &Places, dropped: &mut Dropped) {
        next.calm.arming = self.calm.arming.clone();
        for (scope, mode) in &self.calm.modes {
            if next.is_known(scope).is_ok() {
                next.calm.modes.push((scope.clone(), *mode));
            } else {
                dropped.note(format!("mode {mode} of {scope}"));
            }
        }
        for drain in &self.calm.drains {
            match places.dc(drain.dc) {
                Some(dc) => next.calm.drains.push(Drain { dc, ..drain.clone() }),
                None => dropped.note(format!("drain of {}", self.fabric.label(drain.dc))),
            }
        }
        let flaps = &self.calm.flaps;
        let entries = flaps.entries.iter();
        next.calm.flaps.entries = entries
            .filter_map(|(&ix, &flap)| Some((places.pair(ix)?, flap)))
            .collect();
        let locators = flaps.locators.iter();
        next.calm.flaps.locators = locators
            .filter_map(|(&ix, &flap)| Some((places.link(ix)?, flap)))
            .collect();
        next.calm.spending = self.calm.spending.carried(&next.fabric, places, next.clock);
        next.calm.shadow = self.calm.shadow.carried(&next.fabric.config);
        next.calm.untold = true;
    }

    fn costs_carried(&self, places: &Places) -> BTreeMap<u32, BTreeMap<crate::fabric::Dc, Option<u32>>> {
        let of_vm = |costs: &BTreeMap<crate::fabric::Dc, Option<u32>>| {
            costs
                .iter()
                .filter_map(|(&dc, &cost)| Some((places.dc(dc)?, cost)))
                .collect()
        };
        let all = self.costs.iter();
        all.filter_map(|(&vm, costs)| Some((places.vm(vm)?, of_vm(costs))))
            .collect()
    }

    fn carried_text(&self, proofs: usize, dropped: Dropped) -> String {
        let arming = match &self.calm.arming {
            Arming::Armed => "armed".to_owned(),
            Arming::Disarmed { how, .. } => format!("disarmed ({how})"),
        };
        let drains: Vec<&str> = self
            .calm
            .drains
            .iter()
            .map(|drain| self.fabric.label(drain.dc))
            .collect();
        let drains = if drains.is_empty() {
            String::new()
        } else {
            format!(", draining {}", list(&drains))
        };
        let proofs = match proofs {
            0 => String::new(),
            proofs => format!(", {proofs} switches that have still to prove themselves"),
        };
        let kept = format!(
            "the session was edited; kept by name: {arming}, mode {}{drains}, {} modes of parts, entries, cool-downs, penalties, \
             bars, budgets used, earned autonomy, accounts, scores{proofs}",
            self.mode,
            self.calm.modes.len(),
        );
        match dropped.text() {
            Some(dropped) => format!("{kept}; dropped: {dropped}"),
            None => format!("{kept}; nothing was dropped"),
        }
    }
}

/// What has no place any more, for the log.
struct Dropped(Vec<String>);

impl Dropped {
    fn new(before: &Fabric, now: &Fabric) -> Self {
        let gone = |what: &str, before: Vec<String>, now: Vec<String>| {
            let now: BTreeSet<String> = now.into_iter().collect();
            let gone: Vec<String> = before.into_iter().filter(|name| !now.contains(name)).collect();
            (!gone.is_empty()).then(|| format!("all of {what} {}", list(&gone)))
        };
        let sites = |fabric: &Fabric| fabric.sites.iter().map(|site| site.name.to_string()).collect();
        let users = |fabric: &Fabric| fabric.users.iter().map(|user| user.name.to_string()).collect();
        let vms = |fabric: &Fabric| fabric.vms.iter().map(|vm| vm.name.to_string()).collect();
        let classes = |fabric: &Fabric| {
            fabric
                .classes
                .iter()
                .map(|class| class.name.to_string())
                .collect()
        };
        let all = [
            gone("data centre", sites(before), sites(now)),
            gone("user", users(before), users(now)),
            gone("VM", vms(before), vms(now)),
            gone("class", classes(before), classes(now)),
        ];
        Self(all.into_iter().flatten().collect())
    }

    fn note(&mut self, what: String) {
        self.0.push(what);
    }

    fn text(self) -> Option<String> {
        (!self.0.is_empty()).then(|| list(&self.0))
    }
}

fn list<T: Display>(names: &[T]) -> String {
    let total = names.len();
    let mut text: Vec<String> = names.iter().take(LISTED).map(ToString::to_string).collect();
    if total > LISTED {
        text.push(format!("and {} more", total - LISTED));
    }
    text.join(", ")
}

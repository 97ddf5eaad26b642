//! How long VMs, locators and users' entries could be reached (thesis Table 2.1), as `availability/reaching.rs` has it.
//!
//! Time is counted a little behind the present ([`Accounts::settled`]), for what becomes known late belongs earlier:
//!
//! - A link is down from the moment the first of the probes lost in a row was sent (its loss is known a timeout later, and
//!   believed only after some more), and up again from the first of the answers that end it.
//! - A link that nobody reports on is unknown from the last word on it, and not from when that was noticed. So is all there
//!   is from the last word on it until an engine that was stopped hears of it again.
//! - A forwarder that is given up takes its links down: unknown until then, down from then on, until it is back.
//!
//! Nothing here decides anything.

mod account;
mod calendar;
mod carried;
mod contract;
mod heard;
mod queue;
mod reaching;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use proto::availability::{Period, Reach};
use proto::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fabric::{Dc, Fabric, LegIx, LinkIx, PairIx, Renumbered};
use account::Account;
use contract::Dues;
use heard::Heard;
use queue::Queue;
use reaching::{Reaching, Touched};

/// Nothing is waited for longer than this.
const LONGEST_LAG: Span = Span::secs(600);
/// What a report may be late by, besides.
const SLACK: Span = Span::secs(1);
/// Consoles are told of what went up or down no more often than this, and of everything each minute.
const TOLD_EVERY: Span = Span::secs(1);
const ALL_TOLD_EVERY: Span = Span::secs(60);
/// Periods closed at once. More of them lie only in a gap of years.
const CLOSED_AT_ONCE: usize = 200;

/// All accounts of an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Accounts {
    begun: Timestamp,
    /// All before is counted.
    settled: Timestamp,
    /// The latest moment that was told.
    seen: Timestamp,
    lag: Span,
    /// Links as last heard of, and since when they are so.
    heard: Vec<Heard>,
    /// The same of legs that were measured.
    #[serde(default)]
    legs: BTreeMap<LegIx, Heard>,
    /// Links that are down and answer again, since when.
    rising: BTreeMap<LinkIx, Timestamp>,
    /// What happened since `settled`, in the order in which it did.
    queue: Queue,
    /// As of `settled`.
    reaching: Reaching,
    locators: Vec<Account>,
    vms: Vec<Account>,
    pairs: Vec<Account>,
    dues: BTreeMap<PairIx, Dues>,
    /// When the next period of a contract ends.
    closes_at: Option<Timestamp>,
    /// What consoles have not been told.
    untold: BTreeSet<Whose>,
    told_at: Timestamp,
    all_told_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Happened {
    Link { link: LinkIx, reach: Reach },
    Leg { leg: LegIx, reach: Reach },
    Entry { pair: PairIx, dc: Dc },
    Home { vm: u32, dc: Dc },
}

/// A subject, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Whose {
    Vm(u32),
    Locator(Dc),
    Entry(PairIx),
}

/// A contract's period of one entry that cost something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Breach {
    pub(crate) pair: PairIx,
    pub(crate) period: Period,
}

impl Accounts {
    /// Nothing known before `now`; `entries` are those of all pairs.
    pub(crate) fn new(fabric: &Fabric, entries: Vec<Dc>, now: Timestamp) -> Self {
        let accounts = |count: usize| vec![Account::new(now); count];
        Self {
            begun: now,
            settled: now,
            seen: now,
            lag: lag(fabric),
            heard: vec![Heard::new(Reach::Unknown, now); fabric.links()],
            legs: BTreeMap::new(),
            rising: BTreeMap::new(),
            queue: Queue::default(),
            reaching: Reaching::new(fabric, entries),
            locators: accounts(fabric.sites.len()),
            vms: accounts(fabric.vms.len()),
            pairs: accounts(fabric.pairs.len()),
            dues: BTreeMap::new(),
            closes_at: next_closing(fabric, now),
            untold: BTreeSet::new(),
            told_at: now,
            all_told_at: now,
        }
    }

    /// Whether they are of this fabric.
    pub(crate) fn fits(&self, fabric: &Fabric) -> bool {
        let link = |ix: &LinkIx| ix.at() < fabric.links();
        let pair = |ix: &PairIx| ix.at() < fabric.pairs.len();
        let happened = |happened: &Happened| match happened {
            Happened::Link { link: ix, .. } => link(ix),
            Happened::Leg { leg, .. } => leg.at() < fabric.legs(),
            Happened::Entry { pair: ix, dc } => pair(ix) && dc.at() < fabric.sites.len(),
            Happened::Home { vm, dc } => (*vm as usize) < fabric.vms.len() && dc.at() < fabric.sites.len(),
        };
        let whose = |whose: &Whose| match whose {
            Whose::Vm(vm) => (*vm as usize) < fabric.vms.len(),
            Whose::Locator(dc) => dc.at() < fabric.sites.len(),
            Whose::Entry(ix) => pair(ix),
        };
        self.reaching.fits(fabric)
            && self.heard.len() == fabric.links()
            && self.locators.len() == fabric.sites.len()
            && self.vms.len() == fabric.vms.len()
            && self.pairs.len() == fabric.pairs.len()
            && self.rising.keys().all(link)
            && self.legs.keys().all(|leg| leg.at() < fabric.legs())
            && self.dues.keys().all(pair)
            && self.queue.all().all(|what| happened(&what))
            && self.untold.iter().all(whose)
    }

    /// A link stands so since `at`, as far as is known now.
    pub(crate) fn link(&mut self, link: LinkIx, reach: Reach, at: Timestamp) {
        let heard = &mut self.heard[link.at()];
        if heard.reach() == reach {
            return;
        }
        // What is later known to have been earlier still comes after what was known before.
        let at = at.max(heard.since()).max(self.settled);
        *heard = Heard::new(reach, at);
        self.rising.remove(&link);
        self.happened(at, Happened::Link { link, reach });
    }

    /// A probe of a link that is down was answered.
    pub(crate) fn answered(&mut self, link: LinkIx, now: Timestamp) {
        self.rising.entry(link).or_insert(now);
    }

    /// A probe of a link that is down was not answered.
    pub(crate) fn unanswered(&mut self, link: LinkIx) {
        self.rising.remove(&link);
    }

    /// The link is up: since the first answer, if it was down.
    pub(crate) fn rose(&mut self, link: LinkIx, now: Timestamp) {
        if self.heard[link.at()].reach() != Reach::Up {
            let since = self.rising.get(&link).copied().unwrap_or(now);
            self.link(link, Reach::Up, since);
        }
    }

    /// Nobody reports on a link since the last word on it, or, if that is older than how it stands, since the engine
    /// itself was last heard of.
    pub(crate) fn silence(&mut self, link: LinkIx, last_word: Option<Timestamp>) {
        let since = self.heard[link.at()].since();
        let at = last_word.filter(|&word| word >= since).unwrap_or(self.seen);
        self.link(link, Reach::Unknown, at);
    }

    /// A leg between data centres stands so since `at`, as far as is known now.
    pub(crate) fn leg(&mut self, leg: LegIx, reach: Reach, at: Timestamp) {
        let heard = self.legs.get(&leg).copied();
        if heard.is_some_and(|heard| heard.reach() == reach) {
            return;
        }
        let since = heard.map_or(self.settled, Heard::since);
        let at = at.max(since).max(self.settled);
        self.legs.insert(leg, Heard::new(reach, at));
        self.happened(at, Happened::Leg { leg, reach });
    }

    /// A pair enters by another data centre from now on.
    pub(crate) fn entry(&mut self, pair: PairIx, dc: Dc, now: Timestamp) {
        self.happened(now.max(self.settled), Happened::Entry { pair, dc });
    }

    /// A VM lives at another data centre from now on.
    pub(crate) fn home(&mut self, (vm, dc): (u32, Dc), now: Timestamp) {
        self.happened(now.max(self.settled), Happened::Home { vm, dc });
    }

    /// Where VMs live that do not live where the session says; of accounts that begin.
    pub(crate) fn begin_at(&mut self, homes: &BTreeMap<u32, Dc>) {
        self.reaching.begin_at(homes);
    }

    /// Legs have other numbers.
    pub(crate) fn renumber_legs(&mut self, places: &Renumbered) {
        let legs = std::mem::take(&mut self.legs);
        self.legs = legs
            .into_iter()
            .map(|(leg, heard)| (places.of(leg), heard))
            .collect();
        self.queue.renumber_legs(places);
        self.reaching.renumber_legs(places);
    }

    /// Counts what can be counted by now; the contract's periods that ended and cost something come back.
    pub(crate) fn advance(&mut self, fabric: &Fabric, now: Timestamp) -> Vec<Breach> {
        self.seen = self.seen.max(now);
        let until = now - self.lag;
        let mut breaches = Vec::new();
        if until <= self.settled {
            return breaches;
        }
        let mut closed = 0;
        loop {
            let happens = self.queue.first_at().filter(|&at| at < until);
            let closes = self.closes_at.filter(|&at| at <= until);
            let first = happens.filter(|&at| closes.is_none_or(|closes| at < closes));
            match (first, closes) {
                (Some(at), _) => self.settle(fabric, at),
                (None, Some(_)) if closed >= CLOSED_AT_ONCE => self.closes_at = next_closing(fabric, until),
                (None, Some(at)) => {
                    closed += 1;
                    self.close(fabric, at, &mut breaches);
                }
                (None, None) => break,
            }
        }
        self.settled = until;
        breaches
    }

    /// When [`Self::advance`] or a telling has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let happens = self.queue.first_at().map(|at| at + self.lag + Span(1));
        let closes = self.closes_at.map(|at| at + self.lag);
        let told = (!self.untold.is_empty()).then(|| self.told_at + TOLD_EVERY);
        let all = Some(self.all_told_at + ALL_TOLD_EVERY);
        [happens, closes, told, all].into_iter().flatten().min()
    }

    fn happened(&mut self, at: Timestamp, what: Happened) {
        self.queue.push(at, what);
    }

    /// Everything that happened at one moment, at once: what is over in no time was nothing.
    fn settle(&mut self, fabric: &Fabric, at: Timestamp) {
        let mut touched = Touched::default();
        while let Some(all) = self.queue.pop(at) {
            for what in all {
                match what {
                    Happened::Link { link, reach } => self.reaching.link(fabric, (link, reach), &mut touched),
                    Happened::Leg { leg, reach } => self.reaching.leg(fabric, (leg, reach), &mut touched),
                    Happened::Entry { pair, dc } => self.reaching.entry(fabric, (pair, dc), &mut touched),
                    Happened::Home { vm, dc } => self.reaching.home(fabric, (vm, dc), &mut touched),
                }
            }
        }
        for pair in touched.pairs {
            if self.pairs[pair.at()].turn(self.reaching.pair(pair), at) {
                self.untold.insert(Whose::Entry(pair));
            }
        }
        for vm in touched.vms {
            if self.vms[vm as usize].turn(self.reaching.vm(vm), at) {
                self.untold.insert(Whose::Vm(vm));
            }
        }
        for dc in touched.dcs {
            if self.locators[dc.at()].turn(self.reaching.locator(fabric, dc), at) {
                self.untold.insert(Whose::Locator(dc));
            }
        }
    }

    /// Ends the periods that end at `at`.
    fn close(&mut self, fabric: &Fabric, at: Timestamp, breaches: &mut Vec<Breach>) {
        for pair in (0..self.pairs.len() as u32).map(PairIx) {
            let Some(contract) = contract_of(fabric, pair) else {
                continue;
            };
            if calendar::end(contract.per, at - Span(1)) != at {
                continue;
            }
            let tally = self.pairs[pair.at()].tally_ended(contract.per, at);
            let period = Period {
                from: tally.from,
                to: at,
                down: tally.down,
                unknown: tally.unknown,
                amount: contract::penalty(contract, &tally),
            };
            self.dues.entry(pair).or_default().close(period);
            if period.amount > 0 {
                breaches.push(Breach { pair, period });
            }
        }
        self.closes_at = next_closing(fabric, at);
    }
}

fn contract_of(fabric: &Fabric, pair: PairIx) -> Option<&crate::config::Contract> {
    let class = fabric.class_of(fabric.pairs[pair.at()].user);
    fabric.config.sla.get(&class.name)?.terms.contract.as_ref()
}

/// The first end of any contract's period after `at`.
fn next_closing(fabric: &Fabric, at: Timestamp) -> Option<Timestamp> {
    let contracts = fabric
        .config
        .sla
        .values()
        .filter_map(|sla| sla.terms.contract.as_ref());
    let ends = contracts.map(|contract| calendar::end(contract.per, at));
    ends.filter(|&end| end > at).min()
}

/// How long after it happened something becomes known at the latest, in the slowest class.
fn lag(fabric: &Fabric) -> Span {
    let of = |limits: &crate::monitor::Limits| {
        let probes = |count: u32| Span(limits.probe.0.saturating_mul(u64::from(count)));
        let down = probes(limits.down_after).0.saturating_add(limits.timeout.0);
        down.max(probes(limits.up_after).0)
    };
    let classes = fabric.classes.iter().map(|class| of(&class.limits));
    let classes = classes.chain([of(&fabric.leg_limits)]);
    let slowest = classes
        .chain([fabric.config.policy.stale_after.0])
        .max()
        .unwrap_or(0);
    Span(slowest.saturating_add(SLACK.0).min(LONGEST_LAG.0))
}

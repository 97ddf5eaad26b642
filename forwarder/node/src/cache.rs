//! The map cache with what the packet path need not know: where each mapping came from and how long it lives.
//!
//! Which locator carries a packet is worked out by [`LocatorTable`]: the best priority among those that are up; if all
//! are down, the best priority all the same, since a wrong belief must not become a black hole.

mod blocks;
mod hints;
mod mapping;
mod roamed;
mod rows;
mod said;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datapath::{Entry, Forwarding, LocatorTable, MapCache, Marks, Reach, Watch};
use lisp_wire::{Action, Eid, EidPrefix, Locator, Priority, Rloc, Weight};
use proto::{Span, Timestamp};

use crate::context::Context;
use crate::input::Effect;
use crate::timers::Timers;
use mapping::Stage;
pub(crate) use mapping::{Content, Life, Mapping, Origin};
use said::Said;
use ways::{Known, Ways};

/// Addresses that are probed for one mapping: those of its best locators. The others count as up.
const MOST_PROBED: usize = 16;
/// More mappings than this are not kept: of those that can be asked for again, the one that expires first makes room.
const MOST_MAPPINGS: usize = 65_536;

/// Mappings of others, as this node's packets follow them.
#[derive(Debug)]
pub(crate) struct Cache {
    table: MapCache,
    /// The own EIDs as they are configured.
    own: BTreeSet<EidPrefix>,
    mappings: BTreeMap<EidPrefix, Mapping>,
    timers: Timers<EidPrefix>,
    /// Of the mappings that nobody can be asked for, and which make room for no other.
    given_timers: Timers<EidPrefix>,
    /// The mappings that were handed over with EIDs that move here, and are believed for want of better.
    hints: BTreeSet<EidPrefix>,
    /// Which mappings packets may go by to each locator.
    eids: BTreeMap<Rloc, BTreeSet<EidPrefix>>,
    down: BTreeSet<Rloc>,
    /// Locators that packets do not get to, though their routers answer: no echo comes back.
    silent: BTreeSet<Rloc>,
    /// Whether what data headers say of mappings is kept.
    heeds: bool,
    changed: Changed,
    /// Mappings that were removed, and not replaced, since it was last asked.
    departed: Vec<EidPrefix>,
    ways: Ways,
}

/// What has changed since it was last told.
#[derive(Debug, Default)]
struct Changed {
    table: bool,
    locators: bool,
}

/// A mapping that is in use and about to expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refresh {
    pub(crate) asked: Eid,
}

impl Cache {
    /// A cache that knows this node's own EIDs, so that nothing else is taken for them, and its locators, so that it
    /// finds its place on explicit paths.
    pub(crate) fn new(eids: impl Iterator<Item = EidPrefix>, rlocs: impl Iterator<Item = Rloc>) -> Self {
        let mut table = MapCache::new();
        let own: BTreeSet<EidPrefix> = eids.collect();
        for prefix in own.iter().copied() {
            table.insert(Entry {
                prefix,
                forwarding: Forwarding::Local,
            });
        }
        Self {
            table,
            own,
            mappings: BTreeMap::new(),
            timers: Timers::default(),
            given_timers: Timers::default(),
            hints: BTreeSet::new(),
            eids: BTreeMap::new(),
            down: BTreeSet::new(),
            silent: BTreeSet::new(),
            heeds: false,
            changed: Changed {
                table: true,
                locators: false,
            },
            departed: Vec::new(),
            ways: Ways::new(rlocs),
        }
    }

    /// The same, keeping what data headers say of mappings.
    pub(crate) fn heeding(self, heeds: bool) -> Self {
        Self { heeds, ..self }
    }

    /// Says what data headers say from now on.
    pub(crate) fn set_marks(&mut self, marks: Arc<Marks>) {
        self.table.set_marks(Some(marks));
        self.changed.table = true;
    }

    /// Says whose packets are looked for from now on.
    pub(crate) fn set_watch(&mut self, watch: Option<Arc<Watch>>) {
        self.table.set_watch(watch);
        self.changed.table = true;
    }

    /// The locators that packets may go to.
    pub(crate) fn locators(&self) -> impl Iterator<Item = Rloc> {
        self.eids.keys().copied()
    }

    /// What is done with packets for own EIDs; with `None`, what the configuration says.
    pub(crate) fn set_own(&mut self, prefix: EidPrefix, forwarding: Option<Forwarding>) {
        let configured = self.own.contains(&prefix).then_some(Forwarding::Local);
        match forwarding.or(configured) {
            Some(forwarding) => drop(self.table.insert(Entry { prefix, forwarding })),
            None => drop(self.table.remove(&prefix)),
        }
        self.changed.table = true;
    }

    /// The mappings that packets go by to a locator.
    pub(crate) fn known_at(&self, rloc: Rloc) -> impl Iterator<Item = (&EidPrefix, &Mapping)> {
        let prefixes = self.eids.get(&rloc).into_iter().flatten();
        prefixes.filter_map(|prefix| self.mappings.get_key_value(prefix))
    }

    /// The routers at the ends of the mappings.
    pub(crate) fn etrs(&self) -> impl Iterator<Item = Rloc> {
        let locators = self
            .mappings
            .values()
            .filter_map(|mapping| match &mapping.content {
                Content::Locators(locators) => Some(locators),
                Content::Pending | Content::Negative(_) | Content::Behind(_) => None,
            });
        locators.flatten().map(Locator::etr)
    }

    /// EIDs that hops of paths stand for and that no mapping is known of.
    pub(crate) fn take_wanted(&mut self) -> Vec<Eid> {
        self.ways.take_wanted()
    }

    /// What the packet path does with packets to `eid` now.
    pub(crate) fn forwarding(&self, eid: &Eid) -> Option<&Forwarding> {
        self.table.lookup(eid).map(|entry| &entry.forwarding)
    }

    /// An EID block that is reached by this locator.
    pub(crate) fn reached_by(&self, rloc: Rloc) -> Option<EidPrefix> {
        self.eids.get(&rloc).and_then(|eids| eids.first().copied())
    }

    /// Takes a mapping in, in place of the one of the same prefix.
    pub(crate) fn insert(&mut self, prefix: EidPrefix, mut mapping: Mapping) {
        if let (true, None, Content::Locators(locators)) = (self.heeds, &mapping.said, &mapping.content) {
            mapping.said = Some(Box::new(Said::of_locators(locators)));
        }
        self.weigh(prefix, &mapping);
        if let Some(oldest) = self.timers.first().filter(|_| !self.has_room_for(&prefix)) {
            self.remove(&oldest);
        }
        let kept: Vec<Rloc> = match &mapping.content {
            // It cannot answer probes to where it cannot be reached.
            Content::Locators(_) if mapping.origin == Origin::Router => Vec::new(),
            Content::Locators(locators) => {
                let mut usable: Vec<&Locator> = locators.iter().collect();
                usable.retain(|locator| locator.priority.usable());
                usable.sort_by_key(|locator| locator.priority);
                let probed = usable.into_iter().flat_map(|locator| self.ways.probed(locator));
                probed.take(MOST_PROBED).collect()
            }
            Content::Pending | Content::Negative(_) | Content::Behind(_) => Vec::new(),
        };
        self.release_locators(&prefix, &kept);
        for rloc in kept {
            let eids = self.eids.entry(rloc).or_default();
            self.changed.locators |= eids.is_empty();
            eids.insert(prefix);
        }
        self.set_timer(prefix, mapping.origin, mapping.due());
        self.mappings.insert(prefix, mapping);
        self.write(&prefix);
        self.write_those_by(&prefix);
    }

    fn set_timer(&mut self, prefix: EidPrefix, origin: Origin, at: Timestamp) {
        self.cancel_timer(&prefix);
        if origin.is_given() {
            self.given_timers.set(prefix, at);
        } else {
            self.timers.set(prefix, at);
        }
    }

    fn cancel_timer(&mut self, prefix: &EidPrefix) {
        self.timers.cancel(prefix);
        self.given_timers.cancel(prefix);
    }

    /// The paths that a hop within `block` stands in go another way now.
    fn write_those_by(&mut self, block: &EidPrefix) {
        for prefix in self.ways.by(block) {
            self.write(&prefix);
        }
    }

    /// Forgets a mapping.
    pub(crate) fn remove(&mut self, prefix: &EidPrefix) {
        self.release_locators(prefix, &[]);
        self.cancel_timer(prefix);
        self.hints.remove(prefix);
        if let Some(removed) = self.mappings.remove(prefix) {
            self.table.remove(prefix);
            self.changed.table = true;
            self.ways.forget(prefix);
            self.write_those_by(prefix);
            if removed.origin == Origin::Publication {
                self.departed.push(*prefix);
            }
        }
    }

    /// Forgets the mapping of `block`, unless it was set by hand: the Map-Server says that it is gone.
    pub(crate) fn withdraw(&mut self, block: &EidPrefix) {
        let of_origin = |mapping: &Mapping| mapping.origin != Origin::Manual;
        if self.mappings.get(block).is_some_and(of_origin) {
            self.remove(block);
        }
    }

    /// The subscribed mappings that have left since the last call.
    pub(crate) fn take_departed(&mut self) -> Vec<EidPrefix> {
        std::mem::take(&mut self.departed)
    }

    /// Takes what probes found out: mappings that name the locator are worked out anew.
    pub(crate) fn set_reach(&mut self, rloc: Rloc, reach: Reach) {
        let news = match reach {
            Reach::Up => self.down.remove(&rloc),
            Reach::Down => self.eids.contains_key(&rloc) && self.down.insert(rloc),
        };
        if news {
            self.write_all_at(rloc);
        }
    }

    /// Takes what missing echoes say: packets do not get to the locator, whatever probes find.
    pub(crate) fn set_silence(&mut self, rloc: Rloc, reach: Reach) {
        let news = match reach {
            Reach::Up => self.silent.remove(&rloc),
            Reach::Down => self.eids.contains_key(&rloc) && self.silent.insert(rloc),
        };
        if news {
            self.write_all_at(rloc);
        }
    }

    fn write_all_at(&mut self, rloc: Rloc) {
        let touched: Vec<EidPrefix> = self.eids.get(&rloc).into_iter().flatten().copied().collect();
        for prefix in &touched {
            self.write(prefix);
        }
    }

    /// Hands the table to the packet path, if it has changed.
    pub(crate) fn publish(&mut self, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.changed.table) {
            cx.effects.push(Effect::Publish(self.table.clone()));
        }
    }

    /// Whether the locators that packets may go to are not the same as when last asked.
    pub(crate) const fn changed_locators(&mut self) -> bool {
        std::mem::replace(&mut self.changed.locators, false)
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let nexts = [self.timers.next(), self.given_timers.next()];
        nexts.into_iter().flatten().min()
    }

    /// Ends what has expired; tells what is to be asked for again.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<Refresh> {
        let mut refreshes = Vec::new();
        let due = |cache: &mut Self| {
            let evictable = cache.timers.pop_due(now);
            evictable.or_else(|| cache.given_timers.pop_due(now))
        };
        while let Some(prefix) = due(self) {
            let packets = self.packets(&prefix);
            let Some(mapping) = self.mappings.get_mut(&prefix) else {
                continue;
            };
            if mapping.expires <= now {
                self.remove(&prefix);
                continue;
            }
            mapping.stage = match mapping.stage {
                Stage::Fresh => Stage::Sampled { packets },
                Stage::Sampled { packets: before } => {
                    if packets > before && !mapping.origin.is_given() {
                        refreshes.push(Refresh { asked: mapping.asked });
                    }
                    Stage::Final
                }
                Stage::Final => Stage::Final,
            };
            let (origin, due) = (mapping.origin, mapping.due().max(now + Span(1)));
            self.set_timer(prefix, origin, due);
        }
        refreshes
    }

    fn locator_table(&self, prefix: &EidPrefix) -> Option<&LocatorTable> {
        match &self.table.get(prefix)?.forwarding {
            Forwarding::Encapsulate(table) => Some(table),
            _ => None,
        }
    }

    fn packets(&self, prefix: &EidPrefix) -> u64 {
        let locators = self
            .locator_table(prefix)
            .map(LocatorTable::locators)
            .unwrap_or_default();
        locators.iter().map(|entry| entry.counters.packets()).sum()
    }

    /// Writes one mapping into the table of the packet path; its counters go on.
    fn write(&mut self, prefix: &EidPrefix) {
        let Some(mapping) = self.mappings.get(prefix) else {
            return;
        };
        let forwarding = match &mapping.content {
            Content::Pending => Forwarding::Pending,
            Content::Negative(action) if is_native(*action) => Forwarding::Native,
            Content::Negative(_) => Forwarding::Drop,
            Content::Behind(outside) => {
                let locator = Locator::unicast(Rloc(outside.ip()), Priority::FIRST, Weight(100));
                let mut table = LocatorTable::new([(locator, Reach::Up)], self.locator_table(prefix));
                table.set_port(Some(outside.port()));
                Forwarding::Encapsulate(table)
            }
            Content::Locators(locators) => {
                let known = Known {
                    table: &self.table,
                    down: [&self.down, &self.silent, mapping.said_down()],
                };
                let ways = &mut self.ways;
                let found: Vec<_> = locators
                    .iter()
                    .map(|locator| ways.next(locator, *prefix, known))
                    .collect();
                let before = match self.table.get(prefix).map(|entry| &entry.forwarding) {
                    Some(Forwarding::Encapsulate(before)) => Some(before),
                    _ => None,
                };
                let mut table = LocatorTable::new(found, before);
                table.refuse_transit(|locator| !ways.leads_by_us(locator));
                table.set_marks(mapping.said.as_ref().map(|said| said.marks()));
                Forwarding::Encapsulate(table)
            }
        };
        self.table.insert(Entry {
            prefix: *prefix,
            forwarding,
        });
        self.changed.table = true;
    }

    fn release_locators(&mut self, prefix: &EidPrefix, kept: &[Rloc]) {
        let Some(Mapping {
            content: Content::Locators(locators),
            ..
        }) = self.mappings.get(prefix)
        else {
            return;
        };
        let before = locators.iter().flat_map(|locator| self.ways.probed(locator));
        for rloc in before.filter(|rloc| !kept.contains(rloc)) {
            let Some(eids) = self.eids.get_mut(&rloc) else {
                continue;
            };
            eids.remove(prefix);
            if eids.is_empty() {
                self.eids.remove(&rloc);
                // Nobody probes it from now on; an old belief must not wait for its return.
                self.down.remove(&rloc);
                self.silent.remove(&rloc);
                self.changed.locators = true;
            }
        }
    }
}

/// Whether packets leave as they are. Everything else without locators is dropped: RFC 9301 section 5.4 lets nothing
/// be encapsulated then, and EIDs are not to leak onto the underlay unless that was said.
pub(crate) const fn is_native(action: Action) -> bool {
    matches!(action, Action::NativelyForward)
}

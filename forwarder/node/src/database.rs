//! The EIDs of this site: what everyone is told of them, what single clients are told, and who asked lately.

mod rows;

use std::collections::{BTreeMap, BTreeSet};

use lisp_wire::data_header::{Age, MapVersion};
use lisp_wire::{Action, Eid, EidPrefix, Locator, MappingRecord, Priority, Rloc, Ttl};
use proto::{Span, Timestamp};

use crate::config::Config;
use crate::state::{EidChange, Standing, Terms};
use crate::tables::Window;

/// At most this many clients of one EID have a view of their own.
const MOST_VIEWS: usize = 16_384;
/// At most this many askers are kept of one EID; the one that asked longest ago makes room.
const MOST_REQUESTERS: usize = 4096;
/// At most this many EIDs are split off the configured blocks.
const MOST_EIDS: usize = 65_536;

/// What an entry's rivals are set to: the fabric may still reach the EID from there, should the entry fail.
const SECOND: Priority = Priority(2);

/// The own mappings, by prefix.
#[derive(Debug)]
pub(crate) struct Database {
    own: BTreeMap<EidPrefix, Own>,
    /// What is no longer as configured.
    changed: BTreeSet<EidPrefix>,
    /// Whether anything has changed since it was last asked.
    touched: bool,
    /// Of what may have come or gone since it was last asked.
    moved: BTreeSet<EidPrefix>,
}

/// One own mapping.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) ttl: Ttl,
    /// What everyone is told who has no view.
    pub(crate) everyone: Vec<Locator>,
    pub(crate) views: BTreeMap<Rloc, Vec<Locator>>,
    pub(crate) standing: Standing,
    /// When it arrived here, if it did; of no meaning elsewhere.
    pub(crate) arrived: Option<Timestamp>,
    requesters: BTreeMap<Rloc, Requester>,
    /// The same by when they asked, so that a flood of askers costs no look at all of them each time.
    by_age: BTreeSet<(Timestamp, Rloc)>,
    /// Those of them that were known from elsewhere when room was short: a flood of forged askers does not drive them out.
    proven: BTreeSet<(Timestamp, Rloc)>,
    /// Locators of other xTRs that serve the EID too, as the Map-Server tells of a merged registration.
    pub(crate) siblings: Vec<Locator>,
    /// Goes up with each change; [`MapVersion::NONE`] where mappings have no versions (RFC 9302).
    pub(crate) version: MapVersion,
}

/// Somebody who asked.
#[derive(Clone, Copy, Debug)]
struct Requester {
    source: Option<Eid>,
    at: Timestamp,
}

impl Database {
    pub(crate) fn new(config: &Config) -> Self {
        let own = config.eids.iter().map(|eid| {
            let standing = if eid.register {
                Standing::Registered
            } else {
                Standing::Elsewhere
            };
            let own = Own {
                ttl: eid.ttl,
                everyone: config.default_locators(eid),
                views: BTreeMap::new(),
                standing,
                arrived: None,
                requesters: BTreeMap::new(),
                by_age: BTreeSet::new(),
                proven: BTreeSet::new(),
                siblings: Vec::new(),
                version: eid.map_version,
            };
            (eid.prefix, own)
        });
        Self {
            own: own.collect(),
            changed: BTreeSet::new(),
            touched: true,
            moved: BTreeSet::new(),
        }
    }

    /// The longest own mapping that holds all of `eid`.
    pub(crate) fn covering(&self, eid: &EidPrefix) -> Option<(EidPrefix, &Own)> {
        (0..=eid.length()).rev().find_map(|length| {
            let prefix = EidPrefix::new(eid.iid(), eid.address(), length).ok()?;
            self.own.get(&prefix).map(|own| (prefix, own))
        })
    }

    /// Own mappings within `block`, the block's own left out.
    pub(crate) fn below(&self, block: EidPrefix) -> impl Iterator<Item = (&EidPrefix, &Own)> {
        self.own
            .range(block..)
            .take_while(move |(prefix, _)| block.contains(&prefix.first()))
            .filter(move |(prefix, _)| **prefix != block && block.covers(prefix))
    }

    /// The mapping of exactly this prefix, to be changed; split off the longest one around it if there is none yet.
    pub(crate) fn exactly(&mut self, eid: EidPrefix) -> Option<&mut Own> {
        if !self.own.contains_key(&eid) {
            if self.own.len() >= MOST_EIDS {
                return None;
            }
            let split = self.covering(&eid)?.1.clone();
            self.own.insert(eid, split);
        }
        self.changed.insert(eid);
        self.moved.insert(eid);
        self.touched = true;
        let own = self.own.get_mut(&eid)?;
        own.becomes_newer();
        Some(own)
    }

    /// Whether anything has changed since the last call.
    pub(crate) const fn take_touched(&mut self) -> bool {
        std::mem::replace(&mut self.touched, false)
    }

    /// What may have come or gone since the last call.
    pub(crate) fn take_moved(&mut self) -> BTreeSet<EidPrefix> {
        std::mem::take(&mut self.moved)
    }

    /// All own mappings.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&EidPrefix, &Own)> {
        self.own.iter()
    }

    /// The versions, to outlive the process.
    pub(crate) fn versions(&self) -> Vec<(EidPrefix, u16)> {
        let versioned = self.own.iter().filter(|(_, own)| own.version != MapVersion::NONE);
        versioned.map(|(eid, own)| (*eid, own.version.get())).collect()
    }

    /// Goes on from the versions of an earlier process. The restart itself counts as a change: what the configuration
    /// says may be another thing now. A newer version in the configuration is gone on from instead.
    pub(crate) fn resume_versions(&mut self, versions: &[(EidPrefix, u16)]) {
        for (eid, number) in versions {
            let own = self
                .own
                .get_mut(eid)
                .filter(|own| own.version != MapVersion::NONE);
            if let (Some(own), Some(last)) = (own, MapVersion::new(*number)) {
                if own.version.compared_with(last.next()) != Some(Age::Newer) {
                    own.version = last.next();
                }
                self.touched = true;
            }
        }
    }

    /// What must outlive the process.
    pub(crate) fn changes(&self, config: &Config) -> Vec<EidChange> {
        let change = |eid: &EidPrefix| {
            let own = self.own.get(eid)?;
            Some(EidChange {
                eid: *eid,
                configured: configured(eid, config)?,
                now: Terms {
                    locators: own.everyone.clone(),
                    standing: own.standing,
                },
                views: own
                    .views
                    .iter()
                    .map(|(client, locators)| (*client, locators.clone()))
                    .collect(),
                arrived: own.arrived,
            })
        };
        self.changed.iter().filter_map(change).collect()
    }

    /// Makes the changes again that an earlier process had made, where the configuration is still what it was.
    pub(crate) fn resume(&mut self, changes: &[EidChange], config: &Config) {
        for change in changes
            .iter()
            .filter(|change| configured(&change.eid, config).as_ref() == Some(&change.configured))
        {
            let Some(own) = self.exactly(change.eid) else {
                continue;
            };
            own.everyone.clone_from(&change.now.locators);
            own.standing = change.now.standing;
            own.arrived = change.arrived;
            own.views = change.views.iter().cloned().collect();
        }
    }

    /// Takes the node's own locators anew where a mapping has those, and tells of which that is true. What is elsewhere,
    /// or was given locators of its own, stays.
    pub(crate) fn relocate(&mut self, config: &Config) -> Vec<EidPrefix> {
        let mut changed = Vec::new();
        for (eid, own) in &mut self.own {
            let around = config.eids.iter().filter(|block| block.prefix.covers(eid));
            let Some(block) = around.max_by_key(|block| block.prefix.length()) else {
                continue;
            };
            if block.locators.is_empty() && own.standing == Standing::Registered {
                own.everyone = config.default_locators(block);
                own.views.clear();
                own.becomes_newer();
                self.touched = true;
                changed.push(*eid);
            }
        }
        changed
    }

    /// Who asked for an EID within the lifetime of what they were told.
    pub(crate) fn requesters(&self, eid: &EidPrefix, now: Timestamp) -> Vec<Rloc> {
        self.own
            .get(eid)
            .map(|own| own.requesters(now))
            .unwrap_or_default()
    }

    /// What this node registers.
    pub(crate) fn registered(&self) -> impl Iterator<Item = EidPrefix> {
        self.own
            .iter()
            .filter(|(_, own)| own.standing == Standing::Registered)
            .map(|(eid, _)| *eid)
    }

    /// Whether this node registers exactly this prefix.
    pub(crate) fn registers(&self, eid: &EidPrefix) -> bool {
        self.own
            .get(eid)
            .is_some_and(|own| own.standing == Standing::Registered)
    }

    /// The mapping as it is told to everyone.
    pub(crate) fn record(&self, eid: &EidPrefix) -> Option<MappingRecord> {
        self.own
            .get(eid)
            .map(|own| own.record(*eid, own.everyone.clone()))
    }

    /// Takes what the Map-Server says of an EID that others register too.
    pub(crate) fn set_siblings(&mut self, record: &MappingRecord, config: &Config) {
        if let Some(own) = self.own.get_mut(&record.eid) {
            let others = record.locators.iter().filter(|other| !config.is_own(other.rloc));
            let siblings: Vec<Locator> = others.map(|other| config.marked(*other)).collect();
            if siblings != own.siblings {
                own.siblings = siblings;
                own.becomes_newer();
                self.touched = true;
            }
        }
    }

    /// Notes who asked, so that changes can be told (the trace log of thesis section 4.3).
    /// `known` are clients that others vouch for: their locators stand in mappings that we asked for.
    pub(crate) fn asked(
        &mut self,
        eid: &EidPrefix,
        (client, source): (Rloc, Option<Eid>),
        known: &dyn Fn(&Rloc) -> bool,
        now: Timestamp,
    ) {
        self.asked_at(eid, (client, source), now);
        self.make_room(eid, known, now);
    }

    /// Forgets who asked long ago, and the oldest of too many.
    pub(crate) fn make_room(&mut self, eid: &EidPrefix, known: &dyn Fn(&Rloc) -> bool, now: Timestamp) {
        if let Some(own) = self.own.get_mut(eid) {
            own.forget_requesters(now, known);
        }
    }

    /// The same as [`Database::asked`] for who asked at another site, some time ago; [`Database::make_room`] belongs
    /// after the last of them.
    pub(crate) fn asked_at(&mut self, eid: &EidPrefix, (client, source): (Rloc, Option<Eid>), at: Timestamp) {
        let Some(own) = self.own.get_mut(eid) else { return };
        if let Some(before) = own.requesters.insert(client, Requester { source, at }) {
            own.by_age.remove(&(before.at, client));
            own.proven.remove(&(before.at, client));
        }
        own.by_age.insert((at, client));
    }

    /// What of that a table's window shows.
    pub(crate) fn registered_within(&self, window: &Window) -> impl Iterator<Item = EidPrefix> {
        window
            .of(&self.own)
            .filter(|(_, own)| own.standing == Standing::Registered)
            .map(|(eid, _)| eid)
    }
}

/// The locators as a record has them: in the order of their addresses, IPv4 before IPv6, by which the locator-status bits
/// count (RFC 9301 section 6).
pub(crate) fn in_order(mut locators: Vec<Locator>) -> Vec<Locator> {
    locators.sort_by_key(|locator| (locator.path.is_some(), locator.rloc));
    locators
}

/// What the configuration says of an EID.
fn configured(eid: &EidPrefix, config: &Config) -> Option<Terms> {
    let around = config.eids.iter().filter(|own| own.prefix.covers(eid));
    let own = around.max_by_key(|own| own.prefix.length())?;
    let standing = if own.register {
        Standing::Registered
    } else {
        Standing::Elsewhere
    };
    Some(Terms {
        locators: config.default_locators(own),
        standing,
    })
}

impl Own {
    /// The mapping as it crosses the wire.
    pub(crate) fn record(&self, eid: EidPrefix, locators: Vec<Locator>) -> MappingRecord {
        MappingRecord {
            ttl: self.ttl,
            eid,
            action: Action::NoAction,
            authoritative: true,
            map_version: self.version.get(),
            locators: in_order(locators),
        }
    }

    fn becomes_newer(&mut self) {
        if self.version != MapVersion::NONE {
            self.version = self.version.next();
        }
    }

    /// What a client that is reached at one of `rlocs` is told.
    pub(crate) fn told(&self, rlocs: &[Rloc]) -> &[Locator] {
        rlocs
            .iter()
            .find_map(|rloc| self.views.get(rloc))
            .unwrap_or(&self.everyone)
    }

    /// What a client that is reached at one of `rlocs` is told by us: for everybody, the locators of other xTRs too.
    pub(crate) fn answer(&self, rlocs: &[Rloc]) -> Vec<Locator> {
        let mut told = self.told(rlocs).to_vec();
        if !rlocs.iter().any(|rloc| self.views.contains_key(rloc)) {
            let room = usize::from(u8::MAX) - told.len().min(usize::from(u8::MAX));
            let others = self.siblings.iter();
            let others = others.filter(|sibling| !self.everyone.iter().any(|own| own.rloc == sibling.rloc));
            told.extend(others.take(room).copied());
        }
        told
    }

    /// Gives a client a view of its own; false if there are too many.
    #[must_use]
    pub(crate) fn set_view(&mut self, client: Rloc, locators: Vec<Locator>) -> bool {
        let room = self.views.len() < MOST_VIEWS || self.views.contains_key(&client);
        if room {
            self.views.insert(client, locators);
        }
        room
    }

    /// Who asked within the lifetime of what they were told: nobody else can still have it.
    pub(crate) fn requesters(&self, now: Timestamp) -> Vec<Rloc> {
        self.requesters
            .iter()
            .filter(|(_, asker)| !self.lapsed(asker, now))
            .map(|(rloc, _)| *rloc)
            .collect()
    }

    /// Who is to be told when the mapping changes: who asked, and who has a view, even if it never asked here.
    pub(crate) fn clients(&self, now: Timestamp) -> BTreeSet<Rloc> {
        let asked = self.requesters(now).into_iter();
        asked.chain(self.views.keys().copied()).collect()
    }

    /// How long ago a client asked; not at all is now.
    pub(crate) fn asked_ago(&self, client: &Rloc, now: Timestamp) -> Span {
        self.requesters
            .get(client)
            .map_or(Span::ZERO, |asker| now.since(asker.at))
    }

    /// For which of its EIDs a client asked last, if it said.
    pub(crate) fn source_of(&self, client: &Rloc) -> Option<Eid> {
        self.requesters.get(client)?.source
    }

    /// This site becomes the entry (H=1): its own locators first, and no other equal to them.
    pub(crate) fn enter_here(&mut self, config: &Config) {
        for set in self.sets() {
            for locator in set.iter_mut() {
                if config.is_own(locator.rloc) {
                    locator.priority = Priority::FIRST;
                } else {
                    locator.priority = locator.priority.max(SECOND);
                }
            }
            for own in &config.rlocs {
                if !set.iter().any(|locator| locator.rloc == own.rloc) {
                    set.push(config.marked(Locator::unicast(own.rloc, Priority::FIRST, own.weight)));
                }
            }
        }
    }

    /// Whether one of the node's own locators is among those that everybody uses first.
    pub(crate) fn enters_at(&self, config: &Config) -> bool {
        let usable = || self.everyone.iter().filter(|locator| locator.priority.usable());
        let first = usable().map(|locator| locator.priority).min();
        usable().any(|locator| Some(locator.priority) == first && config.is_own(locator.etr()))
    }

    /// Another site is the entry (H=0, C=0): own locators to 255, `entry` to 1, and no other equal to it. Views are
    /// overtaken by it.
    pub(crate) fn enter_elsewhere(&mut self, entry: &[Locator], config: &Config) {
        self.views.clear();
        for locator in &mut self.everyone {
            locator.priority = if config.is_own(locator.rloc) {
                Priority::NEVER
            } else if entry.iter().any(|new| new.rloc == locator.rloc) {
                Priority::FIRST
            } else {
                locator.priority.max(SECOND)
            };
        }
        for new in entry.iter().filter(|new| !config.is_own(new.rloc)) {
            if !self.everyone.iter().any(|locator| locator.rloc == new.rloc) {
                self.everyone.push(config.marked(Locator {
                    priority: Priority::FIRST,
                    ..*new
                }));
            }
        }
    }

    fn sets(&mut self) -> impl Iterator<Item = &mut Vec<Locator>> {
        std::iter::once(&mut self.everyone).chain(self.views.values_mut())
    }

    fn lapsed(&self, asker: &Requester, now: Timestamp) -> bool {
        now.since(asker.at) > Span::secs(u64::from(self.ttl.0) * 60)
    }

    /// Those whose answer has expired, and the oldest where there are too many.
    fn forget_requesters(&mut self, now: Timestamp, known: &dyn Fn(&Rloc) -> bool) {
        let life = Span::secs(u64::from(self.ttl.0) * 60);
        let lapsed = |at: Timestamp| now.since(at) > life;
        while self.by_age.first().is_some_and(|(at, _)| lapsed(*at)) {
            self.forget_first(Row::Unproven);
        }
        while self.proven.first().is_some_and(|(at, _)| lapsed(*at)) {
            self.forget_first(Row::Proven);
        }
        while self.by_age.len() + self.proven.len() > MOST_REQUESTERS {
            match self.by_age.first().copied() {
                // Looked at once: from now on it stands with the proven ones.
                Some(oldest) if self.proven.len() < MOST_REQUESTERS / 2 && known(&oldest.1) => {
                    self.by_age.pop_first();
                    self.proven.insert(oldest);
                }
                Some(_) => self.forget_first(Row::Unproven),
                None => self.forget_first(Row::Proven),
            }
        }
    }

    fn forget_first(&mut self, row: Row) {
        let set = match row {
            Row::Unproven => &mut self.by_age,
            Row::Proven => &mut self.proven,
        };
        if let Some((_, client)) = set.pop_first() {
            self.requesters.remove(&client);
        }
    }
}

/// Among whom a requester stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Unproven,
    Proven,
}

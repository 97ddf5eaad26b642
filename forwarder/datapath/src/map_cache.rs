//! The map cache: which way the packets to each EID go (RFC 9300 section 5.1, "EID-to-RLOC Map-Cache").

use std::sync::Arc;

use lisp_wire::{Eid, EidPrefix};

use crate::eid_map::EidMap;
use crate::{Gate, LocatorTable, Marks, Watch};

/// From EID prefixes to what is done with packets to them; the longest prefix wins.
///
/// Cloning costs O(1) and shares everything; a change copies the way to it. So a writer keeps its own, changes it, and
/// publishes a clone, while readers go on with the one they hold.
#[derive(Clone, Debug, Default)]
pub struct MapCache {
    entries: EidMap<Entry>,
    /// Boxed away: most nodes have none.
    marks: Option<Arc<Marks>>,
    /// Only while somebody is watched.
    watch: Option<Arc<Watch>>,
}

/// One mapping.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which EIDs.
    pub prefix: EidPrefix,
    /// What is done with packets to them.
    pub forwarding: Forwarding,
}

/// What is done with a packet.
#[derive(Clone, Debug)]
pub enum Forwarding {
    /// Send it to one of these locators.
    Encapsulate(LocatorTable),
    /// Send it as it is (a negative mapping, ACT 1).
    Native,
    /// Drop it (a negative mapping, ACT 3 to 5).
    Drop,
    /// The mapping has been asked for; hold the packet.
    Pending,
    /// The EID is at this site: a packet to it must not come to the encapsulator.
    Local,
    /// The EID has left this site: packets that come for it from anywhere go on to one of these locators.
    Redirect(LocatorTable),
    /// The EID is about to run at this site: packets that come for it wait at the gate.
    Arriving(Arc<Gate>),
}

impl MapCache {
    /// A cache without mappings.
    pub fn new() -> Self {
        Self::default()
    }

    /// The entry with the longest prefix that holds `eid`; `None` is a miss.
    pub fn lookup(&self, eid: &Eid) -> Option<&Arc<Entry>> {
        self.entries.lookup(eid)
    }

    /// The entry of exactly this prefix.
    pub fn get(&self, prefix: &EidPrefix) -> Option<&Arc<Entry>> {
        self.entries.get(prefix)
    }

    /// Puts an entry in; the one of the same prefix comes back.
    pub fn insert(&mut self, entry: Entry) -> Option<Arc<Entry>> {
        let prefix = entry.prefix;
        self.entries.insert(&prefix, Arc::new(entry))
    }

    /// Takes the entry of exactly this prefix away.
    pub fn remove(&mut self, prefix: &EidPrefix) -> Option<Arc<Entry>> {
        self.entries.remove(prefix)
    }

    /// What data headers say besides whose packets they are; `None` where nobody is trusted with that.
    pub fn marks(&self) -> Option<&Arc<Marks>> {
        self.marks.as_ref()
    }

    /// Says what data headers say from now on.
    pub fn set_marks(&mut self, marks: Option<Arc<Marks>>) {
        self.marks = marks;
    }

    /// The peers whose packets for EIDs of this site are looked for; `None` for nobody.
    pub fn watch(&self) -> Option<&Arc<Watch>> {
        self.watch.as_ref()
    }

    /// Says whom to look for from now on.
    pub fn set_watch(&mut self, watch: Option<Arc<Watch>>) {
        self.watch = watch;
    }

    /// All entries: by tenant, IPv4 before IPv6, by address, a prefix before what it covers.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.iter()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests;

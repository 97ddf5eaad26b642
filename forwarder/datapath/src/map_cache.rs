//! The map cache: which way the packets to each EID go (RFC 9300 section 5.1, "EID-to-RLOC Map-Cache").

use std::net::IpAddr;
use std::sync::Arc;

use lisp_wire::{Eid, EidPrefix, InstanceId};

use crate::LocatorTable;
use crate::trie::{Key, Trie};

/// From EID prefixes to what is done with packets to them; the longest prefix wins.
///
/// Cloning costs O(1) and shares everything; a change copies the way to it. So a writer keeps its own, changes it, and
/// publishes a clone, while readers go on with the one they hold.
#[derive(Clone, Debug, Default)]
pub struct MapCache {
    /// Instance-ids have 24 bits.
    tenants: Trie<u32, Tenant>,
    len: usize,
}

#[derive(Clone, Debug, Default)]
struct Tenant {
    v4: Trie<u32, Entry>,
    v6: Trie<u128, Entry>,
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
}

impl MapCache {
    /// A cache without mappings.
    pub fn new() -> Self {
        Self::default()
    }

    /// The entry with the longest prefix that holds `eid`; `None` is a miss.
    pub fn lookup(&self, eid: &Eid) -> Option<&Arc<Entry>> {
        let tenant = self.tenants.get(tenant_key(eid.iid))?;
        match eid.address {
            IpAddr::V4(address) => tenant.v4.longest(u32::from(address)),
            IpAddr::V6(address) => tenant.v6.longest(u128::from(address)),
        }
    }

    /// The entry of exactly this prefix.
    pub fn get(&self, prefix: &EidPrefix) -> Option<&Arc<Entry>> {
        let tenant = self.tenants.get(tenant_key(prefix.iid()))?;
        match prefix.address() {
            IpAddr::V4(address) => tenant.v4.get(Key::new(u32::from(address), prefix.length())),
            IpAddr::V6(address) => tenant.v6.get(Key::new(u128::from(address), prefix.length())),
        }
    }

    /// Puts an entry in; the one of the same prefix comes back.
    pub fn insert(&mut self, entry: Entry) -> Option<Arc<Entry>> {
        let prefix = entry.prefix;
        let key = tenant_key(prefix.iid());
        if self.tenants.get(key).is_none() {
            self.tenants.insert(key, Arc::default());
        }
        let tenant = self.tenants.get_mut(key)?;
        let old = tenant.insert(&prefix, Arc::new(entry));
        self.len += usize::from(old.is_none());
        old
    }

    /// Takes the entry of exactly this prefix away.
    pub fn remove(&mut self, prefix: &EidPrefix) -> Option<Arc<Entry>> {
        self.get(prefix)?;
        let key = tenant_key(prefix.iid());
        let tenant = self.tenants.get_mut(key)?;
        let old = tenant.remove(prefix);
        if tenant.v4.is_empty() && tenant.v6.is_empty() {
            self.tenants.remove(key);
        }
        self.len -= usize::from(old.is_some());
        old
    }

    /// All entries: by tenant, IPv4 before IPv6, by address, a prefix before what it covers.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.tenants
            .iter()
            .flat_map(|tenant| tenant.v4.iter().chain(tenant.v6.iter()))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Tenant {
    fn insert(&mut self, prefix: &EidPrefix, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        match prefix.address() {
            IpAddr::V4(address) => self
                .v4
                .insert(Key::new(u32::from(address), prefix.length()), entry),
            IpAddr::V6(address) => self
                .v6
                .insert(Key::new(u128::from(address), prefix.length()), entry),
        }
    }

    fn remove(&mut self, prefix: &EidPrefix) -> Option<Arc<Entry>> {
        match prefix.address() {
            IpAddr::V4(address) => self.v4.remove(Key::new(u32::from(address), prefix.length())),
            IpAddr::V6(address) => self.v6.remove(Key::new(u128::from(address), prefix.length())),
        }
    }
}

/// Instance-ids have 24 bits.
fn tenant_key(iid: InstanceId) -> Key<u32> {
    Key::new(iid.get() << 8, 24)
}

#[cfg(test)]
mod tests;

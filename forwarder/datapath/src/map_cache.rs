//! The map cache: which way the packets to each EID go (RFC 9300 section 5.1, "EID-to-RLOC Map-Cache").

use std::net::IpAddr;
use std::sync::Arc;

use lisp_wire::{Eid, EidPrefix, InstanceId};

use crate::LocatorTable;
use crate::trie::{Key, Trie};

/// From EID prefixes to what is done with packets to them; the longest prefix wins.
///
/// Cloning costs O(1) and shares everything; a change copies the path to it, O(prefix length). So a writer keeps its
/// own, changes it, and publishes a clone, while readers go on with the one they hold.
#[derive(Clone, Debug, Default)]
pub struct MapCache {
    tenants: Trie<Tenant>,
    len: usize,
}

#[derive(Clone, Debug, Default)]
struct Tenant {
    v4: Trie<Entry>,
    v6: Trie<Entry>,
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
            IpAddr::V4(address) => tenant
                .v4
                .longest(Key::new(u128::from(u32::from(address)) << 96, 32)),
            IpAddr::V6(address) => tenant.v6.longest(Key::new(u128::from(address), 128)),
        }
    }

    /// The entry of exactly this prefix.
    pub fn get(&self, prefix: &EidPrefix) -> Option<&Arc<Entry>> {
        let tenant = self.tenants.get(tenant_key(prefix.iid()))?;
        tenant.family(prefix).get(prefix_key(prefix))
    }

    /// Puts an entry in; the one of the same prefix comes back.
    pub fn insert(&mut self, entry: Entry) -> Option<Arc<Entry>> {
        let prefix = entry.prefix;
        let old = self.change(prefix.iid(), |tenant| {
            tenant
                .family_mut(&prefix)
                .insert(prefix_key(&prefix), Arc::new(entry))
        });
        self.len += usize::from(old.is_none());
        old
    }

    /// Takes the entry of exactly this prefix away.
    pub fn remove(&mut self, prefix: &EidPrefix) -> Option<Arc<Entry>> {
        self.get(prefix)?;
        let old = self.change(prefix.iid(), |tenant| {
            tenant.family_mut(prefix).remove(prefix_key(prefix))
        });
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

    fn change<T>(&mut self, iid: InstanceId, change: impl FnOnce(&mut Tenant) -> T) -> T {
        let key = tenant_key(iid);
        let mut tenant = self
            .tenants
            .get(key)
            .map(|tenant| Tenant::clone(tenant))
            .unwrap_or_default();
        let outcome = change(&mut tenant);
        if tenant.v4.is_empty() && tenant.v6.is_empty() {
            self.tenants.remove(key);
        } else {
            self.tenants.insert(key, Arc::new(tenant));
        }
        outcome
    }
}

impl Tenant {
    fn family(&self, prefix: &EidPrefix) -> &Trie<Entry> {
        if prefix.address().is_ipv4() {
            &self.v4
        } else {
            &self.v6
        }
    }

    fn family_mut(&mut self, prefix: &EidPrefix) -> &mut Trie<Entry> {
        if prefix.address().is_ipv4() {
            &mut self.v4
        } else {
            &mut self.v6
        }
    }
}

/// Instance-ids have 24 bits.
fn tenant_key(iid: InstanceId) -> Key {
    Key::new(u128::from(iid.get()) << 104, 24)
}

fn prefix_key(prefix: &EidPrefix) -> Key {
    let bits = match prefix.address() {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    };
    Key::new(bits, prefix.length())
}

#[cfg(test)]
mod tests;

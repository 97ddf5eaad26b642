//! From EID prefixes to values, tenant by tenant; the longest prefix wins.

use std::net::IpAddr;
use std::sync::Arc;

use lisp_wire::{Eid, EidPrefix, InstanceId};

use crate::trie::{Key, Trie};

/// From EID prefixes to values. Cloning costs O(1) and shares everything.
#[derive(Debug)]
pub(crate) struct EidMap<V> {
    /// Instance-ids have 24 bits.
    tenants: Trie<u32, Tenant<V>>,
    len: usize,
}

impl<V> Clone for EidMap<V> {
    fn clone(&self) -> Self {
        Self {
            tenants: self.tenants.clone(),
            len: self.len,
        }
    }
}

impl<V> Default for EidMap<V> {
    fn default() -> Self {
        Self {
            tenants: Trie::default(),
            len: 0,
        }
    }
}

#[derive(Debug)]
struct Tenant<V> {
    v4: Trie<u32, V>,
    v6: Trie<u128, V>,
}

impl<V> Clone for Tenant<V> {
    fn clone(&self) -> Self {
        Self {
            v4: self.v4.clone(),
            v6: self.v6.clone(),
        }
    }
}

impl<V> Default for Tenant<V> {
    fn default() -> Self {
        Self {
            v4: Trie::default(),
            v6: Trie::default(),
        }
    }
}

impl<V> EidMap<V> {
    /// The value at the longest prefix that holds `eid`.
    pub(crate) fn lookup(&self, eid: &Eid) -> Option<&Arc<V>> {
        let tenant = self.tenants.get(tenant_key(eid.iid))?;
        match eid.address {
            IpAddr::V4(address) => tenant.v4.longest(u32::from(address)),
            IpAddr::V6(address) => tenant.v6.longest(u128::from(address)),
        }
    }

    /// The value at exactly this prefix.
    pub(crate) fn get(&self, prefix: &EidPrefix) -> Option<&Arc<V>> {
        let tenant = self.tenants.get(tenant_key(prefix.iid()))?;
        match prefix.address() {
            IpAddr::V4(address) => tenant.v4.get(Key::new(u32::from(address), prefix.length())),
            IpAddr::V6(address) => tenant.v6.get(Key::new(u128::from(address), prefix.length())),
        }
    }

    /// Puts a value at a prefix; the one that stood there comes back.
    pub(crate) fn insert(&mut self, prefix: &EidPrefix, value: Arc<V>) -> Option<Arc<V>> {
        let key = tenant_key(prefix.iid());
        if self.tenants.get(key).is_none() {
            self.tenants.insert(key, Arc::default());
        }
        let tenant = self.tenants.get_mut(key)?;
        let old = tenant.insert(prefix, value);
        self.len += usize::from(old.is_none());
        old
    }

    /// Takes the value at exactly this prefix away.
    pub(crate) fn remove(&mut self, prefix: &EidPrefix) -> Option<Arc<V>> {
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

    /// All values: by tenant, IPv4 before IPv6, by address, a prefix before what it covers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<V>> {
        self.tenants
            .iter()
            .flat_map(|tenant| tenant.v4.iter().chain(tenant.v6.iter()))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl<V> Tenant<V> {
    fn insert(&mut self, prefix: &EidPrefix, value: Arc<V>) -> Option<Arc<V>> {
        match prefix.address() {
            IpAddr::V4(address) => self
                .v4
                .insert(Key::new(u32::from(address), prefix.length()), value),
            IpAddr::V6(address) => self
                .v6
                .insert(Key::new(u128::from(address), prefix.length()), value),
        }
    }

    fn remove(&mut self, prefix: &EidPrefix) -> Option<Arc<V>> {
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

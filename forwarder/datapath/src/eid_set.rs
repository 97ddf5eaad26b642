//! Sets of EIDs, given as prefixes.

use std::sync::Arc;

use lisp_wire::{Eid, EidPrefix, InstanceId};

use crate::eid_map::EidMap;

/// A set of EIDs: those within any of some prefixes. Cloning shares everything.
#[derive(Clone, Debug, Default)]
pub struct EidSet {
    prefixes: EidMap<EidPrefix>,
}

impl EidSet {
    /// Whether `eid` is in the set.
    pub fn holds(&self, eid: &Eid) -> bool {
        self.prefixes.lookup(eid).is_some()
    }

    /// Whether there is none in the set.
    pub fn is_empty(&self) -> bool {
        self.prefixes.len() == 0
    }

    /// The tenants whose EIDs are in the set.
    pub fn tenants(&self) -> impl Iterator<Item = InstanceId> {
        self.prefixes.iter().map(|prefix| prefix.iid())
    }
}

impl FromIterator<EidPrefix> for EidSet {
    fn from_iter<I: IntoIterator<Item = EidPrefix>>(prefixes: I) -> Self {
        let mut set = Self::default();
        for prefix in prefixes {
            set.prefixes.insert(&prefix, Arc::new(prefix));
        }
        set
    }
}

impl PartialEq for EidSet {
    fn eq(&self, other: &Self) -> bool {
        self.prefixes.iter().eq(other.prefixes.iter())
    }
}

impl Eq for EidSet {}

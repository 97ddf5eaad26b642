//! The VMs that a user enters, and where first.

use std::collections::BTreeMap;
use std::slice;

use proto::{SiteName, VmName};
use serde::{Deserialize, Serialize};

/// A few names, in their order. A map of its own for each of a hundred thousand users would take ten times the room.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<VmName, SiteName>", into = "BTreeMap<VmName, SiteName>")]
pub struct Entries(Box<[(VmName, SiteName)]>);

impl Entries {
    /// How many VMs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// VMs in the order of their names, and the data centre first entered for each.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&VmName, &SiteName)> {
        self.0.iter().map(|(vm, site)| (vm, site))
    }

    /// The data centre first entered for a VM.
    pub fn get(&self, vm: &VmName) -> Option<&SiteName> {
        let at = self.0.binary_search_by(|(name, _)| name.cmp(vm)).ok()?;
        Some(&self.0[at].1)
    }

    /// Adds a VM, or enters it elsewhere.
    pub fn insert(&mut self, vm: VmName, site: SiteName) {
        let entries = self.iter().map(|(vm, site)| (vm.clone(), site.clone()));
        *self = entries.chain([(vm, site)]).collect();
    }
}

/// Of a VM that is named twice the last entry counts.
impl FromIterator<(VmName, SiteName)> for Entries {
    fn from_iter<I: IntoIterator<Item = (VmName, SiteName)>>(entries: I) -> Self {
        BTreeMap::from_iter(entries).into()
    }
}

impl<const N: usize> From<[(VmName, SiteName); N]> for Entries {
    fn from(entries: [(VmName, SiteName); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl From<BTreeMap<VmName, SiteName>> for Entries {
    fn from(entries: BTreeMap<VmName, SiteName>) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl From<Entries> for BTreeMap<VmName, SiteName> {
    fn from(entries: Entries) -> Self {
        entries.0.into_iter().collect()
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = &'a (VmName, SiteName);
    type IntoIter = slice::Iter<'a, (VmName, SiteName)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_a_map_to_whoever_writes_or_reads_them() {
        let name = |text: &str| text.parse::<VmName>().unwrap();
        let site = |text: &str| text.parse::<SiteName>().unwrap();
        let mut entries = Entries::from([(name("web"), site("lip6")), (name("db"), site("telco"))]);
        entries.insert(name("mail"), site("telco"));
        entries.insert(name("web"), site("telco"));
        let json = serde_json::to_string(&entries).unwrap();
        assert_eq!(json, r#"{"db":"telco","mail":"telco","web":"telco"}"#);
        assert_eq!(serde_json::from_str::<Entries>(&json).unwrap(), entries);
        assert_eq!(entries.get(&name("db")), Some(&site("telco")));
        assert_eq!(entries.get(&name("x")), None);
        assert_eq!((entries.len(), entries.is_empty()), (3, false));
    }
}

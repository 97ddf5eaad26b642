//! The node has roamed: paths go on from elsewhere, and what it keeps is to be asked for anew.

use lisp_wire::{Eid, EidPrefix, Rloc};

use super::ways::Families;
use super::{Cache, Content, Mapping, Origin};

impl Cache {
    /// The node has other locators now: it may stand elsewhere on paths, and reach other families.
    pub(crate) fn relocate(&mut self, own: Vec<Rloc>) {
        let with_path = |mapping: &Mapping| match &mapping.content {
            Content::Locators(locators) => locators.iter().any(|locator| locator.path.is_some()),
            Content::Pending | Content::Negative(_) | Content::Behind(_) => false,
        };
        let prefixes: Vec<EidPrefix> = self.mappings.keys().copied().collect();
        let moved = |cache: &Self, prefix: &EidPrefix| cache.mappings.get(prefix).is_some_and(with_path);
        for prefix in prefixes
            .iter()
            .filter(|prefix| moved(self, prefix))
            .copied()
            .collect::<Vec<_>>()
        {
            self.release_locators(&prefix, &[]);
        }
        let families = self.ways.relocate(own);
        for prefix in &prefixes {
            if moved(self, prefix) {
                if let Some(mapping) = self.mappings.get(prefix).cloned() {
                    self.insert(*prefix, mapping);
                }
            } else if families == Families::Changed {
                self.write(prefix);
            }
        }
    }

    /// What was asked for to learn the mappings: first those that a Map-Server tells of by itself, then those that have
    /// carried packets, then the rest.
    pub(crate) fn asked(&self) -> Vec<Eid> {
        let learned = |(_, mapping): &(&EidPrefix, &Mapping)| {
            !mapping.origin.is_given() && matches!(mapping.content, Content::Locators(_))
        };
        let mut asked: Vec<(bool, bool, Eid)> = self
            .mappings
            .iter()
            .filter(learned)
            .map(|(prefix, mapping)| {
                let published = mapping.origin == Origin::Publication;
                (!published, self.packets(prefix) == 0, mapping.asked)
            })
            .collect();
        asked.sort_unstable();
        asked.into_iter().map(|(_, _, eid)| eid).collect()
    }
}

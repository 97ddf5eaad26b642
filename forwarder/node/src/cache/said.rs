//! What data headers say of a mapping: which of its locators are down (RFC 9300 section 10), that there is a newer
//! version of it (RFC 9302 section 7.2).

use std::collections::BTreeSet;
use std::sync::Arc;

use datapath::MappingMarks;
use lisp_wire::data_header::MapVersion;
use lisp_wire::{Eid, EidPrefix, Locator, MappingRecord, Rloc};

use super::{Cache, Mapping};
use crate::config::Config;
use crate::database::in_order;

/// Nobody is said to be down.
static NOBODY: BTreeSet<Rloc> = BTreeSet::new();

/// What is heard of a mapping, and what was made of it.
#[derive(Clone, Debug)]
pub(super) struct Said {
    marks: Arc<MappingMarks>,
    /// The locators in the order in which its owner told them: the places of the status bits. Paths have a bit too, but
    /// are followed hop by hop.
    places: Vec<Option<Rloc>>,
    down: BTreeSet<Rloc>,
}

impl Said {
    /// Of a mapping that no record of its owner told whole: its locators stand in the order that a record has.
    pub(super) fn of_locators(locators: &[Locator]) -> Self {
        Self::new(MapVersion::NONE, &in_order(locators.to_vec()))
    }

    fn new(version: MapVersion, locators: &[Locator]) -> Self {
        let place = |locator: &Locator| locator.path.is_none().then_some(locator.rloc);
        Self {
            marks: Arc::new(MappingMarks::new(version)),
            places: locators.iter().map(place).collect(),
            down: BTreeSet::new(),
        }
    }

    pub(super) fn marks(&self) -> Arc<MappingMarks> {
        Arc::clone(&self.marks)
    }

    /// Looks at the bits that came last; the locators that are newly down.
    fn look(&mut self) -> Option<usize> {
        let status = self.marks.status()?;
        let placed = self.places.iter().enumerate();
        let down: BTreeSet<Rloc> = placed
            .filter(|(place, _)| status.says_down(*place))
            .filter_map(|(_, rloc)| *rloc)
            .collect();
        if down == self.down {
            return None;
        }
        let fresh = down.difference(&self.down).count();
        self.down = down;
        Some(fresh)
    }
}

impl Mapping {
    /// The same, as its owner told it.
    pub(crate) fn said_by(self, record: &MappingRecord, config: &Config) -> Self {
        let heeded = config.data_header.any() && !record.locators.is_empty();
        let version = MapVersion::new(record.map_version).unwrap_or_default();
        let said = heeded.then(|| Box::new(Said::new(version, &record.locators)));
        Self { said, ..self }
    }

    /// The locators that its owner says are down.
    pub(super) fn said_down(&self) -> &BTreeSet<Rloc> {
        self.said.as_ref().map_or(&NOBODY, |said| &said.down)
    }
}

/// What came of looking at what data headers said.
#[derive(Debug, Default)]
pub(crate) struct Heeded {
    /// Locators that are newly said to be down.
    pub(crate) down: usize,
    /// What mappings were asked for of which there is a newer version.
    pub(crate) outdated: Vec<Eid>,
}

impl Cache {
    /// Goes by what data headers said since the last call.
    pub(crate) fn heed(&mut self) -> Heeded {
        let mut heeded = Heeded::default();
        let mut touched: Vec<EidPrefix> = Vec::new();
        for (prefix, mapping) in &mut self.mappings {
            let Some(said) = &mut mapping.said else { continue };
            if let Some(fresh) = said.look() {
                heeded.down += fresh;
                touched.push(*prefix);
            }
            if said.marks.take_newer() {
                heeded.outdated.push(mapping.asked);
            }
        }
        for prefix in &touched {
            self.write(prefix);
        }
        heeded
    }
}

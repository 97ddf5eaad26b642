//! Mappings around a block of EIDs, and within it.

use lisp_wire::{Eid, EidPrefix};
use proto::{Span, Timestamp};

use super::{Cache, Content, Mapping, Origin};

impl Cache {
    /// The longest mapping with locators that holds all of `eid`.
    pub(crate) fn covering(&self, eid: &EidPrefix) -> Option<(EidPrefix, &Mapping)> {
        (0..=eid.length()).rev().find_map(|length| {
            let prefix = EidPrefix::new(eid.iid(), eid.address(), length).ok()?;
            let mapping = self.mappings.get(&prefix)?;
            matches!(mapping.content, Content::Locators(_)).then_some((prefix, mapping))
        })
    }

    /// What is kept of `block` and within it, of whatever content.
    pub(crate) fn entries_within(&self, block: EidPrefix) -> impl Iterator<Item = &Mapping> {
        self.mappings
            .range(block..)
            .take_while(move |(prefix, _)| block.contains(&prefix.first()))
            .map(|(_, mapping)| mapping)
    }

    /// Mappings with locators that lie within `block`.
    pub(crate) fn within(&self, block: EidPrefix) -> impl Iterator<Item = (&EidPrefix, &Mapping)> {
        self.mappings
            // Order is by tenant, address, then length: what lies in the block begins with the block itself.
            .range(block..)
            .take_while(move |(prefix, _)| block.contains(&prefix.first()))
            .filter(move |(prefix, mapping)| {
                block.covers(prefix) && matches!(mapping.content, Content::Locators(_))
            })
    }

    /// Forgets that there was nobody within `block`: there is now.
    pub(crate) fn forget_holes(&mut self, block: EidPrefix) {
        let inside = self.mappings.range(block..);
        let holes: Vec<EidPrefix> = inside
            .take_while(|(prefix, _)| block.contains(&prefix.first()))
            .filter(|(prefix, mapping)| {
                let negative = matches!(mapping.content, Content::Negative(_));
                negative && mapping.origin != Origin::Manual && block != **prefix && block.covers(prefix)
            })
            .map(|(prefix, _)| *prefix)
            .collect();
        for hole in &holes {
            self.remove(hole);
        }
    }

    /// How long the first of the longer mappings within `block` has still to live (RFC 9301 section 5.5).
    pub(crate) fn shortest_within(&self, block: EidPrefix, now: Timestamp) -> Option<Span> {
        let told = |mapping: &Mapping| matches!(mapping.origin, Origin::MapReply | Origin::Publication);
        let longer = self
            .within(block)
            .filter(|(prefix, mapping)| **prefix != block && told(mapping));
        longer.map(|(_, mapping)| mapping.expires.since(now)).min()
    }

    /// Forgets mappings of `eid` longer than `answer`, which is what the mapping system has for it now (RFC 9301 section
    /// 5.5): what it has told before, or not told. What peers have told since may be newer.
    pub(crate) fn supersede(&mut self, eid: Eid, answer: EidPrefix) {
        let host = EidPrefix::host(eid);
        let longer = (answer.length() + 1..=host.length())
            .filter_map(|length| EidPrefix::new(eid.iid, eid.address, length).ok());
        let overtaken = |mapping: &Mapping| {
            matches!(
                mapping.origin,
                Origin::MapReply | Origin::Publication | Origin::NoReply
            )
        };
        for prefix in longer {
            if self.mappings.get(&prefix).is_some_and(overtaken) {
                self.remove(&prefix);
            }
        }
    }

    /// Whether a mapping that holds all of `eid` was set by hand: nothing that is heard changes it.
    pub(crate) fn is_pinned(&self, eid: &EidPrefix) -> bool {
        (0..=eid.length()).any(|length| {
            let around = EidPrefix::new(eid.iid(), eid.address(), length).ok();
            let mapping = around.and_then(|around| self.mappings.get(&around));
            mapping.is_some_and(|mapping| mapping.origin == Origin::Manual)
        })
    }

    /// What a Map-Server has published of `block` and within it.
    pub(crate) fn published_within(&self, block: EidPrefix) -> Vec<EidPrefix> {
        let within = self.mappings.range(block..);
        within
            .take_while(|(prefix, _)| block.contains(&prefix.first()))
            .filter(|(prefix, mapping)| block.covers(prefix) && mapping.origin == Origin::Publication)
            .map(|(prefix, _)| *prefix)
            .collect()
    }

    /// Whether there is a mapping within `block`, of whatever content.
    pub(crate) fn holds_within(&self, block: EidPrefix) -> bool {
        self.mappings
            .range(block..)
            .take_while(|(prefix, _)| block.contains(&prefix.first()))
            .any(|(prefix, _)| block.covers(prefix))
    }
}

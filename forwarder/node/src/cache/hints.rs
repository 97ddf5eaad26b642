//! Mappings that were handed over with an EID (origin `prepared`): hints, which give way to whatever else is known.

use lisp_wire::EidPrefix;

use super::{Cache, Content, MOST_MAPPINGS, Mapping, Origin};

impl Cache {
    /// Takes a hint, unless it leads nowhere, something better is known of its EIDs, or another mapping would have to make
    /// room for it. Whether it is new.
    pub(crate) fn hint(&mut self, prefix: EidPrefix, mapping: Mapping) -> bool {
        debug_assert_eq!(mapping.origin, Origin::Prepared);
        let leads_somewhere = matches!(mapping.content, Content::Locators(_));
        if !leads_somewhere || self.knows_better(&prefix) || !self.has_room_for(&prefix) {
            return false;
        }
        let new = !self.hints.contains(&prefix);
        self.insert(prefix, mapping);
        new
    }

    /// Whether anything but a hint covers `eid`, be it that nobody is there. A question that has no answer yet is nothing.
    fn knows_better(&self, eid: &EidPrefix) -> bool {
        (0..=eid.length()).any(|length| {
            let prefix = EidPrefix::new(eid.iid(), eid.address(), length).ok();
            let known = prefix.and_then(|prefix| self.mappings.get(&prefix));
            known.is_some_and(is_better)
        })
    }

    pub(super) fn has_room_for(&self, prefix: &EidPrefix) -> bool {
        self.mappings.len() < MOST_MAPPINGS || self.mappings.contains_key(prefix)
    }

    /// A mapping is about to be taken: hints within it have had their time, or it is one itself.
    pub(super) fn weigh(&mut self, prefix: EidPrefix, mapping: &Mapping) {
        if is_better(mapping) {
            let inside = self.hints.range(prefix..);
            let inside = inside.take_while(|hint| prefix.contains(&hint.first()));
            let outdone: Vec<EidPrefix> = inside.filter(|hint| prefix.covers(hint)).copied().collect();
            for hint in outdone.iter().filter(|hint| **hint != prefix) {
                self.remove(hint);
            }
        }
        if mapping.origin == Origin::Prepared {
            self.hints.insert(prefix);
        } else {
            self.hints.remove(&prefix);
        }
    }
}

fn is_better(mapping: &Mapping) -> bool {
    !mapping.origin.is_for_want_of_better() && mapping.content != Content::Pending
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Life;
    use lisp_wire::{Locator, Priority, Rloc, Weight};
    use proto::{Span, Timestamp};

    fn host(number: u32) -> EidPrefix {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + number);
        EidPrefix::host(lisp_wire::Eid::of(address.into()))
    }

    fn mapping(origin: Origin, prefix: EidPrefix, seconds: u64) -> Mapping {
        let locator = Locator::unicast(Rloc([172, 16, 0, 1].into()), Priority::FIRST, Weight(100));
        let life = Life {
            from: Timestamp(1),
            span: Span::secs(seconds),
        };
        Mapping::new(Content::Locators(vec![locator]), origin, prefix.first(), life)
    }

    #[test]
    fn a_full_cache_has_no_room_for_hints_and_a_flood_of_misses_puts_no_given_mapping_out() {
        let mut cache = Cache::new(std::iter::empty(), std::iter::empty());
        let (site, pinned) = (host(1), host(2));
        cache.insert(site, mapping(Origin::Router, site, 1));
        cache.insert(pinned, mapping(Origin::Manual, pinned, 1));
        for number in 3..=MOST_MAPPINGS as u32 {
            cache.insert(host(number), mapping(Origin::MapReply, host(number), 3600));
        }
        assert!(!cache.hint(host(70_000), mapping(Origin::Prepared, host(70_000), 60)));
        assert_eq!(cache.mappings.len(), MOST_MAPPINGS);
        for number in 80_000..80_010 {
            cache.insert(host(number), mapping(Origin::NoReply, host(number), 5));
        }
        assert_eq!(cache.mappings.len(), MOST_MAPPINGS);
        for given in [site, pinned] {
            assert!(cache.mappings.contains_key(&given));
        }
        assert_eq!(
            cache.next_deadline(),
            Some(Timestamp(750_001)),
            "looked at, as ever"
        );
        cache.tick(Timestamp(1_000_001));
        assert!(!cache.mappings.contains_key(&site), "and it ends in its time");
    }
}

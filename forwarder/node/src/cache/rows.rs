//! The map cache as it is shown.

use datapath::{LocatorTable, Reach};
use lisp_wire::{EidPrefix, Rloc};
use proto::Timestamp;
use proto::node::{CacheLocator, CacheRow};

use super::{Cache, Content, Mapping, Origin, is_native};
use crate::tables::{Rows, Window};

impl Cache {
    /// Rows for `Show::MapCache`.
    pub(crate) fn rows(&self, window: &Window, now: Timestamp) -> Rows<CacheRow> {
        let following = window.of(&self.mappings).filter(|(eid, _)| !window.told(eid));
        window.cut(following.map(|(eid, mapping)| (Some(eid), "", self.row(&eid, mapping, now))))
    }

    /// How many mappings packets may go by to a locator.
    pub(crate) fn mappings_at(&self, rloc: Rloc) -> usize {
        self.eids.get(&rloc).map_or(0, std::collections::BTreeSet::len)
    }

    fn row(&self, prefix: &EidPrefix, mapping: &Mapping, now: Timestamp) -> CacheRow {
        let locators = self
            .locator_table(prefix)
            .map(LocatorTable::locators)
            .unwrap_or_default();
        CacheRow {
            eid: *prefix,
            forwarding: match &mapping.content {
                Content::Pending => "pending",
                Content::Locators(_) | Content::Behind(_) => "encapsulate",
                Content::Negative(action) if is_native(*action) => "native",
                Content::Negative(_) => "drop",
            }
            .to_owned(),
            locators: locators
                .iter()
                .map(|entry| CacheLocator {
                    locator: entry.locator,
                    up: entry.reach == Reach::Up,
                    packets: entry.counters.packets(),
                    bytes: entry.counters.bytes(),
                })
                .collect(),
            expires_in: mapping.expires.since(now),
            origin: match mapping.origin {
                Origin::MapReply => "map-reply",
                Origin::ChangePriority => "change-priority",
                Origin::Prepared => "prepared",
                Origin::Publication => "publication",
                Origin::Manual => "manual",
                Origin::Router => "nat",
                Origin::NoReply => "no-reply",
            }
            .to_owned(),
            told_at: mapping.told,
            in_force_at: None,
        }
    }
}

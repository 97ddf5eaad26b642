//! Which addresses a session has given away.

use std::collections::BTreeMap;

use lisp_wire::{EidPrefix, Rloc};

use super::doubts::Doubts;
use crate::session::locate::{Step, dotted};

/// Every locator and every EID prefix so far, and the field it stands in.
#[derive(Default)]
pub(super) struct Addresses {
    rlocs: BTreeMap<Rloc, String>,
    eids: Vec<(EidPrefix, String)>,
}

impl Addresses {
    /// Takes a locator; one that is taken is a finding.
    pub(super) fn rloc(&mut self, rloc: Rloc, path: &[Step], doubts: &mut Doubts<'_>) {
        if let Some(holder) = self.rlocs.get(&rloc) {
            doubts.value(
                path,
                format!("{rloc} is the locator of {holder} already; every site needs its own"),
            );
        } else {
            self.rlocs.insert(rloc, dotted(path));
        }
    }

    /// Takes an EID prefix; one that overlaps another is a finding.
    pub(super) fn eid(&mut self, eid: EidPrefix, path: &[Step], doubts: &mut Doubts<'_>) {
        if let Some((other, holder)) = self
            .eids
            .iter()
            .find(|(other, _)| other.covers(&eid) || eid.covers(other))
        {
            doubts.value(
                path,
                format!("{eid} overlaps {other} of {holder}; every EID belongs to one"),
            );
        } else {
            self.eids.push((eid, dotted(path)));
        }
    }
}

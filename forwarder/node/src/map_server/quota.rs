//! How much each site has registered: one site must not take the room of others.

use std::collections::BTreeMap;
use std::mem::size_of;

use lisp_wire::{EidPrefix, Locator};

use super::Registration;
use crate::config::Quota;
use crate::state::Registrant;

/// What the maps and the timer of a registration take besides it, about.
const AROUND: usize = 256;

/// Registrations of one site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    registrations: usize,
    bytes: usize,
}

/// Registrations by site.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    sites: BTreeMap<EidPrefix, Held>,
}

impl Holdings {
    /// Takes `new` in, in place of `before`, if the site may have that much. More than it has already is refused; less
    /// never is.
    pub(super) fn replace(
        &mut self,
        site: EidPrefix,
        before: Option<&Registration>,
        new: &Registration,
        quota: Quota,
    ) -> bool {
        let held = self.sites.get(&site).copied().unwrap_or_default();
        let after = Held {
            registrations: held.registrations + usize::from(before.is_none()),
            bytes: held.bytes.saturating_sub(before.map_or(0, weight)) + weight(new),
        };
        let fits = after.registrations <= quota.registrations && after.bytes <= quota.bytes;
        let grows = after.registrations > held.registrations || after.bytes > held.bytes;
        if fits || !grows {
            self.sites.insert(site, after);
        }
        fits || !grows
    }

    /// A registration is no more.
    pub(super) fn forget(&mut self, by: &Registrant, registration: &Registration) {
        let Some(held) = self.sites.get_mut(&by.site) else {
            return;
        };
        held.registrations = held.registrations.saturating_sub(1);
        held.bytes = held.bytes.saturating_sub(weight(registration));
        if held.registrations == 0 {
            self.sites.remove(&by.site);
        }
    }
}

/// Bytes that a registration takes.
fn weight(registration: &Registration) -> usize {
    let locators = registration.record.locators.len();
    size_of::<Registration>() + AROUND + locators * size_of::<Locator>()
}

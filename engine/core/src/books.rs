//! What is kept beside the decisions and never asked by them: accounts of availability, and users' scores.

use proto::Timestamp;
use serde::{Deserialize, Serialize};

use crate::availability::Accounts;
use crate::fabric::{Dc, Fabric};
use crate::qoe::Qoe;

/// Both, opened at an engine's first input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Books {
    pub(crate) accounts: Accounts,
    pub(crate) qoe: Qoe,
}

impl Books {
    /// Empty; `entries` are those of all pairs.
    pub(crate) fn new(fabric: &Fabric, entries: Vec<Dc>, now: Timestamp) -> Self {
        Self {
            accounts: Accounts::new(fabric, entries, now),
            qoe: Qoe::new(fabric, now),
        }
    }

    /// Whether they are of this fabric.
    pub(crate) fn fits(&self, fabric: &Fabric) -> bool {
        self.accounts.fits(fabric) && self.qoe.fits(fabric)
    }
}

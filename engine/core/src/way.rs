//! When a level of a whole way counts as broken: from a user over the data centre entered to the one where the VM lives.
//!
//! The rule is that of a link (see `monitor`), on both legs together: the user's leg is held against what the other
//! leg leaves of the bounds. The first probe with which the way leaves a bound opens a slot; S' later the statistics
//! decide; latest samples that are within the bounds again close it. What is over of the other leg weighs nothing.

use proto::Timestamp;
use serde::{Deserialize, Serialize};

/// A way that left its bounds; one that has not is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// Its slot runs.
    Open { since: Timestamp },
    /// It was out for a whole slot.
    Broken { since: Timestamp },
}

impl Way {
    /// The first probe with which it was out.
    pub(crate) const fn since(self) -> Timestamp {
        match self {
            Self::Open { since } | Self::Broken { since } => since,
        }
    }
}

/// What lies behind the data centre entered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Onward {
    /// So many milliseconds more.
    Adds(f64),
    /// A dead leg.
    Nothing,
    /// A leg that nobody hears of.
    Unknown,
}

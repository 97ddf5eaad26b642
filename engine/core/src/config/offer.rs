//! What data centres offer and what VMs take.

use std::collections::BTreeMap;

use proto::SiteName;
use serde::{Deserialize, Serialize};

use super::Statistic;

/// What a data centre has to give, and at what cost. What is not said is not limited and costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offer {
    /// What it can take.
    pub capacity: Capacity,
    /// Price of hosting or serving one user, in whatever unit the bound of the class has.
    pub price: f64,
    /// IS-IS cost from its border router to the VMs at another data centre, until an agent tells better.
    pub isis_cost: BTreeMap<SiteName, u32>,
}

/// What a data centre can take in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capacity {
    /// Memory for VMs, MB.
    pub ram_mb: Option<u64>,
    /// Processors for VMs, in cores.
    pub cpu: Option<f64>,
    /// Users that may enter.
    pub users: Option<u64>,
}

/// What a VM takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Demand {
    /// Memory, MB.
    pub ram_mb: u64,
    /// Processors, in cores.
    pub cpu: f64,
}

/// How the scores of a VM's users make up the score of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shared {
    /// Their sum: each user counts alike.
    #[default]
    Sum,
    /// That of the user who is worst off.
    Worst,
    /// A quantile, 0 to 1, nearest rank.
    Quantile(f64),
}

impl Shared {
    /// As the session writes it: `sum`, `worst`, or a quantile such as `p95`; `None` if a statistic is meant that
    /// does not apply to users.
    pub fn from_statistic(statistic: Statistic) -> Option<Self> {
        match statistic {
            Statistic::Worst => Some(Self::Worst),
            Statistic::Quantile(q) => Some(Self::Quantile(q)),
            Statistic::Mean | Statistic::Trimmed(_) => None,
        }
    }
}

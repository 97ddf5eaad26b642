//! The parts of `policy:` that keep moves few, small and wanted, as they are written.

use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::session) struct RawBackoff {
    pub(in crate::session) factor: u32,
    pub(in crate::session) max: String,
}

impl Default for RawBackoff {
    fn default() -> Self {
        Self {
            factor: 2,
            max: "8h".into(),
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::session) struct RawDamp {
    pub(in crate::session) half_life: String,
    pub(in crate::session) penalty: u32,
    pub(in crate::session) suppress: u32,
    pub(in crate::session) reuse: u32,
    pub(in crate::session) max: String,
}

impl Default for RawDamp {
    fn default() -> Self {
        Self {
            half_life: "5m".into(),
            penalty: 1000,
            suppress: 3000,
            reuse: 750,
            max: "1h".into(),
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::session) struct RawAutonomy {
    pub(in crate::session) rise: Vec<String>,
    pub(in crate::session) min_actions: u32,
    pub(in crate::session) min_agreement: f64,
    pub(in crate::session) max_regret: f64,
    pub(in crate::session) judge_after: String,
    pub(in crate::session) half_life: String,
    pub(in crate::session) back_off: String,
    pub(in crate::session) back_off_max: String,
}

impl Default for RawAutonomy {
    fn default() -> Self {
        Self {
            rise: Vec::new(),
            min_actions: 20,
            min_agreement: 0.8,
            max_regret: 0.2,
            judge_after: "60s".into(),
            half_life: "336h".into(),
            back_off: "1h".into(),
            back_off_max: "24h".into(),
        }
    }
}

/// What is not given has its default in `policy.budget`, and no limit in `policy.budgets`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::session) struct RawBudget {
    /// Only in `policy.budgets`.
    pub(in crate::session) who: Option<RawSelector>,
    pub(in crate::session) concurrent: Option<u32>,
    pub(in crate::session) per_hour: Option<u32>,
    pub(in crate::session) per_dc: Option<u32>,
    pub(in crate::session) users_per_hour: Option<u64>,
    pub(in crate::session) users_seconds: Option<u64>,
    pub(in crate::session) domains: Option<u32>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::session) struct RawSelector {
    pub(in crate::session) users: Option<Vec<String>>,
    pub(in crate::session) vms: Option<Vec<String>>,
    pub(in crate::session) sites: Option<Vec<String>>,
    pub(in crate::session) tenants: Option<Vec<String>>,
    pub(in crate::session) tags: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::session) struct RawModeAt {
    pub(in crate::session) mode: proto::Mode,
    pub(in crate::session) dc: Option<String>,
    pub(in crate::session) tenant: Option<String>,
    pub(in crate::session) vm: Option<String>,
    pub(in crate::session) user: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::session) struct RawRule {
    pub(in crate::session) pin: Option<Vec<String>>,
    pub(in crate::session) exclude: Option<Vec<String>>,
    pub(in crate::session) who: Option<RawSelector>,
    pub(in crate::session) affinity: Option<RawSelector>,
    pub(in crate::session) anti_affinity: Option<RawSelector>,
    pub(in crate::session) capacity: Option<u64>,
    pub(in crate::session) at: Option<Vec<String>>,
    pub(in crate::session) drain: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::session) struct RawWindow {
    pub(in crate::session) deny: Option<RawWhen>,
    pub(in crate::session) allow: Option<RawWhen>,
    pub(in crate::session) who: Option<RawSelector>,
    #[serde(default = "utc")]
    pub(in crate::session) zone: String,
    #[serde(default)]
    pub(in crate::session) on_failure: pacao_core::config::OnFailure,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::session) struct RawWhen {
    pub(in crate::session) days: Option<Vec<String>>,
    pub(in crate::session) from: String,
    pub(in crate::session) to: String,
}

fn utc() -> String {
    "UTC".into()
}

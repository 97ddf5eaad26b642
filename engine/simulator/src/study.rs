//! The figures of section 5.4: what is run for each, what is found beside the thesis, what must hold.

mod crowd;
mod figures;
mod finding;
mod sweep;

use serde_json::Value;
use thiserror::Error;

use crate::areas::{Area, Areas, AreasError};
use crate::day::Control;
use crate::fabric::{Fabric, MOST_DCS, draw};
use crate::region::Region;
use crate::slots::Slots;
use crate::tally::Tally;
use crate::trace::{Keep, Trace};
use crate::walk::{Best, Manner, Rules, Scheme, Start, Watched};
use pacao_core::config::Policy;
use pacao_core::optimizer::group::ProblemError;

pub use crowd::{congestion, unevenness};
pub use figures::{round_trips, throughput};
pub use finding::Finding;
pub use sweep::{days, sweep};

/// Data centres the thesis tries.
pub const DCS: [usize; 6] = [2, 4, 8, 16, 32, 64];

/// The two use-cases of section 5.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Data centres over France: a national ISP.
    FranceIsp,
    /// Data centres over Europe, the same users: an over-the-top provider.
    EuropeOtt,
}

impl Case {
    /// As files and titles call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::FranceIsp => "France/ISP",
            Self::EuropeOtt => "Europe/OTT",
        }
    }

    /// Where its data centres stand.
    pub fn region(self) -> Region {
        match self {
            Self::FranceIsp => Region::France,
            Self::EuropeOtt => Region::Europe,
        }
    }

    /// Strict, median and loose bound of the thesis, milliseconds.
    pub fn thesis_bounds(self) -> [f64; 3] {
        match self {
            Self::FranceIsp => [58.0, 66.0, 70.0],
            Self::EuropeOtt => [54.0, 62.0, 72.0],
        }
    }

    /// The number of data centres the thesis finds best.
    pub fn thesis_dcs(self) -> usize {
        match self {
            Self::FranceIsp => 64,
            Self::EuropeOtt => 4,
        }
    }

    /// The gain in median throughput the thesis finds, percent.
    pub fn thesis_gain(self) -> f64 {
        match self {
            Self::FranceIsp => 40.0,
            Self::EuropeOtt => 30.0,
        }
    }
}

/// A bound on the RTT: deciles of Figure 5.13 (b), or a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// First decile.
    Strict,
    /// Fifth.
    Median,
    /// Ninth.
    Loose,
    /// Milliseconds.
    Ms(f64),
}

/// The deciles that are bounds, by name.
pub const BOUNDS: [(Bound, &str); 3] = [
    (Bound::Strict, "strict"),
    (Bound::Median, "median"),
    (Bound::Loose, "loose"),
];

/// What could not be simulated.
#[derive(Clone, Debug, Error)]
pub enum StudyError {
    /// Nobody to simulate.
    #[error("no trajectory is left: give more users, or a lower --k or --min-areas")]
    Nobody,
    /// Areas.
    #[error("areas: {0}")]
    Areas(#[from] AreasError),
    /// The program (5.4)-(5.9).
    #[error("congestion: {0}")]
    Problem(#[from] ProblemError),
    /// More than can be drawn.
    #[error(
        "{wanted} data centres, but there is place for {room}: at most one an area and {MOST_DCS} in all"
    )]
    Dcs {
        /// As given.
        wanted: usize,
        /// Areas, or the most.
        room: usize,
    },
    /// Numbers of data centres are compared, and there is only one.
    #[error("this figure compares numbers of data centres from 2 up, at most one an area: give more areas")]
    OneDc,
    /// Somebody asked to stop.
    #[error("stopped")]
    Stopped,
}

/// Who moves, where data centres may stand, and how everybody is decided for.
#[derive(Clone, Debug)]
pub struct Scene {
    /// ISP or OTT.
    pub case: Case,
    /// Of the users.
    pub areas: Areas,
    /// Everybody's day.
    pub traces: Vec<Trace>,
    /// What was asked of them.
    pub keep: Keep,
    /// Gates of the policy.
    pub policy: Policy,
    /// The morning.
    pub start: Start,
    /// By what entries are left and chosen.
    pub watched: Watched,
    /// Of everything drawn.
    pub seed: u64,
    dcs: Vec<Area>,
    rtts: Tally,
}

impl Scene {
    /// Draws the data centres: of a country over the areas of its users, over Europe over areas of their own.
    pub fn new(
        case: Case,
        (areas, traces): (Areas, Vec<Trace>),
        keep: Keep,
        seed: u64,
    ) -> Result<Self, StudyError> {
        if traces.is_empty() {
            return Err(StudyError::Nobody);
        }
        let dcs = match case {
            Case::FranceIsp => draw(&areas, MOST_DCS, seed),
            Case::EuropeOtt => {
                let region = case.region();
                draw(&Areas::drawn(region, region.areas(), seed)?, MOST_DCS, seed)
            }
        };
        let rtts = Fabric::new(&areas, dcs.clone()).user_rtts(&traces);
        Ok(Self {
            case,
            areas,
            traces,
            keep,
            policy: crate::walk::ANY_GAIN,
            start: Start::Together,
            watched: Watched::Leg,
            seed,
            dcs,
            rtts,
        })
    }

    /// The first so many data centres.
    pub fn fabric(&self, dcs: usize) -> Result<Fabric, StudyError> {
        match self.dcs.get(..dcs) {
            Some(first) if dcs > 0 => Ok(Fabric::new(&self.areas, first.to_vec())),
            _ => Err(StudyError::Dcs {
                wanted: dcs,
                room: self.dcs.len(),
            }),
        }
    }

    /// All data centres that can be had.
    pub fn dcs(&self) -> &[Area] {
        &self.dcs
    }

    /// A bound in milliseconds: deciles are those of the users' round trips to all data centres.
    pub fn bound_ms(&self, bound: Bound) -> f64 {
        match bound {
            Bound::Strict => self.rtts.quantile(0.1),
            Bound::Median => self.rtts.quantile(0.5),
            Bound::Loose => self.rtts.quantile(0.9),
            Bound::Ms(ms) => ms,
        }
    }

    /// The mean time users stay in an area, seconds.
    pub fn mean_stay_s(&self) -> f64 {
        let stays = || self.traces.iter().flat_map(Trace::stays);
        let total: u64 = stays().map(|stay| stay.length().0 / 1_000_000).sum();
        total as f64 / stays().count().max(1) as f64
    }

    /// Data centre counts of the thesis for which there is place; none where there is only one area.
    pub fn counts(&self) -> Vec<usize> {
        DCS.into_iter().filter(|&count| count <= self.dcs.len()).collect()
    }

    /// The same, at least one.
    fn compared(&self) -> Result<Vec<usize>, StudyError> {
        Some(self.counts())
            .filter(|counts| !counts.is_empty())
            .ok_or(StudyError::OneDc)
    }

    fn rules(&self, bound_ms: f64) -> Rules {
        Rules::new(bound_ms, self.policy)
    }

    fn best(&self, fabric: &Fabric, rules: &Rules) -> Best {
        Best::new((fabric, self.areas.all().len()), rules, self.watched)
    }

    fn manner(&self, scheme: Scheme, slots: Slots) -> Manner {
        Manner {
            scheme,
            slots,
            start: self.start,
            seed: self.seed,
        }
    }
}

/// What comes out for one figure.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    /// As the thesis numbers it.
    pub number: &'static str,
    /// Field names of `rows`.
    pub columns: Vec<&'static str>,
    /// The data.
    pub rows: Vec<Vec<Value>>,
    /// The drawing.
    pub svg: String,
    /// Beside the thesis.
    pub findings: Vec<Finding>,
    /// What must hold of any simulation of ours.
    pub checks: Vec<Check>,
}

impl Figure {
    /// As comma-separated values; numbers to six digits behind the point.
    pub fn csv(&self) -> String {
        crate::csv::write(&self.columns, self.rows.iter().map(|row| row.iter().map(word)))
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A value with a bound of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// The bound, if it is judged.
    pub limit: Limit,
}

/// What is asked of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// At most so much.
    AtMost(f64),
    /// At least so much.
    AtLeast(f64),
    /// Told only.
    None,
}

impl Check {
    fn new(name: impl Into<String>, (value, unit): (f64, &'static str), limit: Limit) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            limit,
        }
    }
}

/// What is true of the trajectories whatever is done with them.
pub fn trace_checks(scene: &Scene) -> Vec<Check> {
    let mut shared = std::collections::HashMap::new();
    for trace in &scene.traces {
        *shared
            .entry(trace.path().collect::<Vec<u32>>())
            .or_insert(0_usize) += 1;
    }
    let least = shared.values().copied().min().unwrap_or(0);
    let areas = scene.traces.iter().map(Trace::areas).min().unwrap_or(0);
    let fewest = |count: usize| Limit::AtLeast(count as f64);
    vec![
        Check::new("trajectories", (scene.traces.len() as f64, ""), Limit::None),
        Check::new(
            "users of the rarest trajectory",
            (least as f64, ""),
            fewest(scene.keep.shared_by),
        ),
        Check::new(
            "areas of the shortest trajectory",
            (areas as f64, ""),
            fewest(scene.keep.areas),
        ),
        Check::new(
            "mean stay in an area",
            (scene.mean_stay_s() / 60.0, "min"),
            Limit::None,
        ),
        Check::new(
            "median distance of areas",
            (scene.areas.median_spacing_km(), "km"),
            Limit::None,
        ),
    ]
}

/// Numbers of a table, rounded to what is meant.
fn number(value: f64) -> Value {
    let rounded = (value * 1e6).round() / 1e6;
    serde_json::Number::from_f64(rounded).map_or(Value::Null, Value::Number)
}

fn stopped_or<T>(control: &Control<'_>, value: T) -> Result<T, StudyError> {
    if control.is_stopped() {
        Err(StudyError::Stopped)
    } else {
        Ok(value)
    }
}

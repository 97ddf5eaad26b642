//! Figures 5.14 and 5.15: the median round trip as a function of S' and S'', for each bound and number of data centres.

use serde_json::Value;

use super::finding::Agrees;
use super::{BOUNDS, Case, Check, Figure, Finding, Limit, Scene, StudyError, number, stopped_or};
use crate::day::{self, Control};
use crate::plot::{Chart, Kind, Panel, Series};
use crate::slots::Slots;
use crate::walk::{Scheme, Walk};

/// Shares of the stay for S', and of S' for S''.
const SHARES: [f64; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];

/// Places in [`BOUNDS`].
const STRICT: usize = 0;
const MEDIAN: usize = 1;
const LOOSE: usize = 2;

/// Medians of one bound and number of data centres, by S' and S''.
struct Surface {
    bound: usize,
    dcs: usize,
    legacy: f64,
    /// A row an S', a column an S''.
    medians: [[f64; 5]; 5],
}

impl Surface {
    fn all(&self) -> impl Iterator<Item = f64> + '_ {
        self.medians.iter().flatten().copied()
    }

    fn least(&self) -> f64 {
        self.all().fold(f64::INFINITY, f64::min)
    }

    /// How far apart the medians are, as a share of the least.
    fn spread(&self) -> f64 {
        self.all().fold(0.0, f64::max) / self.least() - 1.0
    }

    /// With the shortest slots.
    fn quickest(&self) -> f64 {
        self.medians[0][0]
    }
}

/// How many days each user lives in [`sweep`], for whoever shows progress.
pub fn days(scene: &Scene) -> u64 {
    (scene.counts().len() * BOUNDS.len() * (SHARES.len() * SHARES.len() + 1)) as u64
}

/// Runs the sweep.
pub fn sweep(scene: &Scene, control: &Control<'_>) -> Result<Figure, StudyError> {
    let mut surfaces = Vec::new();
    for dcs in scene.compared()? {
        let fabric = scene.fabric(dcs)?;
        for (bound, (name, _)) in BOUNDS.iter().enumerate() {
            let rules = scene.rules(scene.bound_ms(*name));
            let best = scene.best(&fabric, &rules);
            let median = |scheme, slots| {
                let walk = Walk::new(&fabric, &rules, &best, scene.manner(scheme, slots));
                let day = day::live(&walk, &scene.traces, control);
                stopped_or(control, day.rtt.median())
            };
            let mut surface = Surface {
                bound,
                dcs,
                legacy: median(Scheme::Legacy, Slots::THESIS)?,
                medians: [[0.0; 5]; 5],
            };
            for (row, &decide) in surface.medians.iter_mut().zip(&SHARES) {
                for (cell, &settle) in row.iter_mut().zip(&SHARES) {
                    *cell = median(Scheme::Pacao2, Slots::Shares { decide, settle })?;
                }
            }
            surfaces.push(surface);
        }
    }
    Ok(Figure {
        number: match scene.case {
            Case::FranceIsp => "5.14",
            Case::EuropeOtt => "5.15",
        },
        columns: vec![
            "bound",
            "bound_ms",
            "dcs",
            "s1_share",
            "s2_share",
            "median_rtt_ms",
            "legacy_median_rtt_ms",
        ],
        rows: rows(scene, &surfaces),
        svg: chart(scene, &surfaces).svg(),
        findings: findings(scene, &surfaces),
        checks: checks(&surfaces),
    })
}

fn rows(scene: &Scene, surfaces: &[Surface]) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for surface in surfaces {
        let (bound, name) = BOUNDS[surface.bound];
        for (row, decide) in surface.medians.iter().zip(SHARES) {
            for (&median, settle) in row.iter().zip(SHARES) {
                rows.push(vec![
                    Value::from(name),
                    number(scene.bound_ms(bound)),
                    Value::from(surface.dcs),
                    number(decide),
                    number(settle),
                    number(median),
                    number(surface.legacy),
                ]);
            }
        }
    }
    rows
}

fn chart(scene: &Scene, surfaces: &[Surface]) -> Chart {
    let panels = BOUNDS.iter().enumerate().map(|(bound, &(which, name))| {
        let ms = scene.bound_ms(which);
        let mine = surfaces.iter().filter(|surface| surface.bound == bound);
        let series = mine.map(|surface| Series {
            name: format!("{} DCs", surface.dcs),
            points: SHARES
                .iter()
                .zip(&surface.medians)
                .map(|(share, row)| (share * 100.0, row[0]))
                .collect(),
            band: surface
                .medians
                .iter()
                .map(|row| (row[0].min(row[4]), row[0].max(row[4])))
                .collect(),
        });
        Panel {
            title: format!("{name} bound, {ms:.1} ms"),
            series: series.collect(),
            mark: None,
        }
    });
    Chart {
        title: format!(
            "{}: median round trip by S' (lines: S'' = 10 % of S'; bands: up to 90 %)",
            scene.case.name()
        ),
        across: "S' [% of the stay]".to_owned(),
        up: "median RTT [ms]".to_owned(),
        kind: Kind::Lines,
        panels: panels.collect(),
        from_zero: false,
        window: Some((10.0, 90.0)),
    }
}

fn findings(scene: &Scene, surfaces: &[Surface]) -> Vec<Finding> {
    let strict: Vec<&Surface> = of(surfaces, STRICT).collect();
    let loose = of(surfaces, LOOSE).map(Surface::spread).fold(0.0, f64::max);
    let mut found = vec![Finding::new(
        "loose bound: median RTT changes with S', S'' by at most",
        (loose * 100.0, "%"),
        "not at all",
        Agrees::AtMost(1.0),
    )];
    found.extend(strict_below_median(scene.case, surfaces));
    found.push(spread(&strict));
    found.extend(best_number(scene.case, &strict));
    found
}

/// All of one bound.
fn of(surfaces: &[Surface], bound: usize) -> impl Iterator<Item = &Surface> {
    surfaces.iter().filter(move |surface| surface.bound == bound)
}

fn strict_below_median(case: Case, surfaces: &[Surface]) -> Option<Finding> {
    let gain = of(surfaces, STRICT)
        .zip(of(surfaces, MEDIAN))
        .filter(|(strict, _)| strict.dcs >= 16)
        .map(|(strict, median)| (1.0 - strict.quickest() / median.quickest()) * 100.0)
        .reduce(f64::max)?;
    let (thesis, agrees) = match case {
        Case::FranceIsp => ("5 to 10", Agrees::Between(5.0, 10.0)),
        Case::EuropeOtt => ("less than in France", Agrees::AtMost(5.0)),
    };
    let name = "strict below median bound, 16 DCs and more, up to";
    Some(Finding::new(name, (gain, "%"), thesis, agrees))
}

fn spread(strict: &[&Surface]) -> Finding {
    let spread = strict.iter().map(|surface| surface.spread()).fold(0.0, f64::max);
    let is_best = |surface: &&Surface| surface.quickest() <= surface.least() + 1e-9;
    Finding::new(
        "strict bound: median RTT changes with S', S'' by up to",
        (spread * 100.0, "%"),
        "much, the shortest slots are best",
        Agrees::AtLeast(5.0),
    )
    .and(strict.iter().all(is_best), "the shortest slots best")
}

fn best_number(case: Case, strict: &[&Surface]) -> Vec<Finding> {
    let Some(best) = strict.iter().min_by(|a, b| a.least().total_cmp(&b.least())) else {
        return Vec::new();
    };
    let wanted = case.thesis_dcs();
    let mut found = vec![Finding::new(
        "best number of DCs, strict bound",
        (best.dcs as f64, "DCs"),
        wanted.to_string(),
        Agrees::Exactly(wanted as f64),
    )];
    if case == Case::FranceIsp {
        let below = (1.0 - best.least() / best.legacy) * 100.0;
        found.push(Finding::new(
            "median RTT below legacy, best",
            (below, "%"),
            "30",
            Agrees::Near(30.0),
        ));
    }
    found
}

fn checks(surfaces: &[Surface]) -> Vec<Check> {
    // Slower slots may win a little where the plateau of a bound makes an early choice a poor one.
    let slower_wins = surfaces
        .iter()
        .map(|surface| surface.quickest() / surface.least() - 1.0)
        .fold(0.0, f64::max);
    let quick = surfaces
        .iter()
        .map(|surface| surface.quickest() / surface.legacy - 1.0);
    let quick = quick.fold(f64::NEG_INFINITY, f64::max);
    let any = surfaces
        .iter()
        .map(|surface| surface.all().fold(0.0, f64::max) / surface.legacy - 1.0)
        .fold(f64::NEG_INFINITY, f64::max);
    let percent = |share: f64| (share * 100.0, "%");
    vec![
        Check::new(
            "median above legacy's, shortest slots, most",
            percent(quick),
            Limit::AtMost(0.1),
        ),
        // Between S' and S'' users enter near themselves and far from their VM: a detour that lasts if S'' does.
        Check::new(
            "median above legacy's, any slots, most",
            percent(any),
            Limit::None,
        ),
        Check::new(
            "longer slots better than the shortest by",
            percent(slower_wins),
            Limit::AtMost(1.0),
        ),
    ]
}

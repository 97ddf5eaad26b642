//! Figures 5.13 (round trips) and 5.16 (throughput).

use serde_json::Value;

use super::finding::Agrees;
use super::{BOUNDS, Bound, Case, Check, Figure, Finding, Limit, Scene, StudyError, number, stopped_or};
use crate::day::{self, Control, Day};
use crate::fabric::MOST_DCS;
use crate::plot::{Chart, Kind, Panel, Series};
use crate::slots::Slots;
use crate::tally::{Tally, throughput_mbps};
use crate::walk::{Scheme, Walk};

/// Figure 5.13: round trips between nodes, and the bounds that are their deciles.
pub fn round_trips(scene: &Scene) -> Result<Figure, StudyError> {
    let fabric = scene.fabric(scene.dcs().len().min(MOST_DCS))?;
    let (dcs, users) = (fabric.dc_rtts(), fabric.user_rtts(&scene.traces));
    let mut rows = Vec::new();
    for (between, tally) in [("dc-dc", &dcs), ("user-dc", &users)] {
        for (share, ms) in tally.cdf() {
            rows.push(vec![Value::from(between), number(share), number(ms)]);
        }
    }
    let chart = Chart {
        title: format!(
            "{}: round trips between {} DCs and to users",
            scene.case.name(),
            fabric.dcs().len()
        ),
        across: "RTT [ms]".to_owned(),
        up: "share of pairs".to_owned(),
        kind: Kind::Lines,
        panels: vec![Panel {
            title: "cumulative distribution".to_owned(),
            series: vec![
                Series::new("between DCs", swapped(&dcs)),
                Series::new("user to DC", swapped(&users)),
            ],
            mark: None,
        }],
        from_zero: true,
        window: None,
    };
    let findings = BOUNDS.iter().zip(scene.case.thesis_bounds());
    let findings = findings.map(|(&(bound, name), thesis)| {
        let value = (scene.bound_ms(bound), "ms");
        let agrees = Agrees::Within(thesis, 3.0);
        Finding::new(format!("{name} bound"), value, format!("{thesis:.0}"), agrees)
    });
    Ok(Figure {
        number: "5.13",
        columns: vec!["between", "share", "rtt_ms"],
        rows,
        svg: chart.svg(),
        findings: findings.collect(),
        checks: vec![Check::new(
            "least user-DC RTT",
            (users.quantile(0.0), "ms"),
            Limit::AtLeast(40.0),
        )],
    })
}

/// Figure 5.16: throughput of TCP under the three schemes.
pub fn throughput(
    scene: &Scene,
    (dcs, bound, slots): (usize, Bound, Slots),
    control: &Control<'_>,
) -> Result<Figure, StudyError> {
    let fabric = scene.fabric(dcs)?;
    let bound_ms = scene.bound_ms(bound);
    let rules = scene.rules(bound_ms);
    let best = scene.best(&fabric, &rules);
    let live = |scheme| {
        let walk = Walk::new(&fabric, &rules, &best, scene.manner(scheme, slots));
        stopped_or(control, day::live(&walk, &scene.traces, control))
    };
    let [legacy, pacao1, pacao2] = [
        live(Scheme::Legacy)?,
        live(Scheme::Pacao1)?,
        live(Scheme::Pacao2)?,
    ];
    let days = [&legacy, &pacao1, &pacao2];
    let curves = days.map(|day| throughputs(&day.rtt));
    let chart = Chart {
        title: format!(
            "{}: throughput with {dcs} DCs, S', S'' = {slots}, bound {bound_ms:.1} ms, watched: {}",
            scene.case.name(),
            scene.watched.name()
        ),
        across: "throughput [Mbit/s]".to_owned(),
        up: "share of time".to_owned(),
        kind: Kind::Lines,
        panels: vec![Panel {
            title: "cumulative distribution".to_owned(),
            series: Scheme::ALL
                .iter()
                .zip(&curves)
                .map(|(scheme, curve)| Series::new(scheme.name(), curve.clone()))
                .collect(),
            mark: None,
        }],
        from_zero: true,
        window: None,
    };
    Ok(Figure {
        number: "5.16",
        columns: vec!["scheme", "share", "throughput_mbps", "rtt_ms"],
        rows: throughput_rows(days, &curves),
        svg: chart.svg(),
        findings: throughput_findings(scene.case, days),
        checks: throughput_checks(scene, days),
    })
}

fn throughput_rows(days: [&Day; 3], curves: &[Vec<(f64, f64)>; 3]) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for (at, scheme) in Scheme::ALL.iter().enumerate() {
        for &(mbps, share) in &curves[at] {
            let rtt = days[at].rtt.quantile(1.0 - share);
            rows.push(vec![
                Value::from(scheme.name()),
                number(share),
                number(mbps),
                number(rtt),
            ]);
        }
    }
    rows
}

fn throughput_findings(case: Case, [legacy, pacao1, pacao2]: [&Day; 3]) -> Vec<Finding> {
    let mbps = |day: &Day| throughput_mbps(day.rtt.median());
    let gain = |day: &Day| (mbps(day) / mbps(legacy) - 1.0) * 100.0;
    let (switched, moved) = (gain(pacao1), gain(pacao2));
    let thesis = case.thesis_gain();
    vec![
        Finding::new(
            "median throughput, pacao2 over legacy",
            (moved, "%"),
            format!("about {thesis:.0}"),
            Agrees::Near(thesis),
        ),
        // Some users gain: that is to be seen, and most is left to migrations.
        Finding::new(
            "median throughput, pacao1 over legacy",
            (switched, "%"),
            "limited, for some users",
            Agrees::AtLeast(1.0),
        )
        .and(switched <= moved / 2.0, "at most half of pacao2's"),
    ]
}

fn throughput_checks(scene: &Scene, [legacy, pacao1, pacao2]: [&Day; 3]) -> Vec<Check> {
    let users = scene.traces.len() as f64;
    let rtt = |name: &str, day: &Day| {
        Check::new(
            format!("median RTT, {name}"),
            (day.rtt.median(), "ms"),
            Limit::None,
        )
    };
    let mean = |name: &str, count: u64| Check::new(name, (count as f64 / users, "a day"), Limit::None);
    vec![
        rtt("legacy", legacy),
        rtt("pacao1", pacao1),
        Check::new(
            "median RTT, pacao2",
            (pacao2.rtt.median(), "ms"),
            Limit::AtMost(legacy.rtt.median()),
        ),
        mean("switches of a user, pacao1", pacao1.moves.switches),
        mean("switches of a user, pacao2", pacao2.moves.switches),
        mean("migrations of a user, pacao2", pacao2.moves.migrations),
    ]
}

/// A distribution as it is drawn: value across, share up.
pub(super) fn swapped(tally: &Tally) -> Vec<(f64, f64)> {
    tally.cdf().into_iter().map(|(share, ms)| (ms, share)).collect()
}

/// The distribution of throughput: Mbit/s across, share of time up.
fn throughputs(rtt: &Tally) -> Vec<(f64, f64)> {
    let points = rtt.cdf().into_iter().rev();
    points
        .map(|(share, ms)| (throughput_mbps(ms), 1.0 - share))
        .collect()
}

//! Figures 5.13 (round trips), 5.16 (throughput), 5.18 and 5.19 (congestion).

use proto::Span;
use serde_json::Value;

use super::{BOUNDS, Bound, Case, Check, Figure, Finding, Limit, Scene, StudyError, number, stopped_or};
use crate::congestion::{self, Congestion, PROVEN};
use crate::day::{self, Control, Day};
use crate::fabric::MOST_DCS;
use crate::plot::{Chart, Kind, Panel, Series};
use crate::slots::Slots;
use crate::tally::{Tally, throughput_mbps};
use crate::walk::{Scheme, Walk};

/// The moment at which everybody is placed at once: noon.
const NOON: Span = Span::secs(12 * 3600);

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
    let findings = BOUNDS
        .iter()
        .zip(scene.case.thesis_bounds())
        .map(|(&(bound, name), thesis)| {
            let value = scene.bound_ms(bound);
            Finding {
                name: format!("{name} bound"),
                value,
                unit: "ms",
                thesis: format!("{thesis:.0}"),
                agrees: (value - thesis).abs() <= 3.0,
            }
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
    let days = [
        (Scheme::Legacy, &legacy),
        (Scheme::Pacao1, &pacao1),
        (Scheme::Pacao2, &pacao2),
    ];
    let mut rows = Vec::new();
    let mut series = Vec::new();
    for (scheme, day) in days {
        let curve = throughputs(&day.rtt);
        for &(mbps, share) in &curve {
            let rtt = day.rtt.quantile(1.0 - share);
            rows.push(vec![
                Value::from(scheme.name()),
                number(share),
                number(mbps),
                number(rtt),
            ]);
        }
        series.push(Series::new(scheme.name(), curve));
    }
    let chart = Chart {
        title: format!(
            "{}: throughput with {dcs} DCs, S', S'' = {slots}, bound {bound_ms:.1} ms",
            scene.case.name()
        ),
        across: "throughput [Mbit/s]".to_owned(),
        up: "share of time".to_owned(),
        kind: Kind::Lines,
        panels: vec![Panel {
            title: "cumulative distribution".to_owned(),
            series,
            mark: None,
        }],
        from_zero: true,
        window: None,
    };
    Ok(Figure {
        number: "5.16",
        columns: vec!["scheme", "share", "throughput_mbps", "rtt_ms"],
        rows,
        svg: chart.svg(),
        findings: throughput_findings(scene.case, [&legacy, &pacao1, &pacao2]),
        checks: throughput_checks(scene, [&legacy, &pacao1, &pacao2]),
    })
}

fn throughput_findings(case: Case, [legacy, pacao1, pacao2]: [&Day; 3]) -> Vec<Finding> {
    let mbps = |day: &Day| throughput_mbps(day.rtt.median());
    let gain = |day: &Day| (mbps(day) / mbps(legacy) - 1.0) * 100.0;
    let (switched, moved) = (gain(pacao1), gain(pacao2));
    let thesis = case.thesis_gain();
    vec![
        Finding {
            name: "median throughput, pacao2 over legacy".to_owned(),
            value: moved,
            unit: "%",
            thesis: format!("about {thesis:.0}"),
            agrees: (moved - thesis).abs() <= 10.0,
        },
        Finding {
            name: "median throughput, pacao1 over legacy".to_owned(),
            value: switched,
            unit: "%",
            thesis: "limited, for some users".to_owned(),
            agrees: switched >= 0.0 && switched <= moved / 2.0,
        },
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

/// Figure 5.18: round trips when all are placed at once, for each number of data centres.
pub fn congestion(scene: &Scene, control: &Control<'_>) -> Result<Figure, StudyError> {
    let bound_ms = scene.bound_ms(Bound::Strict);
    let mut rows = Vec::new();
    let (mut aware, mut alone) = (Vec::new(), Vec::new());
    let (mut medians, mut gap, mut broken) = (Vec::new(), 0.0_f64, 0);
    let mut over_75 = f64::NAN;
    for dcs in scene.counts() {
        let outcome = crowded(scene, dcs, control)?;
        for (way, crowd) in [("alone", &outcome.alone), ("aware", &outcome.aware)] {
            for (share, ms) in crowd.rtt.cdf() {
                rows.push(vec![
                    Value::from(dcs),
                    Value::from(way),
                    number(share),
                    number(ms),
                ]);
            }
        }
        aware.push(Series::new(format!("{dcs} DCs"), swapped(&outcome.aware.rtt)));
        alone.push(Series::new(format!("{dcs} DCs"), swapped(&outcome.alone.rtt)));
        medians.push(outcome.aware.rtt.median());
        gap = gap.max(outcome.gap);
        broken += outcome.rules_broken;
        if dcs == 64 {
            over_75 = (1.0 - outcome.aware.rtt.share_within(75.0)) * 100.0;
        }
    }
    let panel = |title: &str, series| Panel {
        title: title.to_owned(),
        series,
        mark: None,
    };
    let chart = Chart {
        title: format!(
            "{}: round trips with congestion, bound {bound_ms:.1} ms",
            scene.case.name()
        ),
        across: "RTT with congestion [ms]".to_owned(),
        up: "share of users".to_owned(),
        kind: Kind::Lines,
        panels: vec![
            panel("congestion-aware, (5.4)-(5.9)", aware),
            panel("everybody at the nearest DC", alone),
        ],
        from_zero: true,
        window: Some((40.0, 160.0)),
    };
    let most = medians.iter().copied().fold(0.0, f64::max);
    let least = medians.iter().copied().fold(f64::INFINITY, f64::min);
    let findings = vec![
        Finding {
            name: "congestion-aware: medians differ between numbers of DCs by up to".to_owned(),
            value: (most / least - 1.0) * 100.0,
            unit: "%",
            thesis: "hardly, but for 64".to_owned(),
            agrees: most / least <= 1.15,
        },
        Finding {
            name: "congestion-aware, 64 DCs: users over 75 ms".to_owned(),
            value: over_75,
            unit: "%",
            thesis: "50".to_owned(),
            agrees: (over_75 - 50.0).abs() <= 10.0,
        },
    ];
    Ok(Figure {
        number: "5.18",
        columns: vec!["dcs", "way", "share", "rtt_ms"],
        rows,
        svg: chart.svg(),
        findings,
        checks: vec![
            Check::new(
                "5.18: gap of F, most",
                (gap * 100.0, "%"),
                Limit::AtMost(PROVEN * 100.0),
            ),
            Check::new(
                "5.18: users against (5.5), (5.6)",
                (broken as f64, ""),
                Limit::AtMost(0.0),
            ),
        ],
    })
}

/// Figure 5.19: users at each data centre, from west to east, with and without looking at the load.
pub fn unevenness(scene: &Scene, dcs: usize, control: &Control<'_>) -> Result<Figure, StudyError> {
    let outcome = crowded(scene, dcs, control)?;
    let mut order: Vec<usize> = (0..dcs).collect();
    let places = scene.dcs();
    order.sort_by(|&a, &b| places[a].at.lon.total_cmp(&places[b].at.lon));
    let east = |users: &[u32]| share_of_east(&order, users);
    let shown = |users: &[u32]| {
        let points = order.iter().enumerate();
        points
            .map(|(at, &dc)| (at as f64, f64::from(users[dc])))
            .collect()
    };
    let rows = order.iter().map(|&dc| {
        vec![
            Value::from(places[dc].name.as_str()),
            number(places[dc].at.lat),
            number(places[dc].at.lon),
            Value::from(outcome.alone.users[dc]),
            Value::from(outcome.aware.users[dc]),
            Value::from(outcome.capacity),
        ]
    });
    let chart = Chart {
        title: format!("{}: users at each of {dcs} DCs", scene.case.name()),
        across: "data centres from west to east".to_owned(),
        up: "users".to_owned(),
        kind: Kind::Bars(order.iter().map(|&dc| places[dc].name.clone()).collect()),
        panels: vec![Panel {
            title: format!("noon, bound {:.1} ms", scene.bound_ms(Bound::Strict)),
            series: vec![
                Series::new("everybody alone", shown(&outcome.alone.users)),
                Series::new("congestion-aware", shown(&outcome.aware.users)),
            ],
            mark: Some((f64::from(outcome.capacity), "capacity".to_owned())),
        }],
        from_zero: true,
        window: None,
    };
    let (before, after) = (outcome.alone.unevenness(), outcome.aware.unevenness());
    let mut findings = vec![Finding {
        name: format!("unevenness (Gini) over {dcs} DCs, {before:.2} alone, aware"),
        value: after,
        unit: "",
        thesis: "better balanced".to_owned(),
        agrees: after < before,
    }];
    if scene.case == Case::EuropeOtt {
        let (before, after) = (east(&outcome.alone.users), east(&outcome.aware.users));
        findings.push(Finding {
            name: format!("users at the eastern half of DCs, {before:.0} % alone, aware"),
            value: after,
            unit: "%",
            thesis: "more".to_owned(),
            agrees: after > before,
        });
    }
    Ok(Figure {
        number: "5.19",
        columns: vec!["dc", "lat", "lon", "users_alone", "users_aware", "capacity"],
        rows: rows.collect(),
        svg: chart.svg(),
        findings,
        checks: vec![
            Check::new(
                "5.19: fullest DC, aware, of its capacity",
                (outcome.aware.fullest(outcome.capacity) * 100.0, "%"),
                Limit::AtMost(100.0),
            ),
            Check::new(
                "5.19: fullest DC, alone, of its capacity",
                (outcome.alone.fullest(outcome.capacity) * 100.0, "%"),
                Limit::None,
            ),
        ],
    })
}

fn crowded(scene: &Scene, dcs: usize, control: &Control<'_>) -> Result<Congestion, StudyError> {
    let fabric = scene.fabric(dcs)?;
    let users = congestion::present(&scene.areas, &scene.traces, NOON);
    let bound_us = (scene.bound_ms(Bound::Strict) * 1e3).round() as u32;
    let outcome = congestion::place(&scene.areas, &users, &fabric, bound_us, control)?;
    control.did(scene.traces.len() as u64);
    stopped_or(control, outcome)
}

/// The share of users, percent, at the eastern half of the data centres; `order` is from west to east.
fn share_of_east(order: &[usize], users: &[u32]) -> f64 {
    let sum = |dcs: &[usize]| dcs.iter().map(|&dc| f64::from(users[dc])).sum::<f64>();
    sum(&order[order.len().div_ceil(2)..]) / sum(order).max(1.0) * 100.0
}

/// A distribution as it is drawn: value across, share up.
fn swapped(tally: &Tally) -> Vec<(f64, f64)> {
    tally.cdf().into_iter().map(|(share, ms)| (ms, share)).collect()
}

/// The distribution of throughput: Mbit/s across, share of time up.
fn throughputs(rtt: &Tally) -> Vec<(f64, f64)> {
    let points = rtt.cdf().into_iter().rev();
    points
        .map(|(share, ms)| (throughput_mbps(ms), 1.0 - share))
        .collect()
}

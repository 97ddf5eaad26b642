//! Figures 5.18 and 5.19: everybody placed at once.

use proto::Span;
use serde_json::Value;

use super::figures::swapped;
use super::finding::Agrees;
use super::{Bound, Case, Check, Figure, Finding, Limit, Scene, StudyError, number, stopped_or};
use crate::congestion::{self, Congestion, Crowd, GAP, GROUPS};
use crate::day::Control;
use crate::plot::{Chart, Kind, Panel, Series};

/// The thesis's figure for half of the users at 64 data centres, milliseconds.
const SLOW_MS: f64 = 75.0;
/// Data centres at which the thesis finds that.
const MOST: usize = 64;

/// Figure 5.18: round trips when all are placed at once, for each number of data centres.
pub fn congestion(scene: &Scene, control: &Control<'_>) -> Result<Figure, StudyError> {
    let square = Square::new(scene);
    let counts = scene.compared()?.into_iter();
    let placed = counts.map(|dcs| Ok((dcs, square.crowded(dcs, control)?)));
    let placed = placed.collect::<Result<Vec<(usize, Congestion)>, StudyError>>()?;
    let mut rows = Vec::new();
    for (dcs, outcome) in &placed {
        for (way, crowd) in outcome.ways() {
            let row = |(share, ms)| vec![Value::from(*dcs), Value::from(way), number(share), number(ms)];
            rows.extend(crowd.rtt.cdf().into_iter().map(row));
        }
    }
    Ok(Figure {
        number: "5.18",
        columns: vec!["dcs", "way", "share", "rtt_ms"],
        rows,
        svg: congestion_chart(&square, &placed).svg(),
        findings: congestion_findings(&placed),
        checks: congestion_checks(&square, &placed),
    })
}

fn congestion_chart(square: &Square<'_>, placed: &[(usize, Congestion)]) -> Chart {
    let panel = |title: &str, of: fn(&Congestion) -> &Crowd| Panel {
        title: title.to_owned(),
        series: placed
            .iter()
            .map(|(dcs, outcome)| Series::new(format!("{dcs} DCs"), swapped(&of(outcome).rtt)))
            .collect(),
        mark: None,
    };
    Chart {
        title: format!(
            "{}: round trips with congestion, {}",
            square.scene.case.name(),
            square.words()
        ),
        across: "RTT with congestion [ms]".to_owned(),
        up: "share of users".to_owned(),
        kind: Kind::Lines,
        panels: vec![
            panel("congestion-aware, (5.4)-(5.9)", |outcome| &outcome.aware),
            panel("the same in sub-groups, one after the other", |outcome| {
                &outcome.grouped
            }),
            panel("everybody at the nearest DC", |outcome| &outcome.alone),
        ],
        from_zero: true,
        window: Some((40.0, 160.0)),
    }
}

fn congestion_findings(placed: &[(usize, Congestion)]) -> Vec<Finding> {
    let fewer = || placed.iter().filter(|(dcs, _)| *dcs < MOST);
    let medians = || fewer().map(|(_, outcome)| outcome.aware.rtt.median());
    let most = medians().fold(0.0, f64::max);
    let least = medians().fold(f64::INFINITY, f64::min);
    let mut found = vec![Finding::new(
        "congestion-aware: medians of fewer than 64 DCs differ by up to",
        ((most / least - 1.0) * 100.0, "%"),
        "hardly",
        Agrees::AtMost(10.0),
    )];
    if let Some((_, outcome)) = placed.iter().find(|(dcs, _)| *dcs == MOST) {
        for (name, crowd) in [
            ("congestion-aware".to_owned(), &outcome.aware),
            (format!("the same in {GROUPS} sub-groups"), &outcome.grouped),
        ] {
            let over = (1.0 - crowd.rtt.share_within(SLOW_MS)) * 100.0;
            found.push(Finding::new(
                format!("{name}, {MOST} DCs: users over {SLOW_MS:.0} ms"),
                (over, "%"),
                "50",
                Agrees::Near(50.0),
            ));
        }
    }
    found
}

fn congestion_checks(square: &Square<'_>, placed: &[(usize, Congestion)]) -> Vec<Check> {
    let outcomes = || placed.iter().map(|(_, outcome)| outcome);
    let gap = outcomes().map(|outcome| outcome.gap).fold(0.0, f64::max);
    let broken: u64 = outcomes().map(|outcome| outcome.rules_broken).sum();
    vec![
        Check::new(
            format!("5.18: users at {}", clock(square.moment)),
            (square.users.len() as f64, ""),
            Limit::AtLeast(1.0),
        ),
        Check::new(
            "5.18: gap of F, most",
            (gap * 100.0, "%"),
            Limit::AtMost(GAP * 100.0),
        ),
        Check::new(
            "5.18: users against (5.5), (5.6)",
            (broken as f64, ""),
            Limit::AtMost(0.0),
        ),
    ]
}

/// Figure 5.19: users at each data centre, from west to east, with and without looking at the load.
pub fn unevenness(scene: &Scene, dcs: usize, control: &Control<'_>) -> Result<Figure, StudyError> {
    let square = Square::new(scene);
    let outcome = square.crowded(dcs, control)?;
    let mut order: Vec<usize> = (0..dcs).collect();
    let places = scene.dcs();
    order.sort_by(|&a, &b| places[a].at.lon.total_cmp(&places[b].at.lon));
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
    let fullest = |crowd: &Crowd| (crowd.fullest(outcome.capacity) * 100.0, "%");
    Ok(Figure {
        number: "5.19",
        columns: vec!["dc", "lat", "lon", "users_alone", "users_aware", "capacity"],
        rows: rows.collect(),
        svg: unevenness_chart(&square, &outcome, &order).svg(),
        findings: unevenness_findings(scene.case, &outcome, &order),
        checks: vec![
            Check::new(
                "5.19: fullest DC, aware, of its capacity",
                fullest(&outcome.aware),
                Limit::AtMost(100.0),
            ),
            Check::new(
                "5.19: fullest DC, alone, of its capacity",
                fullest(&outcome.alone),
                Limit::None,
            ),
        ],
    })
}

fn unevenness_chart(square: &Square<'_>, outcome: &Congestion, order: &[usize]) -> Chart {
    let shown = |users: &[u32]| {
        let points = order.iter().enumerate();
        points
            .map(|(at, &dc)| (at as f64, f64::from(users[dc])))
            .collect()
    };
    let places = square.scene.dcs();
    Chart {
        title: format!(
            "{}: users at each of {} DCs",
            square.scene.case.name(),
            order.len()
        ),
        across: "data centres from west to east".to_owned(),
        up: "users".to_owned(),
        kind: Kind::Bars(order.iter().map(|&dc| places[dc].name.clone()).collect()),
        panels: vec![Panel {
            title: square.words(),
            series: vec![
                Series::new("everybody alone", shown(&outcome.alone.users)),
                Series::new("congestion-aware", shown(&outcome.aware.users)),
            ],
            mark: Some((f64::from(outcome.capacity), "capacity".to_owned())),
        }],
        from_zero: true,
        window: None,
    }
}

fn unevenness_findings(case: Case, outcome: &Congestion, order: &[usize]) -> Vec<Finding> {
    let (alone, aware) = (&outcome.alone, &outcome.aware);
    let before = alone.unevenness();
    let mut found = vec![Finding::new(
        format!(
            "unevenness (Gini) over {} DCs, {before:.2} alone, aware",
            order.len()
        ),
        (aware.unevenness(), ""),
        "better balanced",
        Agrees::Below(before),
    )];
    if case == Case::EuropeOtt {
        let before = share_of_east(order, &alone.users);
        found.push(Finding::new(
            format!("users at the eastern half of DCs, {before:.0} % alone, aware"),
            (share_of_east(order, &aware.users), "%"),
            "more",
            Agrees::Above(before),
        ));
    }
    found
}

/// Everybody at the moment at which they are placed.
struct Square<'a> {
    scene: &'a Scene,
    moment: Span,
    /// The area of each who is there.
    users: Vec<u32>,
}

impl<'a> Square<'a> {
    fn new(scene: &'a Scene) -> Self {
        let moment = congestion::busiest(&scene.traces);
        Self {
            scene,
            moment,
            users: congestion::present(&scene.traces, moment),
        }
    }

    fn words(&self) -> String {
        let bound_ms = self.scene.bound_ms(Bound::Strict);
        format!("at {}, bound {bound_ms:.1} ms", clock(self.moment))
    }

    fn crowded(&self, dcs: usize, control: &Control<'_>) -> Result<Congestion, StudyError> {
        let fabric = self.scene.fabric(dcs)?;
        let bound_us = (self.scene.bound_ms(Bound::Strict) * 1e3).round() as u32;
        let outcome = congestion::place((&self.scene.areas, &self.users), &fabric, bound_us, control)?;
        control.did(self.scene.traces.len() as u64);
        stopped_or(control, outcome)
    }
}

/// The time of day, to the minute.
fn clock(moment: Span) -> String {
    let minutes = moment.0 / 60_000_000;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// The share of users, percent, at the eastern half of the data centres; `order` is from west to east.
fn share_of_east(order: &[usize], users: &[u32]) -> f64 {
    let sum = |dcs: &[usize]| dcs.iter().map(|&dc| f64::from(users[dc])).sum::<f64>();
    sum(&order[order.len().div_ceil(2)..]) / sum(order).max(1.0) * 100.0
}

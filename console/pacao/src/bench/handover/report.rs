//! What a handover bench measured: figures for each way and client, and what is claimed of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use proto::{Span, UserName};
use serde_json::{Value, json};

use super::stage::Move;
use super::statistics::{Boxplot, cdf};
use super::way::Way;
use crate::checks::{Bound, Checks};
use crate::cli::MapServerPlace;

/// Convergence of Change-Priority beyond the one-way delays, at most this many milliseconds a leg.
const CP_OVERHEAD_A_LEG_MS: f64 = 2.0;

/// The same of a prepared handover, which has one leg.
const PREPARED_OVERHEAD_MS: f64 = 1.0;

/// Less than this, milliseconds, is no difference.
const CLOCK_STEP_MS: f64 = 0.001;

/// The moves of one way.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) way: Way,
    /// By client.
    pub(super) moves: BTreeMap<UserName, Vec<Move>>,
    /// One-way delays that the news has to take, by client.
    pub(super) legs: BTreeMap<UserName, Vec<Span>>,
    /// Processes of the lab that died.
    pub(super) casualties: usize,
}

/// Something measured of each move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Lost probes.
    Lost,
    /// From the move to the news at the client.
    Heard,
    /// From the move until the client's packets follow.
    Convergence,
    /// The longest silence, less the time for which the VM stood still.
    Downtime,
    /// Convergence beyond the one-way delays, for each of them.
    Overhead,
}

impl Measure {
    pub(super) const ALL: [Self; 5] = [
        Self::Lost,
        Self::Heard,
        Self::Convergence,
        Self::Downtime,
        Self::Overhead,
    ];

    /// In JSON and file names.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Heard => "heard",
            Self::Convergence => "convergence",
            Self::Downtime => "downtime",
            Self::Overhead => "overhead-a-leg",
        }
    }

    /// For people.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Lost => "lost probes",
            Self::Heard => "news at the client",
            Self::Convergence => "mapping convergence",
            Self::Downtime => "downtime beyond the stop itself",
            Self::Overhead => "convergence beyond the one-way delays, a leg",
        }
    }

    pub(super) const fn unit(self) -> &'static str {
        match self {
            Self::Lost => "packets",
            Self::Heard | Self::Convergence | Self::Downtime | Self::Overhead => "ms",
        }
    }
}

impl Trial {
    /// All values of a measure for one client.
    pub(super) fn values(&self, measure: Measure, client: &UserName) -> Vec<f64> {
        let legs = self.legs.get(client).map_or(&[][..], Vec::as_slice);
        let delay: f64 = legs.iter().map(|leg| leg.as_millis_f64()).sum();
        let value = |one: &Move| match measure {
            Measure::Lost => one.cost.lost as f64,
            Measure::Heard => one.heard.as_millis_f64(),
            Measure::Convergence => one.convergence.as_millis_f64(),
            Measure::Downtime => one.cost.downtime.as_millis_f64(),
            Measure::Overhead => (one.convergence.as_millis_f64() - delay) / legs.len().max(1) as f64,
        };
        self.moves.get(client).into_iter().flatten().map(value).collect()
    }

    fn median(&self, measure: Measure, client: &UserName) -> f64 {
        Boxplot::of(&self.values(measure, client)).map_or(f64::NAN, |plot| plot.median)
    }
}

/// The claims; `place` is the Map-Server's.
pub(super) fn judge(trials: &[Trial], place: MapServerPlace) -> Checks {
    let mut checks = Checks::default();
    for trial in trials {
        for client in trial.moves.keys() {
            let overhead = trial.median(Measure::Overhead, client);
            let bound = match trial.way {
                Way::Prepared => Bound::AtMost(PREPARED_OVERHEAD_MS),
                Way::Cp => Bound::AtMost(CP_OVERHEAD_A_LEG_MS),
                Way::PubSub | Way::Smr => Bound::None,
            };
            let name = format!("{} {client}: median overhead a leg", trial.way.name());
            checks.add(name, overhead, "ms", bound);
        }
    }
    for trial in trials.iter().filter(|trial| trial.way == Way::Prepared) {
        let lost: u64 = trial.moves.values().flatten().map(|one| one.cost.lost).sum();
        checks.add(
            "prepared: lost probes of all clients and moves",
            lost as f64,
            "",
            Bound::AtMost(0.0),
        );
    }
    let all = |trial: &'_ Trial| trial.moves.values().flatten().count();
    let otherwise = |trial: &Trial| {
        let moves = trial.moves.values().flatten();
        moves.filter(|one| one.origin != trial.way.origin()).count()
    };
    for trial in trials {
        let name = format!("{}: clients told otherwise, of {}", trial.way.name(), all(trial));
        checks.add(name, otherwise(trial) as f64, "", Bound::AtMost(0.0));
    }
    let mut in_order: Vec<&Trial> = trials.iter().collect();
    in_order.sort_by_key(|trial| trial.way);
    for (at, slower) in in_order.iter().enumerate() {
        for faster in in_order.iter().take(at) {
            let bound = gain_claimed((faster.way, slower.way), place);
            for client in faster.moves.keys() {
                let convergence = |trial: &Trial| trial.median(Measure::Convergence, client);
                let name = format!(
                    "{client}: median convergence, {} faster than {} by",
                    faster.way.name(),
                    slower.way.name()
                );
                checks.add(name, convergence(slower) - convergence(faster), "ms", bound);
            }
        }
    }
    let casualties: usize = trials.iter().map(|trial| trial.casualties).sum();
    checks.add("processes that died", casualties as f64, "", Bound::AtMost(0.0));
    checks
}

/// By how much the faster way is to be ahead of the slower one.
fn gain_claimed(ways: (Way, Way), place: MapServerPlace) -> Bound {
    match (ways, place) {
        // The way over a Map-Server beside the destination is shorter than the one over the source.
        ((Way::Cp, Way::PubSub), MapServerPlace::Near) => Bound::None,
        ((Way::Cp, Way::PubSub), MapServerPlace::Denmark) => Bound::AtLeast(0.0),
        _ => Bound::AtLeast(CLOCK_STEP_MS),
    }
}

/// Boxplot figures and distributions for people.
pub(super) fn text(trials: &[Trial]) -> String {
    let mut lines = String::new();
    for measure in Measure::ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{} [{}]", measure.title(), measure.unit());
        let _ = writeln!(
            lines,
            "  {:<8} {:<8} {:>4} {:>9} {:>9} {:>9} {:>21} {:>9} {:>9}",
            "way", "client", "n", "min", "Q1", "median", "95 % CI", "Q3", "max"
        );
        for (trial, client, values) in rows(trials, measure) {
            if let Some(plot) = Boxplot::of(&values) {
                let interval = plot
                    .median_ci95
                    .map_or_else(|| "-".to_owned(), |(low, high)| format!("{low:.2}..{high:.2}"));
                let _ = writeln!(
                    lines,
                    "  {:<8} {:<8} {:>4} {:>9.2} {:>9.2} {:>9.2} {interval:>21} {:>9.2} {:>9.2}",
                    trial.way.name(),
                    client.as_str(),
                    plot.count,
                    plot.min,
                    plot.q1,
                    plot.median,
                    plot.q3,
                    plot.max
                );
            }
        }
        let _ = writeln!(
            lines,
            "  distribution: value at 10, 25, 50, 75, 90, 100 % of the moves"
        );
        for (trial, client, values) in rows(trials, measure) {
            let steps = cdf(&values);
            let _ = write!(lines, "  {:<8} {:<8}     ", trial.way.name(), client.as_str());
            for share in [0.1, 0.25, 0.5, 0.75, 0.9, 1.0] {
                let reached = steps.iter().find(|(_, so_far)| *so_far >= share - 1e-9);
                let _ = write!(lines, " {:>9.2}", reached.map_or(f64::NAN, |(value, _)| *value));
            }
            lines.push('\n');
        }
        lines.push('\n');
    }
    lines
}

/// Everything, as one object.
pub(super) fn json(
    trials: &[Trial],
    probe_every: Span,
    place: MapServerPlace,
    checks: &Checks,
) -> anyhow::Result<Value> {
    let figures = Measure::ALL.map(|measure| {
        let rows: Vec<Value> = rows(trials, measure)
            .map(|(trial, client, values)| {
                let legs = trial.legs.get(client).map_or(&[][..], Vec::as_slice);
                json!({
                    "way": trial.way.name(),
                    "client": client,
                    "legs_ms": legs.iter().map(|leg| leg.as_millis_f64()).collect::<Vec<_>>(),
                    "boxplot": Boxplot::of(&values),
                    "cdf": cdf(&values),
                    "values": values,
                })
            })
            .collect();
        json!({ "measure": measure.key(), "unit": measure.unit(), "rows": rows })
    });
    let mut whole = json!({
        "bench": "handover",
        "rtts": "table-4-1",
        "map_server": place.name(),
        "probe_every_ms": probe_every.as_millis_f64(),
        "figures": figures,
    });
    if let (Some(whole), Value::Object(checks)) = (whole.as_object_mut(), serde_json::to_value(checks)?) {
        whole.extend(checks);
    }
    Ok(whole)
}

/// Each way and client, clients together, so that ways stand side by side.
pub(super) fn rows(
    trials: &[Trial],
    measure: Measure,
) -> impl Iterator<Item = (&Trial, &UserName, Vec<f64>)> {
    let clients = trials.first().into_iter().flat_map(|trial| trial.moves.keys());
    clients.flat_map(move |client| {
        trials
            .iter()
            .map(move |trial| (trial, client, trial.values(measure, client)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::Cost;

    fn trial(way: Way, convergences: &[u64]) -> Trial {
        let client = UserName::new("vnu").unwrap();
        let one = |ms: &u64| Move {
            origin: way.origin().to_owned(),
            heard: Span::millis(*ms - 1),
            convergence: Span::millis(*ms),
            cost: Cost {
                lost: 9,
                downtime: Span::millis(ms + 20),
            },
        };
        Trial {
            way,
            moves: [(client.clone(), convergences.iter().map(one).collect())].into(),
            legs: [(client, vec![Span::millis(15), Span::millis(160)])].into(),
            casualties: 0,
        }
    }

    #[test]
    fn the_order_and_the_overhead_decide() {
        let smr = || trial(Way::Smr, &[500, 510, 505]);
        let good = [smr(), trial(Way::Cp, &[177, 178, 176])];
        let hold = |trials: &[Trial]| judge(trials, MapServerPlace::Denmark).hold();
        assert!(hold(&good));
        assert!(!hold(&[smr(), trial(Way::Cp, &[180, 180, 180])]), "2.5 ms a leg");
        assert!(
            !hold(&[trial(Way::Smr, &[176]), trial(Way::Cp, &[176])]),
            "no faster"
        );
        let mut dead = trial(Way::Cp, &[176]);
        dead.casualties = 1;
        assert!(!hold(&[dead]));
        let mut fallen_back = trial(Way::Cp, &[176]);
        for one in fallen_back.moves.values_mut().flatten() {
            one.origin = Way::Smr.origin().to_owned();
        }
        assert!(!hold(&[fallen_back]));
    }

    #[test]
    fn a_publication_over_denmark_may_tie_with_change_priority_but_not_win_nor_tie_with_a_solicitation() {
        let trials = |cp, pubsub, smr| {
            [
                trial(Way::PubSub, &[pubsub]),
                trial(Way::Smr, &[smr]),
                trial(Way::Cp, &[cp]),
            ]
        };
        let hold = |trials: &[Trial], place| judge(trials, place).hold();
        assert!(hold(&trials(176, 176, 500), MapServerPlace::Denmark));
        assert!(!hold(&trials(176, 175, 500), MapServerPlace::Denmark));
        assert!(hold(&trials(176, 150, 500), MapServerPlace::Near));
        assert!(!hold(&trials(176, 500, 500), MapServerPlace::Near));
        assert!(
            !hold(&trials(178, 150, 178), MapServerPlace::Near),
            "cp against smr"
        );
    }

    #[test]
    fn a_prepared_handover_loses_nothing_and_has_a_millisecond() {
        let prepared = |convergence, lost| {
            let mut prepared = trial(Way::Prepared, &[convergence]);
            for one in prepared.moves.values_mut().flatten() {
                one.cost.lost = lost;
            }
            for legs in prepared.legs.values_mut() {
                *legs = vec![Span::millis(150)];
            }
            prepared
        };
        let hold = |trials: &[Trial]| judge(trials, MapServerPlace::Denmark).hold();
        assert!(hold(&[prepared(151, 0)]));
        assert!(!hold(&[prepared(151, 1)]), "lost");
        assert!(!hold(&[prepared(152, 0)]), "late");
        assert!(hold(&[trial(Way::Cp, &[176]), prepared(151, 0)]));
        assert!(
            !hold(&[trial(Way::Cp, &[151]), prepared(151, 0)]),
            "no faster than cp"
        );
    }

    #[test]
    fn people_and_programs_are_told_the_same() {
        let trials = [trial(Way::Cp, &[177, 179, 181])];
        let place = MapServerPlace::Denmark;
        let whole = json(&trials, Span::millis(20), place, &judge(&trials, place)).unwrap();
        assert_eq!(whole["figures"][4]["rows"][0]["boxplot"]["median"], 2.0);
        assert_eq!(whole["checks"][0]["name"], "cp vnu: median overhead a leg");
        assert!(text(&trials).contains("vnu"));
    }
}

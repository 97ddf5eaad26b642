//! What a drill measured, as one JSON object.

use std::time::Duration;

use proto::Mode;
use serde::Serialize;
use serde_json::{Value, json};

use super::run::Run;
use super::timeline::{Timeline, WINDOW};
use crate::checks::Checks;

/// All runs of one drill.
pub(super) struct Report {
    compress: f64,
    /// The table's moments, as run.
    pub timeline: Timeline,
    /// No stress at all.
    pub undisturbed: Run,
    /// One for each impairment and mode.
    pub runs: Vec<Run>,
    /// The run in which the engine was killed.
    pub killed: Option<Run>,
}

impl Report {
    /// Puts the runs together.
    pub(super) fn new(
        compress: f64,
        timeline: Timeline,
        undisturbed: Run,
        runs: Vec<Run>,
        killed: Option<Run>,
    ) -> Self {
        Self {
            compress,
            timeline,
            undisturbed,
            runs,
            killed,
        }
    }

    /// Each impairment once, as they were asked for.
    pub(super) fn impairs(&self) -> Vec<Duration> {
        let mut impairs: Vec<Duration> = self.runs.iter().filter_map(|run| run.impair).collect();
        impairs.dedup();
        impairs
    }

    /// The run of this mode and impairment.
    pub(super) fn run(&self, mode: Mode, impair: Duration) -> Option<&Run> {
        self.runs
            .iter()
            .find(|run| run.mode == mode && run.impair == Some(impair))
    }

    /// The whole, with its verdicts.
    pub(super) fn with(&self, checks: &Checks) -> Value {
        let mut runs = vec![row(&self.undisturbed, "undisturbed")];
        runs.extend(self.runs.iter().map(|run| row(run, run.word())));
        runs.extend(self.killed.iter().map(|run| row(run, "pacao1-engine-killed")));
        let mut whole = json!({
            "drill": "table-5-1",
            "compress": self.compress,
            "window_bytes": WINDOW,
            "seconds": self.timeline.end.as_secs_f64(),
            "stress_at_s": self.timeline.stress.as_secs_f64(),
            "relief_at_s": self.timeline.relief.as_secs_f64(),
            "runs": runs,
        });
        if let (Some(whole), Ok(Value::Object(checks))) =
            (whole.as_object_mut(), serde_json::to_value(checks))
        {
            whole.extend(checks);
        }
        whole
    }
}

#[derive(Serialize)]
struct Point {
    at_ms: f64,
    bytes: u64,
}

fn row(run: &Run, mode: &str) -> Value {
    let volume: Vec<Point> = run
        .volume
        .iter()
        .map(|&(at_ms, bytes)| Point { at_ms, bytes })
        .collect();
    json!({
        "mode": mode,
        "impair_ms": run.impair.map(|impair| impair.as_millis() as u64),
        "bytes": run.bytes,
        "decided_after_s": run.approved_after.map(|after| after.as_secs_f64()),
        "signalling_ms": run.signalling.map(|told| told.as_secs_f64() * 1e3),
        "echo": run.echo,
        "volume": volume,
    })
}

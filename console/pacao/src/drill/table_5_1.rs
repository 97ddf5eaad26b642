//! `pacao drill table-5-1`: the thesis's first test bed. A user downloads through the tunnel with a fixed receiver
//! window; the link to the data centre it enters by is stressed; the engine moves the entry, or does not.

mod engine;
mod report;
mod run;
mod timeline;

use std::time::Duration;

use anyhow::Context;
use proto::Mode;

use crate::checks::{Bound, Checks};
use crate::cli::{DrillMode, Table51Args};
use report::Report;
use run::{Plan, Run};
use timeline::Timeline;

/// The round trip between the user and the data centre it enters by, before the stress.
const BASE: Duration = Duration::from_millis(37);

/// Runs the drill; `Ok(true)` if every check holds.
pub(crate) fn run(args: &Table51Args) -> anyhow::Result<bool> {
    anyhow::ensure!((1.0..=45.0).contains(&args.compress), "--compress: 1 to 45");
    anyhow::ensure!(!args.impair.is_empty(), "--impair: at least one value");
    testbed::enter()?;
    let timeline = Timeline::compressed(args.compress);
    let measure = |what: &str, plan: Plan| -> anyhow::Result<Run> {
        eprintln!("{what}: {:.0} s", timeline.end.as_secs_f64());
        let run = run::measure(&timeline, plan).with_context(|| what.to_owned())?;
        eprintln!(
            "{what}: {:.2} MB, {} of {} echoes lost",
            run.bytes as f64 / 1e6,
            run.echo.lost,
            run.echo.sent
        );
        Ok(run)
    };
    let calm = measure(
        "undisturbed",
        Plan {
            mode: Mode::Observe,
            impair: None,
            kill_engine: false,
        },
    )?;
    let mut runs = Vec::new();
    for impair in &args.impair {
        for mode in &args.mode {
            let engine = match mode {
                DrillMode::Legacy => Mode::Observe,
                DrillMode::Pacao1 => Mode::Auto,
            };
            let plan = Plan {
                mode: engine,
                impair: Some(Duration::from_millis(*impair)),
                kill_engine: false,
            };
            runs.push(measure(&format!("{} +{impair} ms", mode.word()), plan)?);
        }
    }
    let killed = args.kill_engine.then(|| {
        let impair = args.impair.iter().copied().max().map(Duration::from_millis);
        measure(
            "pacao1, engine killed",
            Plan {
                mode: Mode::Auto,
                impair,
                kill_engine: true,
            },
        )
    });
    let killed = killed.transpose()?;
    let report = Report::new(args.compress, timeline, calm, runs, killed);
    let checks = judge(&report);
    let whole = report.with(&checks);
    if let Some(path) = &args.report {
        std::fs::write(path, serde_json::to_string_pretty(&whole)?)
            .with_context(|| path.display().to_string())?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&whole)?);
    } else {
        print!("{}", checks.table());
    }
    Ok(checks.hold())
}

impl DrillMode {
    const fn word(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Pacao1 => "pacao1",
        }
    }
}

fn judge(report: &Report) -> Checks {
    let mut checks = Checks::default();
    let timeline = &report.timeline;
    let calm = report.undisturbed.bytes as f64;
    checks.add("undisturbed volume", calm / 1e6, "MB", Bound::None);
    for run in &report.runs {
        let impair = run.impair.unwrap_or_default();
        let name = format!("{} +{} ms", run.word(), impair.as_millis());
        let volume = run.bytes as f64;
        checks.add(format!("{name}: volume"), volume / 1e6, "MB", Bound::None);
        if run.mode == Mode::Auto {
            checks.add(
                format!("{name}: of undisturbed"),
                volume / calm * 100.0,
                "%",
                Bound::AtLeast(95.0),
            );
            checks.add(
                format!("{name}: lost to the switch"),
                run.echo.lost as f64,
                "packets",
                Bound::AtMost(0.0),
            );
            let most =
                timeline.decide.as_secs_f64() + timeline.probe.as_secs_f64() + (BASE + impair).as_secs_f64();
            // The engine's own share: a tick, a line over a socket, a write to disk.
            let most = Bound::AtMost(((most + 0.05) * 1e3).round());
            let after = run
                .approved_after
                .map_or(f64::NAN, |after| after.as_secs_f64() * 1e3);
            checks.add(format!("{name}: decided after"), after, "ms", most);
            let told = run.signalling.map_or(f64::NAN, |told| told.as_secs_f64() * 1e3);
            checks.add(format!("{name}: client told in"), told, "ms", Bound::None);
        } else {
            let predicted = timeline.fixed_entry_volume(calm, BASE + impair) / 1e6;
            let bound = Bound::Within {
                of: predicted,
                share: 0.15,
            };
            checks.add(format!("{name}: against prediction"), volume / 1e6, "MB", bound);
        }
    }
    for impair in report.impairs() {
        let volume = |mode| report.run(mode, impair).map(|run| run.bytes as f64);
        if let (Some(moved), Some(fixed)) = (volume(Mode::Auto), volume(Mode::Observe)) {
            // The thesis's range: +40 % at 400 ms, +70 % at 1 s; below that the window hides most of the stress.
            let bound = match impair.as_millis() {
                1000.. => Bound::AtLeast(1.7),
                400.. => Bound::AtLeast(1.4),
                _ => Bound::AtLeast(0.95),
            };
            let name = format!("+{} ms: pacao1 to legacy", impair.as_millis());
            checks.add(name, moved / fixed, "ratio", bound);
        }
    }
    if let Some(run) = &report.killed {
        let back = run.revival.as_ref();
        let figure = |of: fn(&run::Revival) -> f64| back.map_or(f64::NAN, of);
        checks.add(
            "engine killed: fabric taken up after",
            figure(|r| r.fresh_after.as_secs_f64()),
            "s",
            Bound::AtMost(3.0),
        );
        checks.add(
            "engine killed: decisions lost",
            figure(|r| r.decisions_lost as f64),
            "",
            Bound::AtMost(0.0),
        );
        let share = figure(|r| r.download_share * 100.0);
        checks.add(
            "engine killed: download rate meanwhile",
            share,
            "% of usual",
            Bound::AtLeast(80.0),
        );
        checks.add(
            "engine killed: echoes lost",
            run.echo.lost as f64,
            "packets",
            Bound::AtMost(0.0),
        );
    }
    checks
}

//! `pacao simulate`: a country of moving users for a day in virtual time, decided by the engine's own machines.

mod progress;

use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use simulator::areas::Areas;
use simulator::csv::{self, Positions};
use simulator::day::Control;
use simulator::region::Region;
use simulator::study::{self, Case, Check, Figure, Finding, Limit, Scene, StudyError};
use simulator::trace::{Keep, Trace, kept};
use simulator::walk::{ANY_GAIN, CALM, Start, Watched};
use simulator::wander::wander;

use crate::checks::{Bound, Checks};
use crate::cli::{FigureNumber, PolicyOf, Preset, SimulateArgs, StartOf, WatchOf};
use progress::{Progress, stop_on_interrupt};

/// How far a place may be from the nearest of areas that are not the user's own: drawn ones are everywhere where
/// people are.
const REACH_KM: f64 = 100.0;

/// Runs the figures asked for; `Ok(true)` if every check holds.
pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<bool> {
    let case = case_of(args)?;
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let stop: &'static AtomicBool = Box::leak(Box::new(stop)); // the interrupt may come at any time
    let threads = args.threads.and_then(NonZeroUsize::new);
    let control = Control {
        threads: threads
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN),
        done: &done,
        stop,
    };
    stop_on_interrupt(stop)?;
    std::thread::scope(|scope| {
        let progress = Progress::start(scope, &done);
        let outcome = simulate(args, case, &control, &progress);
        progress.end();
        outcome
    })
}

fn simulate(
    args: &SimulateArgs,
    case: Case,
    control: &Control<'_>,
    progress: &Progress<'_>,
) -> anyhow::Result<bool> {
    let scene = scene(args, case, control, progress)?;
    if let Some(directory) = &args.out {
        std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        put(directory, "areas.csv", &csv::write_areas(scene.areas.all()))?;
        put(directory, "dcs.csv", &csv::write_areas(scene.dcs()))?;
        put(
            directory,
            "traces.csv",
            &csv::write_traces(&scene.traces, &scene.areas),
        )?;
    }
    let mut checks = Checks::default();
    let mut findings: Vec<Finding> = Vec::new();
    let mut figures = Map::new();
    judge(&mut checks, &study::trace_checks(&scene));
    for number in numbers(args.figure, case) {
        let figure = figure(args, &scene, number, (control, progress))?;
        if let Some(directory) = &args.out {
            put(directory, &format!("figure-{}.csv", figure.number), &figure.csv())?;
            put(directory, &format!("figure-{}.svg", figure.number), &figure.svg)?;
        }
        judge(&mut checks, &figure.checks);
        findings.extend(figure.findings);
        let table = json!({ "columns": figure.columns, "rows": figure.rows });
        figures.insert(figure.number.to_owned(), table);
    }
    progress.end();
    let mut report = serde_json::to_value(&checks)?;
    report["preset"] = Value::from(case.name());
    report["watch"] = Value::from(scene.watched.name());
    report["seed"] = Value::from(args.seed);
    report["users"] = Value::from(scene.traces.len());
    report["findings"] = serde_json::to_value(&findings)?;
    if let Some(directory) = &args.out {
        let mut whole = report.clone();
        whole["figures"] = Value::Object(figures);
        put(
            directory,
            "results.json",
            &(serde_json::to_string_pretty(&whole)? + "\n"),
        )?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", checks.table());
        print!("{}", table(&findings));
    }
    Ok(checks.hold())
}

fn case_of(args: &SimulateArgs) -> anyhow::Result<Case> {
    let asked = args.preset.map(|preset| match preset {
        Preset::FranceIsp => Case::FranceIsp,
        Preset::EuropeOtt => Case::EuropeOtt,
    });
    let meant = match args.figure {
        FigureNumber::SlotsFrance => Some(Case::FranceIsp),
        FigureNumber::SlotsEurope => Some(Case::EuropeOtt),
        _ => None,
    };
    match (asked, meant) {
        (Some(Case::EuropeOtt), Some(Case::FranceIsp)) => {
            bail!("Figure 5.14 is that of --preset france-isp; europe-ott has 5.15")
        }
        (Some(Case::FranceIsp), Some(Case::EuropeOtt)) => {
            bail!("Figure 5.15 is that of --preset europe-ott; france-isp has 5.14")
        }
        (asked, meant) => Ok(asked.or(meant).unwrap_or(Case::FranceIsp)),
    }
}

fn scene(
    args: &SimulateArgs,
    case: Case,
    control: &Control<'_>,
    progress: &Progress<'_>,
) -> anyhow::Result<Scene> {
    let keep = Keep {
        shared_by: args.k,
        areas: args.min_areas,
    };
    let (areas, traces) = if let Some(path) = &args.traces {
        told(args, case, (path, keep))?
    } else {
        let (home, areas) = (Region::France, areas(args, Region::France)?);
        progress.begin("drawing trajectories", 2 * args.users as u64);
        let traces = wander((&areas, home), args.users, keep, args.seed, control);
        (areas, traces)
    };
    if control.is_stopped() {
        return Err(StudyError::Stopped.into());
    }
    let mut scene = Scene::new(case, (areas, traces), keep, args.seed)?;
    scene.start = match args.start {
        StartOf::Together => Start::Together,
        StartOf::Apart => Start::Apart,
    };
    scene.watched = match args.watch {
        WatchOf::Leg => Watched::Leg,
        WatchOf::Way => Watched::Way,
    };
    scene.policy = match args.policy {
        PolicyOf::Thesis => ANY_GAIN,
        PolicyOf::Calm => CALM,
    };
    Ok(scene)
}

/// The areas given, else drawn ones.
fn areas(args: &SimulateArgs, region: Region) -> anyhow::Result<Areas> {
    Ok(match &args.areas {
        Some(path) => csv::read_areas(&path.display().to_string(), &text(path)?)?,
        None => Areas::drawn(region, region.areas(), args.seed)?,
    })
}

/// Trajectories of a file, and the areas they are in: names are those of France, which `--out` writes; places may be
/// anywhere in the preset's region.
fn told(args: &SimulateArgs, case: Case, (path, keep): (&Path, Keep)) -> anyhow::Result<(Areas, Vec<Trace>)> {
    let (file, text) = (path.display().to_string(), text(path)?);
    let region = match csv::positions(&file, &text)? {
        Positions::Names => Region::France,
        Positions::Places => case.region(),
    };
    let areas = areas(args, region)?;
    let reach_km = if args.areas.is_some() {
        f64::INFINITY
    } else {
        REACH_KM
    };
    let all = csv::read_traces(&file, &text, (&areas, reach_km))?;
    let count = all.len();
    let (traces, dropped) = kept(all, keep, usize::MAX);
    eprintln!(
        "pacao: {count} trajectories in {file}, {} see fewer than {} areas, {} are shared by fewer than {} users",
        dropped.still, args.min_areas, dropped.rare, args.k
    );
    Ok((areas, traces))
}

fn numbers(asked: FigureNumber, case: Case) -> Vec<FigureNumber> {
    let slots = match case {
        Case::FranceIsp => FigureNumber::SlotsFrance,
        Case::EuropeOtt => FigureNumber::SlotsEurope,
    };
    match asked {
        FigureNumber::All => vec![
            FigureNumber::RoundTrips,
            slots,
            FigureNumber::Throughput,
            FigureNumber::Congestion,
            FigureNumber::Spread,
        ],
        one => vec![one],
    }
}

fn figure(
    args: &SimulateArgs,
    scene: &Scene,
    number: FigureNumber,
    (control, progress): (&Control<'_>, &Progress<'_>),
) -> Result<Figure, StudyError> {
    let users = scene.traces.len() as u64;
    let dcs = args
        .dcs
        .unwrap_or(scene.case.thesis_dcs())
        .min(scene.dcs().len().max(args.dcs.unwrap_or(0)));
    match number {
        FigureNumber::RoundTrips => study::round_trips(scene),
        FigureNumber::SlotsFrance | FigureNumber::SlotsEurope | FigureNumber::All => {
            progress.begin("slots", study::days(scene) * users);
            study::sweep(scene, control)
        }
        FigureNumber::Throughput => {
            progress.begin("throughput", 3 * users);
            study::throughput(scene, (dcs, args.bound, args.slots), control)
        }
        FigureNumber::Congestion => {
            progress.begin("congestion", scene.counts().len() as u64 * users);
            study::congestion(scene, control)
        }
        FigureNumber::Spread => {
            progress.begin("users at data centres", users);
            study::unevenness(scene, dcs, control)
        }
    }
}

fn judge(checks: &mut Checks, told: &[Check]) {
    for check in told {
        let bound = match check.limit {
            Limit::AtMost(most) => Bound::AtMost(most),
            Limit::AtLeast(least) => Bound::AtLeast(least),
            Limit::None => Bound::None,
        };
        checks.add(check.name.clone(), check.value, check.unit, bound);
    }
}

/// Findings for people: ours, the thesis's, and what ours must be to agree.
fn table(findings: &[Finding]) -> String {
    let name = findings.iter().map(|finding| finding.name.chars().count()).max();
    let thesis = findings
        .iter()
        .map(|finding| finding.thesis.chars().count())
        .max();
    let (name, thesis) = (name.unwrap_or(0), thesis.unwrap_or(0));
    let mut text = String::from("\nBeside the thesis (differences: docs/simulation.md)\n");
    for finding in findings {
        let mark = if finding.agrees { "agrees" } else { "differs" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{mark:<8} {:<name$}  {:>8.2} {:<4} thesis: {:<thesis$}  agrees if {}",
            finding.name, finding.value, finding.unit, finding.thesis, finding.agrees_if
        );
    }
    text
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn put(directory: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = directory.join(name);
    std::fs::write(&path, text).with_context(|| path.display().to_string())
}

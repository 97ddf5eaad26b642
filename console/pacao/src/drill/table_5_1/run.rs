//! One run: a fabric, an engine, a download and an echo, from the first second to the last.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use engine::session::Session;
use proto::{Mode, Proposal, SiteName, Span, Timestamp, UserName, VmName};
use testbed::traffic::EchoSummary;
use testbed::{Fabric, Lab, LabOptions};

use super::engine::{Engine, state_in};
use super::timeline::{Timeline, WINDOW};
use crate::session_file::{SessionFile, TABLE_5_1};
use crate::traffic::{Server, Traffic, now};

/// What is done in a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The engine's mode: observe for a fixed entry.
    pub mode: Mode,
    /// Added to the round trip during the stress; `None` for no stress.
    pub impair: Option<Duration>,
    /// Kill the engine after the switch, and start another.
    pub kill_engine: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Run {
    /// As planned.
    pub mode: Mode,
    /// As planned.
    pub impair: Option<Duration>,
    /// Volume of the download.
    pub bytes: u64,
    /// Volume over time: milliseconds, bytes.
    pub volume: Vec<(f64, u64)>,
    /// From the stress to the decision to switch.
    pub approved_after: Option<Duration>,
    /// From the decision to the client's acknowledgement.
    pub signalling: Option<Duration>,
    /// The sequence of small packets beside the download.
    pub echo: EchoSummary,
    /// How the engine came back.
    pub revival: Option<Revival>,
}

/// How the engine came back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Revival {
    /// From its start until all forwarders were connected and all links fresh.
    pub fresh_after: Duration,
    /// Decisions it knew before and does not know now.
    pub decisions_lost: usize,
    /// The download's rate while there was no engine, as a share of the rate just before.
    pub download_share: f64,
}

impl Run {
    /// legacy or pacao1.
    pub(super) fn word(&self) -> &'static str {
        if self.mode == Mode::Auto {
            "pacao1"
        } else {
            "legacy"
        }
    }
}

/// Builds the fabric, plays the table, takes it down.
pub(super) fn measure(timeline: &Timeline, plan: Plan) -> anyhow::Result<Run> {
    let (user, vm) = (UserName::new("paris-001")?, VmName::new("vm-web-07")?);
    let telco = SiteName::new("telco")?;
    let mut file = SessionFile::parse(TABLE_5_1)?;
    file.keep_user(user.as_str())?;
    file.set_span(&["slots", "decide"], timeline.decide)?;
    file.set_span(&["slots", "settle"], timeline.settle)?;
    file.set_span(&["slots", "probe"], timeline.probe)?;
    let session = Session::parse(&file.text()?, "table-5-1")?;
    let fabric = Fabric::of(&session).context("the session has no lab part")?;
    let lab = Lab::start(&fabric, LabOptions::this_program()?, &mut |_| {})?;
    file.set_controls(&lab.controls())?;
    let directory = tempfile::tempdir()?;
    let session_path = directory.path().join("session.yaml");
    std::fs::write(&session_path, file.text()?)?;

    let mut engine = Engine::start(&session_path, &state_in(directory.path()), plan.mode)?;
    engine.wait(Duration::from_secs(20), |told| {
        told.fresh(Timestamp(0)).then_some(())
    })?;

    let server = Server::start(&lab, &vm)?;
    let traffic = Traffic::start(&lab, &user, &server, WINDOW, Some(timeline.end))?;
    let begin = Instant::now();
    let mut run = Run {
        mode: plan.mode,
        impair: plan.impair,
        bytes: 0,
        volume: Vec::new(),
        approved_after: None,
        signalling: None,
        echo: EchoSummary::default(),
        revival: None,
    };
    sleep_until(begin + timeline.stress);
    let stressed_at = now();
    if let Some(impair) = plan.impair {
        lab.stress(&user, &telco, Span::from(impair))?;
    }
    if plan.mode == Mode::Auto {
        let most = Duration::from_secs_f64(timeline.decide.as_secs_f64() * 2.0 + 10.0);
        let (_, approved, confirmed) = engine.wait(most, crate::told::Told::switch)?;
        run.approved_after = Some(approved.since(stressed_at).to_duration());
        run.signalling = Some(confirmed.since(approved).to_duration());
    }
    if plan.kill_engine {
        std::thread::sleep(timeline.decide.to_duration());
        let (revived, revival) = revive(engine, &session_path, directory.path(), &traffic, plan.mode)?;
        engine = revived;
        run.revival = Some(revival);
    }
    sleep_until(begin + timeline.relief);
    lab.relieve(&user, &telco)?;
    let outcome = traffic.finish()?;
    (run.bytes, run.volume, run.echo) = (outcome.bytes, outcome.volume, outcome.echo);
    engine.stop()?;
    let casualties = lab.casualties();
    ensure!(casualties.is_empty(), "processes of the lab died: {casualties:?}");
    lab.stop()?;
    Ok(run)
}

/// Kills the engine, lets the download go on without one for a second, starts another on the same record.
fn revive(
    mut engine: Engine,
    session: &Path,
    directory: &Path,
    traffic: &Traffic,
    mode: Mode,
) -> anyhow::Result<(Engine, Revival)> {
    let known: Vec<Proposal> = engine.told().proposals.values().cloned().collect();
    let before = traffic.rate_over(Duration::from_secs(1))?;
    engine.kill();
    let meanwhile = traffic.rate_over(Duration::from_secs(1))?;
    let (restarted, since) = (Instant::now(), now());
    let mut engine = Engine::start(session, &state_in(directory), mode)?;
    engine.wait(Duration::from_secs(20), |told| told.fresh(since).then_some(()))?;
    let fresh_after = restarted.elapsed();
    let told = engine.told();
    let kept = |old: &&Proposal| {
        told.proposals
            .get(&old.id)
            .is_some_and(|new| new.state == old.state)
    };
    let decisions_lost = known.len() - known.iter().filter(kept).count();
    ensure!(!known.is_empty(), "there was no decision to lose");
    Ok((
        engine,
        Revival {
            fresh_after,
            decisions_lost,
            download_share: meanwhile / before,
        },
    ))
}

fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

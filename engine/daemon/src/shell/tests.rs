//! The shell over a disk that fails. What needs forwarders is in tests/shell.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use proto::{
    Actor, Arming, Command, Disarmed, LogEntry, Mode, Notice, Refusal, Reply, RequestId, Severity, Snapshot,
    Span,
};
use tokio::time::{Duration, timeout};

use super::*;
use crate::paths::{Root, StatePaths};
use crate::record::Chain;
use crate::recorder::Medium;

const SESSION: &str = include_str!("../../../../sessions/two-sites.yaml");

/// A disk that can be full, or break.
struct Disk {
    file: std::fs::File,
    full: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
    /// So many syncs go well yet, broken or not.
    good_syncs: Arc<AtomicU32>,
}

impl Medium for Disk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) {
            // As write(2) does: a part of it fits.
            self.file.append(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let good = self
            .good_syncs
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if self.broken.load(Ordering::Relaxed) && good.is_err() {
            return Err(io::Error::other("broken"));
        }
        self.file.sync()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }
}

struct Bench {
    _folder: tempfile::TempDir,
    record: PathBuf,
    full: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
    good_syncs: Arc<AtomicU32>,
    engine: EngineHandle,
}

/// An engine without forwarders, over such a disk.
fn bench() -> Bench {
    bench_from(Timestamp::default())
}

/// The same, not before a moment.
fn bench_from(earliest: Timestamp) -> Bench {
    bench_kept_by(earliest, Upkeep::default())
}

fn bench_kept_by(earliest: Timestamp, upkeep: Upkeep) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::At(folder.path().to_owned());
    let state = StateDir::open(StatePaths::new(&root, "two-sites").unwrap()).unwrap();
    let record = state.paths().record();
    let config = Session::parse(SESSION, "two-sites.yaml").unwrap().config;
    let mut clock = Clock::start(earliest);
    let now = clock.now();
    drop(Recorder::create(&record, &Header::new(config.clone(), now)).unwrap());
    let (reader, _) = crate::record::Reader::open(&record).unwrap();
    let (chain, length): (Chain, u64) = reader.position();
    let (full, broken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let good_syncs = Arc::new(AtomicU32::new(0));
    let file = std::fs::OpenOptions::new().append(true).open(&record).unwrap();
    let disk = Disk {
        file,
        full: Arc::clone(&full),
        broken: Arc::clone(&broken),
        good_syncs: Arc::clone(&good_syncs),
    };
    let recorder = Recorder::over(Box::new(disk), &record, (length, chain)).kept_by(upkeep);
    let journal = Journal::new(recorder, Arc::new(state));
    let opened = Opened {
        engine: Engine::new(config, now),
        journal,
        clock,
        remarks: vec!["taken up".into()],
    };
    let (arrivals, inbox) = mpsc::channel(INPUTS);
    let (stop, stopped) = oneshot::channel();
    let shell = Shell::new(opened, (inbox, arrivals.downgrade()), JoinSet::new());
    let mut tasks = JoinSet::new();
    tasks.spawn(shell.run(stopped));
    let engine = EngineHandle {
        arrivals,
        stop: Some(stop),
        tasks,
        endpoint: None,
    };
    Bench {
        _folder: folder,
        record,
        full,
        broken,
        good_syncs,
        engine,
    }
}

async fn set_mode(console: &mut Attachment, request: &str, mode: Mode) -> Reply {
    ask(console, request, Command::SetMode { mode }).await
}

async fn ask(console: &mut Attachment, request: &str, command: Command) -> Reply {
    let by = Actor::Operator { name: "ada".into() };
    console
        .ask
        .send((RequestId(request.into()), command, by))
        .await
        .unwrap();
    until(console, |frame| match frame {
        EngineFrame::Reply { reply, .. } => Some(reply),
        _ => None,
    })
    .await
}

/// Reads on until a frame holds what is looked for.
async fn until<T>(console: &mut Attachment, look: impl Fn(EngineFrame) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look(console.frames.recv().await.expect("the engine lives")) {
                return found;
            }
        }
    };
    timeout(Duration::from_secs(3600), found)
        .await
        .expect("within the hour")
}

fn remark(frame: EngineFrame, text: &str, grave: Severity) -> Option<()> {
    let EngineFrame::Notices { notices } = frame else {
        return None;
    };
    let told = |notice: &Notice| {
        matches!(notice, Notice::Log { entry: LogEntry { text: told, severity, .. } }
            if told.contains(text) && *severity == grave)
    };
    notices.iter().any(told).then_some(())
}

async fn snapshot(engine: &EngineHandle) -> Snapshot {
    let mut console = engine.attach().await.unwrap();
    until(&mut console, |frame| match frame {
        EngineFrame::Snapshot { snapshot } => Some(snapshot),
        _ => None,
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_recorded_is_refused_until_the_disk_is_mended() {
    let bench = bench();
    let mut console = bench.engine.attach().await.unwrap();
    assert!(matches!(
        set_mode(&mut console, "1", Mode::Auto).await,
        Reply::Accepted { .. }
    ));

    bench.full.store(true, Ordering::Relaxed);
    let reply = set_mode(&mut console, "2", Mode::Recommend).await;
    assert!(
        matches!(
            reply,
            Reply::Refused {
                refusal: Refusal::NotRecorded { .. }
            }
        ),
        "{reply:?}"
    );
    until(&mut console, |frame| {
        remark(frame, "commands are refused", Severity::Error)
    })
    .await;
    let shown = snapshot(&bench.engine).await;
    assert!(
        matches!(
            shown.policy.arming,
            Arming::Disarmed {
                how: Disarmed::Freeze,
                by: Actor::Engine,
                ..
            }
        ),
        "an engine that cannot write takes its hands off: {:?}",
        shown.policy.arming
    );
    assert!(
        shown
            .log
            .iter()
            .any(|entry| entry.text.contains("commands are refused"))
    );

    bench.full.store(false, Ordering::Relaxed);
    until(&mut console, |frame| {
        remark(frame, "can be written again", Severity::Warning)
    })
    .await;
    let shown = snapshot(&bench.engine).await;
    assert_eq!((shown.mode, shown.policy.arming), (Mode::Auto, Arming::Armed));
    assert!(matches!(
        set_mode(&mut console, "3", Mode::Auto).await,
        Reply::Accepted { .. }
    ));
    bench.engine.shutdown().await.unwrap();

    let report = crate::replay(&bench.record).unwrap();
    assert!(report.identical(), "{:?}", report.first_difference);
    assert_eq!(report.gaps.len(), 1, "{:?}", report.gaps);
    assert_eq!(report.torn, None);
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_for_a_broken_disk_is_not_carried_out_by_the_next_engine() {
    let bench = bench();
    let mut console = bench.engine.attach().await.unwrap();
    assert!(matches!(
        set_mode(&mut console, "1", Mode::Auto).await,
        Reply::Accepted { .. }
    ));
    bench.broken.store(true, Ordering::Relaxed);
    let reply = set_mode(&mut console, "2", Mode::Observe).await;
    assert!(
        matches!(
            reply,
            Reply::Refused {
                refusal: Refusal::NotRecorded { .. }
            }
        ),
        "{reply:?}"
    );
    drop(bench.engine);
    let report = crate::replay(&bench.record).unwrap();
    assert!(report.identical(), "{:?}", report.first_difference);
    let config = Session::parse(SESSION, "two-sites.yaml").unwrap().config;
    assert_eq!(resume(&bench.record, &config).unwrap().engine.mode(), Mode::Auto);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_engine_says_goodbye_and_lets_its_folder_go() {
    let bench = bench();
    let mut console = bench.engine.attach().await.unwrap();
    bench.engine.shutdown().await.unwrap();
    let why = until(&mut console, |frame| match frame {
        EngineFrame::Bye { why } => Some(why),
        _ => None,
    })
    .await;
    assert_eq!(why, "the engine was stopped");
    assert!(console.frames.recv().await.is_none());
    let folder = bench.record.parent().unwrap().parent().unwrap().to_owned();
    StateDir::open(StatePaths::new(&Root::At(folder), "two-sites").unwrap()).unwrap();
    let report = crate::replay(&bench.record).unwrap();
    assert_eq!(
        (report.starts, report.states),
        (1, 1),
        "the last state is written down"
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_goes_on_in_the_old_file_until_a_new_one_can_be_begun_and_both_are_said() {
    let upkeep = Upkeep {
        state_every: 2,
        segment: 0,
        keep: 0,
    };
    let bench = bench_kept_by(Timestamp::default(), upkeep);
    let draft = bench.record.with_extension("draft");
    std::fs::create_dir(&draft).unwrap();
    let mut console = bench.engine.attach().await.unwrap();
    for round in 0..9 {
        let reply = set_mode(&mut console, &format!("a{round}"), Mode::Auto).await;
        assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");
    }
    let said = |entry: &&LogEntry| entry.text.contains("does not go on in a new file");
    assert_eq!(snapshot(&bench.engine).await.log.iter().filter(said).count(), 1);
    assert_eq!(crate::replay(&bench.record).unwrap().carried_from, None);

    std::fs::remove_dir(&draft).unwrap();
    for round in 0..60 {
        // No two files of one moment.
        tokio::time::sleep(Duration::from_millis(1)).await;
        set_mode(&mut console, &format!("b{round}"), Mode::Auto).await;
    }
    let removed = |entry: &&LogEntry| entry.text.contains("was removed: it was the oldest file");
    let log = snapshot(&bench.engine).await.log;
    assert!(log.iter().filter(removed).count() > 0, "{log:#?}");
    bench.engine.shutdown().await.unwrap();
    let report = crate::replay_from_first(&bench.record).unwrap();
    assert!(report.identical(), "{:?}", report.first_difference);
    assert_eq!(report.records.len(), 2, "the last full file stays: {report:?}");
}

#[tokio::test(start_paused = true)]
async fn remarks_of_the_start_are_in_the_log() {
    let bench = bench();
    let shown = snapshot(&bench.engine).await;
    assert!(shown.log.iter().any(|entry| entry.text == "taken up"));
}

#[tokio::test(start_paused = true)]
async fn engine_time_that_is_ahead_of_the_systems_clock_is_said_and_shown() {
    let bench = bench();
    assert_eq!(snapshot(&bench.engine).await.clock_ahead, Span::ZERO);
    let mut clock = Clock::start(Timestamp::default());
    let bench = bench_from(clock.now() + Span::secs(86_400));
    let mut console = bench.engine.attach().await.unwrap();
    set_mode(&mut console, "1", Mode::Auto).await;
    let shown = snapshot(&bench.engine).await;
    assert!(shown.clock_ahead > Span::secs(86_000), "{:?}", shown.clock_ahead);
    let said = |entry: &LogEntry| {
        entry.severity == Severity::Error && entry.text.contains("ahead of the system's clock")
    };
    assert_eq!(shown.log.iter().filter(|entry| said(entry)).count(), 1, "once");
}

mod mended;

//! What stands on the disk when an engine starts, and when it is gone.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command as Process, Stdio};

use engine::{EngineError, Start, Upkeep, replay, replay_from_first};
use proto::{Command, Mode};

use crate::bench::{Bench, ask, paths_in, snapshot, until_measured};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_was_answered_is_never_lost() {
    let bench = Bench::new(Mode::Recommend);
    for (round, mode) in [Mode::Auto, Mode::Observe, Mode::Recommend, Mode::Auto]
        .into_iter()
        .enumerate()
    {
        let engine = bench.engine().await;
        let mut console = engine.attach().await.unwrap();
        ask(&mut console, &format!("mode-{round}"), Command::SetMode { mode }).await;
        // Killed with the answer hardly out.
        drop(engine);
        let engine = bench.engine().await;
        assert_eq!(snapshot(&engine).await.mode, mode);
    }
    let report = replay(&bench.record()).unwrap();
    assert!(report.identical(), "{:?}", report.first_difference);
    assert_eq!(report.starts, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_was_torn_off_is_cut_and_said_so() {
    let bench = Bench::new(Mode::Recommend);
    let engine = bench.engine().await;
    until_measured(&engine).await;
    engine.shutdown().await.unwrap();
    let whole = fs::read_to_string(bench.record()).unwrap();
    let mut file = OpenOptions::new().append(true).open(bench.record()).unwrap();
    file.write_all(b"{\"at\":17000000,\"input\":{\"inp").unwrap();

    let engine = bench.engine().await;
    let log = snapshot(&engine).await.log;
    assert!(
        log.iter()
            .any(|entry| entry.text.contains("was not finished and has been cut")),
        "{log:?}"
    );
    engine.shutdown().await.unwrap();
    assert!(fs::read_to_string(bench.record()).unwrap().starts_with(&whole));
    let report = replay(&bench.record()).unwrap();
    assert!(report.identical() && report.starts == 2, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_does_not_go_on_with_a_record_that_was_changed() {
    let bench = Bench::new(Mode::Recommend);
    let engine = bench.engine().await;
    until_measured(&engine).await;
    engine.shutdown().await.unwrap();
    let whole = fs::read_to_string(bench.record()).unwrap();
    let line = whole
        .lines()
        .position(|line| line.contains("\"rtt\":") && !line.contains("pacao-record"))
        .unwrap()
        + 1;
    let changed: String = whole
        .lines()
        .enumerate()
        .map(|(at, text)| {
            if at + 1 == line {
                text.replacen("rtt", "RTT", 1) + "\n"
            } else {
                format!("{text}\n")
            }
        })
        .collect();
    fs::write(bench.record(), &changed).unwrap();
    let told = bench.try_engine(|_| ()).await.unwrap_err().to_string();
    assert!(
        told.contains(&format!(
            "record.jsonl:{line}: the record was changed or damaged here"
        )),
        "{told}"
    );
    assert_eq!(
        fs::read_to_string(bench.record()).unwrap(),
        changed,
        "nothing was touched"
    );

    let engine = bench
        .try_engine(|options| options.start = Start::Fresh)
        .await
        .unwrap();
    engine.shutdown().await.unwrap();
    assert_eq!(replay(&bench.record()).unwrap().starts, 1);
    let kept = fs::read_dir(bench.paths().folder())
        .unwrap()
        .any(|entry| fs::read_to_string(entry.unwrap().path()).is_ok_and(|text| text == changed));
    assert!(kept, "the old record is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_centre_without_a_control_socket_keeps_the_engine_from_starting() {
    let mut bench = Bench::new(Mode::Recommend);
    bench.session.controls.remove("south");
    let error = bench.try_engine(|_| ()).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::NoControl { site } if site.as_str() == "south"),
        "{error}"
    );
}

/// Set for the child that is killed: the folder of its bench.
const CHILD: &str = "PACAO_TEST_KILLED_ENGINE";
/// Set too if its record goes on in another file every now and then.
const TURNING: &str = "PACAO_TEST_TURNING";

/// Not a test by itself: the other end of those that kill an engine. Sets the mode again and again and prints every answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as the child of another test"]
async fn an_engine_to_be_killed() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    let bench = Bench::at(folder.as_ref(), Mode::Recommend);
    let turning = |options: &mut engine::Options| {
        if std::env::var_os(TURNING).is_some() {
            options.upkeep = Upkeep {
                state_every: 2,
                segment: 0,
                ..Upkeep::default()
            };
        }
    };
    let engine = bench.try_engine(turning).await.unwrap();
    let mut console = engine.attach().await.unwrap();
    let start = std::process::id();
    for round in 0.. {
        let mode = [Mode::Observe, Mode::Recommend, Mode::Auto][round % 3];
        ask(
            &mut console,
            &format!("{start}-{round}"),
            Command::SetMode { mode },
        )
        .await;
        let mut out = std::io::stdout().lock();
        writeln!(out, "answered {mode}").unwrap();
        out.flush().unwrap();
    }
}

/// Kills such an engine after so many answers; the last of them.
fn killed_after(answers: usize, folder: &Path, turning: Option<&str>) -> String {
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "record::an_engine_to_be_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(CHILD, folder)
        .envs(turning.map(|value| (TURNING, value)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answer = |line: String| line.split("answered ").nth(1).map(str::to_owned);
    let mut last = None;
    for _ in 0..answers {
        last = lines.by_ref().map_while(Result::ok).find_map(answer);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Answers that were on their way when it died count as well.
    last = lines.map_while(Result::ok).filter_map(answer).last().or(last);
    last.expect("the child answered")
}

fn assert_recorded(mode: &str, text: &str) {
    let asked = |line: &&str| line.contains("\"command\":\"set-mode\"");
    // What was asked after the last answer may be on the record too, unanswered.
    let recorded: Vec<&str> = text.lines().rev().filter(asked).take(2).collect();
    let mode = format!("\"mode\":\"{mode}\"");
    assert!(
        recorded.iter().any(|line| line.contains(&mode)),
        "{mode} is not in {recorded:?}"
    );
}

#[test]
fn an_engine_killed_at_any_moment_has_recorded_what_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let record = paths_in(folder.path()).record();
    for round in 0..8 {
        let last = killed_after(round * 7 + 1, folder.path(), None);
        let report = replay(&record).unwrap();
        assert!(report.identical(), "{:?}", report.first_difference);
        assert_eq!(report.starts, round as u64 + 1);
        assert_recorded(&last, &fs::read_to_string(&record).unwrap());
    }
}

#[test]
fn an_engine_killed_while_its_record_goes_from_file_to_file_goes_on_from_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let record = paths_in(folder.path()).record();
    for round in 0..6 {
        let last = killed_after(round * 11 + 40, folder.path(), Some("1"));
        let report = replay_from_first(&record).unwrap();
        assert!(report.identical(), "{:?}", report.first_difference);
        assert_eq!((report.starts, report.carried_from), (round as u64 + 1, None));
        assert!(report.records.len() > 2 * round + 1, "{:?}", report.records);
        let all = report
            .records
            .iter()
            .map(|path| fs::read_to_string(path).unwrap());
        assert_recorded(&last, &all.collect::<String>());
    }
}

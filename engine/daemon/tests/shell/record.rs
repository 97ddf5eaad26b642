//! What stands on the disk when an engine starts, and when it is gone.

use std::fs::{self, OpenOptions};
use std::io::Write;

use engine::{EngineError, Start, replay};
use proto::{Command, Mode};

use crate::bench::{Bench, ask, snapshot, until_measured};

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

//! An EID moves, clients near and far are told: by Change-Priority and by publication sooner than by solicitation. The
//! order only; how many milliseconds it takes is the bench's own matter, on a machine that has nothing else to do.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use serde_json::Value;
use system_tests::product::pacao;

const CLIENTS: [&str; 3] = ["inria", "ufrj", "vnu"];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// The median of a measure for one way and client.
fn median(whole: &Value, measure: &str, way: &str, client: &str) -> f64 {
    let figures = whole["figures"].as_array().unwrap();
    let figure = figures
        .iter()
        .find(|figure| figure["measure"] == measure)
        .unwrap();
    let rows = figure["rows"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["way"] == way && row["client"] == client);
    number(&row.unwrap()["boxplot"]["median"])
}

#[test]
fn change_priority_and_publications_tell_every_client_sooner_than_solicitations_and_nothing_dies() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = pacao([
        "bench",
        "handover",
        "--way",
        "smr,cp,pubsub",
        "--runs",
        "3",
        "--json",
        "--svg",
    ])
    .unwrap();
    let output = command.arg(folder.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let whole: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    for client in CLIENTS {
        let [cp, pubsub, smr] = ["cp", "pubsub", "smr"].map(|way| median(&whole, "convergence", way, client));
        // Which of the first two is ahead is a matter of some milliseconds, and so the bench's own.
        assert!(
            cp < smr && pubsub < smr,
            "{client}: cp {cp} ms, pubsub {pubsub} ms, smr {smr} ms\n{errors}"
        );
        assert!(
            median(&whole, "lost", "smr", client) >= 1.0,
            "{client}: nothing was lost, so nothing moved\n{errors}"
        );
    }
    let checks = whole["checks"].as_array().unwrap();
    for none in [
        "processes that died",
        "cp: clients told otherwise, of 9",
        "pubsub: clients told otherwise, of 9",
        "smr: clients told otherwise, of 9",
    ] {
        let check = checks.iter().find(|check| check["name"] == none).unwrap();
        assert!(number(&check["value"]) < 0.5, "{none}: {whole}\n{errors}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        5,
        "one drawing a measure"
    );
}

#[test]
fn a_prepared_move_tells_clients_sooner_than_any_other_way_and_loses_nothing() {
    let mut command = pacao([
        "bench",
        "handover",
        "--way",
        "prepared,cp,smr",
        "--runs",
        "2",
        "--json",
    ])
    .unwrap();
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let whole: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    for client in CLIENTS {
        let [prepared, cp, smr] =
            ["prepared", "cp", "smr"].map(|way| median(&whole, "convergence", way, client));
        assert!(
            prepared < cp && cp < smr,
            "{client}: prepared {prepared} ms, cp {cp} ms, smr {smr} ms\n{errors}"
        );
        assert!(
            median(&whole, "lost", "cp", client) >= 1.0,
            "{client}: nothing was lost, so nothing stood still\n{errors}"
        );
    }
    let checks = whole["checks"].as_array().unwrap();
    for none in [
        "processes that died",
        "prepared: lost probes of all clients and moves",
        "prepared: clients told otherwise, of 6",
    ] {
        let check = checks.iter().find(|check| check["name"] == none).unwrap();
        assert!(number(&check["value"]) < 0.5, "{none}: {whole}\n{errors}");
    }
}

//! A small country, simulated by the program as it ships.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fmt::Write;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use system_tests::product::pacao;

fn simulate(arguments: &[&str]) -> Output {
    let mut command = pacao(["simulate"]).unwrap();
    command.args(arguments).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn first_line(directory: &Path, file: &str) -> String {
    let text = std::fs::read_to_string(directory.join(file)).unwrap();
    text.lines().next().unwrap().to_owned()
}

#[test]
fn a_small_country_gives_every_figure_alike_on_one_thread_and_on_three() {
    let folder = tempfile::tempdir().unwrap();
    let all = |threads: &str| {
        let out = folder.path().join(threads);
        let path = out.to_str().unwrap();
        let run = simulate(&[
            "--users",
            "300",
            "--seed",
            "3",
            "--threads",
            threads,
            "--json",
            "--out",
            path,
        ]);
        assert!(run.status.success(), "{}", errors(&run));
        assert!(
            run.stderr.is_empty(),
            "no bar where there is no terminal: {}",
            errors(&run)
        );
        (out, run.stdout)
    };
    let (one, said) = all("1");
    let (three, also_said) = all("3");
    assert_eq!(said, also_said);
    for name in std::fs::read_dir(&one)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
    {
        let read = |directory: &Path| std::fs::read(directory.join(&name)).unwrap();
        assert!(read(&one) == read(&three), "{name:?}");
    }
    for (file, head) in [
        ("areas.csv", "area,lat,lon"),
        ("dcs.csv", "area,lat,lon"),
        ("traces.csv", "user,time,area"),
        ("figure-5.13.csv", "between,share,rtt_ms"),
        (
            "figure-5.14.csv",
            "bound,bound_ms,dcs,s1_share,s2_share,median_rtt_ms,legacy_median_rtt_ms",
        ),
        ("figure-5.16.csv", "scheme,share,throughput_mbps,rtt_ms"),
        ("figure-5.18.csv", "dcs,way,share,rtt_ms"),
        ("figure-5.19.csv", "dc,lat,lon,users_alone,users_aware,capacity"),
    ] {
        assert_eq!(first_line(&one, file), head, "{file}");
        if let Some(figure) = file
            .strip_suffix(".csv")
            .filter(|name| name.starts_with("figure"))
        {
            assert!(
                first_line(&one, &format!("{figure}.svg")).starts_with("<svg "),
                "{figure}"
            );
        }
    }
    let report: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(report["users"], 300);
    assert!(
        report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|check| check["holds"] == true)
    );
    assert!(report["findings"].as_array().unwrap().len() >= 10);

    // What was written can be read again, and is simulated alike.
    let file = |name: &str| one.join(name).to_str().unwrap().to_owned();
    let (traces, areas) = (file("traces.csv"), file("areas.csv"));
    let again = [
        "--traces", &traces, "--areas", &areas, "--seed", "3", "--figure", "5.16", "--json",
    ];
    let again = simulate(&again);
    assert!(again.status.success(), "{}", errors(&again));
    assert_eq!(
        serde_json::from_slice::<Value>(&again.stdout).unwrap()["users"],
        300
    );
}

#[test]
fn bad_input_is_named_by_file_line_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let path = path.to_str().unwrap();
    for (text, said) in [
        (
            "user,time,lat,lon\na,06:00,91,2\n",
            "t.csv:2: lat: '91' is not a number of degrees from -90 to 90",
        ),
        (
            "user,time,area\na,06:00,atlantis-1\n",
            "t.csv:2: area: there is no area 'atlantis-1'",
        ),
        (
            "who,when\n",
            "t.csv:1: the fields are 'who,when', they must be user,time,lat,lon or user,time,area",
        ),
        (
            "user,time,lat,lon\na,06:00,48,2\na,07:00,48,2\n",
            "no trajectory is left",
        ),
        (
            "user,time,lat,lon\na,06:00,48,2\na,07:00,40.71,-74.01\n",
            "t.csv:3: lat,lon: 40.71, -74.01 is ",
        ),
        (
            "user,time,lat,lon\na,06:00,48,2\na,07:00,52.52,13.4\n",
            "km is the most: give areas of your own with --areas",
        ),
    ] {
        std::fs::write(path, text).unwrap();
        let output = simulate(&["--traces", path]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(errors(&output).contains(said), "{}", errors(&output));
    }
    for (arguments, said) in [
        (
            &["--figure", "5.14", "--preset", "europe-ott"][..],
            "Figure 5.14 is that of --preset france-isp",
        ),
        (&["--slots", "36s,6m"], "S'' must be shorter than S'"),
        (&["--bound", "soft"], "use strict, median, loose, or milliseconds"),
        (&["--dcs", "65"], "65 is not in 1..=64"),
        (&["--traces", "/nowhere.csv"], "/nowhere.csv"),
    ] {
        let output = simulate(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(errors(&output).contains(said), "{}", errors(&output));
    }
}

/// A day of five users in four areas, from seven to nine in the evening.
fn evening(folder: &Path) -> (String, String) {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut text = "user,time,lat,lon\n".to_owned();
    for user in 0..5 {
        for (minute, (lat, lon)) in [
            (0, (48.9, 2.4)),
            (30, (45.8, 4.8)),
            (60, (43.3, 5.4)),
            (90, (50.6, 3.1)),
        ] {
            let time = 19 * 3600 + 60 * minute;
            let _ = writeln!(text, "u{user},{time},{lat},{lon}");
        }
        let _ = writeln!(text, "u{user},{},50.6,3.1", 21 * 3600);
    }
    let areas = "area,lat,lon\nparis,48.9,2.4\nlyon,45.8,4.8\nmarseille,43.3,5.4\nlille,50.6,3.1\n";
    (file("evening.csv", &text), file("four.csv", areas))
}

#[test]
fn nobody_at_noon_is_placed_at_the_busiest_moment_and_no_finding_is_made_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (traces, areas) = evening(folder.path());
    let run = simulate(&["--traces", &traces, "--areas", &areas, "--json"]);
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert!(run.status.success(), "{}", errors(&run));
    let checks = report["checks"].as_array().unwrap();
    let there = checks
        .iter()
        .find(|check| check["name"] == "5.18: users at 19:00")
        .unwrap();
    assert_eq!(there["value"], 5.0);
    for finding in report["findings"].as_array().unwrap() {
        assert!(finding["value"].is_f64(), "{finding}");
        assert!(finding["agrees_if"].is_string(), "{finding}");
    }
    let said = String::from_utf8(simulate(&["--traces", &traces, "--areas", &areas]).stdout).unwrap();
    assert!(!said.contains("NaN") && !said.contains("inf "), "{said}");

    let one = folder.path().join("one.csv");
    std::fs::write(&one, "area,lat,lon\nparis,48.9,2.4\n").unwrap();
    let run = simulate(&[
        "--traces",
        &traces,
        "--areas",
        one.to_str().unwrap(),
        "--min-areas",
        "1",
        "--figure",
        "5.18",
    ]);
    assert_eq!(run.status.code(), Some(2));
    assert!(errors(&run).contains("give more areas"), "{}", errors(&run));
}

#[test]
fn a_whole_way_is_never_left_for_a_longer_one() {
    let pacao1 = |watch: &str| {
        let run = simulate(&["--users", "300", "--figure", "5.16", "--watch", watch, "--json"]);
        assert!(run.status.success(), "{}", errors(&run));
        let report: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(report["watch"], watch);
        let findings = report["findings"].as_array().unwrap();
        let of = |finding: &&Value| finding["name"] == "median throughput, pacao1 over legacy";
        let finding = findings.iter().find(of).unwrap();
        // A gain of nothing is not what the thesis says.
        assert_eq!(finding["agrees"], false);
        finding["value"].as_f64().unwrap()
    };
    assert!(pacao1("leg") < -0.5, "a detour by the user's leg alone");
    assert!(pacao1("way").abs() < 1e-9);
}

//! A small country, simulated by the program as it ships.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

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

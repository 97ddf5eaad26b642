//! Benches that are run at a small size, so that they go on working: ahead of OpenOverlayRouter in both kinds of traffic, measured
//! beside it in the same run; and a Map-Server with registrations and subscribers.

use serde_json::Value;
use system_tests::product::pacao;

#[test]
fn the_forwarder_is_ahead_of_openoverlayrouter() {
    let output = pacao([
        "bench",
        "forward",
        "--peers",
        "oor,vxlan",
        "--rounds",
        "3",
        "--seconds",
        "2",
        "--json",
    ])
    .unwrap()
    .output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let whole: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    assert!(output.status.success(), "{whole:#}\n{errors}");
    let ratios = whole["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["unit"] == "ratio")
        .count();
    assert_eq!(ratios, 4);
}

#[test]
fn a_map_server_holds_its_registrations_and_tells_its_subscribers_of_every_change() {
    let output = pacao([
        "bench",
        "pubsub",
        "--registrations",
        "2000",
        "--subscriptions",
        "1500",
        "--subscribers",
        "100",
        "--json",
    ])
    .unwrap()
    .output()
    .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let whole: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    let checks = whole["checks"].as_array().unwrap();
    let value = |name: &str| {
        let check = checks.iter().find(|check| check["name"] == name);
        check.unwrap_or_else(|| panic!("{name}: {whole:#}"))["value"].as_f64()
    };
    assert_eq!(value("registrations at the node"), Some(2000.0));
    assert_eq!(value("subscriptions at the node"), Some(1500.0));
    assert_eq!(
        value("publications without an acknowledgement"),
        Some(0.0),
        "{whole:#}"
    );
    assert_eq!(value("subscribers given up"), Some(0.0), "{whole:#}");
    // How soon is for a machine that has nothing else to do.
    for figure in [
        "memory a registration",
        "memory a subscription",
        "a change with at most one subscriber, median",
        "a change reaches 100 subscribers, median",
    ] {
        assert!(
            value(figure).is_some_and(|value| value >= 0.0),
            "{figure}: {whole:#}"
        );
    }
}

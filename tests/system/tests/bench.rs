//! Ahead of OpenOverlayRouter in both kinds of traffic, measured beside it in the same run.

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

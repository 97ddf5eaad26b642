//! Sessions: good ones mean what they say, bad ones are told where.

// The helpers of tests are tests: they may unwrap.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use engine::Session;
use engine::session::{BitRate, ByteSize, Queue, check};
use proto::Span;

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sessions");
    yaml_files(&folder)
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_shipped_session_is_good() {
    let files = shipped();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        assert_eq!(check(&file).unwrap(), [], "{}", file.display());
    }
}

#[test]
fn table_5_1_says_what_the_thesis_says() {
    let file = shipped()
        .into_iter()
        .find(|path| path.ends_with("table-5-1.yaml"))
        .unwrap();
    let session = Session::read(&file).unwrap();
    assert_eq!(session.config.slots.decide, Span::secs(10));
    assert_eq!(
        session.config.users["paris-001"].vms["vm-web-07"].as_str(),
        "telco"
    );
    let lab = session.lab.unwrap();
    assert_eq!(lab.wan.between("paris-001", "marilyn").rtt, Span::millis(35));
    assert_eq!(lab.wan.between("telco", "paris-001").rtt, Span::millis(37));
    assert_eq!(
        lab.wan.between("paris-001", "lyon-042").rtt,
        Span::millis(20),
        "the default"
    );
    assert_eq!(lab.fabric.between("telco", "marilyn").rtt, Span::millis(1));
    let line = lab.wan.access["paris-001"];
    assert_eq!(
        (line.rate, line.queue, line.buffer),
        (BitRate(8_000_000), Queue::Fair, ByteSize(262_144))
    );
}

#[test]
fn every_bad_session_is_told_what_is_wrong_and_where() {
    let files = yaml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid"));
    assert!(files.len() >= 12, "{files:?}");
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let told = Session::parse(&text, &format!("{name}.yaml"))
            .expect_err(&name)
            .to_string();
        insta::assert_snapshot!(name, told);
    }
}

#[test]
fn a_session_that_is_not_there_is_an_error_and_not_a_finding() {
    let told = check(Path::new("/nonexistent/session.yaml"))
        .unwrap_err()
        .to_string();
    assert!(
        told.starts_with("/nonexistent/session.yaml: the session cannot be read"),
        "{told}"
    );
}

mod mutated {
    use super::Session;
    use proptest::prelude::*;

    const GOOD: &str = include_str!("../../../sessions/table-5-1.yaml");

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn no_change_of_the_text_makes_the_reader_panic(
            cuts in proptest::collection::vec((0..GOOD.len(), 0usize..12, "[ -~\n\t\u{e9}]{0,6}"), 1..6)
        ) {
            let mut text = GOOD.to_owned();
            for (start, length, put) in cuts {
                let mut start = start.min(text.len());
                while !text.is_char_boundary(start) { start -= 1; }
                let mut end = (start + length).min(text.len());
                while !text.is_char_boundary(end) { end += 1; }
                text.replace_range(start..end, &put);
            }
            let lines = text.lines().count().max(1) + 1;
            match Session::parse(&text, "mutated.yaml") {
                Ok(session) => prop_assert!(!session.config.sites.is_empty()),
                Err(engine::session::SessionError::Invalid { findings }) => {
                    prop_assert!(!findings.is_empty());
                    for finding in findings {
                        prop_assert!((1..=lines).contains(&finding.line), "{finding}");
                        prop_assert!(finding.column >= 1, "{finding}");
                    }
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}

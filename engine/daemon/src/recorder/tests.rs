use std::fs;
use std::os::unix::fs::PermissionsExt;

use proto::{Actor, Command, Mode, NodeReport, ProbeOutcome, ProbeSample, RequestId, SiteName, Span};

use super::*;
use crate::replay;
use crate::session::Session;

const SESSION: &str = include_str!("../../../../sessions/two-sites.yaml");
const START: Timestamp = Timestamp(1_700_000_000_000_000);

struct Written {
    _folder: tempfile::TempDir,
    path: PathBuf,
    engine: Engine,
    recorder: Recorder,
    now: Timestamp,
}

impl Written {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.jsonl");
        let config = Session::parse(SESSION, "two-sites.yaml").unwrap().config;
        let recorder = Recorder::create(&path, &Header::new(config.clone(), START)).unwrap();
        let engine = Engine::new(config, START);
        let mut written = Self {
            _folder: folder,
            path,
            engine,
            recorder,
            now: START,
        };
        written.take(Input::Started);
        written
    }

    fn take(&mut self, input: Input) {
        self.now = self.now + Span::millis(200);
        self.recorder.input(self.now, &input).unwrap();
        let effects = self.engine.handle(input, self.now);
        let decided: Vec<&Effect> = pacao_core::decisions(&effects).collect();
        if !decided.is_empty() {
            self.recorder.decisions(self.now, &decided).unwrap();
        }
    }

    /// Two seconds of probes by both forwarders, and a change of mode.
    fn a_while(&mut self) {
        for site in ["north", "south"] {
            self.take(Input::NodeUp {
                site: SiteName::new(site).unwrap(),
            });
        }
        for round in 0..10 {
            for (site, rtt) in [("north", 20_123 + round * 77), ("south", 30_007)] {
                let sample = ProbeSample {
                    target: lisp_wire::Rloc([172, 16, 1, 1].into()),
                    sent_at: self.now,
                    outcome: if round == 7 {
                        ProbeOutcome::Lost
                    } else {
                        ProbeOutcome::Rtt(Span(rtt))
                    },
                };
                let report = NodeReport::Probes {
                    samples: vec![sample],
                };
                self.take(Input::Report {
                    site: SiteName::new(site).unwrap(),
                    report,
                });
            }
        }
        let by = Actor::Operator { name: "ada".into() };
        let command = Command::SetMode { mode: Mode::Auto };
        self.take(Input::Command {
            request: RequestId(format!("r-{}", self.now.micros())),
            by,
            command,
        });
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    fn text_lossy(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.path).unwrap()).into_owned()
    }

    fn resumed(&self) -> Result<resume::Resumed, RecordError> {
        resume(&self.path, self.engine.config())
    }
}

#[test]
fn a_record_gives_back_the_engine_it_was_written_by() {
    let mut written = Written::new();
    written.a_while();
    written.recorder.commit().unwrap();
    let resumed = written.resumed().unwrap();
    assert_eq!(resumed.engine, written.engine);
    assert_eq!((resumed.last, resumed.torn), (written.now, None));

    written.recorder.state(written.now, &written.engine).unwrap();
    written.a_while();
    written.recorder.commit().unwrap();
    assert_eq!(
        written.resumed().unwrap().engine,
        written.engine,
        "from a state and what came later"
    );
}

#[test]
fn a_replay_repeats_every_decision_over_states_and_restarts() {
    let mut written = Written::new();
    written.a_while();
    written.recorder.state(written.now, &written.engine).unwrap();
    written.a_while();
    written.recorder.commit().unwrap();
    let resumed = written.resumed().unwrap();
    (written.engine, written.recorder) = (resumed.engine, resumed.recorder);
    written.take(Input::Started);
    written.a_while();
    written.recorder.commit().unwrap();
    let report = replay(&written.path).unwrap();
    assert!(report.identical(), "{:?}", report.first_difference);
    assert_eq!((report.starts, report.states), (2, 1));
    assert_eq!(report.inputs, 2 + 3 * 23);
    assert!(
        report.decisions >= 3,
        "at least one reply a change of mode: {}",
        report.decisions
    );
}

#[test]
fn a_record_is_for_its_owner_only_and_never_overwritten() {
    let mut written = Written::new();
    written.recorder.commit().unwrap();
    assert_eq!(
        fs::metadata(&written.path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let before = written.text();
    let later = START + Span::secs(9);
    Recorder::create(
        &written.path,
        &Header::new(written.engine.config().clone(), later),
    )
    .unwrap();
    let aside = written
        .path
        .with_file_name(format!("record-until-{}.jsonl", later.micros()));
    assert_eq!(fs::read_to_string(aside).unwrap(), before);
    assert_eq!(written.text().lines().count(), 1);
}

#[test]
fn wherever_the_writer_was_killed_what_was_whole_before_is_read() {
    let mut written = Written::new();
    written.take(Input::Tick);
    written.take(Input::Tick);
    written.recorder.commit().unwrap();
    let whole = written.text();
    let first = whole.find('\n').unwrap() + 1;
    for length in first..whole.len() {
        fs::write(&written.path, &whole.as_bytes()[..length]).unwrap();
        let lines = whole[..length].matches('\n').count() as u64;
        let resumed = written.resumed().unwrap();
        let torn = !whole[..length].ends_with('\n');
        assert_eq!(
            resumed.torn.map(|torn| torn.line),
            torn.then_some(lines + 1),
            "at {length}"
        );
        let report = replay(&written.path).unwrap();
        assert!(
            report.identical() && report.torn.is_none(),
            "the torn line is cut: {report:?}"
        );
    }
}

#[test]
fn zeros_of_a_lost_page_at_the_end_are_cut_and_in_the_midst_told() {
    let mut written = Written::new();
    written.take(Input::Tick);
    written.recorder.commit().unwrap();
    let whole = written.text();
    fs::write(&written.path, format!("{whole}\0\0\0\0\n")).unwrap();
    let mut resumed = written.resumed().unwrap();
    assert_eq!(resumed.torn.map(|torn| torn.bytes), Some(5));
    resumed.recorder.input(written.now, &Input::Started).unwrap();
    resumed.recorder.commit().unwrap();
    assert!(replay(&written.path).unwrap().identical());

    fs::write(
        &written.path,
        format!("{}\0\0\0\0\n{}", whole, whole.lines().nth(1).unwrap()),
    )
    .unwrap();
    assert!(matches!(written.resumed(), Err(RecordError::Damaged { .. })));
}

#[test]
fn a_change_of_any_line_is_told_with_its_number() {
    let mut written = Written::new();
    written.a_while();
    written.recorder.commit().unwrap();
    let whole = written.text();
    let lines: Vec<&str> = whole.lines().collect();
    for number in 2..=lines.len() {
        let mut changed: Vec<String> = lines.iter().map(ToString::to_string).collect();
        changed[number - 1] = changed[number - 1].replacen("\"at\":17", "\"at\":18", 1);
        fs::write(&written.path, changed.join("\n") + "\n").unwrap();
        let told = replay(&written.path).unwrap_err().to_string();
        assert!(told.contains(&format!("record.jsonl:{number}: ")), "{told}");
        let mut missing = lines.clone();
        missing.remove(number - 1);
        fs::write(&written.path, missing.join("\n") + "\n").unwrap();
        if number < lines.len() {
            let told = written.resumed().err().unwrap().to_string();
            assert!(told.contains(&format!("record.jsonl:{number}: ")), "{told}");
        }
    }
}

#[test]
fn a_decision_that_comes_out_otherwise_is_shown() {
    let mut written = Written::new();
    written.take(Input::Tick);
    let notice = proto::Notice::Mode { mode: Mode::Auto };
    written
        .recorder
        .decisions(written.now, &[&Effect::Notify { notice }])
        .unwrap();
    written.take(Input::Tick);
    written.recorder.commit().unwrap();
    let report = replay(&written.path).unwrap();
    let difference = report.first_difference.unwrap();
    assert_eq!((difference.line, difference.repeated), (4, None));
    assert!(difference.recorded.unwrap().contains("auto"));
}

#[test]
fn other_files_are_not_taken_for_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for text in [
        "",
        "\n",
        "{}",
        "{}\n",
        "hello\nworld\n",
        "{\"format\":\"pacao-record\",\"version\":1}\n",
    ] {
        fs::write(&path, text).unwrap();
        assert!(
            matches!(replay(&path), Err(RecordError::NotARecord { .. })),
            "{text:?}"
        );
    }
    assert!(matches!(replay(folder.path()), Err(RecordError::Io { .. })));
}

mod edited;
mod large;
mod readable;
mod segments;

mod flipped {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn no_single_flipped_bit_passes_unseen(place in 0.0..1.0f64, bit in 0u32..8) {
            let mut written = Written::new();
            written.take(Input::Tick);
            written.a_while();
            written.recorder.commit().unwrap();
            let mut bytes = fs::read(&written.path).unwrap();
            let at = (bytes.len() as f64 * place) as usize;
            bytes[at] ^= 1 << bit;
            fs::write(&written.path, &bytes).unwrap();
            match replay(&written.path) {
                Err(_) => {}
                // Only what was written last can be taken for torn.
                Ok(report) => {
                    let torn = report.torn.expect("neither an error nor torn");
                    prop_assert_eq!(torn.line, written.text_lossy().lines().count() as u64);
                }
            }
        }
    }
}

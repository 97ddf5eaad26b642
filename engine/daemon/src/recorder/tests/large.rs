//! Entries too large for a line.

use proptest::prelude::*;

use super::*;
use crate::record::{Entry, Next, Reader};

/// With lines of so few bytes every entry is large.
fn divided(piece: usize) -> Written {
    let mut written = Written::new();
    written.recorder.piece = piece;
    written.a_while();
    written.recorder.state(written.now, &written.engine).unwrap();
    written.a_while();
    written.recorder.commit().unwrap();
    written
}

#[test]
fn what_is_too_large_for_a_line_goes_over_several_and_reads_as_it_was() {
    let (whole, divided) = (divided(PIECE), divided(300));
    let longest = |text: &str| text.lines().skip(2).map(str::len).max().unwrap();
    assert!(longest(&whole.text()) > 2_000, "{}", longest(&whole.text()));
    assert!(longest(&divided.text()) < 700, "{}", longest(&divided.text()));
    assert_eq!(entries(&divided.path), entries(&whole.path));
    assert_eq!(divided.resumed().unwrap().engine, whole.engine);
    let report = replay(&divided.path).unwrap();
    assert!(report.identical(), "{:?}", report.first_difference);
    let like = replay(&whole.path).unwrap();
    assert_eq!(
        (report.inputs, report.decisions, report.states),
        (like.inputs, like.decisions, like.states)
    );
}

fn entries(path: &Path) -> Vec<String> {
    let (mut reader, _) = Reader::open(path).unwrap();
    let mut read = Vec::new();
    while let Next::Entry(entry) = reader.next().unwrap() {
        read.push(format!("{entry:?}"));
    }
    read
}

/// As if it had never been begun: what is decided upon an input is done only once all of it is on the disk.
#[test]
fn an_entry_without_all_its_lines_is_torn_wherever_the_writer_was_killed() {
    let written = divided(700);
    let whole = written.text();
    let mut ends = vec![(whole.find('\n').unwrap() + 1, 1)];
    let (mut reader, _) = Reader::open(&written.path).unwrap();
    while let Next::Entry(_) = reader.next().unwrap() {
        ends.push((reader.position().1 as usize, reader.line()));
    }
    assert_eq!(ends.last().unwrap().0, whole.len());
    // All around the ends of lines, and here and there between.
    let lines = whole.match_indices('\n').map(|(at, _)| at + 1);
    let lengths = lines
        .flat_map(|end| [end - 1, end, end + 1])
        .chain((0..whole.len()).step_by(997));
    for length in lengths.filter(|&length| length >= ends[0].0 && length <= whole.len()) {
        fs::write(&written.path, &whole.as_bytes()[..length]).unwrap();
        let (end, line) = *ends.iter().rfind(|(end, _)| *end <= length).unwrap();
        let torn = (end < length).then(|| crate::record::Torn {
            line: line + 1,
            bytes: (length - end) as u64,
        });
        assert_eq!(replay(&written.path).unwrap().torn, torn, "at {length}");
        let mut resumed = written.resumed().unwrap();
        assert_eq!(resumed.torn, torn, "at {length}");
        assert_eq!(fs::metadata(&written.path).unwrap().len(), end as u64);
        resumed.recorder.input(written.now, &Input::Started).unwrap();
        resumed.recorder.commit().unwrap();
        assert!(written.text().starts_with(&whole[..end]));
        assert!(replay(&written.path).unwrap().torn.is_none());
    }
}

#[test]
fn a_lost_page_in_the_last_of_several_lines_is_torn_and_before_it_damage() {
    let written = divided(200);
    let mut bytes = fs::read(&written.path).unwrap();
    let end = bytes.len();
    bytes[end - 40..end - 1].fill(0);
    fs::write(&written.path, &bytes).unwrap();
    assert!(written.resumed().unwrap().torn.is_some());
    bytes[end - 900..end - 860].fill(0);
    fs::write(&written.path, &bytes).unwrap();
    assert!(matches!(written.resumed(), Err(RecordError::Damaged { .. })));
}

/// No writer does so: it must not be passed over.
#[test]
fn an_entry_that_does_not_go_on_is_damage() {
    let written = divided(PIECE);
    let header = written.text().lines().next().unwrap().to_owned();
    let part = r#"{"at":1700000000000000,"part":"{\"at\":1700000000000000,"}"#;
    let last = r#"{"at":1700000000000000,"last":"\"input\":{\"input\":\"started\"}}"}"#;
    let tick = r#"{"at":1700000000000000,"input":{"input":"tick"}}"#;
    let other = r#"{"at":1700000000000001,"last":"\"input\":{\"input\":\"started\"}}"}"#;
    let both = r#"{"at":1700000000000000,"input":{"input":"tick"},"last":"x"}"#;
    let more = r#"{"at":1700000000000001,"part":" "}"#;
    let nested = r#"{"at":1700000000000000,"last":"\"part\":\"x\"}"}"#;
    let cases: [(&[&str], Result<usize, &str>); 8] = [
        (&[tick, part, last], Ok(2)),
        (&[part, tick], Err("record.jsonl:3: ")),
        (&[part, last, last], Err("record.jsonl:4: ")),
        (&[last], Err("record.jsonl:2: ")),
        (&[both], Err("record.jsonl:2: ")),
        (&[part, more, last], Err("record.jsonl:3: ")),
        (&[part, other], Err("record.jsonl:3: ")),
        (&[part, nested], Err("record.jsonl:3: ")),
    ];
    for (lines, read) in cases {
        let (mut chain, mut out) = (Chain::default(), Vec::new());
        chain.open(&header).unwrap();
        for line in lines {
            chain.seal(line, &mut out);
        }
        let text = format!("{header}\n{}", String::from_utf8(out).unwrap());
        fs::write(&written.path, text).unwrap();
        let (mut reader, _) = Reader::open(&written.path).unwrap();
        let all = std::iter::from_fn(|| match reader.next() {
            Ok(Next::Entry(entry)) => Some(Ok(entry)),
            Ok(_) => None,
            Err(error) => Some(Err(error.to_string())),
        });
        let all: Result<Vec<Box<Entry>>, String> = all.collect();
        match (all, read) {
            (Ok(all), Ok(count)) => assert_eq!(all.len(), count),
            (Err(told), Err(place)) => assert!(told.contains(place), "{told}"),
            (all, read) => panic!("{all:?} where {read:?} was due"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn however_entries_are_divided_the_engine_comes_back(piece in 4usize..3_000) {
        let written = divided(piece);
        prop_assert_eq!(written.resumed().unwrap().engine, written.engine.clone());
        prop_assert!(replay(&written.path).unwrap().identical());
    }
}

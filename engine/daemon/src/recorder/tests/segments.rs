//! A record that goes on in other files when it is long.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::recorder::disk::{Disk, System};
use crate::replay_from_first;

impl Written {
    /// As the shell does before each input.
    fn look_back(&mut self) -> Option<Turn> {
        match self.recorder.due() {
            Due::Nothing => None,
            Due::State => {
                self.recorder.state(self.now, &self.engine).unwrap();
                None
            }
            Due::Turn => Some(self.recorder.turn(self.now, &self.engine).unwrap()),
        }
    }

    fn turn(&mut self) -> PathBuf {
        match self.recorder.turn(self.now, &self.engine).unwrap() {
            Turn::Turned { kept, trouble, .. } => {
                assert!(trouble.is_none(), "{trouble:?}");
                kept
            }
            Turn::Stayed(why) => panic!("{why}"),
        }
    }

    /// A new engine takes the record up.
    fn restart(&mut self) {
        let resumed = self.resumed().unwrap();
        assert_eq!(resumed.carried, None);
        let upkeep = self.recorder.upkeep;
        (self.engine, self.recorder) = (resumed.engine, resumed.recorder.kept_by(upkeep));
        self.now = self.now.max(resumed.last);
        self.take(Input::Started);
    }

    fn others(&self) -> Vec<String> {
        let folder = fs::read_dir(self.path.parent().unwrap()).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "record.jsonl").collect();
        names.sort();
        names
    }
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn identical(report: &crate::replay::Report) {
    assert!(report.identical(), "{:?}", report.first_difference);
}

#[test]
fn a_start_reads_the_newest_file_and_a_replay_goes_through_all_of_them() {
    let (mut whole, mut turned) = (Written::new(), Written::new());
    let mut kept = Vec::new();
    for _ in 0..3 {
        whole.a_while();
        turned.a_while();
        kept.push(turned.turn());
    }
    for written in [&mut whole, &mut turned] {
        written.a_while();
        written.recorder.commit().unwrap();
        written.restart();
        written.recorder.commit().unwrap();
    }
    assert_eq!(turned.engine, whole.engine);

    let one = replay(&turned.path).unwrap();
    identical(&one);
    let from = one.carried_from.unwrap().record;
    assert_eq!(from, name(&kept[2]));
    assert_eq!(one.records, [turned.path.clone()]);

    let all = replay_from_first(&turned.path).unwrap();
    identical(&all);
    kept.push(turned.path.clone());
    assert_eq!(all.records, kept);
    let like = replay(&whole.path).unwrap();
    assert_eq!(
        (all.inputs, all.decisions, all.starts, all.carried_from),
        (like.inputs, like.decisions, like.starts, None)
    );
    assert_eq!(all.states, 3);

    // Whatever the newest file holds, those before are not looked at.
    kept.pop();
    for path in &kept {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(turned.resumed().unwrap().engine, turned.engine);
    let all = replay_from_first(&turned.path).unwrap();
    assert_eq!((all.records.len(), all.carried_from.unwrap().record), (1, from));
}

#[test]
fn a_record_turns_with_the_next_state_once_it_is_long() {
    let mut written = Written::new();
    written.recorder.upkeep = Upkeep {
        state_every: 10,
        segment: 40_000,
        ..Upkeep::default()
    };
    let mut lengths = Vec::new();
    while lengths.len() < 5 {
        written.take(Input::Tick);
        let length = written.recorder.written.0 + written.recorder.buffer.len() as u64;
        assert!(written.recorder.since_state <= 10);
        if let Some(Turn::Turned { kept, .. }) = written.look_back() {
            assert_eq!(fs::metadata(kept).unwrap().len(), length);
            lengths.push(length);
        }
    }
    let began = written.recorder.began;
    assert!(began > 5_000, "eight states are more than the segment: {began}");
    assert!((40_000..60_000).contains(&lengths[0]), "{lengths:?}");
    assert!(
        lengths[1..].iter().all(|&length| length > 8 * began),
        "{lengths:?}"
    );
    assert!(
        lengths[1..].iter().all(|&length| length < 12 * began),
        "{lengths:?}"
    );

    // Taken up again it is as long as before.
    (0..3).for_each(|_| written.take(Input::Tick));
    written.recorder.commit().unwrap();
    let (before, since) = (written.recorder.written.0, written.recorder.since_state);
    assert_eq!(since, 3);
    let resumed = written.resumed().unwrap().recorder;
    assert_eq!(
        (resumed.began, resumed.written.0, resumed.since_state),
        (began, before, since)
    );
}

#[test]
fn the_oldest_files_make_room_and_the_last_one_stays() {
    let mut written = Written::new();
    written.recorder.upkeep.keep = 40_000;
    let foreign = [
        "record-until-7.jsonl",
        "record-segment-x.jsonl",
        "other-segment-1.jsonl",
    ];
    for name in foreign {
        fs::write(written.path.with_file_name(name), "x".repeat(50_000)).unwrap();
    }
    let mut all = Vec::new();
    for _ in 0..9 {
        written.a_while();
        all.push(written.turn());
        let there: Vec<&PathBuf> = all.iter().filter(|path| path.exists()).collect();
        assert!(
            there.len() <= all.len() && all.ends_with(&there.iter().map(|&p| p.clone()).collect::<Vec<_>>())
        );
        let bytes: u64 = there.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert!(bytes <= 40_000 || there.len() == 1, "{bytes}");
    }
    let there = all.iter().filter(|path| path.exists()).count();
    assert!((1..9).contains(&there), "{there}");
    identical(&replay_from_first(&written.path).unwrap());
    assert_eq!(written.resumed().unwrap().engine, written.engine);

    written.recorder.upkeep.keep = 0;
    written.a_while();
    let last = written.turn();
    let mut left: Vec<&str> = foreign.to_vec();
    left.push(name(&last));
    left.sort_unstable();
    assert_eq!(
        written.others(),
        left,
        "only what is full, and never what it goes on from"
    );
}

/// A clock that was set back between two lives makes an older file's name the later one.
#[test]
fn what_the_record_goes_on_from_stays_whatever_its_name_says() {
    let mut written = Written::new();
    let later = written
        .path
        .with_file_name("record-segment-9999999999999999.jsonl");
    fs::write(&later, "x").unwrap();
    written.recorder.upkeep.keep = 0;
    let kept = written.turn();
    assert!(kept.exists() && !later.exists());
}

#[test]
fn a_chain_that_does_not_fit_is_told() {
    let mut written = Written::new();
    written.a_while();
    written.turn();
    written.a_while();
    let middle = written.turn();
    written.a_while();
    written.recorder.commit().unwrap();
    let whole = fs::read(&middle).unwrap();
    let last = whole[..whole.len() - 1]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap()
        + 1;
    fs::write(&middle, &whole[..last]).unwrap();
    let told = replay_from_first(&written.path).unwrap_err().to_string();
    assert!(
        told.contains("record.jsonl:2: ") && told.contains(name(&middle)),
        "{told}"
    );

    // The seals fit, the state does not.
    let mut other = Written::new();
    other.a_while();
    other.recorder.commit().unwrap();
    let mut wrong = other.engine.clone();
    wrong.handle(Input::Tick, other.now + Span::secs(1));
    other.now = other.now + Span::secs(1);
    other.recorder.turn(other.now, &wrong).unwrap();
    let difference = replay_from_first(&other.path).unwrap().first_difference.unwrap();
    assert_eq!((difference.line, difference.record), (2, other.path.clone()));
    identical(&replay(&other.path).unwrap());
}

/// A full file ends with what was decided upon its last input.
#[test]
fn what_was_decided_but_not_recorded_before_a_turn_is_a_difference() {
    let mut written = Written::new();
    written.a_while();
    let by = Actor::Operator { name: "ada".into() };
    let command = Command::SetMode { mode: Mode::Observe };
    let input = Input::Command {
        request: RequestId("r".into()),
        by,
        command,
    };
    written.recorder.input(written.now, &input).unwrap();
    written.engine.handle(input, written.now);
    written.turn();
    let difference = replay_from_first(&written.path)
        .unwrap()
        .first_difference
        .unwrap();
    assert_eq!((difference.line, difference.recorded), (2, None));
    assert!(difference.repeated.unwrap().contains("observe"));
}

#[test]
fn a_record_that_names_itself_or_a_file_elsewhere_is_refused() {
    let written = Written::new();
    let header = Header::new(written.engine.config().clone(), START);
    for (name, told) in [
        ("record.jsonl", "it comes before itself"),
        ("../record.jsonl", "no name of a file"),
        ("..", "no name of a file"),
        ("", "no name of a file"),
    ] {
        let (mut chain, mut out) = (Chain::default(), Vec::new());
        chain.seal(&serde_json::to_string(&header).unwrap(), &mut out);
        let state = serde_json::to_string(&written.engine).unwrap();
        let line = format!(
            r#"{{"at":{},"carried":{{"record":"{name}","sum":"00"}},"state":{state}}}"#,
            START.micros()
        );
        chain.seal(&line, &mut out);
        fs::write(&written.path, out).unwrap();
        let error = replay_from_first(&written.path).unwrap_err().to_string();
        assert!(
            error.contains(told) && error.contains("record.jsonl:2: "),
            "{error}"
        );
    }
}

#[test]
fn a_chain_goes_through_sessions_that_were_edited() {
    let mut written = Written::new();
    written.a_while();
    written.turn();
    written.a_while();
    written.recorder.commit().unwrap();
    for seconds in [7, 8] {
        let mut config = written.engine.config().clone();
        config.slots.decide = Span::secs(seconds);
        let resumed = resume(&written.path, &config).unwrap();
        assert!(resumed.carried.is_some());
        (written.engine, written.recorder, written.now) = (resumed.engine, resumed.recorder, resumed.last);
        written.take(Input::Started);
        written.a_while();
        written.turn();
        written.a_while();
        written.recorder.commit().unwrap();
    }
    let all = replay_from_first(&written.path).unwrap();
    identical(&all);
    assert_eq!((all.records.len(), all.starts, all.carried_from), (6, 3, None));
}

/// Counts what is done, and from one deed on does nothing more, as if the machine were gone; or does not do one of them.
struct Frail {
    done: Arc<AtomicUsize>,
    fails: usize,
    /// Whether all that comes after fails as well.
    dead: bool,
}

impl Frail {
    fn may(&self) -> io::Result<()> {
        let at = self.done.fetch_add(1, Ordering::Relaxed);
        if at == self.fails || (self.dead && at > self.fails) {
            Err(io::Error::other("frail"))
        } else {
            Ok(())
        }
    }

    fn same(&self) -> Self {
        let done = Arc::clone(&self.done);
        Self { done, ..*self }
    }
}

struct FrailFile(Box<dyn Medium>, Frail);

impl Medium for FrailFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.1.may() {
            self.0.append(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.0.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.1.may()?;
        self.0.sync()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.1.may()?;
        self.0.cut(length)
    }
}

impl Disk for Frail {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Medium>> {
        self.may()?;
        Ok(Box::new(FrailFile(System.create(path)?, self.same())))
    }

    fn link(&self, path: &Path, second: &Path) -> io::Result<()> {
        self.may()?;
        System.link(path, second)
    }

    fn rename(&self, path: &Path, to: &Path) -> io::Result<()> {
        self.may()?;
        System.rename(path, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.may()?;
        System.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.may()?;
        System.sync_folder(path)
    }
}

/// A record about to turn for the third time, with room for one older file, on a disk that does so many deeds. `piece` of an
/// entry on a line.
fn about_to_turn(fails: usize, dead: bool, piece: usize) -> (Written, Arc<AtomicUsize>) {
    let mut written = Written::new();
    written.recorder.upkeep.keep = 0;
    written.recorder.piece = piece;
    for _ in 0..2 {
        written.a_while();
        written.turn();
    }
    written.a_while();
    let done = Arc::new(AtomicUsize::new(0));
    let frail = Frail {
        done: Arc::clone(&done),
        fails,
        dead,
    };
    let file = fs::OpenOptions::new().append(true).open(&written.path).unwrap();
    written.recorder.medium = Box::new(FrailFile(Box::new(file), frail.same()));
    written.recorder.disk = Arc::new(frail);
    (written, done)
}

/// `kill -9` between any two steps, and in the midst of any write.
#[test]
fn killed_anywhere_in_a_turn_the_next_engine_goes_on_from_there() {
    for piece in [PIECE, 500] {
        let mut steps = 0;
        for fails in 0.. {
            let (mut written, done) = about_to_turn(fails, true, piece);
            let before = written.engine.clone();
            let turn = written.recorder.turn(written.now, &written.engine);
            if done.load(Ordering::Relaxed) <= fails {
                assert!(matches!(turn, Ok(Turn::Turned { trouble: None, .. })), "{turn:?}");
                break;
            }
            steps += 1;
            let resumed = written.resumed().unwrap();
            // At the first one, what was still in memory is lost with it.
            assert_eq!(resumed.engine == before, fails > 0, "after {fails} steps");
            drop(turn);
            written.restart();
            written.recorder.upkeep.keep = u64::MAX;
            written.a_while();
            written.turn();
            written.a_while();
            written.recorder.commit().unwrap();
            written.restart();
            written.recorder.commit().unwrap();
            let all = replay_from_first(&written.path).unwrap();
            identical(&all);
            let mut names: Vec<&str> = all.records.iter().map(|path| name(path)).collect();
            assert_eq!(names.pop(), Some("record.jsonl"));
            assert_eq!(
                written.others(),
                names,
                "nothing else is left after {fails} steps"
            );
            written.recorder.upkeep.keep = 0;
            let kept = written.turn();
            assert_eq!(written.others(), [name(&kept)]);
        }
        // Append and sync; draft away, made, written, synced; link, folder, rename; sync, folder; old ones away.
        assert_eq!(steps, 12);
    }
}

/// One step fails and the engine lives: it goes on in one of the two files, or its record fails and is mended.
#[test]
fn whatever_fails_in_a_turn_the_record_goes_on_whole() {
    for fails in 0.. {
        let (mut written, done) = about_to_turn(fails, false, PIECE);
        let turn = written.recorder.turn(written.now, &written.engine);
        if done.load(Ordering::Relaxed) <= fails {
            break;
        }
        let mut gaps = 0;
        match turn {
            Ok(Turn::Turned { trouble, .. }) => assert!(trouble.is_some(), "at {fails}"),
            Ok(Turn::Stayed(_)) => assert_eq!(written.recorder.since_state, 0, "not with every input anew"),
            Err(_) => {
                gaps = 1;
                written
                    .recorder
                    .mend(written.now, "frail", &written.engine)
                    .unwrap();
            }
        }
        written.a_while();
        written.recorder.commit().unwrap();
        assert_eq!(written.resumed().unwrap().engine, written.engine, "at {fails}");
        let all = replay_from_first(&written.path).unwrap();
        identical(&all);
        assert_eq!(all.gaps.len(), gaps, "at {fails}");
        written.turn();
        written.a_while();
        written.recorder.commit().unwrap();
        written.restart();
        written.recorder.commit().unwrap();
        identical(&replay_from_first(&written.path).unwrap());
    }
}

/// Until the new name is on the disk, what is written under it may be gone with the power.
#[test]
fn nothing_counts_as_on_the_disk_before_the_name_of_its_file() {
    let mut named = 0;
    for fails in 0..12 {
        let (mut written, done) = about_to_turn(fails, true, PIECE);
        let turn = written.recorder.turn(written.now, &written.engine);
        if turn.is_err() && !written.recorder.named {
            named += 1;
            assert!(
                written.recorder.commit().is_err(),
                "the name is still to be secured"
            );
            written.recorder.disk = Arc::new(System);
            let file = fs::OpenOptions::new().append(true).open(&written.path).unwrap();
            written.recorder.medium = Box::new(file);
            written.recorder.commit().unwrap();
            assert!(written.recorder.named);
        }
        drop(done);
    }
    assert_eq!(named, 2, "the file's sync and the folder's");
}

#[derive(Clone, Debug)]
enum Step {
    Ticks(u8),
    While,
    State,
    Turn,
    Restart,
    Torn(f64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..20).prop_map(Step::Ticks),
        3 => Just(Step::While),
        1 => Just(Step::State),
        4 => Just(Step::Turn),
        2 => Just(Step::Restart),
        1 => (0.0..1.0f64).prop_map(Step::Torn),
    ]
}

fn walk(steps: &[Step], turning: bool, piece: usize) -> Written {
    let mut written = Written::new();
    written.recorder.piece = piece;
    for step in steps {
        match step {
            Step::Ticks(ticks) => (0..*ticks).for_each(|_| written.take(Input::Tick)),
            Step::While => written.a_while(),
            Step::State => written.recorder.state(written.now, &written.engine).unwrap(),
            Step::Turn => {
                // No two of them at one moment.
                written.now = written.now + Span::millis(1);
                if turning {
                    written.turn();
                }
            }
            Step::Restart | Step::Torn(_) => {
                written.recorder.commit().unwrap();
                if let Step::Torn(part) = step {
                    // An input that was not finished.
                    let whole = fs::metadata(&written.path).unwrap().len();
                    let engine = written.engine.clone();
                    written.recorder.state(written.now, &engine).unwrap();
                    written.recorder.commit().unwrap();
                    let length = fs::metadata(&written.path).unwrap().len();
                    let left = whole + ((length - whole - 1) as f64 * part) as u64;
                    let file = fs::OpenOptions::new().write(true).open(&written.path).unwrap();
                    file.set_len(left).unwrap();
                }
                written.restart();
                written.recorder.piece = piece;
            }
        }
    }
    written.recorder.commit().unwrap();
    written
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn however_a_record_is_divided_it_says_what_one_in_one_file_says(
        steps in prop::collection::vec(step(), 1..14),
        piece in prop_oneof![Just(PIECE), 64usize..4_000],
    ) {
        let whole = walk(&steps, false, PIECE);
        let divided = walk(&steps, true, piece);
        prop_assert_eq!(&divided.engine, &whole.engine);
        prop_assert_eq!(&divided.resumed().unwrap().engine, &whole.engine);
        let (all, like) = (replay_from_first(&divided.path).unwrap(), replay(&whole.path).unwrap());
        prop_assert!(all.identical() && like.identical(), "{:?}", all.first_difference);
        prop_assert_eq!(
            (all.inputs, all.decisions, all.starts, all.torn),
            (like.inputs, like.decisions, like.starts, like.torn)
        );
        let turns = steps.iter().filter(|step| matches!(step, Step::Turn)).count();
        prop_assert_eq!(all.records.len() - 1, turns);
    }
}

//! `pacao replay`: the same inputs again, and whether the same decisions come of them.

mod chain;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pacao_core::{Config, Effect, Engine, Input, decisions};
use proto::Timestamp;

use crate::record::{Carried, Chain, Entry, Header, Next, Reader, RecordError, Torn};
use crate::recorder::same_session;

/// What a replay found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The records repeated, each going on from the one before.
    pub records: Vec<PathBuf>,
    /// First line of the first of them.
    pub header: Header,
    /// Time of the last line.
    pub until: Timestamp,
    /// Inputs repeated.
    pub inputs: u64,
    /// Decisions, those of the record.
    pub decisions: u64,
    /// States held against the repeated engine.
    pub states: u64,
    /// Starts, the first one included.
    pub starts: u64,
    /// The record that the first of them goes on from, if it does.
    pub carried_from: Option<Carried>,
    /// Stretches that could not be recorded, with the reason.
    pub gaps: Vec<String>,
    /// The writer was killed while it wrote this.
    pub torn: Option<Torn>,
    /// Where the repetition went another way first; `None`: decisions are identical.
    pub first_difference: Option<Difference>,
    /// How long the replay took.
    pub duration: Duration,
}

impl Report {
    /// Whether every decision came out as recorded.
    pub const fn identical(&self) -> bool {
        self.first_difference.is_none()
    }
}

/// A decision that came out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In which record.
    pub record: PathBuf,
    /// Line of the record, from 1.
    pub line: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// As recorded, JSON; `None`: nothing was decided there.
    pub recorded: Option<String>,
    /// As repeated, JSON.
    pub repeated: Option<String>,
}

/// Repeats a record. Reads only; blocks until done.
///
/// # Errors
/// [`RecordError`] if the file cannot be read or is damaged before its end.
pub fn replay(path: &Path) -> Result<Report, RecordError> {
    repeat(path, &[])
}

/// The same from the first record on that is still there, each going on from the one before, up to this one. Where one
/// begins, its state must be that of the engine so far, or what an edited session keeps of it.
///
/// # Errors
/// [`RecordError`] also if a record does not end as the next one says.
pub fn replay_from_first(path: &Path) -> Result<Report, RecordError> {
    let (first, later) = chain::up_to(path)?;
    repeat(&first, &later)
}

fn repeat(first: &Path, later: &[PathBuf]) -> Result<Report, RecordError> {
    let began = Instant::now();
    let (mut reader, header) = Reader::open(first)?;
    let mut replay = Replay::new(header);
    replay.repeat(first, &mut reader)?;
    for path in later {
        if replay.report.identical() {
            let (mut reader, header) = Reader::open(path)?;
            replay.config = header.config;
            replay.repeat(path, &mut reader)?;
        }
    }
    replay.report.duration = began.elapsed();
    Ok(replay.report)
}

struct Replay {
    engine: Engine,
    /// Decided upon the last input, and not yet seen in the record.
    due: Option<(Timestamp, String)>,
    /// The record that is read, and what the engine was told in it.
    record: PathBuf,
    config: Config,
    /// How the record before ends.
    before: Option<End>,
    report: Report,
}

/// What the next record must go on from.
struct End {
    record: PathBuf,
    config: Config,
    seal: Chain,
}

impl Replay {
    fn new(header: Header) -> Self {
        Self {
            engine: Engine::new(header.config.clone(), header.at),
            due: None,
            record: PathBuf::new(),
            config: header.config.clone(),
            before: None,
            report: Report {
                records: Vec::new(),
                until: header.at,
                header,
                inputs: 0,
                decisions: 0,
                states: 0,
                starts: 0,
                carried_from: None,
                gaps: Vec::new(),
                torn: None,
                first_difference: None,
                duration: Duration::ZERO,
            },
        }
    }

    fn repeat(&mut self, path: &Path, reader: &mut Reader) -> Result<(), RecordError> {
        path.clone_into(&mut self.record);
        self.report.records.push(path.to_owned());
        self.report.torn = None;
        while self.report.identical() {
            match reader.next()? {
                Next::Entry(entry) => self.take(*entry, reader)?,
                // The last input may have been written without what was decided on it: that never left the engine.
                Next::End => break,
                Next::Torn(torn) => {
                    self.report.torn = Some(torn);
                    break;
                }
            }
        }
        self.report.until = reader.last();
        self.before = Some(End {
            record: self.record.clone(),
            config: self.config.clone(),
            seal: reader.position().0,
        });
        Ok(())
    }

    fn take(&mut self, entry: Entry, reader: &Reader) -> Result<(), RecordError> {
        let line = reader.line();
        match entry {
            Entry::Input { at, input } => return self.input(line, at, input),
            Entry::Decisions { at, effects } => self.decisions(line, at, effects.get()),
            Entry::State { at, engine } => drop(self.state(at, engine.get(), reader)?),
            Entry::Carried { at, from, engine } => self.carried(at, from, (engine.get(), reader))?,
            Entry::Gap { why, engine, .. } => {
                self.due = None;
                self.report.gaps.push(why);
                self.engine = from_state(engine.get(), reader)?;
            }
        }
        Ok(())
    }

    fn input(&mut self, line: u64, at: Timestamp, input: Input) -> Result<(), RecordError> {
        let started = matches!(input, Input::Started);
        // A crash between an input and its decisions: they never left, and the next start says so.
        if let Some((at, repeated)) = self.due.take().filter(|_| !started) {
            self.differ(line, at, None, Some(repeated));
            return Ok(());
        }
        self.report.inputs += 1;
        self.report.starts += u64::from(started);
        let effects = self.engine.handle(input, at);
        let decided: Vec<&Effect> = decisions(&effects).collect();
        if !decided.is_empty() {
            let text = serde_json::to_string(&decided).map_err(|source| RecordError::State { source })?;
            self.due = Some((at, text));
        }
        Ok(())
    }

    fn decisions(&mut self, line: u64, at: Timestamp, recorded: &str) {
        let count = serde_json::from_str::<Vec<serde::de::IgnoredAny>>(recorded).map_or(0, |list| list.len());
        self.report.decisions += count as u64;
        let repeated = self.due.take().map(|(_, text)| text);
        if repeated.as_deref() != Some(recorded) {
            self.differ(line, at, Some(recorded.to_owned()), repeated);
        }
    }

    /// Holds a state against the engine.
    fn state(&mut self, at: Timestamp, text: &str, reader: &Reader) -> Result<Engine, RecordError> {
        self.report.states += 1;
        let recorded: Engine = from_state(text, reader)?;
        self.engine.keep_books_as(&recorded);
        if recorded != self.engine {
            let repeated = serde_json::to_string(&self.engine).ok();
            self.differ(reader.line(), at, Some(text.to_owned()), repeated);
        }
        Ok(recorded)
    }

    /// The first state of a record that goes on from another: known to be right only if that was repeated, too.
    fn carried(
        &mut self,
        at: Timestamp,
        from: Carried,
        (text, reader): (&str, &Reader),
    ) -> Result<(), RecordError> {
        let Some(before) = self.before.take() else {
            self.report.carried_from = Some(from);
            self.engine = from_state(text, reader)?;
            return Ok(());
        };
        if before.seal.sum() != from.sum {
            let record = before.record.display();
            return Err(reader.damaged(format!("it goes on from another end of {record} than that has")));
        }
        let due = self.due.take();
        if same_session(&before.config, &self.config) {
            if let Some((at, repeated)) = due {
                self.differ(reader.line(), at, None, Some(repeated));
                return Ok(());
            }
        } else {
            self.engine = self.engine.carried_into(self.config.clone(), at).0;
        }
        self.engine = self.state(at, text, reader)?;
        Ok(())
    }

    fn differ(&mut self, line: u64, at: Timestamp, recorded: Option<String>, repeated: Option<String>) {
        self.report.first_difference = Some(Difference {
            record: self.record.clone(),
            line,
            at,
            recorded,
            repeated,
        });
    }
}

fn from_state(text: &str, reader: &Reader) -> Result<Engine, RecordError> {
    serde_json::from_str(text)
        .map_err(|error| reader.damaged(format!("the state is not of this version: {error}")))
}

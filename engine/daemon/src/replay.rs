//! `pacao replay`: the same inputs again, and whether the same decisions come of them.

use std::path::Path;
use std::time::{Duration, Instant};

use pacao_core::{Effect, Engine, decisions};
use proto::Timestamp;

use crate::record::{Carried, Entry, Header, Next, Reader, RecordError, Torn};

/// What a replay found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// First line of the record.
    pub header: Header,
    /// Time of its last line.
    pub until: Timestamp,
    /// Inputs repeated.
    pub inputs: u64,
    /// Decisions, those of the record.
    pub decisions: u64,
    /// States held against the repeated engine.
    pub states: u64,
    /// Starts, the first one included.
    pub starts: u64,
    /// The record that this one goes on from, if the session was edited.
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
    let began = Instant::now();
    let (mut reader, header) = Reader::open(path)?;
    let mut replay = Replay {
        engine: Engine::new(header.config.clone(), header.at),
        due: None,
        report: Report {
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
    };
    while replay.report.identical() {
        match reader.next()? {
            Next::Entry(entry) => replay.take(*entry, &reader)?,
            // The last input may have been written without what was decided on it: that never left the engine.
            Next::End => break,
            Next::Torn(torn) => {
                replay.report.torn = Some(torn);
                break;
            }
        }
    }
    replay.report.until = reader.last();
    replay.report.duration = began.elapsed();
    Ok(replay.report)
}

struct Replay {
    engine: Engine,
    /// Decided upon the last input, and not yet seen in the record.
    due: Option<(Timestamp, String)>,
    report: Report,
}

impl Replay {
    fn take(&mut self, entry: Entry, reader: &Reader) -> Result<(), RecordError> {
        let line = reader.line();
        match entry {
            Entry::Input { at, input } => {
                let started = matches!(input, pacao_core::Input::Started);
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
                    let text =
                        serde_json::to_string(&decided).map_err(|source| RecordError::State { source })?;
                    self.due = Some((at, text));
                }
            }
            Entry::Decisions { at, effects } => {
                let recorded = effects.get().to_owned();
                let count = serde_json::from_str::<Vec<serde::de::IgnoredAny>>(&recorded)
                    .map_or(0, |list| list.len());
                self.report.decisions += count as u64;
                let repeated = self.due.take().map(|(_, text)| text);
                if repeated.as_ref() != Some(&recorded) {
                    self.differ(line, at, Some(recorded), repeated);
                }
            }
            Entry::State { at, engine } => {
                self.report.states += 1;
                let recorded: Engine = from_state(engine.get(), reader)?;
                self.engine.keep_books_as(&recorded);
                if recorded != self.engine {
                    let repeated = serde_json::to_string(&self.engine).ok();
                    self.differ(line, at, Some(engine.get().to_owned()), repeated);
                }
            }
            Entry::Carried { from, engine, .. } => {
                self.report.carried_from = Some(from);
                self.engine = from_state(engine.get(), reader)?;
            }
            Entry::Gap { why, engine, .. } => {
                self.due = None;
                self.report.gaps.push(why);
                self.engine = from_state(engine.get(), reader)?;
            }
        }
        Ok(())
    }

    fn differ(&mut self, line: u64, at: Timestamp, recorded: Option<String>, repeated: Option<String>) {
        self.report.first_difference = Some(Difference {
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

//! Taking a record up again after a stop, or a crash; also for a session that was edited since.

use std::fs::OpenOptions;
use std::path::Path;

use pacao_core::{Config, Engine, Input};
use proto::Timestamp;
use serde_json::value::RawValue;

use super::{Recorder, io_error};
use crate::clock::Clock;
use crate::record::{Chain, Entry, Header, Next, Reader, RecordError, Torn};

/// A record that goes on.
pub(crate) struct Resumed {
    /// The engine as it was, up to the last input on the record.
    pub(crate) engine: Engine,
    /// Goes on where the record ends, or in a new one.
    pub(crate) recorder: Recorder,
    /// The time of the last line.
    pub(crate) last: Timestamp,
    /// What had to be cut, or was left out.
    pub(crate) torn: Option<Torn>,
    /// For an edited session: what went on in a new record, and what did not.
    pub(crate) carried: Option<String>,
}

/// Reads the last state and handles the inputs after it; their effects were carried out, or never left. If the session was
/// edited since, what has a place in it begins a new record, and the old one is kept under another name.
pub(crate) fn resume(path: &Path, config: &Config) -> Result<Resumed, RecordError> {
    let past = Past::read(path)?;
    if same_session(&past.header.config, config) {
        past.go_on(path)
    } else {
        past.carry_into(path, config.clone())
    }
}

/// What a record tells.
struct Past {
    header: Header,
    engine: Engine,
    last: Timestamp,
    torn: Option<Torn>,
    position: (Chain, u64),
    /// Bytes up to the end of the state it begins with, if it does.
    began: u64,
    since_state: u32,
}

impl Past {
    fn read(path: &Path) -> Result<Self, RecordError> {
        let (mut reader, header) = Reader::open(path)?;
        let mut state: Option<(u64, Box<RawValue>)> = None;
        let mut later: Vec<(Timestamp, Input)> = Vec::new();
        let mut began = 0;
        let torn = loop {
            match reader.next()? {
                Next::End => break None,
                Next::Torn(torn) => break Some(torn),
                Next::Entry(entry) => match *entry {
                    Entry::Carried { engine, .. } => {
                        began = reader.position().1;
                        state = Some((reader.line(), engine));
                        later.clear();
                    }
                    Entry::Input { at, input } => later.push((at, input)),
                    Entry::Decisions { .. } => {}
                    Entry::State { engine, .. } | Entry::Gap { engine, .. } => {
                        state = Some((reader.line(), engine));
                        later.clear();
                    }
                },
            }
        };
        let mut engine = match state {
            None => Engine::new(header.config.clone(), header.at),
            Some((line, text)) => serde_json::from_str(text.get()).map_err(|error| RecordError::Damaged {
                path: path.to_owned(),
                line,
                why: format!("the state is not of this version: {error}"),
            })?,
        };
        let since_state = u32::try_from(later.len()).unwrap_or(u32::MAX);
        for (at, input) in later {
            engine.handle(input, at);
        }
        Ok(Self {
            header,
            engine,
            last: reader.last(),
            torn,
            position: reader.position(),
            began,
            since_state,
        })
    }

    fn go_on(self, path: &Path) -> Result<Resumed, RecordError> {
        let (chain, length) = self.position;
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(io_error("open", path))?;
        if self.torn.is_some() {
            file.set_len(length).map_err(io_error("cut", path))?;
        }
        let mut recorder = Recorder::over(Box::new(file), path, (length, chain));
        (recorder.began, recorder.since_state) = (self.began, self.since_state);
        Ok(Resumed {
            engine: self.engine,
            recorder,
            last: self.last,
            torn: self.torn,
            carried: None,
        })
    }

    fn carry_into(self, path: &Path, config: Config) -> Result<Resumed, RecordError> {
        let now = Clock::start(self.last).now();
        let header = Header::new(config.clone(), now);
        let (engine, text) = self.engine.carried_into(config, now);
        let (recorder, kept) = Recorder::succeed(path, &header, (&self.position.0, &engine))?;
        Ok(Resumed {
            engine,
            recorder,
            last: now,
            torn: self.torn,
            carried: Some(format!("{text}; the record before is kept as {}", kept.display())),
        })
    }
}

/// The mode in the session is that of the first start only.
pub(crate) fn same_session(before: &Config, config: &Config) -> bool {
    let mut before = before.clone();
    before.mode = config.mode;
    before == *config
}

//! Taking a record up again after a stop, or a crash.

use std::fs::OpenOptions;
use std::path::Path;

use pacao_core::{Config, Engine, Input};
use proto::Timestamp;
use serde_json::value::RawValue;

use super::{Recorder, io_error};
use crate::record::{Entry, Header, Next, Reader, RecordError, Torn};

/// A record that goes on.
pub(crate) struct Resumed {
    /// The engine as it was, up to the last input on the record.
    pub(crate) engine: Engine,
    /// Goes on where the record ends.
    pub(crate) recorder: Recorder,
    /// The time of the last line.
    pub(crate) last: Timestamp,
    /// What had to be cut.
    pub(crate) torn: Option<Torn>,
}

/// Reads the last state and handles the inputs after it; their effects were carried out, or never left.
pub(crate) fn resume(path: &Path, config: &Config) -> Result<Resumed, RecordError> {
    let (mut reader, header) = Reader::open(path)?;
    if !same_fabric(&header, config) {
        return Err(RecordError::OtherConfig {
            path: path.to_owned(),
        });
    }
    let mut state: Option<(u64, Box<RawValue>)> = None;
    let mut later: Vec<(Timestamp, Input)> = Vec::new();
    let torn = loop {
        match reader.next()? {
            Next::End => break None,
            Next::Torn(torn) => break Some(torn),
            Next::Entry(entry) => match *entry {
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
        None => Engine::new(header.config, header.at),
        Some((line, text)) => serde_json::from_str(text.get()).map_err(|error| RecordError::Damaged {
            path: path.to_owned(),
            line,
            why: format!("the state is not of this version: {error}"),
        })?,
    };
    for (at, input) in later {
        engine.handle(input, at);
    }
    let (chain, length) = reader.position();
    let file = OpenOptions::new()
        .append(true)
        .open(path)
        .map_err(io_error("open", path))?;
    if torn.is_some() {
        file.set_len(length).map_err(io_error("cut", path))?;
    }
    let recorder = Recorder::over(Box::new(file), path, (length, chain));
    Ok(Resumed {
        engine,
        recorder,
        last: reader.last(),
        torn,
    })
}

/// The mode in the session is that of the first start only.
fn same_fabric(header: &Header, config: &Config) -> bool {
    let mut recorded = header.config.clone();
    recorded.mode = config.mode;
    recorded == *config
}

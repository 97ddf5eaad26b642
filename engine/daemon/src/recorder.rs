//! Writes down every input before it is handled, and every decision before it is carried out.
//!
//! Inputs gather in memory and go to the file with [`Recorder::flush`] (at least every [`FLUSH_EVERY`]); commands
//! and decisions go to the disk itself with [`Recorder::commit`].

mod disk;
mod resume;
mod successor;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pacao_core::{Effect, Engine, Input};
use proto::Timestamp;

use crate::record::{
    Body, Chain, Decided, Entry, Header, MAX_LINE, PIECE, RecordError, Stated, io_error, write_entry,
};

use disk::{Disk, System};

pub(crate) use disk::Medium;
pub(crate) use resume::{resume, same_session};
pub(crate) use successor::Turn;

/// Inputs wait in memory no longer than this.
pub(crate) const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// How much is written before the record goes on in another file, and how much of before is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// The whole engine is written after this many inputs, so that a start has no more than these to repeat.
    pub state_every: u32,
    /// With the next state after so many bytes the record goes on in another file; later, if one state is an eighth of that or
    /// more.
    pub segment: u64,
    /// Of the files that were full before, the oldest are removed while all have more bytes than this; the last one stays.
    pub keep: u64,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            state_every: 5_000,
            segment: 64 << 20,
            keep: 4 << 30,
        }
    }
}

/// What [`Recorder::due`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// [`Recorder::state`].
    State,
    /// [`Recorder::turn`].
    Turn,
}

/// Writes one record.
pub(crate) struct Recorder {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    medium: Box<dyn Medium>,
    /// Whether its name certainly stands in its folder.
    named: bool,
    buffer: Vec<u8>,
    chain: Chain,
    /// Length and seal of what certainly stands in the file.
    written: (u64, Chain),
    /// What a failure goes back to, if that is before what is written: the input of a command that is not done yet.
    held: Option<(u64, Chain)>,
    since_state: u32,
    /// Bytes up to the end of the first state, if it begins with one.
    began: u64,
    upkeep: Upkeep,
    /// Bytes of an entry on one line; a larger one goes over several.
    piece: usize,
}

impl Recorder {
    /// Begins a record; an old one at the same path is set aside under a name with its own time.
    pub(crate) fn create(path: &Path, header: &Header) -> Result<Self, RecordError> {
        let disk = System;
        match disk.rename(path, &successor::until(path, header.at)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(io_error("set aside", path))?,
        }
        let file = disk.create(path).map_err(io_error("create", path))?;
        let mut recorder = Self::over(file, path, (0, Chain::default()));
        recorder.named = false;
        recorder.header(header)?;
        recorder.commit()?;
        Ok(recorder)
    }

    /// Goes on after what is written already.
    pub(crate) fn over(medium: Box<dyn Medium>, path: &Path, written: (u64, Chain)) -> Self {
        let chain = written.1.clone();
        Self {
            path: path.to_owned(),
            disk: Arc::new(System),
            medium,
            named: true,
            buffer: Vec::new(),
            chain,
            written,
            held: None,
            since_state: 0,
            began: 0,
            upkeep: Upkeep::default(),
            piece: PIECE,
        }
    }

    /// The same with other figures.
    pub(crate) fn kept_by(mut self, upkeep: Upkeep) -> Self {
        self.upkeep = upkeep;
        self
    }

    /// What happened. A command, which comes from people, is read back first: what forwarders tell is of a bounded depth by
    /// its types.
    pub(crate) fn input(&mut self, at: Timestamp, input: &Input) -> Result<(), RecordError> {
        let body = Body {
            at,
            input: Some(Cow::Borrowed(input)),
            ..Body::default()
        };
        if matches!(input, Input::Command { .. }) {
            self.reads_back(&body, input)?;
        }
        self.write(at, &body)?;
        self.since_state += 1;
        Ok(())
    }

    fn reads_back(&self, body: &Body<'_>, input: &Input) -> Result<(), RecordError> {
        let json = json(body)?;
        let read = serde_json::from_str::<Body<'_>>(&json).map_err(|error| error.to_string());
        let same = read.and_then(|body| match Entry::try_from(body)? {
            Entry::Input { input: read, .. } if read == *input => Ok(()),
            _ => Err("it reads otherwise".to_owned()),
        });
        same.map_err(|why| self.unreadable(why))
    }

    fn unreadable(&self, why: String) -> RecordError {
        RecordError::Unreadable {
            path: self.path.clone(),
            why,
        }
    }

    /// What was decided upon the last input.
    pub(crate) fn decisions(&mut self, at: Timestamp, decisions: &[&Effect]) -> Result<(), RecordError> {
        let effects = decisions;
        self.write(at, &Decided { at, effects })
    }

    /// What is to be done with the engine before the next input.
    pub(crate) fn due(&self) -> Due {
        if self.since_state < self.upkeep.state_every {
            Due::Nothing
        } else if self.is_long() {
            Due::Turn
        } else {
            Due::State
        }
    }

    /// The whole engine.
    pub(crate) fn state(&mut self, at: Timestamp, engine: &Engine) -> Result<(), RecordError> {
        self.stated(&Stated {
            at,
            gap: None,
            carried: None,
            state: engine,
        })
    }

    /// After a failure: cuts what was half written and goes on from the engine as it is now.
    pub(crate) fn mend(&mut self, at: Timestamp, why: &str, engine: &Engine) -> Result<(), RecordError> {
        let (length, chain) = self.written.clone();
        self.buffer.clear();
        self.medium.cut(length).map_err(io_error("cut", &self.path))?;
        self.chain = chain;
        self.stated(&Stated {
            at,
            gap: Some(why),
            carried: None,
            state: engine,
        })?;
        self.commit()
    }

    /// What is taken down from here on is one with what is decided upon it: if that cannot be written, neither stands.
    pub(crate) fn hold(&mut self) {
        self.held = Some((self.written.0 + self.buffer.len() as u64, self.chain.clone()));
    }

    /// It is written, or will be tried no more.
    pub(crate) fn release(&mut self) {
        self.held = None;
    }

    /// Hands what has gathered to the system: it survives the end of this process.
    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.medium.append(&self.buffer) {
            return Err(self.take_back(self.written.clone(), error));
        }
        self.written = (self.written.0 + self.buffer.len() as u64, self.chain.clone());
        self.buffer.clear();
        // The memory of one large state is not kept for ever.
        self.buffer.shrink_to(self.piece);
        Ok(())
    }

    /// [`Self::flush`], and on to the disk: it survives a loss of power.
    pub(crate) fn commit(&mut self) -> Result<(), RecordError> {
        let before = self.written.clone();
        self.flush()?;
        let mut synced = self.medium.sync();
        if synced.is_ok() && !self.named {
            // Or with the power the name would be lost, and the record with it.
            synced = self.disk.sync_folder(&self.path);
            self.named = synced.is_ok();
        }
        synced.map_err(|error| self.take_back(before, error))
    }

    /// What was refused for a failing disk must not be carried out by the next engine that reads the record.
    fn take_back(&mut self, to: (u64, Chain), error: io::Error) -> RecordError {
        let held = self.held.take().filter(|held| held.0 < to.0);
        let to = held.unwrap_or(to);
        let _then_mend_tries_again = self.medium.cut(to.0);
        self.written = to;
        io_error("write", &self.path)(error)
    }

    /// Always on one line, or whoever opens the file would not know what it is.
    fn header(&mut self, header: &Header) -> Result<(), RecordError> {
        let json = json(header)?;
        let length = Chain::sealed_length(&json);
        if length > MAX_LINE {
            return Err(self.unreadable(format!(
                "it has {length} bytes, and a header no more than {MAX_LINE}"
            )));
        }
        self.chain.seal(&json, &mut self.buffer);
        Ok(())
    }

    fn stated(&mut self, state: &Stated<'_>) -> Result<(), RecordError> {
        self.since_state = 0;
        self.write(state.at, state)
    }

    fn write(&mut self, at: Timestamp, entry: &impl serde::Serialize) -> Result<(), RecordError> {
        write_entry(at, entry, self.piece, (&mut self.chain, &mut self.buffer))
            .map_err(|source| RecordError::State { source })
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, RecordError> {
    serde_json::to_string(value).map_err(|source| RecordError::State { source })
}

#[cfg(test)]
mod tests;

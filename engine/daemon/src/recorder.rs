//! Writes down every input before it is handled, and every decision before it is carried out.
//!
//! Inputs gather in memory and go to the file with [`Recorder::flush`] (at least every [`FLUSH_EVERY`]); commands
//! and decisions go to the disk itself with [`Recorder::commit`].

mod resume;

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pacao_core::{Effect, Engine, Input};
use proto::Timestamp;

use crate::record::{
    Body, Carried, Chain, Decided, Entry, Header, MAX_LINE, PIECE, RecordError, Stated, io_error, write_entry,
};

pub(crate) use resume::resume;

/// Inputs wait in memory no longer than this.
pub(crate) const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// A state is written after this many inputs, so that a restart has no more than these to repeat.
const STATE_EVERY: u32 = 5_000;

/// What a record is written to.
pub(crate) trait Medium: Send {
    /// Appends all of `bytes`.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once what was appended survives a loss of power.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts everything past `length` bytes.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// Writes one record.
pub(crate) struct Recorder {
    path: PathBuf,
    medium: Box<dyn Medium>,
    buffer: Vec<u8>,
    chain: Chain,
    /// Length and seal of what certainly stands in the file.
    written: (u64, Chain),
    /// What a failure goes back to, if that is before what is written: the input of a command that is not done yet.
    held: Option<(u64, Chain)>,
    since_state: u32,
    /// Bytes of an entry on one line; a larger one goes over several.
    piece: usize,
}

impl Recorder {
    /// Begins a record; an old one at the same path is set aside under a name with its own time.
    pub(crate) fn create(path: &Path, header: &Header) -> Result<Self, RecordError> {
        set_aside(path, header.at)?;
        let mut recorder = Self::over(Box::new(new_file(path)?), path, (0, Chain::default()));
        recorder.header(header)?;
        recorder.commit()?;
        sync_folder(path)?;
        Ok(recorder)
    }

    /// Begins a record that goes on from the one at the same path, whose last seal is given, with `engine` as its first
    /// state. Whole or not at all: at no moment is there no record at `path`, from which an engine would begin anew. The other
    /// is kept under the name that comes back.
    pub(crate) fn succeed(
        path: &Path,
        header: &Header,
        (seal, engine): (&Chain, &Engine),
    ) -> Result<(Self, PathBuf), RecordError> {
        let draft = path.with_extension("draft");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove a draft of", path)(error));
            }
            _ => {}
        }
        let aside = aside(path, header.at);
        let mut recorder = Self::over(Box::new(new_file(&draft)?), path, (0, Chain::default()));
        let from = Carried {
            record: aside
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            sum: seal.sum(),
        };
        recorder.header(header)?;
        recorder.stated(&Stated {
            at: header.at,
            gap: None,
            carried: Some(&from),
            state: engine,
        })?;
        recorder.commit()?;
        fs::hard_link(path, &aside).map_err(io_error("set aside", path))?;
        fs::rename(&draft, path).map_err(io_error("replace", path))?;
        sync_folder(path)?;
        Ok((recorder, aside))
    }

    /// Goes on after what is written already.
    pub(crate) fn over(medium: Box<dyn Medium>, path: &Path, written: (u64, Chain)) -> Self {
        let chain = written.1.clone();
        Self {
            path: path.to_owned(),
            medium,
            buffer: Vec::new(),
            chain,
            written,
            held: None,
            since_state: 0,
            piece: PIECE,
        }
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

    /// The whole engine, once there were enough inputs since the last time.
    pub(crate) fn state_if_due(&mut self, at: Timestamp, engine: &Engine) -> Result<(), RecordError> {
        if self.since_state < STATE_EVERY {
            Ok(())
        } else {
            self.state(at, engine)
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
        self.medium.sync().map_err(|error| self.take_back(before, error))
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

/// A file for its owner only, to be written at its end.
fn new_file(path: &Path) -> Result<File, RecordError> {
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(io_error("create", path))
}

/// The name of a record that ends at this moment.
fn aside(path: &Path, at: Timestamp) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-until-{}.jsonl", at.micros()))
}

/// Nothing recorded is ever overwritten.
fn set_aside(path: &Path, at: Timestamp) -> Result<(), RecordError> {
    match fs::rename(path, aside(path, at)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(io_error("set aside", path)),
    }
}

/// Without this the name of a new file may be lost with the power, and the record with it.
fn sync_folder(path: &Path) -> Result<(), RecordError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error("secure the folder of", path))
}

#[cfg(test)]
mod tests;

//! A record goes on in another file: for a session that was edited, and when it has become long.
//!
//! The new file is written under the name of a draft, with the engine's state in it; the old one gets a second name; the
//! draft takes its first one. Killed between any two of these steps, the next start finds one of the two records whole.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pacao_core::Engine;
use proto::Timestamp;

use super::disk::{Disk, System, folder};
use super::{Recorder, io_error};
use crate::record::{Carried, Chain, Header, RecordError, Stated};

/// A file has at least so many times the bytes of its first state, or it would hold little but states.
const STATES: u64 = 8;

/// What became of a record that was to go on in another file.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It does.
    Turned {
        /// The name of what was written before.
        kept: PathBuf,
        /// Files of before that had to make room.
        removed: Vec<PathBuf>,
        /// Why one that should have is still there.
        trouble: Option<RecordError>,
    },
    /// It goes on where it was.
    Stayed(RecordError),
}

impl Recorder {
    /// Begins a record that goes on from the one at the same path, whose last seal is given, with `engine` as its first
    /// state. At no moment is there no record at `path`, from which an engine would begin anew. The other is kept under the
    /// name that comes back, for good.
    pub(crate) fn succeed(
        path: &Path,
        header: &Header,
        (seal, engine): (&Chain, &Engine),
    ) -> Result<(Self, PathBuf), RecordError> {
        let kept = until(path, header.at);
        let from = carried(&kept, seal);
        let mut next = Self::draft((path, Arc::new(System)), header, (&from, engine), super::PIECE)?;
        next.take_name(&kept)?;
        next.commit()?;
        Ok((next, kept))
    }

    /// Goes on in a new file with `engine` as its first state, and removes the oldest files of before that are too much.
    /// An error is one of the record, whichever file it is in; while the old one is well, it goes on there.
    pub(crate) fn turn(&mut self, at: Timestamp, engine: &Engine) -> Result<Turn, RecordError> {
        self.commit()?;
        let kept = segment(&self.path, at);
        match self.next(&kept, at, engine) {
            Err(error) => {
                // On a full disk what was begun would take the room that the record needs.
                let _tried_again_with_the_next = self.disk.remove(&draft(&self.path));
                self.state(at, engine)?;
                Ok(Turn::Stayed(error))
            }
            Ok(next) => {
                *self = next;
                self.commit()?;
                let mut removed = Vec::new();
                let trouble = self.forget(&kept, &mut removed).err();
                Ok(Turn::Turned {
                    kept,
                    removed,
                    trouble,
                })
            }
        }
    }

    /// Whether so much was written since the first state that the record should go on in another file.
    pub(super) fn is_long(&self) -> bool {
        let length = self.written.0 + self.buffer.len() as u64;
        let enough = self.upkeep.segment.max(self.began.saturating_mul(STATES));
        length.saturating_sub(self.began) >= enough
    }

    fn next(&self, kept: &Path, at: Timestamp, engine: &Engine) -> Result<Self, RecordError> {
        let header = Header::new(engine.config().clone(), at);
        let from = carried(kept, &self.chain);
        let place = (&*self.path, Arc::clone(&self.disk));
        let mut next = Self::draft(place, &header, (&from, engine), self.piece)?;
        next.upkeep = self.upkeep;
        next.take_name(kept)?;
        Ok(next)
    }

    /// Written and on the disk, but not in its place.
    fn draft(
        (path, disk): (&Path, Arc<dyn Disk>),
        header: &Header,
        (from, engine): (&Carried, &Engine),
        piece: usize,
    ) -> Result<Self, RecordError> {
        let draft = draft(path);
        match disk.remove(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove a draft of", path)(error));
            }
            _ => {}
        }
        let file = disk.create(&draft).map_err(io_error("create", &draft))?;
        let mut next = Self::over(file, path, (0, Chain::default()));
        (next.disk, next.piece) = (disk, piece);
        next.header(header)?;
        next.stated(&Stated {
            at: header.at,
            gap: None,
            carried: Some(from),
            state: engine,
        })?;
        next.commit()?;
        next.began = next.written.0;
        Ok(next)
    }

    /// Puts a draft in its place; that and the name of what was there are on the disk with the next [`Self::commit`].
    fn take_name(&mut self, kept: &Path) -> Result<(), RecordError> {
        self.sweep();
        let (disk, path) = (&self.disk, &self.path);
        disk.link(path, kept).map_err(io_error("set aside", path))?;
        // Or the loss of power might leave the new name without the old one.
        disk.sync_folder(path)
            .and_then(|()| disk.rename(&draft(path), path))
            .map_err(io_error("replace", path))?;
        self.named = false;
        Ok(())
    }

    /// Second names that a change which was cut short has left.
    fn sweep(&self) {
        let Ok(own) = fs::symlink_metadata(&self.path) else {
            return;
        };
        let same = |path: &PathBuf| {
            fs::symlink_metadata(path).is_ok_and(|meta| (meta.dev(), meta.ino()) == (own.dev(), own.ino()))
        };
        for kind in [SEGMENT, UNTIL] {
            for (_, path) in files(&self.path, kind).unwrap_or_default() {
                if same(&path) {
                    let _the_file_has_its_first_name = self.disk.remove(&path);
                }
            }
        }
    }

    /// Removes the oldest segments while all of them have more bytes than are to be kept; never the one that the record
    /// goes on from.
    fn forget(&self, kept: &Path, removed: &mut Vec<PathBuf>) -> Result<(), RecordError> {
        let list = |error| io_error("list older files of", &self.path)(error);
        let mut older = Vec::new();
        for (at, path) in files(&self.path, SEGMENT).map_err(list)? {
            let bytes = fs::symlink_metadata(&path).map_err(list)?.len();
            older.push((at, bytes, path));
        }
        older.sort();
        let mut all: u64 = older.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in older {
            if all <= self.upkeep.keep {
                break;
            }
            if path != *kept {
                self.disk.remove(&path).map_err(io_error("remove", &path))?;
                removed.push(path);
                all -= bytes;
            }
        }
        Ok(())
    }
}

/// In the name of a file that was full.
const SEGMENT: &str = "segment";
/// In the name of a record that somebody ended.
const UNTIL: &str = "until";

/// Files beside the record at `path` whose names say this, with the time in the name.
fn files(path: &Path, kind: &str) -> io::Result<Vec<(u64, PathBuf)>> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let begin = format!("{stem}-{kind}-");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(path))? {
        let entry = entry?;
        let name = entry.file_name();
        let at = name
            .to_str()
            .and_then(|name| name.strip_prefix(&begin)?.strip_suffix(".jsonl"))
            .filter(|at| at.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|at| at.parse().ok());
        if let Some(at) = at.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file())) {
            found.push((at, path.with_file_name(name)));
        }
    }
    Ok(found)
}

fn named(path: &Path, kind: &str, at: Timestamp) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{kind}-{}.jsonl", at.micros()))
}

/// The name of a record that somebody ended at this moment.
pub(super) fn until(path: &Path, at: Timestamp) -> PathBuf {
    named(path, UNTIL, at)
}

fn segment(path: &Path, at: Timestamp) -> PathBuf {
    named(path, SEGMENT, at)
}

fn draft(path: &Path) -> PathBuf {
    path.with_extension("draft")
}

fn carried(kept: &Path, seal: &Chain) -> Carried {
    let record = kept.file_name().unwrap_or_default();
    Carried {
        record: record.to_string_lossy().into_owned(),
        sum: seal.sum(),
    }
}

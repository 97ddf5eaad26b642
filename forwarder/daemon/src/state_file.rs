//! What must outlive the process, in one file that is replaced whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use node::State;

/// A state that cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory cannot be made.
    #[error("state_dir {}: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("state {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("state {}: {source}; remove it, if replays of old messages are no danger", path.display())]
    Broken {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// The file in a directory, which is made if it is not there.
    pub(crate) fn within(directory: &Path) -> Result<Self, StateError> {
        fs::create_dir_all(directory).map_err(|source| StateError::Directory {
            path: directory.to_owned(),
            source,
        })?;
        Ok(Self {
            path: directory.join("state.json"),
        })
    }

    /// What was stored last; `None` at the first start.
    pub(crate) fn load(&self) -> Result<Option<State>, StateError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(StateError::Read {
                    path: self.path.clone(),
                    source,
                });
            }
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| StateError::Broken {
                path: self.path.clone(),
                source,
            })
    }

    /// Replaces it. A process that dies on the way leaves the old one or the new one; what has been replaced outlives a
    /// machine that loses its power.
    pub(crate) fn store(&self, state: &State) -> io::Result<()> {
        let bytes = serde_json::to_vec(state)?;
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(&beside, &self.path)?;
        // Until the directory is written too, its old entry may come back.
        let directory = self.path.parent().unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_loaded_and_a_broken_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::within(&directory.path().join("a/b")).unwrap();
        assert!(file.load().unwrap().is_none());
        file.store(&State::default()).unwrap();
        assert_eq!(file.load().unwrap(), Some(State::default()));
        fs::write(&file.path, b"{").unwrap();
        assert!(matches!(file.load(), Err(StateError::Broken { .. })));
    }
}

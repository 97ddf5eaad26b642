//! The directory of one lab: configurations with their secrets, control sockets, logs. It is removed when the lab ends;
//! what a killed lab left is removed by the next one, which sees that nobody holds the lock any more.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};

const PREFIX: &str = "pacao-lab-";
const LOCK: &str = "pid";
/// A directory without a lock file is either being made or was left in that moment.
const MAKING: Duration = Duration::from_secs(60);

/// A directory that only its owner can read, locked while the lab runs.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// Closed, and so unlocked, by the kernel when the process ends. Children do not inherit it.
    lock: Option<Flock<File>>,
}

impl RunDir {
    /// A new one below `base`.
    pub(crate) fn create(base: &Path) -> Result<Self, RunDirError> {
        let failed = |path: &Path, source| RunDirError::Create {
            path: path.to_owned(),
            source,
        };
        let made = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(6)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(base)
            .map_err(|source| failed(base, source))?;
        let path = made.path().to_owned();
        // Locked first and named after, so that nobody ever sees it unlocked.
        let begun = path.join("pid.begun");
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&begun)
            .map_err(|source| failed(&begun, source))?;
        writeln!(file, "{}", std::process::id()).map_err(|source| failed(&begun, source))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| failed(&begun, errno.into()))?;
        fs::rename(&begun, path.join(LOCK)).map_err(|source| failed(&begun, source))?;
        Ok(Self {
            path: made.keep(),
            lock: Some(lock),
        })
    }

    /// Removes what killed labs of this user left below `base`. Returns how many directories.
    pub(crate) fn sweep(base: &Path) -> Result<usize, RunDirError> {
        let failed = |source| RunDirError::Sweep {
            path: base.to_owned(),
            source,
        };
        let own = nix::unistd::geteuid().as_raw();
        let mut removed = 0;
        for entry in fs::read_dir(base).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let ours = entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(PREFIX));
            // Another lab may end at this moment and take its directory along.
            let Some(meta) = ours.then(|| entry.metadata().ok()).flatten() else {
                continue;
            };
            if meta.is_dir() && meta.uid() == own && abandoned(&entry.path(), &meta) {
                match fs::remove_dir_all(entry.path()) {
                    Ok(()) => removed += 1,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(source) => {
                        return Err(RunDirError::Remove {
                            path: entry.path(),
                            source,
                        });
                    }
                }
            }
        }
        Ok(removed)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory inside.
    pub(crate) fn inner(&self, name: &str) -> Result<PathBuf, RunDirError> {
        let path = self.path.join(name);
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&path)
            .map_err(|source| RunDirError::Create {
                path: path.clone(),
                source,
            })?;
        Ok(path)
    }

    /// A file inside that only its owner can read.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, RunDirError> {
        let path = self.path.join(name);
        let failed = |source| RunDirError::Create {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(path)
    }

    /// Removes it.
    pub(crate) fn remove(mut self) -> Result<(), RunDirError> {
        let removed = fs::remove_dir_all(&self.path);
        self.lock = None;
        removed.map_err(|source| RunDirError::Remove {
            path: self.path.clone(),
            source,
        })
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // Nobody is left to be told; the next lab sweeps what could not be removed.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Where run directories go unless told otherwise: `$XDG_RUNTIME_DIR` if it is ours, else the system's temporary directory.
pub(crate) fn base() -> PathBuf {
    let own = nix::unistd::geteuid().as_raw();
    std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| fs::metadata(path).is_ok_and(|meta| meta.is_dir() && meta.uid() == own))
        .unwrap_or_else(std::env::temp_dir)
}

fn abandoned(path: &Path, meta: &fs::Metadata) -> bool {
    let Ok(file) = File::open(path.join(LOCK)) else {
        let age = meta
            .modified()
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        return age.is_some_and(|age| age > MAKING);
    };
    Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok()
}

/// A directory that cannot be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// Not made.
    #[error("cannot write {}: {source}", path.display())]
    Create {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not listed.
    #[error("cannot look for what earlier labs left in {}: {source}", path.display())]
    Sweep {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not removed.
    #[error("cannot remove {}: {source}", path.display())]
    Remove {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let base = tempfile::tempdir().unwrap();
        let held = RunDir::create(base.path()).unwrap();
        held.write("secret", "x").unwrap();
        let left = RunDir::create(base.path()).unwrap();
        // A killed process unlocks without removing.
        let left_path = left.path().to_owned();
        let mut left = left;
        left.lock = None;
        drop(left);
        let foreign = base.path().join("other");
        fs::create_dir(&foreign).unwrap();
        let begun = base.path().join(format!("{PREFIX}begun"));
        fs::create_dir(&begun).unwrap();

        assert!(left_path.exists());
        assert_eq!(RunDir::sweep(base.path()).unwrap(), 1);
        assert!(!left_path.exists() && held.path().exists() && foreign.exists() && begun.exists());
        let path = held.path().to_owned();
        assert_eq!(fs::metadata(path.join("secret")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        held.remove().unwrap();
        assert!(!path.exists());
    }
}

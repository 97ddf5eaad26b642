//! Where an engine keeps its state: one folder a session, one engine a folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// Under which root the folders of sessions lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// `$XDG_STATE_HOME/pacao`, or `~/.local/state/pacao`.
    User,
    /// `/var/lib/pacao`, for an engine that the system starts.
    System,
    /// Here.
    At(PathBuf),
}

impl Root {
    /// The folder itself.
    ///
    /// # Errors
    /// [`PathsError::NoHome`] if neither `XDG_STATE_HOME` nor `HOME` is an absolute path.
    pub fn path(&self) -> Result<PathBuf, PathsError> {
        // The XDG base directory specification: a relative path there is invalid and to be ignored.
        let absolute = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        match self {
            Self::At(path) => Ok(path.clone()),
            Self::System => Ok(PathBuf::from("/var/lib/pacao")),
            Self::User => absolute("XDG_STATE_HOME")
                .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
                .map(|state| state.join("pacao"))
                .ok_or(PathsError::NoHome),
        }
    }
}

/// The files of one session's engine; naming them touches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePaths {
    folder: PathBuf,
}

impl StatePaths {
    /// The files of the session called `session`.
    pub fn new(root: &Root, session: &str) -> Result<Self, PathsError> {
        Ok(Self {
            folder: root.path()?.join(session),
        })
    }

    /// The sessions under `root` whose engine runs and serves consoles, by name. One that was killed leaves its
    /// `endpoint` file behind, so the process is looked for as well.
    pub fn with_endpoint(root: &Root) -> Result<Vec<Self>, PathsError> {
        let root = root.path()?;
        let entries = match fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(PathsError::Io {
                    doing: "list",
                    path: root,
                    source,
                });
            }
        };
        let mut found: Vec<Self> = entries
            .filter_map(Result::ok)
            .map(|entry| Self { folder: entry.path() })
            .filter(|paths| paths.endpoint().exists() && paths.is_running())
            .collect();
        found.sort_by(|a, b| a.folder.cmp(&b.folder));
        Ok(found)
    }

    fn is_running(&self) -> bool {
        let pid = fs::read_to_string(self.lock())
            .ok()
            .and_then(|text| text.trim().parse::<u32>().ok());
        pid.is_some_and(|pid| Path::new("/proc").join(pid.to_string()).exists())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The record of all inputs.
    pub fn record(&self) -> PathBuf {
        self.folder.join("record.jsonl")
    }

    /// The secret that consoles show.
    pub fn token(&self) -> PathBuf {
        self.folder.join("token")
    }

    /// The URL that consoles connect to, while the engine runs.
    pub fn endpoint(&self) -> PathBuf {
        self.folder.join("endpoint")
    }

    /// Held by the engine; its pid inside.
    pub fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }
}

/// A session's folder, made, and locked until this is dropped.
#[derive(Debug)]
pub struct StateDir {
    paths: StatePaths,
    _lock: Flock<File>,
}

impl StateDir {
    /// Makes the folder (mode 0700) if need be and takes its lock.
    ///
    /// # Errors
    /// [`PathsError::Running`] if another engine holds the lock, [`PathsError::Foreign`] if others can write there.
    pub fn open(paths: StatePaths) -> Result<Self, PathsError> {
        let folder = paths.folder.clone();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(failed("make", &folder))?;
        // Before anything in it is opened: it may have been put there, with a record or with links to our own files.
        let own = nix::unistd::geteuid().as_raw();
        let link = fs::symlink_metadata(&folder).map_err(failed("look at", &folder))?;
        let meta = fs::metadata(&folder).map_err(failed("look at", &folder))?;
        if let Some(why) = foreign(&link, &meta, own) {
            return Err(PathsError::Foreign { why, folder });
        }
        let path = paths.lock();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut pid = String::new();
                let _unreadable_is_unknown = file.read_to_string(&mut pid);
                let pid = pid.trim().parse().ok();
                return Err(PathsError::Running { pid, folder });
            }
            Err((_, errno)) => return Err(failed("lock", &path)(errno.into())),
        };
        write_pid(&mut lock).map_err(failed("write", &path))?;
        Ok(Self { paths, _lock: lock })
    }

    /// Its files.
    pub fn paths(&self) -> &StatePaths {
        &self.paths
    }
}

/// Why others than the user `own` could change what is in a folder, to which a link may lead.
fn foreign(link: &fs::Metadata, meta: &fs::Metadata, own: u32) -> Option<&'static str> {
    if link.uid() != own || meta.uid() != own {
        Some("it belongs to another user")
    } else if meta.mode() & 0o022 != 0 {
        Some("others can write there; chmod go-w it")
    } else {
        None
    }
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.seek(SeekFrom::Start(0))?;
    writeln!(lock, "{}", std::process::id())
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PathsError {
    let path = path.to_owned();
    move |source| PathsError::Io { doing, path, source }
}

/// State that cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// Nowhere to keep a user's state.
    #[error("neither XDG_STATE_HOME nor HOME is an absolute path; set one of them, or name a state folder")]
    NoHome,
    /// One engine a session.
    #[error(
        "an engine of this session runs already ({}); attach to it, or stop it first. Its state: {}",
        pid.map_or_else(|| "pid unknown".to_owned(), |pid| format!("pid {pid}")), folder.display()
    )]
    Running {
        /// Of the other engine, if it had written it.
        pid: Option<u32>,
        /// The session's folder.
        folder: PathBuf,
    },
    /// Others could plant a record, or learn the token.
    #[error("{} cannot hold an engine's state: {why}", folder.display())]
    Foreign {
        /// What is wrong.
        why: &'static str,
        /// The session's folder.
        folder: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_engine_of_a_session_is_told_the_pid_of_the_first() {
        let root = tempfile::tempdir().unwrap();
        let paths = StatePaths::new(&Root::At(root.path().to_owned()), "two-sites").unwrap();
        let first = StateDir::open(paths.clone()).unwrap();
        let told = StateDir::open(paths.clone()).unwrap_err().to_string();
        assert!(told.contains(&format!("pid {}", std::process::id())), "{told}");
        drop(first);
        StateDir::open(paths).unwrap();
    }

    #[test]
    fn a_folder_that_others_can_change_holds_no_state() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let root = tempfile::tempdir().unwrap();
        let at = Root::At(root.path().to_owned());
        let refusal = |session: &str| {
            let opened = StateDir::open(StatePaths::new(&at, session).unwrap());
            opened.map_or_else(|error| error.to_string(), |_| "opened".to_owned())
        };
        let shared = root.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(refusal("shared").contains("others can write there"));
        assert!(!shared.join("lock").exists());
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
        symlink(&shared, root.path().join("link")).unwrap();
        assert_eq!([refusal("shared"), refusal("link")], ["opened", "opened"]);
        let meta = fs::metadata(&shared).unwrap();
        let other = foreign(&meta, &meta, meta.uid() + 1);
        assert_eq!(other, Some("it belongs to another user"));
    }

    #[test]
    fn only_sessions_with_an_endpoint_are_listed() {
        let root = tempfile::tempdir().unwrap();
        let at = Root::At(root.path().join("pacao"));
        assert_eq!(StatePaths::with_endpoint(&at).unwrap(), []);
        let mut opened = Vec::new();
        for session in ["b", "a", "c"] {
            opened.push(StateDir::open(StatePaths::new(&at, session).unwrap()).unwrap());
        }
        for state in &opened[..2] {
            fs::write(state.paths().endpoint(), "ws://127.0.0.1:1/\n").unwrap();
        }
        let found = StatePaths::with_endpoint(&at).unwrap();
        assert_eq!(found, [opened[1].paths().clone(), opened[0].paths().clone()]);
        // No process has this number: it is above the kernel's limit of 2^22.
        fs::write(opened[0].paths().lock(), "4194305\n").unwrap();
        assert_eq!(
            StatePaths::with_endpoint(&at).unwrap(),
            [opened[1].paths().clone()],
            "the other was killed"
        );
    }
}

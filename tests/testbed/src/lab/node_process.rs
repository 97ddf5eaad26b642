//! A forwarder's process: started, waited for, killed, started again.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::Node;
use crate::namespace::{Namespace, NamespaceError};

/// Bytes of a log that are shown when its process ends.
const LAST_WORDS: usize = 600;

/// One forwarder.
#[derive(Debug)]
pub(super) struct NodeProcess {
    node: Node,
    command: Vec<OsString>,
    config: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    life: Life,
}

#[derive(Debug)]
enum Life {
    Running(Child),
    Killed,
    /// It ended by itself.
    Ended(ExitStatus),
}

impl NodeProcess {
    /// Starts `command` with its files (configuration, control socket, log).
    pub(super) fn start(
        node: Node,
        command: Vec<OsString>,
        (config, socket, log): (PathBuf, PathBuf, PathBuf),
        namespace: &Namespace,
    ) -> Result<Self, NodeProcessError> {
        let mut process = Self {
            node,
            command,
            config,
            socket,
            log,
            life: Life::Killed,
        };
        process.restart(namespace)?;
        Ok(process)
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its process id, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        match &self.life {
            Life::Running(child) => Some(child.id()),
            Life::Killed | Life::Ended(_) => None,
        }
    }

    /// Starts it if it does not run.
    pub(super) fn restart(&mut self, namespace: &Namespace) -> Result<(), NodeProcessError> {
        if self.runs() {
            return Ok(());
        }
        let mut words = self.command.iter();
        let program = words.next().cloned().unwrap_or_default();
        let mut command = Command::new(program);
        command
            .args(words)
            .arg("--config")
            .arg(&self.config)
            .arg("--die-with-parent");
        let log = log_file(&self.log).map_err(|source| self.failed("open its log", source))?;
        let copy = log
            .try_clone()
            .map_err(|source| self.failed("open its log", source))?;
        command.stdin(Stdio::null()).stdout(log).stderr(copy);
        // Ctrl-C is for the lab; it ends its forwarders itself.
        command.process_group(0);
        match fs::remove_file(&self.socket) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(self.failed("remove its old control socket", source));
            }
            _ => {}
        }
        self.life = Life::Running(namespace.spawn(command)?);
        Ok(())
    }

    /// Returns when the control socket answers.
    pub(super) fn wait_until_it_answers(&mut self, patience: Duration) -> Result<(), NodeProcessError> {
        let began = Instant::now();
        loop {
            if UnixStream::connect(&self.socket).is_ok() {
                return Ok(());
            }
            if let Some(how) = self.casualty() {
                return Err(NodeProcessError::Ended {
                    node: self.node.to_string(),
                    how,
                });
            }
            if began.elapsed() > patience {
                return Err(NodeProcessError::Silent {
                    node: self.node.to_string(),
                    seconds: patience.as_secs(),
                    words: last_words(&self.log),
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it.
    pub(super) fn kill(&mut self) -> Result<(), NodeProcessError> {
        if self.runs()
            && let Life::Running(child) = &mut self.life
        {
            let killed = child.kill().and_then(|()| child.wait());
            killed.map_err(|source| self.failed("kill it", source))?;
            self.life = Life::Killed;
        }
        Ok(())
    }

    /// How it ended, if it did so by itself.
    pub(super) fn casualty(&mut self) -> Option<String> {
        self.runs();
        match self.life {
            Life::Ended(status) => Some(ended(status, &self.log)),
            Life::Running(_) | Life::Killed => None,
        }
    }

    fn runs(&mut self) -> bool {
        if let Life::Running(child) = &mut self.life
            && let Ok(Some(status)) = child.try_wait()
        {
            self.life = Life::Ended(status);
        }
        matches!(self.life, Life::Running(_))
    }

    fn failed(&self, what: &'static str, source: io::Error) -> NodeProcessError {
        NodeProcessError::Io {
            node: self.node.to_string(),
            what,
            source,
        }
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // An error means that it ended already.
        let _ = self.kill();
    }
}

/// A log only its owner can read, written at its end.
pub(super) fn log_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// How a process ended, and its last words.
pub(super) fn ended(status: ExitStatus, log: &Path) -> String {
    let words = last_words(log);
    if words.is_empty() {
        status.to_string()
    } else {
        format!("{status}; it said: {words}")
    }
}

fn last_words(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let from = text.len().saturating_sub(LAST_WORDS);
    String::from_utf8_lossy(&text[from..]).trim().to_owned()
}

/// A forwarder that does not run.
#[derive(Debug, thiserror::Error)]
pub enum NodeProcessError {
    /// It did not start.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// It ended by itself.
    #[error("the forwarder of '{node}' ended: {how}")]
    Ended {
        /// Whose.
        node: String,
        /// Status and last words.
        how: String,
    },
    /// It does not answer.
    #[error(
        "the forwarder of '{node}' did not answer on its control socket within {seconds} s; it said: {words}"
    )]
    Silent {
        /// Whose.
        node: String,
        /// How long was waited.
        seconds: u64,
        /// The end of its log.
        words: String,
    },
    /// A file or the process itself.
    #[error("forwarder of '{node}': cannot {what}: {source}")]
    Io {
        /// Whose.
        node: String,
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

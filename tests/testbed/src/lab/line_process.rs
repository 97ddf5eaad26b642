//! The delay line as the lab sees it: a child that is told things and answers each.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::node_process::{ended, log_file};
use super::run_dir::{RunDir, RunDirError};
use crate::delay_line::{LineCommand, LineReply, LineStats};
use crate::line::config::LineConfig;
use crate::namespace::{Namespace, NamespaceError};

/// A running delay line.
#[derive(Debug)]
pub(crate) struct LineProcess {
    child: Child,
    commands: ChildStdin,
    replies: BufReader<ChildStdout>,
    log: std::path::PathBuf,
}

impl LineProcess {
    /// Starts `program delay-line` in `core` and waits until its ports are open.
    pub(super) fn start(
        program: &Path,
        config: &LineConfig,
        core: &Namespace,
        dir: &RunDir,
    ) -> Result<Self, LineProcessError> {
        let text = serde_json::to_string_pretty(config)
            .map_err(|error| failed("write its configuration", error.into()))?;
        let config = dir.write("delay-line.json", &text)?;
        let log = dir.path().join("delay-line.log");
        Self::begin(program, &config, core, log)
    }

    /// Starts it with a configuration file that exists.
    pub(crate) fn begin(
        program: &Path,
        config: &Path,
        core: &Namespace,
        log: std::path::PathBuf,
    ) -> Result<Self, LineProcessError> {
        let mut command = Command::new(program);
        command
            .arg("delay-line")
            .arg("--die-with-parent")
            .arg("--config")
            .arg(config);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(log_file(&log).map_err(|source| failed("open its log", source))?);
        let mut child = core.spawn(command)?;
        let (Some(commands), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("talk to it", io::Error::from(io::ErrorKind::BrokenPipe)));
        };
        let mut process = Self {
            child,
            commands,
            replies: BufReader::new(replies),
            log,
        };
        match process.reply()? {
            LineReply::Ready => Ok(process),
            other => Err(LineProcessError::Refused {
                why: format!("it said {other:?} before it was asked"),
            }),
        }
    }

    /// Tells it something.
    pub(crate) fn tell(&mut self, command: &LineCommand) -> Result<(), LineProcessError> {
        self.ask(command).map(drop)
    }

    /// What it did so far.
    pub(crate) fn stats(&mut self) -> Result<LineStats, LineProcessError> {
        match self.ask(&LineCommand::Stats)? {
            LineReply::Stats(stats) => Ok(stats),
            other => Err(LineProcessError::Refused {
                why: format!("it answered {other:?}"),
            }),
        }
    }

    /// How it ended, if it did.
    pub(super) fn casualty(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(ended(status, &self.log))
    }

    fn ask(&mut self, command: &LineCommand) -> Result<LineReply, LineProcessError> {
        let mut text =
            serde_json::to_vec(command).map_err(|error| failed("write a command", error.into()))?;
        text.push(b'\n');
        if let Err(source) = self.commands.write_all(&text) {
            return Err(self
                .death()
                .unwrap_or_else(|| failed("tell it a command", source)));
        }
        match self.reply()? {
            LineReply::Refused { why } => Err(LineProcessError::Refused { why }),
            reply => Ok(reply),
        }
    }

    fn reply(&mut self) -> Result<LineReply, LineProcessError> {
        let mut text = String::new();
        let count = self
            .replies
            .read_line(&mut text)
            .map_err(|source| failed("read its answer", source))?;
        if count == 0 {
            // It closed its output, so it is ending; its status follows at once.
            let status = self.child.wait().map_err(|source| failed("see it end", source))?;
            return Err(LineProcessError::Ended {
                how: ended(status, &self.log),
            });
        }
        serde_json::from_str(&text).map_err(|error| failed("understand its answer", error.into()))
    }

    fn death(&mut self) -> Option<LineProcessError> {
        self.casualty().map(|how| LineProcessError::Ended { how })
    }
}

impl Drop for LineProcess {
    fn drop(&mut self) {
        // It holds nothing that needs an orderly end; an error means that it ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn failed(what: &'static str, source: io::Error) -> LineProcessError {
    LineProcessError::Io { what, source }
}

/// A delay line that does not do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum LineProcessError {
    /// It did not start.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// Its configuration was not written.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// It does not do that.
    #[error("the delay line refuses: {why}")]
    Refused {
        /// Why.
        why: String,
    },
    /// It is gone.
    #[error("the delay line ended: {how}")]
    Ended {
        /// Status and last words.
        how: String,
    },
    /// A pipe or a file.
    #[error("delay line: cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

//! The engine of a drill: `pacao serve` as a process of its own, so that it can be killed like one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use proto::{EngineFrame, Mode};
use testbed::guard;

use crate::lines::Lines;
use crate::told::Told;

/// A running `pacao serve` and what it has told so far.
pub(super) struct Engine {
    frames: Lines<EngineFrame>,
    state: Told,
}

impl Engine {
    /// Starts an engine on `session`, its state in `state`.
    pub(super) fn start(session: &Path, state: &Path, mode: Mode) -> anyhow::Result<Self> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(state.with_extension("log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg(session).arg("--state").arg(state);
        command.args(["--mode", &mode.to_string(), "--die-with-parent"]);
        command.env(guard::PARENT, std::process::id().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let child = command.spawn().context("starting the engine")?;
        Ok(Self {
            frames: Lines::of(child)?,
            state: Told::default(),
        })
    }

    /// What it has told up to now.
    pub(super) fn told(&mut self) -> &Told {
        for frame in self.frames.take() {
            self.state.take(frame);
        }
        &self.state
    }

    /// Waits until `wanted` makes something of what it told.
    pub(super) fn wait<U>(
        &mut self,
        patience: Duration,
        mut wanted: impl FnMut(&Told) -> Option<U>,
    ) -> anyhow::Result<U> {
        let until = Instant::now() + patience;
        loop {
            if let Some(found) = wanted(self.told()) {
                return Ok(found);
            }
            if Instant::now() > until {
                bail!(
                    "the engine did not get there within {} s: {:?}",
                    patience.as_secs_f64(),
                    self.state
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        self.frames.kill();
    }

    /// SIGTERM, and waits.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.frames.terminate()?;
        self.frames.finish()?;
        Ok(())
    }
}

/// Where a drill's engine keeps its state.
pub(super) fn state_in(directory: &Path) -> PathBuf {
    directory.join("engine")
}

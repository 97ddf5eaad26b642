//! Children that print JSON lines.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;

/// A child and what it prints, read by a thread of its own so that the child never waits for us.
#[derive(Debug)]
pub(crate) struct Lines<T> {
    child: Child,
    lines: Mutex<Receiver<T>>,
}

impl<T: DeserializeOwned + Send + 'static> Lines<T> {
    /// Takes over a child whose standard output is piped. Lines that are not of this kind are passed over.
    pub(crate) fn of(mut child: Child) -> anyhow::Result<Self> {
        let output = child.stdout.take().context("the child's output is not piped")?;
        // Unbounded, since the reader may come back late; children print a few lines a second and end.
        let (sender, lines) = channel();
        std::thread::Builder::new()
            .name("lines".to_owned())
            .spawn(move || forward(output, &sender))?;
        Ok(Self {
            child,
            lines: Mutex::new(lines),
        })
    }

    /// The child's standard input, if it is piped and was not taken yet.
    pub(crate) fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// What has been printed so far and not taken yet.
    pub(crate) fn take(&self) -> Vec<T> {
        self.receiver().try_iter().collect()
    }

    /// The next line that `wanted` makes something of, within `patience`.
    pub(crate) fn wait_for<U>(
        &self,
        patience: Duration,
        mut wanted: impl FnMut(T) -> Option<U>,
    ) -> anyhow::Result<U> {
        let until = Instant::now() + patience;
        loop {
            match self
                .receiver()
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    if let Some(found) = wanted(line) {
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("nothing of the kind within {} s", patience.as_secs_f64())
                }
                Err(RecvTimeoutError::Disconnected) => bail!("the program ended before it said so"),
            }
        }
    }

    /// Waits for the child's end and gives what was not taken yet.
    pub(crate) fn finish(mut self) -> anyhow::Result<Vec<T>> {
        self.child.wait()?;
        let rest = self.receiver().iter().collect();
        Ok(rest)
    }

    fn receiver(&self) -> MutexGuard<'_, Receiver<T>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the child with SIGKILL and reaps it.
    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks the child to end (SIGTERM).
    pub(crate) fn terminate(&self) -> anyhow::Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        Ok(())
    }
}

impl<T> Drop for Lines<T> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward<T: DeserializeOwned>(output: ChildStdout, sender: &std::sync::mpsc::Sender<T>) {
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { return };
        if let Ok(value) = serde_json::from_str(&line)
            && sender.send(value).is_err()
        {
            return;
        }
    }
}

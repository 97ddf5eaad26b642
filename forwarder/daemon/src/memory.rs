//! What must outlive the process, written by a thread of its own: a slow disk stalls neither probes nor packets.
//!
//! What is said on the strength of a state waits until that state is on the disk, and so does whatever is said after it,
//! but for what tells nobody anything that a crash could take back: probes, answers to probes, questions, figures.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lisp_wire::{MessageKind, Type5};
use node::{Effect, State};
use proto::NodeReport;
use proto::node::CounterRow;

use crate::state_file::StateFile;

/// A state that could not be stored is tried again this often.
const AGAIN: Duration = Duration::from_secs(1);
/// So much waits to be said. Where it is more the disk is waited for.
const MOST_UNSAID: usize = 4096;

/// Where states are stored.
pub(crate) trait Disk: Send + 'static {
    /// Replaces what is stored. Once this returns it outlives a crash of the machine.
    fn store(&self, state: &State) -> io::Result<()>;
}

impl Disk for StateFile {
    fn store(&self, state: &State) -> io::Result<()> {
        Self::store(self, state)
    }
}

/// The control thread's end.
#[derive(Debug)]
pub(crate) struct Memory {
    slate: Arc<Slate>,
    /// Readable when a state has been dealt with.
    wake: UnixStream,
    writer: Option<JoinHandle<()>>,
    /// How many states have been given to the writer.
    given: u64,
    /// The last of them that something was said on the strength of.
    relied_on: u64,
    /// What is to be said once so many have been dealt with.
    unsaid: VecDeque<(u64, Effect)>,
}

/// What the two threads have in common.
#[derive(Debug, Default)]
struct Slate {
    page: Mutex<Page>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Page {
    /// The newest state that has not been tried yet, and its number. It replaces an older one.
    next: Option<(u64, State)>,
    /// The number of the last state that was stored, or could not be.
    dealt_with: u64,
    stored: u64,
    failed: u64,
    condition: Condition,
    ends: bool,
}

/// How the last attempt went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Condition {
    #[default]
    Good,
    Failing,
}

impl Memory {
    /// Starts the writer.
    ///
    /// # Errors
    /// No thread, or no pipe to be woken by.
    pub(crate) fn start(disk: impl Disk) -> io::Result<Self> {
        let (wake, bell) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        let slate = Arc::<Slate>::default();
        let theirs = Arc::clone(&slate);
        let thread = std::thread::Builder::new().name("memory".to_owned());
        let writer = thread.spawn(move || theirs.write(&disk, &bell))?;
        Ok(Self {
            slate,
            wake,
            writer: Some(writer),
            given: 0,
            relied_on: 0,
            unsaid: VecDeque::new(),
        })
    }

    /// Has a state stored.
    pub(crate) fn keep(&mut self, state: State) {
        self.given += 1;
        self.slate.page().next = Some((self.given, state));
        self.slate.changed.notify_all();
    }

    /// Gives an effect back that may be carried out now, or keeps it until it may be.
    pub(crate) fn hold_back(&mut self, effect: Effect, follows: Follows) -> Option<Effect> {
        let speaks = speaks(&effect);
        if speaks && follows == Follows::TheState {
            self.relied_on = self.given;
        }
        let waits = speaks && (follows == Follows::TheState || relies_on_memory(&effect));
        let nothing_is_open = self.unsaid.is_empty() && self.slate.page().dealt_with >= self.relied_on;
        if !waits || nothing_is_open {
            return Some(effect);
        }
        if self.unsaid.len() >= MOST_UNSAID {
            self.slate.wait_for(self.relied_on);
        }
        self.unsaid.push_back((self.relied_on, effect));
        None
    }

    /// The bell has rung: it can ring again.
    pub(crate) fn woken(&self) {
        let mut drain = [0; 16];
        while matches!((&self.wake).read(&mut drain), Ok(length) if length > 0) {}
    }

    /// What may be said now, one after the other.
    pub(crate) fn next_said(&mut self) -> Option<Effect> {
        let dealt_with = self.slate.page().dealt_with;
        let due = self
            .unsaid
            .front()
            .is_some_and(|(waits_for, _)| *waits_for <= dealt_with);
        due.then(|| self.unsaid.pop_front())?.map(|(_, effect)| effect)
    }

    /// Waits until all that was given has been dealt with.
    pub(crate) fn finish(&self) {
        self.slate.wait_for(self.given);
    }

    /// How it went.
    pub(crate) fn counter_rows(&self) -> impl Iterator<Item = CounterRow> {
        let page = self.slate.page();
        let rows = [
            (
                "control.state.stored",
                page.stored,
                "Times that what must outlive the process was stored.",
            ),
            (
                "control.state.failed",
                page.failed,
                "Times that it could not be: after a restart, replays of old messages might be taken and moves forgotten.",
            ),
            (
                "control.state.failing",
                u64::from(page.condition == Condition::Failing),
                "1 while it cannot be, as the last attempt told; why stands in the log. 0 otherwise.",
            ),
        ];
        drop(page);
        rows.into_iter().map(|(name, value, meaning)| CounterRow {
            name: name.to_owned(),
            value,
            meaning: meaning.to_owned(),
        })
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.slate.page().ends = true;
        self.slate.changed.notify_all();
        if let Some(writer) = self.writer.take() {
            // It ends by itself; a panic of its has been told already.
            let _ended = writer.join();
        }
    }
}

/// Where an effect stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    /// Behind a state that was given just before, on the strength of which it is said.
    TheState,
    /// Behind whatever was done before.
    Others,
}

/// Whether anybody hears of it.
const fn speaks(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Send { .. } | Effect::SendFromData { .. } | Effect::Report { .. }
    )
}

/// Whether it may rest on what is not stored yet.
fn relies_on_memory(effect: &Effect) -> bool {
    match effect {
        Effect::Send { bytes, .. } => {
            let kind = MessageKind::of(bytes, Type5::MapNotifyAck);
            !kind.probes() && !matches!(kind, MessageKind::MapRequest | MessageKind::Ecm)
        }
        Effect::Report { report, .. } => matches!(report, NodeReport::Changed { .. }),
        _ => true,
    }
}

impl Slate {
    // A thread that panicked while it held the lock has broken nothing: each change is whole.
    fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for(&self, number: u64) {
        let mut page = self.page();
        while page.dealt_with < number && !page.ends {
            page = self.changed.wait(page).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The writer's whole life.
    fn write(&self, disk: &impl Disk, bell: &UnixStream) {
        let mut unstored = None;
        while let Some((number, state)) = self.next(unstored.take()) {
            let outcome = disk.store(&state);
            let mut page = self.page();
            page.dealt_with = page.dealt_with.max(number);
            match outcome {
                Ok(()) => {
                    page.stored += 1;
                    if std::mem::replace(&mut page.condition, Condition::Good) == Condition::Failing {
                        tracing::info!("state can be stored again");
                    }
                }
                Err(error) => {
                    page.failed += 1;
                    if std::mem::replace(&mut page.condition, Condition::Failing) == Condition::Good {
                        tracing::error!(%error, "state cannot be stored; after a restart replays might pass. Tried again");
                    }
                    unstored = Some((number, state));
                }
            }
            drop(page);
            self.changed.notify_all();
            // Full: it rings already.
            let _rings = (&mut &*bell).write(&[1]);
        }
    }

    /// The next state to be stored; after a while that which could not be. `None` at the end.
    fn next(&self, mut unstored: Option<(u64, State)>) -> Option<(u64, State)> {
        let mut page = self.page();
        loop {
            if let Some(next) = page.next.take() {
                return Some(next);
            }
            if page.ends {
                return None;
            }
            if unstored.is_none() {
                page = self.changed.wait(page).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = self.changed.wait_timeout(page, AGAIN);
            let (after, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
            page = after;
            if outcome.timed_out() && page.next.is_none() && !page.ends {
                return unstored.take();
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! All attached consoles, fast and slow.

use std::collections::{BTreeMap, VecDeque};

use proto::{EngineFrame, Notice, PROTOCOL, Reply, RequestId, Snapshot};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::attachment::FRAMES;

/// Which console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConsoleId(u64);

#[cfg(test)]
impl ConsoleId {
    /// For tests in which it does not matter which.
    pub(crate) const ANY: Self = Self(0);
    /// And for another than that.
    pub(crate) const OTHER: Self = Self(1);
}

/// Replies that wait for a console which reads nothing; one that has more asked without listening and is let go.
const MAX_WAITING: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Consoles {
    next: u64,
    attached: BTreeMap<ConsoleId, Console>,
}

#[derive(Debug)]
struct Console {
    frames: mpsc::Sender<EngineFrame>,
    /// Notices were dropped; a snapshot is owed.
    behind: bool,
    waiting: VecDeque<EngineFrame>,
}

impl Consoles {
    /// A new console: it is greeted and gets all there is.
    pub(crate) fn attach(&mut self, frames: mpsc::Sender<EngineFrame>, snapshot: Snapshot) -> ConsoleId {
        let id = ConsoleId(self.next);
        self.next += 1;
        let (session, mode) = (snapshot.session.clone(), snapshot.mode);
        let hello = EngineFrame::Hello {
            protocol: PROTOCOL,
            session,
            mode,
        };
        let mut console = Console {
            frames,
            behind: false,
            waiting: VecDeque::new(),
        };
        if console.send(hello) && console.send(EngineFrame::Snapshot { snapshot }) {
            self.attached.insert(id, console);
        }
        id
    }

    /// Tells all of them what changed.
    pub(crate) fn notify(&mut self, notices: &[Notice]) {
        if notices.is_empty() {
            return;
        }
        self.attached.retain(|_, console| {
            // Behind already: what changed is in the snapshot that is owed.
            console.behind
                || console.tell(EngineFrame::Notices {
                    notices: notices.to_vec(),
                })
        });
    }

    /// Answers one of them; gone by now, it needs no answer.
    pub(crate) fn reply(&mut self, to: ConsoleId, request: RequestId, reply: Reply) {
        let Some(console) = self.attached.get_mut(&to) else {
            return;
        };
        console.waiting.push_back(EngineFrame::Reply { request, reply });
        if !console.send_waiting() || console.waiting.len() > MAX_WAITING {
            self.attached.remove(&to);
        }
    }

    /// Whether one of them is owed something.
    pub(crate) fn any_behind(&self) -> bool {
        self.attached
            .values()
            .any(|console| console.behind || !console.waiting.is_empty())
    }

    /// Sends what is owed to those that have room again.
    pub(crate) fn catch_up(&mut self, snapshot: impl Fn() -> Snapshot) {
        self.attached.retain(|_, console| {
            if !console.send_waiting() {
                return false;
            }
            // Half the queue, or a console that is slow for good would get nothing but snapshots.
            if console.behind && console.waiting.is_empty() && console.frames.capacity() >= FRAMES / 2 {
                console.behind = false;
                return console.tell(EngineFrame::Snapshot { snapshot: snapshot() });
            }
            true
        });
    }

    /// Says goodbye to all; one with a full queue just sees the channel end.
    pub(crate) fn part(&mut self, why: &str) {
        for console in std::mem::take(&mut self.attached).into_values() {
            let _the_channel_ends_all_the_same =
                console.frames.try_send(EngineFrame::Bye { why: why.to_owned() });
        }
    }
}

impl Console {
    /// Sends what may be dropped. `false`: the console is gone.
    fn tell(&mut self, frame: EngineFrame) -> bool {
        match self.frames.try_send(frame) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.behind = true;
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }

    /// Sends what must arrive, in order. `false`: the console is gone.
    fn send_waiting(&mut self) -> bool {
        while let Some(frame) = self.waiting.pop_front() {
            match self.frames.try_send(frame) {
                Ok(()) => {}
                Err(TrySendError::Full(frame)) => {
                    self.waiting.push_front(frame);
                    return true;
                }
                Err(TrySendError::Closed(_)) => return false,
            }
        }
        true
    }

    /// Sends to an empty queue.
    fn send(&mut self, frame: EngineFrame) -> bool {
        self.frames.try_send(frame).is_ok()
    }
}

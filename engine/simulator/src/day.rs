//! Everybody's day, on as many threads as there are processors.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::tally::Tally;
use crate::trace::Trace;
use crate::walk::{Moves, Walk};

/// Users handed to a thread at a time.
const CHUNK: usize = 128;

/// How work is shared, shown and stopped.
#[derive(Clone, Copy, Debug)]
pub struct Control<'a> {
    /// Threads to work on.
    pub threads: NonZeroUsize,
    /// Counts users as they are done, for whoever shows progress.
    pub done: &'a AtomicU64,
    /// Work ends soon after this is set, with half a result.
    pub stop: &'a AtomicBool,
}

impl Control<'_> {
    /// Whether somebody asked to stop; what comes out then is incomplete.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn did(&self, users: u64) {
        self.done.fetch_add(users, Ordering::Relaxed);
    }

    /// Runs `work` once on each thread and joins what comes out, in no order.
    pub(crate) fn on_all_threads<R: Send>(&self, work: impl Fn() -> Vec<R> + Sync) -> Vec<R> {
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..self.threads.get()).map(|_| scope.spawn(&work)).collect();
            let mut all = work();
            for other in others {
                match other.join() {
                    Ok(part) => all.extend(part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            all
        })
    }
}

/// What a day was like for everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Round trips by time spent with them.
    pub rtt: Tally,
    /// What was moved.
    pub moves: Moves,
}

/// Lets all users live through the day. The sums are whole numbers, so that their order does not matter.
pub fn live(walk: &Walk<'_>, traces: &[Trace], control: &Control<'_>) -> Day {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut day = Day::default();
        loop {
            let first = next.fetch_add(CHUNK, Ordering::Relaxed);
            if first >= traces.len() || control.is_stopped() {
                return vec![day];
            }
            let last = traces.len().min(first + CHUNK);
            for (user, trace) in (first..).zip(&traces[first..last]) {
                day.moves += walk.day(user as u64, trace, &mut day.rtt);
            }
            control.did((last - first) as u64);
        }
    };
    let mut whole = Day::default();
    for part in control.on_all_threads(work) {
        whole.rtt += &part.rtt;
        whole.moves += part.moves;
    }
    whole
}

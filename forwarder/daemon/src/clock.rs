//! The shell's clock: microseconds since the epoch that never go backwards.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proto::{Span, Timestamp};

/// A kernel's time further off than this is taken for a stepped clock.
const FAR: Duration = Duration::from_secs(10);

/// The system's clock may be set ahead by this much (or the machine may have slept) before it is followed.
const LEAP: Span = Span::secs(1);

/// Wall-clock time at the start, monotonic from there; steps ahead of the wall clock are followed, steps back are not.
///
/// A process may start before the machine knows the time. Peers hold the nonces of Change-Priority against their own
/// clocks, and we theirs against ours: who kept to a clock that was behind would take and be taken for a replay for ever.
#[derive(Debug)]
pub(crate) struct Clock {
    /// A wall time, and when it was.
    origin: Cell<(Timestamp, Instant)>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            origin: Cell::new((Timestamp(Span::from(wall()).micros()), Instant::now())),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let (base, since) = self.origin.get();
        let now = base + Span::from(since.elapsed());
        let wall = Timestamp(Span::from(wall()).micros());
        if wall.since(now) > LEAP {
            self.origin.set((wall, Instant::now()));
            return wall;
        }
        now
    }

    /// The moment at which the kernel's realtime clock showed `at`, by this clock: so many microseconds before `now`
    /// as have gone by since. A wall clock stepped in between spoils it; then it is `now`.
    pub(crate) fn of_kernel(&self, at: Option<Duration>) -> Timestamp {
        let now = self.now();
        match at.and_then(|at| wall().checked_sub(at)).filter(|age| *age < FAR) {
            Some(age) => now - Span::from(age),
            None => now,
        }
    }
}

/// Since the epoch.
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_behind_follows_and_one_that_was_ahead_goes_on() {
        let wall = Timestamp(Span::from(wall()).micros());
        let behind = Clock {
            origin: Cell::new((wall - Span::secs(3600), Instant::now())),
        };
        assert!(behind.now() >= wall);
        let ahead = Clock {
            origin: Cell::new((wall + Span::secs(3600), Instant::now())),
        };
        assert!(ahead.now() >= wall + Span::secs(3600));
    }

    #[test]
    fn a_kernel_time_far_off_is_taken_for_now() {
        let clock = Clock::start();
        let before = clock.now();
        assert!(clock.of_kernel(Some(Duration::from_secs(1))) >= before);
        assert!(clock.of_kernel(None) >= before);
        assert!(clock.of_kernel(wall().checked_sub(Duration::from_secs(5))) < before);
    }
}

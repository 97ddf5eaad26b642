//! The shell's clock: microseconds since the epoch that never go backwards.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proto::{Span, Timestamp};

/// A kernel's time further off than this is taken for a stepped clock.
const FAR: Duration = Duration::from_secs(10);

/// Wall-clock time at the start, monotonic from there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base: Timestamp,
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let base = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            base: Timestamp(Span::from(base).micros()),
            start: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.base + Span::from(self.start.elapsed())
    }

    /// The moment at which the kernel's realtime clock showed `at`, by this clock: so many microseconds before `now`
    /// as have gone by since. A wall clock stepped in between spoils it; then it is `now`.
    pub(crate) fn of_kernel(&self, at: Option<Duration>) -> Timestamp {
        let now = self.now();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        match at.and_then(|at| wall.checked_sub(at)).filter(|age| *age < FAR) {
            Some(age) => now - Span::from(age),
            None => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_time_far_off_is_taken_for_now() {
        let clock = Clock::start();
        let before = clock.now();
        assert!(clock.of_kernel(Some(Duration::from_secs(1))) >= before);
        assert!(clock.of_kernel(None) >= before);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(clock.of_kernel(wall.checked_sub(Duration::from_secs(5))) < before);
    }
}

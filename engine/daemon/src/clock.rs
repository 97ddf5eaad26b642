//! The shell's clock: wall time that never goes backwards.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::{Span, Timestamp};
use tokio::time::Instant;

/// The system's clock may be set ahead by this much (or the machine may have slept) before it is followed.
const LEAP: Span = Span::secs(1);

/// Wall time at its start, then monotonic time; steps ahead of the wall clock are followed, steps back are not.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    started: Timestamp,
}

impl Clock {
    /// A clock that begins now, but not before `earliest` (the last moment of a record that is taken up again).
    pub(crate) fn start(earliest: Timestamp) -> Self {
        Self {
            origin: Instant::now(),
            started: wall().max(earliest),
        }
    }

    /// Now.
    pub(crate) fn now(&mut self) -> Timestamp {
        let instant = Instant::now();
        let now = self.started + Span::from(instant.duration_since(self.origin));
        let wall = wall();
        if wall.since(now) > LEAP {
            *self = Self {
                origin: instant,
                started: wall,
            };
            return wall;
        }
        now
    }

    /// When the shell must wake for `deadline`.
    pub(crate) fn instant(&mut self, deadline: Timestamp) -> Instant {
        Instant::now() + deadline.since(self.now()).to_duration()
    }
}

fn wall() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Timestamp(Span::from(since).micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_begins_after_the_record_and_goes_on_with_the_monotonic_clock() {
        let earliest = wall() + Span::secs(3600);
        let mut clock = Clock::start(earliest);
        assert_eq!(clock.now(), earliest);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), earliest + Span::secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_leap_of_the_wall_clock_ahead_is_followed() {
        let mut clock = Clock {
            origin: Instant::now(),
            started: wall() - Span::secs(600),
        };
        let before = wall();
        assert!(clock.now() >= before);
    }
}

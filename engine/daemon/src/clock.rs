//! The shell's clock: wall time that never goes backwards.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::{Span, Timestamp};
use tokio::time::Instant;

/// The system's clock may be set ahead by this much (or the machine may have slept) before it is followed; and engine time
/// may be ahead of it by this much before anybody is told.
const LEAP: Span = Span::secs(1);

/// Engine time that is ahead by no more than this goes at half speed until the wall has caught up: for two minutes at most,
/// in which deadlines take twice as long.
const SLOWED: Span = Span::secs(60);

/// Wall time at its start, then monotonic time; steps ahead of the wall clock are followed, steps back are not: then engine
/// time is ahead, and goes at half speed if it is not far.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    started: Timestamp,
    pace: Pace,
    wall: fn() -> Timestamp,
    leapt: Option<Span>,
}

/// How fast engine time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Full,
    Half,
}

impl Clock {
    /// A clock that begins now, but not before `earliest` (the last moment of a record that is taken up again).
    pub(crate) fn start(earliest: Timestamp) -> Self {
        Self::over(system, earliest)
    }

    /// The same over another wall clock.
    fn over(wall: fn() -> Timestamp, earliest: Timestamp) -> Self {
        Self {
            origin: Instant::now(),
            started: wall().max(earliest),
            pace: Pace::Full,
            wall,
            leapt: None,
        }
    }

    /// Now.
    pub(crate) fn now(&mut self) -> Timestamp {
        let instant = Instant::now();
        let now = self.at(instant);
        let wall = (self.wall)();
        if wall.since(now) > LEAP {
            let step = wall.since(now);
            self.leapt = Some(
                self.leapt
                    .map_or(step, |before| Span(before.0.saturating_add(step.0))),
            );
            self.go_on(instant, wall, Pace::Full);
            return wall;
        }
        let ahead = now.since(wall);
        match self.pace {
            Pace::Full if ahead > LEAP && ahead <= SLOWED => self.go_on(instant, now, Pace::Half),
            Pace::Half if ahead == Span::ZERO || ahead > SLOWED => self.go_on(instant, now, Pace::Full),
            Pace::Full | Pace::Half => {}
        }
        now
    }

    /// When the shell must wake for `deadline`.
    pub(crate) fn instant(&mut self, deadline: Timestamp) -> Instant {
        let left = deadline.since(self.now()).to_duration();
        let instant = Instant::now();
        match self.pace {
            Pace::Full => instant + left,
            // Past what an instant holds it is looked at again long before.
            Pace::Half => instant + left.min(Duration::from_secs(3600)) * 2,
        }
    }

    /// How far engine time is ahead of the wall, if that is worth telling; zero otherwise.
    pub(crate) fn ahead(&mut self) -> Span {
        let ahead = self.now().since((self.wall)());
        if ahead > LEAP || self.pace == Pace::Half {
            ahead
        } else {
            Span::ZERO
        }
    }

    /// Whether engine time goes at half speed.
    pub(crate) fn is_slowed(&self) -> bool {
        self.pace == Pace::Half
    }

    /// By how much the wall clock went ahead at once since this was asked last.
    pub(crate) fn leapt(&mut self) -> Option<Span> {
        self.leapt.take()
    }

    fn at(&self, instant: Instant) -> Timestamp {
        let passed = Span::from(instant.duration_since(self.origin));
        match self.pace {
            Pace::Full => self.started + passed,
            Pace::Half => self.started + Span(passed.micros() / 2),
        }
    }

    fn go_on(&mut self, origin: Instant, started: Timestamp, pace: Pace) {
        (self.origin, self.started, self.pace) = (origin, started, pace);
    }
}

fn system() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Timestamp(Span::from(since).micros())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const T0: Timestamp = Timestamp(1_700_000_000_000_000);

    thread_local! {
        /// The wall, as an offset from a time that goes with tokio's.
        static WALL: Cell<(Option<Instant>, i64)> = const { Cell::new((None, 0)) };
    }

    fn wall() -> Timestamp {
        let (origin, offset) = WALL.get();
        let passed = origin.map_or(Duration::ZERO, |origin| Instant::now().duration_since(origin));
        let at = T0 + Span::from(passed);
        Timestamp(at.0.saturating_add_signed(offset))
    }

    fn clock(earliest: Timestamp) -> Clock {
        WALL.set((Some(Instant::now()), 0));
        Clock::over(wall, earliest)
    }

    fn step(seconds: i64) {
        let (origin, offset) = WALL.get();
        WALL.set((origin, offset + seconds * 1_000_000));
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn time_begins_after_the_record_and_goes_on_with_the_monotonic_clock() {
        let earliest = T0 + Span::secs(3600);
        let mut clock = clock(earliest);
        assert_eq!(clock.now(), earliest);
        pass(5).await;
        assert_eq!(
            clock.now(),
            earliest + Span::secs(5),
            "an hour is not made up for"
        );
        assert_eq!((clock.ahead(), clock.is_slowed()), (Span::secs(3600), false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_leap_of_the_wall_clock_ahead_is_followed_and_told_once() {
        let mut clock = clock(T0);
        step(600);
        assert_eq!(clock.now(), T0 + Span::secs(600));
        assert_eq!((clock.leapt(), clock.leapt()), (Some(Span::secs(600)), None));
        assert_eq!(clock.ahead(), Span::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_step_that_is_taken_back_is_made_up_for_at_half_speed() {
        let mut clock = clock(T0);
        step(30);
        assert_eq!(clock.now(), T0 + Span::secs(30));
        step(-30);
        assert_eq!((clock.ahead(), clock.is_slowed()), (Span::secs(30), true));
        let before = clock.now();
        pass(20).await;
        assert_eq!(clock.now(), before + Span::secs(10));
        assert_eq!(clock.ahead(), Span::secs(20));
        let due = clock.now() + Span::secs(10);
        let wakes = clock.instant(due).duration_since(Instant::now());
        assert_eq!(
            wakes,
            Duration::from_secs(20),
            "it wakes when the deadline is there"
        );
        pass(40).await;
        assert_eq!((clock.ahead(), clock.is_slowed()), (Span::ZERO, false));
        let (before, then) = (clock.now(), wall());
        assert_eq!(before, then);
        pass(7).await;
        assert_eq!(
            clock.now(),
            before + Span::secs(7),
            "and at full speed from there"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn time_never_goes_back_whatever_the_wall_does() {
        let mut clock = clock(T0);
        let mut last = clock.now();
        for seconds in [5, -3, 40, -90, 0, 2, -2, 61, -61, 59, -59, 3_600, -7_200, 1, -1] {
            step(seconds);
            for _ in 0..9 {
                pass(1).await;
                let now = clock.now();
                assert!(now > last, "{now:?} after {last:?} at a step of {seconds} s");
                last = now;
            }
        }
    }
}

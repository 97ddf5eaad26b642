//! Processor time: a figure of the code, not of how busy the machine is.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Time since it was started.
pub(super) struct Clock {
    began: Instant,
    thread: Duration,
    process: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            began: Instant::now(),
            thread: of(ClockId::CLOCK_THREAD_CPUTIME_ID),
            process: of(ClockId::CLOCK_PROCESS_CPUTIME_ID),
        }
    }

    /// Processor seconds of this thread.
    pub(super) fn seconds(&self) -> f64 {
        let now = of(ClockId::CLOCK_THREAD_CPUTIME_ID);
        now.saturating_sub(self.thread).as_secs_f64()
    }

    /// Seconds that `cores` free cores would take at least: this thread's, or the share of what all threads took.
    pub(super) fn seconds_on(&self, cores: usize) -> f64 {
        let all = of(ClockId::CLOCK_PROCESS_CPUTIME_ID).saturating_sub(self.process);
        self.seconds().max(all.as_secs_f64() / cores.max(1) as f64)
    }

    /// Seconds of the day.
    pub(super) fn wall(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

fn of(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// Processes that want a core, on average over a minute (proc_loadavg(5)); beside figures, to judge them by.
pub(super) fn load() -> f64 {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = told.split_whitespace().next();
    first.and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

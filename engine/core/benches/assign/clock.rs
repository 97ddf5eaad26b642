//! Processor time of this thread where the kernel tells it, else the time of day: a figure of the code, not of how
//! busy the machine is.

use std::time::Instant;

/// Time since it was started.
pub(crate) struct Clock {
    began: Instant,
    cpu: Option<f64>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
            cpu: cpu(),
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        match (self.cpu, cpu()) {
            (Some(then), Some(now)) => now - then,
            _ => self.began.elapsed().as_secs_f64(),
        }
    }
}

/// Linux, Documentation/scheduler/sched-stats: the first number is nanoseconds on the processor.
fn cpu() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(told.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

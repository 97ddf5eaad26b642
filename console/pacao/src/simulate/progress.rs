//! How far a long computation is, on a terminal; and Ctrl-C.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Between two drawings.
const EVERY: Duration = Duration::from_millis(200);
/// Cells of the bar.
const BAR: usize = 30;

/// What is being done now.
struct Stage {
    name: &'static str,
    total: u64,
    /// What was done before it began.
    before: u64,
    since: Instant,
}

#[derive(Default)]
struct Shared {
    stage: Mutex<Option<Stage>>,
    over: AtomicBool,
}

/// A bar on standard error, if that is a terminal; nothing otherwise.
pub(super) struct Progress<'a> {
    done: &'a AtomicU64,
    shared: &'static Shared,
    painter: Mutex<Option<ScopedJoinHandle<'a, ()>>>,
}

impl<'a> Progress<'a> {
    pub(super) fn start(scope: &'a Scope<'a, '_>, done: &'a AtomicU64) -> Self {
        let shared: &'static Shared = Box::leak(Box::default());
        let painter = std::io::stderr().is_terminal().then(|| {
            scope.spawn(move || {
                while !shared.over.load(Ordering::Relaxed) {
                    paint(shared, done.load(Ordering::Relaxed));
                    thread::park_timeout(EVERY);
                }
                eprint!("\r\x1b[K");
            })
        });
        Self {
            done,
            shared,
            painter: Mutex::new(painter),
        }
    }

    /// A stage of `total` pieces of work begins.
    pub(super) fn begin(&self, name: &'static str, total: u64) {
        if let Ok(mut stage) = self.shared.stage.lock() {
            *stage = Some(Stage {
                name,
                total: total.max(1),
                before: self.done.load(Ordering::Relaxed),
                since: Instant::now(),
            });
        }
    }

    /// Wipes the bar; nothing is drawn afterwards.
    pub(super) fn end(&self) {
        self.shared.over.store(true, Ordering::Relaxed);
        let painter = self.painter.lock().ok().and_then(|mut painter| painter.take());
        if let Some(painter) = painter {
            painter.thread().unpark();
            // It cannot panic, and if it did there is nothing left to draw.
            let _ = painter.join();
        }
    }
}

fn paint(shared: &Shared, done: u64) {
    let Ok(stage) = shared.stage.lock() else { return };
    let Some(stage) = stage.as_ref() else { return };
    let share = (done.saturating_sub(stage.before) as f64 / stage.total as f64).min(1.0);
    eprint!("\r\x1b[K{}", line(stage.name, share, stage.since.elapsed()));
    let _ = std::io::stderr().flush();
}

fn line(name: &str, share: f64, spent: Duration) -> String {
    let full = (share * BAR as f64) as usize;
    let left = if share > 0.01 {
        let seconds = spent.as_secs_f64() * (1.0 - share) / share;
        format!("{seconds:.0} s left")
    } else {
        String::new()
    };
    format!(
        "{name} [{}{}] {:3.0} % {left}",
        "#".repeat(full),
        ".".repeat(BAR - full),
        share * 100.0
    )
}

/// Ctrl-C or SIGTERM sets `stop`; a second one ends the program at once.
pub(super) fn stop_on_interrupt(stop: &'static AtomicBool) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if stop.swap(true, Ordering::Relaxed) {
                        std::process::exit(130);
                    }
                }
            });
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_says_how_far_it_is_and_how_long_it_takes() {
        let half = line("slots", 0.5, Duration::from_secs(10));
        assert_eq!(half, "slots [###############...............]  50 % 10 s left");
        assert!(line("slots", 0.0, Duration::from_secs(10)).ends_with("0 % "));
    }
}

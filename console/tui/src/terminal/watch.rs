//! The two threads of the console: keys and signals. They feed the input channel and end with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::TerminalError;
use crate::{Feed, Input};

/// How long the key thread may take to notice that the console is over, and stop taking keys meant for what comes next.
const NOTICE: Duration = Duration::from_millis(50);

/// The threads. Dropping ends them.
pub(super) struct Watch {
    over: Arc<AtomicBool>,
    signals: Handle,
    keys: Option<thread::JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(feed: &Feed) -> Result<Self, TerminalError> {
        let failed = |operation| move |source| TerminalError::Io { operation, source };
        let mut signals =
            Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCONT]).map_err(failed("listening for signals"))?;
        let handle = signals.handle();
        let over = Arc::new(AtomicBool::new(false));

        let signal_feed = feed.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in signals.forever() {
                    if signal_feed.send(Input::Signal(signal)).is_err() {
                        break;
                    }
                }
            })
            .map_err(failed("starting the signal thread"))?;

        let (key_feed, key_over) = (feed.clone(), Arc::clone(&over));
        let keys = thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || read_keys(&key_feed, &key_over))
            .map_err(failed("starting the key thread"))?;
        Ok(Self {
            over,
            signals: handle,
            keys: Some(keys),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.signals.close();
        // A key thread that waits for room in the channel ends when the channel does, a moment after this.
        if let Some(keys) = self.keys.take().filter(|_| !thread::panicking()) {
            for _ in 0..4 {
                if keys.is_finished() {
                    break;
                }
                thread::sleep(NOTICE / 2);
            }
        }
    }
}

fn read_keys(feed: &Feed, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        let input = match event::poll(NOTICE) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let input = match input {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Input::Key(key),
            Ok(Event::Paste(text)) => Input::Paste(text),
            Ok(Event::Resize(width, height)) => Input::Resize { width, height },
            Ok(Event::Key(_) | Event::Mouse(_) | Event::FocusGained | Event::FocusLost) => continue,
            // The terminal is gone.
            Err(_) => Input::Signal(SIGHUP),
        };
        let last = matches!(input, Input::Signal(_));
        if feed.send(input).is_err() || last {
            break;
        }
    }
}

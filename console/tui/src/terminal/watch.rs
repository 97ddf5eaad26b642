//! The two threads of the console: keys and signals. They feed the input channel and end with it. Once it is over, signals
//! do again what they do to any process.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::flag::register_conditional_default;
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;

use super::keyboard::read_keys;
use super::{Clock, TerminalError};
use crate::{Feed, Gone, Input};

/// How long the key thread may take to notice that the console is over, and stop taking keys meant for what comes next.
pub(super) const NOTICE: Duration = Duration::from_millis(50);

/// A console that has not ended this long after it was told to is stuck, on a terminal that takes no output for one. Told
/// once more, it ends as if nobody handled the signal.
const PATIENCE: Duration = Duration::from_secs(2);

/// The threads. Dropping ends them.
pub(super) struct Watch {
    over: Arc<AtomicBool>,
    signals: Handle,
    keys: Option<thread::JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(feed: &Feed, clock: &Clock) -> Result<Self, TerminalError> {
        let failed = |operation| move |source| TerminalError::Io { operation, source };
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCONT, SIGWINCH])
            .map_err(failed("listening for signals"))?;
        default_again(false).map_err(failed("listening for signals"))?;
        let handle = signals.handle();
        let over = Arc::new(AtomicBool::new(false));

        let signal_feed = feed.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || pass_signals(&mut signals, &signal_feed))
            .map_err(failed("starting the signal thread"))?;

        let (key_feed, key_over, clock) = (feed.clone(), Arc::clone(&over), clock.clone());
        let keys = thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || read_keys(&key_feed, &key_over, &clock))
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
        // It was set up at the start, so nothing can go wrong.
        let _ = default_again(true);
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

/// Never waits for room in the channel: it is full when the console is stuck.
fn pass_signals(signals: &mut Signals, feed: &Feed) {
    let handle = signals.handle();
    let mut first: Option<Instant> = None;
    let mut waiting = VecDeque::new();
    while !handle.is_closed() {
        let new = if waiting.is_empty() {
            signals.wait()
        } else {
            thread::sleep(NOTICE);
            signals.pending()
        };
        for signal in new {
            if ![SIGCONT, SIGWINCH].contains(&signal)
                && first.get_or_insert_with(Instant::now).elapsed() > PATIENCE
            {
                let _does_not_return = emulate_default_handler(signal);
            }
            waiting.push_back(signal);
        }
        while let Some(signal) = waiting.pop_front() {
            let Some(input) = told(signal) else { continue };
            match feed.offer(input) {
                Ok(None) => {}
                Ok(Some(_full)) => {
                    waiting.push_front(signal);
                    break;
                }
                Err(Gone) => return,
            }
        }
    }
}

/// A change of the window's size is told as one; other signals as they are.
fn told(signal: i32) -> Option<Input> {
    if signal != SIGWINCH {
        return Some(Input::Signal(signal));
    }
    let (width, height) = crossterm::terminal::size().ok()?;
    Some(Input::Resize { width, height })
}

/// Whether signals that end a process end this one. The handler of a signal stays with the process once it is set, and
/// without this would swallow what is sent after the console.
fn default_again(wanted: bool) -> std::io::Result<()> {
    static OVER: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let mut registered = Ok(());
    let over = OVER.get_or_init(|| {
        let over = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if let Err(error) = register_conditional_default(signal, Arc::clone(&over)) {
                registered = Err(error);
            }
        }
        over
    });
    over.store(wanted, Ordering::SeqCst);
    registered
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use super::*;

    const STUCK: &str = "PACAO_TEST_STUCK_CONSOLE";

    /// In a process of its own, which the test starts: a console that takes no inputs any more.
    fn be_stuck() {
        let (feed, _inbox) = crate::channel();
        while feed.offer(Input::Tick) == Ok(None) {}
        let _watch = Watch::start(&feed, &Clock::start()).unwrap();
        std::io::stdout().write_all(b"\nstuck\n").unwrap();
        thread::sleep(PATIENCE * 10);
    }

    #[test]
    fn a_console_stuck_on_its_terminal_ends_when_told_twice() {
        if std::env::var_os(STUCK).is_some() {
            return be_stuck();
        }
        let own = thread::current().name().unwrap_or_default().to_owned();
        let mut console = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", &own])
            .env(STUCK, "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(console.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "stuck"));
        let pid = console.id().to_string();
        let tell = || {
            assert!(
                Command::new("kill")
                    .args(["-TERM", &pid])
                    .status()
                    .unwrap()
                    .success()
            );
        };
        tell();
        thread::sleep(PATIENCE + PATIENCE / 2);
        assert!(
            console.try_wait().unwrap().is_none(),
            "once is for the console to hear"
        );
        tell();
        assert_eq!(console.wait().unwrap().signal(), Some(SIGTERM));
    }
}

//! The thread that reads keys. It takes all that has come before it hands anything on, and stamps it: a key counts from
//! when it came, and keys that came faster than fingers press are told from keys that were pressed.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::event::KeyEvent;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;
use proto::Timestamp;
use signal_hook::consts::SIGHUP;

use super::Clock;
use super::decode::{Decoder, Pressed};
use super::watch::NOTICE;
use crate::input::{Feed, Input, Keys};

/// How long the rest of a key's bytes may be behind the first: more than a network keeps parts of a packet apart.
const REST: Duration = Duration::from_millis(30);
/// A paste in which nothing has come for this long will not go on.
const PASTE: Duration = Duration::from_secs(2);
/// At most this many bytes are taken at once, so that a terminal that never pauses cannot fill the memory.
const ONCE: usize = 1 << 16;

/// Reads keys until the console is over, or the terminal is.
pub(super) fn read_keys(feed: &Feed, over: &AtomicBool, clock: &Clock) {
    let terminal = std::io::stdin();
    let mut decoder = Decoder::default();
    let mut quiet_since = Instant::now();
    while !over.load(Ordering::SeqCst) {
        let patience = if decoder.is_waiting() { REST } else { NOTICE };
        let Ok(came) = drain(&terminal, patience) else {
            // Nobody takes it if the console is over already.
            let _ = feed.send(Input::Signal(SIGHUP));
            return;
        };
        let at = clock.now();
        let pressed = if came.is_empty() {
            let over = !decoder.is_pasting() || quiet_since.elapsed() > PASTE;
            let rest = if over { decoder.settle() } else { None };
            rest.into_iter().collect()
        } else {
            quiet_since = Instant::now();
            decoder.take(&came)
        };
        for input in inputs(pressed, at) {
            if feed.send(input).is_err() {
                return;
            }
        }
    }
}

/// The terminal hung up.
struct Gone;

/// All that has come; waits for the first of it no longer than `patience`.
fn drain(terminal: &impl AsFd, patience: Duration) -> Result<Vec<u8>, Gone> {
    let mut came = Vec::new();
    let mut buffer = [0; 4_096];
    let mut patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
    while came.len() < ONCE {
        let mut wait = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
        match poll(&mut wait, patience) {
            Ok(0) => break,
            Ok(_) => {}
            Err(Errno::EINTR | Errno::EAGAIN) => continue,
            Err(_) => return Err(Gone),
        }
        match read(terminal, &mut buffer) {
            // Nothing to read though there was: it hung up. In raw mode a terminal has no other end.
            Ok(0) => return Err(Gone),
            Ok(count) => came.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => break,
            Err(_) => return Err(Gone),
        }
        patience = PollTimeout::ZERO;
    }
    Ok(came)
}

/// Keys that came together stay together.
fn inputs(pressed: Vec<Pressed>, at: Timestamp) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut keys: Vec<KeyEvent> = Vec::new();
    for one in pressed {
        match one {
            Pressed::Key(key) => keys.push(key),
            Pressed::Paste(text) => {
                inputs.extend(together(&mut keys, at));
                inputs.push(Input::Paste(text));
            }
        }
    }
    inputs.extend(together(&mut keys, at));
    inputs
}

fn together(keys: &mut Vec<KeyEvent>, at: Timestamp) -> Option<Input> {
    let keys = std::mem::take(keys);
    (!keys.is_empty()).then_some(Input::Keys(Keys { keys, at }))
}

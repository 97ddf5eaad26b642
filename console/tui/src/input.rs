//! What goes into the console and what comes out; and the one channel that carries it in.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use chrono::FixedOffset;
use crossterm::event::KeyEvent;
use proto::{Command, EngineFrame, RequestId, Timestamp};

/// Room in the input channel. A full channel means that the console draws slower than it is fed: [`Feed::send`] waits,
/// [`Feed::offer`] gives the input back, so that its owner can drop notices and send a snapshot later.
const ROOM: usize = 1024;

/// Something that happened to the console.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The engine said something.
    Frame(Box<EngineFrame>),
    /// The connection to the engine broke. Data on the screen is from before.
    Lost {
        /// The error, for the banner.
        why: String,
    },
    /// The connection to the engine stands again; `Hello` and a snapshot follow.
    Back,
    /// A line of advice from the host program, such as "press a to approve"; `None` takes it away.
    Guide(Option<String>),
    /// The host program ends the console.
    Close {
        /// Why, in words; handed back in [`crate::Ending::Closed`].
        why: String,
    },
    /// A key, pressed now.
    Key(KeyEvent),
    /// Keys that came at once.
    Keys(Keys),
    /// A bracketed paste. Only a text field takes it.
    Paste(String),
    /// The terminal's size, in cells.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// Local time is this far from UTC from now on.
    Zone(FixedOffset),
    /// The process was sent this signal.
    Signal(i32),
    /// Time passed; nothing else happened.
    Tick,
}

impl Input {
    /// A frame, as its channel delivers it.
    pub fn frame(frame: EngineFrame) -> Self {
        Self::Frame(Box::new(frame))
    }
}

/// Keys that were read from the terminal at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// In order.
    pub keys: Vec<KeyEvent>,
    /// When they were read, by the console's clock. They may be taken later than that.
    pub at: Timestamp,
}

/// Something to be done by the shell.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the engine; its reply carries the same id.
    Ask(RequestId, Command),
    /// What is on the screen is no longer right: draw.
    Draw,
    /// Clear the terminal first, then draw all of it.
    Redraw,
    /// Ring.
    Bell,
    /// Keep a command that was typed, for consoles to come.
    Remember(String),
    /// End the console.
    Quit(crate::Ending),
}

/// The feeding end of the input channel. Cloned freely: host program, key thread and signal thread hold one each.
#[derive(Clone, Debug)]
pub struct Feed(SyncSender<Input>);

impl Feed {
    /// Delivers an input; waits while the channel is full.
    pub fn send(&self, input: Input) -> Result<(), Gone> {
        self.0.send(input).map_err(|_| Gone)
    }

    /// Delivers an input if there is room. `Ok(Some(input))` gives it back: the channel is full.
    pub fn offer(&self, input: Input) -> Result<Option<Input>, Gone> {
        match self.0.try_send(input) {
            Ok(()) => Ok(None),
            Err(TrySendError::Full(input)) => Ok(Some(input)),
            Err(TrySendError::Disconnected(_)) => Err(Gone),
        }
    }
}

/// The console is over; nobody takes inputs any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the console is closed")]
pub struct Gone;

/// The taking end of the input channel, for [`crate::run`].
#[derive(Debug)]
pub struct Inbox {
    pub(crate) feed: Feed,
    pub(crate) inputs: Receiver<Input>,
}

/// The console's one input channel, bounded to 1,024 inputs.
pub fn channel() -> (Feed, Inbox) {
    let (sender, inputs) = sync_channel(ROOM);
    let feed = Feed(sender);
    (feed.clone(), Inbox { feed, inputs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_channel_gives_the_input_back() {
        let (feed, inbox) = channel();
        for _ in 0..ROOM {
            assert_eq!(feed.offer(Input::Tick), Ok(None));
        }
        assert_eq!(feed.offer(Input::Back), Ok(Some(Input::Back)));
        assert_eq!(inbox.inputs.recv(), Ok(Input::Tick));
        assert_eq!(feed.offer(Input::Back), Ok(None));
    }

    #[test]
    fn a_closed_console_takes_nothing() {
        let (feed, inbox) = channel();
        drop(inbox);
        assert_eq!(feed.send(Input::Tick), Err(Gone));
        assert_eq!(feed.offer(Input::Tick), Err(Gone));
    }
}

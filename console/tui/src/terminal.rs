//! The shell of the console: the terminal, its threads, signals and the frame clock.

use proto::{Command, RequestId};

use crate::{Arrangement, Effect, Inbox};

/// How the console is to behave. [`Options::from_environment`] fills in what the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where panes stand.
    pub layout: Arrangement,
    /// Whether colours are used.
    pub colour: Colour,
    /// Which characters can be drawn.
    pub glyphs: Glyphs,
    /// Login name of the person, for the header and for request ids.
    pub operator: String,
    /// What to do when the engine is lost.
    pub on_lost: OnLost,
    /// A line of advice shown from the start.
    pub guide: Option<String>,
}

/// Whether colours are used. Marks, words and reverse video carry the meaning in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// The terminal's sixteen.
    Sixteen,
    /// None (`NO_COLOR`).
    Never,
}

/// Which characters can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Box drawing and block elements.
    Unicode,
    /// ASCII only (the locale is not UTF-8, or `TERM=linux`).
    Ascii,
}

/// What to do when the engine is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLost {
    /// Keep showing the last data, greyed, until `Input::Back` (a host that reconnects), or until the operator quits.
    Wait,
    /// End at once with [`Ending::Lost`].
    Leave,
}

impl Options {
    /// Layout by width, colours unless `NO_COLOR` is set and not empty, glyphs by locale.
    pub fn from_environment(operator: &str) -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        let linux_console = set("TERM").is_some_and(|term| term == "linux");
        Self {
            layout: Arrangement::Auto,
            colour: if set("NO_COLOR").is_some() { Colour::Never } else { Colour::Sixteen },
            glyphs: if utf8 && !linux_console { Glyphs::Unicode } else { Glyphs::Ascii },
            operator: operator.to_owned(),
            on_lost: OnLost::Wait,
            guide: None,
        }
    }
}

/// The way to the engine. Must not block for long: it is called between two frames.
pub trait EnginePort {
    /// Sends a command; the reply comes back as [`crate::Input::Frame`].
    fn ask(&mut self, request: RequestId, command: Command);
}

impl<F: FnMut(RequestId, Command)> EnginePort for F {
    fn ask(&mut self, request: RequestId, command: Command) {
        self(request, command);
    }
}

/// How the console ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The operator quit.
    Quit,
    /// The host program closed it.
    Closed {
        /// As it said.
        why: String,
    },
    /// The process was sent this signal (SIGINT, SIGTERM, SIGHUP), or the terminal went away (SIGHUP).
    Signal(i32),
    /// The engine is gone, and [`OnLost::Leave`] was set.
    Lost {
        /// The error.
        why: String,
    },
}

/// The terminal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// Standard input or output is not a terminal.
    #[error("standard {which} is not a terminal; use `pacao ctl` or `pacao serve` here")]
    NotATerminal {
        /// `input` or `output`.
        which: &'static str,
    },
    /// An operation on the terminal failed.
    #[error("{operation} failed on the terminal")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// Runs the console on this process's terminal until it ends, and puts the terminal back as it was: at return, at a panic
/// of any thread, and at SIGINT, SIGTERM and SIGHUP.
pub fn run(options: Options, inbox: Inbox, mut engine: impl EnginePort) -> Result<Ending, TerminalError> {
    let _ = options;
    while let Ok(input) = inbox.inputs.recv() {
        if let crate::Input::Close { why } = input {
            return Ok(Ending::Closed { why });
        }
        if let Some(Effect::Ask(request, command)) = None {
            engine.ask(request, command);
        }
    }
    drop(inbox.feed);
    Ok(Ending::Quit)
}

//! The shell of the console: the terminal, its threads, signals and the frame clock.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{FixedOffset, Local, Offset};
use proto::{Command, RequestId, Timestamp};

use crate::app::{App, Setup, update};
use crate::theme::Theme;
use crate::view::Scroll;
use crate::{Arrangement, Colour, Effect, Glyphs, Inbox, Input};

mod decode;
mod history;
mod keyboard;
mod screen;
mod watch;

use history::History;
use screen::{Extent, Screen};
use watch::Watch;

/// At most this many frames a second are drawn.
const FRAMES: u32 = 30;
/// Time between ticks.
const TICK: Duration = Duration::from_millis(250);
/// At most this many inputs are taken between two frames, so that a flood of them cannot starve the screen.
const DRAIN: usize = 4_096;

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
    /// What quitting does.
    pub quitting: Quitting,
    /// Where typed commands are kept for consoles to come; `None`: nowhere.
    pub history: Option<PathBuf>,
}

/// What to do when the engine is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLost {
    /// Keep showing the last data, greyed, until a snapshot comes (a host that reconnects), or until the operator quits.
    Wait,
    /// End at once with [`Ending::Lost`].
    Leave,
}

/// What happens when the operator quits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quitting {
    /// What ends and what goes on, in words.
    pub then: String,
    /// When that is asked about first.
    pub asks: Asks,
}

/// When a console asks before it quits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// While a switch is under way.
    WhileUnderWay,
    /// Always, as more ends than the console.
    Always,
}

impl Default for Quitting {
    /// Of a console whose engine is somebody else's.
    fn default() -> Self {
        Self {
            then: "the console ends; the engine goes on".to_owned(),
            asks: Asks::WhileUnderWay,
        }
    }
}

impl Options {
    /// Layout by width, colours unless `NO_COLOR` is set and not empty, glyphs by locale.
    pub fn from_environment(operator: &str) -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = set("LC_ALL")
            .or_else(|| set("LC_CTYPE"))
            .or_else(|| set("LANG"))
            .unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        let linux_console = set("TERM").is_some_and(|term| term == "linux");
        Self {
            layout: Arrangement::Auto,
            colour: if set("NO_COLOR").is_some() {
                Colour::Never
            } else {
                Colour::Sixteen
            },
            glyphs: if utf8 && !linux_console {
                Glyphs::Unicode
            } else {
                Glyphs::Ascii
            },
            operator: operator.to_owned(),
            on_lost: OnLost::Wait,
            guide: None,
            quitting: Quitting::default(),
            history: None,
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
    /// The terminal cannot move its cursor.
    #[error(
        "TERM=dumb cannot show a screen; use `pacao ctl` or `pacao serve`, or set TERM to what the terminal is"
    )]
    Dumb,
    /// An operation on the terminal failed.
    #[error("{operation} failed on the terminal")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// Runs the console on this process's terminal until it ends, and puts the terminal back as it was: at return, at a panic,
/// and at SIGINT, SIGTERM and SIGHUP. Those signals do nothing else until then; after it they end the process again, unless the host handles them too.
///
/// Blocks; a host with an async runtime calls it from a blocking thread. Panic messages of other threads are held back
/// and printed once the terminal is restored.
pub fn run(options: Options, inbox: Inbox, mut engine: impl EnginePort) -> Result<Ending, TerminalError> {
    for (which, is_terminal) in [
        ("input", std::io::stdin().is_terminal()),
        ("output", std::io::stdout().is_terminal()),
    ] {
        if !is_terminal {
            return Err(TerminalError::NotATerminal { which });
        }
    }
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Err(TerminalError::Dumb);
    }
    let mut clock = Clock::start();
    let Inbox { feed, inputs } = inbox;
    let mut screen = Screen::enter()?;
    // Dropped before the screen: keys are read no more when the terminal is given back.
    let _watch = Watch::start(&feed, &clock)?;
    drop(feed);
    // Without one commands are remembered until the console ends: no reason not to show it.
    let opened = options.history.as_deref().map(History::open).and_then(Result::ok);
    let (history, typed) = opened.map_or((None, Vec::new()), |(history, typed)| (Some(history), typed));
    let mut app = App::new(setup(options, typed, (screen.size(), &clock)), clock.now());
    let mut scroll = Scroll::default();

    let frame_gap = Duration::from_secs(1) / FRAMES;
    let mut ticked = Instant::now();
    let mut drawn: Option<Instant> = None;
    let mut pending = Some(Extent::All);
    loop {
        let until_tick = TICK.saturating_sub(ticked.elapsed());
        let until_frame = drawn.map_or(Duration::ZERO, |drawn| frame_gap.saturating_sub(drawn.elapsed()));
        let wait = if pending.is_none() {
            until_tick
        } else {
            until_frame.min(until_tick)
        };
        let mut batch = Vec::new();
        match inputs.recv_timeout(wait) {
            Ok(input) => batch.push(input),
            Err(RecvTimeoutError::Timeout) => {}
            // Our own threads feed the channel as long as they live; without them nothing can come any more.
            Err(RecvTimeoutError::Disconnected) => return Ok(Ending::Signal(signal_hook::consts::SIGHUP)),
        }
        batch.extend(inputs.try_iter().take(DRAIN));
        if ticked.elapsed() >= TICK {
            ticked = Instant::now();
            batch.extend(clock.zone_change().map(Input::Zone));
            batch.push(Input::Tick);
        }
        for input in batch {
            if input == Input::Signal(signal_hook::consts::SIGCONT) {
                // Stopped and continued: whoever had the terminal meanwhile has changed its modes.
                Screen::enter_again()?;
                pending = Some(Extent::All);
                continue;
            }
            for effect in update(&mut app, input, clock.now()) {
                match effect {
                    Effect::Ask(request, command) => engine.ask(request, command),
                    Effect::Draw => pending = pending.max(Some(Extent::Changes)),
                    Effect::Redraw => pending = Some(Extent::All),
                    Effect::Bell => screen.ring(),
                    Effect::Remember(line) => {
                        if let Some(history) = &history {
                            let _it_is_remembered_until_the_end = history.add(&line);
                        }
                    }
                    Effect::Quit(ending) => return Ok(ending),
                }
            }
        }
        if let Some(extent) = pending
            && drawn.is_none_or(|drawn| drawn.elapsed() >= frame_gap)
        {
            if screen.draw(&app, &mut scroll, extent).is_err() {
                // Nobody is there to be told.
                return Ok(Ending::Signal(signal_hook::consts::SIGHUP));
            }
            drawn = Some(Instant::now());
            pending = None;
        }
    }
}

fn setup(options: Options, history: Vec<String>, (size, clock): ((u16, u16), &Clock)) -> Setup {
    let request_prefix = format!(
        "{}-{:x}-{:x}",
        options.operator,
        std::process::id(),
        clock.now().micros()
    );
    Setup {
        operator: options.operator,
        theme: Theme {
            colour: options.colour,
            glyphs: options.glyphs,
        },
        arrangement: options.layout,
        on_lost: options.on_lost,
        guide: options.guide,
        quitting: options.quitting,
        history,
        size,
        zone: clock.zone,
        request_prefix,
    }
}

/// The time of day, which never goes backwards, and its distance from UTC.
#[derive(Clone)]
struct Clock {
    base: Timestamp,
    since: Instant,
    zone: FixedOffset,
}

impl Clock {
    fn start() -> Self {
        Self {
            base: wall(),
            since: Instant::now(),
            zone: Local::now().offset().fix(),
        }
    }

    fn now(&self) -> Timestamp {
        // The monotonic clock stands still while the machine sleeps; the wall clock may be set back.
        (self.base + self.since.elapsed().into()).max(wall())
    }

    fn zone_change(&mut self) -> Option<FixedOffset> {
        let zone = Local::now().offset().fix();
        (zone != self.zone).then(|| {
            self.zone = zone;
            zone
        })
    }
}

fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(proto::Span::from(since_epoch).micros())
}

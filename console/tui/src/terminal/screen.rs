//! The terminal itself: taken over, drawn on, and given back however the console ends.

use std::io::{self, BufWriter, Stdout, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::{ResetColor, force_color_output};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use nix::sys::termios::{FlushArg, tcflush};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Position, Rect};

use super::TerminalError;
use crate::app::App;
use crate::view::{Scroll, draw};

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync + 'static>;

/// Whether the terminal is ours at the moment. One process has one terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What of the screen is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    /// What has changed since the last frame.
    Changes,
    /// Everything, after clearing the terminal.
    All,
}

/// Writes to the terminal as long as it is ours. What comes later is dropped without an error: half a frame has no place on
/// a screen that was given back, and one that hung up takes nothing.
struct Ours(Stdout);

impl Write for Ours {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if TAKEN.load(Ordering::SeqCst) {
            self.0.write(bytes)
        } else {
            Ok(bytes.len())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if TAKEN.load(Ordering::SeqCst) {
            self.0.flush()
        } else {
            Ok(())
        }
    }
}

/// The terminal, taken over. Dropping gives it back.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Ours>>>,
    previous: Option<Arc<Hook>>,
    held_back: Arc<Mutex<Vec<String>>>,
}

impl Screen {
    pub(super) fn enter() -> Result<Self, TerminalError> {
        // Colours are taken out of the buffer where they are not wanted. Under NO_COLOR the library would send empty colour
        // sequences instead, which terminals read as "reset everything", reverse video too.
        force_color_output(true);
        take().map_err(|source| TerminalError::Io {
            operation: "taking over",
            source,
        })?;
        // From here on, whatever goes wrong gives the terminal back.
        let held_back = Arc::new(Mutex::new(Vec::new()));
        let previous = Some(hook_in(std::thread::current().id(), Arc::clone(&held_back)));
        let writer = BufWriter::with_capacity(1 << 16, Ours(io::stdout()));
        match Terminal::new(CrosstermBackend::new(writer)) {
            Ok(terminal) => Ok(Self {
                terminal,
                previous,
                held_back,
            }),
            Err(source) => {
                give_back();
                Err(TerminalError::Io {
                    operation: "asking for its size",
                    source,
                })
            }
        }
    }

    /// Takes the terminal over once more, after somebody else had it.
    pub(super) fn enter_again() -> Result<(), TerminalError> {
        let again = |source| TerminalError::Io {
            operation: "taking over again",
            source,
        };
        disable_raw_mode().map_err(again)?;
        take().map_err(again)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (u16, u16) {
        self.terminal
            .size()
            .map_or((80, 24), |size| (size.width, size.height))
    }

    /// Draws. What is sent is the difference, or all of it, as one synchronised update.
    pub(super) fn draw(&mut self, app: &App, scroll: &mut Scroll, extent: Extent) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        if extent == Extent::All {
            // `clear` would ask the terminal where its cursor is, and wait for an answer among the keys.
            let size = self.terminal.size()?;
            self.terminal.resize(Rect::from((Position::ORIGIN, size)))?;
        }
        self.terminal.draw(|frame| draw(app, scroll, frame))?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }

    /// Rings the bell. A terminal that cannot is none the worse.
    pub(super) fn ring(&mut self) {
        let backend = self.terminal.backend_mut();
        let _ = backend.write_all(b"\x07").and_then(|()| backend.flush());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
        if std::thread::panicking() {
            return;
        }
        drop(std::panic::take_hook());
        if let Some(previous) = self.previous.take() {
            std::panic::set_hook(Box::new(move |info| previous(info)));
        }
        if let Ok(mut held_back) = self.held_back.lock() {
            for message in held_back.drain(..) {
                let _ = writeln!(io::stderr(), "{message}");
            }
        }
    }
}

/// Gives the terminal back before the message of a panic of the console's own thread; holds messages of other threads back,
/// which would otherwise be written across the screen.
fn hook_in(console: ThreadId, held_back: Arc<Mutex<Vec<String>>>) -> Arc<Hook> {
    let previous: Arc<Hook> = Arc::new(std::panic::take_hook());
    let next = Arc::clone(&previous);
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == console {
            give_back();
            next(info);
        } else if let Ok(mut held_back) = held_back.lock() {
            held_back.push(info.to_string());
        }
    }));
    previous
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let taken = execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide);
    if taken.is_err() {
        give_back();
    }
    taken
}

/// Gives the terminal back, once. Keys that nobody has read were meant for the console: a shell must not run them. Errors are
/// of no use to anybody here: a terminal that is gone needs nothing back.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            io::stdout(),
            EndSynchronizedUpdate,
            DisableBracketedPaste,
            ResetColor,
            LeaveAlternateScreen,
            Show
        );
        let _ = tcflush(io::stdin(), FlushArg::TCIFLUSH);
        let _ = disable_raw_mode();
    }
}

//! A terminal made of a pseudo-terminal and an interpreter: what a person would see, and keys they would press.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::bail;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{Termios, tcgetattr};

use crate::patience::PATIENCE;

/// A program on a terminal of its own.
pub struct Screen {
    child: Child,
    /// `None`: hung up.
    keys: Option<File>,
    /// Kept open so that the terminal's settings can be read after the program ended.
    terminal: OwnedFd,
    hung_up: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    before: Termios,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

impl Screen {
    /// Starts `command` on a terminal of this size.
    pub fn start(command: Command, width: u16, height: u16) -> anyhow::Result<Self> {
        Self::start_as("xterm-256color", command, width, height)
    }

    /// Starts `command` on a terminal that is known by this name.
    pub fn start_as(term: &str, mut command: Command, width: u16, height: u16) -> anyhow::Result<Self> {
        let size = Winsize {
            ws_row: height,
            ws_col: width,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None)?;
        // A program that held the other end of its own terminal would never see it hang up.
        for end in [&pty.master, &pty.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        let before = tcgetattr(pty.slave.as_fd())?;
        command
            .env("TERM", term)
            .env("LANG", "C.UTF-8")
            .env_remove("NO_COLOR");
        command
            .stdin(pty.slave.try_clone()?)
            .stdout(pty.slave.try_clone()?)
            .stderr(pty.slave.try_clone()?);
        let child = command.spawn()?;
        let keys = File::from(pty.master);
        let mut output = keys.try_clone()?;
        let hung_up = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&hung_up);
        let (rows, columns) = (NonZero::new(height), NonZero::new(width));
        let (Some(rows), Some(columns)) = (rows, columns) else {
            bail!("a terminal has at least one cell")
        };
        let parser = vt100::Parser::new(rows, columns, 0);
        let seen = Arc::new(Mutex::new(Seen {
            parser,
            raw: Vec::new(),
        }));
        let shared = Arc::clone(&seen);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !over.load(Ordering::SeqCst) {
                let mut wait = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
                match poll(&mut wait, 20_u8) {
                    Ok(0) | Err(Errno::EINTR) => continue,
                    Ok(_) => {}
                    Err(_) => break,
                }
                let Ok(count @ 1..) = output.read(&mut buffer) else {
                    break;
                };
                let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
                seen.parser.process(&buffer[..count]);
                seen.raw.extend_from_slice(&buffer[..count]);
            }
        });
        Ok(Self {
            child,
            keys: Some(keys),
            hung_up,
            reader: Some(reader),
            terminal: pty.slave,
            before,
            seen,
        })
    }

    /// The text on the screen now.
    pub fn text(&self) -> String {
        self.seen().parser.screen().contents()
    }

    /// Everything written so far, escape sequences included.
    pub fn raw(&self) -> Vec<u8> {
        self.seen().raw.clone()
    }

    /// Whether the alternate screen is shown.
    pub fn alternate(&self) -> bool {
        self.seen().parser.screen().alternate_screen()
    }

    /// Whether the cursor is hidden.
    pub fn cursor_hidden(&self) -> bool {
        self.seen().parser.screen().hide_cursor()
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        let mut terminal = self.keys.as_ref().expect("the terminal is there");
        terminal
            .write_all(keys.as_bytes())
            .expect("the terminal takes keys");
    }

    /// The terminal goes away, as when a connection drops: what is read from it ends, what is written to it fails.
    pub fn hang_up(&mut self) {
        self.hung_up.store(true, Ordering::SeqCst);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader ends");
        }
        self.keys = None;
    }

    /// Presses keys, and again while nothing comes of it, until `wanted` is on the screen.
    pub fn press_until(&mut self, keys: &str, what: &str, wanted: impl Fn(&str) -> bool) {
        let until = Instant::now() + 2 * PATIENCE;
        let mut again = Instant::now();
        while !wanted(&self.text()) {
            assert!(
                Instant::now() < until,
                "{what}: not on the screen:\n{}",
                self.text()
            );
            if Instant::now() >= again {
                self.press(keys);
                again = Instant::now() + Duration::from_millis(300);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until `wanted` is on the screen.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let until = Instant::now() + 2 * PATIENCE;
        while !wanted(&self.text()) {
            assert!(
                Instant::now() < until,
                "{what}: never seen. The screen:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process id of the program.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// Waits for the program's end.
    pub fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                // Its last words may still be in the pipe.
                std::thread::sleep(Duration::from_millis(200));
                return status;
            }
            assert!(
                Instant::now() < until,
                "the program does not end. The screen:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the terminal is as it was before the program: settings, screen, cursor.
    pub fn assert_restored(&self) {
        let after = tcgetattr(self.terminal.as_fd()).expect("terminal settings");
        assert_eq!(
            after.local_flags, self.before.local_flags,
            "echo and line editing are back"
        );
        assert_eq!(after.input_flags, self.before.input_flags);
        assert!(!self.alternate(), "the alternate screen is left");
        assert!(!self.cursor_hidden(), "the cursor is back");
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

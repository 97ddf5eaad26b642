//! The console on this terminal, joined to an engine: in this process or over a WebSocket.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use engine::Attachment;
use engine::attachment::Ask;
use engine::console_link::Connection;
use engine::paths::Root;
use proto::{Actor, Command, EngineFrame, RequestId};
use tokio::sync::mpsc;
use tui::{Arrangement, Asks, Ending, Feed, Input, Options, Quitting};

use crate::cli::ScreenArgs;

/// Commands typed at consoles, in the state folder. No session is called so.
const HISTORY: &str = ".console-history";

/// Where commands go now; empty while the engine is lost.
type AskSlot = Arc<Mutex<Option<mpsc::Sender<Ask>>>>;

/// Who sits here: the login name, or the number of the user.
pub(crate) fn operator() -> String {
    let uid = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("uid-{uid}"), |user| user.name)
}

/// Fails unless standard input and output are a terminal.
pub(crate) fn present() -> anyhow::Result<()> {
    use std::io::IsTerminal as _;
    for (which, terminal) in [
        ("input", std::io::stdin().is_terminal()),
        ("output", std::io::stdout().is_terminal()),
    ] {
        if !terminal {
            bail!("standard {which} is not a terminal; use --headless, `pacao serve` or `pacao ctl` here");
        }
    }
    // The console would find it too, once a fabric stands and an engine runs.
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Err(tui::TerminalError::Dumb.into());
    }
    Ok(())
}

/// Reads the layout that was asked for.
pub(crate) fn layout(args: &ScreenArgs) -> anyhow::Result<Arrangement> {
    let asked = args.layout.as_deref().unwrap_or("auto");
    Arrangement::parse(asked).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })
}

/// Looks for the engine again, once it is lost; `None`: not there yet.
pub(crate) type Reconnect = Box<dyn FnMut() -> Option<(Attachment, Connection)> + Send>;

/// A console about to be shown.
pub(crate) struct Screen {
    options: Options,
    attachment: Attachment,
    connection: Option<Connection>,
    reconnect: Option<Reconnect>,
}

impl Screen {
    /// For this engine, in this layout.
    pub(crate) fn new(args: &ScreenArgs, attachment: Attachment) -> anyhow::Result<Self> {
        let options = Options {
            layout: layout(args)?,
            history: Root::User.path().ok().map(|state| state.join(HISTORY)),
            ..Options::from_environment(&operator())
        };
        Ok(Self {
            options,
            attachment,
            connection: None,
            reconnect: None,
        })
    }

    /// For an engine, or a whole demo, that ends with the console.
    pub(crate) fn quitting(mut self, asks: Asks, then: &str) -> Self {
        let then = then.to_owned();
        self.options.quitting = Quitting { then, asks };
        self
    }

    /// For an engine of another process: holds the connection, and looks for the engine again when it is lost.
    pub(crate) fn remote(self, connection: Connection, reconnect: Reconnect) -> Self {
        Self {
            connection: Some(connection),
            reconnect: Some(reconnect),
            ..self
        }
    }

    /// Shows it until the operator quits, a signal comes, or the program closes it. `meanwhile` gets the feed before
    /// the first frame, for advice to the operator. Not to be called inside an asynchronous task.
    pub(crate) fn show(self, meanwhile: impl FnOnce(Feed)) -> anyhow::Result<Ending> {
        let (feed, inbox) = tui::channel();
        let slot: AskSlot = Arc::new(Mutex::new(Some(self.attachment.ask)));
        let pump = Pump {
            feed: feed.clone(),
            slot: Arc::clone(&slot),
            connection: self.connection,
            reconnect: self.reconnect,
        };
        let frames = self.attachment.frames;
        std::thread::Builder::new()
            .name("frames".to_owned())
            .spawn(move || pump.run(frames))?;
        meanwhile(feed.clone());
        let operator = self.options.operator.clone();
        let ask = move |request: RequestId, command: Command| {
            let by = Actor::Operator {
                name: operator.clone(),
            };
            let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            // A full or closed queue: the console shows the command as unanswered, and the loss of the engine is told
            // by the frames' end.
            if let Some(ask) = slot.as_ref() {
                let _ = ask.try_send((request, command, by));
            }
        };
        Ok(tui::run(self.options, inbox, ask)?)
    }
}

/// Carries frames to the console, and looks for the engine again when it is lost.
struct Pump {
    feed: Feed,
    slot: AskSlot,
    connection: Option<Connection>,
    reconnect: Option<Reconnect>,
}

impl Pump {
    fn run(mut self, mut frames: mpsc::Receiver<EngineFrame>) {
        loop {
            let why = match self.carry(&mut frames) {
                Ok(why) => why,
                Err(tui::Gone) => return,
            };
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.connection = None;
            if self.feed.send(Input::Lost { why }).is_err() {
                return;
            }
            match self.again() {
                Some((attachment, connection)) => {
                    self.connection = Some(connection);
                    *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(attachment.ask);
                    frames = attachment.frames;
                    if self.feed.send(Input::Back).is_err() {
                        return;
                    }
                }
                None => return,
            }
        }
    }

    /// Until the engine says goodbye or is gone; tells why.
    fn carry(&self, frames: &mut mpsc::Receiver<EngineFrame>) -> Result<String, tui::Gone> {
        while let Some(frame) = frames.blocking_recv() {
            if let EngineFrame::Bye { why } = frame {
                return Ok(why);
            }
            self.feed.send(Input::frame(frame))?;
        }
        Ok("the connection ended".to_owned())
    }

    fn again(&mut self) -> Option<(Attachment, Connection)> {
        let reconnect = self.reconnect.as_mut()?;
        loop {
            std::thread::sleep(Duration::from_secs(1));
            if let Some(found) = reconnect() {
                return Some(found);
            }
            // The console may have been closed in the meantime; a tick changes nothing and tells.
            self.feed.send(Input::Tick).ok()?;
        }
    }
}

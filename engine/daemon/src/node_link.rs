//! The control connection to one forwarder: JSON lines, [`NodeFrame`] down, [`ReportFrame`] up.
//!
//! The link connects, waits for the forwarder's `Hello`, and brings `NodeUp` and the `Hello` to the shell; then reports
//! as they come. Any failure is `NodeDown` with the reason, and a new connection after a pause.

mod frames;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use pacao_core::Input;
use proto::node::Show;
use proto::{NodeCommand, NodeFrame, NodeReport, ReportFrame, SiteName};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::shell::Arrival;
use frames::{LineError, Lines};

/// Pause after the first failure; doubled up to [`LONGEST_PAUSE`], back to this after a greeting.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A connection must stand, and the forwarder must greet, within this.
const GREETING: Duration = Duration::from_secs(3);

/// After this long without a command, something is asked so that a dead peer shows.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// A forwarder that says nothing this long (a heartbeat's answer included) is given up.
const SILENCE: Duration = Duration::from_secs(5);

/// A command must be taken within this.
const WRITING: Duration = Duration::from_secs(2);

/// Requests from this number on are looks: numbered apart, so that their answers find who asked.
const LOOKS: u64 = 1 << 40;

/// What the shell wants of a forwarder.
#[derive(Debug)]
pub(crate) enum Order {
    /// Carry this out; what comes of it is told by reports.
    Do(NodeCommand),
    /// Show something to a person. The answer comes back with the number.
    Look(u64, NodeCommand),
}

/// Where a forwarder is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// On this host. Who may connect is decided by the socket's mode and the peer credentials.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Both directions of a connection.
type Halves = (
    Box<dyn AsyncRead + Send + Unpin>,
    Box<dyn AsyncWrite + Send + Unpin>,
);

impl Address {
    async fn connect(&self) -> std::io::Result<Halves> {
        match self {
            Self::Unix(path) => {
                let (read, write) = UnixStream::connect(path).await?.into_split();
                Ok((Box::new(read), Box::new(write)))
            }
        }
    }
}

/// One forwarder of a session.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Its site.
    pub(crate) site: SiteName,
    /// Where it is reached.
    pub(crate) address: Address,
    /// Commands that wait for it at most; when they are full the shell drops the connection. A forwarder that has just
    /// come is told every view at once, so this grows with the session.
    pub(crate) commands: usize,
}

/// Keeps one forwarder connected; ends when the shell does.
pub(crate) async fn run(peer: Peer, arrivals: mpsc::Sender<Arrival>) {
    let Peer {
        site,
        address,
        commands,
    } = peer;
    let mut pause = FIRST_PAUSE;
    let mut told = String::new();
    while !arrivals.is_closed() {
        let mut link = Link {
            site: &site,
            arrivals: &arrivals,
            commands,
            greeted: false,
        };
        let why = link.live(&address).await;
        if link.greeted {
            pause = FIRST_PAUSE;
            told.clear();
            let down = Input::NodeDown {
                site: site.clone(),
                why: why.to_string(),
            };
            if arrivals.send(Arrival::Input(down)).await.is_err() {
                return;
            }
        } else if why.to_string() != told {
            // Once a reason, not once an attempt.
            told = why.to_string();
            tracing::warn!(%site, %address, why = told, "forwarder not reached");
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = arrivals.closed() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

struct Link<'a> {
    site: &'a SiteName,
    arrivals: &'a mpsc::Sender<Arrival>,
    commands: usize,
    greeted: bool,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("no greeting within {} s", GREETING.as_secs())]
    NoGreeting,
    #[error("its first word is not Hello but {0}")]
    NotHello(&'static str),
    #[error("the forwarder there is '{0}'")]
    WrongSite(SiteName),
    #[error("nothing heard for {} s", SILENCE.as_secs())]
    Silent,
    #[error("it took no command for {} s", WRITING.as_secs())]
    Stuck,
    #[error("it did not take commands fast enough")]
    Dropped,
    #[error("writing failed: {0}")]
    Write(std::io::Error),
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("the engine ended")]
    EngineGone,
}

impl Link<'_> {
    /// One connection, from its beginning to its end.
    async fn live(&mut self, address: &Address) -> LinkError {
        let connected = timeout(GREETING, address.connect()).await;
        let (read, write) = match connected {
            Ok(Ok(halves)) => halves,
            Ok(Err(error)) => return LinkError::Connect(error),
            Err(_) => return LinkError::NoGreeting,
        };
        let mut lines = Lines::new(BufReader::new(read));
        let hello = match timeout(GREETING, self.greeting(&mut lines)).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(error)) => return error,
            Err(_) => return LinkError::NoGreeting,
        };
        let (commands, to_send) = mpsc::channel(self.commands);
        self.greeted = true;
        let up = Arrival::NodeUp {
            site: self.site.clone(),
            commands,
        };
        let hello = Arrival::Input(Input::Report {
            site: self.site.clone(),
            report: hello,
        });
        if self.arrivals.send(up).await.is_err() || self.arrivals.send(hello).await.is_err() {
            return LinkError::EngineGone;
        }
        tokio::select! {
            error = self.listen(lines) => error,
            error = speak(write, to_send) => error,
            () = self.arrivals.closed() => LinkError::EngineGone,
        }
    }

    async fn greeting(&self, lines: &mut Lines) -> Result<NodeReport, LinkError> {
        let frame: ReportFrame = lines.next().await?;
        match frame.report {
            NodeReport::Hello { name, .. } if name != *self.site => Err(LinkError::WrongSite(name)),
            hello @ NodeReport::Hello { .. } => Ok(hello),
            other => Err(LinkError::NotHello(word(&other))),
        }
    }

    /// Brings reports to the shell. What tells the core nothing ends here: `Done`, tables (those answer heartbeats), and
    /// who asked for a mapping. Anyone can ask as often as he likes, and what reaches the shell is written to the record.
    async fn listen(&self, mut lines: Lines) -> LinkError {
        loop {
            let frame: ReportFrame = match timeout(SILENCE, lines.next()).await {
                Ok(Ok(frame)) => frame,
                Ok(Err(error)) => return error.into(),
                Err(_) => return LinkError::Silent,
            };
            if let Some(number) = frame.reply_to.and_then(|request| request.checked_sub(LOOKS)) {
                let seen = Arrival::Seen {
                    number,
                    report: Box::new(frame.report),
                };
                if self.arrivals.send(seen).await.is_err() {
                    return LinkError::EngineGone;
                }
                continue;
            }
            if let NodeReport::Refused { why } = &frame.report {
                tracing::warn!(site = %self.site, request = frame.reply_to, why, "forwarder refused a command");
            }
            if matches!(word(&frame.report), DONE | TABLE | REQUESTED) {
                continue;
            }
            // A full channel makes us wait here, and so the forwarder: its samples are kept, not lost.
            let report = Input::Report {
                site: self.site.clone(),
                report: frame.report,
            };
            if self.arrivals.send(Arrival::Input(report)).await.is_err() {
                return LinkError::EngineGone;
            }
        }
    }
}

/// Sends commands, and heartbeats between them.
async fn speak(
    mut write: Box<dyn AsyncWrite + Send + Unpin>,
    mut orders: mpsc::Receiver<Order>,
) -> LinkError {
    for count in 1.. {
        let (request, command) = match timeout(HEARTBEAT, orders.recv()).await {
            Ok(Some(Order::Do(command))) => (count, command),
            Ok(Some(Order::Look(number, command))) => (LOOKS + number, command),
            Ok(None) => return LinkError::Dropped,
            Err(_) => (count, NodeCommand::Show { what: Show::Counters }),
        };
        let line = match frames::line(&NodeFrame { request, command }) {
            Ok(line) => line,
            Err(error) => return error.into(),
        };
        match timeout(WRITING, write.write_all(&line)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return LinkError::Write(error),
            Err(_) => return LinkError::Stuck,
        }
    }
    LinkError::Dropped
}

const DONE: &str = "Done";
const TABLE: &str = "a table";
const REQUESTED: &str = "Requested";

const fn word(report: &NodeReport) -> &'static str {
    match report {
        NodeReport::Hello { .. } => "Hello",
        NodeReport::Probes { .. } => "Probes",
        NodeReport::Changed { .. } => "Changed",
        NodeReport::Requested { .. } => REQUESTED,
        NodeReport::Residents { .. } => "Residents",
        NodeReport::Done | NodeReport::Reloaded { .. } => DONE,
        NodeReport::Refused { .. } => "Refused",
        NodeReport::MapCache { .. }
        | NodeReport::Registrations { .. }
        | NodeReport::Database { .. }
        | NodeReport::Requesters { .. }
        | NodeReport::ProbeFigures { .. }
        | NodeReport::Counters { .. }
        | NodeReport::Subscriptions { .. }
        | NodeReport::Subscribed { .. }
        | NodeReport::OwnRegistrations { .. }
        | NodeReport::Page(_)
        | NodeReport::Log(_) => TABLE,
    }
}

#[cfg(test)]
mod tests;

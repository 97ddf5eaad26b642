//! The shell: one task that owns the core. Inputs come in, are recorded, handled, and acted on.
//!
//! ```text
//! node links ---+                                  +--> node links   (Effect::Node)
//! consoles -----+--> one bounded channel --> Shell --+--> consoles    (Effect::Notify, Effect::Reply)
//! timer --------+                              |
//!                                              +--> record
//! ```
//! The channel holds [`INPUTS`]; when it is full, those who fill it wait: a forwarder keeps its probe samples, a
//! console its command. Nothing is dropped on the way in.

mod asked;
mod consoles;
mod journal;
mod looks;
mod plans;
mod run;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pacao_core::{Config, Engine, Input};
use proto::plan::Plan;
use proto::{EngineFrame, NodeReport, SiteName, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::attachment::{ASKS, Ask, Attachment, FRAMES};
use crate::clock::Clock;
use crate::console_link::{self, ConsoleLinkError, Endpoint};
use crate::node_link::{self, Address, Order, Peer};
use crate::paths::StateDir;
use crate::record::{Header, RecordError};
use crate::recorder::{Recorder, Upkeep, resume};
use crate::session::Session;

use consoles::ConsoleId;
use journal::Journal;
use run::Shell;

/// Inputs that wait for the core at most.
pub const INPUTS: usize = 4096;

/// Commands that wait for one forwarder at most, besides
const COMMANDS: usize = 256;

/// this many for each user and VM: a view can change a few times while a forwarder is busy.
const VIEWS: usize = 4;

/// How an engine is run.
#[derive(Debug)]
pub struct Options {
    /// Its folder, locked.
    pub state: StateDir,
    /// Where the record is; by default in the state folder.
    pub record: PathBuf,
    /// Whether an earlier record goes on.
    pub start: Start,
    /// How much room the record takes.
    pub upkeep: Upkeep,
    /// Where consoles of other processes may connect: a loopback address, port 0 for any. `None`: nowhere.
    pub console: Option<SocketAddr>,
}

impl Options {
    /// Goes on with the record in the state folder, and listens nowhere.
    pub fn new(state: StateDir) -> Self {
        let record = state.paths().record();
        Self {
            state,
            record,
            start: Start::Resume,
            upkeep: Upkeep::default(),
            console: None,
        }
    }
}

/// Whether an earlier record goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the engine as it was, if there is a record; else a new one is begun.
    #[default]
    Resume,
    /// From nothing; an earlier record is kept under another name.
    Fresh,
}

/// What reaches the shell's task.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// To be recorded and handled.
    Input(Input),
    /// A forwarder's connection stands; commands go in here, and the connection ends when this is dropped.
    NodeUp {
        site: SiteName,
        commands: mpsc::Sender<Order>,
    },
    /// What a person looked at.
    Seen { number: u64, report: Box<NodeReport> },
    /// A plan for all users was made, or could not be.
    Planned {
        number: u64,
        plan: Result<Box<Plan>, String>,
    },
    /// A console wants in.
    Attach {
        frames: mpsc::Sender<EngineFrame>,
        asks: mpsc::Receiver<Ask>,
    },
    /// A console asks.
    Ask { console: ConsoleId, ask: Ask },
}

/// A running engine. Dropping it kills the engine as it stands, like `kill -9` would; [`Self::shutdown`] ends it well.
#[derive(Debug)]
pub struct EngineHandle {
    arrivals: mpsc::Sender<Arrival>,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<Result<(), EngineError>>,
    endpoint: Option<Endpoint>,
}

impl EngineHandle {
    /// Attaches a console of this process.
    ///
    /// # Errors
    /// [`EngineError::Gone`] once the engine ended.
    pub async fn attach(&self) -> Result<Attachment, EngineError> {
        attach(&self.arrivals).await
    }

    /// Where other processes attach, if anywhere.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// Returns when the engine ends by itself, which it does only for an error.
    pub async fn ended(&mut self) -> EngineError {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => EngineError::Died {
                task: "shell",
                why: error.to_string(),
            },
            Some(Ok(Ok(()))) | None => EngineError::Gone,
        }
    }

    /// Writes everything down, says goodbye to consoles and forwarders, and ends. The fabric stays as it is.
    ///
    /// # Errors
    /// What kept the record from being finished.
    pub async fn shutdown(mut self) -> Result<(), EngineError> {
        if let Some(stop) = self.stop.take() {
            let _gone_already = stop.send(());
        }
        match self.tasks.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(error)) => Err(EngineError::Died {
                task: "shell",
                why: error.to_string(),
            }),
            None => Ok(()),
        }
    }
}

/// Attaches a console to the shell behind `arrivals`.
pub(crate) async fn attach(arrivals: &mpsc::Sender<Arrival>) -> Result<Attachment, EngineError> {
    let (to_console, frames) = mpsc::channel(FRAMES);
    let (ask, asks) = mpsc::channel(ASKS);
    arrivals
        .send(Arrival::Attach {
            frames: to_console,
            asks,
        })
        .await
        .map_err(|_| EngineError::Gone)?;
    Ok(Attachment { frames, ask })
}

/// Takes up a session: opens the record, connects to the forwarders, listens for consoles.
///
/// # Errors
/// Whatever keeps it from starting; see [`EngineError`].
pub async fn spawn(session: Session, options: Options) -> Result<EngineHandle, EngineError> {
    let Options {
        state,
        record,
        start,
        upkeep,
        console,
    } = options;
    let pairs: usize = session.config.users.values().map(|user| user.vms.len()).sum();
    let commands = COMMANDS + VIEWS * pairs;
    let mut peers = Vec::new();
    for site in session.config.sites.keys() {
        let Some(path) = session.controls.get(site) else {
            return Err(EngineError::NoControl { site: site.clone() });
        };
        peers.push(Peer {
            site: site.clone(),
            address: Address::Unix(path.clone()),
            commands,
        });
    }
    let config = session.config;
    let state = Arc::new(state);
    let lock = Arc::clone(&state);
    let opened =
        tokio::task::spawn_blocking(move || open_record(&record, config, (start, upkeep), lock)).await;
    let opened = opened.map_err(|error| EngineError::Died {
        task: "recorder",
        why: error.to_string(),
    })??;

    let (arrivals, inbox) = mpsc::channel(INPUTS);
    let mut tasks = JoinSet::new();
    let mut endpoint = None;
    if let Some(address) = console {
        let server = console_link::Server::bind(address, Arc::clone(&state)).await?;
        endpoint = Some(server.endpoint().clone());
        tasks.spawn(named("console link", server.run(arrivals.clone())));
    }
    for peer in peers {
        tasks.spawn(named("node link", node_link::run(peer, arrivals.clone())));
    }
    let (stop, stopped) = oneshot::channel();
    let shell = Shell::new(opened, (inbox, arrivals.downgrade()), tasks);
    let mut owner = JoinSet::new();
    owner.spawn(shell.run(stopped));
    Ok(EngineHandle {
        arrivals,
        stop: Some(stop),
        tasks: owner,
        endpoint,
    })
}

/// The name tells who died.
async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

/// The core and its record, ready to go on.
struct Opened {
    engine: Engine,
    journal: Journal,
    clock: Clock,
    remarks: Vec<String>,
}

fn open_record(
    path: &Path,
    config: Config,
    (start, upkeep): (Start, Upkeep),
    state: Arc<StateDir>,
) -> Result<Opened, RecordError> {
    let mut remarks = Vec::new();
    if start == Start::Resume && path.exists() {
        let resumed = resume(path, &config)?;
        if let Some(torn) = resumed.torn {
            let (line, bytes) = (torn.line, torn.bytes);
            let done = if resumed.carried.is_some() {
                "is left out"
            } else {
                "has been cut"
            };
            remarks.push(format!(
                "the record's last line ({line}, {bytes} bytes) was not finished and {done}"
            ));
        }
        if let Some(carried) = resumed.carried {
            tracing::warn!("{carried}");
        }
        let clock = Clock::start(resumed.last);
        return Ok(Opened {
            engine: resumed.engine,
            journal: Journal::new(resumed.recorder.kept_by(upkeep), state),
            clock,
            remarks,
        });
    }
    let mut clock = Clock::start(Timestamp::default());
    let now = clock.now();
    let recorder = Recorder::create(path, &Header::new(config.clone(), now))?;
    Ok(Opened {
        engine: Engine::new(config, now),
        journal: Journal::new(recorder.kept_by(upkeep), state),
        clock,
        remarks,
    })
}

/// An engine that cannot start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A data centre without a control socket.
    #[error(
        "the control socket of '{site}' is not known; name it in the session (`control:`), or let a lab make it"
    )]
    NoControl {
        /// Which.
        site: SiteName,
    },
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The record could not be finished.
    #[error("the record could not be finished: {why}")]
    Unfinished {
        /// Why.
        why: String,
    },
    /// The server for consoles.
    #[error(transparent)]
    Console(#[from] ConsoleLinkError),
    /// A task ended that never should.
    #[error("the engine's {task} died: {why}")]
    Died {
        /// Which task.
        task: &'static str,
        /// Why.
        why: String,
    },
    /// It has ended.
    #[error("the engine has ended")]
    Gone,
}

#[cfg(test)]
mod tests;

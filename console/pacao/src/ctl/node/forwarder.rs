//! A forwarder's control socket, one question after another.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use proto::inspect::{LogPage, LogQuery};
use proto::node::ChangeOutcome;
use proto::{ChangeId, NodeCommand, NodeFrame, NodeReport, ReportFrame};

/// A forwarder answers within this long or not at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// By then a forwarder has given up what another one does not acknowledge.
const GIVEN_UP: Duration = Duration::from_secs(15);

/// How a question went.
#[derive(Debug)]
pub(super) enum Answer {
    Given,
    Refused { why: String },
}

/// A connection.
#[derive(Debug)]
pub(super) struct Forwarder {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
    name: String,
    asked: u64,
}

impl Forwarder {
    /// Connects to a control socket, given by its path or by the name of its site.
    pub(super) fn find(given: &Path) -> anyhow::Result<Self> {
        let places = places(given);
        let socket = places.iter().find(|path| path.exists()).or(places.first());
        let socket = socket.map_or(given, PathBuf::as_path);
        let name = socket.display().to_string();
        let stream = UnixStream::connect(socket).map_err(|error| {
            let tried: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
            anyhow::anyhow!("{}: {error}", tried.join(", nor "))
        })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let lines = BufReader::new(stream.try_clone()?);
        Ok(Self {
            stream,
            lines,
            name,
            asked: 0,
        })
    }

    /// Sends one command and waits for its answer.
    pub(super) fn ask(&mut self, command: NodeCommand) -> anyhow::Result<NodeReport> {
        self.asked += 1;
        let request = self.asked;
        let mut question = serde_json::to_string(&NodeFrame { request, command })?;
        question.push('\n');
        self.stream
            .write_all(question.as_bytes())
            .map_err(|error| self.gone(&error))?;
        loop {
            let frame = self.frame()?;
            if frame.reply_to == Some(request) {
                return Ok(frame.report);
            }
        }
    }

    /// Waits for what becomes of a change that was ordered over this connection.
    pub(super) fn outcome_of(&mut self, change: ChangeId) -> anyhow::Result<ChangeOutcome> {
        self.stream.set_read_timeout(Some(GIVEN_UP))?;
        loop {
            match self.frame()?.report {
                NodeReport::Changed { change: of, outcome } if of == change => return Ok(outcome),
                _ => {}
            }
        }
    }

    fn frame(&mut self) -> anyhow::Result<ReportFrame> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => bail!(
                "{}: the forwarder hung up; is your user among its control.allow_uids?",
                self.name
            ),
            Ok(_) => {}
            Err(error) => return Err(self.gone(&error)),
        }
        serde_json::from_str(&line).with_context(|| format!("{}: not a forwarder of this version", self.name))
    }

    /// A part of the message log.
    pub(super) fn log(&mut self, query: LogQuery) -> anyhow::Result<Result<LogPage, Answer>> {
        match self.ask(NodeCommand::Log { query })? {
            NodeReport::Log(page) => Ok(Ok(page)),
            NodeReport::Refused { why } => Ok(Err(Answer::Refused { why })),
            other => bail!("asked for the message log, got {other:?}"),
        }
    }

    fn gone(&self, error: &std::io::Error) -> anyhow::Error {
        anyhow::anyhow!("{}: {error}", self.name)
    }
}

/// Where a socket may be.
fn places(given: &Path) -> Vec<PathBuf> {
    if given.components().count() != 1 || given.exists() {
        return vec![given.to_owned()];
    }
    let file = format!("{}.sock", given.display());
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("pacao").join(&file));
    let shared = Path::new("/run/pacao").join(&file);
    own.into_iter().chain([shared]).collect()
}

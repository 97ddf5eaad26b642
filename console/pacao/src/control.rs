//! A forwarder's control socket, kept open, so that a question costs no connection.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use lisp_wire::EidPrefix;
use proto::node::{CacheRow, ChangeOutcome, DatabaseRow, RegistrationRow, Show};
use proto::{ChangeId, NodeCommand, NodeFrame, NodeReport, ReportFrame};

/// A connection to a forwarder.
#[derive(Debug)]
pub(crate) struct Control {
    commands: UnixStream,
    reports: BufReader<UnixStream>,
    asked: u64,
}

impl Control {
    /// Connects.
    pub(crate) fn connect(socket: &Path) -> anyhow::Result<Self> {
        let connect = || -> std::io::Result<Self> {
            let commands = UnixStream::connect(socket)?;
            commands.set_read_timeout(Some(Duration::from_secs(5)))?;
            Ok(Self {
                reports: BufReader::new(commands.try_clone()?),
                commands,
                asked: 0,
            })
        };
        connect().with_context(|| format!("the forwarder at {}", socket.display()))
    }

    /// One command, and its answer.
    pub(crate) fn ask(&mut self, command: NodeCommand) -> anyhow::Result<NodeReport> {
        self.asked += 1;
        let request = self.asked;
        let mut text = serde_json::to_vec(&NodeFrame { request, command })?;
        text.push(b'\n');
        self.commands.write_all(&text)?;
        loop {
            let frame = self.report()?;
            match frame.report {
                NodeReport::Refused { why } if frame.reply_to == Some(request) => {
                    bail!("the forwarder refused: {why}")
                }
                report if frame.reply_to == Some(request) => return Ok(report),
                // What it tells by itself.
                _ => {}
            }
        }
    }

    /// Waits until the destination of a prepared move has taken everything.
    pub(crate) fn wait_until_prepared(&mut self, change: ChangeId) -> anyhow::Result<()> {
        loop {
            match self.report()?.report {
                NodeReport::Changed {
                    change: of,
                    outcome: ChangeOutcome::Prepared { .. },
                } if of == change => return Ok(()),
                NodeReport::Changed { change: of, outcome } if of == change => {
                    bail!("the move was not prepared: {outcome:?}")
                }
                _ => {}
            }
        }
    }

    fn report(&mut self) -> anyhow::Result<ReportFrame> {
        let mut line = String::new();
        if self.reports.read_line(&mut line)? == 0 {
            bail!("the forwarder hung up");
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// The row of its map cache for exactly this EID.
    pub(crate) fn cached(&mut self, eid: EidPrefix) -> anyhow::Result<Option<CacheRow>> {
        match self.ask(NodeCommand::Show { what: Show::MapCache })? {
            NodeReport::MapCache { rows } => Ok(rows.into_iter().find(|row| row.eid == eid)),
            other => bail!("asked for the map cache, got {other:?}"),
        }
    }

    /// The rows of its registrations for exactly this EID.
    pub(crate) fn registered(&mut self, eid: EidPrefix) -> anyhow::Result<Vec<RegistrationRow>> {
        let what = Show::Registrations;
        match self.ask(NodeCommand::Show { what })? {
            NodeReport::Registrations { rows } => Ok(rows.into_iter().filter(|row| row.eid == eid).collect()),
            other => bail!("asked for registrations, got {other:?}"),
        }
    }

    /// The rows of its own mappings for exactly this EID.
    pub(crate) fn own(&mut self, eid: EidPrefix) -> anyhow::Result<Vec<DatabaseRow>> {
        match self.ask(NodeCommand::Show { what: Show::Database })? {
            NodeReport::Database { rows } => Ok(rows.into_iter().filter(|row| row.eid == eid).collect()),
            other => bail!("asked for own mappings, got {other:?}"),
        }
    }
}

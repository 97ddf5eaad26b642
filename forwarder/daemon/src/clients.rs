//! The control socket: JSON lines, many clients, each with bounded queues.

mod listener;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use node::ClientId;
use proto::{NodeFrame, NodeReport, ReportFrame};

pub use listener::ListenError;
pub(crate) use listener::Listener;

/// Connections at once; more are let go at once.
const MOST_CLIENTS: usize = 64;
/// A longer line is refused, and its sender let go.
const MOST_LINE: usize = 1 << 20;
/// Read from a client before the others, and the packets' misses and probes, have their turn.
const MOST_INPUT: usize = 16 << 10;
/// Unread output of a client; one that lags further is let go. A single report may be longer: a table of a large map cache.
const MOST_OUTPUT: usize = 4 << 20;

/// What became of the connections.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A permitted client connected.
    Connected(ClientId),
    /// It asked for something.
    Asked { client: ClientId, frame: NodeFrame },
    /// It is gone.
    Gone(ClientId),
}

/// The connected clients.
#[derive(Debug)]
pub(crate) struct Clients {
    listener: Listener,
    connected: BTreeMap<ClientId, Client>,
    next: u64,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Why it is to be let go, once seen.
    end: Option<String>,
}

impl Clients {
    pub(crate) fn new(listener: Listener) -> Self {
        Self {
            listener,
            connected: BTreeMap::new(),
            next: 0,
        }
    }

    /// What to wait for: the listener first, then each client, with whether it has output waiting.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Waiting)> {
        let listener = std::iter::once((self.listener.as_fd(), Waiting::Input));
        listener.chain(self.connected.values().map(|client| {
            let waiting = if client.output.is_empty() {
                Waiting::Input
            } else {
                Waiting::InputAndOutput
            };
            (client.stream.as_fd(), waiting)
        }))
    }

    /// Accepts, reads and writes whatever is ready.
    pub(crate) fn serve(&mut self) -> Vec<Happening> {
        let mut happenings = Vec::new();
        self.accept(&mut happenings);
        for (id, client) in &mut self.connected {
            client.flush();
            client.read(*id, &mut happenings);
        }
        self.part(&mut happenings);
        happenings
    }

    /// Sends a report to one client.
    pub(crate) fn tell(&mut self, client: ClientId, frame: &ReportFrame) {
        if let Some(client) = self.connected.get_mut(&client) {
            client.queue(&line(frame));
        }
    }

    /// Sends a report to several clients.
    pub(crate) fn publish(&mut self, subscribers: impl Iterator<Item = ClientId>, frame: &ReportFrame) {
        let line = line(frame);
        for id in subscribers {
            if let Some(client) = self.connected.get_mut(&id) {
                client.queue(&line);
            }
        }
    }

    fn accept(&mut self, happenings: &mut Vec<Happening>) {
        while let Some(stream) = self.listener.accept() {
            let uid = getsockopt(&stream, PeerCredentials).map(|credentials| credentials.uid());
            match uid {
                Ok(uid) if self.listener.permits(uid) => {}
                Ok(uid) => {
                    tracing::warn!(uid, "control: connection refused, this user is not in allow_uids");
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "control: connection refused, its user is unknown");
                    continue;
                }
            }
            if self.connected.len() >= MOST_CLIENTS {
                tracing::warn!(most = MOST_CLIENTS, "control: connection refused, too many");
                continue;
            }
            self.next += 1;
            let id = ClientId(self.next);
            self.connected.insert(
                id,
                Client {
                    stream,
                    input: Vec::new(),
                    output: Vec::new(),
                    end: None,
                },
            );
            happenings.push(Happening::Connected(id));
        }
    }

    /// Lets go of those that are to go.
    fn part(&mut self, happenings: &mut Vec<Happening>) {
        self.connected.retain(|id, client| {
            let Some(why) = &client.end else { return true };
            tracing::debug!(client = id.0, %why, "control: connection closed");
            happenings.push(Happening::Gone(*id));
            false
        });
    }
}

/// What a client's connection is waited on for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Input,
    InputAndOutput,
}

impl Client {
    /// Takes a piece of what is there; the rest wakes the thread again. A client that never stops writing must not keep it.
    fn read(&mut self, id: ClientId, happenings: &mut Vec<Happening>) {
        if self.end.is_some() {
            return;
        }
        let mut chunk = [0; MOST_INPUT];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.end = Some("closed by the client".into()),
            Ok(length) => {
                self.input
                    .extend_from_slice(chunk.get(..length).unwrap_or_default());
                self.take_lines(id, happenings);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => self.end = Some(error.to_string()),
        }
    }

    fn take_lines(&mut self, id: ClientId, happenings: &mut Vec<Happening>) {
        let input = std::mem::take(&mut self.input);
        let mut rest = input.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.split_first().map_or(&[], |(_, rest)| rest);
            match serde_json::from_slice(line) {
                Ok(frame) => happenings.push(Happening::Asked { client: id, frame }),
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(error) => self.refuse(line, &error),
            }
        }
        if rest.len() > MOST_LINE {
            self.end = Some(format!("a line of more than {MOST_LINE} bytes"));
        }
        self.input = rest.to_vec();
    }

    fn refuse(&mut self, bad: &[u8], error: &serde_json::Error) {
        let value: Option<serde_json::Value> = serde_json::from_slice(bad).ok();
        let reply_to = value
            .as_ref()
            .and_then(|value| value.get("request"))
            .and_then(serde_json::Value::as_u64);
        let why = format!(
            "not a command: {error}; write {{\"request\":1,\"command\":\"show\",\"what\":\"map-cache\"}}"
        );
        self.queue(&line(&ReportFrame {
            reply_to,
            report: NodeReport::Refused { why },
        }));
    }

    fn queue(&mut self, line: &[u8]) {
        if self.end.is_some() {
            return;
        }
        if !self.output.is_empty() && self.output.len() + line.len() > MOST_OUTPUT {
            tracing::warn!(
                unread = self.output.len(),
                "control: client let go, it does not read its reports"
            );
            self.end = Some("too slow".into());
            return;
        }
        self.output.extend_from_slice(line);
        self.flush();
    }

    fn flush(&mut self) {
        while !self.output.is_empty() && self.end.is_none() {
            match self.stream.write(&self.output) {
                Ok(0) => self.end = Some("takes no more".into()),
                Ok(length) => drop(self.output.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.end = Some(error.to_string()),
            }
        }
    }
}

fn line(frame: &ReportFrame) -> Vec<u8> {
    let mut line = serde_json::to_vec(frame).unwrap_or_else(|error| {
        // A report is plain data and cannot fail to be written; if it ever did, the reader is told why.
        format!("{{\"reply_to\":null,\"report\":\"refused\",\"why\":\"{error}\"}}").into_bytes()
    });
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests;

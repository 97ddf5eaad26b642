//! Numbered packets between two hosts of a test, there and back.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, ensure};
use testbed::Namespace;
use testbed::traffic::{EchoSummary, TrafficLine};

use crate::patience::PATIENCE;
use crate::product::pacao;

/// The port that answers.
const PORT: u16 = 5001;

/// A host that sends back what comes to it. Dropping it ends it.
#[derive(Debug)]
pub struct Answerer(Child);

impl Drop for Answerer {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

impl Answerer {
    /// Listens on `address` in `space`.
    pub fn start(space: &Namespace, address: IpAddr) -> anyhow::Result<Self> {
        let at = SocketAddr::new(address, PORT).to_string();
        let mut serve = pacao(["traffic", "--die-with-parent", "serve", "--listen", &at])?;
        serve.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut server = Self(space.spawn(serve)?);
        let mut first = String::new();
        let output = server.0.stdout.take().context("no output")?;
        BufReader::new(output).read_line(&mut first)?;
        ensure!(first.contains("serving"), "{first}");
        Ok(server)
    }
}

/// What became of all packets of a [`Talk`].
#[derive(Debug)]
pub struct Fate {
    /// How many were sent, came back, and did not.
    pub summary: EchoSummary,
    /// The numbers of those that did not come back, in order.
    pub missing: Vec<u64>,
}

/// A host that sends a packet every 20 ms. Dropping it ends it.
#[derive(Debug)]
pub struct Talk {
    echo: Child,
    input: Option<ChildStdin>,
    lines: Receiver<TrafficLine>,
}

impl Drop for Talk {
    fn drop(&mut self) {
        end(&mut self.echo);
    }
}

impl Talk {
    /// Begins to send from `space` to an [`Answerer`] at `address`.
    pub fn start(space: &Namespace, address: IpAddr) -> anyhow::Result<Self> {
        let at = SocketAddr::new(address, PORT).to_string();
        let mut command = pacao([
            "traffic",
            "--die-with-parent",
            "echo",
            &at,
            "--each",
            "--interval",
            "20ms",
        ])?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut echo = space.spawn(command)?;
        let output = echo.stdout.take().context("no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Ok(line) = serde_json::from_str(&line) else {
                    return;
                };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = echo.stdin.take();
        Ok(Self { echo, input, lines })
    }

    /// Waits until `count` more packets have come back, not counting those that did so before.
    pub fn come_back(&self, count: usize) -> anyhow::Result<()> {
        self.lines.try_iter().for_each(drop);
        let mut back = 0;
        while back < count {
            let line = self.lines.recv_timeout(PATIENCE).context("packets come back")?;
            back += usize::from(matches!(line, TrafficLine::Back { .. }));
        }
        Ok(())
    }

    /// The number of the next packet to come back, not counting those that did so before.
    pub fn next_back(&self) -> anyhow::Result<u64> {
        self.lines.try_iter().for_each(drop);
        loop {
            let line = self.lines.recv_timeout(PATIENCE).context("a packet comes back")?;
            if let TrafficLine::Back { seq, .. } = line {
                return Ok(seq);
            }
        }
    }

    /// How many packets came back that nobody has waited for.
    pub fn came_back(&self) -> usize {
        let back = |line: &TrafficLine| matches!(line, TrafficLine::Back { .. });
        self.lines.try_iter().filter(back).count()
    }

    /// Sends no more, and says what became of all packets.
    pub fn finish(self) -> anyhow::Result<EchoSummary> {
        Ok(self.fate()?.summary)
    }

    /// The same, packet by packet.
    pub fn fate(mut self) -> anyhow::Result<Fate> {
        drop(self.input.take());
        let mut missing = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(TrafficLine::Echoed(summary)) => return Ok(Fate { summary, missing }),
                Ok(TrafficLine::Missing { seq, .. }) => missing.push(seq),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    anyhow::bail!("the sender did not say what became of its packets")
                }
            }
        }
    }
}

/// Lets some packets be sent.
pub fn a_while() {
    std::thread::sleep(Duration::from_millis(600));
}

fn end(child: &mut Child) {
    // Already ended is as good.
    let _ = child.kill();
    let _ = child.wait();
}

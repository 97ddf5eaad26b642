//! `pacao ctl node`: what a forwarder knows, over its control socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use lisp_wire::Locator;
use proto::node::{CacheLocator, Show};
use proto::{Audience, NodeCommand, NodeFrame, NodeReport, ReportFrame};

use crate::cli::NodePart;

/// The number our only question has.
const REQUEST: u64 = 1;

/// Asks and prints.
pub(super) fn run(socket: &Path, what: NodePart, json: bool) -> anyhow::Result<bool> {
    let report = ask(socket, NodeCommand::Show { what: what.into() })?;
    if let NodeReport::Refused { why } = &report {
        bail!("the forwarder refused: {why}");
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", table(&report));
    }
    Ok(true)
}

/// Sends one command to a forwarder and waits for its answer.
pub(super) fn ask(socket: &Path, command: NodeCommand) -> anyhow::Result<NodeReport> {
    let name = || socket.display().to_string();
    let mut stream = UnixStream::connect(socket).with_context(name)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut line = serde_json::to_string(&NodeFrame {
        request: REQUEST,
        command,
    })?;
    line.push('\n');
    stream.write_all(line.as_bytes()).with_context(name)?;
    for line in BufReader::new(stream).lines() {
        let frame: ReportFrame = serde_json::from_str(&line.with_context(name)?)?;
        if frame.reply_to == Some(REQUEST) {
            return Ok(frame.report);
        }
    }
    bail!(
        "{}: the forwarder hung up; is your user among its control.allow_uids?",
        name()
    )
}

impl From<NodePart> for Show {
    fn from(part: NodePart) -> Self {
        match part {
            NodePart::MapCache => Self::MapCache,
            NodePart::Registrations => Self::Registrations,
            NodePart::Database => Self::Database,
            NodePart::Requesters => Self::Requesters,
            NodePart::Probes => Self::Probes,
            NodePart::Counters => Self::Counters,
        }
    }
}

fn table(report: &NodeReport) -> String {
    match report {
        NodeReport::MapCache { rows } => lines(
            rows,
            "EID                 FORWARDING    EXPIRES     FROM",
            |row| {
                let head = format!(
                    "{:<19} {:<13} {:<11} {}",
                    row.eid.to_string(),
                    row.forwarding,
                    row.expires_in.to_string(),
                    row.origin
                );
                row.locators
                    .iter()
                    .fold(head, |text, locator| text + "\n" + &cached(locator))
            },
        ),
        NodeReport::Registrations { rows } => {
            lines(rows, "EID                 FROM             EXPIRES", |row| {
                let head = format!(
                    "{:<19} {:<16} {}",
                    row.eid.to_string(),
                    row.from.to_string(),
                    row.expires_in
                );
                with_locators(head, &row.locators)
            })
        }
        NodeReport::Database { rows } => lines(rows, "EID                 FOR", |row| {
            let audience = match row.audience {
                Audience::Everyone => "everyone".to_owned(),
                Audience::Client { rloc } => rloc.to_string(),
            };
            with_locators(format!("{:<19} {audience}", row.eid.to_string()), &row.locators)
        }),
        NodeReport::Requesters { rows } => lines(
            rows,
            "EID                 CLIENT           SOURCE EID       AGO",
            |row| {
                let source = row
                    .source_eid
                    .map_or_else(|| "-".to_owned(), |eid| eid.to_string());
                format!(
                    "{:<19} {:<16} {source:<16} {}",
                    row.eid.to_string(),
                    row.client.to_string(),
                    row.ago
                )
            },
        ),
        NodeReport::ProbeFigures { rows } => lines(
            rows,
            "  RLOC              MEAN ms    P95 ms    JIT ms   LOSS %   AVAIL %",
            |row| {
                let mark = if row.up { 'o' } else { 'x' };
                let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.2}"));
                let (mean, p95) = (row.rtt.map(|rtt| rtt.mean), row.rtt.map(|rtt| rtt.p95));
                format!(
                    "{mark} {:<16} {:>8}  {:>8}  {:>8} {:>8}  {:>8.2}",
                    row.rloc.to_string(),
                    figure(mean),
                    figure(p95),
                    figure(row.jitter_ms),
                    figure(row.loss_pct),
                    row.availability_pct
                )
            },
        ),
        NodeReport::Counters { rows } => {
            lines(rows, "COUNTER                                    VALUE", |row| {
                format!("{:<36} {:>11}", row.name, row.value)
            })
        }
        other => format!("{other:?}\n"),
    }
}

fn lines<T>(rows: &[T], head: &str, line: impl Fn(&T) -> String) -> String {
    if rows.is_empty() {
        return "nothing\n".to_owned();
    }
    rows.iter()
        .fold(format!("{head}\n"), |text, row| text + &line(row) + "\n")
}

fn cached(cached: &CacheLocator) -> String {
    let mark = if cached.up { 'o' } else { 'x' };
    let locator = &cached.locator;
    format!(
        "  {mark} {:<16} pri {:>3} wgt {:>3}  {} packets, {} bytes",
        locator.rloc.to_string(),
        locator.priority.0,
        locator.weight.0,
        cached.packets,
        cached.bytes
    )
}

fn with_locators(head: String, locators: &[Locator]) -> String {
    locators.iter().fold(head, |text, locator| {
        text + &format!(
            "\n    {:<16} pri {:>3} wgt {:>3}",
            locator.rloc.to_string(),
            locator.priority.0,
            locator.weight.0
        )
    })
}

//! What a forwarder is told to do.

use std::io::Write;

use anyhow::bail;
use lisp_wire::{Locator, Priority, Rloc, Weight};
use proto::{ChangeId, NodeCommand, NodeReport, Span};

use super::forwarder::{Answer, Forwarder};
use crate::cli::{ArrivedArgs, PinArgs, UnpinArgs};

/// Reads the configuration file anew.
pub(super) fn reload(forwarder: &mut Forwarder, json: bool, out: &mut impl Write) -> anyhow::Result<Answer> {
    order(forwarder, NodeCommand::Reload, json, out)
}

/// Algorithm 1 with H=1 (thesis section 4.3), by hand. How the peers took it is not waited for.
pub(super) fn arrived(
    forwarder: &mut Forwarder,
    args: ArrivedArgs,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Answer> {
    // A forwarder takes an order only once by its number. Those of an engine count up from one.
    let change = ChangeId(crate::traffic::now().micros());
    let command = NodeCommand::Arrived {
        change,
        eid: args.eid,
    };
    order(forwarder, command, json, out)
}

/// Priorities rise with the order given.
pub(super) fn pin(
    forwarder: &mut Forwarder,
    args: &PinArgs,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Answer> {
    let locator = |(address, priority)| Locator::unicast(Rloc(address), Priority(priority), Weight(100));
    let command = NodeCommand::SetCache {
        eid: args.eid,
        locators: args.rlocs.iter().copied().zip(1..=254).map(locator).collect(),
        ttl: args.ttl,
    };
    order(forwarder, command, json, out)
}

/// An empty list of locators is the removal.
pub(super) fn unpin(
    forwarder: &mut Forwarder,
    args: UnpinArgs,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Answer> {
    let command = NodeCommand::SetCache {
        eid: args.eid,
        locators: Vec::new(),
        ttl: Span::secs(1),
    };
    order(forwarder, command, json, out)
}

/// One order, and how it went: in words, or as the forwarder's answer.
pub(super) fn order(
    forwarder: &mut Forwarder,
    command: NodeCommand,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Answer> {
    let report = forwarder.ask(command)?;
    if json {
        // A refusal too: a program reads why without parsing words on standard error.
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    }
    match report {
        NodeReport::Refused { why } => return Ok(Answer::Refused { why }),
        NodeReport::Done if !json => writeln!(out, "o done")?,
        NodeReport::Reloaded { from_next_start } if !json => {
            writeln!(out, "o configuration read anew")?;
            if !from_next_start.is_empty() {
                writeln!(out, "  from the next start on: {}", from_next_start.join(", "))?;
            }
        }
        NodeReport::Done | NodeReport::Reloaded { .. } => {}
        other => bail!("told a forwarder to do something, got {other:?}"),
    }
    Ok(Answer::Given)
}

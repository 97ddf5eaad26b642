//! The move of an EID is prepared by hand.

use std::io::Write;

use anyhow::bail;
use lisp_wire::Rloc;
use proto::node::ChangeOutcome;
use proto::{ChangeId, NodeCommand, NodeReport};

use super::forwarder::{Answer, Forwarder};
use crate::cli::PrepareArgs;
use crate::traffic::now;

/// Has a move prepared, and waits until the destination has everything.
pub(super) fn prepare(
    forwarder: &mut Forwarder,
    args: PrepareArgs,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Answer> {
    // Unique enough for one connection, over which alone the outcome comes.
    let change = ChangeId(now().micros());
    let command = NodeCommand::Prepare {
        change,
        eid: args.eid,
        destination: Rloc(args.to),
        expires_in: args.life,
    };
    match forwarder.ask(command)? {
        NodeReport::Done => {}
        NodeReport::Refused { why } => {
            if json {
                let refused = NodeReport::Refused { why: why.clone() };
                writeln!(out, "{}", serde_json::to_string(&refused)?)?;
            }
            return Ok(Answer::Refused { why });
        }
        other => bail!("told the forwarder something, got {other:?}"),
    }
    let outcome = forwarder.outcome_of(change)?;
    if json {
        serde_json::to_writer(&mut *out, &outcome)?;
        writeln!(out)?;
    }
    match outcome {
        ChangeOutcome::Prepared {
            destination,
            clients,
            after,
        } => {
            if !json {
                writeln!(
                    out,
                    "{destination} has {clients} clients of {} after {after}",
                    args.eid
                )?;
            }
            Ok(Answer::Given)
        }
        ChangeOutcome::Unanswered { client, attempts } => Ok(Answer::Refused {
            why: format!(
                "{client} did not acknowledge in {attempts} attempts; a move now is one without preparation"
            ),
        }),
        other => bail!("a move was to be prepared, and the answer is {other:?}"),
    }
}

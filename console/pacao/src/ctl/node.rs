//! `pacao ctl node`: what a forwarder knows, and what it can be told, over its control socket.
//!
//! | module | what it shows |
//! |---|---|
//! | [`tables`] | tables, fetched page by page |
//! | [`log`] | the message log |
//! | [`capture`], [`pcapng`] | the same messages as packets of a capture |
//! | [`moves`] | the move of an EID is prepared |
//! | [`orders`] | what is to be done |
//! | [`forwarder`] | the connection |

mod capture;
mod forwarder;
mod log;
mod moves;
mod orders;
mod pcapng;
mod tables;

use std::io::Write;

use proto::NodeCommand;
use proto::node::Show;

use crate::cli::{NodeArgs, NodeAsk};
use forwarder::{Answer, Forwarder};

/// Asks and prints; `Ok(false)` if the forwarder refused.
pub(super) fn run(args: &NodeArgs, json: bool) -> anyhow::Result<bool> {
    let mut forwarder = Forwarder::find(&args.node)?;
    let mut out = std::io::stdout().lock();
    let done = ask(&mut forwarder, &args.ask, json, &mut out).and_then(|answer| {
        out.flush()?;
        Ok(answer)
    });
    match done {
        Ok(Answer::Given) => Ok(true),
        Ok(Answer::Refused { why }) => {
            eprintln!("pacao: the forwarder refused: {why}");
            Ok(false)
        }
        // Whoever reads has seen enough: `| head`.
        Err(error) if is_reader_gone(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

fn ask(forwarder: &mut Forwarder, ask: &NodeAsk, json: bool, out: &mut impl Write) -> anyhow::Result<Answer> {
    let (what, rows) = match ask {
        NodeAsk::Log(args) => return log::run(forwarder, args, json, out),
        NodeAsk::Capture(args) => return capture::run(forwarder, args, json, out),
        NodeAsk::Reload => return orders::reload(forwarder, json, out),
        NodeAsk::Arrived(args) => return orders::arrived(forwarder, *args, json, out),
        NodeAsk::Pin(args) => return orders::pin(forwarder, args, json, out),
        NodeAsk::Unpin(args) => return orders::unpin(forwarder, *args, json, out),
        NodeAsk::Counters(args) => return tables::counters(forwarder, *args, json, out),
        NodeAsk::Prepare(args) => return moves::prepare(forwarder, *args, json, out),
        NodeAsk::Stopped(args) => {
            return orders::order(forwarder, NodeCommand::Stopped { eid: args.eid }, json, out);
        }
        NodeAsk::Abandon(args) => {
            return orders::order(forwarder, NodeCommand::Abandon { eid: args.eid }, json, out);
        }
        NodeAsk::MapCache(rows) => (Show::MapCache, Some(*rows)),
        NodeAsk::Registrations(rows) => (Show::Registrations, Some(*rows)),
        NodeAsk::OwnRegistrations(rows) => (Show::OwnRegistrations, Some(*rows)),
        NodeAsk::Database(rows) => (Show::Database, Some(*rows)),
        NodeAsk::Requesters(rows) => (Show::Requesters, Some(*rows)),
        NodeAsk::Subscriptions(rows) => (Show::Subscriptions, Some(*rows)),
        NodeAsk::Subscribed(rows) => (Show::Subscribed, Some(*rows)),
        NodeAsk::Probes => (Show::Probes, None),
    };
    tables::run(forwarder, (what, rows), json, out)
}

/// Standard output is closed: the only pipe here that we write to and are not connected to by a socket.
fn is_reader_gone(error: &anyhow::Error) -> bool {
    let own = error.downcast_ref::<std::io::Error>();
    own.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests;

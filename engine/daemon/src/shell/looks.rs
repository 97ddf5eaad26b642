//! Looks into forwarders for people at consoles: passed on, answered, and nothing else. They change nothing, so they are
//! not recorded and the core never hears of them.

use std::collections::BTreeMap;

use proto::inspect::LogDetail;
use proto::{Command, Look, NodeCommand, NodeReport, Refusal, Reply, RequestId, SiteName};
use tokio::sync::mpsc;

use super::consoles::ConsoleId;
use crate::node_link::Order;

/// Looks that wait for their forwarders at most. One more is refused: whoever asks that often reads nothing.
const MOST: usize = 64;

/// Who waits for which answer.
#[derive(Debug, Default)]
pub(super) struct Looks {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    console: ConsoleId,
    request: RequestId,
    site: SiteName,
}

/// An answer, and whose it is.
pub(super) type Answer = (ConsoleId, RequestId, Reply);

impl Looks {
    /// Passes a look on; the answer comes later, or it is this refusal.
    pub(super) fn ask(
        &mut self,
        (console, request): (ConsoleId, RequestId),
        command: Command,
        nodes: &BTreeMap<SiteName, mpsc::Sender<Order>>,
    ) -> Option<Answer> {
        match self.pass_on((console, request.clone()), command, nodes) {
            Ok(()) => None,
            Err(why) => {
                let refusal = Refusal::NotSo { why };
                Some((console, request, Reply::Refused { refusal }))
            }
        }
    }

    fn pass_on(
        &mut self,
        (console, request): (ConsoleId, RequestId),
        command: Command,
        nodes: &BTreeMap<SiteName, mpsc::Sender<Order>>,
    ) -> Result<(), String> {
        let Command::Look { site, what } = command else {
            return Err("that is no look".to_owned());
        };
        let command = node_command(what)?;
        if self.waiting.len() >= MOST {
            return Err("too many people look into forwarders at once; wait for answers".to_owned());
        }
        let node = nodes.get(&site).ok_or_else(|| {
            let connected: Vec<&str> = nodes.keys().map(SiteName::as_str).collect();
            format!(
                "no forwarder of '{site}' is connected; connected: {}",
                connected.join(", ")
            )
        })?;
        // A forwarder that is behind with its commands is not asked for more; its connection is not dropped for that.
        node.try_send(Order::Look(self.next, command))
            .map_err(|_| format!("the forwarder of '{site}' is busy; ask again"))?;
        let waiting = Waiting {
            console,
            request,
            site,
        };
        self.waiting.insert(self.next, waiting);
        self.next += 1;
        Ok(())
    }

    /// A forwarder answered.
    pub(super) fn seen(&mut self, number: u64, report: NodeReport) -> Option<Answer> {
        let waiting = self.waiting.remove(&number)?;
        let reply = match report {
            NodeReport::Refused { why } => Reply::Refused {
                refusal: Refusal::NotSo { why },
            },
            report => Reply::Looked {
                report: Box::new(report),
            },
        };
        Some((waiting.console, waiting.request, reply))
    }

    /// A forwarder is gone, and its answers with it.
    pub(super) fn lost(&mut self, site: &SiteName) -> Vec<Answer> {
        let gone: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.site == *site)
            .map(|(number, _)| *number)
            .collect();
        let why = format!("the forwarder of '{site}' is gone");
        gone.into_iter()
            .filter_map(|number| self.seen(number, NodeReport::Refused { why: why.clone() }))
            .collect()
    }
}

/// Only what shows, and nothing of what authenticates.
fn node_command(what: Look) -> Result<NodeCommand, String> {
    match what {
        Look::Log { query } if query.detail == LogDetail::Bytes => Err(
            "bytes hold MACs and are not shown on consoles; `pacao ctl node SITE capture` writes them to a file of yours".to_owned(),
        ),
        Look::Log { query } => Ok(NodeCommand::Log { query }),
        Look::Table { table, after, most } => Ok(NodeCommand::Page {
            what: table,
            eid: None,
            after,
            most,
        }),
    }
}

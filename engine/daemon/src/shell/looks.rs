//! Looks into forwarders for people at consoles: passed on, answered, and nothing else. They change nothing, so they are
//! not recorded and the core never hears of them.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::inspect::LogDetail;
use proto::{Command, Look, NodeCommand, NodeReport, Refusal, Reply, RequestId, SiteName};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::consoles::ConsoleId;
use crate::node_link::Order;

/// Looks that wait for their forwarders at most. One more is refused: whoever asks that often reads nothing.
const MOST: usize = 64;
/// Of these, for one forwarder: one that says nothing keeps nobody from looking at others.
const MOST_OF_ONE: usize = 16;
/// A look is answered within this, or refused.
const PATIENCE: Duration = Duration::from_secs(10);

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
    until: Instant,
}

/// An answer, and whose it is.
pub(super) type Answer = (ConsoleId, RequestId, Reply);

impl Looks {
    /// Passes a look on; the answer comes later, or it is this refusal.
    pub(super) fn ask(
        &mut self,
        (console, request): (ConsoleId, RequestId),
        command: Command,
        (nodes, now): (&BTreeMap<SiteName, mpsc::Sender<Order>>, Instant),
    ) -> Option<Answer> {
        match self.pass_on((console, request.clone()), command, (nodes, now)) {
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
        (nodes, now): (&BTreeMap<SiteName, mpsc::Sender<Order>>, Instant),
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
        let of_one = self.waiting.values().filter(|waiting| waiting.site == site);
        if of_one.count() >= MOST_OF_ONE {
            return Err(format!(
                "the forwarder of '{site}' has not answered {MOST_OF_ONE} looks yet; wait for answers"
            ));
        }
        // A forwarder that is behind with its commands is not asked for more; its connection is not dropped for that.
        node.try_send(Order::Look(self.next, command))
            .map_err(|_| format!("the forwarder of '{site}' is busy; ask again"))?;
        let waiting = Waiting {
            console,
            request,
            site,
            until: now + PATIENCE,
        };
        self.waiting.insert(self.next, waiting);
        self.next += 1;
        Ok(())
    }

    /// A forwarder answered.
    pub(super) fn seen(&mut self, number: u64, report: NodeReport) -> Option<Answer> {
        let waiting = self.waiting.remove(&number)?;
        let reply = match report {
            // A console would not take it: pages are of tables.
            NodeReport::Page(page) if matches!(*page.page, NodeReport::Page(_)) => Reply::Refused {
                refusal: Refusal::NotSo {
                    why: format!(
                        "the forwarder of '{}' answered with a page of pages",
                        waiting.site
                    ),
                },
            },
            NodeReport::Refused { why } => Reply::Refused {
                refusal: Refusal::NotSo { why },
            },
            report => Reply::Looked {
                report: Box::new(report),
            },
        };
        Some((waiting.console, waiting.request, reply))
    }

    /// When the first of them has waited long enough.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        // Numbers are given in order, and all wait as long.
        self.waiting.values().next().map(|waiting| waiting.until)
    }

    /// Those that have waited long enough are refused; an answer that still comes is nobody's.
    pub(super) fn late(&mut self, now: Instant) -> Vec<Answer> {
        let mut late = Vec::new();
        while let Some(first) = self
            .waiting
            .first_entry()
            .filter(|first| first.get().until <= now)
        {
            let waiting = first.remove();
            let why = format!(
                "the forwarder of '{}' has not answered within {} s",
                waiting.site,
                PATIENCE.as_secs()
            );
            let refusal = Refusal::NotSo { why };
            late.push((waiting.console, waiting.request, Reply::Refused { refusal }));
        }
        late
    }

    /// A console is gone: nobody waits for what it asked.
    pub(super) fn left(&mut self, console: ConsoleId) {
        self.waiting.retain(|_, waiting| waiting.console != console);
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

#[cfg(test)]
mod tests {
    use proto::inspect::{Cursor, LogQuery, Page};

    use super::*;

    type Nodes = BTreeMap<SiteName, mpsc::Sender<Order>>;

    fn nodes() -> (Nodes, Vec<mpsc::Receiver<Order>>) {
        let mut kept = Vec::new();
        let nodes = ["mute", "north"].map(|site| {
            let (orders, end) = mpsc::channel(1000);
            kept.push(end);
            (SiteName::new(site).unwrap(), orders)
        });
        (nodes.into(), kept)
    }

    fn look(
        looks: &mut Looks,
        (console, site): (ConsoleId, &str),
        nodes: &Nodes,
        now: Instant,
    ) -> Option<String> {
        let command = Command::Look {
            site: SiteName::new(site).unwrap(),
            what: Look::Log {
                query: LogQuery::default(),
            },
        };
        let asker = (console, RequestId("1".to_owned()));
        looks
            .ask(asker, command, (nodes, now))
            .map(|(_, _, reply)| why(&reply))
    }

    fn why(reply: &Reply) -> String {
        match reply {
            Reply::Refused { refusal } => refusal.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_forwarder_that_says_nothing_keeps_nobody_from_looking_at_others() {
        let (nodes, _ends) = nodes();
        let (mut looks, begun) = (Looks::default(), Instant::now());
        for _ in 0..MOST_OF_ONE {
            assert_eq!(look(&mut looks, (ConsoleId::ANY, "mute"), &nodes, begun), None);
        }
        let refused = look(&mut looks, (ConsoleId::ANY, "mute"), &nodes, begun).unwrap();
        assert!(refused.contains("'mute'"), "{refused}");
        assert_eq!(look(&mut looks, (ConsoleId::ANY, "north"), &nodes, begun), None);

        assert_eq!(looks.wake_at(), Some(begun + PATIENCE));
        assert!(looks.late(begun + PATIENCE - Duration::from_millis(1)).is_empty());
        let late = looks.late(begun + PATIENCE);
        assert_eq!(late.len(), MOST_OF_ONE + 1);
        assert!(why(&late[0].2).contains("'mute' has not answered within 10 s"));
        assert!(looks.seen(0, NodeReport::Done).is_none(), "too late");
        assert_eq!(
            (
                look(&mut looks, (ConsoleId::ANY, "mute"), &nodes, begun),
                looks.waiting.len()
            ),
            (None, 1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_console_asked_goes_with_it() {
        let (nodes, _ends) = nodes();
        let (mut looks, now) = (Looks::default(), Instant::now());
        for console in [ConsoleId::ANY, ConsoleId::OTHER, ConsoleId::ANY] {
            assert_eq!(look(&mut looks, (console, "mute"), &nodes, now), None);
        }
        looks.left(ConsoleId::ANY);
        assert_eq!(looks.waiting.len(), 1);
        assert_eq!(looks.late(now + PATIENCE)[0].0, ConsoleId::OTHER);
    }

    /// Nested deep enough no console could read it.
    #[tokio::test(start_paused = true)]
    async fn a_page_of_pages_is_refused() {
        let (nodes, _ends) = nodes();
        let mut looks = Looks::default();
        look(&mut looks, (ConsoleId::ANY, "north"), &nodes, Instant::now());
        let page = |page| {
            NodeReport::Page(Page {
                page: Box::new(page),
                next: None::<Cursor>,
            })
        };
        let (_, _, reply) = looks.seen(0, page(page(NodeReport::Done))).unwrap();
        assert!(why(&reply).contains("page of pages"));
    }
}

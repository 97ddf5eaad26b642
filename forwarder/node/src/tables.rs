//! The node's tables as they are shown: a bounded number of rows at a time, so that nobody who looks keeps probes and
//! packets waiting, however long a table is.

use std::collections::BTreeMap;
use std::ops::Bound;

use lisp_wire::{EidPrefix, Rloc};
use proto::node::Show;
use proto::{Cursor, NodeReport, Page};

use crate::context::Context;
use crate::node::Machines;

/// Rows of a page, unless fewer are asked for.
const MOST_ROWS: usize = 256;
/// Rows of a table that is told whole; a longer one is to be asked for page by page.
const MOST_WHOLE: usize = 4096;

/// Which rows of a table are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Those about EIDs within this block, or about a block around it.
    block: Option<EidPrefix>,
    /// Those that follow this place.
    after: Option<Place>,
    /// At most so many.
    most: usize,
}

/// Where a row stands: by its EID prefix, and by what else tells the rows of that prefix apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    eid: Option<EidPrefix>,
    key: String,
}

/// Some rows, and where they go on.
#[derive(Debug)]
pub(crate) struct Rows<R> {
    pub(crate) rows: Vec<R>,
    next: Option<Place>,
}

/// Answers [`proto::NodeCommand::Show`].
pub(crate) fn show(what: Show, machines: &Machines, cx: &Context<'_>) -> NodeReport {
    let whole = Window {
        block: None,
        after: None,
        most: MOST_WHOLE,
    };
    let (report, next) = table(what, &whole, machines, cx);
    if next.is_some() {
        let why = format!("more than {MOST_WHOLE} rows: ask for them page by page (command page)");
        return NodeReport::Refused { why };
    }
    report
}

/// Answers [`proto::NodeCommand::Page`].
pub(crate) fn page(
    (what, eid, after, most): (Show, Option<EidPrefix>, Option<Cursor>, u32),
    machines: &Machines,
    cx: &Context<'_>,
) -> NodeReport {
    let place = match after.as_ref().map(Place::read) {
        None => None,
        Some(Some(place)) => Some(place),
        Some(None) => {
            let why = "not a cursor of this node: give back what a page named as next, or nothing".to_owned();
            return NodeReport::Refused { why };
        }
    };
    let most = match most as usize {
        0 => MOST_ROWS,
        most => most.min(MOST_ROWS),
    };
    let window = Window {
        block: eid,
        after: place,
        most,
    };
    let (report, next) = match what {
        Show::Counters => {
            let rows = cx.counters.explained();
            (NodeReport::Counters { rows }, None)
        }
        _ => table(what, &window, machines, cx),
    };
    NodeReport::Page(Page {
        page: Box::new(report),
        next: next.map(|place| place.written()),
    })
}

fn table(what: Show, window: &Window, machines: &Machines, cx: &Context<'_>) -> (NodeReport, Option<Place>) {
    let Machines {
        xtr,
        server,
        probing,
        mobility,
        ..
    } = machines;
    let now = cx.now;
    match what {
        Show::MapCache => {
            let Rows { rows, next } = xtr.cache.rows(window, now);
            (NodeReport::MapCache { rows }, next)
        }
        Show::Registrations => {
            let Rows { rows, next } = server.rows(window, now);
            (NodeReport::Registrations { rows }, next)
        }
        Show::Database => {
            let Rows { rows, next } = xtr.database.rows(window);
            (NodeReport::Database { rows }, next)
        }
        Show::Requesters => {
            let told_by = |eid: &_, client: &_| mobility.deliveries.manner_to((eid, client), cx);
            let Rows { rows, next } = xtr.database.requester_rows(window, now, told_by);
            (NodeReport::Requesters { rows }, next)
        }
        Show::Probes => {
            let Rows { rows, next } = probing.rows(window, &xtr.cache, cx);
            (NodeReport::ProbeFigures { rows }, next)
        }
        Show::Counters => {
            let rows = cx.counters.rows();
            (NodeReport::Counters { rows }, None)
        }
        Show::Subscriptions => {
            let Rows { rows, next } = server.subscription_rows(window, now);
            (NodeReport::Subscriptions { rows }, next)
        }
        Show::Subscribed => {
            let Rows { rows, next } = xtr.subscriber.rows(window, now);
            (NodeReport::Subscribed { rows }, next)
        }
        Show::OwnRegistrations => {
            let Rows { rows, next } = xtr.registrations.rows(window, &xtr.database, cx);
            (NodeReport::OwnRegistrations { rows }, next)
        }
    }
}

impl Window {
    /// The entries of a table that are wanted: blocks around the one asked for come first, as in the table's own order.
    /// It begins with the entry where the last page ended, some of whose rows may follow.
    pub(crate) fn of<'t, V>(
        &self,
        table: &'t BTreeMap<EidPrefix, V>,
    ) -> impl Iterator<Item = (EidPrefix, &'t V)> + use<'t, V> {
        let begin = self.after.as_ref().and_then(|place| place.eid);
        let block = self.block;
        let around = block
            .into_iter()
            .flat_map(|block| {
                (0..block.length())
                    .filter_map(move |length| EidPrefix::new(block.iid(), block.address(), length).ok())
            })
            .filter(move |eid| begin.is_none_or(|begin| *eid >= begin))
            .filter_map(|eid| table.get(&eid).map(|value| (eid, value)));
        let from = match (begin, block) {
            (Some(begin), Some(block)) => Bound::Included(begin.max(block)),
            (Some(one), None) | (None, Some(one)) => Bound::Included(one),
            (None, None) => Bound::Unbounded,
        };
        let within = table
            .range((from, Bound::Unbounded))
            .map(|(eid, value)| (*eid, value))
            .take_while(move |(eid, _)| block.is_none_or(|block| block.contains(&eid.first())))
            .filter(move |(eid, _)| block.is_none_or(|block| block.covers(eid)));
        around.chain(within)
    }

    /// Where the rows of this prefix go on; `None` if its last row has been told, or if all of them are still to come.
    pub(crate) fn key_after<K>(&self, eid: Option<EidPrefix>, read: impl Fn(&str) -> Option<K>) -> Option<K> {
        let place = self.after.as_ref()?;
        (place.eid == eid).then(|| read(&place.key)).flatten()
    }

    /// Whether this prefix is the one where the last page ended.
    pub(crate) fn told(&self, eid: &EidPrefix) -> bool {
        self.after.as_ref().is_some_and(|place| place.eid == Some(*eid))
    }

    /// As many rows as are wanted, each with its place.
    pub(crate) fn cut<K: ToString, R>(
        &self,
        rows: impl Iterator<Item = (Option<EidPrefix>, K, R)>,
    ) -> Rows<R> {
        let mut rows = rows.peekable();
        let (mut kept, mut next) = (Vec::new(), None);
        while let Some((eid, key, row)) = rows.next() {
            kept.push(row);
            if kept.len() == self.most && rows.peek().is_some() {
                let key = key.to_string();
                next = Some(Place { eid, key });
                break;
            }
        }
        Rows { rows: kept, next }
    }
}

impl Place {
    /// A prefix has no space in it; a key may be empty.
    fn written(&self) -> Cursor {
        let eid = self.eid.map(|eid| eid.to_string()).unwrap_or_default();
        Cursor(format!("{eid} {}", self.key))
    }

    fn read(cursor: &Cursor) -> Option<Self> {
        let (eid, key) = cursor.0.split_once(' ')?;
        let eid = match eid {
            "" => None,
            eid => Some(eid.parse().ok()?),
        };
        let key = key.to_owned();
        Some(Self { eid, key })
    }
}

/// What follows a key, or everything.
pub(crate) fn beyond<K>(key: Option<K>) -> (Bound<K>, Bound<K>) {
    (key.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

/// A locator as [`Window::cut`] wrote it.
pub(crate) fn read_rloc(text: &str) -> Option<Rloc> {
    text.parse().ok().map(Rloc)
}

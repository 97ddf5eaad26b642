//! What a forwarder shows: its decoded message log and its map cache, asked for through the engine while their panes are
//! on the screen, and no more often than a person can read.

use std::collections::VecDeque;

use proto::inspect::{LogFilter, LogPage, MessageKind};
use proto::node::{CacheRow, Show};
use proto::{
    Command, Direction, LogQuery, LoggedMessage, Look, NodeReport, Reply, RequestId, SiteName, Span,
    Timestamp,
};

use super::{App, Connection};
use crate::Effect;
use crate::layout::PaneKind;

/// Between two questions to the log, and to the map cache.
const LOG_EVERY: Span = Span::millis(500);
const CACHE_EVERY: Span = Span::secs(2);
/// A question without an answer is given up after this long.
const PATIENCE: Span = Span::secs(5);
/// Messages asked for at once, and kept.
const PAGE: u32 = 128;
const KEPT: usize = 2_000;
/// Mappings shown.
const MAPPINGS: u32 = 64;

/// What is known of the forwarder looked at.
#[derive(Clone, Debug)]
pub(crate) struct NodeLog {
    /// Chosen by the operator; else the first that is connected.
    chosen: Option<SiteName>,
    /// Whose messages these are.
    pub(crate) site: Option<SiteName>,
    pub(crate) filter: LogFilter,
    /// Oldest first.
    pub(crate) messages: VecDeque<LoggedMessage>,
    pub(crate) cache: Vec<CacheRow>,
    /// Whether the cache has more rows than were asked for.
    pub(crate) cache_goes_on: bool,
    /// Lines that the log is scrolled back by, from the newest.
    pub(crate) back: usize,
    /// Some were overwritten before they were asked for.
    pub(crate) gap: bool,
    pub(crate) trouble: Option<String>,
    after: u64,
    log: Question,
    table: Question,
}

/// One kind of question: never two at a time.
#[derive(Clone, Debug, Default)]
struct Question {
    asked: Option<RequestId>,
    at: Timestamp,
    answered: bool,
}

impl Question {
    fn is_due(&self, now: Timestamp, every: Span) -> bool {
        let wait = if self.asked.is_some() { PATIENCE } else { every };
        self.at == Timestamp::default() || now.since(self.at) >= wait
    }

    fn takes(&mut self, request: &RequestId) -> bool {
        let ours = self.asked.as_ref() == Some(request);
        if ours {
            self.asked = None;
            self.answered = true;
        }
        ours
    }
}

impl Default for NodeLog {
    fn default() -> Self {
        Self {
            chosen: None,
            site: None,
            filter: without_probes(),
            messages: VecDeque::new(),
            cache: Vec::new(),
            cache_goes_on: false,
            back: 0,
            gap: false,
            trouble: None,
            after: 0,
            log: Question::default(),
            table: Question::default(),
        }
    }
}

impl NodeLog {
    /// Whether anything was heard yet.
    pub(crate) fn is_heard(&self) -> bool {
        self.log.answered
    }

    /// From the beginning: another forwarder, or another filter.
    fn begin(&mut self, site: Option<SiteName>) {
        let filter = self.filter.clone();
        let chosen = self.chosen.take();
        *self = Self {
            chosen,
            site,
            filter,
            ..Self::default()
        };
    }

    fn take(&mut self, page: LogPage) {
        self.after = page.next;
        self.gap |= page.gap;
        // Whoever reads further back keeps what he reads where it is.
        if self.back > 0 {
            self.back += page.messages.len();
        }
        self.messages.extend(page.messages);
        while self.messages.len() > KEPT {
            self.messages.pop_front();
        }
        self.back = self.back.min(self.messages.len().saturating_sub(1));
        if page.more {
            // There is more already: ask on at the next tick.
            self.log.at = Timestamp::default();
        }
    }
}

impl App {
    /// Questions that are due, while somebody sees their answers.
    pub(super) fn look(&mut self) -> Vec<Effect> {
        let seen = |kind| self.layout().is_some() && self.has_pane(kind);
        let (log, table) = (seen(PaneKind::NodeLog), seen(PaneKind::NodeCache));
        if !(log || table) || self.connection != Connection::Up || self.frozen.is_some() {
            return Vec::new();
        }
        let site = self.looked_at();
        if self.looks.site != site {
            self.looks.begin(site.clone());
        }
        let Some(site) = site else { return Vec::new() };
        let mut effects = Vec::new();
        if log && self.looks.log.is_due(self.now, LOG_EVERY) {
            let query = LogQuery {
                after: self.looks.after,
                most: PAGE,
                filter: self.looks.filter.clone(),
                ..LogQuery::default()
            };
            let request = self.request();
            self.looks.log.asked = Some(request.clone());
            self.looks.log.at = self.now;
            let what = Look::Log { query };
            let site = site.clone();
            effects.push(Effect::Ask(request, Command::Look { site, what }));
        }
        if table && self.looks.table.is_due(self.now, CACHE_EVERY) {
            let request = self.request();
            self.looks.table.asked = Some(request.clone());
            self.looks.table.at = self.now;
            let what = Look::Table {
                table: Show::MapCache,
                after: None,
                most: MAPPINGS,
            };
            effects.push(Effect::Ask(request, Command::Look { site, what }));
        }
        effects
    }

    /// Takes an answer, if it is one to a look; gives it back otherwise.
    pub(super) fn seen(&mut self, request: &RequestId, reply: Reply) -> Result<Vec<Effect>, Reply> {
        let looks = &mut self.looks;
        let ours = looks.log.takes(request) || looks.table.takes(request);
        if !ours {
            return Err(reply);
        }
        match reply {
            Reply::Looked { report } => {
                looks.trouble = None;
                match *report {
                    NodeReport::Log(page) => looks.take(page),
                    NodeReport::Page(page) => {
                        if let NodeReport::MapCache { rows } = *page.page {
                            (looks.cache, looks.cache_goes_on) = (rows, page.next.is_some());
                        }
                    }
                    _ => {}
                }
            }
            Reply::Refused { refusal } => looks.trouble = Some(refusal.to_string()),
            Reply::Accepted { .. }
            | Reply::Explained { .. }
            | Reply::Accounted { .. }
            | Reply::Planned { .. } => {}
        }
        Ok(vec![Effect::Draw])
    }

    /// Answers of an engine that is gone do not come.
    pub(super) fn look_no_more(&mut self) {
        self.looks.log.asked = None;
        self.looks.table.asked = None;
    }

    /// The forwarder that is looked into.
    pub(crate) fn looked_at(&self) -> Option<SiteName> {
        let world = self.shown()?;
        let chosen = self.looks.chosen.as_ref();
        let chosen = chosen.filter(|site| world.nodes.iter().any(|node| node.site == **site));
        let first = || {
            world
                .nodes
                .iter()
                .find(|node| node.connected)
                .or(world.nodes.first())
        };
        chosen.cloned().or_else(|| first().map(|node| node.site.clone()))
    }

    /// Looks into another forwarder, so many further.
    pub(super) fn look_further(&mut self, by: isize) {
        let at = self.looked_at();
        let Some(world) = self.shown() else { return };
        let count = isize::try_from(world.nodes.len()).unwrap_or(0).max(1);
        let at = world
            .nodes
            .iter()
            .position(|node| Some(&node.site) == at.as_ref());
        let at = at.and_then(|at| isize::try_from(at).ok()).unwrap_or(0);
        let next = usize::try_from((at + by).rem_euclid(count)).unwrap_or(0);
        self.looks.chosen = world.nodes.get(next).map(|node| node.site.clone());
    }

    pub(super) fn look_into(&mut self, site: SiteName) {
        self.looks.chosen = Some(site);
    }

    /// Other messages are wanted: the log is read from its beginning.
    pub(super) fn filter_log(&mut self, filter: LogFilter) {
        let site = self.looks.site.clone();
        self.looks.filter = filter;
        self.looks.begin(site);
    }
}

/// Probes are many, and each alone is of little interest: they are shown when asked for.
fn without_probes() -> LogFilter {
    LogFilter {
        no_probes: true,
        ..LogFilter::default()
    }
}

/// Reads `peer ADDRESS eid PREFIX type KIND,KIND in|out refused probes`, in any order; `all` is no filter. Probes are
/// left out unless they are named.
pub(crate) fn log_filter(words: &[&str]) -> Result<LogFilter, String> {
    let mut filter = without_probes();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| format!("'{word}' of what? give a value after it"))
        };
        match *word {
            "all" => filter = LogFilter::default(),
            "in" => filter.direction = Some(Direction::In),
            "out" => filter.direction = Some(Direction::Out),
            "refused" => filter.refused = true,
            "probes" => filter.no_probes = false,
            "peer" => {
                let value = value()?;
                let address = value.parse().map_err(|_| format!("'{value}' is no address"))?;
                filter.peer = Some(address);
            }
            "eid" => {
                let value = value()?;
                let prefix = value.parse().map_err(|error| format!("'{value}': {error}"))?;
                filter.eid = Some(prefix);
            }
            "type" => {
                filter.no_probes = false;
                for name in value()?.split(',') {
                    let kind = MessageKind::ALL.into_iter().find(|kind| kind.name() == name);
                    filter.kinds.push(kind.ok_or_else(|| {
                        let names = MessageKind::ALL.map(MessageKind::name);
                        format!("no type '{name}'; known: {}", names.join(", "))
                    })?);
                }
            }
            _ => {
                return Err(format!(
                    "no '{word}': log [peer ADDRESS] [eid PREFIX] [type TYPE,TYPE] [in|out] [refused] [probes] [all]"
                ));
            }
        }
    }
    Ok(filter)
}

/// The filter as it would be typed.
pub(crate) fn filter_words(filter: &LogFilter) -> String {
    let mut words = Vec::new();
    words.extend(filter.peer.map(|peer| format!("peer {peer}")));
    words.extend(filter.eid.as_ref().map(|eid| format!("eid {eid}")));
    if !filter.kinds.is_empty() {
        let names: Vec<&str> = filter.kinds.iter().map(|kind| kind.name()).collect();
        words.push(format!("type {}", names.join(",")));
    }
    words.extend(filter.direction.map(|way| match way {
        Direction::In => "in".to_owned(),
        Direction::Out => "out".to_owned(),
    }));
    words.extend(filter.refused.then(|| "refused".to_owned()));
    let named = !filter.no_probes && filter.kinds.is_empty();
    words.extend(named.then(|| "probes".to_owned()));
    words.join(" ")
}

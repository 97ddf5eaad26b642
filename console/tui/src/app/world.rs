//! What the engine told: the last snapshot with all notices applied.

use std::collections::{BTreeMap, VecDeque};

use proto::snapshot::HistoryPoint;
use proto::{
    AvailabilityReport, LegRow, LinkId, LinkRow, LinkState, LogEntry, Mode, NodeRow, Notice, PolicyRow,
    Proposal, ProposalId, QoeReport, RlocRow, Scope, SiteName, Snapshot, Span, Timestamp, UserName, VmName,
};

use crate::charts::PAST;

/// Points kept of one link, at most: two minutes of ten probes a second.
const POINTS: usize = 1_200;
/// Lines of the log kept.
const LINES: usize = 1_000;
/// Proposals that are over and still kept.
const OVER: usize = 50;

/// All that is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct World {
    pub(crate) session: String,
    pub(crate) engine_since: Timestamp,
    pub(crate) mode: Mode,
    pub(crate) nodes: Vec<NodeRow>,
    pub(crate) legs: Vec<LegRow>,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) rlocs: BTreeMap<UserName, Vec<RlocRow>>,
    pub(crate) proposals: BTreeMap<ProposalId, Proposal>,
    /// Oldest first.
    pub(crate) log: VecDeque<LogEntry>,
    pub(crate) policy: PolicyRow,
    pub(crate) availability: AvailabilityReport,
    pub(crate) qoe: QoeReport,
    /// How far engine time is ahead of the clock of its system.
    pub(crate) clock_ahead: Span,
}

/// How far a link's figures can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figures {
    /// At most two probe intervals old, or a second.
    Fresh,
    /// Older, or given up as stale by the engine.
    Old(Span),
    /// There never were any.
    Never,
}

/// A link and its recent past.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    pub(crate) row: LinkRow,
    /// Oldest first.
    pub(crate) history: VecDeque<HistoryPoint>,
}

impl Link {
    fn new(row: LinkRow) -> Self {
        Self {
            row,
            history: VecDeque::new(),
        }
    }

    /// How far its figures can be trusted.
    pub(crate) fn figures(&self, now: Timestamp) -> Figures {
        let Some(heard) = self.row.heard_at else {
            return Figures::Never;
        };
        let age = now.since(heard);
        let fresh = Span((2 * self.interval().micros()).max(1_000_000));
        if self.row.state == LinkState::Stale || age > fresh {
            Figures::Old(age)
        } else {
            Figures::Fresh
        }
    }

    /// How it stands as far as that is known: what the engine took for fine is stale once its figures are.
    pub(crate) fn state(&self, now: Timestamp) -> LinkState {
        match self.row.state {
            LinkState::Ok | LinkState::Warn if self.figures(now) != Figures::Fresh => LinkState::Stale,
            state => state,
        }
    }

    /// Whether what was measured last tells how it is: of a link that is down, or that nobody reports on, it does not.
    pub(crate) fn tells(&self, now: Timestamp) -> bool {
        !matches!(self.state(now), LinkState::Down | LinkState::Stale)
    }

    /// How old its figures are, where that is worth a word.
    pub(crate) fn age(&self, now: Timestamp) -> Option<Span> {
        match self.figures(now) {
            Figures::Old(age) => Some(age),
            Figures::Fresh | Figures::Never => None,
        }
    }

    /// Time between probes, as the history shows it.
    fn interval(&self) -> Span {
        match (self.history.front(), self.history.back()) {
            (Some(first), Some(last)) if self.history.len() > 1 => {
                Span(last.at.since(first.at).micros() / (self.history.len() as u64 - 1))
            }
            _ => Span::secs(2),
        }
    }

    fn push(&mut self, point: HistoryPoint) {
        self.history.push_back(point);
        let oldest = point.at - PAST;
        while self.history.len() > POINTS || self.history.front().is_some_and(|first| first.at < oldest) {
            self.history.pop_front();
        }
    }
}

impl World {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        let links = snapshot
            .links
            .into_iter()
            .map(|row| (row.link.clone(), Link::new(row)));
        let mut world = Self {
            session: snapshot.session,
            engine_since: snapshot.engine_since,
            mode: snapshot.mode,
            nodes: snapshot.nodes,
            legs: snapshot.legs,
            links: links.collect(),
            rlocs: BTreeMap::new(),
            proposals: snapshot
                .proposals
                .into_iter()
                .map(|proposal| (proposal.id, proposal))
                .collect(),
            log: snapshot.log,
            policy: snapshot.policy,
            availability: snapshot.availability,
            qoe: snapshot.qoe,
            clock_ahead: snapshot.clock_ahead,
        };
        for row in snapshot.rlocs {
            world.rlocs.entry(row.user.clone()).or_default().push(row);
        }
        for history in snapshot.histories {
            if let Some(link) = world.links.get_mut(&history.link) {
                history.points.into_iter().for_each(|point| link.push(point));
            }
        }
        world
    }

    /// How many parts of the fabric and classes of actions are moved by the engine itself, though the mode says otherwise.
    pub(crate) fn autos(&self) -> usize {
        use proto::autonomy::Standing;
        if self.mode == Mode::Auto {
            return 0;
        }
        let parts = self
            .policy
            .modes
            .iter()
            .filter(|row| row.mode == Mode::Auto)
            .count();
        // What a class has earned counts where the mode of everything is `recommend`.
        let classes = self.policy.autonomy.iter().filter(|row| {
            self.mode == Mode::Recommend
                && matches!(
                    row.standing,
                    Standing::Risen { .. } | Standing::Pinned { mode: Mode::Auto, .. }
                )
        });
        parts + classes.count()
    }

    /// The mode that holds for a move, and whose it is: the most specific one, of two alike the more cautious. `None` where
    /// it may be that of a tenant: whose user and VM are is not told here.
    pub(crate) fn mode_of(&self, user: &UserName, vm: &VmName, to: &SiteName) -> Option<(Mode, Scope)> {
        let of = |meant: &dyn Fn(&Scope) -> bool| {
            let rows = self.policy.modes.iter().filter(|row| meant(&row.scope));
            rows.min_by_key(|row| row.mode)
                .map(|row| (row.mode, row.scope.clone()))
        };
        let enters = |dc: &SiteName| {
            let id = LinkId {
                user: user.clone(),
                dc: dc.clone(),
            };
            self.links
                .get(&id)
                .is_some_and(|link| link.row.carries.contains(vm))
        };
        let own = of(&|scope| matches!(scope, Scope::User { user: of } if of == user))
            .or_else(|| of(&|scope| matches!(scope, Scope::Vm { vm: of } if of == vm)));
        if own.is_none() && of(&|scope| matches!(scope, Scope::Tenant { .. })).is_some() {
            return None;
        }
        own.or_else(|| of(&|scope| matches!(scope, Scope::Dc { dc } if dc == to || enters(dc))))
            .or(Some((self.mode, Scope::All)))
    }

    pub(crate) fn apply(&mut self, notice: Notice) {
        match notice {
            Notice::Link { row } => match self.links.get_mut(&row.link) {
                Some(link) => link.row = row,
                None => {
                    self.links.insert(row.link.clone(), Link::new(row));
                }
            },
            Notice::Point { link, point } => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.push(point);
                }
            }
            Notice::Rlocs { rows } => self.replace_rlocs(rows),
            Notice::Proposal { proposal } => {
                self.proposals.insert(proposal.id, proposal);
                self.forget_old_proposals();
            }
            Notice::Mode { mode } => self.mode = mode,
            Notice::Policy { row } => self.policy = row,
            Notice::Availability { rows } => rows.into_iter().for_each(|row| self.availability.put(row)),
            Notice::Qoe { report } => self.qoe = report,
            Notice::Leg { row } => {
                let same = |leg: &&mut LegRow| (&leg.from, &leg.to) == (&row.from, &row.to);
                match self.legs.iter_mut().find(same) {
                    Some(leg) => *leg = row,
                    None => self.legs.push(row),
                }
            }
            Notice::Clock { ahead } => self.clock_ahead = ahead,
            Notice::Node { row } => match self.nodes.iter_mut().find(|node| node.site == row.site) {
                Some(node) => *node = row,
                None => self.nodes.push(row),
            },
            Notice::Log { entry } => {
                self.log.push_back(entry);
                while self.log.len() > LINES {
                    self.log.pop_front();
                }
            }
        }
    }

    fn replace_rlocs(&mut self, rows: Vec<RlocRow>) {
        for row in &rows {
            if let Some(kept) = self.rlocs.get_mut(&row.user) {
                kept.retain(|old| old.vm != row.vm);
            }
        }
        for row in rows {
            self.rlocs.entry(row.user.clone()).or_default().push(row);
        }
    }

    fn forget_old_proposals(&mut self) {
        let over = self
            .proposals
            .values()
            .filter(|proposal| proposal.state.is_over())
            .count();
        let oldest: Vec<ProposalId> = self
            .proposals
            .values()
            .filter(|proposal| proposal.state.is_over())
            .take(over.saturating_sub(OVER))
            .map(|proposal| proposal.id)
            .collect();
        for id in oldest {
            self.proposals.remove(&id);
        }
    }

    /// The name for people of a data centre.
    pub(crate) fn label<'a>(&'a self, site: &'a SiteName) -> &'a str {
        self.nodes
            .iter()
            .find(|node| node.site == *site)
            .map_or(site.as_str(), |node| node.label.as_str())
    }

    /// When the newest figure of any link came in.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.links.values().filter_map(|link| link.row.heard_at).max()
    }

    /// How many links stand how.
    pub(crate) fn tally(&self, now: Timestamp) -> Tally {
        let mut tally = Tally::default();
        for link in self.links.values() {
            tally.links += 1;
            match link.state(now) {
                LinkState::Ok => tally.fine += 1,
                LinkState::Warn => tally.warned += 1,
                LinkState::Broken | LinkState::Down => tally.broken += 1,
                LinkState::Stale => tally.stale += 1,
            }
        }
        tally
    }

    /// Proposals in the order of their urgency: open ones, the first to expire first; then what is under way; then what is
    /// over, newest first.
    pub(crate) fn proposals_by_urgency(&self) -> Vec<&Proposal> {
        let mut proposals: Vec<&Proposal> = self.proposals.values().collect();
        proposals.sort_by_key(|proposal| match proposal.state {
            proto::ProposalState::Open => (0, proposal.expires_at.micros(), proposal.id.0),
            proto::ProposalState::Executing { .. } => (1, proposal.id.0, 0),
            _ => (2, u64::MAX - proposal.id.0, 0),
        });
        proposals
    }
}

/// Locators in the order in which their user is to use them.
pub(crate) fn by_use(rows: &[RlocRow]) -> Vec<&RlocRow> {
    let mut rows: Vec<&RlocRow> = rows.iter().collect();
    rows.sort_by_key(|row| (&row.vm, row.priority.0, &row.dc));
    rows
}

/// Links by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) links: usize,
    pub(crate) fine: usize,
    pub(crate) warned: usize,
    /// Broken or down.
    pub(crate) broken: usize,
    pub(crate) stale: usize,
}

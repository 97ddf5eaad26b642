//! What consoles are shown: rows, points, and the lines of the log about links.

use std::collections::BTreeSet;

use proto::snapshot::{HistoryPoint, LinkHistory};
use proto::{LinkRow, LinkState, Notice, ProbeOutcome, Severity, Snapshot, Span, Timestamp};

use super::Engine;
use crate::Effect;
use crate::fabric::{Dc, LinkIx, PairIx};
use crate::monitor::{Turn, millis};
use crate::optimizer::criteria::LINK;
use crate::outbox::Outbox;
use crate::pair;

/// Rows are not told more often than this, however fast the probes.
const ROWS_AT_MOST_EVERY: Span = Span::millis(100);

impl Engine {
    /// All there is, for a console.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let now = now.max(self.clock);
        let links = || (0..self.fabric.links() as u32).map(LinkIx);
        Snapshot {
            at: now,
            session: self.fabric.config.session.clone(),
            engine_since: self.since,
            mode: self.mode,
            nodes: self.fabric.dcs().map(|dc| self.node_row(dc)).collect(),
            links: links().filter_map(|link| self.link_row(link, now)).collect(),
            legs: self.leg_rows(now),
            histories: links()
                .map(|link| LinkHistory {
                    link: self.fabric.link_id(link),
                    points: self.monitor.history(link, now),
                })
                .collect(),
            rlocs: (0..self.pairs.len() as u32)
                .flat_map(|at| {
                    let pair = &self.pairs[at as usize];
                    pair::rows(&self.fabric, PairIx(at), (&pair.order, &pair.closed))
                })
                .collect(),
            proposals: self.desk.all().to_vec(),
            log: self.journal.lines().clone(),
            policy: self.policy_row(now),
            availability: self.availability(),
            qoe: self.qoe(),
            clock_ahead: Span::ZERO,
        }
    }

    /// How often rows may be told.
    pub(super) fn rows_every(&self) -> Span {
        self.fabric.config.slots.probe.max(ROWS_AT_MOST_EVERY)
    }

    /// Tells the rows that changed since they were last told, if it is time.
    pub(super) fn tell_rows(&mut self, out: &mut Outbox) {
        let now = out.now;
        for link in self.monitor.rows_due(now, self.rows_every()) {
            if let Some(row) = self.link_row(link, now) {
                out.push(Effect::Notify {
                    notice: Notice::Link { row },
                });
            }
        }
    }

    pub(super) fn tell_point(&self, link: LinkIx, outcome: ProbeOutcome, out: &mut Outbox) {
        let now = out.now;
        let rtt_ms = match outcome {
            ProbeOutcome::Rtt(rtt) => Some(rtt.as_millis_f64()),
            ProbeOutcome::Lost => None,
            // Its point comes with its end.
            ProbeOutcome::Overdue(_) => return,
        };
        let notice = Notice::Point {
            link: self.fabric.link_id(link),
            point: HistoryPoint { at: now, rtt_ms },
        };
        out.push(Effect::Notify { notice });
    }

    pub(super) fn log_turn(&mut self, link: LinkIx, turn: Turn, out: &mut Outbox) {
        let now = out.now;
        if matches!(turn, Turn::Stale | Turn::Fresh) {
            return;
        }
        let name = self.link_name(link);
        let (severity, text) = match turn {
            Turn::Broken { .. } => (Severity::Warning, self.broken_text(link, &name, now)),
            Turn::Kept => (Severity::Info, format!("link {name} is within its bounds again")),
            Turn::Down { since } => {
                let for_s = now.since(since).as_secs_f64();
                let lost = self.fabric.class_of(self.fabric.user_of(link)).limits.down_after;
                (
                    Severity::Error,
                    format!("link {name} is down: {lost} probes lost in a row, {for_s:.1} s"),
                )
            }
            Turn::Up => (Severity::Info, format!("link {name} is up again")),
            Turn::Stale | Turn::Fresh => return,
        };
        self.log(severity, text, out);
    }

    /// One line a data centre for all its links that nobody reports on any more: those whose turn comes a moment later
    /// are in it already.
    pub(super) fn log_silence(&mut self, stale: &[LinkIx], out: &mut Outbox) {
        let untold = |&link: &LinkIx| {
            let told_at = self.nodes[self.fabric.dc_of(link).at()].silence_told_at();
            !self.is_silent(link, told_at)
        };
        let links = stale.iter().copied().filter(untold);
        let of: BTreeSet<Dc> = links.map(|link| self.fabric.dc_of(link)).collect();
        for dc in of {
            self.nodes[dc.at()].tell_silence(out.now);
            let users = self.fabric.users.len();
            let silent = |&user: &u32| self.is_silent(self.fabric.link(user, dc), out.now);
            let text = format!(
                "no word on {} of {users} links of {}, on the first for {}: nothing is decided on stale figures",
                (0..users as u32).filter(silent).count(),
                self.fabric.label(dc),
                self.policy().stale_after,
            );
            self.log(Severity::Warning, text, out);
        }
    }

    /// Whether a link had not been heard of for longer at `at` than it is between two probes.
    fn is_silent(&self, link: LinkIx, at: Timestamp) -> bool {
        let policy = self.policy();
        let between = self.fabric.class_of(self.fabric.user_of(link)).limits.probe.0 + policy.probe_timeout.0;
        let quiet = Span(between.max(policy.stale_after.0 / 2)).min(policy.stale_after);
        let heard_at = self.monitor.link(link).and_then(crate::monitor::Link::heard_at);
        heard_at.is_some_and(|heard_at| heard_at + quiet <= at)
    }

    fn broken_text(&self, link: LinkIx, name: &str, now: Timestamp) -> String {
        let class = self.fabric.class_of(self.fabric.user_of(link));
        let figures = self.monitor.figures(&self.fabric, link, now);
        let mut parts = Vec::new();
        if let Some(figures) = figures {
            let bound = |k: usize| class.class.bound(k);
            let counts = |k: usize| class.class.counts(k);
            if let Some(rtt) = figures.statistic.filter(|&rtt| counts(0) && rtt > bound(0)) {
                parts.push(format!(
                    "RTT {:.0} ms, bound {:.0}",
                    millis(rtt),
                    millis(bound(0))
                ));
            }
            if let Some(jitter) = figures
                .jitter_ms
                .filter(|&jitter| counts(1) && jitter > millis(bound(1)))
            {
                parts.push(format!("jitter {jitter:.0} ms, bound {:.0}", millis(bound(1))));
            }
            if let Some(loss) = figures
                .loss_pct
                .filter(|&loss| counts(2) && loss > f64::from(bound(2)) / 1e4)
            {
                parts.push(format!(
                    "loss {loss:.0} %, bound {:.0}",
                    f64::from(bound(2)) / 1e4
                ));
            }
        }
        format!("link {name} left SLA {} ({})", class.name, parts.join("; "))
    }

    fn link_row(&self, link: LinkIx, now: Timestamp) -> Option<LinkRow> {
        let user = self.fabric.user_of(link);
        let class = self.fabric.class_of(user);
        let figures = self.monitor.figures(&self.fabric, link, now)?;
        let carried = self.carried(link);
        let whole = self.worst_way(link, &carried, now);
        let bound = i64::from(class.class.bound(0));
        let rtt = whole.map(|way| way[0]).or(figures.statistic);
        let nearly = whole.is_some_and(|way| {
            way.iter()
                .zip(&class.limits.warn)
                .any(|(level, warn)| level > warn)
        });
        let dc = self.fabric.dc_of(link);
        let ways = carried.iter().map(|&pair| self.way_state(pair, dc));
        let state = match ways.fold(self.state(link), LinkState::max) {
            LinkState::Ok if nearly => LinkState::Warn,
            state => state,
        };
        Some(LinkRow {
            link: self.fabric.link_id(link),
            user_rloc: self.fabric.users[user as usize].rloc,
            sla: class.name.clone(),
            state,
            carries: carried
                .iter()
                .map(|&pair| self.fabric.vm_of(pair).name.clone())
                .collect(),
            rtt: figures.rtt,
            jitter_ms: figures.jitter_ms,
            loss_pct: figures.loss_pct,
            availability_pct: figures.availability_pct,
            margin_ms: rtt.map(|rtt| (bound - i64::from(rtt)) as f64 / 1e3),
            heard_at: self.monitor.link(link).and_then(crate::monitor::Link::heard_at),
        })
    }

    /// The levels of a link; of one that carries traffic, the worst of each of the whole ways by it.
    fn worst_way(&self, link: LinkIx, carried: &[PairIx], now: Timestamp) -> Option<[u32; LINK]> {
        let dc = self.fabric.dc_of(link);
        let ways = carried
            .iter()
            .filter_map(|&pair| self.way_measured(pair, dc, now));
        let worst = ways.reduce(|worst, way| std::array::from_fn(|k| worst[k].max(way[k])));
        worst.or_else(|| self.monitor.measured(&self.fabric, link, now))
    }

    fn link_name(&self, link: LinkIx) -> String {
        let user = &self.fabric.users[self.fabric.user_of(link) as usize].name;
        format!("{user}/{}", self.fabric.label(self.fabric.dc_of(link)))
    }
}

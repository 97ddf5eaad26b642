//! What consoles are shown of legs, and the lines of the log about them.

use proto::{LegRow, LinkState, Notice, Severity, Timestamp};

use super::Engine;
use crate::Effect;
use crate::fabric::{Dc, LegIx, PairIx};
use crate::legs::Standing;
use crate::monitor::{Turn, millis};
use crate::optimizer::criteria::{CRITERIA, LINK, shown};
use crate::outbox::Outbox;

impl Engine {
    /// All legs, by where they begin.
    pub(super) fn leg_rows(&self, now: Timestamp) -> Vec<LegRow> {
        let carried = self.ways_by_leg();
        let homes = self.fabric.homes_now();
        let legs = (0..self.fabric.legs() as u32).map(LegIx);
        let legs = legs.filter(|&leg| homes.contains(&self.fabric.ends_of(leg).1));
        legs.filter_map(|leg| self.leg_row(leg, &carried, now)).collect()
    }

    /// Tells the rows that changed since they were last told, if it is time.
    pub(super) fn tell_legs(&mut self, out: &mut Outbox) {
        let (now, every) = (out.now, self.legs_every());
        let due = self.legs.rows_due(now, every);
        if due.is_empty() {
            return;
        }
        let carried = self.ways_by_leg();
        for leg in due {
            if let Some(row) = self.leg_row(leg, &carried, now) {
                out.push(Effect::Notify {
                    notice: Notice::Leg { row },
                });
            }
        }
    }

    /// How many entries take each leg.
    fn ways_by_leg(&self) -> Vec<u32> {
        let mut carried = vec![0; self.fabric.legs()];
        for (ix, pair) in (0..).map(PairIx).zip(&self.pairs) {
            if let Some(count) = self
                .leg_ix(ix, pair.entry())
                .and_then(|leg| carried.get_mut(leg.at()))
            {
                *count += 1;
            }
        }
        carried
    }

    fn leg_row(&self, ix: LegIx, carried: &[u32], now: Timestamp) -> Option<LegRow> {
        let (from, to) = self.fabric.ends_of(ix);
        // The way from a data centre to itself is none.
        let leg = self.legs.get(self.fabric.leg(from, to)?)?;
        let link = leg.link();
        let figures = link.figures(now, &self.fabric.leg_limits);
        let state = match leg.standing(0) {
            Standing::Unmeasured | Standing::Unproven | Standing::Silent | Standing::Lapsed => {
                LinkState::Stale
            }
            Standing::Down => LinkState::Down,
            Standing::Few | Standing::Up(_) => link.state(),
        };
        let name = |dc: Dc| self.fabric.sites[dc.at()].name.clone();
        Some(LegRow {
            from: name(from),
            to: name(to),
            state,
            rtt: figures.rtt,
            jitter_ms: figures.jitter_ms,
            loss_pct: figures.loss_pct,
            heard_at: link.heard_at(),
            carries: carried.get(ix.at()).copied().unwrap_or(0),
        })
    }

    pub(super) fn log_leg(&mut self, ix: LegIx, turn: Turn, out: &mut Outbox) {
        let now = out.now;
        let name = self.leg_name(ix);
        let ways = self.ways_over(ix).len();
        let (severity, text) = match turn {
            Turn::Broken { .. } => (
                Severity::Warning,
                format!(
                    "leg {name} alone is out of the strictest bounds ({})",
                    self.leg_out(ix, now)
                ),
            ),
            Turn::Kept => (
                Severity::Info,
                format!("leg {name} is within the strictest bounds again"),
            ),
            Turn::Down { since } => (
                Severity::Error,
                format!(
                    "leg {name} is down: {} probes lost in a row, {:.1} s; {ways} entries go by it",
                    self.fabric.leg_limits.down_after,
                    now.since(since).as_secs_f64()
                ),
            ),
            Turn::Up => (Severity::Info, format!("leg {name} is up again")),
            // The last VM there has moved away: nobody is asked to probe it any more.
            Turn::Stale if !self.fabric.homes_now().contains(&self.fabric.ends_of(ix).1) => return,
            Turn::Stale => {
                let what = match self.legs.get(ix).map(|leg| leg.standing(0)) {
                    Some(Standing::Lapsed) => {
                        format!("leg {name} may be down or not: its other end answers nobody now")
                    }
                    _ => format!("nothing is heard of leg {name}"),
                };
                (Severity::Warning, format!("{what}; {ways} entries go by it"))
            }
            Turn::Fresh => return,
        };
        self.log(severity, text, out);
    }

    /// Which figures of a leg are out of bounds.
    fn leg_out(&self, ix: LegIx, now: Timestamp) -> String {
        let limits = &self.fabric.leg_limits;
        let Some(measured) = self.legs.get(ix).and_then(|leg| leg.link().measured(now, limits)) else {
            return "too few answers".to_owned();
        };
        let part = |k: usize| {
            let criterion = CRITERIA[k];
            let (word, unit) = (criterion.word(), criterion.unit());
            format!(
                "{word} {:.0} {unit}, bound {:.0}",
                shown(k, measured[k]),
                shown(k, limits.leave[k])
            )
        };
        let out: Vec<String> = (0..LINK)
            .filter(|&k| measured[k] > limits.leave[k])
            .map(part)
            .collect();
        out.join("; ")
    }

    /// `Marilyn -> TelcoCenter`.
    pub(crate) fn leg_name(&self, ix: LegIx) -> String {
        let (from, to) = self.fabric.ends_of(ix);
        format!("{} -> {}", self.fabric.label(from), self.fabric.label(to))
    }

    /// [`Self::way_words`] of a way whose second leg is measured.
    pub(crate) fn heard_way_words(&self, ix: PairIx, dc: Dc, now: Timestamp) -> Option<String> {
        let standing = self.leg_standing(ix, dc)?;
        let heard = matches!(standing, Standing::Up(_) | Standing::Down);
        self.way_words(ix, dc, now).filter(|_| heard)
    }

    /// Both legs of a way in words, where the VM lives elsewhere: what each takes, or why it is not known.
    pub(crate) fn way_words(&self, ix: PairIx, dc: Dc, now: Timestamp) -> Option<String> {
        let leg = self.leg_ix(ix, dc)?;
        let label = self.fabric.label(dc);
        let home = self.fabric.label(self.fabric.ends_of(leg).1);
        let first = self.link_measured(ix, dc, now).map_or_else(
            || "? ms".to_owned(),
            |measured| format!("{:.1} ms", millis(measured[0])),
        );
        let first = format!("{first} to {label}");
        Some(match self.leg_standing(ix, dc)? {
            Standing::Up(loads) => {
                let (rtt, loss) = (millis(loads.measured[0]), shown(2, loads.measured[2]));
                let loss = if loss > 0.0 {
                    format!(", {loss:.1} % lost")
                } else {
                    String::new()
                };
                format!("{first}, {rtt:.1} ms on to {home}{loss}")
            }
            Standing::Down => format!("{first}; on to {home} nothing comes through"),
            Standing::Silent => format!("{first}; nobody reports on the leg to {home} now"),
            Standing::Lapsed => {
                format!("{first}; the leg to {home} was down when {home}'s forwarder fell silent")
            }
            Standing::Few => format!("{first}; the leg to {home} has answered too few probes to be judged"),
            Standing::Unmeasured => {
                format!("{first}; the leg to {home} is not measured: levels go by the first leg alone")
            }
            Standing::Unproven => {
                format!("{first}; {home}'s forwarder answers nobody, so levels go by the first leg alone")
            }
        })
    }
}

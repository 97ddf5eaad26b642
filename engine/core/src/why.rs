//! "Why not?": every condition between an entry and its move, in the order in which the engine looks at them, with the
//! figure that would flip the first one that does not hold.

use proto::policy::Hold;
use proto::proposal::Criterion;
use proto::why::{Check, Margin, Outlook, Why};
use proto::{Actor, LinkState, Mode, Timestamp};

use crate::Engine;
use crate::course::Course;
use crate::fabric::{Dc, PairIx};
use crate::ladder;
use crate::optimizer::criteria::{CRITERIA, LINK, Measures, shown};
use crate::optimizer::margin::{Flip, flip};
use crate::optimizer::{choose, worth_leaving};
use crate::policy::admit::{Ask, Glass};
use crate::policy::{Need, Withheld};

impl Engine {
    /// Why an entry is not moved to `to`, or to the best other data centre.
    pub(crate) fn why(&self, ix: PairIx, to: Option<Dc>, now: Timestamp) -> Why {
        let entry = self.pairs[ix.at()].entry();
        let to = to.unwrap_or_else(|| self.alternative(ix, now));
        let mut checks = vec![
            self.elsewhere(ix, to),
            self.level(ix, now),
            self.usable(ix, to, now),
        ];
        checks.extend(self.ways(ix, to, now));
        checks.push(self.permitted(ix, to, now));
        checks.extend(self.better(ix, to, now));
        checks.extend(self.calm_enough(ix, to, now));
        let rungs = self.ladder(ix, to, now);
        let site = |dc: Dc| self.fabric.sites[dc.at()].name.clone();
        let outlook = self.outlook(ix, to, now);
        let leaves = self.need(ix) != Need::Soft || outlook != Outlook::Stays;
        Why {
            user: self.fabric.user_name(ix).clone(),
            vm: self.fabric.vm_of(ix).name.clone(),
            from: site(entry),
            to: site(to),
            at: now,
            outlook,
            checks,
            pick: ladder::pick(&rungs, leaves) as u32,
            rungs,
        }
    }

    /// What the engine would do at its next look, if that leads to `to`.
    fn outlook(&self, ix: PairIx, to: Dc, now: Timestamp) -> Outlook {
        let pair = &self.pairs[ix.at()];
        if pair.flight.is_some() {
            return Outlook::Stays;
        }
        let card = pair.proposal.and_then(|id| self.desk.get(id));
        match self.course(ix, now) {
            Course::Depart(plan, ..) if plan.to == to => Outlook::Moves,
            Course::Ask(plan) if plan.to == to => Outlook::Asks,
            Course::Held(plan, _) if plan.to == to && card.is_some() => Outlook::Asks,
            Course::Rest if card.is_some_and(|card| self.fabric.dc(&card.to) == Some(to)) => Outlook::Asks,
            _ => Outlook::Stays,
        }
    }

    /// The best other data centre, whether it is worth it or not.
    fn alternative(&self, ix: PairIx, now: Timestamp) -> Dc {
        let entry = self.pairs[ix.at()].entry();
        if let Ok(plan) = self.plan(ix, now) {
            return plan.to;
        }
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let measured = self.all_measured(ix, now);
        let mut others = self.allowed(ix, self.need(ix), &measured, now);
        others[entry.at()] = None;
        let best = choose(class, &others, None).map(|(at, _)| Dc(at as u32));
        let next = self.pairs[ix.at()].order.get(1).copied();
        best.or(next).unwrap_or(entry)
    }

    pub(crate) fn need(&self, ix: PairIx) -> Need {
        let entry = self.pairs[ix.at()].entry();
        match (self.way_state(ix, entry), self.must_leave(ix)) {
            (LinkState::Down, _) => Need::Hard,
            (_, Some(_)) => Need::Ordered,
            (_, None) => Need::Soft,
        }
    }

    fn elsewhere(&self, ix: PairIx, to: Dc) -> Check {
        let pair = &self.pairs[ix.at()];
        let label = self.fabric.label(to);
        match &pair.flight {
            Some(flight) => shut(
                "place",
                format!("switch #{} is under way", flight.proposal.0),
                None,
            ),
            None if pair.entry() == to => shut("place", format!("it enters by {label} already"), None),
            None => open(
                "place",
                format!("it enters by {}", self.fabric.label(pair.entry())),
            ),
        }
    }

    /// Nobody is moved who is well where he is.
    fn level(&self, ix: PairIx, now: Timestamp) -> Check {
        let entry = self.pairs[ix.at()].entry();
        let label = self.fabric.label(entry);
        if let Some(rule) = self.must_leave(ix) {
            return open("level", format!("{label} is to be left: {rule}"));
        }
        let link = self.link(ix, entry);
        let limits = self.limits(ix);
        let for_s = self
            .broken_since(ix)
            .map_or(0.0, |since| now.since(since).as_secs_f64());
        match self.way_state(ix, entry) {
            LinkState::Broken => open("level", format!("{label} is out of its bounds for {for_s:.1} s")),
            LinkState::Down if self.state(link) != LinkState::Down => {
                let text = format!("{}, for {for_s:.1} s", self.unusable(ix, entry));
                open("level", text)
            }
            LinkState::Down => open("level", format!("{label} is down for {for_s:.1} s")),
            LinkState::Stale => shut("level", format!("there are no fresh figures of {label}"), None),
            LinkState::Warn => {
                let end = self
                    .monitor
                    .link(link)
                    .and_then(|link| link.slot_end(limits.decide))
                    .or_else(|| self.way_due(ix, now));
                let text = format!("{label} left a bound {for_s:.1} s ago; S' is {}", limits.decide);
                shut("level", text, end.map(|at| until(at, now)))
            }
            LinkState::Ok => {
                let margin = self.measured(ix, entry, now).and_then(|measured| {
                    let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
                    let nearest = (0..LINK)
                        .filter(|&k| class.counts(k) && limits.leave[k] < u32::MAX)
                        .max_by_key(|&k| {
                            u64::from(measured[k]) * 1_000_000 / u64::from(limits.leave[k].max(1))
                        })?;
                    let found = Flip {
                        k: nearest,
                        now: measured[nearest],
                        at: limits.leave[nearest],
                    };
                    Some(self.figure(entry, found))
                });
                let text = match &margin {
                    Some(Margin::Figure {
                        criterion,
                        now,
                        flips_at,
                        ..
                    }) => {
                        let (word, unit) = (criterion.word(), criterion.unit());
                        format!(
                            "{label} keeps its levels: leaves at {word} > {flips_at} {unit} for S'; now {now}"
                        )
                    }
                    _ => format!("{label} keeps its levels"),
                };
                shut("level", text, margin)
            }
        }
    }

    fn usable(&self, ix: PairIx, to: Dc, now: Timestamp) -> Check {
        let label = self.fabric.label(to);
        if self.measured(ix, to, now).is_none() {
            return shut("usable", self.unusable(ix, to), None);
        }
        if self.is_doubtful(ix, to) {
            return shut("usable", format!("{label} loses probes right now"), None);
        }
        // Who is cut off goes to a suppressed or barred locator rather than nowhere.
        let measured = self.all_measured(ix, now);
        let is_candidate = self.allowed(ix, self.need(ix), &measured, now)[to.at()].is_some();
        match self.pairs[ix.at()].gates.barred_until(to, now) {
            Some(_) if is_candidate => {
                let text = format!("{label} was rejected or tried in vain, and nothing else is left");
                return open("usable", text);
            }
            Some(at) => {
                let text = format!("{label} was rejected or tried in vain; {} left", left(at, now));
                return shut("usable", text, Some(until(at, now)));
            }
            None => {}
        }
        match self.calm.flaps.locator_until(self.link(ix, to), now) {
            Some(_) if is_candidate => open(
                "usable",
                format!("{label} flaps, and nothing that does not is left"),
            ),
            Some(at) => shut(
                "usable",
                format!("{label} flaps; {} left", left(at, now)),
                Some(until(at, now)),
            ),
            None => open("usable", format!("{label} answers")),
        }
    }

    /// Both legs of the way now and of that by `to`, where the VM lives at neither or one of them.
    fn ways(&self, ix: PairIx, to: Dc, now: Timestamp) -> Option<Check> {
        let entry = self.pairs[ix.at()].entry();
        let both = std::iter::once(entry).chain(Some(to).filter(|&to| to != entry));
        let words: Vec<String> = both.filter_map(|dc| self.way_words(ix, dc, now)).collect();
        (!words.is_empty()).then(|| open("way", words.join(" | ")))
    }

    fn permitted(&self, ix: PairIx, to: Dc, now: Timestamp) -> Check {
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        if self.mode_of(ix, None).0 != Mode::Observe && self.is_only_observed(ix, to) {
            let text = format!("{} is only observed: mode observe", self.fabric.label(to));
            return shut("rules", text, None);
        }
        if let Err(hold) = self.may_enter(ix, to) {
            return shut("rules", hold.to_string(), None);
        }
        let Some(measured) = self
            .measured(ix, to, now)
            .filter(|measured| !class.allows(measured))
        else {
            return open("rules", format!("{} may be entered", self.fabric.label(to)));
        };
        let margin = flip(class, &measured, |changed| class.allows(changed));
        let text = margin.map_or_else(
            || "it exceeds more than one enforced bound".to_owned(),
            |found| self.sentence("an enforced bound", to, found),
        );
        shut("rules", text, margin.map(|found| self.figure(to, found)))
    }

    /// Whether (5.1)-(5.3) prefer it, and whether its class leaves for it.
    fn better(&self, ix: PairIx, to: Dc, now: Timestamp) -> Vec<Check> {
        let fabric_class = self.fabric.class_of(self.fabric.pairs[ix.at()].user);
        let class = &fabric_class.class;
        let entry = self.pairs[ix.at()].entry();
        let need = self.need(ix);
        let measured = self.all_measured(ix, now);
        let mut allowed = self.allowed(ix, need, &measured, now);
        let Some(own) = measured[to.at()] else {
            return Vec::new();
        };
        let present = measured[entry.at()].filter(|_| need == Need::Soft);
        let mut wins = |m: &Measures| {
            allowed[to.at()] = Some(*m);
            choose(class, &allowed, Some(entry.at())).map(|(best, _)| Dc(best as u32))
        };
        // A card that is open keeps its target while that is as good.
        let planned = self.plan(ix, now).ok().map(|plan| plan.to);
        let chosen = wins(&own);
        let winner = planned.or(chosen);
        let mut checks = Vec::new();
        if winner == Some(to) {
            let penalty = class.score(&own).penalty_f64();
            checks.push(open(
                "best",
                format!("{} is best: penalty {penalty:.2}", self.fabric.label(to)),
            ));
        } else if chosen == Some(to) {
            let shown = winner.map_or("another", |winner| self.fabric.label(winner));
            let text = format!("{shown} is as good, and the open proposal is for it");
            checks.push(shut("best", text, None));
        } else {
            let others = std::cell::RefCell::new(wins);
            // No link answers in no time: that would be no figure to wait for.
            let found = flip(class, &own, |m| (others.borrow_mut())(m) == Some(to))
                .filter(|found| found.at > 0 || CRITERIA[found.k] != Criterion::Rtt);
            let better = winner.map_or("nothing", |winner| self.fabric.label(winner));
            let lead = format!("{better} is better by (5.1)");
            let text = found.map_or_else(
                || format!("{lead}; no single figure would change that"),
                |found| self.sentence(&lead, to, found),
            );
            checks.push(shut("best", text, found.map(|found| self.figure(to, found))));
        }
        if let Some(present) = present {
            let leaves =
                |m: &Measures| worth_leaving(class, (&present, m), fabric_class.on_violation).is_ok();
            if leaves(&own) {
                checks.push(open("violation", "its class leaves for it".to_owned()));
            } else {
                let found = flip(class, &own, leaves);
                let lead = "its class does not leave for an entry like that";
                let text = found.map_or_else(|| lead.to_owned(), |found| self.sentence(lead, to, found));
                checks.push(shut("violation", text, found.map(|found| self.figure(to, found))));
            }
        }
        checks
    }

    /// What policy says, in the order of the executor.
    fn calm_enough(&self, ix: PairIx, to: Dc, now: Timestamp) -> Vec<Check> {
        let need = self.need(ix);
        let actor = self.actor_for(ix, to, now);
        let mut checks = Vec::new();
        checks.extend(self.gains_enough(ix, (to, need), now));
        checks.extend(self.held(ix, need, now));
        checks.extend(self.waits(ix, (need, actor.as_ref()), now));
        checks.extend(self.standing_of_move(ix, now).map(|text| open("autonomy", text)));
        checks.push(self.admitted(ix, (to, need), actor.as_ref(), now));
        if self.teller(to).is_none() {
            let text = "no forwarder is connected to tell the user".to_owned();
            // Staff are asked all the same: one may be back before they answer.
            checks.push(match actor {
                Some(_) => shut("forwarder", text, None),
                None => open("forwarder", text),
            });
        }
        checks
    }

    fn gains_enough(&self, ix: PairIx, (to, need): (Dc, Need), now: Timestamp) -> Option<Check> {
        let gain = self.gain_of(ix, (to, need), now).filter(|_| need == Need::Soft)?;
        let policy = self.policy();
        let (value, least) = (gain.value(), gain.least_shown(&policy));
        let criterion = CRITERIA[gain.k];
        let (word, unit) = (criterion.word(), criterion.unit());
        let text = format!("moves at a gain in {word} >= {least:.1} {unit}; now {value:.1}");
        Some(if gain.is_enough(&policy) {
            open("gain", text)
        } else {
            let margin = Margin::Gain {
                unit: unit.to_owned(),
                now: value,
                flips_at: least,
            };
            shut("gain", text, Some(margin))
        })
    }

    fn held(&self, ix: PairIx, need: Need, now: Timestamp) -> Option<Check> {
        let leaving = self.leaving(ix, now).filter(|_| need == Need::Soft)?;
        match leaving.held(now) {
            Err(Withheld::Brief) => {
                let ends = leaving.hold_ends()?;
                let text = format!("a level must be broken for the hold; {} left", left(ends, now));
                Some(shut("hold", text, Some(until(ends, now))))
            }
            Err(_) => {
                let label = self.fabric.label(self.pairs[ix.at()].entry());
                let text = format!("what was out of its bounds at {label} is over, its latest probes say");
                Some(shut("hold", text, None))
            }
            Ok(()) => None,
        }
    }

    /// What passes with time: what binds the engine and what binds its questions.
    fn waits(&self, ix: PairIx, (need, actor): (Need, Option<&Actor>), now: Timestamp) -> [Check; 2] {
        let gates = &self.pairs[ix.at()].gates;
        let wait = |name: &str, at: Option<Timestamp>, binds: bool, else_binds: &str| match at {
            Some(at) if binds => shut(name, format!("{} left", left(at, now)), Some(until(at, now))),
            Some(at) => open(name, format!("{} left, but {else_binds}", left(at, now))),
            None => open(name, "over".to_owned()),
        };
        [
            wait(
                "cool-down",
                gates.cools_until(need, now),
                actor == Some(&Actor::Engine),
                "it binds only the engine",
            ),
            wait(
                "quiet",
                gates.quiet_until(now),
                actor.is_none() && self.is_quiet(ix, now),
                "it binds only new proposals",
            ),
        ]
    }

    /// Whether the executor lets it go now, or would if staff said yes.
    fn admitted(&self, ix: PairIx, (to, need): (Dc, Need), actor: Option<&Actor>, now: Timestamp) -> Check {
        let (mode, scope) = self.mode_of(ix, None);
        if mode == Mode::Observe {
            return shut("policy", Hold::Mode { mode, scope }.to_string(), None);
        }
        if self.waits_for_a_window(ix, now) {
            let at = self.armed_at(ix);
            let hold = Hold::Warming { until: at };
            return shut("policy", hold.to_string(), Some(until(at, now)));
        }
        let staff = Actor::Operator { name: String::new() };
        let ask = Ask {
            ix,
            to,
            need,
            by: actor.unwrap_or(&staff),
            glass: Glass::Whole,
            proves: need != Need::Ordered,
        };
        let admitted = match actor {
            Some(_) => self.admit(&ask, now),
            None => self.admit_by_hand(&ask, now),
        };
        match (admitted, actor) {
            (Ok(_), _) => open("policy", "nothing holds it back".to_owned()),
            (Err(hold), Some(_)) => shut("policy", hold.to_string(), hold.until().map(|at| until(at, now))),
            (Err(hold), None) => open("policy", format!("an approval would be refused now: {hold}")),
        }
    }

    fn figure(&self, dc: Dc, found: Flip) -> Margin {
        Margin::Figure {
            dc: self.fabric.sites[dc.at()].name.clone(),
            criterion: CRITERIA[found.k],
            now: shown(found.k, found.now),
            flips_at: shown(found.k, found.at),
        }
    }

    fn sentence(&self, lead: &str, dc: Dc, found: Flip) -> String {
        let criterion = CRITERIA[found.k];
        let unit = criterion.unit();
        format!(
            "{lead}; moves at {} of {} <= {} {unit}; now {}",
            criterion.word(),
            self.fabric.label(dc),
            shown(found.k, found.at),
            shown(found.k, found.now)
        )
    }
}

fn open(name: &str, text: String) -> Check {
    Check {
        name: name.to_owned(),
        holds: true,
        text,
        margin: None,
    }
}

fn shut(name: &str, text: String, margin: Option<Margin>) -> Check {
    Check {
        name: name.to_owned(),
        holds: false,
        text,
        margin,
    }
}

fn until(at: Timestamp, now: Timestamp) -> Margin {
    Margin::Until {
        at,
        left: at.since(now),
    }
}

/// `4:10`.
fn left(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.since(now).micros().div_ceil(1_000_000);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

//! "Why not?": every condition between an entry and its move, in the order in which the engine looks at them, with the
//! figure that would flip the first one that does not hold.

use proto::proposal::Criterion;
use proto::why::{Check, Margin, Outlook, Why};
use proto::{Actor, LinkState, Timestamp};

use crate::Engine;
use crate::fabric::{Dc, PairIx};
use crate::ladder;
use crate::optimizer::criteria::{CRITERIA, LINK, Measures, shown};
use crate::optimizer::margin::{Flip, flip};
use crate::optimizer::{choose, worth_leaving};
use crate::policy::admit::{Ask, Glass};
use crate::policy::{Need, rounded};

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
        checks.push(self.permitted(ix, to, now));
        checks.extend(self.better(ix, to, now));
        checks.extend(self.calm_enough(ix, to, now));
        let open = checks.iter().all(|check| check.holds);
        let outlook = match (open, self.actor_for(ix, to, now)) {
            (false, _) => Outlook::Stays,
            (true, Some(_)) => Outlook::Moves,
            (true, None) => Outlook::Asks,
        };
        let rungs = self.ladder(ix, to, now);
        let site = |dc: Dc| self.fabric.sites[dc.at()].name.clone();
        Why {
            user: self.fabric.user_name(ix).clone(),
            vm: self.fabric.vm_of(ix).name.clone(),
            from: site(entry),
            to: site(to),
            at: now,
            outlook,
            checks,
            pick: ladder::pick(&rungs) as u32,
            rungs,
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

    fn need(&self, ix: PairIx) -> Need {
        let entry = self.pairs[ix.at()].entry();
        match (self.state(self.link(ix, entry)), self.must_leave(ix)) {
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
        match self.state(link) {
            LinkState::Broken
                if self.need(ix) == Need::Soft && self.monitor.is_recovering(&self.fabric, link, now) =>
            {
                let text = format!("{label} was out of its bounds; its latest samples are within them again");
                shut("level", text, None)
            }
            LinkState::Broken => open("level", format!("{label} is out of its bounds for {for_s:.1} s")),
            LinkState::Down => open("level", format!("{label} is down for {for_s:.1} s")),
            LinkState::Stale => shut("level", format!("there are no fresh figures of {label}"), None),
            LinkState::Warn => {
                let end = self
                    .monitor
                    .link(link)
                    .and_then(|link| link.slot_end(limits.decide));
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
        if self.monitor.is_doubtful(&self.fabric, self.link(ix, to)) {
            return shut("usable", format!("{label} loses probes right now"), None);
        }
        if let Some(at) = self.pairs[ix.at()].gates.barred_until(to, now) {
            let text = format!("{label} was rejected or tried in vain; {} left", left(at, now));
            return shut("usable", text, Some(until(at, now)));
        }
        match self.calm.flaps.locator_until(self.link(ix, to), now) {
            Some(at) => shut(
                "usable",
                format!("{label} flaps; {} left", left(at, now)),
                Some(until(at, now)),
            ),
            None => open("usable", format!("{label} answers")),
        }
    }

    fn permitted(&self, ix: PairIx, to: Dc, now: Timestamp) -> Check {
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
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
        let winner = wins(&own);
        let mut checks = Vec::new();
        if winner == Some(to) {
            let penalty = class.score(&own).penalty_f64();
            checks.push(open(
                "best",
                format!("{} is best: penalty {penalty:.2}", self.fabric.label(to)),
            ));
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
        let gates = &self.pairs[ix.at()].gates;
        let mut checks = Vec::new();
        let gain = self.gain_of(ix, (to, need), now);
        if let Some((gain, unit)) = gain.filter(|_| need == Need::Soft) {
            let policy = self.policy();
            let least = rounded(gain.least(&policy));
            let value = gain.value();
            let text = format!("moves at gain >= {least:.1} {unit}; now {value:.1}");
            checks.push(if gain.is_enough(&policy) {
                open("gain", text)
            } else {
                let margin = Margin::Gain {
                    unit: unit.to_owned(),
                    now: value,
                    flips_at: least,
                };
                shut("gain", text, Some(margin))
            });
        }
        if let Some(at) = self.hold_ends(ix, need).filter(|&at| at > now) {
            let text = format!("a level must be broken for the hold; {} left", left(at, now));
            checks.push(shut("hold", text, Some(until(at, now))));
        }
        let waits = [
            ("cool-down", gates.cools_until(need, now)),
            ("quiet", gates.quiet_until(now)),
        ];
        for (name, at) in waits {
            checks.push(match at {
                Some(at) => shut(name, format!("{} left", left(at, now)), Some(until(at, now))),
                None => open(name, "over".to_owned()),
            });
        }
        let actor = self.actor_for(ix, to, now);
        let by = actor.clone().unwrap_or(Actor::Operator { name: String::new() });
        let ask = Ask {
            ix,
            to,
            need,
            by: &by,
            glass: Glass::Whole,
        };
        checks.extend(self.standing_of_move(ix, now).map(|text| open("autonomy", text)));
        let admitted = match actor {
            Some(_) => self.admit(&ask, now),
            None => self.admit_by_hand(&ask, now),
        };
        checks.push(match admitted {
            Ok(_) => open("policy", "nothing holds it back".to_owned()),
            Err(hold) => shut("policy", hold.to_string(), hold.until().map(|at| until(at, now))),
        });
        if self.teller(to).is_none() {
            checks.push(shut(
                "forwarder",
                "no forwarder is connected to tell the user".to_owned(),
                None,
            ));
        }
        checks
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

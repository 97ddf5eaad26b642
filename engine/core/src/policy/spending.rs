//! What of the budgets is used: moves under way, and those of the last hour. The blast radius of a move is the
//! number of users moved times the seconds for which nobody knows yet whether it worked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proto::policy::{Gauge, Limit};
use proto::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Budget;
use crate::fabric::{Dc, PairIx};
use crate::places::Places;

/// Budgets count over this long.
pub(crate) const HOUR: Span = Span::secs(3600);
const SECOND: u64 = 1_000_000;

/// A move under way. Its whole time until `until` counts against the budgets from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flying {
    pub(crate) from: Dc,
    pub(crate) to: Dc,
    pub(crate) users: u32,
    pub(crate) at: Timestamp,
    pub(crate) until: Timestamp,
    /// It has to prove itself: until it has, room for a way back is kept.
    #[serde(default)]
    pub(crate) proves: bool,
}

impl Flying {
    /// User-microseconds, until its end or, if that is past, until now.
    fn exposure(&self, now: Timestamp) -> u64 {
        let time = self.until.max(now).since(self.at);
        u64::from(self.users).saturating_mul(time.micros())
    }
}

/// Used in the last hour, for one budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    moves: u64,
    users: u64,
    /// User-microseconds of moves that ended.
    exposure: u64,
}

/// One past event that still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Past {
    at: Timestamp,
    pair: PairIx,
    /// Users of a beginning, user-microseconds of an end.
    amount: u64,
}

/// All that counts against budgets. Budgets are named by number; 0 is the one of everybody.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spending {
    flying: BTreeMap<PairIx, Flying>,
    begun: VecDeque<Past>,
    ended: VecDeque<Past>,
    used: BTreeMap<u16, Used>,
    /// Moves that may be taken back, and the people that would move again: room for that is kept in the hour.
    #[serde(default)]
    owed: BTreeMap<PairIx, u32>,
}

/// Which limit has no room, by the number of its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) budget: u16,
    pub(crate) limit: Limit,
    pub(crate) gauge: Gauge,
    /// When there is room, as far as time alone makes it and nothing else moves meanwhile.
    pub(crate) until: Option<Timestamp>,
}

/// The budgets that count a pair: numbers and limits.
pub(crate) trait Budgets {
    /// Numbers of the budgets that count this pair, 0 among them.
    fn of(&self, pair: PairIx) -> impl Iterator<Item = u16>;
    /// The limits of one.
    fn limits(&self, budget: u16) -> Budget;
    /// The failure domain of a data centre.
    fn domain(&self, dc: Dc) -> u32;
}

impl Spending {
    /// Whether a move fits into every budget that counts it.
    pub(crate) fn room(&self, budgets: &impl Budgets, pair: PairIx, ask: &Flying) -> Result<(), Full> {
        for budget in budgets.of(pair) {
            self.fits(budgets, budget, (pair, ask))?;
        }
        Ok(())
    }

    fn fits(&self, budgets: &impl Budgets, budget: u16, (pair, ask): (PairIx, &Flying)) -> Result<(), Full> {
        let now = ask.at;
        let limits = budgets.limits(budget);
        let used = self.used(budget);
        let flying: Vec<&Flying> = self.flying_of(budgets, budget).collect();
        let full = |limit, used, most, until| {
            Err(Full {
                budget,
                limit,
                gauge: Gauge { used, limit: most },
                until,
            })
        };
        let count = flying.len() as u64;
        if count + 1 > u64::from(limits.concurrent) {
            return full(Limit::Concurrent, count, limits.concurrent.into(), None);
        }
        let out_of = flying.iter().filter(|other| other.from == ask.from).count() as u64;
        if out_of + 1 > u64::from(limits.per_dc) {
            return full(Limit::PerDc, out_of, limits.per_dc.into(), None);
        }
        let mut domains: BTreeSet<u32> = flying.iter().map(|other| budgets.domain(other.to)).collect();
        let into = domains.len() as u64;
        domains.insert(budgets.domain(ask.to));
        if domains.len() as u64 > u64::from(limits.domains) {
            return full(Limit::Domains, into, limits.domains.into(), None);
        }
        // When so much of what is past is an hour old that the rest makes room.
        let freed = |past: &VecDeque<Past>, over: u64, of: fn(&Past) -> u64| {
            let mut left = over;
            let counted = |past: &&Past| budgets.of(past.pair).any(|of| of == budget);
            let mut counting = past.iter().filter(counted);
            let last = counting.find(|past| {
                left = left.saturating_sub(of(past));
                left == 0
            });
            last.map(|past| past.at + HOUR)
        };
        let over = |used: u64, more: u64, limit: u64| {
            used.saturating_add(more)
                .checked_sub(limit)
                .filter(|&over| over > 0)
        };
        // A way back is kept for each move that may need one, where the budget has room for two at all.
        let (back, back_users) = self.owed(budgets, budget, pair);
        let own = |limit: u64, one: u64| if ask.proves && limit >= 2 * one { one } else { 0 };
        let (hour, people) = (u64::from(limits.per_hour), u64::from(ask.users));
        // With what is kept, the gauge is full. When it empties is known only if no proof may free some of it before.
        let kept = back + own(hour, 1);
        if let Some(over) = over(used.moves + kept, 1, hour) {
            let until = freed(&self.begun, over, |_| 1).filter(|_| kept == 0);
            return full(Limit::PerHour, (used.moves + kept).min(hour), hour, until);
        }
        let most = limits.users_per_hour;
        let kept = back_users + own(most, people);
        if let Some(over) = over(used.users + kept, people, most) {
            let until = freed(&self.begun, over, |past| past.amount).filter(|_| kept == 0);
            return full(Limit::UsersPerHour, (used.users + kept).min(most), most, until);
        }
        let exposed = self.exposed(budgets, budget, now);
        let most = limits.users_seconds.saturating_mul(SECOND);
        if let Some(over) = over(exposed, ask.exposure(now), most) {
            let until = freed(&self.ended, over, |past| past.amount);
            return full(
                Limit::UsersSeconds,
                exposed.div_ceil(SECOND),
                limits.users_seconds,
                until,
            );
        }
        Ok(())
    }

    /// A move begins.
    pub(crate) fn begin(&mut self, budgets: &impl Budgets, pair: PairIx, flying: Flying) {
        self.flying.insert(pair, flying);
        self.owed.remove(&pair);
        if flying.proves {
            self.owed.insert(pair, flying.users);
        }
        let users = u64::from(flying.users);
        self.begun.push_back(Past {
            at: flying.at,
            pair,
            amount: users,
        });
        for budget in budgets.of(pair) {
            let used = self.used.entry(budget).or_default();
            used.moves += 1;
            used.users = used.users.saturating_add(users);
        }
    }

    /// Of a session before: room is kept for a way back.
    pub(crate) fn owe(&mut self, pair: PairIx, users: u32) {
        self.owed.insert(pair, users);
    }

    /// A move has proved itself, or will not be taken back any more.
    pub(crate) fn release(&mut self, pair: PairIx) -> bool {
        self.owed.remove(&pair).is_some()
    }

    /// Moves and people that may have to go back, but for one pair.
    fn owed(&self, budgets: &impl Budgets, budget: u16, without: PairIx) -> (u64, u64) {
        let counted =
            |&(&pair, _): &(&PairIx, &u32)| pair != without && budgets.of(pair).any(|of| of == budget);
        let others = self.owed.iter().filter(counted);
        others.fold((0, 0), |(moves, users), (_, &more)| {
            (moves + 1, users + u64::from(more))
        })
    }

    /// A move under way needs longer. What is granted fits the budgets, and may be less than what is asked.
    pub(crate) fn extend(
        &mut self,
        budgets: &impl Budgets,
        pair: PairIx,
        (until, now): (Timestamp, Timestamp),
    ) -> Timestamp {
        let Some(&flying) = self.flying.get(&pair) else {
            return until;
        };
        let mut granted = until;
        for budget in budgets.of(pair) {
            let limit = budgets.limits(budget).users_seconds.saturating_mul(SECOND);
            let others = self
                .exposed(budgets, budget, now)
                .saturating_sub(flying.exposure(now));
            let left = Span(limit.saturating_sub(others) / u64::from(flying.users).max(1));
            granted = granted.min(flying.at + left);
        }
        let granted = granted.max(flying.until);
        self.flying.insert(
            pair,
            Flying {
                until: granted,
                ..flying
            },
        );
        granted
    }

    /// Until when a move under way may take.
    pub(crate) fn until(&self, pair: PairIx) -> Option<Timestamp> {
        self.flying.get(&pair).map(|flying| flying.until)
    }

    /// A move ended, well or not.
    pub(crate) fn end(&mut self, budgets: &impl Budgets, pair: PairIx, now: Timestamp) -> bool {
        let Some(flying) = self.flying.remove(&pair) else {
            return false;
        };
        let amount = u64::from(flying.users).saturating_mul(now.since(flying.at).micros());
        self.ended.push_back(Past {
            at: now,
            pair,
            amount,
        });
        for budget in budgets.of(pair) {
            let used = self.used.entry(budget).or_default();
            used.exposure = used.exposure.saturating_add(amount);
        }
        true
    }

    /// Forgets what is an hour old. Whether anything was.
    pub(crate) fn settle(&mut self, budgets: &impl Budgets, now: Timestamp) -> bool {
        let mut any = false;
        while let Some(past) = expired(&mut self.begun, now) {
            any = true;
            for budget in budgets.of(past.pair) {
                let used = self.used.entry(budget).or_default();
                used.moves = used.moves.saturating_sub(1);
                used.users = used.users.saturating_sub(past.amount);
            }
        }
        while let Some(past) = expired(&mut self.ended, now) {
            any = true;
            for budget in budgets.of(past.pair) {
                let used = self.used.entry(budget).or_default();
                used.exposure = used.exposure.saturating_sub(past.amount);
            }
        }
        any
    }

    /// What the last hour used of the budgets of an edited session. What was under way ends at `now`.
    pub(crate) fn carried(&self, budgets: &impl Budgets, places: &Places, now: Timestamp) -> Self {
        let of = |past: &Past| {
            let pair = places.pair(past.pair)?;
            Some(Past { pair, ..*past })
        };
        let under_way = self.flying.iter().map(|(&pair, flying)| Past {
            at: now,
            pair,
            amount: flying.exposure(now),
        });
        let mut next = Self {
            begun: self.begun.iter().filter_map(of).collect(),
            ended: self
                .ended
                .iter()
                .copied()
                .chain(under_way)
                .filter_map(|past| of(&past))
                .collect(),
            ..Self::default()
        };
        for past in &next.begun {
            for budget in budgets.of(past.pair) {
                let used = next.used.entry(budget).or_default();
                used.moves += 1;
                used.users = used.users.saturating_add(past.amount);
            }
        }
        for past in &next.ended {
            for budget in budgets.of(past.pair) {
                let used = next.used.entry(budget).or_default();
                used.exposure = used.exposure.saturating_add(past.amount);
            }
        }
        next
    }

    /// Gauges of one budget: moves under way, moves and users of the last hour, users times seconds.
    pub(crate) fn gauges(&self, budgets: &impl Budgets, budget: u16, now: Timestamp) -> [Gauge; 4] {
        let limits = budgets.limits(budget);
        let used = self.used(budget);
        let gauge = |used: u64, limit: u64| Gauge { used, limit };
        [
            gauge(
                self.flying_of(budgets, budget).count() as u64,
                limits.concurrent.into(),
            ),
            gauge(used.moves, limits.per_hour.into()),
            gauge(used.users, limits.users_per_hour),
            gauge(
                self.exposed(budgets, budget, now).div_ceil(SECOND),
                limits.users_seconds,
            ),
        ]
    }

    /// Moves under way.
    pub(crate) fn flying(&self) -> impl Iterator<Item = (PairIx, &Flying)> {
        self.flying.iter().map(|(&pair, flying)| (pair, flying))
    }

    /// Pairs that are spoken of.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = PairIx> + '_ {
        let past = self.begun.iter().chain(&self.ended).map(|past| past.pair);
        self.flying.keys().chain(self.owed.keys()).copied().chain(past)
    }

    fn used(&self, budget: u16) -> Used {
        self.used.get(&budget).copied().unwrap_or_default()
    }

    fn flying_of<'a>(&'a self, budgets: &'a impl Budgets, budget: u16) -> impl Iterator<Item = &'a Flying> {
        self.flying
            .iter()
            .filter(move |(pair, _)| budgets.of(**pair).any(|of| of == budget))
            .map(|(_, flying)| flying)
    }

    /// User-microseconds of the last hour; what is under way in full.
    fn exposed(&self, budgets: &impl Budgets, budget: u16, now: Timestamp) -> u64 {
        let flying = self.flying_of(budgets, budget).map(|flying| flying.exposure(now));
        flying.fold(self.used(budget).exposure, u64::saturating_add)
    }
}

fn expired(past: &mut VecDeque<Past>, now: Timestamp) -> Option<Past> {
    past.front().filter(|first| first.at + HOUR <= now)?;
    past.pop_front()
}

#[cfg(test)]
mod tests;

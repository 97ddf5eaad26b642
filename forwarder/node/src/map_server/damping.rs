//! How often a mapping is published: some changes at once, what comes faster is told together.

use std::collections::BTreeMap;

use lisp_wire::EidPrefix;
use proto::{Span, Timestamp};

use crate::timers::Timers;

/// Once a mapping has used up its [`BURST`], it is published once in this time.
const EVERY: Span = Span::secs(1);
/// So many changes of a mapping are published as they come: an EID that moves is withdrawn and registered several times.
const BURST: u64 = 8;
/// Mappings whose pace is known, at most. Of any more changes are published as they come.
const MOST: usize = 262_144;

/// The pace of mappings that have changed lately.
#[derive(Debug, Default)]
pub(super) struct Damping {
    lately: BTreeMap<EidPrefix, Pace>,
    /// When what was put off is due, or a pace of no interest any more.
    timers: Timers<EidPrefix>,
}

#[derive(Clone, Copy, Debug)]
struct Pace {
    /// When all that was published would have been at one in [`EVERY`].
    paid: Timestamp,
    last: Last,
}

/// What became of the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Published,
    PutOff,
}

/// What is to become of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Now,
    /// It comes out of [`Damping::due`], with all that follow until then.
    Later,
}

impl Damping {
    /// A mapping has changed.
    pub(super) fn changed(&mut self, eid: EidPrefix, now: Timestamp) -> When {
        if self.lately.len() >= MOST && !self.lately.contains_key(&eid) {
            return When::Now;
        }
        let fresh = Pace {
            paid: now,
            last: Last::Published,
        };
        let pace = self.lately.entry(eid).or_insert(fresh);
        let paid = pace.paid.max(now);
        let ahead = Span(EVERY.micros() * (BURST - 1));
        if paid.since(now) > ahead {
            pace.last = Last::PutOff;
            self.timers
                .set(eid, now + Span(paid.since(now).micros() - ahead.micros()));
            return When::Later;
        }
        *pace = Pace {
            paid: paid + EVERY,
            last: Last::Published,
        };
        self.timers.set(eid, paid + EVERY);
        When::Now
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// A mapping to be published now, as it is by now.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<EidPrefix> {
        while let Some(eid) = self.timers.pop_due(now) {
            let put_off = |pace: Pace| pace.last == Last::PutOff;
            if self.lately.get(&eid).copied().is_some_and(put_off) {
                let _ = self.changed(eid, now);
                return Some(eid);
            }
            self.lately.remove(&eid);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eid() -> EidPrefix {
        "10.1.0.7/32".parse().unwrap()
    }

    #[test]
    fn a_burst_is_published_as_it_comes_and_what_follows_once_a_second_with_the_last_change_never_lost() {
        let mut damping = Damping::default();
        let start = Timestamp(1_000_000_000);
        let (mut published, mut last_change) = (Vec::new(), start);
        // Twenty changes a second for ten seconds.
        for tick in 0..2_000 {
            let now = start + Span::millis(tick * 10);
            while damping.due(now).is_some() {
                published.push(now);
            }
            if tick % 5 == 0 && tick < 1_000 {
                last_change = now;
                if damping.changed(eid(), now) == When::Now {
                    published.push(now);
                }
            }
        }
        let within = |from: Span, to: Span| {
            let until = published.iter().filter(|at| **at < start + to);
            until.filter(|at| **at >= start + from).count()
        };
        assert_eq!(within(Span::ZERO, Span::millis(400)), 8);
        assert_eq!(within(Span::secs(2), Span::secs(10)), 8);
        assert!(*published.last().unwrap() >= last_change, "{published:?}");
        assert_eq!(
            (damping.lately.len(), damping.timers.len()),
            (0, 0),
            "all is forgotten"
        );
    }

    #[test]
    fn changes_at_more_than_a_second_from_each_other_are_never_put_off() {
        let mut damping = Damping::default();
        for second in 1..100 {
            let now = Timestamp(second * 1_100_000);
            assert_eq!(damping.due(now), None);
            assert_eq!(damping.changed(eid(), now), When::Now);
        }
    }
}

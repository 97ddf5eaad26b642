//! How often the mapping system is asked for one EID (RFC 9301 section 5.3): once a second at most, whatever for; and after
//! ten repetitions without an answer not for half a minute.

use std::collections::BTreeMap;

use lisp_wire::Eid;
use proto::{Span, Timestamp};

/// Time between two Map-Requests for one EID.
pub(super) const EVERY: Span = Span::secs(1);
/// So many Map-Requests for an EID go without an answer: the first, and ten repetitions.
const MOST_UNANSWERED: usize = 11;
/// Then it is not asked for, for so long.
const REST: Span = Span::secs(30);
/// What was never answered counts no more after so long.
const FORGOTTEN: Span = Span::secs(60);
/// At most this many EIDs are remembered; of those beyond, only what is open is limited.
const MOST_KEPT: usize = 16_384;

/// What was asked lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    asked: BTreeMap<Eid, Asked>,
    swept: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    next: Timestamp,
    unanswered: usize,
}

impl Pace {
    /// From when on an EID may be asked for, if not now.
    pub(super) fn not_before(&self, eid: &Eid, now: Timestamp) -> Option<Timestamp> {
        let next = self.asked.get(eid).map(|asked| asked.next);
        next.filter(|next| *next > now)
    }

    /// It was asked for.
    pub(super) fn asked(&mut self, eid: Eid, now: Timestamp) {
        if self.asked.len() >= MOST_KEPT && now.since(self.swept) >= EVERY {
            self.swept = now;
            let kept = |asked: &Asked| asked.unanswered > 0 && now.since(asked.next) < FORGOTTEN;
            self.asked.retain(|_, asked| asked.next > now || kept(asked));
        }
        if self.asked.len() >= MOST_KEPT && !self.asked.contains_key(&eid) {
            return;
        }
        let asked = self.asked.entry(eid).or_insert(Asked {
            next: now,
            unanswered: 0,
        });
        if now.since(asked.next) >= FORGOTTEN {
            asked.unanswered = 0;
        }
        asked.next = now + EVERY;
        asked.unanswered += 1;
        if asked.unanswered >= MOST_UNANSWERED {
            (asked.next, asked.unanswered) = (now + REST, 0);
        }
    }

    /// It was answered.
    pub(super) fn answered(&mut self, eid: &Eid, now: Timestamp) {
        if let Some(asked) = self.asked.get_mut(eid) {
            // The rest is for those who do not answer.
            (asked.next, asked.unanswered) = (asked.next.min(now + EVERY), 0);
        }
    }

    /// Whether it is not asked for because nobody answers.
    pub(super) fn rests(&self, eid: &Eid, now: Timestamp) -> Option<Span> {
        let next = self.not_before(eid, now)?;
        let left = next.since(now);
        (left > EVERY).then_some(left)
    }
}

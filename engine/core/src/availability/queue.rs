//! What happened and is not counted yet, in the order in which it did.
//!
//! When a forwarder falls silent so do all its links, and a report tells of many at one moment: a word each in a list of
//! that moment takes an eighth of what a tree of them would.

use std::collections::{BTreeMap, BTreeSet};

use proto::Timestamp;
use proto::availability::Reach;
use serde::{Deserialize, Serialize};

use super::Happened;
use crate::fabric::{Dc, LegIx, LinkIx, PairIx, Renumbered};

/// The earliest moment first, and of one moment what was told first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeSet<Entry>", into = "BTreeSet<Entry>")]
pub(super) struct Queue(BTreeMap<Timestamp, Vec<Packed>>);

/// What is written down: when, in which order, and what.
type Entry = (Timestamp, u64, Happened);

impl Queue {
    /// The moment of the earliest.
    pub(super) fn first_at(&self) -> Option<Timestamp> {
        self.0.first_key_value().map(|(&at, _)| at)
    }

    pub(super) fn push(&mut self, at: Timestamp, what: Happened) {
        self.0.entry(at).or_default().push(what.into());
    }

    /// What happened at the earliest moment, if that is not after `until`.
    pub(super) fn pop(&mut self, until: Timestamp) -> Option<impl Iterator<Item = Happened> + use<>> {
        let first = self.0.first_entry().filter(|first| *first.key() <= until)?;
        Some(first.remove().into_iter().map(Happened::from))
    }

    /// Legs have other numbers.
    pub(super) fn renumber_legs(&mut self, places: &Renumbered) {
        for what in self.0.values_mut().flatten() {
            if let Happened::Leg { leg, reach } = (*what).into() {
                let leg = places.of(leg);
                *what = Happened::Leg { leg, reach }.into();
            }
        }
    }

    /// All of them, in their order.
    pub(super) fn all(&self) -> impl Iterator<Item = Happened> + '_ {
        self.0.values().flatten().map(|&what| what.into())
    }
}

impl From<BTreeSet<Entry>> for Queue {
    fn from(entries: BTreeSet<Entry>) -> Self {
        let mut queue = Self::default();
        for (at, _, what) in entries {
            queue.push(at, what);
        }
        queue
    }
}

impl From<Queue> for BTreeSet<Entry> {
    fn from(queue: Queue) -> Self {
        let each = |(at, all): (Timestamp, Vec<Packed>)| all.into_iter().map(move |what| (at, what));
        let numbered = queue.0.into_iter().flat_map(each).zip(0..);
        numbered
            .map(|((at, what), number)| (at, number, what.into()))
            .collect()
    }
}

/// [`Happened`] in a word: which it is in the two lowest bits, above them how something stands or the data centre (30 bits),
/// then whose it is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Packed(u64);

const LINK: u32 = 0;
const LEG: u32 = 1;
const ENTRY: u32 = 2;
const HOME: u32 = 3;

impl From<Happened> for Packed {
    fn from(what: Happened) -> Self {
        let (kind, ix, how) = match what {
            Happened::Link { link, reach } => (LINK, link.0, number(reach)),
            Happened::Leg { leg, reach } => (LEG, leg.0, number(reach)),
            Happened::Entry { pair, dc } => (ENTRY, pair.0, dc.0),
            Happened::Home { vm, dc } => (HOME, vm, dc.0),
        };
        Self(u64::from(ix) << 32 | u64::from(how << 2 | kind))
    }
}

impl From<Packed> for Happened {
    fn from(Packed(word): Packed) -> Self {
        let (ix, low) = ((word >> 32) as u32, word as u32);
        let how = low >> 2;
        match low & 3 {
            LINK => Self::Link {
                link: LinkIx(ix),
                reach: reach(how),
            },
            LEG => Self::Leg {
                leg: LegIx(ix),
                reach: reach(how),
            },
            ENTRY => Self::Entry {
                pair: PairIx(ix),
                dc: Dc(how),
            },
            _ => Self::Home { vm: ix, dc: Dc(how) },
        }
    }
}

const fn number(reach: Reach) -> u32 {
    match reach {
        Reach::Up => 0,
        Reach::Down => 1,
        Reach::Unknown => 2,
    }
}

const fn reach(number: u32) -> Reach {
    match number {
        0 => Reach::Up,
        1 => Reach::Down,
        _ => Reach::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_comes_in_the_order_of_its_moments_also_when_it_was_written_down() {
        let link = |ix, reach| Happened::Link {
            link: LinkIx(ix),
            reach,
        };
        let entry = Happened::Entry {
            pair: PairIx(u32::MAX),
            dc: Dc(65_535),
        };
        let home = Happened::Home {
            vm: u32::MAX,
            dc: Dc(65_535),
        };
        let leg = Happened::Leg {
            leg: LegIx(7),
            reach: Reach::Down,
        };
        let mut queue = Queue::default();
        for (at, what) in [
            (30, link(9, Reach::Unknown)),
            (10, leg),
            (20, link(u32::MAX, Reach::Down)),
            (20, link(u32::MAX, Reach::Up)),
            (20, entry),
            (20, home),
        ] {
            queue.push(Timestamp(at), what);
        }
        let json = serde_json::to_string(&queue).unwrap();
        let tree: BTreeSet<Entry> = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&tree).unwrap(), json, "as it always was");
        let mut read: Queue = serde_json::from_str(&json).unwrap();
        assert_eq!(read, queue);
        let popped: Vec<Happened> = std::iter::from_fn(|| read.pop(Timestamp(20))).flatten().collect();
        let want = [
            leg,
            link(u32::MAX, Reach::Down),
            link(u32::MAX, Reach::Up),
            entry,
            home,
        ];
        assert_eq!(popped, want);
        assert_ne!(read, queue);
        assert_eq!((read.all().count(), read.first_at()), (1, Some(Timestamp(30))));
        let last: Vec<Happened> = read.pop(Timestamp(30)).into_iter().flatten().collect();
        assert_eq!(last, [link(9, Reach::Unknown)]);
        assert!(read.pop(Timestamp(u64::MAX)).is_none());
    }
}

//! What happened and is not counted yet, in the order in which it did.
//!
//! When a forwarder falls silent so do all its links within a few seconds: a heap in one piece takes a third of what a tree
//! would, and leaves no small holes behind.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use proto::Timestamp;
use proto::availability::Reach;
use serde::{Deserialize, Serialize};

use super::Happened;
use crate::fabric::{Dc, LegIx, LinkIx, PairIx, Renumbered};

/// The earliest first, and of one moment what was told first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "BTreeSet<Entry>", into = "BTreeSet<Entry>")]
pub(super) struct Queue(BinaryHeap<Reverse<(Timestamp, u64, Packed)>>);

/// When, in which order, and what.
type Entry = (Timestamp, u64, Happened);

impl Queue {
    /// The moment of the earliest.
    pub(super) fn first_at(&self) -> Option<Timestamp> {
        self.0.peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn push(&mut self, (at, number, what): Entry) {
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(self.0.len() / 4 + 16);
        }
        self.0.push(Reverse((at, number, what.into())));
    }

    /// The earliest, if it is not after `until`.
    pub(super) fn pop(&mut self, until: Timestamp) -> Option<Happened> {
        if self.first_at()? > until {
            return None;
        }
        let Reverse((_, _, what)) = self.0.pop()?;
        if self.0.is_empty() {
            self.0 = BinaryHeap::new();
        }
        Some(what.into())
    }

    /// Legs have other numbers.
    pub(super) fn renumber_legs(&mut self, places: &Renumbered) {
        let renumbered = |Reverse((at, number, what)): Reverse<(_, _, Packed)>| {
            let what = match what.into() {
                Happened::Leg { leg, reach } => {
                    let leg = places.of(leg);
                    Happened::Leg { leg, reach }
                }
                other => other,
            };
            Reverse((at, number, what.into()))
        };
        self.0 = std::mem::take(&mut self.0).into_iter().map(renumbered).collect();
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = Happened> + '_ {
        self.0.iter().map(|Reverse((_, _, what))| (*what).into())
    }
}

impl PartialEq for Queue {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && BTreeSet::from(self.clone()) == BTreeSet::from(other.clone())
    }
}

impl From<BTreeSet<Entry>> for Queue {
    fn from(entries: BTreeSet<Entry>) -> Self {
        let packed = |(at, number, what): Entry| Reverse((at, number, what.into()));
        Self(entries.into_iter().map(packed).collect())
    }
}

impl From<Queue> for BTreeSet<Entry> {
    fn from(queue: Queue) -> Self {
        let entry = |Reverse((at, number, what)): Reverse<(_, _, Packed)>| (at, number, what.into());
        queue.0.into_iter().map(entry).collect()
    }
}

/// [`Happened`] in a word: which it is in the two lowest bits, above them how something stands or the data centre (30 bits),
/// then whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
        for (number, (at, what)) in [
            (30, link(9, Reach::Unknown)),
            (10, leg),
            (20, link(u32::MAX, Reach::Down)),
            (20, link(u32::MAX, Reach::Up)),
            (20, entry),
            (20, home),
        ]
        .into_iter()
        .enumerate()
        {
            queue.push((Timestamp(at), number as u64, what));
        }
        let json = serde_json::to_string(&queue).unwrap();
        let tree: BTreeSet<Entry> = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&tree).unwrap(), json, "as it always was");
        let mut read: Queue = serde_json::from_str(&json).unwrap();
        assert_eq!(read, queue);
        let popped: Vec<Happened> = std::iter::from_fn(|| read.pop(Timestamp(20))).collect();
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
        assert_eq!(read.pop(Timestamp(30)), Some(link(9, Reach::Unknown)));
        assert_eq!((read.pop(Timestamp(u64::MAX)), read.0.capacity()), (None, 0));
        assert_eq!(size_of_val(&(Timestamp(0), 0_u64, Packed::from(entry))), 24);
    }
}

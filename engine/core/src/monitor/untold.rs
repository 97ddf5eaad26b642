//! Which links' rows changed since they were last told, a bit a link, and when they are to be told.

use proto::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fabric::LinkIx;

/// Rows are told at once up to so many: a console should not get those of a hundred thousand links in one breath.
const AT_ONCE: usize = 1024;
/// More of them in so many parts, in as many parts of the time.
const PARTS: usize = 32;

/// Links whose rows are to be told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<LinkIx>", into = "Vec<LinkIx>")]
pub(super) struct Untold {
    bits: Vec<u64>,
    count: usize,
}

impl Untold {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn insert(&mut self, ix: LinkIx) {
        let (word, bit) = (ix.at() / 64, 1 << (ix.0 % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.count += usize::from(self.bits[word] & bit == 0);
        self.bits[word] |= bit;
    }

    /// Takes the next ones from a link on, in their order. The second is the link to go on from, if some are left
    /// behind them.
    pub(super) fn take(&mut self, from: LinkIx) -> (Vec<LinkIx>, Option<LinkIx>) {
        let most = AT_ONCE.max(self.bits.len() * 64 / PARTS);
        let mut taken = Vec::with_capacity(most.min(self.count));
        let mut mask = u64::MAX << (from.0 % 64);
        for word in from.at() / 64..self.bits.len() {
            while self.bits[word] & mask != 0 {
                let bit = (self.bits[word] & mask).trailing_zeros();
                let ix = LinkIx(word as u32 * 64 + bit);
                if taken.len() == most {
                    return (taken, Some(ix));
                }
                self.bits[word] &= !(1 << bit);
                self.count -= 1;
                taken.push(ix);
            }
            mask = u64::MAX;
        }
        (taken, None)
    }

    fn all(&self) -> impl Iterator<Item = LinkIx> + '_ {
        let bits = (0..self.bits.len() * 64).filter(|&at| self.bits[at / 64] & 1 << (at % 64) != 0);
        bits.map(|at| LinkIx(at as u32))
    }
}

/// When the next rows may be told after those told at `told_at`.
pub(super) fn next(told_at: Timestamp, every: Span, amid: bool) -> Timestamp {
    let wait = if amid { Span(every.0 / PARTS as u64) } else { every };
    told_at + wait
}

impl From<Untold> for Vec<LinkIx> {
    fn from(untold: Untold) -> Self {
        untold.all().collect()
    }
}

impl From<Vec<LinkIx>> for Untold {
    fn from(links: Vec<LinkIx>) -> Self {
        let mut untold = Self::default();
        for ix in links {
            untold.insert(ix);
        }
        untold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_told_once_and_no_more_than_a_part_of_them_at_a_time() {
        let mut untold = Untold::default();
        let links = 100_000_u32;
        for ix in 0..links {
            untold.insert(LinkIx(ix));
        }
        untold.insert(LinkIx(7));
        let mut told = Vec::new();
        let mut from = Some(LinkIx(0));
        let mut parts = 0;
        while let Some(ix) = from {
            let (some, next) = untold.take(ix);
            assert!(some.len() <= 100_032 / PARTS);
            told.extend(some);
            from = next;
            parts += 1;
            // One that was told changes again: it waits for the next round.
            untold.insert(LinkIx(3));
        }
        assert_eq!(told, (0..links).map(LinkIx).collect::<Vec<_>>());
        assert_eq!((parts, untold.take(LinkIx(0))), (32, (vec![LinkIx(3)], None)));
        assert!(untold.is_empty());
    }

    #[test]
    fn links_are_written_as_a_list_and_read_from_one() {
        let untold = Untold::from(vec![LinkIx(70), LinkIx(2)]);
        let json = serde_json::to_string(&untold).unwrap();
        assert_eq!(json, "[2,70]");
        let read: Untold = serde_json::from_str(&json).unwrap();
        assert_eq!((read.bits, read.count), (untold.bits, untold.count));
    }
}

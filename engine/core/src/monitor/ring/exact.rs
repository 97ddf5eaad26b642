//! How samples within the window are written: to the microsecond, most of them in three or four bytes.
//!
//! A sample is the time since the one before it, less the usual one, and what its round trip differs by from the one
//! before. Both are numbers that are small as a rule, of either sign. The bits set at the head of a first byte tell how
//! many more follow.

use crate::monitor::outcome::Outcome;

/// The most that one sample takes.
pub(super) const LONGEST: usize = 5 + 1 + 5;

const LOST: u8 = 0xF8;
const LOST_WHEN_DOWN: u8 = 0xF9;
const WHEN_DOWN: u8 = 0xFA;
const OVERDUE: u8 = 0xFB;
const OVERDUE_WHEN_DOWN: u8 = 0xFC;

/// One sample's bytes.
#[derive(Default)]
pub(super) struct Exact {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Exact {
    /// A sample `gap` after the one before, among others `pace` apart; `base` is the round trip before it.
    pub(super) fn new((gap, pace): (u32, u32), outcome: Outcome, base: u32) -> Self {
        let mut exact = Self::default();
        exact.put(folded(gap.wrapping_sub(pace)));
        let Some(rtt) = outcome.at_least() else {
            exact.byte(if outcome.was_down() { LOST_WHEN_DOWN } else { LOST });
            return exact;
        };
        match (outcome.rtt().is_some(), outcome.was_down()) {
            (true, false) => {}
            (true, true) => exact.byte(WHEN_DOWN),
            (false, false) => exact.byte(OVERDUE),
            (false, true) => exact.byte(OVERDUE_WHEN_DOWN),
        }
        exact.put(folded(rtt.wrapping_sub(base)));
        exact
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn put(&mut self, value: u32) {
        let [a, b, c, d] = value.to_be_bytes();
        match value {
            ..0x80 => self.byte(d),
            0x80..0x4000 => self.bytes_of(&[0x80 | c, d]),
            0x4000..0x20_0000 => self.bytes_of(&[0xC0 | b, c, d]),
            0x20_0000..0x1000_0000 => self.bytes_of(&[0xE0 | a, b, c, d]),
            _ => self.bytes_of(&[0xF0, a, b, c, d]),
        }
    }

    fn bytes_of(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.byte(byte);
        }
    }
}

/// Samples read one after the other.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    pace: u32,
    /// The round trip of the sample before.
    base: u32,
    read: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], pace: u32, base: u32) -> Self {
        Self {
            bytes,
            pace,
            base,
            read: 0,
        }
    }

    /// Bytes read.
    pub(super) fn read(&self) -> usize {
        self.read
    }

    /// The round trip read last.
    pub(super) fn base(&self) -> u32 {
        self.base
    }

    /// The time since the sample before.
    pub(super) fn gap(&mut self) -> u32 {
        let first = self.byte();
        unfolded(self.number(first)).wrapping_add(self.pace)
    }

    /// What became of it.
    pub(super) fn outcome(&mut self) -> Outcome {
        let first = self.byte();
        match first {
            LOST => Outcome::LOST,
            LOST_WHEN_DOWN => Outcome::LOST.when_down(true),
            WHEN_DOWN => Outcome::answered(self.rtt()).when_down(true),
            OVERDUE => Outcome::overdue(self.rtt()),
            OVERDUE_WHEN_DOWN => Outcome::overdue(self.rtt()).when_down(true),
            first => Outcome::answered(self.rtt_from(first)),
        }
    }

    fn rtt(&mut self) -> u32 {
        let first = self.byte();
        self.rtt_from(first)
    }

    fn rtt_from(&mut self, first: u8) -> u32 {
        self.base = unfolded(self.number(first)).wrapping_add(self.base);
        self.base
    }

    fn number(&mut self, first: u8) -> u32 {
        let ones = first.leading_ones().min(4);
        // The bits of the first byte that are not taken by its mark.
        let head = u32::from(first) & (0x7F >> ones);
        (0..ones).fold(head, |value, _| value << 8 | u32::from(self.byte()))
    }

    fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.read).copied().unwrap_or(0);
        self.read += 1;
        byte
    }
}

/// Small numbers of either sign as small ones without.
fn folded(difference: u32) -> u32 {
    let signed = difference.cast_signed();
    ((signed << 1) ^ (signed >> 31)).cast_unsigned()
}

fn unfolded(folded: u32) -> u32 {
    (folded >> 1) ^ (folded & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proto::{ProbeOutcome, Span};

    use super::*;

    #[test]
    fn whatever_is_written_is_read() {
        let edges = [0, 1, 63, 64, 8191, 8192, 1 << 20, 1 << 27, (1 << 30) - 1];
        for rtt in edges {
            for base in edges {
                for gap in edges.into_iter().chain([u32::MAX - 1]) {
                    for was_down in [false, true] {
                        for outcome in [
                            ProbeOutcome::Lost,
                            ProbeOutcome::Rtt(Span(rtt.into())),
                            ProbeOutcome::Overdue(Span(rtt.into())),
                        ] {
                            let outcome = Outcome::new(outcome, was_down);
                            let exact = Exact::new((gap, 500_000), outcome, base);
                            let mut reader = Reader::new(exact.bytes(), 500_000, base);
                            assert_eq!((reader.gap(), reader.outcome()), (gap, outcome));
                            assert_eq!(reader.read(), exact.bytes().len());
                            assert_eq!(reader.base(), outcome.at_least().unwrap_or(base));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_usual_sample_takes_three_or_four_bytes() {
        let outcome = Outcome::answered(36_200);
        assert_eq!(Exact::new((500_000, 500_000), outcome, 34_900).bytes().len(), 3);
        assert_eq!(Exact::new((498_700, 500_000), outcome, 34_900).bytes().len(), 4);
    }
}

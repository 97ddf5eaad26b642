//! How samples older than the window are written: for the eye, most of them in less than a byte.
//!
//! A round trip is a number with five bits behind its leading one, so that it is off by at most 1.6 %, and not at all
//! below 64 microseconds: a column of a chart stands for several per cent. Written is what it differs by from the
//! mean of those before, as a Rice code: the rest of it by `2^k` in k bits, after as many ones as the quotient has and a
//! zero; k follows what differences there are.
//! Eight ones escape from that: to a loss, a larger difference, or a sample that came at another moment than one after
//! the usual time. Without that escape it stands there, off by at most an eighth of that time
//! and at most 66 ms.

use proto::{Span, Timestamp};

use crate::monitor::outcome::Outcome;

/// The unit of times, microseconds.
const UNIT: u64 = 1024;
/// The longest time between two samples, units: longer than a history.
const LONGEST_GAP: u64 = (1 << GAP_BITS) - 1;
const GAP_BITS: u32 = 17;
/// An eighth of half a second.
const MOST_TOLERATED: u64 = 64;
/// Bits behind the leading one of a round trip.
pub(super) const GRADE: u32 = 5;
/// The same in states of versions that did not say.
pub(super) const OLD_GRADE: u32 = 8;
/// So many ones escape.
const ESCAPE: u32 = 8;
const KIND_BITS: u32 = 3;
/// Larger ones count for no more.
const MOST_DIFFERENCE: u32 = 2047;
/// The most bits that one sample takes.
pub(super) const LONGEST: usize =
    2 * (ESCAPE + KIND_BITS) as usize + (GAP_BITS + code_bits(OLD_GRADE)) as usize;

const LOST: u32 = 0;
/// This sample came so much after the one before.
const GAP: u32 = 1;
/// This one and those that follow.
const EVERY: u32 = 2;
const LARGE: u32 = 3;
const OVERDUE: u32 = 4;

/// What is known between two samples: what the next one is written by, with so many bits behind the leading one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place<const BITS: u32 = GRADE> {
    /// When the sample before was, as written.
    pub(super) at: Timestamp,
    pub(super) learnt: Learnt<BITS>,
}

/// What is learnt of the samples before a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Learnt<const BITS: u32 = GRADE> {
    /// The usual time between samples, units.
    pub(super) every: u16,
    /// The mean of the codes before, times [`Learnt::SCALE`].
    pub(super) level: u16,
    /// Sixteen times the mean of the differences before.
    pub(super) spread: u16,
}

/// The bits of one sample, the first the lowest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bits {
    pub(super) word: u64,
    pub(super) count: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.word |= u64::from(value) << self.count;
        self.count += count;
    }

    fn escape(&mut self, kind: u32, (value, count): (u32, u32)) {
        self.put((1 << ESCAPE) - 1, ESCAPE);
        self.put(kind, KIND_BITS);
        self.put(value, count);
    }
}

impl<const BITS: u32> Place<BITS> {
    /// Before the first sample, at `at`, of those that come so far apart.
    pub(super) fn before(at: Timestamp, pace: u32) -> Self {
        let every = (u64::from(pace) + UNIT / 2) / UNIT;
        let every = u16::try_from(every).unwrap_or(u16::MAX);
        Self {
            at: at - Span(u64::from(every) * UNIT),
            learnt: Learnt {
                every,
                ..Learnt::default()
            },
        }
    }

    /// Units from another place to this one, of the same samples.
    pub(super) fn after(&self, other: &Self) -> u32 {
        u32::try_from(self.at.since(other.at).0 / UNIT).unwrap_or(u32::MAX)
    }

    /// A place so many units later.
    pub(super) fn later(&self, units: u32, learnt: Learnt<BITS>) -> Self {
        Self {
            at: self.at + Span(u64::from(units) * UNIT),
            learnt,
        }
    }

    /// Writes a sample; `next` is the time until the one after it. `None` if it comes too long after the one before.
    pub(super) fn write(&mut self, (at, next): (Timestamp, u32), outcome: Outcome) -> Option<Bits> {
        let mut bits = Bits::default();
        let gap = (at.since(self.at).0 + UNIT / 2) / UNIT;
        if gap > LONGEST_GAP {
            return None;
        }
        let tolerated = tolerated(self.learnt.every.into());
        if gap.abs_diff(self.learnt.every.into()) <= tolerated {
            self.at = self.at + Span(u64::from(self.learnt.every) * UNIT);
        } else {
            self.at = self.at + Span(gap * UNIT);
            let next = u64::from(next) / UNIT;
            let kind = match u16::try_from(gap) {
                Ok(every) if next.abs_diff(gap) <= tolerated => {
                    self.learnt.every = every;
                    EVERY
                }
                _ => GAP,
            };
            bits.escape(kind, (gap as u32, GAP_BITS));
        }
        match (outcome.at_least(), outcome.rtt()) {
            (None, _) => bits.escape(LOST, (0, 0)),
            (Some(so_far), None) => {
                bits.escape(OVERDUE, (code::<BITS>(so_far).into(), Learnt::<BITS>::CODE_BITS));
            }
            (Some(_), Some(rtt)) => self.learnt.write_code(code::<BITS>(rtt), &mut bits),
        }
        Some(bits)
    }

    /// Reads a sample from the low bits of a word, and tells how many they were; `None` if they are none.
    pub(super) fn read(&mut self, word: u64) -> Option<(Outcome, u32)> {
        let mut place = *self;
        let mut used = 0;
        let mut gap = u32::from(place.learnt.every);
        let outcome = loop {
            let rest = word >> used;
            let ones = rest.trailing_ones().min(ESCAPE);
            if ones < ESCAPE {
                let k = place.learnt.k();
                used += ones + 1 + k;
                let difference = ones << k | low(rest >> (ones + 1), k);
                let level = i32::from(place.learnt.mean()) + unfolded(difference);
                let code = u16::try_from(level)
                    .ok()
                    .filter(|&code| code < 1 << Learnt::<BITS>::CODE_BITS)?;
                place.learnt.learn(code, difference);
                break Outcome::answered(value::<BITS>(code));
            }
            let kind = low(rest >> ESCAPE, KIND_BITS);
            let rest = rest >> (ESCAPE + KIND_BITS);
            used += ESCAPE + KIND_BITS;
            match kind {
                LOST => break Outcome::LOST,
                LARGE | OVERDUE => {
                    let code = low(rest, Learnt::<BITS>::CODE_BITS) as u16;
                    used += Learnt::<BITS>::CODE_BITS;
                    if kind == OVERDUE {
                        break Outcome::overdue(value::<BITS>(code));
                    }
                    let difference = folded(i32::from(code) - i32::from(place.learnt.mean()));
                    place.learnt.leap(code, difference);
                    break Outcome::answered(value::<BITS>(code));
                }
                GAP | EVERY if used == ESCAPE + KIND_BITS => {
                    gap = low(rest, GAP_BITS);
                    used += GAP_BITS;
                    if kind == EVERY {
                        place.learnt.every = u16::try_from(gap).ok()?;
                    }
                }
                _ => return None,
            }
        };
        place.at = place.at + Span(u64::from(gap) * UNIT);
        *self = place;
        Some((outcome, used))
    }
}

impl<const BITS: u32> Learnt<BITS> {
    const CODE_BITS: u32 = code_bits(BITS);
    /// The mean goes an eighth of the way to each code; in older versions it went halfway.
    const SCALE: u16 = if BITS == OLD_GRADE { 4 } else { 8 };

    /// The usual time between samples, microseconds.
    pub(super) fn pace(self) -> u32 {
        u32::from(self.every) * UNIT as u32
    }

    /// Whether anything that was written may lie before it.
    pub(super) fn is_possible(self) -> bool {
        self.level < Self::SCALE << Self::CODE_BITS && u32::from(self.spread) <= 16 * MOST_DIFFERENCE
    }

    fn write_code(&mut self, code: u16, bits: &mut Bits) {
        let difference = folded(i32::from(code) - i32::from(self.mean()));
        let k = self.k();
        let ones = difference >> k;
        if ones < ESCAPE {
            bits.put((1 << ones) - 1, ones + 1);
            bits.put(low(difference.into(), k), k);
            self.learn(code, difference);
        } else {
            bits.escape(LARGE, (code.into(), Self::CODE_BITS));
            self.leap(code, difference);
        }
    }

    fn mean(self) -> u16 {
        (self.level + Self::SCALE / 2) / Self::SCALE
    }

    /// Bits of the rest: those of half the mean difference.
    fn k(self) -> u32 {
        u16::BITS - (self.spread >> 5).leading_zeros()
    }

    fn learn(&mut self, code: u16, difference: u32) {
        self.level = if BITS == OLD_GRADE {
            u16::midpoint(self.level, Self::SCALE * code)
        } else {
            self.level - self.mean() + code
        };
        self.widen(difference);
    }

    /// At once, and no further from the differences there were than a few of them.
    fn leap(&mut self, code: u16, difference: u32) {
        self.level = Self::SCALE * code;
        self.widen(difference.min(u32::from(self.spread) / 4 + 16));
    }

    fn widen(&mut self, difference: u32) {
        let difference = 16 * difference.min(MOST_DIFFERENCE);
        let spread = u32::from(self.spread);
        self.spread = (spread + difference / 8 - spread / 8) as u16;
    }
}

/// What a time may differ by from the usual one without a word, units.
fn tolerated(every: u64) -> u64 {
    (every / 8).clamp(8, MOST_TOLERATED)
}

fn low(word: u64, count: u32) -> u32 {
    (word & ((1 << count) - 1)) as u32
}

/// Small numbers of either sign as small ones without.
fn folded(difference: i32) -> u32 {
    ((difference << 1) ^ (difference >> 31)).cast_unsigned()
}

fn unfolded(folded: u32) -> i32 {
    (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed()
}

/// So many bits behind the leading one, rounded; the next power of two is the next code.
fn code<const BITS: u32>(micros: u32) -> u16 {
    let shift = (u32::BITS - micros.leading_zeros()).saturating_sub(BITS + 1);
    let rounded = (micros + ((1 << shift) >> 1)) >> shift;
    ((shift << BITS) + rounded) as u16
}

fn value<const BITS: u32>(code: u16) -> u32 {
    let shift = (u32::from(code) >> BITS).saturating_sub(1);
    (u32::from(code) - (shift << BITS)) << shift
}

/// Bits of the largest code: round trips are below `2^30` microseconds.
const fn code_bits(bits: u32) -> u32 {
    bits + (31 - bits).ilog2() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_is_off_by_half_of_its_last_bit_at_most_and_not_at_all_when_short() {
        off_by_half_of_the_last_bit::<GRADE>();
        off_by_half_of_the_last_bit::<OLD_GRADE>();
    }

    fn off_by_half_of_the_last_bit<const BITS: u32>() {
        let (code, value) = (code::<BITS>, value::<BITS>);
        let mut rtt = 0_u32;
        let mut before = 0;
        while rtt < 1 << 30 {
            let read = value(code(rtt));
            assert!(
                u64::from(read.abs_diff(rtt)) << (BITS + 1) <= rtt.into(),
                "{rtt} us as {read}"
            );
            assert!(read >= before && u32::from(code(rtt)) < 1 << code_bits(BITS));
            assert_eq!(code(read), code(rtt), "what was read is written the same");
            before = read;
            rtt += rtt / 777 + 1;
        }
        assert!((0..2 << BITS).all(|rtt| value(code(rtt)) == rtt));
    }

    #[test]
    fn the_most_a_sample_takes_fits_a_word() {
        let mut place = Place::<OLD_GRADE>::before(Timestamp(1_000_000_000), 500_000);
        let at = Timestamp(1_100_000_000);
        let bits = place.write((at, 0), Outcome::answered((1 << 30) - 1)).unwrap();
        assert_eq!(bits.count as usize, LONGEST);
        const { assert!(LONGEST + 7 <= 64, "with the bits before it in its first byte") }
    }

    #[test]
    fn bits_that_say_nothing_are_told() {
        let place = Place::<GRADE>::before(Timestamp(1_000_000_000), 500_000);
        for word in [
            u64::MAX,
            0x7FF,
            0xFF | 5 << 8,
            0xFF | 1 << 8 | 0xFF << 28 | 1 << 36,
        ] {
            let mut at = place;
            assert_eq!(at.read(word), None, "{word:x}");
            assert_eq!(at, place);
        }
    }
}

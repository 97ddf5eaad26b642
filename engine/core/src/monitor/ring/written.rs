//! A ring as it is written down, by this version and by those that kept all samples to the microsecond.

use proto::Timestamp;
use serde::{Deserialize, Serialize};

use super::past::{self, GRADE, Learnt, OLD_GRADE, Place};
use super::{MOST, Outcome, POINTS, Ring, Sample, word};

/// What a ring is written as.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::monitor) struct Written {
    /// Microseconds since the sample before (of the first: without meaning), and the outcome.
    samples: Vec<(u32, Outcome)>,
    first_at: Timestamp,
    last_at: Timestamp,
    /// How many were ever taken in, as far as anybody asks.
    #[serde(default)]
    pub(in crate::monitor) taken: u64,
    /// The usual time between them; 0 in versions that did not need it.
    #[serde(default)]
    pace: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    past: Option<Past>,
}

/// Samples older than the window.
#[derive(Debug, Serialize, Deserialize)]
struct Past {
    at: Timestamp,
    every: u16,
    level: u16,
    spread: u16,
    count: u8,
    /// Bits behind the leading one of a round trip.
    #[serde(default = "old_grade")]
    grade: u32,
    bits: u16,
    /// In hexadecimal.
    bytes: String,
}

const fn old_grade() -> u32 {
    OLD_GRADE
}

/// A written ring that no ring can be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the samples of a link are not as any engine writes them: {what}")]
pub(in crate::monitor) struct Misfit {
    what: &'static str,
}

impl From<&Ring> for Written {
    fn from(ring: &Ring) -> Self {
        let mut before = ring.first_at;
        let samples = ring.window().map(|(at, outcome)| {
            let gap = at.since(before).micros();
            before = at;
            (u32::try_from(gap).unwrap_or(u32::MAX), outcome)
        });
        Self {
            samples: samples.collect(),
            first_at: ring.first_at,
            last_at: ring.last_at,
            taken: 0,
            pace: ring.pace,
            past: (ring.in_past > 0).then(|| Past::from(ring)),
        }
    }
}

impl From<&Ring> for Past {
    fn from(ring: &Ring) -> Self {
        let bits = ring.tail - ring.head;
        let digits = (0..2 * bits.div_ceil(8)).map(|at| {
            // The high half of a byte first.
            let first = 4 * (at ^ 1);
            let left = u32::from(bits.saturating_sub(first)).min(4);
            let digit = ring.word(ring.head + first) as u32 & ((1 << left) - 1);
            char::from_digit(digit, 16).unwrap_or('0')
        });
        Self {
            at: ring.front_at,
            every: ring.front.every,
            level: ring.front.level,
            spread: ring.front.spread,
            count: ring.in_past,
            grade: GRADE,
            bits,
            bytes: digits.collect(),
        }
    }
}

impl TryFrom<Written> for Ring {
    type Error = Misfit;

    fn try_from(written: Written) -> Result<Self, Misfit> {
        if written.samples.len() > MOST {
            return refuse("more than a window holds");
        }
        let mut ring = written.past.map_or(Ok(Self::default()), Self::try_from)?;
        // A version that wrote no usual time: that of the last two is as good as any.
        let usual = written.samples.last().map_or(0, |&(gap, _)| gap);
        ring.pace = if written.pace > 0 { written.pace } else { usual };
        let mut at = written.first_at;
        for (number, (gap, outcome)) in written.samples.into_iter().enumerate() {
            if number > 0 {
                at = at + proto::Span(gap.into());
            }
            ring.append_all(&[(at, outcome)]);
        }
        ring.last_at = written.last_at;
        Ok(ring)
    }
}

impl TryFrom<Past> for Ring {
    type Error = Misfit;

    fn try_from(past: Past) -> Result<Self, Misfit> {
        match past.grade {
            GRADE => past.same(),
            OLD_GRADE => past.coarser(),
            _ => refuse("round trips of an unknown grade"),
        }
    }
}

impl Past {
    /// Bits of this version, as they stand there.
    fn same(&self) -> Result<Ring, Misfit> {
        let bytes = self.bytes()?;
        let (front, back, samples) = self.read::<GRADE>(&bytes)?;
        let rtt = samples.iter().rev().find_map(|(_, outcome)| outcome.rtt());
        let mut ring = Ring {
            from: bytes.len() as u16,
            to: bytes.len() as u16,
            tail: self.bits,
            in_past: self.count,
            last: rtt.unwrap_or(0),
            bytes: bytes.into_boxed_slice(),
            ..Ring::default()
        };
        ring.set_past(front, back);
        Ok(ring)
    }

    /// Those of versions that kept round trips more exactly, written anew.
    fn coarser(&self) -> Result<Ring, Misfit> {
        let (front, _, samples) = self.read::<OLD_GRADE>(&self.bytes()?)?;
        let mut ring = Ring {
            pace: front.learnt.pace(),
            ..Ring::default()
        };
        ring.append_all(&samples);
        ring.retire_all();
        Ok(ring)
    }

    fn bytes(&self) -> Result<Vec<u8>, Misfit> {
        let most = POINTS * past::LONGEST;
        let whole = usize::from(self.bits).div_ceil(8);
        if usize::from(self.bits) > most || self.bytes.len() != 2 * whole || !self.bytes.is_ascii() {
            return refuse("another number of bits");
        }
        let digits = |at: usize| u8::from_str_radix(&self.bytes[2 * at..2 * at + 2], 16);
        let bytes = (0..whole).map(digits).collect::<Result<Vec<u8>, _>>();
        bytes.or_else(|_| refuse("no hexadecimal digits"))
    }

    /// The places before and after all samples, and the samples.
    fn read<const BITS: u32>(&self, bytes: &[u8]) -> Result<(Place<BITS>, Place<BITS>, Vec<Sample>), Misfit> {
        let front = Place::<BITS> {
            at: self.at,
            learnt: Learnt {
                every: self.every,
                level: self.level,
                spread: self.spread,
            },
        };
        if !front.learnt.is_possible() {
            return refuse("a level beyond all");
        }
        let (mut place, mut bit) = (front, 0);
        let mut samples = Vec::with_capacity(self.count.into());
        for _ in 0..self.count {
            match place.read(word(bytes, bit)) {
                Some((outcome, used)) if u32::from(bit) + used <= self.bits.into() => {
                    samples.push((place.at, outcome));
                    bit += used as u16;
                }
                _ => return refuse("fewer samples than are counted"),
            }
        }
        if bit != self.bits {
            return refuse("more samples than are counted");
        }
        Ok((front, place, samples))
    }
}

fn refuse<T>(what: &'static str) -> Result<T, Misfit> {
    Err(Misfit { what })
}

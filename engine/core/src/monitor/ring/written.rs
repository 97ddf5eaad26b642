//! A ring as it is written down, by this version and by those that kept all samples to the microsecond.

use proto::Timestamp;
use serde::{Deserialize, Serialize};

use super::past::{self, Place};
use super::{MOST, Outcome, POINTS, Ring};

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
    bits: u16,
    /// In hexadecimal.
    bytes: String,
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
            at: ring.front.at,
            every: ring.front.every,
            level: ring.front.level,
            spread: ring.front.spread,
            count: ring.in_past,
            bits,
            bytes: digits.collect(),
        }
    }
}

impl TryFrom<Written> for Ring {
    type Error = Misfit;

    fn try_from(written: Written) -> Result<Self, Misfit> {
        if written.samples.len() > MOST {
            return Err(Misfit {
                what: "more than a window holds",
            });
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
        let refuse = |what| Err(Misfit { what });
        let most = POINTS * past::LONGEST;
        let whole = usize::from(past.bits).div_ceil(8);
        if usize::from(past.bits) > most || past.bytes.len() != 2 * whole || !past.bytes.is_ascii() {
            return refuse("another number of bits");
        }
        let digits = |at: usize| u8::from_str_radix(&past.bytes[2 * at..2 * at + 2], 16);
        let Ok(bytes) = (0..whole).map(digits).collect::<Result<Vec<u8>, _>>() else {
            return refuse("no hexadecimal digits");
        };
        let front = Place {
            at: past.at,
            every: past.every,
            level: past.level,
            spread: past.spread,
        };
        if !front.is_possible() {
            return refuse("a level beyond all");
        }
        let mut ring = Self {
            from: whole as u16,
            to: whole as u16,
            tail: past.bits,
            in_past: past.count,
            back: front,
            front,
            bytes: bytes.into_boxed_slice(),
            ..Self::default()
        };
        let mut bit = 0;
        for _ in 0..past.count {
            let read = ring.back.read(ring.word(bit));
            match read {
                Some((outcome, used)) if u32::from(bit) + used <= past.bits.into() => {
                    ring.last = outcome.rtt().unwrap_or(ring.last);
                    bit += used as u16;
                }
                _ => return refuse("fewer samples than are counted"),
            }
        }
        if bit != past.bits {
            return refuse("more samples than are counted");
        }
        Ok(ring)
    }
}

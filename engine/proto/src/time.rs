//! Time as an argument. The pure crates never ask for the time; they are told.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment: microseconds since the Unix epoch (UTC). Within one run of a shell it never goes backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Microseconds since the epoch.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

/// A length of time in microseconds. In YAML and JSON for people it is written `10s`, `500ms`, `2m`; on the wire it is a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Whole seconds.
    pub const fn secs(n: u64) -> Self {
        Self(n * 1_000_000)
    }

    /// Whole milliseconds.
    pub const fn millis(n: u64) -> Self {
        Self(n * 1_000)
    }

    /// Microseconds.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Milliseconds, with their fraction.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// Seconds, with their fraction.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The same length for the standard library.
    pub const fn to_duration(self) -> Duration {
        Duration::from_micros(self.0)
    }

    /// Reads `10s`, `500ms`, `250us`, `2m`, `1h`, `1.5s`.
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        let bad = || SpanError {
            text: text.to_owned(),
        };
        let digits = text
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .ok_or_else(bad)?;
        let number: f64 = text[..digits].parse().map_err(|_| bad())?;
        let unit = match text[digits..].trim() {
            "us" => 1.0,
            "ms" => 1e3,
            "s" => 1e6,
            "m" | "min" => 60e6,
            "h" => 3600e6,
            _ => return Err(bad()),
        };
        let micros = number * unit;
        if micros.is_finite() && (0.0..=9e15).contains(&micros) {
            Ok(Self(micros.round() as u64))
        } else {
            Err(bad())
        }
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            us if us >= 60_000_000 && us % 60_000_000 == 0 => write!(f, "{}m", us / 60_000_000),
            us if us % 1_000_000 == 0 => write!(f, "{}s", us / 1_000_000),
            us if us >= 1_000_000 => write!(f, "{:.3}s", us as f64 / 1e6),
            us if us % 1_000 == 0 => write!(f, "{}ms", us / 1_000),
            us => write!(f, "{us}us"),
        }
    }
}

/// Not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a length of time: write it like 10s, 500ms or 2m")]
pub struct SpanError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_they_are_written() {
        for (text, micros) in [
            ("10s", 10_000_000),
            ("500ms", 500_000),
            ("2m", 120_000_000),
            ("250us", 250),
        ] {
            assert_eq!(Span::parse(text).unwrap(), Span(micros));
            assert_eq!(Span(micros).to_string(), text);
        }
        assert_eq!(Span::parse("1.5s").unwrap(), Span(1_500_000));
        for text in ["", "10", "s", "-3s", "1e400s", "9 parsecs"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }
}

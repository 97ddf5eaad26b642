//! Rates and sizes, as they are written in a session.

use std::fmt;

/// Bits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitRate(pub u64);

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// Not a rate or not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a rate.
    #[error("'{text}' is not a rate: write it like 500kbit, 8mbit or 1gbit")]
    Rate {
        /// What was given.
        text: String,
    },
    /// Not a size.
    #[error("'{text}' is not a size: write it like 1500B, 256KiB, 1MiB or 64kB")]
    Size {
        /// What was given.
        text: String,
    },
}

impl BitRate {
    /// Reads `8mbit`, `500kbit`, `2.5gbit`, `9600bit`; from 1 bit/s to 1 Tbit/s.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let scales = [("bit", 1.0), ("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9)];
        scaled(text, &scales).map(Self).ok_or_else(|| UnitError::Rate {
            text: text.to_owned(),
        })
    }
}

impl ByteSize {
    /// Reads `256KiB`, `1MiB`, `64kB`, `1500B`; from 1 byte to 1 TB.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let scales = [
            ("b", 1.0),
            ("kb", 1e3),
            ("mb", 1e6),
            ("gb", 1e9),
            ("kib", 1024.0),
            ("mib", 1_048_576.0),
            ("gib", 1_073_741_824.0),
        ];
        scaled(text, &scales).map(Self).ok_or_else(|| UnitError::Size {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n % 1_000_000_000 == 0 => write!(f, "{}gbit", n / 1_000_000_000),
            n if n % 1_000_000 == 0 => write!(f, "{}mbit", n / 1_000_000),
            n if n % 1_000 == 0 => write!(f, "{}kbit", n / 1_000),
            n => write!(f, "{n}bit"),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n % (1 << 20) == 0 => write!(f, "{}MiB", n >> 20),
            n if n % (1 << 10) == 0 => write!(f, "{}KiB", n >> 10),
            n => write!(f, "{n}B"),
        }
    }
}

fn scaled(text: &str, scales: &[(&str, f64)]) -> Option<u64> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let number: f64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim().to_ascii_lowercase();
    let (_, scale) = scales.iter().find(|(name, _)| *name == unit)?;
    let value = (number * scale).round();
    (1.0..=1e12).contains(&value).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_sizes_read_as_they_are_written() {
        for (text, bits) in [
            ("8mbit", 8_000_000),
            ("500kbit", 500_000),
            ("1gbit", 1_000_000_000),
            ("7bit", 7),
        ] {
            assert_eq!(BitRate::parse(text).unwrap(), BitRate(bits));
            assert_eq!(BitRate(bits).to_string(), text);
        }
        for (text, bytes) in [("256KiB", 262_144), ("1MiB", 1_048_576), ("1500B", 1500)] {
            assert_eq!(ByteSize::parse(text).unwrap(), ByteSize(bytes));
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
        assert_eq!(ByteSize::parse("64 kB").unwrap(), ByteSize(64_000));
    }

    #[test]
    fn what_has_no_unit_or_no_sense_is_refused() {
        for text in [
            "",
            "8",
            "mbit",
            "-8mbit",
            "0mbit",
            "8mbyte",
            "1e400gbit",
            "9999999gbit",
            "8 parsecs",
            "..",
        ] {
            assert!(BitRate::parse(text).is_err(), "{text}");
            assert!(ByteSize::parse(text).is_err(), "{text}");
        }
    }
}

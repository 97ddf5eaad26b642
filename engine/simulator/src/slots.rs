//! S' and S'' of section 5.2.4: as times, or as shares of how long the user stays where he is.

use proto::Span;
use thiserror::Error;

/// When levels are looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slots {
    /// S' and S'' as times: what a live engine does.
    Times {
        /// S'.
        decide: Span,
        /// S''.
        settle: Span,
    },
    /// S' as a share of the time the user stays in an area, S'' as a share of S': what the thesis sweeps in
    /// Figures 5.14 and 5.15, and only a simulation can know beforehand.
    Shares {
        /// Of the stay, 0 to 1.
        decide: f64,
        /// Of S', 0 to 1.
        settle: f64,
    },
}

/// Not a pair of slots.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SlotsError {
    /// Not two.
    #[error("give S' and S'' with a comma between, like 6m,36s or 10%,10%")]
    Shape,
    /// Not a length of time.
    #[error("times are written like 6m or 36s, from 1s to 12h, and shares like 10%, from 1% to 99%")]
    Value,
    /// One of each.
    #[error("S' and S'' must both be times or both be shares")]
    Mixed,
    /// The thesis asks for S'' < S'.
    #[error("S'' must be shorter than S'")]
    Order,
}

impl Slots {
    /// The best of the thesis: 6 minutes and 36 seconds.
    pub const THESIS: Self = Self::Times {
        decide: Span::secs(360),
        settle: Span::secs(36),
    };

    /// Reads `6m,36s` or `10%,10%`.
    pub fn parse(text: &str) -> Result<Self, SlotsError> {
        let (decide, settle) = text.split_once(',').ok_or(SlotsError::Shape)?;
        let (decide, settle) = (decide.trim(), settle.trim());
        match (decide.strip_suffix('%'), settle.strip_suffix('%')) {
            (Some(decide), Some(settle)) => Ok(Self::Shares {
                decide: share(decide)?,
                settle: share(settle)?,
            }),
            (None, None) => {
                let (decide, settle) = (time(decide)?, time(settle)?);
                if settle >= decide {
                    return Err(SlotsError::Order);
                }
                Ok(Self::Times { decide, settle })
            }
            _ => Err(SlotsError::Mixed),
        }
    }
}

fn share(text: &str) -> Result<f64, SlotsError> {
    let percent: f64 = text.trim().parse().map_err(|_| SlotsError::Value)?;
    if (1.0..=99.0).contains(&percent) {
        Ok(percent / 100.0)
    } else {
        Err(SlotsError::Value)
    }
}

fn time(text: &str) -> Result<Span, SlotsError> {
    let span = Span::parse(text).map_err(|_| SlotsError::Value)?;
    if (Span::secs(1)..=Span::secs(12 * 3600)).contains(&span) {
        Ok(span)
    } else {
        Err(SlotsError::Value)
    }
}

impl std::fmt::Display for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Times { decide, settle } => write!(f, "{decide},{settle}"),
            Self::Shares { decide, settle } => {
                write!(f, "{:.0}%,{:.0}%", decide * 100.0, settle * 100.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_read_as_they_are_written() {
        for text in ["6m,36s", "10%,90%"] {
            assert_eq!(Slots::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Slots::parse("6m,36s"), Ok(Slots::THESIS));
        for (text, error) in [
            ("6m", SlotsError::Shape),
            ("6m,10%", SlotsError::Mixed),
            ("36s,6m", SlotsError::Order),
            ("0%,10%", SlotsError::Value),
            ("1e9h,1s", SlotsError::Value),
            ("NaN%,1%", SlotsError::Value),
        ] {
            assert_eq!(Slots::parse(text), Err(error), "{text}");
        }
    }
}

//! How a link stands and since when, in eight bytes.

use proto::Timestamp;
use proto::availability::Reach;
use serde::{Deserialize, Serialize};

/// Both in one word: the moment above two bits of how it stands. Moments after the year 100,000 count as that.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "(Reach, Timestamp)", into = "(Reach, Timestamp)")]
pub(super) struct Heard(u64);

impl Heard {
    pub(super) fn new(reach: Reach, since: Timestamp) -> Self {
        let bits = match reach {
            Reach::Up => 0,
            Reach::Down => 1,
            Reach::Unknown => 2,
        };
        Self(since.0.min(u64::MAX >> 2) << 2 | bits)
    }

    pub(super) fn reach(self) -> Reach {
        match self.0 & 3 {
            0 => Reach::Up,
            1 => Reach::Down,
            _ => Reach::Unknown,
        }
    }

    pub(super) fn since(self) -> Timestamp {
        Timestamp(self.0 >> 2)
    }
}

impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (self.reach(), self.since()).fmt(f)
    }
}

impl From<(Reach, Timestamp)> for Heard {
    fn from((reach, since): (Reach, Timestamp)) -> Self {
        Self::new(reach, since)
    }
}

impl From<Heard> for (Reach, Timestamp) {
    fn from(heard: Heard) -> Self {
        (heard.reach(), heard.since())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_written_as_both() {
        for reach in [Reach::Up, Reach::Down, Reach::Unknown] {
            let heard = Heard::new(reach, Timestamp(1_700_000_000_000_001));
            assert_eq!(
                (heard.reach(), heard.since()),
                (reach, Timestamp(1_700_000_000_000_001))
            );
            let json = serde_json::to_string(&heard).unwrap();
            assert_eq!(json, serde_json::to_string(&(reach, heard.since())).unwrap());
            assert_eq!(serde_json::from_str::<Heard>(&json).unwrap(), heard);
        }
    }
}

//! Round trips by the time users spent with them: a histogram, so that sums are exact and of bounded size.

use std::ops::AddAssign;

use proto::Span;

/// Width of a bin, microseconds.
const BIN: u32 = 20;
/// Bins; the last takes all that is longer, from 1.2 s.
const BINS: usize = 60_000;
/// Typical window of TCP, bits (section 5.4.2: 163,840 bytes).
const WINDOW_BITS: f64 = 163_840.0 * 8.0;

/// Round trips, each with its weight (time, or users).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Grows as it is needed.
    bins: Vec<u64>,
    total: u64,
}

impl Tally {
    /// Spends `time` with a round trip of `rtt_us` microseconds.
    pub fn add(&mut self, rtt_us: u32, time: Span) {
        self.weigh(rtt_us, time.0);
    }

    /// Any weight.
    pub fn weigh(&mut self, rtt_us: u32, weight: u64) {
        let bin = ((rtt_us / BIN) as usize).min(BINS - 1);
        if bin >= self.bins.len() {
            self.bins.resize(bin + 1, 0);
        }
        self.bins[bin] += weight;
        self.total += weight;
    }

    /// Nothing was added.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The round trip, in milliseconds, that the share `q` (0 to 1) of all weight does not exceed; to 0.02 ms.
    /// Not a number if nothing was added.
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = (q.clamp(0.0, 1.0) * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bin, &weight) in (0_u32..).zip(&self.bins) {
            seen += weight;
            if seen >= rank && weight > 0 {
                return f64::from(bin * BIN + BIN / 2) / 1e3;
            }
        }
        f64::NAN
    }

    /// The middle one, milliseconds.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The share of weight with at most `ms`, 0 to 1.
    pub fn share_within(&self, ms: f64) -> f64 {
        if self.total == 0 {
            return f64::NAN;
        }
        let within = self.bins.len().min((ms * 1e3 / f64::from(BIN)) as usize);
        self.bins[..within].iter().sum::<u64>() as f64 / self.total as f64
    }

    /// The distribution at each percent: share 0 to 1, milliseconds.
    pub fn cdf(&self) -> Vec<(f64, f64)> {
        if self.is_empty() {
            return Vec::new();
        }
        let share = |percent: u32| f64::from(percent) / 100.0;
        (0..=100)
            .map(|percent| (share(percent), self.quantile(share(percent))))
            .collect()
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        if other.bins.len() > self.bins.len() {
            self.bins.resize(other.bins.len(), 0);
        }
        for (mine, theirs) in self.bins.iter_mut().zip(&other.bins) {
            *mine += theirs;
        }
        self.total += other.total;
    }
}

/// The most that TCP can carry over a path without loss, Mbit/s: its window each round trip (section 5.4.2).
pub fn throughput_mbps(rtt_ms: f64) -> f64 {
    WINDOW_BITS / (rtt_ms * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_go_by_weight() {
        let mut tally = Tally::default();
        tally.weigh(50_000, 3);
        tally.weigh(60_000, 1);
        assert_eq!(
            (tally.median(), tally.quantile(0.75), tally.quantile(0.76)),
            (50.01, 50.01, 60.01)
        );
        assert!((tally.share_within(55.0) - 0.75).abs() < 1e-12);
        let mut twice = tally.clone();
        twice += &tally;
        assert_eq!(twice.cdf(), tally.cdf());
        assert!(Tally::default().median().is_nan());
    }

    #[test]
    fn a_window_a_round_trip() {
        // 163,840 bytes in 65.536 ms are 20 Mbit/s.
        assert!((throughput_mbps(65.536) - 20.0).abs() < 1e-9);
    }
}

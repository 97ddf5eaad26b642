//! How much of something may happen in a time.

use proto::{Span, Timestamp};

/// A token bucket that holds one second's worth.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u64,
    tokens: u64,
    filled: Timestamp,
}

impl Rate {
    pub(crate) fn per_second(per_second: u64, now: Timestamp) -> Self {
        Self {
            per_second,
            tokens: per_second,
            filled: now,
        }
    }

    /// Whether one more may happen now; if so it is counted.
    pub(crate) fn allows(&mut self, now: Timestamp) -> bool {
        let interval = 1_000_000 / self.per_second.max(1);
        let earned = now.since(self.filled).micros() / interval.max(1);
        self.tokens = self.tokens.saturating_add(earned).min(self.per_second);
        self.filled = self.filled + Span(earned.saturating_mul(interval));
        let allowed = self.tokens > 0;
        self.tokens -= u64::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_cut_at_a_seconds_worth_and_refills_with_time() {
        let start = Timestamp(7_000_000);
        let mut rate = Rate::per_second(10, start);
        assert_eq!((0..50).filter(|_| rate.allows(start)).count(), 10);
        assert_eq!(
            (0..50).filter(|_| rate.allows(start + Span::millis(350))).count(),
            3
        );
        assert_eq!(
            (0..50).filter(|_| rate.allows(start + Span::secs(60))).count(),
            10
        );
    }
}

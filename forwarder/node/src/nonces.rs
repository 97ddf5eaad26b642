//! Nonces: unpredictable ones that tie replies to requests, and growing ones that order what is signed.

use lisp_wire::Nonce;
use proto::Timestamp;
use sha2::{Digest, Sha256};

use crate::replay::WINDOW;

/// A source of nonces. The same seed gives the same nonces, so that tests repeat.
pub(crate) struct Nonces {
    seed: [u8; 32],
    drawn: u64,
    last_signed: u64,
    last_timely: u64,
    last_subscribed: u64,
}

// The seed stays out of logs: whoever knows it can answer for others.
impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces")
            .field("drawn", &self.drawn)
            .finish_non_exhaustive()
    }
}

impl Nonces {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            drawn: 0,
            last_signed: 0,
            last_timely: 0,
            last_subscribed: 0,
        }
    }

    /// A nonce nobody else can foresee: 64 bits of SHA-256(seed, count).
    pub(crate) fn random(&mut self) -> Nonce {
        self.drawn += 1;
        let hash = Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.drawn.to_be_bytes())
            .finalize();
        Nonce(
            hash.iter()
                .take(8)
                .fold(0, |value, byte| value << 8 | u64::from(*byte)),
        )
    }

    /// Bytes that were never drawn before.
    pub(crate) fn salt(&mut self) -> [u8; 16] {
        let halves = [self.random(), self.random()].map(|half| u128::from(half.0));
        let [high, low] = halves;
        (high << 64 | low).to_be_bytes()
    }

    /// A number below `bound`; 0 if `bound` is.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random().0.checked_rem(bound).unwrap_or(0)
    }

    /// A nonce above every one signed before: microseconds of the epoch, or one more than the last.
    pub(crate) fn growing(&mut self, now: Timestamp) -> Nonce {
        self.last_signed = now.micros().max(self.last_signed.saturating_add(1));
        Nonce(self.last_signed)
    }

    /// The same for receivers that hold a nonce against their own clock, and so took none that was further ahead than
    /// [`WINDOW`]: once a clock that was ahead has been set right, those may be used again.
    pub(crate) fn timely(&mut self, now: Timestamp) -> Nonce {
        self.last_timely = if Timestamp(self.last_timely) > now + WINDOW {
            now.micros()
        } else {
            now.micros().max(self.last_timely.saturating_add(1))
        };
        self.last_signed = self.last_signed.max(self.last_timely);
        Nonce(self.last_timely)
    }

    /// A nonce above every one of this kind before, that nobody else can foresee: seconds of the epoch in the high half
    /// (of 1.05 s, so that they fit), chance in the low one.
    ///
    /// Requests to subscribe need both: they are ordered by their nonces (RFC 9437 section 5), and a plain Map-Reply to
    /// one has nothing else to be believed by.
    pub(crate) fn subscribing(&mut self, now: Timestamp) -> Nonce {
        let drawn = (now.micros() >> 20) << 32 | self.below(1 << 32);
        let next = self.last_subscribed.saturating_add(1 + self.below(1 << 20));
        self.last_subscribed = drawn.max(next);
        Nonce(self.last_subscribed)
    }

    /// The last one subscribed with.
    pub(crate) fn last_subscribed(&self) -> u64 {
        self.last_subscribed
    }

    /// The last one that a receiver holds against its clock.
    pub(crate) fn last_timely(&self) -> Nonce {
        Nonce(self.last_timely)
    }

    /// Goes on after what another node signed in whose place this one speaks now, as far as receivers would take it.
    pub(crate) fn succeed(&mut self, highest: Nonce, now: Timestamp) {
        if Timestamp(highest.0) <= now + WINDOW {
            self.last_timely = self.last_timely.max(highest.0);
        }
    }

    /// The last one signed.
    pub(crate) fn last_signed(&self) -> u64 {
        self.last_signed
    }

    /// Goes on after what an earlier process signed.
    pub(crate) fn resume(&mut self, last_signed: u64) {
        self.last_signed = self.last_signed.max(last_signed);
        self.last_timely = self.last_timely.max(last_signed);
    }

    /// Goes on after what an earlier process subscribed with.
    pub(crate) fn resume_subscribing(&mut self, last_subscribed: u64) {
        self.last_subscribed = self.last_subscribed.max(last_subscribed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Span;

    #[test]
    fn signed_nonces_grow_though_the_clock_stands_still_or_goes_back() {
        let mut nonces = Nonces::new([1; 32]);
        let drawn = [5, 5, 3, 9].map(|at| nonces.growing(Timestamp(at)).0);
        assert_eq!(drawn, [5, 6, 7, 9]);
        nonces.resume(100);
        assert_eq!(nonces.growing(Timestamp(10)), Nonce(101));
    }

    #[test]
    fn after_a_clock_far_ahead_is_set_right_peers_take_our_nonces_again() {
        let (ahead, right) = (Timestamp(10_000_000_000), Timestamp(1_000_000_000));
        let mut before = Nonces::new([1; 32]);
        before.timely(ahead);
        let mut nonces = Nonces::new([2; 32]);
        nonces.resume(before.last_signed());
        // Who holds the last nonce only, whatever the clock says, is told none that is lower.
        assert!(nonces.growing(right) > Nonce(ahead.0));
        assert_eq!(nonces.timely(right), Nonce(right.0));
        assert_eq!(nonces.timely(right), Nonce(right.0 + 1));
        // A little ahead it goes on, for that they have taken.
        nonces.timely(right + WINDOW);
        assert_eq!(nonces.timely(right), Nonce((right + WINDOW).0 + 1));
    }

    #[test]
    fn nonces_of_subscriptions_grow_with_and_without_the_clock_and_after_a_restart() {
        let mut nonces = Nonces::new([1; 32]);
        let now = Timestamp(1_763_000_000_000_000);
        let drawn: Vec<_> = [0, 0, 5_000_000, 4_000_000]
            .map(|later| nonces.subscribing(now + Span(later)))
            .into();
        assert!(drawn.is_sorted_by(|a, b| a < b), "{drawn:?}");
        let mut after = Nonces::new([2; 32]);
        after.resume_subscribing(nonces.last_subscribed());
        assert!(after.subscribing(now) > drawn[3]);
    }

    #[test]
    fn random_nonces_depend_on_the_seed_and_do_not_repeat() {
        let draw = |seed| {
            let mut nonces = Nonces::new(seed);
            (0..1000)
                .map(|_| nonces.random().0)
                .collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(draw([1; 32]).len(), 1000);
        assert_eq!(draw([1; 32]), draw([1; 32]));
        assert!(draw([1; 32]).is_disjoint(&draw([2; 32])));
    }
}

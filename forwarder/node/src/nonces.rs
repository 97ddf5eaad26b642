//! Nonces: unpredictable ones that tie replies to requests, and growing ones that order what is signed.

use lisp_wire::Nonce;
use proto::Timestamp;
use sha2::{Digest, Sha256};

/// A source of nonces. The same seed gives the same nonces, so that tests repeat.
pub(crate) struct Nonces {
    seed: [u8; 32],
    drawn: u64,
    last_signed: u64,
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

    /// A number below `bound`; 0 if `bound` is.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random().0.checked_rem(bound).unwrap_or(0)
    }

    /// A nonce above every one signed before: microseconds of the epoch, or one more than the last.
    pub(crate) fn growing(&mut self, now: Timestamp) -> Nonce {
        self.last_signed = now.micros().max(self.last_signed.saturating_add(1));
        Nonce(self.last_signed)
    }

    /// The last one signed.
    pub(crate) fn last_signed(&self) -> u64 {
        self.last_signed
    }

    /// Goes on after what an earlier process signed.
    pub(crate) fn resume(&mut self, last_signed: u64) {
        self.last_signed = self.last_signed.max(last_signed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_nonces_grow_though_the_clock_stands_still_or_goes_back() {
        let mut nonces = Nonces::new([1; 32]);
        let drawn = [5, 5, 3, 9].map(|at| nonces.growing(Timestamp(at)).0);
        assert_eq!(drawn, [5, 6, 7, 9]);
        nonces.resume(100);
        assert_eq!(nonces.growing(Timestamp(10)), Nonce(101));
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

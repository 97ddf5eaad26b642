//! Replay protection of Change-Priority: each message of a sender is taken once, in order, and soon after it was made.

use std::collections::BTreeMap;

use lisp_wire::Nonce;
use proto::{Span, Timestamp};

use crate::counters::Counter;
use crate::state::{Sender, SenderNonce};

/// A nonce is the sender's clock in microseconds; it may differ from ours by this much.
///
/// Known senders are held to it too: a message that was held back on its way would else be taken whenever its sender
/// has nothing newer to say.
pub(crate) const WINDOW: Span = Span::secs(300);
/// At most this many senders. Only holders of a key can add to them.
const MOST_SENDERS: usize = 65_536;

/// The last nonce of each sender.
#[derive(Debug, Default)]
pub(crate) struct ReplayGuard {
    last: BTreeMap<Sender, Nonce>,
}

impl ReplayGuard {
    /// Whether a message may be taken. It is not noted yet.
    ///
    /// # Errors
    /// The counter to count the refusal under.
    pub(crate) fn check(&self, sender: Sender, nonce: Nonce, now: Timestamp) -> Result<(), Counter> {
        if Timestamp(nonce.0) + WINDOW < now || Timestamp(nonce.0) > now + WINDOW {
            return Err(Counter::Stale);
        }
        match self.last.get(&sender) {
            Some(last) if nonce <= *last => Err(Counter::Replay),
            None if self.last.len() >= MOST_SENDERS => Err(Counter::Full),
            Some(_) | None => Ok(()),
        }
    }

    /// Notes that a message was taken.
    pub(crate) fn note(&mut self, sender: Sender, nonce: Nonce) {
        self.last.insert(sender, nonce);
    }

    /// Whether this is the last message taken of its sender, once more.
    pub(crate) fn is_last(&self, sender: Sender, nonce: Nonce) -> bool {
        self.last.get(&sender) == Some(&nonce)
    }

    /// What must outlive the process.
    pub(crate) fn nonces(&self) -> Vec<SenderNonce> {
        self.last
            .iter()
            .map(|(sender, nonce)| SenderNonce {
                sender: *sender,
                nonce: nonce.0,
            })
            .collect()
    }

    /// Goes on from what an earlier process had seen.
    pub(crate) fn resume(&mut self, nonces: &[SenderNonce]) {
        for SenderNonce { sender, nonce } in nonces {
            let last = self.last.entry(*sender).or_insert(Nonce(0));
            *last = Nonce(*nonce).max(*last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lisp_wire::message::XtrId;

    #[test]
    fn a_nonce_is_taken_once_in_order_and_in_time() {
        let (sender, now) = (Sender::Xtr(1, XtrId(7)), Timestamp(1_000_000_000));
        let mut guard = ReplayGuard::default();
        assert_eq!(guard.check(sender, Nonce(now.0 - 300_000_000), now), Ok(()));
        assert_eq!(
            guard.check(sender, Nonce(now.0 - 300_000_001), now),
            Err(Counter::Stale)
        );
        assert_eq!(
            guard.check(sender, Nonce(now.0 + 300_000_001), now),
            Err(Counter::Stale)
        );
        guard.note(sender, Nonce(now.0));
        assert_eq!(guard.check(sender, Nonce(now.0), now), Err(Counter::Replay));
        assert_eq!(guard.check(sender, Nonce(now.0 - 1), now), Err(Counter::Replay));
        assert_eq!(guard.check(sender, Nonce(now.0 + 1), now), Ok(()));
        for other in [Sender::Xtr(1, XtrId(8)), Sender::Xtr(2, XtrId(7))] {
            assert_eq!(guard.check(other, Nonce(now.0), now), Ok(()), "{other:?}");
        }
    }

    #[test]
    fn what_was_seen_is_still_known_after_a_restart() {
        let (sender, now) = (Sender::Xtr(1, XtrId(7)), Timestamp(1_000_000_000));
        let mut before = ReplayGuard::default();
        before.note(sender, Nonce(now.0));
        let mut after = ReplayGuard::default();
        after.resume(&before.nonces());
        assert_eq!(after.check(sender, Nonce(now.0), now), Err(Counter::Replay));
    }
}

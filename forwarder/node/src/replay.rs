//! Replay protection of Change-Priority: each message of a sender is taken once, in order, and soon after it was made.

use std::collections::{BTreeMap, BTreeSet};

use lisp_wire::Nonce;
use proto::{Span, Timestamp};

use crate::counters::Counter;
use crate::state::{Sender, SenderNonce};

/// A nonce is the sender's clock in microseconds; it may differ from ours by this much.
///
/// Known senders are held to it too: a message that was held back on its way would else be taken whenever its sender
/// has nothing newer to say.
pub(crate) const WINDOW: Span = Span::secs(300);
/// At most this many senders. Only holders of a key can add to them, by naming themselves as they like.
const MOST_SENDERS: usize = 65_536;
/// At most this many of one key, so that who holds one, as clients do, takes no room from the holders of another.
const MOST_OF_A_KEY: usize = 16_384;

/// The last nonce of each sender.
///
/// One that is older than the [`WINDOW`] is forgotten: without it such nonces are refused as well.
#[derive(Debug, Default)]
pub(crate) struct ReplayGuard {
    last: BTreeMap<Sender, Nonce>,
    by_age: BTreeSet<(Nonce, Sender)>,
    of_key: BTreeMap<u8, usize>,
    /// The highest of those forgotten. Should the clock be set back, those before it are still not taken.
    forgotten: Option<Nonce>,
}

impl ReplayGuard {
    /// Whether a message may be taken. It is not noted yet.
    ///
    /// # Errors
    /// The counter to count the refusal under.
    pub(crate) fn check(&mut self, sender: Sender, nonce: Nonce, now: Timestamp) -> Result<(), Counter> {
        if Timestamp(nonce.0) + WINDOW < now || Timestamp(nonce.0) > now + WINDOW {
            return Err(Counter::Stale);
        }
        self.forget_before(now);
        let of_key = self.of_key.get(&sender.key()).copied().unwrap_or_default();
        match self.last.get(&sender) {
            Some(last) if nonce <= *last => Err(Counter::Replay),
            None if Some(nonce) <= self.forgotten => Err(Counter::Replay),
            None if self.last.len() >= MOST_SENDERS || of_key >= MOST_OF_A_KEY => Err(Counter::Full),
            Some(_) | None => Ok(()),
        }
    }

    /// Notes that a message was taken.
    pub(crate) fn note(&mut self, sender: Sender, nonce: Nonce) {
        match self.last.insert(sender, nonce) {
            Some(before) => drop(self.by_age.remove(&(before, sender))),
            None => *self.of_key.entry(sender.key()).or_default() += 1,
        }
        self.by_age.insert((nonce, sender));
    }

    fn forget_before(&mut self, now: Timestamp) {
        while let Some((nonce, sender)) = self.by_age.first().copied() {
            if Timestamp(nonce.0) + WINDOW >= now {
                return;
            }
            self.by_age.pop_first();
            self.last.remove(&sender);
            self.forgotten = self.forgotten.max(Some(nonce));
            if let Some(count) = self.of_key.get_mut(&sender.key()) {
                *count = count.saturating_sub(1);
            }
        }
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
            let known = self.last.get(sender).copied().unwrap_or(Nonce(0));
            self.note(*sender, Nonce(*nonce).max(known));
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
    fn invented_senders_are_forgotten_with_their_time_and_take_no_room_from_other_keys() {
        let mut guard = ReplayGuard::default();
        let start = Timestamp(1_000_000_000);
        let take = |guard: &mut ReplayGuard, sender, now: Timestamp| {
            let taken = guard.check(sender, Nonce(now.0), now);
            if taken.is_ok() {
                guard.note(sender, Nonce(now.0));
            }
            taken
        };
        for number in 0..MOST_OF_A_KEY as u128 {
            assert_eq!(take(&mut guard, Sender::Xtr(1, XtrId(number)), start), Ok(()));
        }
        let another = Sender::Xtr(1, XtrId(u128::MAX));
        assert_eq!(take(&mut guard, another, start), Err(Counter::Full));
        // The same sender again takes no more room, and a holder of another key has room of its own.
        assert_eq!(
            take(&mut guard, Sender::Xtr(1, XtrId(3)), start + Span(1)),
            Ok(())
        );
        assert_eq!(take(&mut guard, Sender::Xtr(2, XtrId(7)), start), Ok(()));
        let later = start + WINDOW + Span(2);
        assert_eq!(take(&mut guard, another, later), Ok(()));
        assert_eq!(guard.nonces().len(), 1);
        // Should the clock be set back, what was forgotten is not taken again.
        let replayed = guard.check(Sender::Xtr(1, XtrId(3)), Nonce(start.0 + 1), start);
        assert_eq!(replayed, Err(Counter::Replay));
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

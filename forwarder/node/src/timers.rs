//! When each thing is due: one deadline a key, the earliest first.

use std::collections::{BTreeMap, BTreeSet};

use proto::Timestamp;

/// Deadlines of keys.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    by_key: BTreeMap<K, Timestamp>,
    by_time: BTreeSet<(Timestamp, K)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self {
            by_key: BTreeMap::new(),
            by_time: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Sets the one deadline of `key`.
    pub(crate) fn set(&mut self, key: K, at: Timestamp) {
        self.cancel(&key);
        self.by_key.insert(key, at);
        self.by_time.insert((at, key));
    }

    /// Takes the deadline of `key` away.
    pub(crate) fn cancel(&mut self, key: &K) {
        if let Some(at) = self.by_key.remove(key) {
            self.by_time.remove(&(at, *key));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// The deadline of `key`.
    pub(crate) fn of(&self, key: &K) -> Option<Timestamp> {
        self.by_key.get(key).copied()
    }

    /// How many keys have a deadline.
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The key that is due first, whether its time has come or not.
    pub(crate) fn first(&self) -> Option<K> {
        self.by_time.first().map(|(_, key)| *key)
    }

    /// Takes one key whose time has come.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.cancel(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_due_in_the_order_of_their_last_set_deadline() {
        let mut timers = Timers::default();
        timers.set('a', Timestamp(5));
        timers.set('b', Timestamp(3));
        timers.set('a', Timestamp(1));
        timers.set('c', Timestamp(2));
        timers.cancel(&'c');
        assert_eq!(timers.next(), Some(Timestamp(1)));
        assert_eq!(timers.pop_due(Timestamp(4)), Some('a'));
        assert_eq!(timers.pop_due(Timestamp(2)), None);
        assert_eq!(timers.pop_due(Timestamp(4)), Some('b'));
        assert_eq!(timers.next(), None);
    }
}

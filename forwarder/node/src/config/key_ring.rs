//! Several keys for one purpose, so that one can replace another while nothing stops.

use lisp_wire::Key;

/// Keys shared with the same peers: the first signs, all are believed.
///
/// To replace a key: each side adds the new one before the old, in any order and at any time; when both have it, the old
/// one is taken away. In between a message under a key that its receiver has not got is repeated under the next.
#[derive(Clone, Debug)]
pub struct KeyRing {
    keys: Vec<Key>,
}

impl KeyRing {
    /// A ring of these; `None` where there are none.
    pub fn new(keys: Vec<Key>) -> Option<Self> {
        (!keys.is_empty()).then_some(Self { keys })
    }

    /// All, to verify with.
    pub fn all(&self) -> &[Key] {
        &self.keys
    }

    /// The key to sign the attempt of this number with, from 0: the first key first, then the others in turn.
    pub fn signing(&self, attempt: usize) -> Option<&Key> {
        self.keys.get(attempt.checked_rem(self.keys.len()).unwrap_or(0))
    }
}

impl From<Key> for KeyRing {
    fn from(key: Key) -> Self {
        Self { keys: vec![key] }
    }
}

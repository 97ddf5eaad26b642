//! A persistent binary trie with compressed paths: a change copies the nodes on its path and shares the rest.

use std::sync::Arc;

/// A bit string of at most 128 bits, left-aligned in a word; the bits past `length` are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    bits: u128,
    length: u8,
}

impl Key {
    /// The first `length` bits of `bits`.
    pub(crate) fn new(bits: u128, length: u8) -> Self {
        Self {
            bits: bits & mask(length),
            length,
        }
    }

    fn common(&self, other: &Self) -> u8 {
        let same = (self.bits ^ other.bits).leading_zeros().min(128) as u8;
        same.min(self.length).min(other.length)
    }

    fn bit(&self, index: u8) -> usize {
        usize::from((self.bits << index) >> 127 == 1)
    }

    fn starts_with(&self, prefix: &Self) -> bool {
        prefix.length <= self.length && self.bits & mask(prefix.length) == prefix.bits
    }
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

/// From bit strings to values. Cloning shares everything.
#[derive(Debug)]
pub(crate) struct Trie<V> {
    root: Option<Arc<Node<V>>>,
}

impl<V> Clone for Trie<V> {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
        }
    }
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

#[derive(Debug)]
struct Node<V> {
    key: Key,
    value: Option<Arc<V>>,
    children: [Option<Arc<Node<V>>>; 2],
}

impl<V> Clone for Node<V> {
    fn clone(&self) -> Self {
        Self {
            key: self.key,
            value: self.value.clone(),
            children: self.children.clone(),
        }
    }
}

impl<V> Trie<V> {
    /// The value at the longest key that `key` starts with.
    pub(crate) fn longest(&self, key: Key) -> Option<&Arc<V>> {
        let mut best = None;
        let mut next = self.root.as_ref();
        while let Some(node) = next {
            if !key.starts_with(&node.key) {
                break;
            }
            best = node.value.as_ref().or(best);
            if node.key.length == key.length {
                break;
            }
            next = node.children[key.bit(node.key.length)].as_ref();
        }
        best
    }

    /// The value at exactly this key.
    pub(crate) fn get(&self, key: Key) -> Option<&Arc<V>> {
        let mut next = self.root.as_ref();
        while let Some(node) = next {
            if !key.starts_with(&node.key) {
                return None;
            }
            if node.key.length == key.length {
                return node.value.as_ref();
            }
            next = node.children[key.bit(node.key.length)].as_ref();
        }
        None
    }

    /// Puts a value at a key; the one that stood there comes back.
    pub(crate) fn insert(&mut self, key: Key, value: Arc<V>) -> Option<Arc<V>> {
        insert_at(&mut self.root, key, value)
    }

    /// Takes the value at a key away.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Arc<V>> {
        self.get(key)?; // nothing is copied for a key that is not there
        remove_at(&mut self.root, key)
    }

    /// Whether there is no value at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// All values, in the order of their keys, a prefix before what it covers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<V>> {
        let mut stack: Vec<&Arc<Node<V>>> = self.root.iter().collect();
        std::iter::from_fn(move || {
            loop {
                let node = stack.pop()?;
                stack.extend(node.children.iter().rev().flatten());
                if let Some(value) = &node.value {
                    return Some(value);
                }
            }
        })
    }
}

fn insert_at<V>(slot: &mut Option<Arc<Node<V>>>, key: Key, value: Arc<V>) -> Option<Arc<V>> {
    let Some(node) = slot else {
        *slot = Some(Arc::new(Node {
            key,
            value: Some(value),
            children: [None, None],
        }));
        return None;
    };
    let common = node.key.common(&key);
    if common == node.key.length {
        let node = Arc::make_mut(node);
        return if common == key.length {
            node.value.replace(value)
        } else {
            insert_at(&mut node.children[key.bit(common)], key, value)
        };
    }
    // The key leaves the compressed path: a new node stands where they part.
    let mut children = [None, None];
    children[node.key.bit(common)] = Some(Arc::clone(node));
    let parting = if common == key.length {
        Node {
            key,
            value: Some(value),
            children,
        }
    } else {
        children[key.bit(common)] = Some(Arc::new(Node {
            key,
            value: Some(value),
            children: [None, None],
        }));
        Node {
            key: Key::new(key.bits, common),
            value: None,
            children,
        }
    };
    *slot = Some(Arc::new(parting));
    None
}

fn remove_at<V>(slot: &mut Option<Arc<Node<V>>>, key: Key) -> Option<Arc<V>> {
    let node = Arc::make_mut(slot.as_mut()?);
    let removed = if node.key == key {
        node.value.take()
    } else {
        remove_at(&mut node.children[key.bit(node.key.length)], key)
    };
    // A node without a value must part two ways, else the path over it is compressed again.
    if node.value.is_none() {
        match &mut node.children {
            [Some(_), Some(_)] => {}
            [only, None] | [None, only] => *slot = only.take(),
        }
    }
    removed
}

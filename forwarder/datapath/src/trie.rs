//! A persistent tree bitmap: six bits a level, levels without a choice left out.
//!
//! A node stands for the keys that begin with its bits. It holds the values of the keys up to five bits longer, each at
//! its place in a heap of 63, and a child for each of the 64 ways to go on by six bits, where there is one. Two bitmaps
//! say which are there; a count of the bits below gives the index, so that nothing is stored for what is not. Children
//! lie side by side with all that a lookup needs of them: one level costs one look at memory.
//!
//! A change copies the arrays on its way, at most 64 children each, and shares the rest; where nobody else holds an
//! array it is changed where it lies.

use std::sync::Arc;

/// Bits a level.
const STRIDE: u8 = 6;

/// For each six bits, the places of the keys that they begin with, in a node's heap.
const ANCESTORS: [u64; 64] = {
    let mut table = [0; 64];
    let mut chunk = 0;
    while chunk < 64 {
        let mut length = 0;
        while length < STRIDE {
            table[chunk] |= 1 << ((1 << length) | (chunk >> (STRIDE - length)));
            length += 1;
        }
        chunk += 1;
    }
    table
};

/// What keys are made of: a bit string, left-aligned.
pub(crate) trait Word: Copy + Eq {
    /// The six bits that follow the first `depth`; zeros where there are no more.
    fn chunk(self, depth: u8) -> usize;
    /// The first `length` bits; the others zero.
    fn masked(self, length: u8) -> Self;
    /// How many leading bits are the same.
    fn common(self, other: Self) -> u8;
}

macro_rules! word {
    ($word:ty) => {
        impl Word for $word {
            fn chunk(self, depth: u8) -> usize {
                (self.checked_shl(u32::from(depth)).unwrap_or(0) >> (Self::BITS - u32::from(STRIDE))) as usize
            }

            fn masked(self, length: u8) -> Self {
                self & Self::MAX
                    .checked_shl(Self::BITS.saturating_sub(u32::from(length)))
                    .unwrap_or(0)
            }

            fn common(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }
        }
    };
}

word!(u32);
word!(u128);

/// The first `length` bits of a word; the others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<W> {
    bits: W,
    length: u8,
}

impl<W: Word> Key<W> {
    /// The first `length` bits of `bits`.
    pub(crate) fn new(bits: W, length: u8) -> Self {
        Self {
            bits: bits.masked(length),
            length,
        }
    }

    /// How deep the node lies that holds it.
    fn depth(&self) -> u8 {
        self.length - self.length % STRIDE
    }
}

/// From bit strings to values. Cloning shares everything.
#[derive(Debug)]
pub(crate) struct Trie<W, V> {
    root: Node<W, V>,
}

impl<W: Word, V> Clone for Trie<W, V> {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
        }
    }
}

impl<W: Word + Default, V> Default for Trie<W, V> {
    fn default() -> Self {
        Self {
            root: Node::new(Key::new(W::default(), 0)),
        }
    }
}

#[derive(Debug)]
struct Node<W, V> {
    /// Which values there are, by their places in the heap: 1 for the node's own bits, 2 and 3 for one bit more...
    places: u64,
    /// Which children there are, by their next six bits.
    branches: u64,
    values: Option<Arc<[Arc<V>]>>,
    children: Option<Arc<[Node<W, V>]>>,
    /// What all keys within begin with, this many bits of it: a multiple of the stride.
    bits: W,
    depth: u8,
}

impl<W: Word, V> Clone for Node<W, V> {
    fn clone(&self) -> Self {
        Self {
            places: self.places,
            branches: self.branches,
            values: self.values.clone(),
            children: self.children.clone(),
            bits: self.bits,
            depth: self.depth,
        }
    }
}

impl<W: Word, V> Trie<W, V> {
    /// The value at the longest key that `bits`, all of them, begin with.
    pub(crate) fn longest(&self, bits: W) -> Option<&Arc<V>> {
        let mut node = &self.root;
        let mut best = None;
        while bits.masked(node.depth) == node.bits {
            let chunk = bits.chunk(node.depth);
            let places = node.places & ANCESTORS.get(chunk).copied().unwrap_or(0);
            if places != 0 {
                best = Some((node, places));
            }
            let Some(child) = node.child(chunk) else { break };
            node = child;
        }
        let (node, places) = best?;
        node.value(places.ilog2())
    }

    /// The value at exactly this key.
    pub(crate) fn get(&self, key: Key<W>) -> Option<&Arc<V>> {
        let mut node = &self.root;
        while key.bits.masked(node.depth) == node.bits && node.depth < key.depth() {
            node = node.child(key.bits.chunk(node.depth))?;
        }
        (key.bits.masked(node.depth) == node.bits && node.depth == key.depth())
            .then(|| node.value(node.place(key)))
            .flatten()
    }

    /// The value at exactly this key, to be changed; copied first if anybody else holds it.
    pub(crate) fn get_mut(&mut self, key: Key<W>) -> Option<&mut V>
    where
        V: Clone,
    {
        self.get(key)?; // nothing is copied for a key that is not there
        let mut node = &mut self.root;
        while node.depth < key.depth() {
            node = node.child_mut(key.bits.chunk(node.depth))?;
        }
        let index = rank(node.places, node.place(key));
        let values = Arc::make_mut(node.values.as_mut()?);
        values.get_mut(index).map(Arc::make_mut)
    }

    /// Puts a value at a key; the one that stood there comes back.
    pub(crate) fn insert(&mut self, key: Key<W>, value: Arc<V>) -> Option<Arc<V>> {
        self.root.insert(key, value)
    }

    /// Takes the value at a key away.
    pub(crate) fn remove(&mut self, key: Key<W>) -> Option<Arc<V>> {
        self.get(key)?; // nothing is copied for a key that is not there
        self.root.remove(key)
    }

    /// Whether there is no value at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// All values, in the order of their keys, a prefix before what it covers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<V>> {
        let mut stack = Vec::new();
        self.root.push_in_reverse(&mut stack);
        std::iter::from_fn(move || {
            loop {
                match stack.pop()? {
                    Item::Value(value) => return Some(value),
                    Item::Node(node) => node.push_in_reverse(&mut stack),
                }
            }
        })
    }
}

/// What a node holds, for a walk.
enum Item<'a, W, V> {
    Value(&'a Arc<V>),
    Node(&'a Node<W, V>),
}

impl<W: Word, V> Node<W, V> {
    /// The node that holds `key`, without any value yet.
    fn new(key: Key<W>) -> Self {
        let depth = key.depth();
        Self {
            places: 0,
            branches: 0,
            values: None,
            children: None,
            bits: key.bits.masked(depth),
            depth,
        }
    }

    fn is_empty(&self) -> bool {
        self.places == 0 && self.branches == 0
    }

    fn child(&self, chunk: usize) -> Option<&Self> {
        if self.branches >> chunk & 1 == 0 {
            return None;
        }
        self.children.as_ref()?.get(rank(self.branches, chunk as u32))
    }

    fn child_mut(&mut self, chunk: usize) -> Option<&mut Self> {
        let index = rank(self.branches, chunk as u32);
        Arc::make_mut(self.children.as_mut()?).get_mut(index)
    }

    fn value(&self, place: u32) -> Option<&Arc<V>> {
        if self.places >> place & 1 == 0 {
            return None;
        }
        self.values.as_ref()?.get(rank(self.places, place))
    }

    /// Where the value of a key stands that belongs in this node.
    fn place(&self, key: Key<W>) -> u32 {
        let longer = key.length - self.depth;
        let chunk = key.bits.chunk(self.depth);
        (1 << longer) | (chunk >> (STRIDE - longer)) as u32
    }

    fn insert(&mut self, key: Key<W>, value: Arc<V>) -> Option<Arc<V>> {
        if key.depth() == self.depth {
            let place = self.place(key);
            let index = rank(self.places, place);
            if self.places >> place & 1 == 1 {
                let values = Arc::make_mut(self.values.as_mut()?);
                return values.get_mut(index).map(|old| std::mem::replace(old, value));
            }
            self.places |= 1 << place;
            insert_at(&mut self.values, index, value);
            return None;
        }
        let chunk = key.bits.chunk(self.depth);
        if self.branches >> chunk & 1 == 0 {
            let mut child = Self::new(key);
            child.insert(key, value);
            insert_at(&mut self.children, rank(self.branches, chunk as u32), child);
            self.branches |= 1 << chunk;
            return None;
        }
        let child = self.child_mut(chunk)?;
        let common = child.bits.common(key.bits).min(key.length);
        if common < child.depth {
            // The key leaves the way that was left out: a new node stands where they part.
            let parting = Self::new(Key::new(key.bits, common));
            let chunk = child.bits.chunk(parting.depth);
            let below = std::mem::replace(child, parting);
            child.branches = 1 << chunk;
            child.children = Some(Arc::from([below]));
        }
        child.insert(key, value)
    }

    fn remove(&mut self, key: Key<W>) -> Option<Arc<V>> {
        if key.depth() == self.depth {
            let place = self.place(key);
            let removed = remove_at(&mut self.values, rank(self.places, place));
            self.places &= !(1 << place);
            return removed;
        }
        let chunk = key.bits.chunk(self.depth);
        let child = self.child_mut(chunk)?;
        let removed = child.remove(key);
        // A node without values must part two ways, else the way over it is left out again.
        if child.places == 0 && child.branches.is_power_of_two() {
            if let Some(only) = child.children.as_ref().and_then(|below| below.first()).cloned() {
                *child = only;
            }
        } else if child.is_empty() {
            remove_at(&mut self.children, rank(self.branches, chunk as u32));
            self.branches &= !(1 << chunk);
        }
        removed
    }

    /// Values and children, the last one first.
    fn push_in_reverse<'a>(&'a self, stack: &mut Vec<Item<'a, W, V>>) {
        let begin = stack.len();
        let values = self.values.iter().flat_map(|values| values.iter());
        let children = self.children.iter().flat_map(|children| children.iter());
        let of_value = bits(self.places).map(|place| {
            let longer = place.ilog2();
            let first = (place - (1 << longer)) << (u32::from(STRIDE) - longer);
            (first, longer)
        });
        // A child comes after all values that cover it.
        let of_child = bits(self.branches).map(|chunk| (chunk, u32::from(STRIDE)));
        let mut items: Vec<_> = of_value.zip(values.map(Item::Value)).collect();
        items.extend(of_child.zip(children.map(Item::Node)));
        items.sort_by_key(|(order, _)| *order);
        stack.extend(items.into_iter().map(|(_, item)| item));
        if let Some(pushed) = stack.get_mut(begin..) {
            pushed.reverse();
        }
    }
}

/// How many bits are set below this one.
fn rank(bitmap: u64, bit: u32) -> usize {
    (bitmap & !(u64::MAX << bit)).count_ones() as usize
}

/// The numbers of the bits that are set.
fn bits(bitmap: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |bit| bitmap >> bit & 1 == 1)
}

fn insert_at<T: Clone>(array: &mut Option<Arc<[T]>>, index: usize, item: T) {
    let old = array.as_deref().unwrap_or_default();
    let (before, after) = old.split_at(index.min(old.len()));
    let new = before.iter().cloned().chain([item]).chain(after.iter().cloned());
    *array = Some(new.collect());
}

fn remove_at<T: Clone>(array: &mut Option<Arc<[T]>>, index: usize) -> Option<T> {
    let old = array.as_deref()?;
    let removed = old.get(index)?.clone();
    let left = old.iter().enumerate().filter(|(at, _)| *at != index);
    let new: Arc<[T]> = left.map(|(_, item)| item.clone()).collect();
    *array = (!new.is_empty()).then_some(new);
    Some(removed)
}

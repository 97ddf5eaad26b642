//! The last messages of one sort, within bounds.

use std::collections::VecDeque;

use super::Entry;

/// Counted for each entry beside its bytes.
const OVERHEAD: usize = size_of::<Entry>();

#[derive(Debug)]
pub(super) struct Ring {
    /// By their numbers.
    entries: VecDeque<Entry>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
    /// The highest number that had to make room; 0 if none had.
    gone: u64,
}

impl Ring {
    pub(super) const fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            most,
            most_bytes,
            gone: 0,
        }
    }

    /// Takes an entry in; the oldest make room.
    pub(super) fn keep(&mut self, entry: Entry) {
        self.bytes += entry.bytes.len() + OVERHEAD;
        // What was said while a message was handled has a higher number, and is here already.
        let later = self.entries.iter().rev();
        let at = self.entries.len() - later.take_while(|other| other.number > entry.number).count();
        self.entries.insert(at, entry);
        while self.entries.len() > self.most || self.bytes > self.most_bytes {
            let Some(oldest) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes.len() + OVERHEAD;
            self.gone = self.gone.max(oldest.number);
        }
    }

    /// What follows a number.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = &Entry> {
        let first = self.entries.partition_point(|entry| entry.number <= number);
        self.entries.range(first..)
    }

    pub(super) const fn gone(&self) -> u64 {
        self.gone
    }

    #[cfg(test)]
    pub(super) fn weight(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }
}

//! The samples of one link, in as little room as what they are for allows: those within the window to the microsecond,
//! since decisions are made on them, and those of the history as exactly as somebody can see.

mod exact;
mod past;
#[cfg(test)]
mod tests;
mod written;

use proto::{Span, Timestamp};

use super::outcome::Outcome;
use crate::config::MOST_PROBES;
use exact::{Exact, Reader};
use past::{Bits, Learnt, Place};
pub(super) use written::{Misfit, Written};

/// How far back histories go.
pub(crate) const HISTORY: Span = Span::secs(120);
/// Points in a history, at most.
pub(crate) const POINTS: usize = 240;
/// Samples of one window, whatever is reported: those of the longest there may be, and the one at its other end.
const MOST: usize = MOST_PROBES as usize + 1;

/// An outcome, and when it became known.
pub(crate) type Sample = (Timestamp, Outcome);

/// Outcomes in the order they became known.
///
/// All of them are in one piece of memory: first the bits of those that left the window, then, perhaps after a few
/// spare bytes, the bytes of those within it, and a few spare ones again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ring {
    bytes: Box<[u8]>,
    /// The first and the last bit of the past.
    head: u16,
    tail: u16,
    /// The first and the last byte of the window.
    from: u16,
    to: u16,
    /// Before the first sample of the past, and after its last, so many units later.
    front_at: Timestamp,
    back_after: u32,
    front: Learnt,
    back: Learnt,
    /// The window's first sample.
    first_at: Timestamp,
    /// The last sample there was.
    last_at: Timestamp,
    /// The round trip before the window's first sample, and its last.
    base: u32,
    last: u32,
    /// Usual time between samples, microseconds.
    pace: u32,
    in_window: u16,
    in_past: u8,
}

impl Ring {
    /// Bytes of its samples.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len()
    }

    /// Takes a sample in and forgets those that neither the window nor the history needs. Samples come `pace` apart as
    /// a rule.
    pub(crate) fn push(&mut self, outcome: Outcome, now: Timestamp, (window, pace): (Span, Span)) {
        let gap = u32::try_from(now.since(self.last_at).micros()).unwrap_or(u32::MAX);
        if gap == u32::MAX {
            *self = Self::default();
        }
        self.append((gap, now), outcome, pace);
        while self.in_window > 1 && (usize::from(self.in_window) > MOST || now.since(self.first_at) > window)
        {
            self.retire();
            self.forget(now);
        }
        self.forget(now);
    }

    /// When the last sample became known.
    pub(crate) fn last_at(&self) -> Option<Timestamp> {
        (usize::from(self.in_window) + usize::from(self.in_past) > 0).then_some(self.last_at)
    }

    /// The window's samples from a moment on, oldest first.
    pub(crate) fn since(&self, from: Timestamp) -> Vec<Sample> {
        let mut samples = Vec::with_capacity(self.in_window.into());
        samples.extend(self.window().filter(|&(at, _)| at >= from));
        samples
    }

    /// All samples, oldest first; those older than the window as they are written.
    pub(crate) fn all(&self) -> Vec<Sample> {
        let mut samples = Vec::with_capacity(POINTS.max(self.in_window.into()));
        samples.extend(self.past());
        samples.extend(self.window());
        samples
    }

    /// Puts an outcome in the place of one that `back` others followed; false if that is forgotten already.
    pub(crate) fn replace(&mut self, back: usize, outcome: Outcome) -> bool {
        let mut window: Vec<Sample> = self.window().collect();
        if let Some(sample) = window.iter_mut().rev().nth(back) {
            sample.1 = outcome;
            self.to = self.from;
            self.in_window = 0;
            self.last = self.base;
            self.append_all(&window);
            return true;
        }
        let mut past: Vec<Sample> = self.past().collect();
        match past.iter_mut().rev().nth(back - window.len()) {
            Some(sample) => sample.1 = outcome,
            None => return false,
        }
        let mut ring = Self {
            pace: self.pace,
            ..Self::default()
        };
        ring.append_all(&past);
        ring.retire_all();
        ring.last_at = self.last_at;
        ring.append_all(&window);
        *self = ring;
        true
    }

    /// No sample from before a moment is within the window any more; the history stays.
    pub(crate) fn retire_before(&mut self, at: Timestamp) {
        while self.in_window > 0 && self.first_at < at {
            self.retire();
            self.forget(self.last_at);
        }
    }

    /// What left the window before the last sample came is not within it.
    pub(crate) fn fit(&mut self, window: Span) {
        while self.in_window > 1 && self.last_at.since(self.first_at) > window {
            self.retire();
            self.forget(self.last_at);
        }
    }

    /// No sample is within the window any more; the history stays.
    pub(crate) fn retire_all(&mut self) {
        self.retire_before(Timestamp(u64::MAX));
    }

    fn append_all(&mut self, samples: &[Sample]) {
        let pace = Span(self.pace.into());
        for &(at, outcome) in samples {
            let gap = u32::try_from(at.since(self.last_at).micros()).unwrap_or(u32::MAX);
            self.append((gap, at), outcome, pace);
        }
    }

    /// Behind the window's last.
    fn append(&mut self, (gap, now): (u32, Timestamp), outcome: Outcome, pace: Span) {
        if self.in_window == 0 {
            self.first_at = now;
            self.base = self.last;
            self.pace = u32::try_from(pace.micros()).unwrap_or(u32::MAX);
        }
        let exact = Exact::new((gap, self.pace), outcome, self.last);
        self.make_room((0, exact.bytes().len()));
        let to = usize::from(self.to);
        self.bytes[to..to + exact.bytes().len()].copy_from_slice(exact.bytes());
        self.to += exact.bytes().len() as u16;
        self.last = outcome.at_least().unwrap_or(self.last);
        self.last_at = now;
        self.in_window += 1;
    }

    /// The window's first sample becomes the past's last.
    fn retire(&mut self) {
        let (at, pace) = (self.first_at, self.pace);
        let mut reader = self.reader();
        reader.gap();
        let outcome = reader.outcome();
        let (read, base) = (reader.read(), reader.base());
        let next = if self.in_window > 1 { reader.gap() } else { 0 };
        self.from += read as u16;
        self.base = base;
        self.first_at = at + Span(next.into());
        self.in_window -= 1;
        if self.in_past == 0 {
            self.begin_past(at, pace);
        }
        let mut back = self.back();
        let bits = back.write((at, next), outcome).or_else(|| {
            self.begin_past(at, pace);
            back = self.back();
            back.write((at, next), outcome)
        });
        if let Some(bits) = bits {
            self.store(bits);
            self.set_past(self.front(), back);
            self.in_past += 1;
        }
    }

    fn begin_past(&mut self, at: Timestamp, pace: u32) {
        let front = Place::before(at, pace);
        self.set_past(front, front);
        (self.head, self.tail) = (0, 0);
        self.in_past = 0;
    }

    fn front(&self) -> Place {
        Place {
            at: self.front_at,
            learnt: self.front,
        }
    }

    fn back(&self) -> Place {
        self.front().later(self.back_after, self.back)
    }

    fn set_past(&mut self, front: Place, back: Place) {
        (self.front_at, self.front) = (front.at, front.learnt);
        (self.back_after, self.back) = (back.after(&front), back.learnt);
    }

    /// Drops what is older than any history.
    fn forget(&mut self, now: Timestamp) {
        while self.in_past > 0 {
            let mut next = self.front();
            let Some((_, used)) = next.read(self.word(self.head)) else {
                self.in_past = 0;
                return;
            };
            let count = usize::from(self.in_past) + usize::from(self.in_window);
            if count <= POINTS && now.since(next.at) <= HISTORY {
                return;
            }
            self.set_past(next, self.back());
            self.head += used as u16;
            self.in_past -= 1;
        }
    }

    fn past(&self) -> impl Iterator<Item = Sample> + '_ {
        let mut place = self.front();
        let mut bit = self.head;
        (0..self.in_past).map_while(move |_| {
            let (outcome, used) = place.read(self.word(bit))?;
            bit += used as u16;
            Some((place.at, outcome))
        })
    }

    fn window(&self) -> impl Iterator<Item = Sample> + '_ {
        let mut reader = self.reader();
        let mut at = None;
        (0..self.in_window).map(move |_| {
            let gap = reader.gap();
            let this = at.map_or(self.first_at, |before| before + Span(gap.into()));
            at = Some(this);
            (this, reader.outcome())
        })
    }

    fn reader(&self) -> Reader<'_> {
        let bytes = &self.bytes[usize::from(self.from)..usize::from(self.to)];
        Reader::new(bytes, self.pace, self.base)
    }

    fn word(&self, bit: u16) -> u64 {
        word(&self.bytes, bit)
    }

    /// Behind the past's last.
    fn store(&mut self, bits: Bits) {
        self.make_room(((usize::from(self.tail % 8) + bits.count as usize).div_ceil(8), 0));
        let (byte, skip) = (usize::from(self.tail / 8), self.tail % 8);
        let word = bits.word << skip;
        let last = (usize::from(skip) + bits.count as usize).div_ceil(8);
        // What is behind the tail in its byte is of a sample gone by.
        let kept = self.bytes[byte] & ((1_u16 << skip) - 1) as u8;
        self.bytes[byte..byte + last].copy_from_slice(&word.to_le_bytes()[..last]);
        self.bytes[byte] |= kept;
        self.tail += bits.count as u16;
    }

    /// Makes sure that the past and the window may grow by so many bytes, the past from the byte of its last bit on.
    fn make_room(&mut self, (past, window): (usize, usize)) {
        let end = usize::from(self.tail / 8) + past;
        if end <= usize::from(self.from) && usize::from(self.to) + window <= self.bytes.len() {
            return;
        }
        let (first, last) = (usize::from(self.head / 8), usize::from(self.tail).div_ceil(8));
        let begin = usize::from(self.from);
        let held = usize::from(self.to) - begin;
        // The past to the beginning, the window behind it and what it is to grow by.
        let shift = first;
        let behind = (end - shift).max(last - shift);
        let need = behind + held + window;
        let mut bytes = std::mem::take(&mut self.bytes).into_vec();
        let whole = chunk(need.max(usual(self.pace)));
        if need > bytes.len() {
            bytes.reserve_exact(whole - bytes.len());
            bytes.resize(whole, 0);
        }
        bytes.copy_within(first..last, 0);
        bytes.copy_within(begin..begin + held, behind);
        if bytes.len() > 2 * whole {
            bytes.truncate(whole);
        }
        self.bytes = bytes.into_boxed_slice();
        self.head -= (shift * 8) as u16;
        self.tail -= (shift * 8) as u16;
        self.from = behind as u16;
        self.to = (behind + held) as u16;
    }
}

/// What decisions are made on: the window's samples, however they are laid out. Histories decide nothing, and versions
/// that kept them exactly are replayed by this one.
impl PartialEq for Ring {
    fn eq(&self, other: &Self) -> bool {
        (self.last_at, self.in_window) == (other.last_at, other.in_window) && self.window().eq(other.window())
    }
}

/// At least 57 bits from one on.
fn word(bytes: &[u8], bit: u16) -> u64 {
    let rest = bytes.get(usize::from(bit / 8)..).unwrap_or(&[]);
    let word = rest.first_chunk().copied().unwrap_or_else(|| {
        let mut short = [0; 8];
        short[..rest.len()].copy_from_slice(rest);
        short
    });
    u64::from_le_bytes(word) >> (bit % 8)
}

/// Bytes that a full history and a window take as a rule, of samples `pace` apart. Taken at once they lie without gaps beside
/// those of the other links; grown into, each size on the way would leave holes too small for the next.
fn usual(pace: u32) -> usize {
    /// Samples of a window, and their bytes; bits of one older than that.
    const WINDOW: usize = 21;
    const EXACT: usize = 3;
    const BITS: usize = 3;
    let past = (HISTORY.0 / u64::from(pace.max(1))).min(POINTS as u64) as usize;
    WINDOW * EXACT + past.saturating_sub(WINDOW) * BITS / 8
}

/// So many bytes and those that an allocator would add to them anyway.
fn chunk(bytes: usize) -> usize {
    const GRAIN: usize = 16;
    const HEADER: usize = 8;
    (bytes + HEADER).next_multiple_of(GRAIN) - HEADER
}

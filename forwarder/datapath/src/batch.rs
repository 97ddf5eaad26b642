//! Packets in preallocated slots, with room in front of each for a header.

use std::net::IpAddr;

use lisp_wire::InstanceId;
use lisp_wire::data_header::DATA_HEADER_LEN;

/// Room kept in front of each packet as it is read: the LISP header, aligned to a cache line's half.
pub const HEADROOM: usize = 32;

/// Which packet of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

/// What the outer IP header of a received datagram said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// TTL or hop limit as it arrived.
    pub ttl: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Who sent it.
    pub source: Option<IpAddr>,
}

impl Default for Outer {
    /// Says nothing that could change the inner packet's TTL or ECN.
    fn default() -> Self {
        Self {
            ttl: u8::MAX,
            traffic_class: 0,
            source: None,
        }
    }
}

/// A fixed number of packet buffers, filled in order and emptied all at once.
#[derive(Debug)]
pub struct PacketBatch {
    bytes: Box<[u8]>,
    stride: usize,
    filled: Vec<Filled>,
    capacity: usize,
}

/// Where the packet in a slot lies, from the slot's beginning.
#[derive(Clone, Copy, Debug)]
struct Filled {
    start: usize,
    end: usize,
    outer: Outer,
    tenant: InstanceId,
}

impl PacketBatch {
    /// Room for `capacity` packets of at most `largest` bytes each.
    pub fn new(capacity: u16, largest: usize) -> Self {
        let stride = (HEADROOM + largest).next_multiple_of(64);
        let capacity = usize::from(capacity);
        Self {
            bytes: vec![0; stride * capacity].into_boxed_slice(),
            stride,
            filled: Vec::with_capacity(capacity),
            capacity,
        }
    }

    /// The next free buffer, to read a packet into; `None` if all are filled. [`PacketBatch::commit`] keeps what was read.
    pub fn spare(&mut self) -> Option<&mut [u8]> {
        let begin = self.filled.len() * self.stride;
        self.bytes
            .get_mut(begin + HEADROOM..begin + self.stride)
            .filter(|_| self.filled.len() < self.capacity)
    }

    /// The free buffers, in order: for reads of many packets in one call.
    pub fn spares(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let begin = self.filled.len() * self.stride;
        let free = self.bytes.get_mut(begin..).unwrap_or_default();
        free.chunks_exact_mut(self.stride)
            .map(|slot| slot.split_at_mut(HEADROOM).1)
    }

    /// The next free buffer now holds a packet of `length` bytes that came in this envelope.
    pub fn commit(&mut self, length: usize, outer: Outer) -> Option<Slot> {
        if self.filled.len() == self.capacity {
            return None;
        }
        let end = HEADROOM.saturating_add(length).min(self.stride);
        self.filled.push(Filled {
            start: HEADROOM,
            end,
            outer,
            tenant: InstanceId::DEFAULT,
        });
        Some(Slot((self.filled.len() - 1) as u16))
    }

    /// Copies a packet in; `None` if it does not fit or there is no room left.
    pub fn push(&mut self, packet: &[u8]) -> Option<Slot> {
        self.spare()?.get_mut(..packet.len())?.copy_from_slice(packet);
        self.commit(packet.len(), Outer::default())
    }

    /// Forgets all packets; the buffers stay.
    pub fn clear(&mut self) {
        self.filled.clear();
    }

    /// How many packets there are.
    pub fn len(&self) -> usize {
        self.filled.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    /// Whether there is room for no more.
    pub fn is_full(&self) -> bool {
        self.filled.len() == self.capacity
    }

    /// All packets, oldest first.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.filled.len() as u16).map(Slot)
    }

    /// The packet in a slot. A slot of another batch gives that batch's packet or none, never a panic.
    pub fn packet(&self, slot: Slot) -> &[u8] {
        self.range(slot)
            .and_then(|range| self.bytes.get(range))
            .unwrap_or_default()
    }

    /// The packet in a slot, to be changed in place.
    pub fn packet_mut(&mut self, slot: Slot) -> &mut [u8] {
        self.range(slot)
            .and_then(|range| self.bytes.get_mut(range))
            .unwrap_or_default()
    }

    /// What the outer header said.
    pub fn outer(&self, slot: Slot) -> Outer {
        self.filled
            .get(usize::from(slot.0))
            .map(|filled| filled.outer)
            .unwrap_or_default()
    }

    /// Whose packet it is: the default tenant's, unless it was said otherwise.
    pub fn tenant(&self, slot: Slot) -> InstanceId {
        self.filled
            .get(usize::from(slot.0))
            .map(|filled| filled.tenant)
            .unwrap_or_default()
    }

    /// Says whose packet it is.
    pub fn set_tenant(&mut self, slot: Slot, tenant: InstanceId) {
        if let Some(filled) = self.filled.get_mut(usize::from(slot.0)) {
            filled.tenant = tenant;
        }
    }

    /// Takes bytes off the front.
    pub(crate) fn strip(&mut self, slot: Slot, front: usize) {
        if let Some(filled) = self.filled.get_mut(usize::from(slot.0)) {
            filled.start = filled.end.min(filled.start.saturating_add(front));
        }
    }

    /// Takes bytes off the end, so that at most `length` are left.
    pub(crate) fn trim(&mut self, slot: Slot, length: usize) {
        if let Some(filled) = self.filled.get_mut(usize::from(slot.0)) {
            filled.end = filled.end.min(filled.start.saturating_add(length));
        }
    }

    /// Puts a LISP header in front.
    pub(crate) fn prepend(&mut self, slot: Slot, header: [u8; DATA_HEADER_LEN]) {
        if let Some(filled) = self.filled.get_mut(usize::from(slot.0))
            && let Some(start) = filled.start.checked_sub(DATA_HEADER_LEN)
        {
            filled.start = start;
            if let Some(room) = self.packet_mut(slot).first_chunk_mut() {
                *room = header;
            }
        }
    }

    fn range(&self, slot: Slot) -> Option<std::ops::Range<usize>> {
        let filled = self.filled.get(usize::from(slot.0))?;
        let begin = usize::from(slot.0) * self.stride;
        Some(begin + filled.start..begin + filled.end)
    }
}

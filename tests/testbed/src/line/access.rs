//! One direction of an access line: a rate, a buffer, and who is served next.

use std::collections::VecDeque;

use super::Nanos;
use super::pipe::time_for;
use crate::fabric::{Access, Discipline};

/// Flows are told apart by a hash of this many values (RFC 8290 section 4.1.1 has the same number).
const BUCKETS: usize = 1024;
/// A flow may send about one packet a turn, bytes (RFC 8290 section 4.1.1).
const QUANTUM: i64 = 1514;

/// A server with a queue before it. `T` is the packet; the queue never looks into it.
#[derive(Debug)]
pub struct AccessQueue<T> {
    rate: u64,
    buffer: u64,
    /// Bytes that wait, without the packet being sent.
    waiting: u64,
    /// When the packet being sent has left; in the past if there is none.
    busy_until: Nanos,
    busy: bool,
    queue: Queue<T>,
    dropped: u64,
    peak: u64,
}

#[derive(Debug)]
enum Queue<T> {
    Fifo(VecDeque<(T, u64)>),
    Fair(Box<Flows<T>>),
}

impl<T> AccessQueue<T> {
    /// An idle one.
    pub fn new(access: &Access) -> Self {
        let queue = match access.discipline {
            Discipline::Fifo => Queue::Fifo(VecDeque::new()),
            Discipline::Fair => Queue::Fair(Box::new(Flows::new())),
        };
        Self {
            rate: access.rate,
            buffer: access.buffer,
            waiting: 0,
            busy_until: 0,
            busy: false,
            queue,
            dropped: 0,
            peak: 0,
        }
    }

    /// A packet of `length` bytes comes at `at`. If the line is idle, the packet comes back with the time at which it has
    /// been sent; the caller tells [`AccessQueue::sent`] then.
    pub fn offer(&mut self, packet: T, flow: u64, length: u64, at: Nanos) -> Option<(T, Nanos)> {
        if !self.busy {
            return Some(self.begin(packet, length, at));
        }
        match &mut self.queue {
            Queue::Fifo(queue) => {
                if self.waiting + length > self.buffer {
                    self.dropped += 1;
                    return None;
                }
                queue.push_back((packet, length));
                self.waiting += length;
            }
            Queue::Fair(flows) => {
                flows.push(packet, flow, length);
                self.waiting += length;
                while self.waiting > self.buffer {
                    // RFC 8290 section 4.1.3: the flow that holds most gives up its oldest.
                    let Some(freed) = flows.drop_from_longest() else {
                        break;
                    };
                    self.waiting -= freed;
                    self.dropped += 1;
                }
            }
        }
        self.peak = self.peak.max(self.waiting);
        None
    }

    /// The packet being sent has left, at `at`. The next one comes back with the time at which it will have been sent.
    pub fn sent(&mut self, at: Nanos) -> Option<(T, Nanos)> {
        self.busy = false;
        let (packet, length) = match &mut self.queue {
            Queue::Fifo(queue) => queue.pop_front()?,
            Queue::Fair(flows) => flows.pop()?,
        };
        self.waiting -= length;
        Some(self.begin(packet, length, at))
    }

    /// Packets dropped since the last reset.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Most bytes that waited at once since the last reset.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// Counts from zero.
    pub fn reset(&mut self) {
        self.dropped = 0;
        self.peak = self.waiting;
    }

    fn begin(&mut self, packet: T, length: u64, at: Nanos) -> (T, Nanos) {
        self.busy = true;
        self.busy_until = self.busy_until.max(at) + time_for(length, self.rate);
        (packet, self.busy_until)
    }
}

/// Deficit round robin over flows, those that have just begun first (RFC 8290 section 4.2).
#[derive(Debug)]
struct Flows<T> {
    buckets: Vec<Flow<T>>,
    new: VecDeque<usize>,
    old: VecDeque<usize>,
}

#[derive(Debug)]
struct Flow<T> {
    packets: VecDeque<(T, u64)>,
    bytes: u64,
    credit: i64,
    listed: bool,
}

impl<T> Flows<T> {
    fn new() -> Self {
        let flow = || Flow {
            packets: VecDeque::new(),
            bytes: 0,
            credit: 0,
            listed: false,
        };
        Self {
            buckets: (0..BUCKETS).map(|_| flow()).collect(),
            new: VecDeque::new(),
            old: VecDeque::new(),
        }
    }

    fn push(&mut self, packet: T, flow: u64, length: u64) {
        let number = (flow % BUCKETS as u64) as usize;
        let flow = &mut self.buckets[number];
        flow.packets.push_back((packet, length));
        flow.bytes += length;
        if !flow.listed {
            flow.listed = true;
            flow.credit = QUANTUM;
            self.new.push_back(number);
        }
    }

    fn pop(&mut self) -> Option<(T, u64)> {
        loop {
            let from_new = !self.new.is_empty();
            let list = if from_new { &mut self.new } else { &mut self.old };
            let number = *list.front()?;
            let flow = &mut self.buckets[number];
            if flow.credit <= 0 {
                flow.credit += QUANTUM;
                list.pop_front();
                self.old.push_back(number);
                continue;
            }
            if let Some((packet, length)) = flow.packets.pop_front() {
                flow.bytes -= length;
                flow.credit -= i64::try_from(length).unwrap_or(i64::MAX);
                return Some((packet, length));
            }
            list.pop_front();
            if from_new {
                // It waits for a turn among the old, so that a flow that stops and begins again gains nothing.
                self.old.push_back(number);
            } else {
                flow.listed = false;
            }
        }
    }

    /// Drops the oldest packet of the flow that holds most bytes; returns its length.
    fn drop_from_longest(&mut self) -> Option<u64> {
        let flow = self.buckets.iter_mut().max_by_key(|flow| flow.bytes)?;
        let (_, length) = flow.packets.pop_front()?;
        flow.bytes -= length;
        Some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    /// 1,500 bytes take 1.5 ms.
    fn line(discipline: Discipline, buffer: u64) -> AccessQueue<(char, u32)> {
        AccessQueue::new(&Access {
            rate: 8_000_000,
            buffer,
            discipline,
        })
    }

    fn drain(queue: &mut AccessQueue<(char, u32)>, first: ((char, u32), Nanos)) -> Vec<((char, u32), Nanos)> {
        let mut out = vec![first];
        let mut at = first.1;
        while let Some(next) = queue.sent(at) {
            at = next.1;
            out.push(next);
        }
        out
    }

    #[test]
    fn a_fifo_sends_at_its_rate_in_order_and_drops_the_tail() {
        let mut queue = line(Discipline::Fifo, 3_000);
        let first = queue.offer(('a', 0), 1, 1500, 0).unwrap();
        for i in 1..4 {
            assert_eq!(queue.offer(('a', i), 1, 1500, 0), None);
        }
        let out = drain(&mut queue, first);
        assert_eq!(
            out,
            [(('a', 0), 1_500_000), (('a', 1), 3 * MS), (('a', 2), 4_500_000)]
        );
        assert_eq!((queue.dropped(), queue.peak()), (1, 3_000));
    }

    #[test]
    fn in_a_fair_line_a_probe_overtakes_a_download() {
        let mut queue = line(Discipline::Fair, 262_144);
        let first = queue.offer(('d', 0), 1, 1500, 0).unwrap();
        for i in 1..100 {
            queue.offer(('d', i), 1, 1500, 0);
        }
        queue.offer(('p', 0), 2, 100, MS);
        let out = drain(&mut queue, first);
        let place = out.iter().position(|(packet, _)| packet.0 == 'p').unwrap();
        // One packet is under way, and the download was new too: its first turn is two packets, as credit may be overdrawn.
        assert_eq!(place, 3);
        assert_eq!(out.len(), 101);
    }

    #[test]
    fn two_downloads_share_a_fair_line_byte_for_byte_and_each_keeps_its_order() {
        let mut queue = line(Discipline::Fair, 10_000_000);
        let first = queue.offer(('x', 0), 9, 100, 0).unwrap();
        for i in 0..1000 {
            queue.offer(('a', i), 1, 1500, 0);
            queue.offer(('b', 3 * i), 2, 500, 0);
            queue.offer(('b', 3 * i + 1), 2, 500, 0);
            queue.offer(('b', 3 * i + 2), 2, 500, 0);
        }
        let out = drain(&mut queue, first);
        let half = &out[..1001];
        let bytes = |who, each| half.iter().filter(|(packet, _)| packet.0 == who).count() * each;
        let (a, b) = (bytes('a', 1500), bytes('b', 500));
        assert!(a.abs_diff(b) <= 4500, "{a} {b}");
        for who in ['a', 'b'] {
            let order: Vec<_> = out
                .iter()
                .filter(|(packet, _)| packet.0 == who)
                .map(|(packet, _)| packet.1)
                .collect();
            assert!(order.is_sorted());
        }
    }

    #[test]
    fn a_full_fair_line_drops_from_the_flow_that_holds_most() {
        let mut queue = line(Discipline::Fair, 15_000);
        let first = queue.offer(('d', 0), 1, 1500, 0).unwrap();
        for i in 1..50 {
            queue.offer(('d', i), 1, 1500, 0);
        }
        for i in 0..3 {
            queue.offer(('p', i), 2, 100, 0);
        }
        let out = drain(&mut queue, first);
        assert_eq!(out.iter().filter(|(packet, _)| packet.0 == 'p').count(), 3);
        assert!(queue.dropped() >= 39 && queue.peak() <= 15_000);
    }

    #[test]
    fn a_window_of_163_840_bytes_fits_a_fair_buffer_of_256_kib() {
        let mut queue = line(Discipline::Fair, 256 * 1024);
        let segments = 163_840_u32.div_ceil(1424);
        let mut lost = 0;
        for i in 0..segments {
            let before = queue.dropped();
            queue.offer(('d', i), 1, 1500, 0);
            lost += queue.dropped() - before;
        }
        assert_eq!(lost, 0);
    }
}

//! Packets held while their mapping is asked for: bounded for each EID, in all, and in time.

use std::collections::HashMap;
use std::collections::VecDeque;

use datapath::{Counters, Fate};
use lisp_wire::{Eid, EidPrefix};
use proto::{Span, Timestamp};

/// Packets held for one EID.
const MOST_FOR_ONE: usize = 64;
/// Bytes held in all, each packet counted with [`COST`].
const MOST_BYTES: usize = 4 << 20;
/// What a packet costs besides its bytes.
const COST: usize = 128;
/// How long a packet is held.
const PATIENCE: Span = Span::secs(3);

/// The held packets.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    queues: HashMap<Eid, VecDeque<Packet>>,
    bytes: usize,
    /// When the oldest packets may have to go; never later than they must.
    look_again: Option<Timestamp>,
}

#[derive(Debug)]
struct Packet {
    bytes: Vec<u8>,
    since: Timestamp,
}

/// Whether the mapping has to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Packets for this EID are waiting already.
    Before,
    /// This is the first one.
    Now,
}

impl Holding {
    /// Holds a packet, or counts why not.
    pub(crate) fn hold(&mut self, eid: Eid, packet: &[u8], now: Timestamp, counters: &Counters) -> Asked {
        let queue = self.queues.get(&eid);
        let asked = if queue.is_some() {
            Asked::Before
        } else {
            Asked::Now
        };
        let cost = packet.len() + COST;
        if queue.is_some_and(|queue| queue.len() >= MOST_FOR_ONE) || self.bytes + cost > MOST_BYTES {
            counters.count(Fate::HeldTooMany);
            return asked;
        }
        self.bytes += cost;
        self.look_again.get_or_insert(now + PATIENCE);
        self.queues.entry(eid).or_default().push_back(Packet {
            bytes: packet.to_vec(),
            since: now,
        });
        asked
    }

    /// The packets for the EIDs of a block, of each EID the oldest first; they are held no longer.
    pub(crate) fn take(&mut self, block: &EidPrefix) -> Vec<Vec<u8>> {
        let eids: Vec<Eid> = self
            .queues
            .keys()
            .filter(|eid| block.contains(eid))
            .copied()
            .collect();
        let queues = eids.iter().filter_map(|eid| self.queues.remove(eid));
        let taken: Vec<Vec<u8>> = queues.flatten().map(|packet| packet.bytes).collect();
        self.bytes -= taken.iter().map(|bytes| bytes.len() + COST).sum::<usize>();
        if self.queues.is_empty() {
            self.look_again = None;
        }
        taken
    }

    /// Lets go of packets held too long.
    pub(crate) fn expire(&mut self, now: Timestamp, counters: &Counters) {
        if self.look_again.is_none_or(|then| then > now) {
            return;
        }
        let mut oldest = None;
        let bytes = &mut self.bytes;
        self.queues.retain(|_, queue| {
            while let Some(first) = queue.front()
                && now.since(first.since) >= PATIENCE
            {
                *bytes -= first.bytes.len() + COST;
                queue.pop_front();
                counters.count(Fate::HeldTooLong);
            }
            let front = queue.front().map(|packet| packet.since);
            oldest = [oldest, front].into_iter().flatten().min();
            front.is_some()
        });
        self.look_again = oldest.map(|since| since + PATIENCE);
    }

    /// When [`Holding::expire`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.look_again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eid(last: u8) -> Eid {
        Eid::of([10, 0, 0, last].into())
    }

    #[test]
    fn packets_come_back_in_order_and_only_those_of_the_block() {
        let (mut holding, counters) = (Holding::default(), Counters::default());
        assert_eq!(holding.hold(eid(1), &[1], Timestamp(0), &counters), Asked::Now);
        assert_eq!(holding.hold(eid(1), &[2], Timestamp(1), &counters), Asked::Before);
        assert_eq!(holding.hold(eid(200), &[3], Timestamp(2), &counters), Asked::Now);
        assert_eq!(holding.take(&"10.0.0.0/25".parse().unwrap()), [vec![1], vec![2]]);
        assert_eq!(
            holding.take(&"10.0.0.0/25".parse().unwrap()),
            Vec::<Vec<u8>>::new()
        );
        assert_eq!(holding.take(&"10.0.0.0/8".parse().unwrap()), [vec![3]]);
        assert_eq!((holding.bytes, holding.next_deadline()), (0, None));
    }

    #[test]
    fn one_eid_cannot_take_all_the_room_and_all_together_have_a_bound() {
        let (mut holding, counters) = (Holding::default(), Counters::default());
        for _ in 0..MOST_FOR_ONE + 3 {
            holding.hold(eid(1), &[0; 10], Timestamp(0), &counters);
        }
        assert_eq!(counters.get(Fate::HeldTooMany), 3);
        for number in 0..5000u32 {
            let eid = Eid::of(std::net::Ipv4Addr::from(0x0b00_0000 + number).into());
            holding.hold(eid, &[0; 1400], Timestamp(0), &counters);
        }
        assert!(holding.bytes <= MOST_BYTES);
        assert!(counters.get(Fate::HeldTooMany) > 1000);
    }

    #[test]
    fn what_is_held_too_long_goes_and_the_rest_stays() {
        let (mut holding, counters) = (Holding::default(), Counters::default());
        holding.hold(eid(1), &[1], Timestamp(0), &counters);
        holding.hold(eid(1), &[2], Timestamp(1_000_000), &counters);
        assert_eq!(holding.next_deadline(), Some(Timestamp(3_000_000)));
        holding.expire(Timestamp(2_999_999), &counters);
        assert_eq!(counters.get(Fate::HeldTooLong), 0);
        holding.expire(Timestamp(3_000_000), &counters);
        assert_eq!(counters.get(Fate::HeldTooLong), 1);
        assert_eq!(holding.next_deadline(), Some(Timestamp(4_000_000)));
        assert_eq!(holding.take(&"10.0.0.1".parse().unwrap()), [vec![2]]);
        assert_eq!(holding.bytes, 0);
    }
}

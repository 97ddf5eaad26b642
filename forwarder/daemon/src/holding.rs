//! Packets held while it is not known where they go: bounded for each EID, in all, and in time.

use std::collections::HashMap;
use std::collections::VecDeque;

use datapath::{Counters, Fate};
use lisp_wire::{Eid, EidPrefix};
use proto::{Span, Timestamp};

use crate::link::Ticket;

/// How much is held, and what those are counted as that are not.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// Packets held for one EID.
    most_for_one: usize,
    /// Bytes held in all, each packet counted with [`COST`].
    most_bytes: usize,
    /// How long a packet is held.
    patience: Span,
    too_many: Fate,
    too_long: Fate,
}

/// Of packets that wait for a mapping: a round trip or two of the mapping system.
const MISSES: Rules = Rules {
    most_for_one: 64,
    most_bytes: 4 << 20,
    patience: Span::secs(3),
    too_many: Fate::HeldTooMany,
    too_long: Fate::HeldTooLong,
};
/// Of packets that wait for their EID to run: all of a flow, for as long as a VM that is moved live may stand still.
const ARRIVALS: Rules = Rules {
    most_for_one: 4096,
    most_bytes: 16 << 20,
    patience: Span::secs(5),
    too_many: Fate::AwaitingTooMany,
    too_long: Fate::AwaitedTooLong,
};
/// What a packet costs besides its bytes.
const COST: usize = 128;

/// The held packets, each with what it keeps occupied meanwhile.
#[derive(Debug)]
pub(crate) struct Holding<T> {
    rules: Rules,
    queues: HashMap<Eid, VecDeque<Packet<T>>>,
    bytes: usize,
    /// When the oldest packets may have to go; never later than they must.
    look_again: Option<Timestamp>,
}

#[derive(Debug)]
struct Packet<T> {
    bytes: Vec<u8>,
    since: Timestamp,
    keeps: T,
}

/// Whether the mapping has to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Packets for this EID are waiting already.
    Before,
    /// This is the first one.
    Now,
}

impl Holding<()> {
    /// For packets that wait for a mapping.
    pub(crate) fn for_misses() -> Self {
        Self::new(MISSES)
    }
}

impl Holding<Ticket> {
    /// For packets that wait for their EID to run.
    pub(crate) fn for_arrivals() -> Self {
        Self::new(ARRIVALS)
    }
}

impl<T> Holding<T> {
    fn new(rules: Rules) -> Self {
        Self {
            rules,
            queues: HashMap::new(),
            bytes: 0,
            look_again: None,
        }
    }

    /// Holds a packet, or counts why not.
    pub(crate) fn hold(
        &mut self,
        eid: Eid,
        (packet, keeps): (&[u8], T),
        now: Timestamp,
        counters: &Counters,
    ) -> Asked {
        let queue = self.queues.get(&eid);
        let asked = if queue.is_some() {
            Asked::Before
        } else {
            Asked::Now
        };
        let cost = packet.len() + COST;
        let rules = self.rules;
        if queue.is_some_and(|queue| queue.len() >= rules.most_for_one)
            || self.bytes + cost > rules.most_bytes
        {
            counters.count(rules.too_many);
            return asked;
        }
        self.bytes += cost;
        self.look_again.get_or_insert(now + rules.patience);
        self.queues.entry(eid).or_default().push_back(Packet {
            bytes: packet.to_vec(),
            since: now,
            keeps,
        });
        asked
    }

    /// The packets for the EIDs of a block, of each EID the oldest first; they are held no longer.
    pub(crate) fn take(&mut self, block: &EidPrefix) -> Vec<(Vec<u8>, T)> {
        let eids: Vec<Eid> = self
            .queues
            .keys()
            .filter(|eid| block.contains(eid))
            .copied()
            .collect();
        let queues = eids.iter().filter_map(|eid| self.queues.remove(eid));
        let taken: Vec<(Vec<u8>, T)> = queues
            .flatten()
            .map(|packet| (packet.bytes, packet.keeps))
            .collect();
        self.bytes -= taken.iter().map(|(bytes, _)| bytes.len() + COST).sum::<usize>();
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
        let (bytes, rules) = (&mut self.bytes, self.rules);
        self.queues.retain(|_, queue| {
            while let Some(first) = queue.front()
                && now.since(first.since) >= rules.patience
            {
                *bytes -= first.bytes.len() + COST;
                queue.pop_front();
                counters.count(rules.too_long);
            }
            let front = queue.front().map(|packet| packet.since);
            oldest = [oldest, front].into_iter().flatten().min();
            front.is_some()
        });
        self.look_again = oldest.map(|since| since + rules.patience);
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
        let (mut holding, counters) = (Holding::for_misses(), Counters::default());
        assert_eq!(
            holding.hold(eid(1), (&[1], ()), Timestamp(0), &counters),
            Asked::Now
        );
        assert_eq!(
            holding.hold(eid(1), (&[2], ()), Timestamp(1), &counters),
            Asked::Before
        );
        assert_eq!(
            holding.hold(eid(200), (&[3], ()), Timestamp(2), &counters),
            Asked::Now
        );
        assert_eq!(
            holding.take(&"10.0.0.0/25".parse().unwrap()),
            [(vec![1], ()), (vec![2], ())]
        );
        assert_eq!(holding.take(&"10.0.0.0/25".parse().unwrap()), []);
        assert_eq!(holding.take(&"10.0.0.0/8".parse().unwrap()), [(vec![3], ())]);
        assert_eq!((holding.bytes, holding.next_deadline()), (0, None));
    }

    #[test]
    fn one_eid_cannot_take_all_the_room_and_all_together_have_a_bound() {
        let (mut holding, counters) = (Holding::for_misses(), Counters::default());
        for _ in 0..MISSES.most_for_one + 3 {
            holding.hold(eid(1), (&[0; 10], ()), Timestamp(0), &counters);
        }
        assert_eq!(counters.get(Fate::HeldTooMany), 3);
        for number in 0..5000u32 {
            let eid = Eid::of(std::net::Ipv4Addr::from(0x0b00_0000 + number).into());
            holding.hold(eid, (&[0; 1400], ()), Timestamp(0), &counters);
        }
        assert!(holding.bytes <= MISSES.most_bytes);
        assert!(counters.get(Fate::HeldTooMany) > 1000);
    }

    #[test]
    fn what_is_held_too_long_goes_and_the_rest_stays() {
        let (mut holding, counters) = (Holding::for_misses(), Counters::default());
        holding.hold(eid(1), (&[1], ()), Timestamp(0), &counters);
        holding.hold(eid(1), (&[2], ()), Timestamp(1_000_000), &counters);
        assert_eq!(holding.next_deadline(), Some(Timestamp(3_000_000)));
        holding.expire(Timestamp(2_999_999), &counters);
        assert_eq!(counters.get(Fate::HeldTooLong), 0);
        holding.expire(Timestamp(3_000_000), &counters);
        assert_eq!(counters.get(Fate::HeldTooLong), 1);
        assert_eq!(holding.next_deadline(), Some(Timestamp(4_000_000)));
        assert_eq!(holding.take(&"10.0.0.1".parse().unwrap()), [(vec![2], ())]);
        assert_eq!(holding.bytes, 0);
    }

    #[test]
    fn a_packet_gives_its_place_before_the_gate_up_however_it_leaves() {
        let (mut holding, counters) = (Holding::for_arrivals(), Counters::default());
        let gate = std::sync::Arc::new(datapath::Gate::default());
        for number in 0..=ARRIVALS.most_for_one as u64 {
            let ticket = Ticket::take(&gate);
            holding.hold(eid(1), (&[0; 100], ticket), Timestamp(number), &counters);
        }
        assert_eq!(counters.get(Fate::AwaitingTooMany), 1);
        gate.open();
        assert!(gate.holds(), "what is held goes first");
        holding.expire(Timestamp(5_000_000), &counters);
        assert_eq!(counters.get(Fate::AwaitedTooLong), 1);
        for (packet, ticket) in holding.take(&"10.0.0.1".parse().unwrap()) {
            assert!(gate.holds());
            drop((packet, ticket));
        }
        assert!(!gate.holds());
        assert_eq!(holding.bytes, 0);
    }
}

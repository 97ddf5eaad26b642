//! Packets held while it is not known where they go: bounded for each EID, in all, and in time.
//!
//! Where there is no room in all, an EID that has less than its share gets it from the one that has the most, which loses the
//! packets that came last: a flood for one EID, or for many, takes nothing from the others.

use std::collections::{BTreeSet, HashMap, VecDeque};

use datapath::{Counters, Fate};
use lisp_wire::{Eid, EidPrefix};
use node::HOLD_FOR;
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
/// Of packets that wait for their EID to run: all of a flow, for as long as its gate may hold them.
const ARRIVALS: Rules = Rules {
    most_for_one: 4096,
    most_bytes: 16 << 20,
    patience: HOLD_FOR,
    too_many: Fate::AwaitingTooMany,
    too_long: Fate::AwaitedTooLong,
};
/// What a packet costs besides its bytes.
const COST: usize = 128;

/// The held packets, each with what it keeps occupied meanwhile.
#[derive(Debug)]
pub(crate) struct Holding<T> {
    rules: Rules,
    queues: HashMap<Eid, Queue<T>>,
    /// The EIDs by what is held for them.
    by_bytes: BTreeSet<(usize, Eid)>,
    bytes: usize,
    /// When the oldest packets may have to go; never later than they must.
    look_again: Option<Timestamp>,
}

#[derive(Debug)]
struct Queue<T> {
    packets: VecDeque<Packet<T>>,
    bytes: usize,
}

#[derive(Debug)]
struct Packet<T> {
    bytes: Vec<u8>,
    since: Timestamp,
    keeps: T,
}

impl<T> Packet<T> {
    fn cost(&self) -> usize {
        self.bytes.len() + COST
    }
}

impl<T> Queue<T> {
    fn push(&mut self, packet: Packet<T>) {
        self.bytes += packet.cost();
        self.packets.push_back(packet);
    }

    fn lose_newest(&mut self) {
        self.bytes -= self.packets.pop_back().as_ref().map_or(0, Packet::cost);
    }

    fn lose_oldest(&mut self) {
        self.bytes -= self.packets.pop_front().as_ref().map_or(0, Packet::cost);
    }
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
            by_bytes: BTreeSet::new(),
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
        let asked = if self.queues.contains_key(&eid) {
            Asked::Before
        } else {
            Asked::Now
        };
        let packet = Packet {
            bytes: packet.to_vec(),
            since: now,
            keeps,
        };
        if !self.makes_room(eid, packet.cost(), counters) {
            counters.count(self.rules.too_many);
            return asked;
        }
        self.look_again.get_or_insert(now + self.rules.patience);
        self.change(eid, |queue| queue.push(packet));
        asked
    }

    /// Whether there is room for one more packet, now at least.
    fn makes_room(&mut self, eid: Eid, cost: usize, counters: &Counters) -> bool {
        let rules = self.rules;
        let (count, bytes) = self
            .queues
            .get(&eid)
            .map_or((0, 0), |queue| (queue.packets.len(), queue.bytes));
        if count >= rules.most_for_one {
            return false;
        }
        let new = usize::from(count == 0);
        let share = rules.most_bytes / (self.queues.len() + new);
        while self.bytes + cost > rules.most_bytes {
            let heaviest = self.by_bytes.last().copied().filter(|(most, _)| *most > share);
            let Some((_, heaviest)) = heaviest.filter(|_| bytes + cost <= share) else {
                return false;
            };
            self.change(heaviest, Queue::lose_newest);
            counters.count(rules.too_many);
        }
        true
    }

    /// Changes what is held for one EID, and keeps the sums.
    fn change(&mut self, eid: Eid, change: impl FnOnce(&mut Queue<T>)) {
        let mut queue = self.remove(eid).unwrap_or_else(|| Queue {
            packets: VecDeque::new(),
            bytes: 0,
        });
        change(&mut queue);
        if !queue.packets.is_empty() {
            self.bytes += queue.bytes;
            self.by_bytes.insert((queue.bytes, eid));
            self.queues.insert(eid, queue);
        }
    }

    fn remove(&mut self, eid: Eid) -> Option<Queue<T>> {
        let queue = self.queues.remove(&eid)?;
        self.by_bytes.remove(&(queue.bytes, eid));
        self.bytes -= queue.bytes;
        Some(queue)
    }

    /// The packets for the EIDs of a block, of each EID the oldest first; they are held no longer.
    pub(crate) fn take(&mut self, block: &EidPrefix) -> Vec<(Vec<u8>, T)> {
        let inside = self.queues.keys().filter(|eid| block.contains(eid));
        let eids: Vec<Eid> = inside.copied().collect();
        let queues = eids.into_iter().filter_map(|eid| self.remove(eid));
        let packets = queues.flat_map(|queue| queue.packets);
        let taken = packets.map(|packet| (packet.bytes, packet.keeps)).collect();
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
        let rules = self.rules;
        let first = |queue: &Queue<T>| queue.packets.front().map(|packet| packet.since);
        let overdue = |since: Timestamp| now.since(since) >= rules.patience;
        let late = self
            .queues
            .iter()
            .filter(|(_, queue)| first(queue).is_some_and(overdue));
        let late: Vec<Eid> = late.map(|(eid, _)| *eid).collect();
        for eid in late {
            self.change(eid, |queue| {
                while first(queue).is_some_and(overdue) {
                    queue.lose_oldest();
                    counters.count(rules.too_long);
                }
            });
        }
        let oldest = self.queues.values().filter_map(first).min();
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
    fn who_has_the_most_gives_way_to_who_has_less_than_a_share_and_loses_its_newest() {
        let (mut holding, counters) = (Holding::for_arrivals(), Counters::default());
        let gate = std::sync::Arc::new(datapath::Gate::default());
        let mut hold = |eid, number: u16, size: usize| {
            let packet = [&number.to_be_bytes()[..], &vec![0; size - 2]].concat();
            let held = (packet.as_slice(), Ticket::take(&gate));
            holding.hold(eid, held, Timestamp(u64::from(number)), &counters);
        };
        // Three floods fill all the room.
        for flooded in 1..=3 {
            for number in 0..4096 {
                hold(eid(flooded), number, 1400);
            }
        }
        let lost = counters.get(Fate::AwaitingTooMany);
        assert!(lost > 0);
        // A flow that begins now is held whole.
        for number in 0..500 {
            hold(eid(4), number, 1400);
        }
        let numbers = |packets: Vec<(Vec<u8>, Ticket)>| -> Vec<u16> {
            let number = |(packet, _): &(Vec<u8>, Ticket)| u16::from_be_bytes([packet[0], packet[1]]);
            packets.iter().map(number).collect()
        };
        assert_eq!(counters.get(Fate::AwaitingTooMany), lost + 500);
        assert!(holding.bytes <= ARRIVALS.most_bytes);
        let flow = numbers(holding.take(&"10.0.0.4".parse().unwrap()));
        assert_eq!(flow, (0..500).collect::<Vec<_>>());
        for flooded in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
            let kept = numbers(holding.take(&flooded.parse().unwrap()));
            assert!(kept.len() > 2000, "{}", kept.len());
            assert_eq!(
                kept,
                (0..kept.len() as u16).collect::<Vec<_>>(),
                "in order, and the first"
            );
        }
        assert_eq!((holding.bytes, holding.by_bytes.len()), (0, 0));
        gate.open();
        assert!(!gate.holds(), "who made room keeps nobody waiting");
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
        assert_eq!(
            counters.get(Fate::AwaitedTooLong),
            0,
            "the gate may hold for longer"
        );
        holding.expire(Timestamp(HOLD_FOR.micros()), &counters);
        assert_eq!(counters.get(Fate::AwaitedTooLong), 1);
        for (packet, ticket) in holding.take(&"10.0.0.1".parse().unwrap()) {
            assert!(gate.holds());
            drop((packet, ticket));
        }
        assert!(!gate.holds());
        assert_eq!(holding.bytes, 0);
    }
}

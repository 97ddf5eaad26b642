//! Who still sends packets here for an EID: of the peers that are watched, and of no other.
//!
//! What packets show is left in atomics for the control thread, which looks at them now and then. Where nobody is watched,
//! which is nearly always, a packet costs one branch more.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lisp_wire::{Eid, EidPrefix};

/// The peers that are watched. Built by the control thread, published with the map cache.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// In the order of their addresses.
    watched: Box<[(IpAddr, EidPrefix, Arc<Sight>)]>,
}

/// Whether a peer was seen.
#[derive(Debug, Default)]
pub struct Sight(AtomicBool);

impl Sight {
    /// Whether it was, since the last call.
    pub fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }

    fn see(&self) {
        if !self.0.load(Ordering::Relaxed) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Watch {
    /// Of each which locator its packets come from, and for which EIDs.
    pub fn new(watched: impl IntoIterator<Item = (IpAddr, EidPrefix, Arc<Sight>)>) -> Self {
        let mut watched: Vec<_> = watched.into_iter().collect();
        watched.sort_by_key(|(from, ..)| *from);
        Self {
            watched: watched.into(),
        }
    }

    /// A packet has come.
    pub fn heard(&self, from: IpAddr, to: &Eid) {
        let first = self.watched.partition_point(|(other, ..)| *other < from);
        let of_peer = self.watched.iter().skip(first);
        for (_, _, sight) in of_peer
            .take_while(|(other, ..)| *other == from)
            .filter(|(_, eids, _)| eids.contains(to))
        {
            sight.see();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_seen_by_packets_of_its_own_for_the_eid_that_it_is_watched_for() {
        let eids: [EidPrefix; 2] = ["10.1.0.7/32", "10.2.0.0/24"].map(|eids| eids.parse().unwrap());
        let peers: [IpAddr; 2] = ["192.0.2.2", "192.0.2.1"].map(|peer| peer.parse().unwrap());
        let sights: Vec<Arc<Sight>> = (0..4).map(|_| Arc::default()).collect();
        let pairs = peers
            .iter()
            .flat_map(|peer| eids.iter().map(|eids| (*peer, *eids)));
        let watch = Watch::new(
            pairs
                .zip(&sights)
                .map(|((peer, eids), sight)| (peer, eids, Arc::clone(sight))),
        );
        let seen = |from: &str, to: &str| {
            watch.heard(from.parse().unwrap(), &Eid::of(to.parse().unwrap()));
            sights.iter().map(|sight| sight.take()).collect::<Vec<_>>()
        };
        assert_eq!(seen("192.0.2.2", "10.1.0.7"), [true, false, false, false]);
        assert_eq!(seen("192.0.2.1", "10.2.0.9"), [false, false, false, true]);
        assert_eq!(seen("192.0.2.1", "10.1.0.8"), [false; 4]);
        assert_eq!(seen("192.0.2.3", "10.1.0.7"), [false; 4]);
    }
}

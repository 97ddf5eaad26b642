//! How each peer is told of changes, as far as it has shown: bounded, and forgotten after a while.

use std::collections::{BTreeMap, BTreeSet};

use lisp_wire::{Manner, Rloc};
use proto::{Span, Timestamp};

/// What a peer has shown is believed so long: routers are replaced and updated.
const BELIEVED: Span = Span::secs(3600);
/// One that did not acknowledge Change-Priority is asked again, besides its solicitation, after so long.
const TRY_AGAIN: Span = Span::secs(600);
/// At most this many peers; the one that was heard of longest ago makes room.
const MOST_PEERS: usize = 65_536;

/// What peers have shown.
#[derive(Debug, Default)]
pub(crate) struct Abilities {
    peers: BTreeMap<Rloc, Peer>,
    by_age: BTreeSet<(Timestamp, Rloc)>,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    manner: Manner,
    shown: Timestamp,
    /// When it was last sent what it did not acknowledge.
    tried: Timestamp,
}

impl Abilities {
    /// How a peer is told.
    pub(crate) fn of(&self, peer: &Rloc, now: Timestamp) -> Manner {
        let known = self.peers.get(peer);
        known
            .filter(|known| now.since(known.shown) < BELIEVED)
            .map_or(Manner::Unknown, |known| known.manner)
    }

    /// Whether a peer that only heeds solicitation is to be tried once more.
    pub(crate) fn may_have_learnt(&self, peer: &Rloc, now: Timestamp) -> bool {
        self.peers
            .get(peer)
            .is_none_or(|known| now.since(known.tried) >= TRY_AGAIN)
    }

    /// It acknowledged a Change-Priority.
    pub(crate) fn acknowledged(&mut self, peer: Rloc, now: Timestamp) {
        self.learn(peer, Manner::ChangePriority, now);
    }

    /// It did not acknowledge a Change-Priority.
    pub(crate) fn silent(&mut self, peer: Rloc, now: Timestamp) {
        let manner = match self.of(&peer, now) {
            Manner::SolicitOwn => Manner::SolicitOwn,
            _ => Manner::Solicit,
        };
        self.learn(peer, manner, now);
    }

    /// Another site says how it has told this peer. What it has shown here counts more.
    pub(crate) fn told(&mut self, peer: Rloc, manner: Manner, now: Timestamp) {
        if manner != Manner::Unknown && self.of(&peer, now) == Manner::Unknown {
            self.learn(peer, manner, now);
        }
    }

    fn learn(&mut self, peer: Rloc, manner: Manner, now: Timestamp) {
        let (shown, tried) = (now, now);
        let news = Peer { manner, shown, tried };
        if let Some(before) = self.peers.insert(peer, news) {
            self.by_age.remove(&(before.shown, peer));
        }
        self.by_age.insert((now, peer));
        if self.peers.len() > MOST_PEERS
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.peers.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> Rloc {
        Rloc(std::net::Ipv4Addr::from(0x0b00_0000 + number).into())
    }

    #[test]
    fn what_a_peer_showed_last_counts_until_it_is_long_ago() {
        let mut abilities = Abilities::default();
        let (now, one) = (Timestamp(1), peer(1));
        assert_eq!(abilities.of(&one, now), Manner::Unknown);
        abilities.silent(one, now);
        assert_eq!(abilities.of(&one, now), Manner::Solicit);
        assert!(!abilities.may_have_learnt(&one, now + Span::secs(599)));
        assert!(abilities.may_have_learnt(&one, now + Span::secs(600)));
        abilities.acknowledged(one, now);
        abilities.told(one, Manner::Solicit, now);
        assert_eq!(abilities.of(&one, now), Manner::ChangePriority);
        assert_eq!(abilities.of(&one, now + BELIEVED), Manner::Unknown);
    }

    #[test]
    fn there_is_room_for_so_many_and_the_one_heard_of_longest_ago_makes_room() {
        let mut abilities = Abilities::default();
        for number in 0..=MOST_PEERS as u32 {
            abilities.acknowledged(peer(number), Timestamp(u64::from(number)));
        }
        let now = Timestamp(MOST_PEERS as u64);
        assert_eq!(abilities.of(&peer(0), now), Manner::Unknown);
        assert_eq!(abilities.of(&peer(1), now), Manner::ChangePriority);
        assert_eq!(abilities.by_age.len(), MOST_PEERS);
    }
}

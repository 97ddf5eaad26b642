//! How each peer is told of changes, as far as it has shown: bounded, and forgotten after a while.
//!
//! What counts is what a peer has said under a key, or what this node's own Map-Server knows: that it acknowledges
//! Change-Priority, and of which mappings a Map-Server tells it. A Map-Request with the N bit proves nothing of who sent it, and
//! where it reaches an ETR the Map-Server has just not taken the subscription.

use std::collections::{BTreeMap, BTreeSet};

use lisp_wire::{EidPrefix, Manner, Rloc};
use proto::{Span, Timestamp};

/// What a peer has shown is believed so long: routers are replaced and updated.
const BELIEVED: Span = Span::secs(3600);
/// One that did not acknowledge Change-Priority is asked again, besides its solicitation, after so long.
const TRY_AGAIN: Span = Span::secs(600);
/// At most this many peers; the one that was heard of longest ago makes room.
const MOST_PEERS: usize = 65_536;
/// At most so many times a peer is known to be subscribed to a mapping; the same holds.
const MOST_SUBSCRIPTIONS: usize = 65_536;

/// What peers have shown.
#[derive(Debug, Default)]
pub(crate) struct Abilities {
    peers: BTreeMap<Rloc, Peer>,
    by_age: BTreeSet<(Timestamp, Rloc)>,
    subscribed: BTreeMap<(Rloc, EidPrefix), Subscription>,
    subscribed_by_age: BTreeSet<(Timestamp, Rloc, EidPrefix)>,
}

/// What is known of a peer and a mapping.
#[derive(Clone, Copy, Debug)]
struct Subscription {
    since: Timestamp,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// A Map-Server tells it of changes.
    ByServer,
    /// It was thought to, and did not: the peer itself may go on thinking so until it renews its subscription.
    Doubted,
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

    /// A Map-Server tells this peer of changes of the mapping.
    pub(crate) fn subscribes(&mut self, peer: Rloc, eid: EidPrefix, now: Timestamp) {
        let known = self.subscribed.get(&(peer, eid));
        let doubted =
            |known: &Subscription| known.told == Told::Doubted && now.since(known.since) < TRY_AGAIN;
        if !known.is_some_and(doubted) {
            self.note_subscription((peer, eid), Told::ByServer, now);
        }
    }

    /// It did not tell it, though it was thought to. For a while that is not thought again.
    pub(crate) fn doubt_subscription(&mut self, peer: Rloc, eid: EidPrefix, now: Timestamp) {
        self.subscribes_no_more(peer, eid);
        self.note_subscription((peer, eid), Told::Doubted, now);
    }

    fn note_subscription(&mut self, (peer, eid): (Rloc, EidPrefix), told: Told, now: Timestamp) {
        self.forget_subscription(peer, eid);
        let since = now;
        self.subscribed.insert((peer, eid), Subscription { since, told });
        self.subscribed_by_age.insert((now, peer, eid));
        if self.subscribed.len() > MOST_SUBSCRIPTIONS
            && let Some((_, peer, eid)) = self.subscribed_by_age.pop_first()
        {
            self.subscribed.remove(&(peer, eid));
        }
    }

    /// It does not, or not any more, of this mapping or of one around it.
    pub(crate) fn subscribes_no_more(&mut self, peer: Rloc, eid: EidPrefix) {
        for around in around(eid) {
            self.forget_subscription(peer, around);
        }
    }

    /// It says itself that it is not subscribed; doubts remain.
    pub(crate) fn unsubscribed(&mut self, peer: Rloc, eid: EidPrefix) {
        let known = self.subscribed.get(&(peer, eid));
        if known.is_none_or(|known| known.told == Told::ByServer) {
            self.subscribes_no_more(peer, eid);
        }
    }

    fn forget_subscription(&mut self, peer: Rloc, eid: EidPrefix) {
        if let Some(known) = self.subscribed.remove(&(peer, eid)) {
            self.subscribed_by_age.remove(&(known.since, peer, eid));
        }
    }

    /// Whether a Map-Server tells this peer of changes of the mapping, as far as is known.
    pub(crate) fn is_subscribed(&self, peer: &Rloc, eid: &EidPrefix, now: Timestamp) -> bool {
        // Who is subscribed to a mapping is told of longer ones within it.
        around(*eid).any(|around| {
            let known = self.subscribed.get(&(*peer, around));
            known.is_some_and(|known| known.told == Told::ByServer && now.since(known.since) < BELIEVED)
        })
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

/// An EID prefix and those around it.
fn around(eid: EidPrefix) -> impl Iterator<Item = EidPrefix> {
    (0..=eid.length()).filter_map(move |length| EidPrefix::new(eid.iid(), eid.address(), length).ok())
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

    #[test]
    fn a_subscription_is_believed_for_an_hour_and_so_many_of_them() {
        let mut abilities = Abilities::default();
        let eid: EidPrefix = "10.1.0.7/32".parse().unwrap();
        let now = Timestamp(1);
        abilities.subscribes(peer(1), eid, now);
        assert!(abilities.is_subscribed(&peer(1), &eid, now));
        assert!(!abilities.is_subscribed(&peer(1), &"10.1.0.8/32".parse().unwrap(), now));
        assert!(!abilities.is_subscribed(&peer(1), &eid, now + BELIEVED));
        abilities.doubt_subscription(peer(1), eid, now);
        abilities.subscribes(peer(1), eid, now + Span::secs(599));
        assert!(!abilities.is_subscribed(&peer(1), &eid, now + Span::secs(599)));
        abilities.subscribes(peer(1), eid, now + Span::secs(600));
        assert!(abilities.is_subscribed(&peer(1), &eid, now + Span::secs(600)));
        abilities.subscribes_no_more(peer(1), eid);
        assert!(!abilities.is_subscribed(&peer(1), &eid, now));
        for number in 0..=MOST_SUBSCRIPTIONS as u32 {
            abilities.subscribes(peer(number), eid, Timestamp(u64::from(number)));
        }
        let now = Timestamp(MOST_SUBSCRIPTIONS as u64);
        assert!(!abilities.is_subscribed(&peer(0), &eid, now));
        assert!(abilities.is_subscribed(&peer(1), &eid, now));
        assert_eq!(abilities.subscribed_by_age.len(), MOST_SUBSCRIPTIONS);
    }
}

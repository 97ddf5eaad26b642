//! A mapping: what it says, who said it, how long it lives.

use std::net::{IpAddr, SocketAddr};

use lisp_wire::{Action, Eid, Locator};
use proto::{Span, Timestamp};

use super::said::Said;

/// Locators of one mapping that are used, the best of them; the wire allows 255.
const MOST_LOCATORS: usize = 32;

/// A mapping of others.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) content: Content,
    pub(crate) origin: Origin,
    /// The EID whose packet caused it: asked for again when it is refreshed.
    pub(crate) asked: Eid,
    pub(crate) learned: Timestamp,
    pub(crate) expires: Timestamp,
    /// When its content was told; an update does not extend the life, so this may be later than `learned`.
    pub(super) told: Timestamp,
    pub(super) stage: Stage,
    /// What data headers say of it, where anybody is trusted with that.
    pub(super) said: Option<Box<Said>>,
}

/// What a mapping says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Asked for; packets wait.
    Pending,
    /// Go to one of these.
    Locators(Vec<Locator>),
    /// There is nobody to go to.
    Negative(Action),
    /// To a site behind a NAT, as it is seen from here: its address and the port that the NAT has given it.
    Behind(SocketAddr),
}

impl Content {
    /// Only locators that another host may have, and not so many that probing them would be a flood: who answers for a
    /// mapping must not point our packets and probes where it likes.
    fn reachable(self) -> Self {
        match self {
            Self::Locators(mut locators) => {
                let hops = |locator: &Locator| locator.path.map(Vec::from).unwrap_or_default();
                locators.retain(|locator| {
                    let mut hops = hops(locator).into_iter();
                    may_be_a_host(locator.rloc.0) && hops.all(|hop| may_be_a_host(hop.rloc.0))
                });
                if locators.len() > MOST_LOCATORS {
                    locators.sort_by_key(|locator| locator.priority);
                    locators.truncate(MOST_LOCATORS);
                }
                if locators.is_empty() {
                    Self::Negative(Action::Drop)
                } else {
                    Self::Locators(locators)
                }
            }
            other => other,
        }
    }
}

/// Whether packets may be sent there by anybody's word.
fn may_be_a_host(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || broadcast)
}

/// Where a mapping came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    MapReply,
    ChangePriority,
    /// Handed over by the site that an EID comes from; believed for a short time only.
    Prepared,
    /// A Map-Notify of a Map-Server that we subscribed at (RFC 9437).
    Publication,
    Manual,
    /// The router that helps through a NAT: at the xTR the way to everybody, at the router the way to the xTR.
    Router,
    /// Nobody answered; kept briefly, so that not each packet asks again.
    NoReply,
}

impl Origin {
    /// Whether the mapping system has no say in it.
    pub(crate) const fn is_given(self) -> bool {
        matches!(self, Self::Manual | Self::Router)
    }

    /// Whether anything that the mapping system, or the EID's own site, says is better.
    pub(super) const fn is_for_want_of_better(self) -> bool {
        matches!(self, Self::Prepared | Self::NoReply)
    }
}

/// How far a mapping's life has gone.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// Its packets have not been looked at.
    Fresh,
    /// At three quarters of its life it had carried this many packets.
    Sampled { packets: u64 },
    /// Asked for again, or not in use: it ends when its time is up.
    Final,
}

impl Mapping {
    pub(crate) fn new(content: Content, origin: Origin, asked: Eid, life: Life) -> Self {
        Self {
            content: content.reachable(),
            origin,
            asked,
            learned: life.from,
            expires: life.from + life.span,
            told: life.from,
            stage: Stage::Fresh,
            said: None,
        }
    }

    /// The same, told at another time than its life began.
    pub(crate) fn told(self, at: Timestamp) -> Self {
        Self { told: at, ..self }
    }

    /// When to look at it next: at three quarters and nine tenths of its life, and at its end.
    pub(super) fn due(&self) -> Timestamp {
        let life = self.expires.since(self.learned).micros();
        match (&self.content, self.stage) {
            (Content::Locators(_), Stage::Fresh) => self.learned + Span(life / 4 * 3),
            (Content::Locators(_), Stage::Sampled { .. }) => self.learned + Span(life / 10 * 9),
            _ => self.expires,
        }
    }
}

/// From when, and how long, a mapping holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) from: Timestamp,
    pub(crate) span: Span,
}

#[cfg(test)]
mod tests {
    use super::*;
    use lisp_wire::{Priority, Rloc, Weight};

    fn locators(addresses: impl IntoIterator<Item = IpAddr>) -> Content {
        let unicast = |address| Locator::unicast(Rloc(address), Priority::FIRST, Weight(100));
        Content::Locators(addresses.into_iter().map(unicast).collect())
    }

    #[test]
    fn nobody_points_our_packets_and_probes_at_ourselves_at_groups_or_at_too_many() {
        let good: IpAddr = "172.16.0.1".parse().unwrap();
        let bad = [
            "127.0.0.1",
            "0.0.0.0",
            "224.0.0.5",
            "255.255.255.255",
            "::1",
            "::",
            "ff02::1",
        ];
        let mixed = bad
            .into_iter()
            .chain(["172.16.0.1"])
            .map(|text| text.parse().unwrap());
        assert_eq!(locators(mixed).reachable(), locators([good]));
        assert_eq!(
            locators(bad.map(|text| text.parse().unwrap())).reachable(),
            Content::Negative(Action::Drop)
        );
        let many = (0..=254).map(|last| IpAddr::from([172, 16, 1, last]));
        let Content::Locators(kept) = locators(many).reachable() else {
            panic!("there are good ones")
        };
        assert_eq!(kept.len(), MOST_LOCATORS);
    }
}

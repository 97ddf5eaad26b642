//! The ways in which clients learn that an EID has moved.

use engine::session::{Lab, MAP_SERVER};
use proto::Span;
use testbed::TellBy;

use super::stage::{DESTINATION, SOURCE};
use crate::cli::HandoverWay;

/// A way that the forwarder knows. The order is the one claimed: each is no slower than the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// Change-Priority by the destination, to which the source has handed the clients before.
    Prepared,
    /// Change-Priority: the source tells the clients the new locators.
    Cp,
    /// Publish/subscribe: the Map-Server tells the clients, once the destination has registered.
    PubSub,
    /// Solicit-Map-Request: the source tells the clients to ask anew.
    Smr,
}

impl Way {
    /// The way asked for.
    pub(super) const fn of(asked: HandoverWay) -> Self {
        match asked {
            HandoverWay::Smr => Self::Smr,
            HandoverWay::Cp => Self::Cp,
            HandoverWay::Pubsub => Self::PubSub,
            HandoverWay::Prepared => Self::Prepared,
        }
    }

    /// As on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Cp => "cp",
            Self::PubSub => "pubsub",
            Self::Smr => "smr",
        }
    }

    /// What the forwarders of the lab are told.
    pub(super) const fn tell_by(self) -> TellBy {
        match self {
            Self::Prepared | Self::Cp => TellBy::ChangePriority,
            Self::PubSub => TellBy::PubSub,
            Self::Smr => TellBy::Smr,
        }
    }

    /// What a client's new mapping comes from, as its forwarder names it.
    pub(super) const fn origin(self) -> &'static str {
        match self {
            Self::Prepared | Self::Cp => "change-priority",
            Self::PubSub => "publication",
            Self::Smr => "map-reply",
        }
    }

    /// The ways over the network, one after the other, from the destination's word to the client's new mapping; each
    /// takes half a round trip of `lab`.
    pub(super) fn legs(self, lab: &Lab, client: &str) -> Vec<Span> {
        let legs: &[(&str, &str)] = match self {
            Self::Prepared => &[(DESTINATION, client)],
            Self::Cp => &[(DESTINATION, SOURCE), (SOURCE, client)],
            Self::PubSub => &[(DESTINATION, MAP_SERVER), (MAP_SERVER, client)],
            Self::Smr => &[
                (DESTINATION, SOURCE),
                (SOURCE, client),
                (client, MAP_SERVER),
                (MAP_SERVER, DESTINATION),
                (DESTINATION, client),
            ],
        };
        legs.iter()
            .map(|(from, to)| Span(lab.wan.between(from, to).rtt.micros() / 2))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::handover::place::session;
    use crate::cli::MapServerPlace;

    fn delays(way: Way, place: MapServerPlace) -> [u64; 3] {
        let lab = session(place).unwrap().lab.unwrap();
        ["inria", "ufrj", "vnu"].map(|client| way.legs(&lab, client).iter().map(|leg| leg.micros()).sum())
    }

    #[test]
    fn a_solicited_client_waits_for_three_legs_more() {
        let [.., cp] = delays(Way::Cp, MapServerPlace::Near);
        let [.., smr] = delays(Way::Smr, MapServerPlace::Near);
        assert_eq!(cp, u64::midpoint(30_470, 321_270));
        assert_eq!(smr - cp, (299_860 + 1_000 + 299_860) / 2);
    }

    #[test]
    fn over_denmark_a_publication_takes_longer_than_change_priority_and_from_beside_lip6_it_does_not() {
        let cp = delays(Way::Cp, MapServerPlace::Denmark);
        assert_eq!(
            cp,
            delays(Way::Cp, MapServerPlace::Near),
            "no Map-Server on the way"
        );
        let far = delays(Way::PubSub, MapServerPlace::Denmark);
        let near = delays(Way::PubSub, MapServerPlace::Near);
        assert!(
            cp.iter().zip(far).all(|(cp, far)| *cp < far),
            "{cp:?} against {far:?}"
        );
        assert!(
            cp.iter().zip(near).all(|(cp, near)| *cp > near),
            "{cp:?} against {near:?}"
        );
    }

    #[test]
    fn a_prepared_client_waits_for_one_leg() {
        let prepared = delays(Way::Prepared, MapServerPlace::Denmark);
        assert_eq!(prepared, [16_470, 246_070, 299_860].map(|rtt| rtt / 2));
    }
}

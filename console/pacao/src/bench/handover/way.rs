//! The ways in which clients learn that an EID has moved.

use anyhow::bail;
use clap::ValueEnum;
use engine::session::{Lab, MAP_SERVER};
use proto::Span;
use testbed::TellBy;

use super::stage::{DESTINATION, SOURCE};
use crate::cli::HandoverWay;

/// A way that the forwarder knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Solicit-Map-Request: the source tells the clients to ask anew.
    Smr,
    /// Change-Priority: the source tells the clients the new locators.
    Cp,
}

impl Way {
    /// The way asked for.
    ///
    /// # Errors
    /// One that the forwarder does not know.
    pub(super) fn of(asked: HandoverWay) -> anyhow::Result<Self> {
        match asked {
            HandoverWay::Smr => Ok(Self::Smr),
            HandoverWay::Cp => Ok(Self::Cp),
            HandoverWay::Pubsub | HandoverWay::Prepared => {
                let name = asked.to_possible_value();
                let name = name.as_ref().map_or("?", |name| name.get_name());
                bail!("--way {name}: the forwarder cannot tell clients in this way; use smr or cp")
            }
        }
    }

    /// As on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Smr => "smr",
            Self::Cp => "cp",
        }
    }

    /// What the forwarders of the lab are told.
    pub(super) const fn tell_by(self) -> TellBy {
        match self {
            Self::Smr => TellBy::Smr,
            Self::Cp => TellBy::ChangePriority,
        }
    }

    /// The ways over the network, one after the other, from the destination's word to the client's new mapping; each
    /// takes half a round trip of `lab`.
    pub(super) fn legs(self, lab: &Lab, client: &str) -> Vec<Span> {
        let told = [(DESTINATION, SOURCE), (SOURCE, client)];
        let asked = [
            (client, MAP_SERVER),
            (MAP_SERVER, DESTINATION),
            (DESTINATION, client),
        ];
        let asked = match self {
            Self::Smr => asked.as_slice(),
            Self::Cp => &[],
        };
        told.iter()
            .chain(asked)
            .map(|(from, to)| Span(lab.wan.between(from, to).rtt.micros() / 2))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use engine::session::Session;

    use super::*;
    use crate::session_file::TABLE_4_1;

    #[test]
    fn a_solicited_client_waits_for_three_legs_more() {
        let session = Session::parse(TABLE_4_1, "table-4-1").unwrap();
        let lab = session.lab.unwrap();
        let sum = |way: Way| -> u64 { way.legs(&lab, "vnu").iter().map(|leg| leg.micros()).sum() };
        assert_eq!(sum(Way::Cp), u64::midpoint(30_470, 321_270));
        assert_eq!(sum(Way::Smr) - sum(Way::Cp), (299_860 + 1_000 + 299_860) / 2);
    }

    #[test]
    fn a_way_that_the_forwarder_does_not_know_is_refused_by_name() {
        let words = Way::of(HandoverWay::Prepared).unwrap_err().to_string();
        assert!(
            words.contains("--way prepared") && words.contains("smr or cp"),
            "{words}"
        );
    }
}

//! What an engine has told so far, kept up to date from its frames.

use std::collections::BTreeMap;

use proto::{
    EngineFrame, LinkId, LinkState, Notice, Proposal, ProposalId, ProposalState, SiteName, Timestamp,
    UserName,
};

/// What an engine has told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// By number.
    pub proposals: BTreeMap<ProposalId, Proposal>,
    /// Forwarders by site: whether connected.
    pub nodes: BTreeMap<SiteName, bool>,
    /// Links: state, and when last heard of.
    pub links: BTreeMap<LinkId, (LinkState, Option<Timestamp>)>,
    /// Entries by user, from the locators of priority 1.
    pub entries: BTreeMap<UserName, SiteName>,
}

impl Told {
    /// Takes a frame in.
    pub(crate) fn take(&mut self, frame: EngineFrame) {
        match frame {
            EngineFrame::Snapshot { snapshot } => {
                *self = Self::default();
                let rlocs = Notice::Rlocs { rows: snapshot.rlocs };
                let nodes = snapshot.nodes.into_iter().map(|row| Notice::Node { row });
                let links = snapshot.links.into_iter().map(|row| Notice::Link { row });
                let proposals = snapshot
                    .proposals
                    .into_iter()
                    .map(|proposal| Notice::Proposal { proposal });
                for notice in nodes.chain(links).chain(proposals).chain([rlocs]) {
                    self.apply(notice);
                }
            }
            EngineFrame::Notices { notices } => notices.into_iter().for_each(|notice| self.apply(notice)),
            EngineFrame::Hello { .. } | EngineFrame::Reply { .. } | EngineFrame::Bye { .. } => {}
        }
    }

    fn apply(&mut self, notice: Notice) {
        match notice {
            Notice::Link { row } => {
                self.links.insert(row.link, (row.state, row.heard_at));
            }
            Notice::Proposal { proposal } => {
                self.proposals.insert(proposal.id, proposal);
            }
            Notice::Node { row } => {
                self.nodes.insert(row.site, row.connected);
            }
            Notice::Rlocs { rows } => {
                for row in rows
                    .into_iter()
                    .filter(|row| row.priority == lisp_wire::Priority::FIRST)
                {
                    self.entries.insert(row.user, row.dc);
                }
            }
            Notice::Point { .. }
            | Notice::Mode { .. }
            | Notice::Policy { .. }
            | Notice::Availability { .. }
            | Notice::Qoe { .. }
            | Notice::Leg { .. }
            | Notice::Clock { .. }
            | Notice::Log { .. } => {}
        }
    }

    /// All forwarders connected, and every link heard of after `since`.
    pub(crate) fn fresh(&self, since: Timestamp) -> bool {
        let heard = |(_, at): &(LinkState, Option<Timestamp>)| at.is_some_and(|at| at > since);
        !self.nodes.is_empty()
            && self.nodes.values().all(|connected| *connected)
            && !self.links.is_empty()
            && self.links.values().all(heard)
    }

    /// The first confirmed switch: its number, and when it was approved and confirmed.
    pub(crate) fn switch(&self) -> Option<(ProposalId, Timestamp, Timestamp)> {
        self.proposals
            .values()
            .find_map(|proposal| match &proposal.state {
                ProposalState::Confirmed { receipt, .. } => {
                    Some((proposal.id, receipt.approved_at, receipt.confirmed_at))
                }
                _ => None,
            })
    }
}

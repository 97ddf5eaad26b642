//! The desk on which proposals lie: open, revised, decided, ended. It alone changes a proposal's state, and
//! every change leaves a [`Notice`].

use std::collections::VecDeque;

use proto::proposal::Receipt;
use proto::{Actor, Notice, Proposal, ProposalId, ProposalState, Refusal, Reply, RequestId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Effect;
use crate::outbox::Outbox;

/// Ended proposals that stay on the desk to be looked at.
const ENDED_KEPT: usize = 64;
/// Requests whose replies are remembered.
const REQUESTS_KEPT: usize = 1024;

/// Proposals by number, and the replies already given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Desk {
    proposals: Vec<Proposal>,
    /// The last number given.
    last: u64,
    ended: usize,
    replies: VecDeque<(RequestId, Reply)>,
}

impl Desk {
    /// Lays a new proposal on the desk. Its number, revision and state are set here.
    pub(crate) fn open(&mut self, mut proposal: Proposal, out: &mut Outbox) -> ProposalId {
        self.last += 1;
        proposal.id = ProposalId(self.last);
        proposal.revision = 1;
        proposal.state = ProposalState::Open;
        out.push(notice(&proposal));
        let id = proposal.id;
        self.proposals.push(proposal);
        id
    }

    /// Replaces what an open proposal's card shows; its number, opening and expiry stay.
    pub(crate) fn revise(&mut self, id: ProposalId, card: Proposal, out: &mut Outbox) {
        if let Some(proposal) = self.get_mut(id)
            && proposal.state == ProposalState::Open
        {
            *proposal = Proposal {
                id,
                revision: proposal.revision.saturating_add(1),
                opened_at: proposal.opened_at,
                expires_at: proposal.expires_at,
                state: ProposalState::Open,
                ..card
            };
            out.push(notice(proposal));
        }
    }

    /// It is being carried out from now on.
    pub(crate) fn approve(&mut self, id: ProposalId, by: Actor, out: &mut Outbox) {
        let now = out.now;
        self.turn(id, ProposalState::Executing { by, since: now }, out);
    }

    /// It was carried out.
    pub(crate) fn confirm(&mut self, id: ProposalId, receipt: Receipt, out: &mut Outbox) {
        let by = self.approver(id);
        self.turn(id, ProposalState::Confirmed { by, receipt }, out);
    }

    /// It did not work.
    pub(crate) fn fail(&mut self, id: ProposalId, now: Timestamp, why: String, out: &mut Outbox) {
        let by = self.approver(id);
        self.turn(id, ProposalState::Failed { by, at: now, why }, out);
    }

    /// It was carried out, and the opposite since.
    pub(crate) fn revert(&mut self, id: ProposalId, why: String, out: &mut Outbox) {
        let now = out.now;
        let Some(proposal) = self.get_mut(id) else { return };
        if let ProposalState::Confirmed { by, receipt } = &proposal.state {
            proposal.state = ProposalState::Reverted {
                by: by.clone(),
                receipt: receipt.clone(),
                at: now,
                why,
            };
            out.push(notice(proposal));
        }
    }

    /// Who approved a proposal that was carried out.
    pub(crate) fn approver_of(&self, id: ProposalId) -> Actor {
        match self.get(id).map(|proposal| &proposal.state) {
            Some(ProposalState::Confirmed { by, .. }) => by.clone(),
            _ => Actor::Engine,
        }
    }

    /// Ends a proposal that nobody approved.
    pub(crate) fn end(&mut self, id: ProposalId, state: ProposalState, out: &mut Outbox) {
        self.turn(id, state, out);
    }

    /// The proposal that may be decided as it was shown, or why it may not.
    pub(crate) fn decidable(&self, id: ProposalId, revision: u32) -> Result<&Proposal, Refusal> {
        let Some(proposal) = self.get(id) else {
            // Numbers are given in order: what is missing below the last one was taken off the desk.
            return Err(if id.0 >= 1 && id.0 <= self.last {
                Refusal::NotOpen {
                    proposal: id,
                    state: "over and filed away".to_owned(),
                }
            } else {
                Refusal::UnknownProposal { proposal: id }
            });
        };
        if proposal.state != ProposalState::Open {
            return Err(Refusal::NotOpen {
                proposal: id,
                state: proposal.state.word().to_owned(),
            });
        }
        if proposal.revision != revision {
            return Err(Refusal::StaleRevision {
                proposal: id,
                current: proposal.revision,
            });
        }
        Ok(proposal)
    }

    pub(crate) fn get(&self, id: ProposalId) -> Option<&Proposal> {
        let at = self
            .proposals
            .binary_search_by_key(&id, |proposal| proposal.id)
            .ok()?;
        self.proposals.get(at)
    }

    pub(crate) fn all(&self) -> &[Proposal] {
        &self.proposals
    }

    /// Who approved it and when.
    pub(crate) fn approved(&self, id: ProposalId) -> Option<(&Actor, Timestamp)> {
        match &self.get(id)?.state {
            ProposalState::Executing { by, since } => Some((by, *since)),
            _ => None,
        }
    }

    /// The desk of an edited session: numbers, replies and ended proposals are kept; what was open or under way ends. And how
    /// many those were.
    pub(crate) fn carried(&self, now: Timestamp) -> (Self, usize) {
        let why = "the session was edited";
        let mut next = self.clone();
        let mut ended = 0;
        for proposal in &mut next.proposals {
            proposal.state = match &proposal.state {
                ProposalState::Open => ProposalState::Superseded {
                    at: now,
                    why: why.to_owned(),
                },
                ProposalState::Executing { by, .. } => ProposalState::Failed {
                    by: by.clone(),
                    at: now,
                    why: format!("{why} while it was under way; the old entry stands"),
                },
                _ => continue,
            };
            ended += 1;
        }
        let over = next.proposals.len();
        next.proposals.drain(..over.saturating_sub(ENDED_KEPT));
        next.ended = next.proposals.len();
        (next, ended)
    }

    /// The reply given to a request before.
    pub(crate) fn replied(&self, request: &RequestId) -> Option<&Reply> {
        self.replies
            .iter()
            .rev()
            .find(|(id, _)| id == request)
            .map(|(_, reply)| reply)
    }

    /// Remembers a reply; the oldest is forgotten.
    pub(crate) fn remember(&mut self, request: RequestId, reply: Reply) {
        if self.replies.len() >= REQUESTS_KEPT {
            self.replies.pop_front();
        }
        self.replies.push_back((request, reply));
    }

    fn approver(&self, id: ProposalId) -> Actor {
        self.approved(id).map_or(Actor::Engine, |(by, _)| by.clone())
    }

    fn get_mut(&mut self, id: ProposalId) -> Option<&mut Proposal> {
        let at = self
            .proposals
            .binary_search_by_key(&id, |proposal| proposal.id)
            .ok()?;
        self.proposals.get_mut(at)
    }

    fn turn(&mut self, id: ProposalId, state: ProposalState, out: &mut Outbox) {
        let Some(proposal) = self.get_mut(id) else { return };
        if proposal.state.is_over() {
            return;
        }
        proposal.state = state;
        let over = proposal.state.is_over();
        out.push(notice(proposal));
        if over {
            self.ended += 1;
            if self.ended > ENDED_KEPT {
                self.file_away();
            }
        }
    }

    /// Takes off the desk what ended first.
    fn file_away(&mut self) {
        let over = self.proposals.iter().enumerate();
        let ended = over.filter_map(|(at, proposal)| Some((proposal.state.ended_at()?, at)));
        if let Some((_, first)) = ended.min() {
            self.proposals.remove(first);
            self.ended -= 1;
        }
    }
}

fn notice(proposal: &Proposal) -> Effect {
    Effect::Notify {
        notice: Notice::Proposal {
            proposal: proposal.clone(),
        },
    }
}

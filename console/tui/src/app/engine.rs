//! What the engine says.

use proto::{EngineFrame, Notice, PROTOCOL, Proposal, ProposalState, Reply, Severity, Span};

use super::card::Answer;
use super::world::World;
use super::{App, Connection, foreign};
use crate::terminal::OnLost;
use crate::{Effect, Ending};

/// The bell rings no more often than this.
const QUIET: Span = Span::secs(10);

impl App {
    pub(super) fn frame(&mut self, frame: EngineFrame) -> Vec<Effect> {
        self.heard_at = self.now;
        match frame {
            EngineFrame::Hello { protocol, .. } if protocol != PROTOCOL => {
                self.connection = Connection::Foreign { protocol };
                self.say(Severity::Error, foreign(protocol))
            }
            EngineFrame::Hello { .. } => vec![Effect::Draw],
            EngineFrame::Snapshot { .. } | EngineFrame::Notices { .. }
                if matches!(self.connection, Connection::Foreign { .. }) =>
            {
                Vec::new()
            }
            EngineFrame::Snapshot { snapshot } => {
                let ours = i64::try_from(self.now.micros()).unwrap_or(i64::MAX);
                let theirs = i64::try_from(snapshot.at.micros()).unwrap_or(i64::MAX);
                self.skew = theirs.saturating_sub(ours);
                self.connection = Connection::Up;
                self.live = Some(World::new(snapshot));
                self.follow();
                self.look_again();
                vec![Effect::Draw]
            }
            EngineFrame::Notices { notices } => self.notices(notices),
            EngineFrame::Reply { request, reply } => {
                let reply = match self.seen(&request, reply) {
                    Ok(effects) => return effects,
                    Err(reply) => reply,
                };
                if let Some(card) = self.card.as_mut().filter(|card| card.takes(&request)) {
                    card.answer = match reply {
                        Reply::Explained { why } => Answer::Told(why),
                        Reply::Refused { refusal } => Answer::Refused(refusal.to_string()),
                        Reply::Accepted { what } => Answer::Refused(what),
                        Reply::Planned { plan } => Answer::Planned(plan),
                        Reply::Looked { .. } | Reply::Accounted { .. } => return Vec::new(),
                    };
                    return vec![Effect::Draw];
                }
                // Replies to commands of an earlier connection are no news.
                let Some(asked) = self.pending.remove(&request) else {
                    return Vec::new();
                };
                match reply {
                    Reply::Accepted { what } => self.say(Severity::Info, what),
                    Reply::Looked { .. } | Reply::Accounted { .. } | Reply::Planned { .. } => Vec::new(),
                    Reply::Explained { why } => self.say(Severity::Info, crate::plain::binding(&why)),
                    Reply::Refused { refusal } => {
                        let why = crate::plain::refusal(&refusal, self.live_now());
                        self.say(Severity::Warning, format!("refused ({}): {why}", asked.what))
                    }
                }
            }
            EngineFrame::Bye { why } => self.lose(why),
        }
    }

    fn notices(&mut self, notices: Vec<Notice>) -> Vec<Effect> {
        let Some(world) = &mut self.live else {
            return Vec::new();
        };
        let mut opened = false;
        let rows = world.links.len();
        for notice in notices {
            if let Notice::Proposal { proposal } = &notice {
                opened |=
                    proposal.state == ProposalState::Open && !world.proposals.contains_key(&proposal.id);
                if proposal.state.is_over() && self.proposal == Some(proposal.id) && was_open(world, proposal)
                {
                    // The cursor's proposal has just ended: the next one is what matters.
                    self.proposal = None;
                }
            }
            world.apply(notice);
        }
        if world.links.len() != rows {
            self.follow();
        }
        self.look_again();
        let mut effects = vec![Effect::Draw];
        if opened && self.rang_at.is_none_or(|rang| self.now.since(rang) > QUIET) {
            self.rang_at = Some(self.now);
            effects.push(Effect::Bell);
        }
        effects
    }

    /// Holds an open dialog against what is true now.
    pub(super) fn look_again(&mut self) {
        if let (Some(dialog), Some(world)) = (&mut self.dialog, &self.live) {
            dialog.follow(world);
            self.status = self.status.take().filter(|said| !dialog.is_over(&said.text));
        }
    }

    pub(super) fn lose(&mut self, why: String) -> Vec<Effect> {
        if self.on_lost == OnLost::Leave {
            return vec![Effect::Quit(Ending::Lost { why })];
        }
        if !matches!(self.connection, Connection::Lost { .. }) {
            // What the last frame told is as old as that frame.
            self.connection = Connection::Lost {
                since: self.heard_at,
                why,
            };
        }
        if let Some(dialog) = &mut self.dialog {
            dialog.close_off("the engine is lost".to_owned());
        }
        self.look_no_more();
        if let Some(card) = &mut self.card
            && card.answer == Answer::Waiting
        {
            card.answer = Answer::Lost;
        }
        let unanswered = std::mem::take(&mut self.pending);
        match unanswered.into_values().next_back() {
            Some(asked) => {
                let text = format!(
                    "lost the engine before it answered: {}; look again once it is back",
                    asked.what
                );
                self.say(Severity::Error, text)
            }
            None => vec![Effect::Draw],
        }
    }
}

fn was_open(world: &World, proposal: &Proposal) -> bool {
    world
        .proposals
        .get(&proposal.id)
        .is_some_and(|before| !before.state.is_over())
}

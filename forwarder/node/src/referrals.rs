//! The Map-Resolver's walk down a delegation tree: from its roots to the Map-Server that has the EID (RFC 8111).
//!
//! A referral is followed only if it came from the node that was asked, for a question that is open, speaks of what was
//! asked, and is closer to it than the referral before: so each step goes down, and there are at most [`MOST_STEPS`].

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lisp_wire::message::{Encapsulated, MapReferral, MapReply, MapRequest, Referral, ReferralAction};
use lisp_wire::{Action, EidPrefix, MappingRecord, Message, Nonce, Rloc, Ttl};
use proto::{Span, Timestamp};

use crate::context::{CONTROL_DSCP, Context};
use crate::counters::Counter;
use crate::timers::Timers;

/// How long a node has to answer before the next of its set is asked.
const WAIT: Span = Span::secs(1);
/// So many nodes are asked on one step, one after the other, the set over again if it is smaller.
const MOST_TRIES: usize = 4;
/// So many referrals are followed for one question.
const MOST_STEPS: usize = 8;
/// At most so many questions are open.
const MOST_OPEN: usize = 4096;
/// At most so many referrals are kept; the one that expires first makes room.
const MOST_KEPT: usize = 16_384;
/// No referral is kept longer, whatever it says.
const LONGEST: Span = Span::secs(24 * 3600);
/// How long "there is no such EID" may be kept by who asked, at the most, in minutes (RFC 9301 section 8.3).
const HOLE: Ttl = Ttl(15);

/// Questions on their way down, and what is known of the way.
#[derive(Debug, Default)]
pub(crate) struct Referrals {
    open: BTreeMap<Walk, Quest>,
    timers: Timers<Walk>,
    kept: BTreeMap<EidPrefix, Kept>,
    expiries: Timers<EidPrefix>,
}

/// A question: its nonce, which the ETR repeats to the ITR and so cannot be ours, and what it asks.
type Walk = (Nonce, EidPrefix);

#[derive(Clone, Debug)]
struct Kept {
    nodes: Vec<Rloc>,
}

#[derive(Clone, Debug)]
struct Quest {
    envelope: Encapsulated,
    /// Where the ITR awaits an answer.
    client: SocketAddr,
    /// What the nodes asked now are said to know; `None` for the roots.
    block: Option<EidPrefix>,
    nodes: Vec<Rloc>,
    tries: usize,
    steps: usize,
    /// Nodes that said the EID is theirs and nobody registers it.
    unregistered: usize,
}

impl Referrals {
    /// Takes a question on: from the closest referral known, or from the roots.
    pub(crate) fn ask(
        &mut self,
        request: &MapRequest,
        envelope: &Encapsulated,
        client: SocketAddr,
        cx: &mut Context<'_>,
    ) {
        let Some(asked) = request.eids.first().copied() else {
            return;
        };
        let walk = (request.nonce, asked);
        if self.open.contains_key(&walk) {
            return;
        }
        if self.open.len() >= MOST_OPEN {
            return cx.count(Counter::Full);
        }
        let (block, nodes) = match self.closest(&asked) {
            Some((block, kept)) => (Some(block), kept.nodes.clone()),
            None => (None, cx.config.ddt_roots.clone()),
        };
        let quest = Quest {
            envelope: envelope.clone(),
            client,
            block,
            nodes,
            tries: 0,
            steps: 0,
            unregistered: 0,
        };
        self.step(walk, quest, cx);
    }

    /// Asks the next node of the step's set; gives up where none has answered.
    fn step(&mut self, walk: Walk, mut quest: Quest, cx: &mut Context<'_>) {
        let node = quest.tries.checked_rem(quest.nodes.len());
        let node = node.and_then(|turn| quest.nodes.get(turn)).copied();
        let (Some(node), true) = (node, quest.tries < MOST_TRIES) else {
            self.timers.cancel(&walk);
            self.open.remove(&walk);
            // It may be the way that is wrong: the next question finds it anew.
            if let Some(block) = quest.block {
                self.forget(&block);
            }
            return cx.count(Counter::ReferralsFailed);
        };
        quest.tries += 1;
        let message = Message::Encapsulated(Encapsulated {
            ddt_originated: true,
            via: lisp_wire::Via::Nobody,
            ..quest.envelope.clone()
        });
        cx.count(Counter::ReferralsAsked);
        let to = SocketAddr::new(node.0, lisp_wire::CONTROL_PORT);
        cx.send_to(&message, to, CONTROL_DSCP);
        self.timers.set(walk, cx.now + WAIT);
        self.open.insert(walk, quest);
    }

    /// A Map-Referral.
    pub(crate) fn referred(&mut self, message: &MapReferral, from: SocketAddr, cx: &mut Context<'_>) {
        for referral in &message.records {
            let about = self
                .open
                .range((message.nonce, referral.eid)..)
                .map(|(walk, _)| *walk)
                .take_while(|(nonce, _)| *nonce == message.nonce)
                .find(|(_, asked)| referral.eid.covers(asked));
            let Some(walk) = about else {
                cx.count(Counter::Unsolicited);
                continue;
            };
            let asked_there = |quest: &Quest| quest.nodes.iter().any(|node| node.0 == from.ip());
            let Some(quest) = self.open.remove(&walk) else {
                continue;
            };
            if asked_there(&quest) {
                self.timers.cancel(&walk);
                self.follow(walk, quest, referral, cx);
            } else {
                self.open.insert(walk, quest);
                cx.count(Counter::Unsolicited);
            }
        }
    }

    fn follow(&mut self, walk: Walk, mut quest: Quest, referral: &Referral, cx: &mut Context<'_>) {
        match referral.action {
            ReferralAction::NodeReferral | ReferralAction::MsReferral => {
                // Down, and not in a circle.
                let closer = quest.block.is_none_or(|block| {
                    block.covers(&referral.eid) && block.length() < referral.eid.length()
                });
                let nodes: Vec<Rloc> = referral
                    .nodes
                    .iter()
                    .map(|node| node.rloc)
                    .filter(|node| !cx.config.is_own(*node) && cx.own_toward(node.0).is_some())
                    .collect();
                if !closer || nodes.is_empty() || quest.steps >= MOST_STEPS {
                    return cx.count(Counter::ReferralsRefused);
                }
                cx.count(Counter::ReferralsFollowed);
                if !referral.incomplete {
                    self.keep(referral, &nodes, cx.now);
                }
                let next = Quest {
                    block: Some(referral.eid),
                    nodes,
                    tries: 0,
                    steps: quest.steps + 1,
                    unregistered: 0,
                    ..quest
                };
                self.step(walk, next, cx);
            }
            ReferralAction::MsAck => cx.count(Counter::ReferralsArrived),
            ReferralAction::MsNotRegistered => {
                quest.unregistered += 1;
                if quest.unregistered < quest.nodes.len().min(MOST_TRIES) {
                    return self.step(walk, quest, cx);
                }
                refuse(walk.0, referral, (Action::Drop, Ttl(1)), (quest.client, cx));
            }
            ReferralAction::DelegationHole => {
                refuse(
                    walk.0,
                    referral,
                    (Action::NativelyForward, HOLE),
                    (quest.client, cx),
                );
            }
            ReferralAction::NotAuthoritative => {
                // What led there is wrong, or old.
                cx.count(Counter::ReferralsRefused);
                let Some(block) = quest.block else { return };
                self.forget(&block);
                if quest.steps < MOST_STEPS {
                    let again = Quest {
                        block: None,
                        nodes: cx.config.ddt_roots.clone(),
                        tries: 0,
                        steps: quest.steps + MOST_STEPS / 2,
                        unregistered: 0,
                        ..quest
                    };
                    self.step(walk, again, cx);
                }
            }
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next().into_iter().chain(self.expiries.next()).min()
    }

    /// Goes on where nobody answered; forgets what is old.
    pub(crate) fn tick(&mut self, cx: &mut Context<'_>) {
        while let Some(walk) = self.timers.pop_due(cx.now) {
            if let Some(quest) = self.open.remove(&walk) {
                self.step(walk, quest, cx);
            }
        }
        while let Some(block) = self.expiries.pop_due(cx.now) {
            self.kept.remove(&block);
        }
    }

    /// The longest referral around `asked`.
    fn closest(&self, asked: &EidPrefix) -> Option<(EidPrefix, &Kept)> {
        (0..=asked.length()).rev().find_map(|length| {
            let block = EidPrefix::new(asked.iid(), asked.address(), length).ok()?;
            self.kept.get(&block).map(|kept| (block, kept))
        })
    }

    fn keep(&mut self, referral: &Referral, nodes: &[Rloc], now: Timestamp) {
        if referral.ttl == Ttl(0) {
            return;
        }
        if self.kept.len() >= MOST_KEPT
            && !self.kept.contains_key(&referral.eid)
            && let Some(oldest) = self.expiries.first()
        {
            self.forget(&oldest);
        }
        let life = Span::secs(u64::from(referral.ttl.0) * 60).min(LONGEST);
        self.expiries.set(referral.eid, now + life);
        let nodes = nodes.to_vec();
        self.kept.insert(referral.eid, Kept { nodes });
    }

    fn forget(&mut self, block: &EidPrefix) {
        self.expiries.cancel(block);
        self.kept.remove(block);
    }
}

/// "There is no such EID", to who asked (RFC 8111 section 7.1).
fn refuse(
    nonce: Nonce,
    referral: &Referral,
    (action, longest): (Action, Ttl),
    (client, cx): (SocketAddr, &mut Context<'_>),
) {
    cx.count(Counter::ReferralsHoles);
    let record = MappingRecord {
        ttl: referral.ttl.min(longest).max(Ttl(1)),
        eid: referral.eid,
        action,
        authoritative: false,
        map_version: 0,
        locators: Vec::new(),
    };
    let reply = MapReply {
        nonce,
        probe: false,
        echo_nonce: false,
        records: vec![record],
    };
    cx.send_to(&Message::MapReply(reply), client, CONTROL_DSCP);
}

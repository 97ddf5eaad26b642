//! Preparations from other sites, and the commands that begin and end our own.

use lisp_wire::message::{Preparation, Step};
use lisp_wire::sealed::Around;
use lisp_wire::{EidPrefix, Handed, Locator, Message, Nonce, Priority, Rloc, Weight, verify};
use proto::{Span, Timestamp};

use super::Mobility;
use crate::config::{Right, ScopedKey};
use crate::context::{Context, Memory, unsigned};
use crate::counters::Counter;
use crate::datagrams::Datagram;
use crate::deliveries::Order;
use crate::replay::WINDOW;
use crate::state::{Sender, Standing};
use crate::whereabouts::RETURN_FOR;
use crate::xtr::Xtr;

impl Mobility {
    /// A preparation from the network.
    pub(crate) fn receive_preparation(
        &mut self,
        message: &Preparation,
        datagram: &Datagram<'_>,
        xtr: &mut Xtr,
        cx: &mut Context<'_>,
    ) {
        let config = cx.config;
        let key = match self.key_of(message, datagram.bytes, cx) {
            Ok(key) => key,
            Err(refusal) => return cx.count(refusal),
        };
        if message.step == Step::Acknowledge {
            return self.preparing.acknowledged(message.nonce, message.eid, xtr, cx);
        }
        let sender = Sender::Xtr(key.key.id, message.xtr);
        match self.take_part(message, (sender, key), xtr, cx) {
            Ok(()) => {}
            // The network delivered it twice: to say once more that it was taken tells nobody anything new.
            Err(refusal) if self.guard.is_last(sender, message.nonce) => cx.count(refusal),
            Err(refusal) => return cx.count(refusal),
        }
        let answer = Preparation {
            step: Step::Acknowledge,
            auth: unsigned(),
            xtr: config.xtr_id,
            sender: message.receiver,
            receiver: message.sender,
            sealed: Vec::new(),
            ..message.clone()
        };
        cx.send_signed(&Message::Preparation(answer), &key.key, datagram.from);
    }

    /// The key that vouches for a message, if it has a say over the EID and the message is for us.
    fn key_of<'c>(
        &self,
        message: &Preparation,
        bytes: &[u8],
        cx: &Context<'c>,
    ) -> Result<&'c ScopedKey, Counter> {
        let verified = verify(bytes, &self.keys).map_err(Counter::from)?;
        let settings = &cx.config.change_priority;
        let (key, right) = settings.known_as(verified.id).ok_or(Counter::UnknownKey)?;
        // Clients hold keys too, so that they can be told: they prepare nothing, and acknowledge no preparation.
        if right != Right::Move {
            return Err(Counter::NoRight);
        }
        if !cx.config.is_own(message.receiver) || message.xtr == cx.config.xtr_id {
            return Err(Counter::Misdirected);
        }
        if !settings.group.contains(&message.sender) {
            return Err(Counter::NotInGroup);
        }
        if !key.scope.holds(&message.eid) {
            return Err(Counter::Scope);
        }
        Ok(key)
    }

    fn take_part(
        &mut self,
        message: &Preparation,
        (sender, key): (Sender, &ScopedKey),
        xtr: &mut Xtr,
        cx: &mut Context<'_>,
    ) -> Result<(), Counter> {
        self.guard.check(sender, message.nonce, cx.now)?;
        let eid = message.eid;
        let (_, own) = xtr.database.covering(&eid).ok_or(Counter::Scope)?;
        let lives_here = own.standing == Standing::Registered;
        match message.step {
            Step::Hand => {
                let around = Around {
                    nonce: message.nonce,
                    xtr: message.xtr,
                };
                let opened = Handed::open(&message.sealed, &key.key, around);
                let handed = opened.map_err(|_| Counter::Malformed)?;
                // The higher number takes the place of the lower: one from the future would shut out all that come.
                if Timestamp(message.serial) > cx.now + WINDOW {
                    return Err(Counter::Stale);
                }
                self.prepared
                    .check(message, handed.clients.len() + handed.mappings.len())?;
                // That it was begun must be known after a restart, when nothing of it is, before the other site relies on
                // us. Of all that follows only replays could tell, and those are refused as part of what was begun.
                let urgency = if self.prepared.knows(message) {
                    Memory::Soon
                } else {
                    Memory::Now
                };
                self.note((sender, message.nonce), urgency, cx);
                let more = self
                    .prepared
                    .take(message, (handed, &self.keys), &mut xtr.cache, cx);
                if let Some(luggage) = more {
                    self.tell_handed(eid, luggage, xtr, cx);
                }
            }
            Step::Stopped => {
                self.prepared.sender_of(message).ok_or(Counter::Unsolicited)?;
                self.note((sender, message.nonce), Memory::Soon, cx);
                if self.prepared.awaits(&eid) && !lives_here {
                    xtr.whereabouts.hold(eid, &mut xtr.cache, cx);
                }
            }
            Step::Cancelled => {
                let known = self.prepared.sender_of(message);
                self.note((sender, message.nonce), Memory::Soon, cx);
                if let Some(home) = known.filter(|_| self.prepared.awaits(&eid)) {
                    self.prepared.forget(&eid, cx.now);
                    if xtr.whereabouts.holds(&eid) {
                        let there = Locator::unicast(home, Priority::FIRST, Weight(100));
                        xtr.whereabouts
                            .gone((eid, &[there]), RETURN_FOR, &mut xtr.cache, cx);
                    }
                }
            }
            Step::Acknowledge => {}
        }
        Ok(())
    }

    fn note(&mut self, (sender, nonce): (Sender, Nonce), urgency: Memory, cx: &mut Context<'_>) {
        self.guard.note(sender, nonce);
        cx.remember(urgency);
    }

    /// Begins to prepare the move of an EID from here to `destination`.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(crate) fn prepare(
        &mut self,
        (eid, destination): (EidPrefix, Rloc),
        (life, order): (Span, Order),
        xtr: &Xtr,
        cx: &mut Context<'_>,
    ) -> Result<(), String> {
        let Self {
            preparing,
            deliveries,
            ..
        } = self;
        preparing.begin((eid, destination), (life, order), (xtr, deliveries), cx)
    }

    /// A client asked for EIDs, or was given views of them.
    pub(crate) fn asked(&mut self, client: Rloc, eids: &[EidPrefix], xtr: &Xtr, cx: &mut Context<'_>) {
        let Self {
            preparing,
            deliveries,
            ..
        } = self;
        for eid in eids {
            preparing.asked(*eid, client, (xtr, deliveries), cx);
        }
    }

    /// The EID has stopped here and is about to run elsewhere.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(crate) fn stopped(
        &mut self,
        eid: EidPrefix,
        xtr: &mut Xtr,
        cx: &mut Context<'_>,
    ) -> Result<(), String> {
        let (_, own) = xtr
            .database
            .covering(&eid)
            .ok_or_else(|| format!("{eid} is not within the EIDs configured at this node"))?;
        if own.standing == Standing::Elsewhere {
            return Err(format!("{eid} is at another site"));
        }
        xtr.whereabouts.hold(eid, &mut xtr.cache, cx);
        self.preparing.stopped(eid, cx);
        Ok(())
    }

    /// The EID stays here.
    ///
    /// # Errors
    /// Nothing was begun.
    pub(crate) fn abandon(
        &mut self,
        eid: EidPrefix,
        xtr: &mut Xtr,
        cx: &mut Context<'_>,
    ) -> Result<(), String> {
        let prepared = self.preparing.abandon(eid, cx);
        if !prepared && !xtr.whereabouts.holds(&eid) {
            return Err(format!("no move of {eid} is being prepared"));
        }
        xtr.whereabouts.here(eid, &mut xtr.cache, cx);
        Ok(())
    }
}

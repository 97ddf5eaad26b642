//! Registrations of xTRs behind NATs, as routers hand them on (draft-ermagan-lisp-nat-traversal section 5).

use std::net::SocketAddr;

use lisp_wire::message::{Encapsulated, Via};
use lisp_wire::{CONTROL_PORT, Key, Message, Rloc};

use super::MapServer;
use crate::config::KeyRing;
use crate::context::{CONTROL_DSCP, Context};
use crate::counters::Counter;

/// The way that a registration came, and its Map-Notify goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Through<'a> {
    envelope: &'a Encapsulated,
    router: SocketAddr,
    /// Shared with the router.
    keys: &'a KeyRing,
}

impl MapServer {
    /// A Map-Register that a router has handed on. Only routers that we know are heard; the registration itself is good
    /// by its own key.
    pub(crate) fn register_through(
        &mut self,
        envelope: &Encapsulated,
        router: SocketAddr,
        cx: &mut Context<'_>,
    ) {
        let Some(keys) = cx.config.nat.routers.get(&Rloc(router.ip())) else {
            return cx.count(Counter::Scope);
        };
        let Ok(Message::MapRegister(register)) = Message::parse(&envelope.message) else {
            return cx.count(Counter::Malformed);
        };
        let through = Through {
            envelope,
            router,
            keys,
        };
        self.take_register(&register, (&envelope.message, router), Some(through), cx);
    }
}

impl Through<'_> {
    /// Answers the xTR by way of its router, to whom we prove that it is our word.
    pub(super) fn send_back(self, notify: &Message, key: &Key, cx: &mut Context<'_>) {
        let mut message = Vec::new();
        let signed = notify.emit_signed(key, &mut message);
        let proof = self.keys.signing(0).and_then(|key| key.vouch(&message).ok());
        let (Ok(()), Some(proof)) = (signed, proof) else {
            return cx.count(Counter::Unsendable);
        };
        let envelope = Encapsulated {
            source: SocketAddr::new(self.envelope.destination, CONTROL_PORT),
            destination: self.envelope.source.ip(),
            ddt_originated: false,
            via: Via::Notice(proof),
            message,
        };
        cx.send_to(&Message::Encapsulated(envelope), self.router, CONTROL_DSCP);
    }
}

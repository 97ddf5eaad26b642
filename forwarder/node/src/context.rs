//! What every machine is handed: the configuration, the time, nonces, counters, and where effects go.

use std::net::{IpAddr, SocketAddr};

use lisp_wire::message::{AuthField, MapRequest, NotifyBits};
use lisp_wire::{Algorithm, CONTROL_PORT, DATA_PORT, Eid, EidPrefix, Key, Message, Rloc};
use proto::{NodeReport, Timestamp};

use crate::config::Config;
use crate::counters::{Counter, Counters};
use crate::input::{Effect, To};
use crate::journal::Journal;
use crate::nonces::Nonces;

/// DSCP of control messages: CS6, network control (RFC 4594 section 3.2), so that a full link does not delay repair.
pub(crate) const CONTROL_DSCP: u8 = 48;
/// A Map-Request holds this many ITR-RLOCs at most (RFC 9301 section 5.2).
const MOST_ITR_RLOCS: usize = 32;

/// The surroundings of a machine while it handles one input.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) now: Timestamp,
    pub(crate) nonces: &'a mut Nonces,
    pub(crate) counters: &'a mut Counters,
    pub(crate) journal: &'a mut Journal,
    /// Probes to be sent, before all other effects.
    pub(crate) probes: &'a mut Vec<Effect>,
    pub(crate) effects: &'a mut Vec<Effect>,
    pub(crate) memory: &'a mut Memory,
}

/// Whether what must outlive the process has changed, and how soon it must be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Memory {
    /// Nothing new.
    #[default]
    Written,
    /// Written together with others, soon.
    Soon,
    /// Written before anything is said about it.
    Now,
}

impl Context<'_> {
    pub(crate) fn count(&mut self, counter: Counter) {
        self.counters.count(counter);
        self.journal.counted(counter);
    }

    pub(crate) fn remember(&mut self, when: Memory) {
        *self.memory = when.max(*self.memory);
    }

    /// Our address to speak from, of the family of `to`.
    pub(crate) fn own_toward(&self, to: IpAddr) -> Option<Rloc> {
        self.config
            .rlocs
            .iter()
            .map(|own| own.rloc)
            .find(|own| own.0.is_ipv4() == to.is_ipv4())
    }

    /// Where replies may go.
    pub(crate) fn itr_rlocs(&self) -> Vec<Rloc> {
        self.config
            .rlocs
            .iter()
            .map(|own| own.rloc)
            .take(MOST_ITR_RLOCS)
            .collect()
    }

    /// Sends to the control port of `to`.
    pub(crate) fn send(&mut self, message: &Message, to: Rloc) {
        self.send_to(message, SocketAddr::new(to.0, CONTROL_PORT), CONTROL_DSCP);
    }

    /// Sends to any port, in any class.
    pub(crate) fn send_to(&mut self, message: &Message, to: SocketAddr, dscp: u8) {
        let mut bytes = Vec::new();
        match message.emit(&mut bytes) {
            Ok(()) => self.send_bytes(bytes, to, dscp),
            Err(_) => self.count(Counter::Unsendable),
        }
    }

    /// Signs and sends.
    pub(crate) fn send_signed(&mut self, message: &Message, key: &Key, to: SocketAddr) {
        let mut bytes = Vec::new();
        match message.emit_signed(key, &mut bytes) {
            Ok(()) => self.send_bytes(bytes, to, CONTROL_DSCP),
            Err(_) => self.count(Counter::Unsendable),
        }
    }

    /// Sends from UDP 4341, as one behind a NAT does to have it let packets in there.
    pub(crate) fn send_from_data(&mut self, message: &Message, to: Rloc) {
        let mut bytes = Vec::new();
        if message.emit(&mut bytes).is_err() {
            return self.count(Counter::Unsendable);
        }
        self.count(Counter::Sent);
        let to = SocketAddr::new(to.0, CONTROL_PORT);
        let from = (self.own_toward(to.ip()).map(|own| own.0), DATA_PORT);
        self.journal.sent((from, to), &bytes, (CONTROL_DSCP, self.now));
        self.effects.push(Effect::SendFromData { to, bytes });
    }

    /// Sends what was made before.
    pub(crate) fn send_bytes(&mut self, bytes: Vec<u8>, to: SocketAddr, dscp: u8) {
        self.count(Counter::Sent);
        let from = self.own_toward(to.ip()).map(|own| own.0);
        self.journal
            .sent(((from, CONTROL_PORT), to), &bytes, (dscp, self.now));
        self.effects.push(Effect::Send {
            from,
            to,
            bytes,
            dscp,
        });
    }

    /// Sends a message inside a data packet. The log has the message itself.
    pub(crate) fn send_in_data(&mut self, packet: Vec<u8>, message: &[u8], to: SocketAddr) {
        self.count(Counter::Sent);
        let from = self.own_toward(to.ip()).map(|own| own.0);
        self.journal
            .sent(((from, CONTROL_PORT), to), message, (CONTROL_DSCP, self.now));
        self.effects.push(Effect::Send {
            from,
            to,
            bytes: packet,
            dscp: CONTROL_DSCP,
        });
    }

    /// Sends a probe, whose time counts from now.
    pub(crate) fn send_probe(&mut self, message: &Message, to: Rloc, dscp: u8) {
        let to = SocketAddr::new(to.0, CONTROL_PORT);
        let held = self.effects.len();
        self.send_to(message, to, dscp);
        self.probes.extend(self.effects.drain(held..));
    }

    /// Solicits a Map-Request for `eid` (RFC 9301 section 6.1). The EID stands in both places where receivers look.
    /// For peers that want it so, `theirs`, an EID of their own, is asked for instead.
    pub(crate) fn solicit(&mut self, peer: Rloc, eid: EidPrefix, theirs: Option<Eid>) {
        let asked = theirs.map_or(eid, EidPrefix::host);
        let request = MapRequest {
            nonce: self.nonces.random(),
            authoritative: false,
            probe: false,
            solicit: true,
            invoked: false,
            proxy_itr: false,
            no_reply: true,
            source_eid: Some(eid.first()),
            itr_rlocs: self.itr_rlocs(),
            eids: vec![asked],
            map_reply: None,
            notify: NotifyBits::NONE,
            xtr: None,
        };
        self.count(Counter::SolicitsSent);
        self.send(&Message::MapRequest(request), peer);
    }

    /// Tells everyone who subscribed.
    pub(crate) fn tell(&mut self, report: NodeReport) {
        self.effects.push(Effect::Report {
            to: To::Subscribers,
            reply_to: None,
            report,
        });
    }
}

/// An authentication field that signing fills in.
pub(crate) fn unsigned() -> AuthField {
    AuthField {
        key_id: 0,
        algorithm: Algorithm::None,
        mac: Vec::new(),
    }
}

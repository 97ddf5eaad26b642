//! Packets without a mapping: held, asked for, sent.

use datapath::{Fate, Forwarding};
use lisp_wire::{Eid, InstanceId, Message, Rloc};
use node::Input;

use super::Control;
use crate::holding::Asked;
use crate::link::Word;
use crate::transmit::Refusal;

impl Control {
    /// Takes in what the packet threads said.
    pub(super) fn listen(&mut self) {
        while let Some(word) = self.ear.next() {
            match word {
                Word::Missed {
                    packet,
                    eid,
                    source,
                    pool,
                } => {
                    self.missed(eid, source, &packet);
                    self.ear.give_back(pool, packet);
                }
                Word::Tunnelled { packet, pool } => {
                    self.tunnelled(&packet);
                    self.ear.give_back(pool, packet);
                }
                Word::Met { locator } => self.desk.inputs.push_back(Input::Met { rloc: Rloc(locator) }),
                Word::Late { locator, eid } => self.desk.inputs.push_back(Input::Late {
                    rloc: Rloc(locator),
                    eid,
                }),
                Word::Early {
                    packet,
                    eid,
                    ticket,
                    pool,
                } => {
                    self.early(eid, &packet, ticket);
                    self.ear.give_back(pool, packet);
                }
                Word::TooNarrow { locator } => self.refused(Refusal::TooNarrow(locator)),
                Word::Unreachable { locator } => self.refused(Refusal::Unreachable(locator)),
            }
        }
    }

    /// A control message that came through the tunnel. Only what is signed may come that way: a Map-Notify.
    fn tunnelled(&mut self, packet: &[u8]) {
        // An envelope is such a packet behind one word (RFC 9301 section 5.8).
        let envelope = [&[0x80, 0, 0, 0], packet].concat();
        let Ok(Message::Encapsulated(inside)) = Message::parse(&envelope) else {
            return self.shared.inbound.count(Fate::DecapMalformed);
        };
        if !matches!(Message::parse(&inside.message), Ok(Message::MapNotify(_))) {
            return self.shared.inbound.count(Fate::NotLocal);
        }
        let received_at = self.clock.now();
        self.desk.inputs.push_back(Input::Datagram {
            from: inside.source,
            local: inside.destination,
            bytes: inside.message,
            received_at,
        });
    }

    fn missed(&mut self, eid: Eid, source: Eid, packet: &[u8]) {
        match self.desk.tables.cache.lookup(&eid).map(|entry| &entry.forwarding) {
            // The mapping came while the packet was on its way here. Older ones go first.
            Some(Forwarding::Encapsulate(_) | Forwarding::Redirect(_)) => {
                let mut packets = self.desk.holding.take(&lisp_wire::EidPrefix::host(eid));
                packets.push((packet.to_vec(), ()));
                self.send_held(eid.iid, packets.iter().map(|(packet, ())| packet.as_slice()));
            }
            Some(Forwarding::Native | Forwarding::Drop | Forwarding::Local | Forwarding::Arriving(_)) => {
                self.shared.control.count(Fate::NoMapping);
            }
            None | Some(Forwarding::Pending) => {
                let now = self.clock.now();
                if self
                    .desk
                    .holding
                    .hold(eid, (packet, ()), now, &self.shared.control)
                    == Asked::Now
                {
                    self.desk.inputs.push_back(Input::Miss {
                        eid,
                        source: Some(source),
                    });
                }
            }
        }
    }

    /// Sends packets of a tenant by the tables of the desk; what still has no mapping is held on.
    pub(super) fn send_held<'a>(&mut self, tenant: InstanceId, packets: impl IntoIterator<Item = &'a [u8]>) {
        let Some(release) = &mut self.release else { return };
        let mut refusals = Vec::new();
        let unsent = release.send(&self.desk.tables, (tenant, packets), |refusal| {
            refusals.push(refusal);
        });
        let now = self.clock.now();
        for (eid, packet) in unsent {
            if self
                .desk
                .holding
                .hold(eid, (&packet, ()), now, &self.shared.control)
                == Asked::Now
            {
                self.desk.inputs.push_back(Input::Miss { eid, source: None });
            }
        }
        for refusal in refusals {
            self.refused(refusal);
        }
    }

    fn refused(&mut self, refusal: Refusal) {
        let now = self.clock.now();
        match refusal {
            Refusal::TooNarrow(locator) => self.learn_path(locator, now),
            Refusal::Unreachable(locator) => {
                if self.desk.paths.may_say_unreachable(locator, now) {
                    self.desk
                        .inputs
                        .push_back(Input::Unreachable { rloc: Rloc(locator) });
                }
            }
        }
    }
}

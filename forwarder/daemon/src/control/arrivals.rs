//! Packets for EIDs that do not run here yet, or no more: held, handed to the site, or sent on.

use datapath::{Fate, Forwarding};
use lisp_wire::{Eid, EidPrefix, InstanceId};

use super::Control;
use crate::link::Ticket;

impl Control {
    /// A packet that came by the network for an EID at a gate.
    pub(super) fn early(&mut self, eid: Eid, packet: &[u8], ticket: Ticket) {
        let host = EidPrefix::host(eid);
        match self.desk.tables.cache.lookup(&eid).map(|entry| &entry.forwarding) {
            Some(Forwarding::Arriving(gate)) if !gate.is_open() => {
                let now = self.clock.now();
                self.shared.control.count(Fate::Awaiting);
                self.desk
                    .arrivals
                    .hold(eid, (packet, ticket), now, &self.shared.control);
            }
            // It was decided while the packet was on its way here. Older ones go first.
            Some(Forwarding::Arriving(_) | Forwarding::Local) => {
                self.hand_in(&host);
                self.hand_in_one(eid.iid, packet);
                drop(ticket);
            }
            Some(Forwarding::Redirect(_)) => {
                self.redirect(&host);
                self.shared.control.count(Fate::HeldRedirected);
                self.send_held(eid.iid, [packet]);
            }
            _ => self.shared.control.count(Fate::NotLocal),
        }
    }

    /// Hands what was held for the EIDs of a block to the site.
    pub(super) fn deliver(&mut self, block: &EidPrefix) {
        // Those that the packet threads have handed over and nobody has looked at yet are the last ones.
        self.hand_in(block);
        self.listen();
    }

    /// Sends what was held for the EIDs of a block on to where they are.
    pub(super) fn redirect(&mut self, block: &EidPrefix) {
        let packets = self.desk.arrivals.take(block);
        if packets.is_empty() {
            return;
        }
        self.shared
            .control
            .add(Fate::HeldRedirected, packets.len() as u64);
        self.send_held(block.iid(), packets.iter().map(|(packet, _)| packet.as_slice()));
    }

    fn hand_in(&mut self, block: &EidPrefix) {
        for (packet, ticket) in self.desk.arrivals.take(block) {
            self.hand_in_one(block.iid(), &packet);
            // Only now may later packets go past this thread.
            drop(ticket);
        }
    }

    fn hand_in_one(&self, iid: InstanceId, packet: &[u8]) {
        let tun = self.tenants.as_ref().and_then(|tenants| tenants.tun(iid));
        let fate = match tun.map(|tun| tun.write(packet)) {
            Some(Ok(())) => Fate::Delivered,
            Some(Err(_)) | None => Fate::DeliverFailed,
        };
        self.shared.control.count(fate);
    }
}

//! Datagrams from the network become packets for the site (RFC 9300 sections 5.3 and 6, the ETR's part).

use std::net::IpAddr;
use std::sync::Arc;

use lisp_wire::data_header::DATA_HEADER_LEN;
use lisp_wire::{DataHeader, Eid, InstanceId};

use crate::batch::{PacketBatch, Slot};
use crate::counters::{Counters, Fate};
use crate::ecn;
use crate::inner::{self, Inner};
use crate::marks::{Arrival, Heard};
use crate::{EidSet, Forwarding, Gate, MapCache, Marks};

/// What is done with packets whose EID is not at this site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Relay {
    /// They are dropped, and counted.
    #[default]
    Refused,
    /// Those to EIDs in this set are encapsulated again towards where their EID is (RTR role). Whoever encapsulates to
    /// us could otherwise have packets sent anywhere in our name.
    For(EidSet),
}

impl Relay {
    fn takes(&self, eid: &Eid) -> bool {
        match self {
            Self::Refused => false,
            Self::For(eids) => eids.holds(eid),
        }
    }
}

/// What comes of a batch. Made once and used again.
#[derive(Debug, Default)]
pub struct Ingress {
    /// For the site, in order.
    pub local: Vec<Slot>,
    /// To be sent on by [`Encapsulator::relay_batch`](crate::Encapsulator::relay_batch), in order.
    pub relayed: Vec<Slot>,
    /// The same for EIDs that have left this site.
    pub redirected: Vec<Slot>,
    /// To be held, in order.
    pub early: Vec<Early>,
    /// Packets to this node itself, which is behind a NAT: control messages that came the only way there is.
    pub control: Vec<Slot>,
    /// A peer that is trusted but not known yet; one a batch is enough, for it will come again.
    pub met: Option<IpAddr>,
}

/// A packet that has to wait at a gate.
#[derive(Clone, Debug)]
pub struct Early {
    /// Where it lies in the batch.
    pub slot: Slot,
    /// For whom it is.
    pub eid: Eid,
    /// What it waits for.
    pub gate: Arc<Gate>,
}

impl Ingress {
    /// For batches of at most `capacity` packets.
    pub fn new(capacity: u16) -> Self {
        let room = usize::from(capacity);
        Self {
            local: Vec::with_capacity(room),
            relayed: Vec::with_capacity(room),
            control: Vec::with_capacity(room),
            met: None,
            redirected: Vec::with_capacity(room),
            early: Vec::with_capacity(room),
        }
    }

    /// Forgets everything; do this after each batch.
    pub fn clear(&mut self) {
        self.local.clear();
        self.relayed.clear();
        self.control.clear();
        self.met = None;
        self.redirected.clear();
        self.early.clear();
    }
}

/// The ETR's part, for the tenants of this site.
#[derive(Clone, Debug)]
pub struct Decapsulator {
    /// In order.
    tenants: Box<[InstanceId]>,
    relay: Relay,
    /// Where control messages may come through the tunnel.
    own: Box<[IpAddr]>,
    counters: Arc<Counters>,
}

impl Decapsulator {
    /// For packets of these tenants, and for those that are to be sent on.
    pub fn new(tenants: impl IntoIterator<Item = InstanceId>, relay: Relay, counters: Arc<Counters>) -> Self {
        let mut tenants: Vec<InstanceId> = tenants.into_iter().collect();
        tenants.sort_unstable();
        Self {
            tenants: tenants.into(),
            relay,
            own: Box::default(),
            counters,
        }
    }

    /// The same, for a node behind a NAT with these addresses: what comes for it through the tunnel is a control message.
    #[must_use]
    pub fn with_control_at(mut self, own: impl IntoIterator<Item = IpAddr>) -> Self {
        self.own = own.into_iter().collect();
        self
    }

    /// Takes the LISP headers off the UDP payloads in a batch, where they lie, and notes whose each packet is. What is
    /// for the site, or to be sent on, stands in `out`; everything else is counted.
    pub fn decapsulate_batch(&self, cache: &MapCache, batch: &mut PacketBatch, out: &mut Ingress) {
        for slot in batch.slots() {
            match self.decapsulate(cache, batch, (slot, &mut out.met)) {
                Ok((Way::Local, length)) => {
                    self.counters.count(Fate::Decapsulated);
                    self.counters.add(Fate::DecapsulatedBytes, length as u64);
                    out.local.push(slot);
                }
                Ok((Way::Relayed, _)) => out.relayed.push(slot),
                Ok((Way::Redirected, _)) => out.redirected.push(slot),
                Ok((Way::Early { eid, gate }, _)) => out.early.push(Early { slot, eid, gate }),
                Ok((Way::Control, _)) => out.control.push(slot),
                Err(fate) => self.counters.count(fate),
            }
        }
    }

    fn decapsulate(
        &self,
        cache: &MapCache,
        batch: &mut PacketBatch,
        (slot, met): (Slot, &mut Option<IpAddr>),
    ) -> Result<(Way, usize), Fate> {
        let header = DataHeader::parse(batch.packet(slot)).map_err(|_| Fate::BadHeader)?;
        if header.encryption_key() != 0 {
            return Err(Fate::Encrypted);
        }
        if !self.own.is_empty() && self.is_control(batch.packet(slot)) {
            batch.strip(slot, DATA_HEADER_LEN);
            return Ok((Way::Control, 0));
        }
        let iid = header.iid();
        let ours = self.tenants.binary_search(&iid).is_ok();
        if !ours && self.relay == Relay::Refused {
            return Err(Fate::WrongInstance);
        }
        batch.set_tenant(slot, iid);
        batch.strip(slot, DATA_HEADER_LEN);
        let outer = batch.outer(slot);
        let packet = batch.packet_mut(slot);
        let inner = Inner::parse(packet).map_err(|_| Fate::DecapMalformed)?;
        if !inner.is_routable_unicast() {
            return Err(Fate::DecapMalformed);
        }
        let class =
            ecn::decapsulated_class(inner.traffic_class, outer.traffic_class).ok_or(Fate::CongestionDrop)?;
        let eid = Eid {
            iid,
            address: inner.destination,
        };
        let own = cache.lookup(&eid).filter(|_| ours);
        let way = match own.map(|entry| &entry.forwarding) {
            Some(Forwarding::Redirect(_)) => Way::Redirected,
            Some(Forwarding::Arriving(gate)) if gate.holds() => Way::Early {
                eid,
                gate: Arc::clone(gate),
            },
            Some(Forwarding::Local | Forwarding::Arriving(_)) => Way::Local,
            _ if self.relay.takes(&eid) => Way::Relayed,
            _ => {
                return Err(match (ours, &self.relay) {
                    (_, Relay::For(_)) => Fate::RelayRefused,
                    (true, Relay::Refused) => Fate::NotLocal,
                    (false, Relay::Refused) => Fate::WrongInstance,
                });
            }
        };
        if let (Some(watch), Some(from)) = (cache.watch(), outer.source) {
            watch.heard(from, &eid);
        }
        match cache.marks() {
            Some(marks) if matches!(way, Way::Local) && marks.looks_at(header) => {
                let source = Eid {
                    iid,
                    address: inner.source,
                };
                let ends = (source, eid);
                self.hear(cache, marks, (header, outer.source, ends), met)?;
            }
            _ if header.is_marked() => self.counters.count(Fate::MarksIgnored),
            _ => {}
        }
        if class != inner.traffic_class {
            inner::set_traffic_class(packet, class);
        }
        if outer.ttl < inner.ttl {
            inner::set_ttl(packet, outer.ttl);
        }
        batch.trim(slot, inner.length);
        Ok((way, inner.length))
    }

    /// Whether the packet inside goes to this node itself.
    fn is_control(&self, payload: &[u8]) -> bool {
        let inside = payload.get(DATA_HEADER_LEN..).unwrap_or_default();
        Inner::parse(inside).is_ok_and(|inner| self.own.contains(&inner.destination))
    }

    /// Takes in what the header of a packet for the site says besides whose it is.
    fn hear(
        &self,
        cache: &MapCache,
        marks: &Marks,
        (header, from, (source, destination)): (DataHeader, Option<IpAddr>, (Eid, Eid)),
        met: &mut Option<IpAddr>,
    ) -> Result<(), Fate> {
        let Some(from) = from else { return Ok(()) };
        // Only a locator of the source's own mapping speaks for it.
        let entry = header.is_marked().then(|| cache.lookup(&source)).flatten();
        let mapping = entry.and_then(|entry| match &entry.forwarding {
            Forwarding::Encapsulate(table) if table.names(from) => table.marks(),
            _ => None,
        });
        let heard = marks.hear(&Arrival {
            header,
            from,
            destination,
            source: mapping,
        })?;
        if heard == Heard::Stranger {
            *met = Some(from);
        }
        if heard != Heard::Heeded && header.is_marked() {
            self.counters.count(Fate::MarksIgnored);
        }
        Ok(())
    }
}

enum Way {
    Local,
    Relayed,
    Redirected,
    Early { eid: Eid, gate: Arc<Gate> },
    Control,
}

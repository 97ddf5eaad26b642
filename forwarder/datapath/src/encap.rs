//! Packets from the site become datagrams for locators (RFC 9300 sections 5.1 to 5.3, the ITR's part).

use std::net::IpAddr;
use std::sync::Arc;

use lisp_wire::data_header::DATA_HEADER_LEN;
use lisp_wire::{DataHeader, Eid};

use crate::batch::{PacketBatch, Slot};
use crate::counters::{Counters, Fate};
use crate::inner::{self, Fragmentation, Inner};
use crate::mtu::{self, Limits};
use crate::{Forwarding, MapCache, Transit};

/// Which of the outer source ports a flow leaves by: an index below the number of lanes.
///
/// RFC 9300 section 5.3 wants the outer source port to be a hash of the inner flow. The lanes are as many sockets,
/// each bound to a port of its own, so that segmentation offload stays possible; flows share them evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub u16);

/// A datagram to be sent to UDP port 4341 of a locator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The locator.
    pub to: IpAddr,
    /// Behind a NAT: it goes to this port, and from the control port, which is the one that the NAT lets through.
    pub port: Option<u16>,
    /// The source port.
    pub lane: Lane,
    /// Outer TTL: the inner one's.
    pub ttl: u8,
    /// Outer DSCP and ECN: the inner ones (RFC 6040 section 4.1, normal mode).
    pub traffic_class: u8,
    /// Whether routers may cut it.
    pub envelope: Envelope,
    place: Place,
}

/// Whether an outer packet may be cut on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Envelope {
    /// It fits, as far as is known, and is not to be cut (DF set): if it does not fit, that must be learnt.
    Whole,
    /// The path is too narrow even for what every IPv6 link carries. The tunnel is a link, so it carries that in pieces
    /// (RFC 2473 section 7.1).
    Divisible,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Encapsulated where it was read.
    Batch(Slot),
    /// A piece of a packet that was cut.
    Piece(Slot),
}

/// A packet without a mapping, to be held until there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Where it lies in the batch, as it was read.
    pub slot: Slot,
    /// Where it wants to go.
    pub eid: Eid,
    /// Whose it is.
    pub source: Eid,
}

/// A packet that does not fit and may not be cut; [`mtu::packet_too_big`] builds what its sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// Where it lies in the batch, as it was read.
    pub slot: Slot,
    /// The largest packet that would have fitted, bytes.
    pub mtu: u16,
}

/// What comes of a batch. Made once and used again: it grows to its size in the first batches and then stays.
#[derive(Debug)]
pub struct Egress {
    /// To be sent, in order.
    pub datagrams: Vec<Datagram>,
    /// To be held, in order.
    pub held: Vec<Held>,
    /// To be told of.
    pub too_big: Vec<TooBig>,
    pieces: PacketBatch,
}

impl Egress {
    /// For batches of at most `capacity` packets of at most `largest` bytes. There is room for as many pieces again.
    pub fn new(capacity: u16, largest: usize) -> Self {
        let room = usize::from(capacity);
        Self {
            datagrams: Vec::with_capacity(2 * room),
            held: Vec::with_capacity(room),
            too_big: Vec::with_capacity(room),
            pieces: PacketBatch::new(capacity, largest + DATA_HEADER_LEN),
        }
    }

    /// Forgets everything; do this after each batch.
    pub fn clear(&mut self) {
        self.datagrams.clear();
        self.held.clear();
        self.too_big.clear();
        self.pieces.clear();
    }

    /// The UDP payload of a datagram that came of `batch`.
    pub fn payload<'a>(&'a self, batch: &'a PacketBatch, datagram: &Datagram) -> &'a [u8] {
        match datagram.place {
            Place::Batch(slot) => batch.packet(slot),
            Place::Piece(slot) => self.pieces.packet(slot),
        }
    }
}

/// What the way of a packet depends on.
#[derive(Clone, Copy, Debug)]
pub struct Routes<'a> {
    /// Which locators its EID has.
    pub cache: &'a MapCache,
    /// How much the paths to them carry.
    pub limits: &'a Limits,
}

/// The ITR's part. Whose packets are in a batch, the batch says.
#[derive(Clone, Debug)]
pub struct Encapsulator {
    lanes: u16,
    counters: Arc<Counters>,
}

impl Encapsulator {
    /// Over `lanes` source ports (at least one).
    pub fn new(lanes: u16, counters: Arc<Counters>) -> Self {
        Self {
            lanes: lanes.max(1),
            counters,
        }
    }

    /// Encapsulates all packets of a batch where they lie. The packets have been routed: their TTL counts this hop.
    pub fn encapsulate_batch(&self, routes: Routes<'_>, batch: &mut PacketBatch, out: &mut Egress) {
        for slot in batch.slots() {
            match Inner::parse(batch.packet(slot)) {
                Ok(inner) => self.encapsulate(routes, batch, (slot, inner, Origin::Site), out),
                Err(_) => self.counters.count(Fate::EncapMalformed),
            }
        }
    }

    /// Encapsulates again the packets that [`Decapsulator`](crate::Decapsulator) set aside to be sent on, and counts them
    /// as `fate`: each is a hop further, and its new outer header carries the old one's TTL less one (RFC 9300
    /// section 5.3).
    pub fn relay_batch(
        &self,
        routes: Routes<'_>,
        (batch, slots): (&mut PacketBatch, &[Slot]),
        fate: Fate,
        out: &mut Egress,
    ) {
        for &slot in slots {
            let Ok(mut inner) = Inner::parse(batch.packet(slot)) else {
                self.counters.count(Fate::EncapMalformed);
                continue;
            };
            if inner.ttl <= 1 {
                self.counters.count(Fate::TtlExpired);
                continue;
            }
            inner.ttl -= 1;
            inner::set_ttl(batch.packet_mut(slot), inner.ttl);
            self.counters.count(fate);
            self.encapsulate(routes, batch, (slot, inner, Origin::Network), out);
        }
    }

    fn encapsulate(
        &self,
        routes: Routes<'_>,
        batch: &mut PacketBatch,
        (slot, inner, origin): (Slot, Inner, Origin),
        out: &mut Egress,
    ) {
        if !inner.is_routable_unicast() {
            return self.counters.count(Fate::EncapNotUnicast);
        }
        if inner.ttl == 0 {
            return self.counters.count(Fate::TtlExpired);
        }
        let iid = batch.tenant(slot);
        let eid = Eid {
            iid,
            address: inner.destination,
        };
        let table = match routes.cache.lookup(&eid).map(|entry| &entry.forwarding) {
            Some(Forwarding::Encapsulate(table) | Forwarding::Redirect(table)) => table,
            None | Some(Forwarding::Pending) => {
                self.counters.count(Fate::Missed);
                let source = Eid {
                    iid,
                    address: inner.source,
                };
                return out.held.push(Held { slot, eid, source });
            }
            Some(Forwarding::Local | Forwarding::Arriving(_)) => {
                return self.counters.count(Fate::EncapLocal);
            }
            Some(Forwarding::Native) => return self.counters.count(Fate::EncapNative),
            Some(Forwarding::Drop) => return self.counters.count(Fate::EncapPolicy),
        };
        let Some(chosen) = table.choose(inner.flow_hash) else {
            return self.counters.count(Fate::NoLocator);
        };
        if (origin, chosen.transit) == (Origin::Network, Transit::Refused) {
            return self.counters.count(Fate::NotOnPath);
        }
        let to = chosen.locator.rloc.0;
        // The bits that chose the locator are the high ones; the lane is chosen by a remainder of the low ones.
        let lane = Lane((inner.flow_hash & 0xffff) as u16 % self.lanes);
        let datagram = |place, envelope| Datagram {
            envelope,
            to,
            port: table.port(),
            lane,
            ttl: inner.ttl,
            traffic_class: inner.traffic_class,
            place,
        };
        let header = match routes.cache.marks() {
            // A router on the way says nothing of sites that are not its own.
            Some(marks) if origin == Origin::Site => marks.header(iid, (inner.source, to), table.marks()),
            _ => DataHeader::of(iid),
        };
        let header = header.emit();
        let limit = routes.limits.inner(to);
        let fits = inner.length <= usize::from(limit);
        if fits || is_least_v6(&inner) {
            let envelope = if fits {
                Envelope::Whole
            } else {
                Envelope::Divisible
            };
            batch.trim(slot, inner.length);
            batch.prepend(slot, header);
            out.datagrams.push(datagram(Place::Batch(slot), envelope));
        } else if inner.fragmentation == Fragmentation::Allowed {
            let packet = batch.packet(slot);
            let before = out.datagrams.len();
            let pieces = &mut out.pieces;
            let datagrams = &mut out.datagrams;
            let fits = mtu::fragment(packet, usize::from(limit), |head, body| {
                let length = head.len() + body.len();
                let Some(room) = pieces.spare().and_then(|room| room.get_mut(..length)) else {
                    return mtu::Room::None;
                };
                let (first, second) = room.split_at_mut(head.len());
                first.copy_from_slice(head);
                second.copy_from_slice(body);
                let Some(piece) = pieces.commit(length, crate::Outer::default()) else {
                    return mtu::Room::None;
                };
                pieces.prepend(piece, header);
                datagrams.push(datagram(Place::Piece(piece), Envelope::Whole));
                mtu::Room::Taken
            });
            if fits == mtu::Room::None {
                out.datagrams.truncate(before); // a packet with a piece missing is worth nothing
                return self.counters.count(Fate::TooBig);
            }
            self.counters.count(Fate::Fragmented);
        } else {
            out.too_big.push(TooBig { slot, mtu: limit });
            return self.counters.count(Fate::TooBig);
        }
        chosen.counters.count(inner.length);
        self.counters.count(Fate::Encapsulated);
        self.counters.add(Fate::EncapsulatedBytes, inner.length as u64);
    }
}

/// Where a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// From this site.
    Site,
    /// From another one, to be sent on.
    Network,
}

/// Whether every link must carry the packet, however narrow (RFC 8200 section 5).
fn is_least_v6(inner: &Inner) -> bool {
    inner.source.is_ipv6() && inner.length <= usize::from(mtu::LEAST_V6)
}

#[cfg(test)]
mod tests;

//! The thread from the network to the site: UDP 4341, decapsulation, TUN; and back to the network in the RTR role.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use datapath::{Decapsulator, Egress, Encapsulator, Fate, Ingress, Inner, Outer, PacketBatch, Slot, mtu};
use lisp_wire::Eid;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use offload::{Receiver, UdpSocket};

use crate::link::{Mouth, Word};
use crate::outbound::{BATCH, tell_refusal, turns};
use crate::shared::Shared;
use crate::teller::Teller;
use crate::tenants::Tenants;
use crate::transmit::Transmitter;

/// Everything the thread owns.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// One for each locator of ours.
    pub(crate) sockets: Vec<Arc<UdpSocket>>,
    /// What is done with their datagrams.
    pub(crate) passage: Passage,
    /// The largest UDP payload an uplink carries.
    pub(crate) largest: usize,
    /// Closed by the other side to stop the thread; closed by this one when it ends.
    pub(crate) lifeline: UnixStream,
}

impl Inbound {
    /// Runs until the lifeline is closed. Sleeps while there is nothing to do.
    pub(crate) fn run(self) -> io::Result<()> {
        let Self {
            sockets,
            mut passage,
            largest,
            lifeline,
        } = self;
        let mut work = Work {
            receiver: Receiver::new(usize::from(BATCH)),
            batch: PacketBatch::new(BATCH, largest),
            ingress: Ingress::new(BATCH),
            egress: Egress::new(BATCH, largest),
            notices: PacketBatch::new(BATCH, usize::from(mtu::LEAST_V6)),
        };
        let fds = std::iter::once(lifeline.as_fd()).chain(sockets.iter().map(|socket| socket.as_fd()));
        let mut waited: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        loop {
            match poll(&mut waited, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let mut ready = waited.iter().map(|fd| fd.any().unwrap_or(true));
            if ready.next().unwrap_or(true) {
                return Ok(());
            }
            for (socket, _) in sockets.iter().zip(ready).filter(|(_, ready)| *ready) {
                turns(|| Ok(passage.pass(socket, &mut work)))?;
            }
        }
    }
}

/// From a socket to a tenant's TUN, or back to the network.
#[derive(Debug)]
pub(crate) struct Passage {
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) mouth: Mouth,
    pub(crate) transmitter: Transmitter,
    pub(crate) decapsulator: Decapsulator,
    pub(crate) encapsulator: Encapsulator,
    pub(crate) teller: Teller,
}

impl Passage {
    /// Takes one batch from a socket; whether it was a full one, so that there may be more.
    fn pass(&mut self, socket: &UdpSocket, work: &mut Work) -> bool {
        let Work {
            receiver,
            batch,
            ingress,
            egress,
            notices,
        } = work;
        // An error here is an ICMP message for a socket that has sent nothing, or memory that is short: not the end.
        let received = receiver.receive(socket, batch.spares()).unwrap_or_default();
        let full = received.len() == usize::from(BATCH);
        for datagram in received {
            let unsaid = Outer::default();
            let outer = Outer {
                ttl: datagram.ttl.unwrap_or(unsaid.ttl),
                traffic_class: datagram.traffic_class.unwrap_or(unsaid.traffic_class),
                source: Some(datagram.from.ip()),
            };
            batch.commit(datagram.length, outer);
        }
        let tables = self.shared.tables.load();
        self.decapsulator.decapsulate_batch(&tables.cache, batch, ingress);
        for slot in &ingress.control {
            self.mouth.tunnelled(batch.packet(*slot));
        }
        if let Some(locator) = ingress.met {
            self.mouth.say(Word::Met { locator });
        }
        tell_late(&self.mouth, batch, &ingress.redirected);
        for slot in &ingress.local {
            let tun = self.tenants.tun(batch.tenant(*slot));
            if tun.is_none_or(|tun| tun.write(batch.packet(*slot)).is_err()) {
                self.shared.inbound.count(Fate::DeliverFailed);
            }
        }
        for early in &ingress.early {
            self.mouth.early(batch.packet(early.slot), early);
        }
        for (slots, fate) in [
            (&ingress.relayed, Fate::Relayed),
            (&ingress.redirected, Fate::Redirected),
        ] {
            if !slots.is_empty() {
                self.encapsulator
                    .relay_batch(tables.routes(), (batch, slots), fate, egress);
                self.send_on(batch, egress, notices);
            }
        }
        ingress.clear();
        batch.clear();
        full
    }

    /// Sends packets that came by the network back to it.
    fn send_on(&mut self, batch: &PacketBatch, egress: &mut Egress, notices: &mut PacketBatch) {
        let mouth = &self.mouth;
        self.transmitter
            .send(batch, egress, |refusal| tell_refusal(mouth, refusal));
        for held in &egress.held {
            mouth.missed(batch.packet(held.slot), held);
        }
        self.tell(batch, egress, notices);
    }

    /// Tells the senders of relayed packets that were too big; they are at other sites, so the messages are encapsulated
    /// too.
    fn tell(&mut self, batch: &PacketBatch, egress: &mut Egress, notices: &mut PacketBatch) {
        for too_big in &egress.too_big {
            if let Some(message) = self.teller.message(batch.packet(too_big.slot), too_big.mtu)
                && let Some(slot) = notices.push(message)
            {
                notices.set_tenant(slot, batch.tenant(too_big.slot));
                self.shared.inbound.count(Fate::TooBigTold);
            }
        }
        egress.clear();
        if !notices.is_empty() {
            let tables = self.shared.tables.load();
            self.encapsulator
                .encapsulate_batch(tables.routes(), notices, egress);
            let mouth = &self.mouth;
            self.transmitter
                .send(notices, egress, |refusal| tell_refusal(mouth, refusal));
            for held in &egress.held {
                mouth.missed(notices.packet(held.slot), held);
            }
            egress.clear();
            notices.clear();
        }
    }
}

/// Says who sends packets for EIDs that have left, a sender once where its packets follow each other.
fn tell_late(mouth: &Mouth, batch: &PacketBatch, redirected: &[Slot]) {
    let mut last = None;
    for slot in redirected {
        let source = batch.outer(*slot).source;
        if source != last
            && let Some(locator) = source
            && let Ok(inner) = Inner::parse(batch.packet(*slot))
        {
            let eid = Eid {
                iid: batch.tenant(*slot),
                address: inner.destination,
            };
            mouth.say(Word::Late { locator, eid });
        }
        last = source;
    }
}

/// Room for one batch and what comes of it.
#[derive(Debug)]
struct Work {
    receiver: Receiver,
    batch: PacketBatch,
    ingress: Ingress,
    egress: Egress,
    notices: PacketBatch,
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn packet_to(last: u8) -> [u8; 20] {
        let mut packet = [0; 20];
        (packet[0], packet[3], packet[8], packet[9]) = (0x45, 20, 64, 17);
        packet[12..16].copy_from_slice(&[10, 2, 1, 9]);
        packet[16..20].copy_from_slice(&[10, 1, 0, last]);
        packet
    }

    #[test]
    fn of_packets_that_follow_an_eid_elsewhere_each_sender_is_told_of_once() {
        let counters = Arc::default();
        let (mouths, ear) = crate::link::link(&[&counters], 100).unwrap();
        let mut batch = PacketBatch::new(8, 100);
        let (paris, lyon) = (IpAddr::from([172, 16, 1, 1]), IpAddr::from([172, 16, 1, 2]));
        let came = [(Some(paris), 7), (Some(paris), 7), (Some(lyon), 8), (None, 7)];
        for (source, last) in came {
            let packet = packet_to(last);
            batch.spare().unwrap()[..packet.len()].copy_from_slice(&packet);
            let outer = Outer {
                source,
                ..Outer::default()
            };
            batch.commit(packet.len(), outer).unwrap();
        }
        let redirected: Vec<Slot> = batch.slots().collect();
        tell_late(&mouths[0], &batch, &redirected);
        let told: Vec<(IpAddr, Eid)> = std::iter::from_fn(|| ear.next())
            .map(|word| match word {
                Word::Late { locator, eid } => (locator, eid),
                other => panic!("{other:?}"),
            })
            .collect();
        let eid = |last: u8| Eid::of([10, 1, 0, last].into());
        assert_eq!(told, [(paris, eid(7)), (lyon, eid(8))]);
    }
}

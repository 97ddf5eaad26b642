//! The thread from the site to the network: TUN, encapsulation, UDP.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use datapath::{Counters, Egress, Encapsulator, Fate, Outer, PacketBatch, mtu};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use offload::Tun;

use crate::link::{Mouth, Word};
use crate::shared::Shared;
use crate::transmit::{Refusal, Transmitter};

/// Packets a batch: enough to spread the cost of a call, few enough that the first one hardly waits.
pub(crate) const BATCH: u16 = 64;
/// ICMP messages a second, at most.
const TOLD_A_SECOND: u32 = 100;

/// Everything the thread owns.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) tun: Arc<Tun>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) mouth: Mouth,
    pub(crate) transmitter: Transmitter,
    pub(crate) encapsulator: Encapsulator,
    /// The largest packet the TUN gives.
    pub(crate) mtu: u16,
    /// Closed by the other side to stop the thread; closed by this one when it ends.
    pub(crate) lifeline: UnixStream,
}

impl Outbound {
    /// Runs until the lifeline is closed. Sleeps while there is nothing to do.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let largest = usize::from(self.mtu);
        let mut batch = PacketBatch::new(BATCH, largest);
        let mut egress = Egress::new(BATCH, largest);
        let mut teller = Teller::new();
        loop {
            let mut waited = [
                PollFd::new(self.tun.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.lifeline.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut waited, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if waited[1].any().unwrap_or(true) {
                return Ok(());
            }
            while self.fill(&mut batch)? {
                let tables = self.shared.tables.load();
                self.encapsulator
                    .encapsulate_batch(tables.routes(), &mut batch, &mut egress);
                let mouth = &self.mouth;
                self.transmitter
                    .send(&batch, &egress, |refusal| tell_refusal(mouth, refusal));
                for held in &egress.held {
                    mouth.missed(batch.packet(held.slot), held);
                }
                for too_big in &egress.too_big {
                    teller.tell(
                        &self.tun,
                        batch.packet(too_big.slot),
                        too_big.mtu,
                        &self.shared.outbound,
                    );
                }
                egress.clear();
                batch.clear();
            }
        }
    }

    /// Reads what is there; whether there was anything.
    fn fill(&self, batch: &mut PacketBatch) -> io::Result<bool> {
        while let Some(room) = batch.spare() {
            match self.tun.read(room)? {
                Some(length) => batch.commit(length, Outer::default()),
                None => break,
            };
        }
        Ok(!batch.is_empty())
    }
}

pub(crate) fn tell_refusal(mouth: &Mouth, refusal: Refusal) {
    mouth.say(match refusal {
        Refusal::TooNarrow(locator) => Word::TooNarrow { locator },
        Refusal::Unreachable(locator) => Word::Unreachable { locator },
    });
}

/// Tells senders that their packets are too big, not more often than is good (RFC 1812 section 4.3.2.8).
#[derive(Debug)]
struct Teller {
    second: Instant,
    told: u32,
    buffer: [u8; 1280],
}

impl Teller {
    fn new() -> Self {
        Self {
            second: Instant::now(),
            told: 0,
            buffer: [0; 1280],
        }
    }

    fn tell(&mut self, tun: &Tun, packet: &[u8], mtu: u16, counters: &Counters) {
        if self.second.elapsed().as_secs() >= 1 {
            self.second = Instant::now();
            self.told = 0;
        }
        if self.told >= TOLD_A_SECOND {
            return;
        }
        let Some(message) =
            mtu::packet_too_big(packet, mtu, &mut self.buffer).and_then(|length| self.buffer.get(..length))
        else {
            return;
        };
        if tun.write(message).is_ok() {
            self.told += 1;
            counters.count(Fate::TooBigTold);
        }
    }
}

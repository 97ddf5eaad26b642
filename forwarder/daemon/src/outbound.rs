//! The thread from the site to the network: TUNs, encapsulation, UDP.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use datapath::{Egress, Encapsulator, Fate, Outer, PacketBatch};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::link::{Mouth, Word};
use crate::shared::Shared;
use crate::teller::Teller;
use crate::tenants::{Tenant, Tenants};
use crate::transmit::{Refusal, Transmitter};

/// Packets a batch: enough to spread the cost of a call, few enough that the first one hardly waits.
pub(crate) const BATCH: u16 = 64;
/// Batches taken from one source before anything else is looked at.
const MOST_BATCHES: usize = 64;

/// Everything the thread owns.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) mouth: Mouth,
    pub(crate) transmitter: Transmitter,
    pub(crate) encapsulator: Encapsulator,
    /// The largest packet a TUN gives.
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
        let tenants = Arc::clone(&self.tenants);
        let lifeline = self.lifeline.try_clone()?;
        let tuns = tenants.iter().map(|tenant| tenant.tun.as_fd());
        let fds = std::iter::once(lifeline.as_fd()).chain(tuns);
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
            for (tenant, _) in tenants.iter().zip(ready).filter(|(_, ready)| *ready) {
                turns(|| self.carry(tenant, (&mut batch, &mut egress), &mut teller))?;
            }
        }
    }

    /// Takes one batch from a tenant's TUN to the network; whether there was any.
    fn carry(
        &mut self,
        tenant: &Tenant,
        (batch, egress): (&mut PacketBatch, &mut Egress),
        teller: &mut Teller,
    ) -> io::Result<bool> {
        if !fill(batch, tenant)? {
            return Ok(false);
        }
        let tables = self.shared.tables.load();
        self.encapsulator
            .encapsulate_batch(tables.routes(), batch, egress);
        let mouth = &self.mouth;
        self.transmitter
            .send(batch, egress, |refusal| tell_refusal(mouth, refusal));
        for held in &egress.held {
            mouth.missed(batch.packet(held.slot), held);
        }
        for too_big in &egress.too_big {
            if let Some(message) = teller.message(batch.packet(too_big.slot), too_big.mtu)
                && tenant.tun.write(message).is_ok()
            {
                self.shared.outbound.count(Fate::TooBigTold);
            }
        }
        egress.clear();
        batch.clear();
        Ok(true)
    }
}

/// Reads what a tenant has to send; whether there was anything.
fn fill(batch: &mut PacketBatch, tenant: &Tenant) -> io::Result<bool> {
    while let Some(room) = batch.spare() {
        let Some(length) = tenant.tun.read(room)? else {
            break;
        };
        if let Some(slot) = batch.commit(length, Outer::default()) {
            batch.set_tenant(slot, tenant.iid);
        }
    }
    Ok(!batch.is_empty())
}

/// Takes batches from one source while there are more, and stops in time for others to have their turn: a flood must
/// neither silence another source nor keep a thread from its end.
pub(crate) fn turns(mut turn: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    for _ in 0..MOST_BATCHES {
        if !turn()? {
            break;
        }
    }
    Ok(())
}

pub(crate) fn tell_refusal(mouth: &Mouth, refusal: Refusal) {
    mouth.say(match refusal {
        Refusal::TooNarrow(locator) => Word::TooNarrow { locator },
        Refusal::Unreachable(locator) => Word::Unreachable { locator },
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_never_dries_up_has_its_turns_and_no_more() {
        let mut taken = 0;
        let mut take = |last: usize| {
            turns(|| {
                taken += 1;
                Ok(taken < last)
            })
            .unwrap();
            std::mem::take(&mut taken)
        };
        assert_eq!([take(usize::MAX), take(3)], [MOST_BATCHES, 3]);
        assert!(turns(|| Err(io::ErrorKind::NotFound.into())).is_err());
    }
}

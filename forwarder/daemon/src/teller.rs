//! Tells senders that their packets are too big, not more often than is good (RFC 1812 section 4.3.2.8).

use std::time::Instant;

use datapath::mtu;

/// ICMP messages a second, at most.
const TOLD_A_SECOND: u32 = 100;

/// One thread's messages.
#[derive(Debug)]
pub(crate) struct Teller {
    second: Instant,
    told: u32,
    buffer: [u8; mtu::LEAST_V6 as usize],
}

impl Teller {
    pub(crate) fn new() -> Self {
        Self {
            second: Instant::now(),
            told: 0,
            buffer: [0; mtu::LEAST_V6 as usize],
        }
    }

    /// The message to the sender of `packet`, which should have had at most `mtu` bytes. `None` where none is to be
    /// sent, now or ever.
    pub(crate) fn message(&mut self, packet: &[u8], mtu: u16) -> Option<&[u8]> {
        if self.second.elapsed().as_secs() >= 1 {
            self.second = Instant::now();
            self.told = 0;
        }
        if self.told >= TOLD_A_SECOND {
            return None;
        }
        let length = mtu::packet_too_big(packet, mtu, &mut self.buffer)?;
        self.told += 1;
        self.buffer.get(..length)
    }
}

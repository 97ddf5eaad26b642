//! From the packet threads to the control thread: packets without a mapping, and what the network refused.
//!
//! The channel is bounded; full means that the packet is dropped and counted. Packets travel in pooled buffers that
//! come back, so the packet threads never allocate.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use datapath::{Counters, Early, Fate, Gate, Held};
use lisp_wire::Eid;

/// Buffers a packet thread can have on their way at once.
const POOL: usize = 256;

/// What a packet thread tells.
#[derive(Debug)]
pub(crate) enum Word {
    /// A packet to be held until its EID has a mapping.
    Missed {
        packet: Vec<u8>,
        eid: Eid,
        source: Eid,
        pool: usize,
    },
    /// A packet to be held until its EID runs at this site, or is known to run elsewhere.
    Early {
        packet: Vec<u8>,
        eid: Eid,
        ticket: Ticket,
        pool: usize,
    },
    /// A control message that came through the tunnel: an IP packet to this node.
    Tunnelled { packet: Vec<u8>, pool: usize },
    /// The path to a locator is narrower than was thought.
    TooNarrow { locator: IpAddr },
    /// The network refused to carry a packet to a locator.
    Unreachable { locator: IpAddr },
    /// A peer that is trusted with marks in data headers, and not known yet, has sent some.
    Met { locator: IpAddr },
}

/// A held packet's place before its gate. Given up when the packet has been delivered or is lost, however that comes
/// about: later packets wait for it.
#[derive(Debug)]
pub(crate) struct Ticket(Arc<Gate>);

impl Ticket {
    pub(crate) fn take(gate: &Arc<Gate>) -> Self {
        gate.entered();
        Self(Arc::clone(gate))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.left();
    }
}

/// A packet thread's end.
#[derive(Debug)]
pub(crate) struct Mouth {
    words: SyncSender<Word>,
    pool: Receiver<Vec<u8>>,
    number: usize,
    bell: Arc<Bell>,
    counters: Arc<Counters>,
}

/// The control thread's end.
#[derive(Debug)]
pub(crate) struct Ear {
    words: Receiver<Word>,
    pools: Vec<SyncSender<Vec<u8>>>,
    bell: Arc<Bell>,
    wake: UnixStream,
}

#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    wake: UnixStream,
}

impl Bell {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // Full would mean that it is awake already.
            let _awake = (&self.wake).write(&[1]);
        }
    }
}

/// Joins packet threads, one for each of `counters`, to the control thread, for packets of at most `largest` bytes.
pub(crate) fn link(counters: &[&Arc<Counters>], largest: usize) -> io::Result<(Vec<Mouth>, Ear)> {
    let (wake, ringing) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    ringing.set_nonblocking(true)?;
    let bell = Arc::new(Bell {
        rung: AtomicBool::new(false),
        wake: ringing,
    });
    let (words, heard) = sync_channel(counters.len() * (POOL + 64));
    let mut pools = Vec::new();
    let mut mouths = Vec::new();
    for (number, counters) in counters.iter().enumerate() {
        let (back, pool) = sync_channel(POOL);
        for _ in 0..POOL {
            // Cannot be full: this is what fills it.
            let _fits = back.try_send(Vec::with_capacity(largest));
        }
        pools.push(back);
        let (words, bell, counters) = (words.clone(), Arc::clone(&bell), Arc::clone(counters));
        mouths.push(Mouth {
            words,
            pool,
            number,
            bell,
            counters,
        });
    }
    Ok((
        mouths,
        Ear {
            words: heard,
            pools,
            bell,
            wake,
        },
    ))
}

impl Mouth {
    /// Hands a packet over to be held until there is a mapping.
    pub(crate) fn missed(&self, packet: &[u8], held: &Held) {
        let word = |packet| Word::Missed {
            packet,
            eid: held.eid,
            source: held.source,
            pool: self.number,
        };
        self.hand_over(packet, word, Fate::MissQueueFull);
    }

    /// Hands a packet over to be held until its EID runs here.
    pub(crate) fn early(&self, packet: &[u8], early: &Early) {
        let ticket = Ticket::take(&early.gate);
        let word = |packet| Word::Early {
            packet,
            eid: early.eid,
            ticket,
            pool: self.number,
        };
        self.hand_over(packet, word, Fate::AwaitingQueueFull);
    }

    fn hand_over(&self, packet: &[u8], word: impl FnOnce(Vec<u8>) -> Word, full: Fate) {
        let Ok(mut buffer) = self.pool.try_recv() else {
            return self.counters.count(full);
        };
        buffer.clear();
        buffer.extend_from_slice(packet);
        if self.words.try_send(word(buffer)).is_err() {
            self.counters.count(full);
        }
        self.bell.ring();
    }

    /// Hands over a control message that came through the tunnel; full means that it is lost, as on any network.
    pub(crate) fn tunnelled(&self, packet: &[u8]) {
        let Ok(mut buffer) = self.pool.try_recv() else {
            return self.counters.count(Fate::MissQueueFull);
        };
        buffer.clear();
        buffer.extend_from_slice(packet);
        let word = Word::Tunnelled {
            packet: buffer,
            pool: self.number,
        };
        if self.words.try_send(word).is_err() {
            self.counters.count(Fate::MissQueueFull);
        }
        self.bell.ring();
    }

    /// Says something of a locator; full means that it is said again with the next packet.
    pub(crate) fn say(&self, word: Word) {
        if self.words.try_send(word).is_ok() {
            self.bell.ring();
        }
    }
}

impl Ear {
    /// Before the words are taken: from now on the bell rings again.
    pub(crate) fn woken(&self) {
        let mut drain = [0; 16];
        while matches!((&self.wake).read(&mut drain), Ok(length) if length > 0) {}
        self.bell.rung.store(false, Ordering::Release);
    }

    /// The next word.
    pub(crate) fn next(&self) -> Option<Word> {
        self.words.try_recv().ok()
    }

    /// Gives a buffer back.
    pub(crate) fn give_back(&self, pool: usize, buffer: Vec<u8>) {
        if let Some(pool) = self.pools.get(pool) {
            // Cannot be full: there are never more buffers than there is room.
            let _fits = pool.try_send(buffer);
        }
    }
}

impl AsFd for Ear {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_channel_drops_and_counts_and_buffers_come_back() {
        let counters = Arc::new(Counters::default());
        let (mouths, ear) = link(&[&counters], 100).unwrap();
        let mut batch = datapath::PacketBatch::new(1, 100);
        let slot = batch.push(&[1, 2, 3]).unwrap();
        let eid = Eid::of([10, 0, 0, 1].into());
        let held = Held {
            slot,
            eid,
            source: eid,
        };
        for _ in 0..POOL + 5 {
            mouths[0].missed(&[1, 2, 3], &held);
        }
        assert_eq!(counters.get(Fate::MissQueueFull), 5);
        ear.woken();
        let mut taken = 0;
        while let Some(Word::Missed { packet, pool, .. }) = ear.next() {
            assert_eq!(packet, [1, 2, 3]);
            ear.give_back(pool, packet);
            taken += 1;
        }
        assert_eq!(taken, POOL);
        mouths[0].missed(&[4], &held);
        assert!(matches!(ear.next(), Some(Word::Missed { packet, .. }) if packet == [4]));
    }
}

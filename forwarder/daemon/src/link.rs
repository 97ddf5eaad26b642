//! From the packet threads to the control thread: packets without a mapping, and what the network refused.
//!
//! The channel is bounded; full means that the packet is dropped and counted. Packets travel in pooled buffers that
//! come back, so the packet threads never allocate. What is said of locators has places of its own, so that a flood of
//! it takes none from packets.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use datapath::{Counters, Early, Fate, Gate, Held};
use lisp_wire::Eid;

/// Buffers a packet thread can have on their way at once.
const POOL: usize = 256;
/// Words about locators that the packet threads can have on their way, for each of them.
const SAID: usize = 64;

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
    /// A packet for an EID that has left came from a locator, and is sent on.
    Late { locator: IpAddr, eid: Eid },
}

impl Word {
    /// The buffer that the word travels in, if it has one.
    fn into_buffer(self) -> Option<Vec<u8>> {
        match self {
            Self::Missed { packet, .. } | Self::Early { packet, .. } | Self::Tunnelled { packet, .. } => {
                Some(packet)
            }
            Self::TooNarrow { .. } | Self::Unreachable { .. } | Self::Met { .. } | Self::Late { .. } => None,
        }
    }

    const fn is_of_a_locator(&self) -> bool {
        matches!(
            self,
            Self::TooNarrow { .. } | Self::Unreachable { .. } | Self::Met { .. } | Self::Late { .. }
        )
    }
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
    /// The way back into the pool for what could not be sent.
    back: SyncSender<Vec<u8>>,
    said: Arc<Said>,
    number: usize,
    bell: Arc<Bell>,
    counters: Arc<Counters>,
}

/// The control thread's end.
#[derive(Debug)]
pub(crate) struct Ear {
    words: Receiver<Word>,
    pools: Vec<SyncSender<Vec<u8>>>,
    said: Arc<Said>,
    bell: Arc<Bell>,
    wake: UnixStream,
}

/// How many words about locators are on their way, and how many may be.
#[derive(Debug)]
struct Said {
    under_way: AtomicUsize,
    most: usize,
}

impl Said {
    /// Takes a place, if one is free.
    fn take(&self) -> bool {
        let one_more = |now: usize| (now < self.most).then_some(now + 1);
        self.under_way
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .is_ok()
    }

    fn free(&self) {
        self.under_way.fetch_sub(1, Ordering::AcqRel);
    }
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
    let (words, heard) = sync_channel(counters.len() * (POOL + SAID));
    let said = Arc::new(Said {
        under_way: AtomicUsize::new(0),
        most: counters.len() * SAID,
    });
    let mut pools = Vec::new();
    let mut mouths = Vec::new();
    for (number, counters) in counters.iter().enumerate() {
        let (back, pool) = sync_channel(POOL);
        for _ in 0..POOL {
            // Cannot be full: this is what fills it.
            let _fits = back.try_send(Vec::with_capacity(largest));
        }
        pools.push(back.clone());
        let (words, bell, counters) = (words.clone(), Arc::clone(&bell), Arc::clone(counters));
        mouths.push(Mouth {
            words,
            pool,
            back,
            said: Arc::clone(&said),
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
            said,
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
        if let Err(TrySendError::Full(word) | TrySendError::Disconnected(word)) =
            self.words.try_send(word(buffer))
        {
            self.counters.count(full);
            if let Some(buffer) = word.into_buffer() {
                // Cannot be full: it came from there.
                let _fits = self.back.try_send(buffer);
            }
        }
        self.bell.ring();
    }

    /// Hands over a control message that came through the tunnel; full means that it is lost, as on any network.
    pub(crate) fn tunnelled(&self, packet: &[u8]) {
        let word = |packet| Word::Tunnelled {
            packet,
            pool: self.number,
        };
        self.hand_over(packet, word, Fate::MissQueueFull);
    }

    /// Says something of a locator; full means that it is said again with the next packet.
    pub(crate) fn say(&self, word: Word) {
        if !self.said.take() {
            return;
        }
        match self.words.try_send(word) {
            Ok(()) => self.bell.ring(),
            Err(_) => self.said.free(),
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
        let word = self.words.try_recv().ok()?;
        if word.is_of_a_locator() {
            self.said.free();
        }
        Some(word)
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

    fn a_miss() -> Held {
        let slot = datapath::PacketBatch::new(1, 100).push(&[1]).unwrap();
        let eid = Eid::of([10, 0, 0, 1].into());
        Held {
            slot,
            eid,
            source: eid,
        }
    }

    #[test]
    fn what_is_said_of_locators_takes_no_place_from_packets() {
        let counters = Arc::new(Counters::default());
        let (mouths, ear) = link(&[&counters], 100).unwrap();
        let locator = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..3 {
            (0..10 * POOL).for_each(|_| mouths[0].say(Word::Met { locator }));
            (0..POOL).for_each(|_| mouths[0].missed(&[1], &a_miss()));
            assert_eq!(counters.get(Fate::MissQueueFull), 0);
            let (mut met, mut missed) = (0, 0);
            while let Some(word) = ear.next() {
                match word {
                    Word::Met { .. } => met += 1,
                    Word::Missed { packet, pool, .. } => {
                        missed += 1;
                        ear.give_back(pool, packet);
                    }
                    other => panic!("{other:?} was not said"),
                }
            }
            assert_eq!((met, missed), (SAID, POOL));
        }
    }

    #[test]
    fn a_buffer_that_could_not_be_sent_is_used_again() {
        let counters = Arc::new(Counters::default());
        let (mouths, ear) = link(&[&counters], 100).unwrap();
        let locator = IpAddr::from([192, 0, 2, 1]);
        while mouths[0].words.try_send(Word::Met { locator }).is_ok() {
            mouths[0].said.under_way.fetch_add(1, Ordering::AcqRel);
        }
        let lost = 3 * POOL as u64;
        for _ in 0..lost {
            mouths[0].missed(&[1], &a_miss());
        }
        assert_eq!(counters.get(Fate::MissQueueFull), lost);
        while ear.next().is_some() {}
        (0..POOL).for_each(|_| mouths[0].missed(&[1], &a_miss()));
        assert_eq!(counters.get(Fate::MissQueueFull), lost);
        assert_eq!(std::iter::from_fn(|| ear.next()).count(), POOL);
    }
}

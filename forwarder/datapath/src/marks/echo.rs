//! Nonces that come back (RFC 9300 section 10.1): one direction of the path to a locator, tried with the packets that go
//! there anyway.

use std::sync::atomic::{AtomicU32, Ordering};

use lisp_wire::data_header::{DataNonce, EchoRequest, Mark};

/// A nonce stands here.
const THERE: u32 = 1 << 31;
const NONCE: u32 = 0x00ff_ffff;
const TIMES_SHIFT: u32 = 24;
/// So many packets carry an echo: one of them may be lost.
const TIMES: u32 = 4;

/// The nonces between this node and one locator of a peer.
///
/// Read and written by the packet threads without waiting for each other; what they lose against each other is one echo
/// more or less, or a packet that is not counted.
#[derive(Debug, Default)]
pub struct Echo {
    /// The nonce that each packet asks to be sent back.
    asking: AtomicU32,
    /// The same until it came back, also when it is no longer asked for.
    awaited: AtomicU32,
    /// What the peer asked for, and how many packets are still to carry it.
    owed: AtomicU32,
    sent: AtomicU32,
    asked: AtomicU32,
    heard: AtomicU32,
}

/// Packets to and from a locator, counted since the start and round about 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent to it.
    pub sent: u32,
    /// Of those, the ones that asked for an echo.
    pub asked: u32,
    /// Come from it.
    pub heard: u32,
}

impl Echo {
    /// From now on each packet asks for this nonce.
    pub fn ask(&self, nonce: DataNonce) {
        let nonce = THERE | nonce.get();
        self.awaited.store(nonce, Ordering::Relaxed);
        self.asking.store(nonce, Ordering::Relaxed);
    }

    /// From now on none does. What was asked for may still come.
    pub fn cease(&self) {
        self.asking.store(0, Ordering::Relaxed);
    }

    /// Whether a nonce is still awaited.
    pub fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed) != 0
    }

    /// How many packets there have been.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            sent: self.sent.load(Ordering::Relaxed),
            asked: self.asked.load(Ordering::Relaxed),
            heard: self.heard.load(Ordering::Relaxed),
        }
    }

    /// What the next packet to the locator says. While this side asks it echoes nothing (RFC 9300 section 10.1: it
    /// suspends the echo until its own request is done with).
    pub(super) fn outgoing(&self) -> Option<Mark> {
        add_one(&self.sent);
        let asking = self.asking.load(Ordering::Relaxed);
        if asking & THERE != 0 {
            add_one(&self.asked);
            let nonce = DataNonce::from_random(asking);
            let echo = EchoRequest::Yes;
            return Some(Mark::Nonce { nonce, echo });
        }
        let owed = self.owed.load(Ordering::Relaxed);
        if owed >> TIMES_SHIFT == 0 {
            return None;
        }
        let less = owed - (1 << TIMES_SHIFT);
        // Where it fails the other thread has echoed the same, or the peer has asked for something newer.
        let _done = self
            .owed
            .compare_exchange(owed, less, Ordering::Relaxed, Ordering::Relaxed);
        Some(Mark::Nonce {
            nonce: DataNonce::from_random(owed),
            echo: EchoRequest::No,
        })
    }

    /// Takes in what a packet from the locator says.
    pub(super) fn incoming(&self, mark: Mark) {
        add_one(&self.heard);
        let Mark::Nonce { nonce, echo } = mark else { return };
        match echo {
            EchoRequest::Yes => {
                let owed = TIMES << TIMES_SHIFT | nonce.get();
                self.owed.store(owed, Ordering::Relaxed);
            }
            EchoRequest::No if self.awaited.load(Ordering::Relaxed) == THERE | nonce.get() => {
                self.awaited.store(0, Ordering::Relaxed);
                self.asking.store(0, Ordering::Relaxed);
            }
            EchoRequest::No => {}
        }
    }
}

fn add_one(count: &AtomicU32) {
    count.fetch_add(1, Ordering::Relaxed);
}

const _: () = assert!(NONCE >> TIMES_SHIFT == 0 && THERE & NONCE == 0);

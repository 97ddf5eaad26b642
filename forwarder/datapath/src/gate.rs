//! The gate before an EID that is about to run at this site: shut, packets for it are held.
//!
//! Held packets lie with the control thread. Once it is open they are delivered, and until the last of them is, later
//! packets go the same way and not past them. One thread lets packets in, one delivers them; neither waits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A gate, shared by the thread that comes to it and the one that delivers.
#[derive(Debug, Default)]
pub struct Gate {
    open: AtomicBool,
    /// Packets on their way to the control thread, or held there.
    held: AtomicU64,
}

impl Gate {
    /// Whether a packet that comes now has to wait.
    pub fn holds(&self) -> bool {
        // A packet that left was delivered before (Release in `left`), so one that goes past now comes after it.
        !self.open.load(Ordering::Acquire) || self.held.load(Ordering::Acquire) > 0
    }

    /// Whether what is held may be delivered.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// The EID runs here.
    pub fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// A packet is handed over to be held.
    pub fn entered(&self) {
        self.held.fetch_add(1, Ordering::AcqRel);
    }

    /// A packet was delivered, or is lost.
    pub fn left(&self) {
        self.held.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_packets_wait_until_the_gate_is_open_and_the_last_held_one_has_left() {
        let gate = Gate::default();
        assert!(gate.holds());
        gate.entered();
        gate.open();
        assert!(gate.is_open() && gate.holds());
        gate.left();
        assert!(!gate.holds());
    }
}

//! Every control message of this node, as far back as there is room: what it was, what became of it.
//!
//! Bytes are kept as they crossed the wire and read only when somebody asks. Probes, and what was refused, have rings
//! of their own: neither the many nor the forged push out the few that matter. What was done about a message is told by
//! what was counted meanwhile, so no machine has to know of the journal.

mod ring;
mod telling;

use std::net::{IpAddr, SocketAddr};

use lisp_wire::{CONTROL_PORT, MessageKind, Type5};
use proto::{Direction, Timestamp};

use crate::counters::Counter;
use ring::Ring;

/// Entries and bytes of each ring. All of them together stay below 8 MiB.
const MOST_MESSAGES: usize = 8192;
const MOST_BYTES: usize = 4 << 20;
const MOST_PROBES: usize = 2048;
const MOST_PROBE_BYTES: usize = 512 << 10;
const MOST_REFUSED: usize = 2048;
const MOST_REFUSED_BYTES: usize = 1 << 20;

/// The log of control messages.
#[derive(Debug)]
pub(crate) struct Journal {
    type5: Type5,
    numbered: u64,
    messages: Ring,
    probes: Ring,
    refused: Ring,
    /// While a datagram is handled, what was counted.
    judging: Option<Judgement>,
}

/// A message as it was.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    number: u64,
    at: Timestamp,
    peer: SocketAddr,
    local: Option<IpAddr>,
    local_port: u16,
    kind: MessageKind,
    course: Course,
    bytes: Box<[u8]>,
}

/// Which way it went, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Sent { dscp: u8 },
    Accepted { what: Option<Counter> },
    Refused { why: Counter },
}

#[derive(Clone, Copy, Debug)]
struct Judgement {
    number: u64,
    what: Option<Counter>,
    why: Option<Counter>,
}

/// A datagram that came, whole.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) from: SocketAddr,
    pub(crate) local: IpAddr,
    pub(crate) at: Timestamp,
    pub(crate) bytes: Vec<u8>,
}

impl Journal {
    pub(crate) fn new(type5: Type5) -> Self {
        Self {
            type5,
            numbered: 0,
            messages: Ring::new(MOST_MESSAGES, MOST_BYTES),
            probes: Ring::new(MOST_PROBES, MOST_PROBE_BYTES),
            refused: Ring::new(MOST_REFUSED, MOST_REFUSED_BYTES),
            judging: None,
        }
    }

    /// A datagram is about to be looked at. What is counted from now on is about it.
    pub(crate) fn begin(&mut self) {
        self.numbered += 1;
        self.judging = Some(Judgement {
            number: self.numbered,
            what: None,
            why: None,
        });
    }

    /// Something was counted. The first refusal is the reason; of all else the last word is what was done.
    pub(crate) fn counted(&mut self, counter: Counter) {
        let Some(judgement) = &mut self.judging else {
            return;
        };
        if counter.refuses() {
            judgement.why.get_or_insert(counter);
        } else if !counter.is_traffic() {
            judgement.what = Some(counter);
        }
    }

    /// The datagram has been dealt with.
    pub(crate) fn end(&mut self, came: Came) {
        let Some(Judgement { number, what, why }) = self.judging.take() else {
            return;
        };
        let course = why.map_or(Course::Accepted { what }, |why| Course::Refused { why });
        self.keep(Entry {
            number,
            at: came.at,
            peer: came.from,
            local: Some(came.local),
            local_port: CONTROL_PORT,
            kind: MessageKind::of(&came.bytes, self.type5),
            course,
            bytes: came.bytes.into_boxed_slice(),
        });
    }

    /// A message is handed to the network.
    pub(crate) fn sent(
        &mut self,
        ((from, port), to): ((Option<IpAddr>, u16), SocketAddr),
        bytes: &[u8],
        (dscp, at): (u8, Timestamp),
    ) {
        self.numbered += 1;
        self.keep(Entry {
            number: self.numbered,
            at,
            peer: to,
            local: from,
            local_port: port,
            kind: MessageKind::of(bytes, self.type5),
            course: Course::Sent { dscp },
            bytes: bytes.into(),
        });
    }

    fn keep(&mut self, entry: Entry) {
        let ring = match entry.course {
            Course::Refused { .. } => &mut self.refused,
            _ if entry.kind.probes() => &mut self.probes,
            _ => &mut self.messages,
        };
        ring.keep(entry);
    }
}

impl Entry {
    const fn direction(&self) -> Direction {
        match self.course {
            Course::Sent { .. } => Direction::Out,
            Course::Accepted { .. } | Course::Refused { .. } => Direction::In,
        }
    }
}

#[cfg(test)]
mod tests;

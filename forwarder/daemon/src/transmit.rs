//! Hands encapsulated packets to the sockets, as many a call as take the same lane.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;

use datapath::{Counters, Datagram, Egress, Fate, PacketBatch};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use offload::{Outgoing, Sender};

use crate::lanes::Lanes;

/// The registered LISP data port (RFC 9300 section 5).
pub(crate) const DATA_PORT: u16 = 4341;
/// How long a full queue may hold a thread up before packets are dropped, milliseconds. It bounds the latency added here.
const PATIENCE: u8 = 5;

/// What the network said of a locator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The path is narrower than was thought.
    TooNarrow(IpAddr),
    /// There is no way.
    Unreachable(IpAddr),
}

/// One thread's way to the lanes.
#[derive(Debug)]
pub(crate) struct Transmitter {
    lanes: Arc<Lanes>,
    sender: Sender,
    order: Vec<u16>,
    counters: Arc<Counters>,
}

impl Transmitter {
    /// For batches of at most `capacity` packets, which may come out as twice as many datagrams.
    pub(crate) fn new(lanes: Arc<Lanes>, capacity: u16, counters: Arc<Counters>) -> Self {
        let most = 2 * usize::from(capacity);
        Self {
            lanes,
            sender: Sender::new(most),
            order: Vec::with_capacity(most),
            counters,
        }
    }

    /// Sends all datagrams of `egress`; those of a flow in order. What the network refuses is counted, and told.
    pub(crate) fn send(&mut self, batch: &PacketBatch, egress: &Egress, mut refused: impl FnMut(Refusal)) {
        let datagrams = &egress.datagrams;
        let key = |index: &u16| {
            let datagram = datagrams.get(usize::from(*index));
            (
                datagram.map(|datagram| {
                    let natted = datagram.port.is_some();
                    (datagram.to.is_ipv4(), natted, datagram.lane, datagram.envelope)
                }),
                *index,
            )
        };
        self.order.clear();
        self.order.extend(0..datagrams.len() as u16);
        self.order.sort_unstable_by_key(key);
        let mut rest = self.order.as_slice();
        while let Some((first, _)) = rest.split_first() {
            let lane = key(first).0;
            let count = rest.iter().take_while(|index| key(index).0 == lane).count();
            let (group, after) = rest.split_at(count);
            rest = after;
            let group = Group {
                batch,
                egress,
                order: group,
            };
            send_group(
                &self.lanes,
                &mut self.sender,
                &self.counters,
                (group, &mut refused),
            );
        }
    }
}

/// Datagrams that leave by one socket.
#[derive(Clone, Copy)]
struct Group<'a> {
    batch: &'a PacketBatch,
    egress: &'a Egress,
    order: &'a [u16],
}

impl<'a> Group<'a> {
    fn datagrams(self) -> impl Iterator<Item = &'a Datagram> {
        self.order
            .iter()
            .filter_map(move |index| self.egress.datagrams.get(usize::from(*index)))
    }
}

fn send_group(
    lanes: &Lanes,
    sender: &mut Sender,
    counters: &Counters,
    (mut group, refused): (Group<'_>, &mut impl FnMut(Refusal)),
) {
    let mut waited = false;
    while let Some(first) = group.datagrams().next() {
        let Some(socket) = lanes.socket(first) else {
            return counters.add(Fate::NoFamily, group.order.len() as u64);
        };
        let outgoing = group.datagrams().map(|datagram| Outgoing {
            payload: group.egress.payload(group.batch, datagram),
            to: SocketAddr::new(datagram.to, datagram.port.unwrap_or(DATA_PORT)),
            ttl: Some(datagram.ttl),
            traffic_class: datagram.traffic_class,
        });
        let taken = match sender.send(socket, outgoing) {
            Ok(count) => count.max(1),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if waited {
                    return counters.add(Fate::SendQueueFull, group.order.len() as u64);
                }
                waited = true;
                let mut writable = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
                // Whatever it says, the next attempt finds out.
                let _ready = poll(&mut writable, PollTimeout::from(PATIENCE));
                0
            }
            Err(error) => {
                counters.count(Fate::SendFailed);
                match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EMSGSIZE) => refused(Refusal::TooNarrow(first.to)),
                    Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH) => refused(Refusal::Unreachable(first.to)),
                    _ => {}
                }
                1
            }
        };
        group.order = group.order.get(taken..).unwrap_or_default();
    }
}

//! UDP 4342: control messages in and out.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use node::Input;
use offload::receive::Whole;
use offload::{Outgoing, Receiver, Role, Sender, SystemError, UdpSocket};

use super::Control;
use crate::roaming::Roaming;

/// The registered LISP control port (RFC 9301 section 4).
pub(crate) const CONTROL_PORT: u16 = 4342;
/// Datagrams a call.
const BATCH: usize = 32;
/// The largest datagram there can be.
const LARGEST: usize = 65_535;
/// Batches taken from a socket before anything else has its turn.
const MOST_BATCHES: usize = 16;

/// One socket for each locator of ours, and room for what they receive.
#[derive(Debug)]
pub(crate) struct ControlSockets {
    sockets: Vec<Arc<UdpSocket>>,
    /// UDP 4341 of each locator of ours: behind a NAT messages leave by it too, so that the NAT lets packets in there.
    data: Vec<Arc<UdpSocket>>,
    receiver: Receiver,
    sender: Sender,
    room: Vec<u8>,
    lost: Lost,
}

/// Control messages that went no further here.
#[derive(Clone, Copy, Debug, Default)]
struct Lost {
    unsent: u64,
    cut_short: u64,
    unread: u64,
}

impl ControlSockets {
    /// Binds them all.
    pub(crate) fn open(rlocs: impl Iterator<Item = IpAddr>) -> Result<Self, SystemError> {
        let bind = |rloc| UdpSocket::bind(SocketAddr::new(rloc, CONTROL_PORT), Role::Control).map(Arc::new);
        Ok(Self {
            sockets: rlocs.map(bind).collect::<Result<_, _>>()?,
            data: Vec::new(),
            receiver: Receiver::new(BATCH),
            sender: Sender::new(1),
            room: vec![0; BATCH * LARGEST],
            lost: Lost::default(),
        })
    }

    /// The sockets themselves, for packets that leave by the control port.
    pub(crate) fn shared(&self) -> Vec<Arc<UdpSocket>> {
        self.sockets.clone()
    }

    /// Has the sockets of UDP 4341 too.
    pub(crate) fn set_data(&mut self, data: Vec<Arc<UdpSocket>>) {
        self.data = data;
    }

    /// Sends a control message from UDP 4341.
    pub(crate) fn send_from_data(&mut self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let mut data = self.data.iter();
        let Some(socket) = data.find(|socket| socket.local().is_ipv4() == to.is_ipv4()) else {
            self.lost.unsent += 1;
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this node carries no packets",
            ));
        };
        let datagram = Outgoing {
            payload: bytes,
            to,
            ttl: None,
            traffic_class: 48 << 2,
        };
        let sent = self.sender.send(socket, std::iter::once(datagram)).map(|_| ());
        self.lost.unsent += u64::from(sent.is_err());
        sent
    }

    /// What was lost here, by reason.
    pub(crate) fn counter_rows(&self) -> impl Iterator<Item = (&'static str, u64, &'static str)> {
        let Lost {
            unsent,
            cut_short,
            unread,
        } = self.lost;
        let unsent_meaning = "Messages that the network or the kernel refused to take.";
        [
            ("control.drop.unsent", unsent, unsent_meaning),
            (
                "control.drop.cut-short",
                cut_short,
                "Datagrams longer than any message.",
            ),
            (
                "control.drop.unread",
                unread,
                "Failures to read from a control socket.",
            ),
        ]
        .into_iter()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &UdpSocket> {
        self.sockets.iter().map(Arc::as_ref)
    }

    /// Sends a control message from one of our addresses, or from the first of the family.
    pub(crate) fn send(
        &mut self,
        from: Option<IpAddr>,
        to: SocketAddr,
        bytes: &[u8],
        dscp: u8,
    ) -> io::Result<()> {
        let of_family = |socket: &&Arc<UdpSocket>| socket.local().is_ipv4() == to.is_ipv4();
        let exact = self
            .sockets
            .iter()
            .find(|socket| Some(socket.local().ip()) == from);
        let socket = exact
            .filter(of_family)
            .or_else(|| self.sockets.iter().find(of_family));
        let Some(socket) = socket else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "no locator of ours is of this family",
            ));
        };
        let datagram = Outgoing {
            payload: bytes,
            to,
            ttl: None,
            traffic_class: dscp << 2,
        };
        let sent = self.sender.send(socket, std::iter::once(datagram)).map(|_| ());
        self.lost.unsent += u64::from(sent.is_err());
        sent
    }
}

impl Control {
    /// Takes in what the control sockets have.
    pub(super) fn receive(&mut self) {
        let ControlSockets {
            sockets,
            receiver,
            room,
            lost,
            ..
        } = &mut self.sockets;
        for socket in sockets.iter() {
            for _ in 0..MOST_BATCHES {
                let received = match receiver.receive(socket, room.chunks_exact_mut(LARGEST)) {
                    Ok(received) => received,
                    Err(error) => {
                        lost.unread += u64::from(error.kind() != io::ErrorKind::WouldBlock);
                        tracing::debug!(%error, local = %socket.local(), "control: receive");
                        break;
                    }
                };
                let count = received.len();
                for (datagram, bytes) in received.iter().zip(room.chunks_exact(LARGEST)) {
                    let Some(bytes) = bytes
                        .get(..datagram.length)
                        .filter(|_| datagram.whole == Whole::Complete)
                    else {
                        lost.cut_short += 1;
                        continue;
                    };
                    // A socket that is bound to no address stands for the locator of its family.
                    let mut own = self.roaming.iter().flat_map(Roaming::rlocs);
                    let bound = socket.local().ip();
                    let local = own.find(|own| own.rloc.0.is_ipv4() == bound.is_ipv4());
                    self.desk.inputs.push_back(Input::Datagram {
                        from: datagram.from,
                        local: local.map_or(bound, |own| own.rloc.0),
                        bytes: bytes.to_vec(),
                        received_at: self.clock.of_kernel(datagram.at),
                    });
                }
                if count < BATCH {
                    break;
                }
            }
        }
    }
}

//! The sockets that encapsulated packets leave by.
//!
//! RFC 9300 section 5.3 wants the outer source port to be a hash of the inner flow, so that routers on the way can
//! spread flows. Raw sockets could write any port, but need CAP_NET_RAW and shut out UDP segmentation offload; so
//! there is a pool of ordinary sockets, each bound to a port of its own, and a flow always takes the same one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use datapath::{Datagram, Envelope};
use offload::{Operation, Role, SystemError, UdpSocket};

/// Source ports for each family.
pub(crate) const LANES: u16 = 32;
/// Ports are taken from here upwards (RFC 6335, dynamic ports), those in use left out: the same ones after a restart.
const FIRST_PORT: u16 = 49152;

/// The sockets of each family that has a locator of ours.
#[derive(Debug)]
pub(crate) struct Lanes {
    v4: Option<Pool>,
    v6: Option<Pool>,
    /// What goes behind a NAT leaves by the control port.
    control: Vec<Arc<UdpSocket>>,
}

#[derive(Debug)]
struct Pool {
    lanes: Vec<UdpSocket>,
    /// For the rare packets that must get through a path too narrow for them.
    divisible: UdpSocket,
}

impl Lanes {
    /// Opens the pools, on the first locator of each family.
    pub(crate) fn open(rlocs: &[IpAddr], control: Vec<Arc<UdpSocket>>) -> Result<Self, SystemError> {
        let first = |family: fn(&IpAddr) -> bool| rlocs.iter().copied().find(family);
        Ok(Self {
            v4: first(IpAddr::is_ipv4).map(Pool::open).transpose()?,
            v6: first(IpAddr::is_ipv6).map(Pool::open).transpose()?,
            control,
        })
    }

    /// The socket for a datagram; `None` if its family is not spoken here.
    pub(crate) fn socket(&self, datagram: &Datagram) -> Option<&UdpSocket> {
        if datagram.port.is_some() {
            let mut control = self.control.iter();
            let own = control.find(|socket| socket.local().is_ipv4() == datagram.to.is_ipv4());
            return own.map(Arc::as_ref);
        }
        let pool = if datagram.to.is_ipv4() { &self.v4 } else { &self.v6 }.as_ref()?;
        match datagram.envelope {
            Envelope::Whole => pool.lanes.get(usize::from(datagram.lane.0)),
            Envelope::Divisible => Some(&pool.divisible),
        }
    }
}

impl Pool {
    fn open(rloc: IpAddr) -> Result<Self, SystemError> {
        let mut lanes = Vec::with_capacity(usize::from(LANES));
        let mut ports = FIRST_PORT..=u16::MAX;
        while lanes.len() < usize::from(LANES) {
            let port = ports.next().unwrap_or(0); // none left in the range: whichever the kernel gives
            match UdpSocket::bind(SocketAddr::new(rloc, port), Role::DataOut) {
                Ok(socket) => lanes.push(socket),
                Err(error) if in_use(&error) && port != 0 => {}
                Err(error) => return Err(error),
            }
        }
        let divisible = UdpSocket::bind(SocketAddr::new(rloc, 0), Role::DataOutDivisible)?;
        Ok(Self { lanes, divisible })
    }
}

fn in_use(error: &SystemError) -> bool {
    error.operation == Operation::Bind && error.source.kind() == std::io::ErrorKind::AddrInUse
}

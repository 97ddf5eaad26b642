//! The sockets that encapsulated packets leave by.
//!
//! RFC 9300 section 5.3 wants the outer source port to be a hash of the inner flow, so that routers on the way can
//! spread flows. Raw sockets could write any port, but need CAP_NET_RAW and shut out UDP segmentation offload; so
//! there is a pool of ordinary sockets, each bound to a port of its own, and a flow always takes the same one.

use std::net::{IpAddr, SocketAddr};

use datapath::Lane;
use offload::{Operation, Role, SystemError, UdpSocket};

/// Source ports for each family.
pub(crate) const LANES: u16 = 32;
/// Ports are taken from here upwards (RFC 6335, dynamic ports), those in use left out: the same ones after a restart.
const FIRST_PORT: u16 = 49152;

/// A pool of sockets for each family that has a locator of ours.
#[derive(Debug)]
pub(crate) struct Lanes {
    v4: Vec<UdpSocket>,
    v6: Vec<UdpSocket>,
}

impl Lanes {
    /// Opens the pools, on the first locator of each family.
    pub(crate) fn open(rlocs: &[IpAddr]) -> Result<Self, SystemError> {
        let pool = |rloc: Option<IpAddr>| rloc.map_or(Ok(Vec::new()), pool);
        Ok(Self {
            v4: pool(rlocs.iter().copied().find(IpAddr::is_ipv4))?,
            v6: pool(rlocs.iter().copied().find(IpAddr::is_ipv6))?,
        })
    }

    /// The socket to a locator over a lane; `None` if its family is not spoken here.
    pub(crate) fn socket(&self, to: IpAddr, lane: Lane) -> Option<&UdpSocket> {
        let pool = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        pool.get(usize::from(lane.0))
    }
}

fn pool(rloc: IpAddr) -> Result<Vec<UdpSocket>, SystemError> {
    let mut sockets = Vec::with_capacity(usize::from(LANES));
    let mut ports = FIRST_PORT..=u16::MAX;
    while sockets.len() < usize::from(LANES) {
        let port = ports.next().unwrap_or(0); // none left in the range: whichever the kernel gives
        match UdpSocket::bind(SocketAddr::new(rloc, port), Role::DataOut) {
            Ok(socket) => sockets.push(socket),
            Err(error) if in_use(&error) && port != 0 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sockets)
}

fn in_use(error: &SystemError) -> bool {
    error.operation == Operation::Bind && error.source.kind() == std::io::ErrorKind::AddrInUse
}

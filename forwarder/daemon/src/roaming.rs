//! Locators that are whatever addresses an interface has: the kernel says when they change (rtnetlink(7)).
//!
//! A node that roams binds its sockets to no address, so nothing has to be opened again when it moves; what it says of
//! itself follows the interface. While there is no address at all, the last ones stand.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use lisp_wire::Rloc;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::net::if_::InterfaceFlags;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use node::config::OwnRloc;

use crate::config::RoamingRloc;

/// rtnetlink(7): links, and addresses of either family, as groups of multicast messages.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// Watches the interfaces.
#[derive(Debug)]
pub(crate) struct Roaming {
    interfaces: Vec<RoamingRloc>,
    news: Socket,
    last: Vec<OwnRloc>,
}

impl Roaming {
    /// Begins to listen, and waits until there is an address. `None` if the process is asked to end before.
    pub(crate) fn start(interfaces: Vec<RoamingRloc>, signals: &UnixStream) -> io::Result<Option<Self>> {
        let mut news = Socket::new(NETLINK_ROUTE)?;
        news.bind(&SocketAddr::new(0, GROUPS))?;
        news.set_non_blocking(true)?;
        let mut roaming = Self {
            interfaces,
            news,
            last: Vec::new(),
        };
        roaming.last = roaming.addresses()?;
        while roaming.last.is_empty() {
            tracing::info!("no address to be reached at yet");
            let signals = PollFd::new(signals.as_fd(), PollFlags::POLLIN);
            let mut waited = [signals, PollFd::new(roaming.fd(), PollFlags::POLLIN)];
            match poll(&mut waited, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if waited[0].any().unwrap_or(true) {
                return Ok(None);
            }
            roaming.drain();
            roaming.last = roaming.addresses()?;
        }
        Ok(Some(roaming))
    }

    /// The locators now.
    pub(crate) fn rlocs(&self) -> &[OwnRloc] {
        &self.last
    }

    /// After the kernel had something to say: the locators, if they are others than before.
    pub(crate) fn changed(&mut self) -> Option<&[OwnRloc]> {
        self.drain();
        match self.addresses() {
            Ok(now) if !now.is_empty() && now != self.last => {
                self.last = now;
                Some(&self.last)
            }
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(%error, "the addresses of the interfaces cannot be read");
                None
            }
        }
    }

    /// Readable when a link or an address has come or gone.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.news)
    }

    /// What was said is not read: it may have been too much to hear, so the kernel is asked how things stand.
    fn drain(&self) {
        let mut room = Vec::with_capacity(16 << 10);
        loop {
            room.clear();
            match self.news.recv(&mut room, 0) {
                Ok(_) => {}
                // Words were lost: all the more reason to ask.
                Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ENOBUFS as i32) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn addresses(&self) -> io::Result<Vec<OwnRloc>> {
        let all = dump()?;
        let running = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
        let up: BTreeSet<String> = nix::ifaddrs::getifaddrs()?
            .filter(|one| one.flags.contains(running))
            .map(|one| one.interface_name)
            .collect();
        let mut rlocs: Vec<OwnRloc> = Vec::new();
        for interface in self.interfaces.iter().filter(|one| up.contains(&one.name)) {
            // It may be gone, and come back with another number.
            let Ok(index) = nix::net::if_::if_nametoindex(interface.name.as_str()) else {
                continue;
            };
            let of_family = |v4: bool| {
                let usable = |one: &&AddressMessage| one.header.index == index && is_reachable(one);
                let mut addresses = all.iter().filter(usable).filter_map(address_of);
                addresses.find(|address| address.is_ipv4() == v4)
            };
            // One a family: an interface often has several of IPv6, all of which lead to the same place.
            for address in [of_family(true), of_family(false)].into_iter().flatten() {
                if rlocs.iter().all(|own| own.rloc.0 != address) {
                    rlocs.push(OwnRloc {
                        rloc: Rloc(address),
                        priority: interface.priority,
                        weight: interface.weight,
                    });
                }
            }
        }
        Ok(rlocs)
    }
}

/// Whether others can send to it: not only on the link, and not an address that is still, or no longer, to be used.
fn is_reachable(message: &AddressMessage) -> bool {
    let header = &message.header;
    let tentative =
        AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed | AddressHeaderFlags::Deprecated;
    let more = message.attributes.iter().any(|attribute| {
        let unusable = AddressFlags::Tentative | AddressFlags::Dadfailed | AddressFlags::Deprecated;
        matches!(attribute, AddressAttribute::Flags(flags) if flags.intersects(unusable))
    });
    header.scope == AddressScope::Universe && !header.flags.intersects(tentative) && !more
}

/// The interface's own address: on a link to one peer, `Address` is the peer's.
fn address_of(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}

/// Every address of the namespace.
fn dump() -> io::Result<Vec<AddressMessage>> {
    let mut request = AddressMessage::default();
    request.header.family = AddressFamily::Unspec;
    let mut packet = NetlinkMessage::from(RouteNetlinkMessage::GetAddress(request));
    packet.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    packet.header.sequence_number = 1;
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let mut found = Vec::new();
    loop {
        let (answer, _) = socket.recv_from_full()?;
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            let message =
                NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
            match message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(address)) => found.push(address),
                NetlinkPayload::Done(_) => return Ok(found),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                _ => {}
            }
            // Messages stand at multiples of four bytes.
            let length = (message.header.length as usize).next_multiple_of(4).max(16);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

/// Both families, where the kernel speaks them: what a node binds to that does not know yet where it will be.
pub(crate) fn anywhere() -> Vec<IpAddr> {
    let all = [
        IpAddr::from(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED),
    ];
    let spoken = |address: &IpAddr| std::net::UdpSocket::bind((*address, 0)).is_ok();
    all.into_iter().filter(spoken).collect()
}

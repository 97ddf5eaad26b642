//! Links, addresses, routes and neighbours of the namespace the calling thread is in (rtnetlink(7)).

use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Mac(pub [u8; 6]);

/// One end of a cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VethEnd {
    /// Interface name, at most 15 bytes.
    pub name: String,
    /// Ethernet address.
    pub mac: Mac,
    /// Largest IP packet, bytes.
    pub mtu: u32,
}

/// A netlink socket in one namespace.
pub struct Links {
    socket: Socket,
    sequence: u32,
}

impl Links {
    /// In the namespace of the calling thread.
    pub fn open() -> Result<Self, NetlinkError> {
        let opened = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            Ok(socket)
        };
        Ok(Self {
            socket: opened().map_err(|source| NetlinkError::Open { source })?,
            sequence: 0,
        })
    }

    /// Makes a veth pair; `there` goes into the namespace open at `peer`.
    pub fn veth(&mut self, here: &VethEnd, there: &VethEnd, peer: RawFd) -> Result<(), NetlinkError> {
        let mut far = described(there);
        far.attributes.push(LinkAttribute::NetNsFd(peer));
        let mut near = described(here);
        near.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(far))),
        ]));
        let what = format!("make cable {} - {}", here.name, there.name);
        self.ask(RouteNetlinkMessage::NewLink(near), NLM_F_CREATE, &what)
    }

    /// Brings an interface up.
    pub fn up(&mut self, name: &str) -> Result<(), NetlinkError> {
        self.flag(name, LinkFlags::Up)
    }

    /// Takes an interface down.
    pub fn down(&mut self, name: &str) -> Result<(), NetlinkError> {
        self.flag(name, LinkFlags::empty())
    }

    /// Adds `address`/`length`, without duplicate address detection: a lab's addresses are its own.
    pub fn address(&mut self, name: &str, address: IpAddr, length: u8) -> Result<(), NetlinkError> {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = length;
        message.header.index = index(name)?;
        message.header.scope = AddressScope::Universe;
        if address.is_ipv6() {
            message.header.flags = AddressHeaderFlags::Nodad;
            message
                .attributes
                .push(AddressAttribute::Flags(AddressFlags::Nodad));
        } else {
            message.attributes.push(AddressAttribute::Local(address));
        }
        message.attributes.push(AddressAttribute::Address(address));
        let what = format!("give {name} the address {address}/{length}");
        self.ask(
            RouteNetlinkMessage::NewAddress(message),
            NLM_F_CREATE | NLM_F_REPLACE,
            &what,
        )
    }

    /// Takes `address`/`length` away.
    pub fn remove_address(&mut self, name: &str, address: IpAddr, length: u8) -> Result<(), NetlinkError> {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = length;
        message.header.index = index(name)?;
        if address.is_ipv4() {
            message.attributes.push(AddressAttribute::Local(address));
        }
        message.attributes.push(AddressAttribute::Address(address));
        let what = format!("take the address {address}/{length} from {name}");
        self.ask(RouteNetlinkMessage::DelAddress(message), 0, &what)
    }

    /// What comes in by `interface`, of the family of `like`, is routed by `table`.
    pub fn rule(&mut self, like: IpAddr, interface: &str, table: u32) -> Result<(), NetlinkError> {
        let mut message = RuleMessage::default();
        message.header.family = family(like);
        message.header.action = RuleAction::ToTable;
        message
            .attributes
            .push(RuleAttribute::Iifname(interface.to_owned()));
        message.attributes.push(RuleAttribute::Table(table));
        let what = format!("route what comes by {interface} by table {table}");
        self.ask(RouteNetlinkMessage::NewRule(message), NLM_F_CREATE, &what)
    }

    /// Routes `destination`/`length` out of interface `name`: through `gateway`, or directly.
    pub fn route(
        &mut self,
        to: (IpAddr, u8),
        name: &str,
        gateway: Option<IpAddr>,
    ) -> Result<(), NetlinkError> {
        self.route_in(RouteHeader::RT_TABLE_MAIN.into(), to, name, gateway)
    }

    /// The same in another table than the main one.
    pub fn route_in(
        &mut self,
        table: u32,
        (destination, length): (IpAddr, u8),
        name: &str,
        gateway: Option<IpAddr>,
    ) -> Result<(), NetlinkError> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(destination);
        message.header.destination_prefix_length = length;
        message.attributes.push(RouteAttribute::Table(table));
        message.header.protocol = RouteProtocol::Static;
        message.header.kind = RouteType::Unicast;
        message.header.scope = if gateway.is_some() {
            RouteScope::Universe
        } else {
            RouteScope::Link
        };
        if length > 0 {
            message
                .attributes
                .push(RouteAttribute::Destination(destination.into()));
        }
        if let Some(gateway) = gateway {
            message.attributes.push(RouteAttribute::Gateway(gateway.into()));
        }
        message.attributes.push(RouteAttribute::Oif(index(name)?));
        let what = format!("route {destination}/{length} by {name}");
        self.ask(
            RouteNetlinkMessage::NewRoute(message),
            NLM_F_CREATE | NLM_F_REPLACE,
            &what,
        )
    }

    /// Says for good at which Ethernet address a neighbour is found.
    pub fn neighbour(&mut self, name: &str, address: IpAddr, mac: Mac) -> Result<(), NetlinkError> {
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = index(name)?;
        message.header.state = NeighbourState::Permanent;
        message.header.kind = RouteType::Unicast;
        message
            .attributes
            .push(NeighbourAttribute::Destination(address.into()));
        message
            .attributes
            .push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
        let what = format!("set the neighbour {address} on {name}");
        self.ask(
            RouteNetlinkMessage::NewNeighbour(message),
            NLM_F_CREATE | NLM_F_REPLACE,
            &what,
        )
    }

    fn flag(&mut self, name: &str, flags: LinkFlags) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index(name)?;
        message.header.flags = flags;
        message.header.change_mask = LinkFlags::Up;
        self.ask(
            RouteNetlinkMessage::SetLink(message),
            0,
            &format!("set {name} up or down"),
        )
    }

    /// Sends one request and waits for the kernel's verdict on it.
    fn ask(&mut self, request: RouteNetlinkMessage, flags: u16, what: &str) -> Result<(), NetlinkError> {
        let refused = |source| NetlinkError::Refused {
            what: what.to_owned(),
            source,
        };
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map_err(refused)?;
        loop {
            let (answer, _) = self.socket.recv_from_full().map_err(refused)?;
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
                .map_err(|error| refused(io::Error::other(error)))?;
            if answer.header.sequence_number != self.sequence {
                continue;
            }
            if let NetlinkPayload::Error(verdict) = answer.payload {
                return match verdict.code {
                    None => Ok(()),
                    Some(_) => Err(refused(verdict.to_io())),
                };
            }
        }
    }
}

/// The index of an interface of the calling thread's namespace.
pub fn index(name: &str) -> Result<u32, NetlinkError> {
    nix::net::if_::if_nametoindex(name).map_err(|error| NetlinkError::Refused {
        what: format!("find interface {name}"),
        source: error.into(),
    })
}

fn described(end: &VethEnd) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(end.name.clone()),
        LinkAttribute::Address(end.mac.0.to_vec()),
        LinkAttribute::Mtu(end.mtu),
    ];
    message
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    }
}

/// A change the kernel refused.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// No netlink socket.
    #[error("cannot open a netlink socket: {source}")]
    Open {
        /// Why.
        source: io::Error,
    },
    /// The kernel's verdict on one request.
    #[error("cannot {what}: {source}")]
    Refused {
        /// The request.
        what: String,
        /// Why.
        source: io::Error,
    },
}

//! The TUN interface as the configuration wants it: made, sized, up, with its routes.

use std::net::IpAddr;

use lisp_wire::EidPrefix;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use offload::{SystemError, Tun};

use crate::config::TunConfig;

/// An interface that cannot be made as configured.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// The TUN itself.
    #[error(transparent)]
    Tun(#[from] SystemError),
    /// A route into it.
    #[error("route {route} into {interface}: {source}")]
    Route {
        /// Which.
        route: EidPrefix,
        /// The TUN's name.
        interface: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// Makes the interface. It goes with the process, and its routes with it.
pub(crate) fn establish(config: &TunConfig, mtu: u16) -> Result<Tun, InterfaceError> {
    let tun = Tun::create(&config.name)?;
    tun.set_mtu(mtu)?;
    tun.bring_up()?;
    let index = tun.index()?;
    for route in &config.routes {
        add_route(route, index, config.table).map_err(|source| InterfaceError::Route {
            route: *route,
            interface: config.name.clone(),
            source,
        })?;
    }
    Ok(tun)
}

/// Adds a route, or puts it in the place of the one to the same prefix.
fn add_route(route: &EidPrefix, index: u32, table: Option<u32>) -> std::io::Result<()> {
    let mut message = RouteMessage::default();
    let (family, destination) = match route.address() {
        IpAddr::V4(address) => (AddressFamily::Inet, RouteAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, RouteAddress::Inet6(address)),
    };
    message.header.address_family = family;
    message.header.destination_prefix_length = route.length();
    // The header has room for small numbers only; the attribute takes any, and goes before.
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.attributes.extend(table.map(RouteAttribute::Table));
    message.header.protocol = RouteProtocol::Static;
    message.header.kind = RouteType::Unicast;
    message.header.scope = if route.address().is_ipv4() {
        RouteScope::Link
    } else {
        RouteScope::Universe
    };
    message.attributes.push(RouteAttribute::Destination(destination));
    message.attributes.push(RouteAttribute::Oif(index));
    request(
        RouteNetlinkMessage::NewRoute(message),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

fn request(message: RouteNetlinkMessage, flags: u16) -> std::io::Result<()> {
    let mut packet = NetlinkMessage::from(message);
    packet.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    packet.header.sequence_number = 1;
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer =
        NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(std::io::Error::other)?;
    match answer.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(()),
    }
}

//! Namespaces, cables, addresses and routes of a fabric.
//!
//! ```text
//!  host --eth0--eid0-- user xTR --wan0--+               +--wan0-- DC xTR --eid0--+
//!                                       |  delay line   |                        |  delay line
//!                     map server --wan0-+  segment wan  +--wan0-- DC xTR --eid0--+  segment inner
//!                                                                          VM --eth0--+
//! ```
//!
//! On the inner network every DC xTR has the same gateway address and Ethernet address, so that a VM never sees by which
//! of them it is reached. Ethernet addresses are written into the neighbour tables: no packet ever waits for ARP.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use lisp_wire::EidPrefix;
use proto::{UserName, VmName};

use super::{LabError, Node};
use crate::fabric::{Fabric, PairShape, Shapes};
use crate::line::config::{Directed, GATEWAY, LineConfig, PortConfig, PortKind};
use crate::namespace::netlink::Links;
use crate::namespace::{Mac, Namespace, NamespaceError, NetlinkError, VethEnd};
use crate::raw;

/// The largest IP packet on every cable, bytes.
pub(crate) const MTU: u32 = 1500;
const WAN: &str = "wan";
const INNER: &str = "inner";

/// Everything but the processes.
#[derive(Debug)]
pub(super) struct Wiring {
    /// Where the delay line runs.
    pub(super) core: Namespace,
    pub(super) nodes: BTreeMap<Node, Namespace>,
    pub(super) users: BTreeMap<UserName, Namespace>,
    pub(super) vms: BTreeMap<VmName, Namespace>,
    pub(super) outsiders: BTreeMap<String, Namespace>,
}

impl Wiring {
    /// Builds it, and says how the delay line is to join it.
    pub(super) fn build(
        fabric: &Fabric,
        outsiders: &BTreeMap<String, IpAddr>,
    ) -> Result<(Self, LineConfig), LabError> {
        let core = Namespace::new("core")?;
        // The line speaks for others only; the kernel must not answer anything on its ports.
        if kernel_has_ipv6() {
            core.sysctl("ipv6/conf/all/disable_ipv6", "1")?;
            core.sysctl("ipv6/conf/default/disable_ipv6", "1")?;
        }
        let mut ports = Ports {
            core: &core,
            line: line_config(fabric),
        };

        let on_wan = wan_addresses(fabric, outsiders);
        let mut nodes = BTreeMap::new();
        let mut strangers = BTreeMap::new();
        for (number, (node, rloc)) in on_wan.iter().enumerate() {
            let namespace = Namespace::new(&node.to_string())?;
            quiet(&namespace)?;
            ports.plug(
                &namespace,
                "wan0",
                wan_mac(number),
                wan_port(&node.to_string(), fabric),
            )?;
            let peers: Vec<(IpAddr, Mac)> = on_wan
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != number)
                .map(|(other, (_, rloc))| (*rloc, wan_mac(other)))
                .collect();
            let own = *rloc;
            namespace.links(move |links| join_wan(links, own, &peers))?;
            match node {
                OnWan::Node(node) => {
                    forwards(&namespace)?;
                    nodes.insert(node.clone(), namespace);
                }
                OnWan::Outsider(name) => {
                    strangers.insert(name.clone(), namespace);
                }
            }
        }

        let mut users = BTreeMap::new();
        for (name, user) in &fabric.users {
            let node = Node::User(name.clone());
            let xtr = nodes.get(&node).ok_or_else(|| LabError::Unknown {
                name: node.to_string(),
            })?;
            users.insert(name.clone(), user_host(name, user.eid, xtr)?);
        }

        let guests: Vec<(IpAddr, Mac)> = fabric
            .vms
            .values()
            .enumerate()
            .map(|(number, vm)| (host_address(&vm.eid), vm_mac(number)))
            .collect();
        for site in fabric.sites.keys() {
            let node = Node::Site(site.clone());
            let xtr = nodes.get(&node).ok_or_else(|| LabError::Unknown {
                name: node.to_string(),
            })?;
            ports.plug(
                xtr,
                "eid0",
                GATEWAY,
                inner_port(inner_name(site.as_str()), PortKind::Gateway),
            )?;
            let guests = guests.clone();
            xtr.links(move |links| {
                be_gateway(links, "eid0")?;
                guests.iter().try_for_each(|(eid, mac)| {
                    links.route((*eid, full(*eid)), "eid0", None)?;
                    links.neighbour("eid0", *eid, *mac)
                })
            })?;
        }
        let mut vms = BTreeMap::new();
        for (number, (name, vm)) in fabric.vms.iter().enumerate() {
            let host = Namespace::new(name.as_str())?;
            quiet(&host)?;
            let kind = PortKind::Guest {
                home: inner_name(vm.home.as_str()),
            };
            ports.plug(&host, "eth0", vm_mac(number), inner_port(vm_port(name), kind))?;
            let eid = host_address(&vm.eid);
            host.links(move |links| behind_gateway(links, eid))?;
            vms.insert(name.clone(), host);
        }

        let line = ports.line;
        Ok((
            Self {
                core,
                nodes,
                users,
                vms,
                outsiders: strangers,
            },
            line,
        ))
    }

    /// A user's router has the address `to` instead of `from`, as if it had joined another network: it is without any in
    /// between. Its cable stays, and with it its delays; everybody's neighbour table has the new address.
    pub(super) fn roam(
        &self,
        fabric: &Fabric,
        user: &UserName,
        (from, to): (IpAddr, IpAddr),
    ) -> Result<(), LabError> {
        let on_wan = wan_addresses(fabric, &BTreeMap::new());
        let unknown = || LabError::Unknown {
            name: user.to_string(),
        };
        let roams = |node: &OnWan| matches!(node, OnWan::Node(Node::User(name)) if name == user);
        let number = on_wan
            .iter()
            .position(|(node, _)| roams(node))
            .ok_or_else(unknown)?;
        let mac = wan_mac(number);
        for namespace in self.nodes.values().chain(self.outsiders.values()) {
            namespace.links(move |links| {
                links.route((to, full(to)), "wan0", None)?;
                links.neighbour("wan0", to, mac)
            })?;
        }
        let peers: Vec<(IpAddr, Mac)> = on_wan
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number)
            .map(|(other, (_, rloc))| (*rloc, wan_mac(other)))
            .collect();
        let router = self.nodes.get(&Node::User(user.clone())).ok_or_else(unknown)?;
        // With the last address of a family the kernel takes the family's routes, so they are written again.
        router.links(move |links| {
            links.remove_address("wan0", from, wan_length(from))?;
            join_wan(links, to, &peers)
        })?;
        Ok(())
    }

    /// How many namespaces there are.
    pub(super) fn count(&self) -> usize {
        1 + self.nodes.len() + self.users.len() + self.vms.len() + self.outsiders.len()
    }
}

/// The port of a VM on the inner network. Names have no slash, so no two ports share one.
pub(super) fn vm_port(vm: &VmName) -> String {
    format!("{vm}/vm")
}

/// The port of a data centre on the inner network.
pub(super) fn inner_name(site: &str) -> String {
    format!("{site}/inner")
}

/// The address of the host in a block of EIDs: the tenth after the first, or the last in a smaller block.
pub(super) fn host_address(prefix: &EidPrefix) -> IpAddr {
    match prefix.address() {
        IpAddr::V4(first) => {
            let last = u32::MAX.checked_shr(prefix.length().into()).unwrap_or(0);
            Ipv4Addr::from(u32::from(first) + last.min(10)).into()
        }
        IpAddr::V6(first) => {
            let last = u128::MAX.checked_shr(prefix.length().into()).unwrap_or(0);
            Ipv6Addr::from(u128::from(first) + last.min(10)).into()
        }
    }
}

/// Who has an address on the WAN.
enum OnWan {
    Node(Node),
    Outsider(String),
}

impl std::fmt::Display for OnWan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Node(node) => node.fmt(f),
            Self::Outsider(name) => f.pad(name),
        }
    }
}

fn wan_addresses(fabric: &Fabric, outsiders: &BTreeMap<String, IpAddr>) -> Vec<(OnWan, IpAddr)> {
    let node = |node, rloc| (OnWan::Node(node), rloc);
    let sites = fabric
        .sites
        .iter()
        .map(|(name, rloc)| node(Node::Site(name.clone()), rloc.0));
    let users = fabric
        .users
        .iter()
        .map(|(name, user)| node(Node::User(name.clone()), user.rloc.0));
    let map_server = std::iter::once(node(Node::MapServer, fabric.map_server.0));
    let strangers = outsiders
        .iter()
        .map(|(name, address)| (OnWan::Outsider(name.clone()), *address));
    sites.chain(users).chain(map_server).chain(strangers).collect()
}

fn line_config(fabric: &Fabric) -> LineConfig {
    let mut pairs = Vec::new();
    let mut both = |a: String, b: String, shape: PairShape| {
        pairs.push(Directed {
            from: a.clone(),
            to: b.clone(),
            shape,
        });
        pairs.push(Directed {
            from: b,
            to: a,
            shape,
        });
    };
    for (a, b, shape) in &fabric.wan.pairs {
        both(a.clone(), b.clone(), *shape);
    }
    for (a, b, shape) in &fabric.inner.pairs {
        both(inner_name(a), inner_name(b), *shape);
    }
    let default = |name: &str, shapes: &Shapes| (name.to_owned(), shapes.default);
    LineConfig {
        // Any seed will do; a fixed one makes loss and jitter repeat.
        seed: 1,
        ports: Vec::new(),
        default: BTreeMap::from([default(WAN, &fabric.wan), default(INNER, &fabric.inner)]),
        pairs,
    }
}

fn wan_port(name: &str, fabric: &Fabric) -> PortConfig {
    PortConfig {
        name: name.to_owned(),
        segment: WAN.to_owned(),
        interface: String::new(),
        access: fabric.wan.access.get(name).copied(),
        kind: PortKind::Plain,
    }
}

fn inner_port(name: String, kind: PortKind) -> PortConfig {
    PortConfig {
        name,
        segment: INNER.to_owned(),
        interface: String::new(),
        access: None,
        kind,
    }
}

/// Ports of the delay line as they are plugged in.
struct Ports<'a> {
    core: &'a Namespace,
    line: LineConfig,
}

impl Ports<'_> {
    /// Lays a cable from the core to `site`, where its end is called `name`.
    fn plug(&mut self, site: &Namespace, name: &str, mac: Mac, mut port: PortConfig) -> Result<(), LabError> {
        let number = self.line.ports.len();
        port.interface = format!("port{number}");
        let core_end = VethEnd {
            name: port.interface.clone(),
            mac: numbered(2, number),
            mtu: MTU,
        };
        let site_end = VethEnd {
            name: name.to_owned(),
            mac,
            mtu: MTU,
        };
        self.core.cable(core_end, site, site_end)?;
        let (interface, failed) = (name.to_owned(), format!("{name} of {}", site.name()));
        site.run(move || raw::offloads_off(&interface))?
            .map_err(|source| LabError::Offloads {
                interface: failed,
                source,
            })?;
        self.line.ports.push(port);
        Ok(())
    }
}

fn user_host(name: &UserName, prefix: EidPrefix, xtr: &Namespace) -> Result<Namespace, NamespaceError> {
    let host = Namespace::new(&format!("{name}-host"))?;
    quiet(&host)?;
    let mac = numbered(4, 1);
    let end = |name: &str, mac| VethEnd {
        name: name.to_owned(),
        mac,
        mtu: MTU,
    };
    xtr.cable(end("eid0", GATEWAY), &host, end("eth0", mac))?;
    let eid = host_address(&prefix);
    xtr.links(move |links| {
        be_gateway(links, "eid0")?;
        links.route((prefix.address(), prefix.length()), "eid0", None)?;
        links.neighbour("eid0", eid, mac)
    })?;
    host.links(move |links| behind_gateway(links, eid))?;
    Ok(host)
}

/// The address on the wide network: everybody is on the same Ethernet segment, whatever the prefixes are.
fn join_wan(links: &mut Links, own: IpAddr, peers: &[(IpAddr, Mac)]) -> Result<(), NetlinkError> {
    links.address("wan0", own, wan_length(own))?;
    peers
        .iter()
        .filter(|(peer, _)| peer.is_ipv4() == own.is_ipv4())
        .try_for_each(|(peer, mac)| {
            links.route((*peer, full(*peer)), "wan0", None)?;
            links.neighbour("wan0", *peer, *mac)
        })
}

fn wan_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 16 } else { 64 }
}

/// The gateway's addresses: link-local, so that they never collide with an EID.
pub(crate) fn be_gateway(links: &mut Links, interface: &str) -> Result<(), NetlinkError> {
    gateways()
        .into_iter()
        .try_for_each(|gateway| links.address(interface, gateway, full(gateway)))
}

/// The address `eid` on `eth0`, and everything else through the gateway.
pub(crate) fn behind_gateway(links: &mut Links, eid: IpAddr) -> Result<(), NetlinkError> {
    links.address("eth0", eid, full(eid))?;
    for gateway in gateways()
        .into_iter()
        .filter(|gateway| gateway.is_ipv4() == eid.is_ipv4())
    {
        links.route((gateway, full(gateway)), "eth0", None)?;
        links.neighbour("eth0", gateway, GATEWAY)?;
        let anywhere = if eid.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        links.route((anywhere, 0), "eth0", Some(gateway))?;
    }
    Ok(())
}

fn gateways() -> Vec<IpAddr> {
    let mut gateways: Vec<IpAddr> = vec![Ipv4Addr::new(169, 254, 1, 1).into()];
    if kernel_has_ipv6() {
        gateways.push(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).into());
    }
    gateways
}

fn kernel_has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6").exists()
}

/// No router discovery, no duplicate address detection, no check of the way back: a lab's routes are written.
pub(crate) fn quiet(namespace: &Namespace) -> Result<(), NamespaceError> {
    for which in ["all", "default"] {
        namespace.sysctl(&format!("ipv4/conf/{which}/rp_filter"), "0")?;
        for key in ["accept_ra", "accept_dad", "router_solicitations"]
            .iter()
            .filter(|_| kernel_has_ipv6())
        {
            namespace.sysctl(&format!("ipv6/conf/{which}/{key}"), "0")?;
        }
    }
    Ok(())
}

/// Hands packets on between its interfaces.
pub(crate) fn forwards(namespace: &Namespace) -> Result<(), NamespaceError> {
    namespace.sysctl("ipv4/ip_forward", "1")?;
    if kernel_has_ipv6() {
        namespace.sysctl("ipv6/conf/all/forwarding", "1")?;
    }
    namespace.sysctl("ipv4/conf/all/send_redirects", "0")?;
    namespace.sysctl("ipv4/conf/default/send_redirects", "0")
}

pub(crate) fn full(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn wan_mac(number: usize) -> Mac {
    numbered(1, number)
}

fn vm_mac(number: usize) -> Mac {
    numbered(3, number)
}

/// A locally administered address: kind of port, number.
pub(crate) fn numbered(kind: u8, number: usize) -> Mac {
    let [high, low] = u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
    Mac([0x02, 0, 0, kind, high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_the_tenth_or_the_last_of_its_block() {
        let hosts = [
            ("10.2.1.0/24", "10.2.1.10"),
            ("10.2.1.0/29", "10.2.1.7"),
            ("10.1.0.7/32", "10.1.0.7"),
            ("0.0.0.0/0", "0.0.0.10"),
            ("2001:db8::/64", "2001:db8::a"),
            ("2001:db8::7/128", "2001:db8::7"),
        ];
        for (prefix, host) in hosts {
            assert_eq!(
                host_address(&prefix.parse().unwrap()),
                host.parse::<IpAddr>().unwrap()
            );
        }
    }
}

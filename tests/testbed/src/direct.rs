//! Two sites on a plain cable, for benches: host - xTR a = xTR b - host, with all offloads on and no delay line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lisp_wire::{Eid, EidPrefix, Rloc};
use proto::UserName;

use crate::fabric::{Fabric, Shapes, User};
use crate::lab::run_dir::{self, RunDir};
use crate::lab::wiring::{MTU, be_gateway, behind_gateway, forwards, full, numbered, quiet};
use crate::lab::{Conduct, LabError, Node, Nodes};
use crate::line::config::GATEWAY;
use crate::namespace::{Namespace, NamespaceError, VethEnd};

/// How long forwarders may take to answer and to register.
const PATIENCE: Duration = Duration::from_secs(10);

/// One side.
#[derive(Debug)]
pub struct Side {
    /// The host behind the xTR; its interface is `eth0`.
    pub host: Namespace,
    /// The xTR: interfaces `eid0` (towards the host) and `wan0`.
    pub xtr: Namespace,
    /// The host's address.
    pub eid: IpAddr,
    /// The xTR's locator, on `wan0`.
    pub rloc: IpAddr,
}

/// Host, xTR, xTR, host. Whatever is to carry packets between the xTRs is started by the caller, or by
/// [`Direct::start_forwarders`].
#[derive(Debug)]
pub struct Direct {
    /// Host 10.9.1.10, xTR 172.31.0.1.
    pub a: Side,
    /// Host 10.9.2.10, xTR 172.31.0.2.
    pub b: Side,
}

impl Direct {
    /// Lays the cables; both xTRs forward, and nothing routes between the hosts yet.
    pub fn start() -> Result<Self, LabError> {
        let (a, b) = (side("a", 1)?, side("b", 2)?);
        a.xtr.cable(end("wan0", 1), &b.xtr, end("wan0", 2))?;
        for (own, peer, number) in [(&a, &b, 2), (&b, &a, 1)] {
            let (rloc, other) = (own.rloc, peer.rloc);
            own.xtr.links(move |links| {
                links.address("wan0", rloc, 24)?;
                links.neighbour("wan0", other, numbered(1, number))
            })?;
        }
        Ok(Self { a, b })
    }

    /// Routes between the hosts over the cable itself, without any tunnel: the fastest that the machine can do.
    pub fn route_plainly(&self) -> Result<(), LabError> {
        for (own, peer) in [(&self.a, &self.b), (&self.b, &self.a)] {
            let (eid, rloc) = (peer.eid, peer.rloc);
            own.xtr
                .links(move |links| links.route((eid, full(eid)), "wan0", Some(rloc)))?;
        }
        Ok(())
    }

    /// Runs our forwarder (`command`, to which `--config FILE --die-with-parent` is added) in both xTRs, and a Map-Server
    /// beside side b's, until the handle is dropped. Returns when all answer and are registered.
    pub fn start_forwarders(
        &self,
        command: impl IntoIterator<Item = OsString>,
    ) -> Result<Forwarders, LabError> {
        let map_server = Namespace::new("map-server")?;
        quiet(&map_server)?;
        let name = |name: &str| {
            UserName::new(name).map_err(|_| LabError::Unknown {
                name: name.to_owned(),
            })
        };
        let address = Ipv4Addr::new(172, 31, 1, 1);
        let user = |side: &Side| User {
            rloc: Rloc(side.rloc),
            eid: EidPrefix::host(Eid::of(side.eid)),
        };
        let fabric = Fabric {
            name: "direct".to_owned(),
            sites: BTreeMap::new(),
            users: [(name("a")?, user(&self.a)), (name("b")?, user(&self.b))].into(),
            vms: BTreeMap::new(),
            map_server: Rloc(address.into()),
            wan: Shapes::default(),
            inner: Shapes::default(),
        };
        // The Map-Server hangs on side b's xTR, which routes: nothing but the xTRs is on the cable that is measured.
        self.b.xtr.cable(end("ms0", 3), &map_server, end("wan0", 4))?;
        let (a, b) = (self.a.rloc, self.b.rloc);
        map_server.links(move |links| {
            links.address("wan0", address.into(), 32)?;
            links.route((b, 32), "wan0", None)?;
            links.neighbour("wan0", b, numbered(1, 3))?;
            links.route((a, 32), "wan0", Some(b))
        })?;
        self.b.xtr.links(move |links| {
            links.route((address.into(), 32), "ms0", None)?;
            links.neighbour("ms0", address.into(), numbered(1, 4))
        })?;
        self.a
            .xtr
            .links(move |links| links.route((address.into(), 32), "wan0", Some(b)))?;
        let names = [Node::User(name("a")?), Node::User(name("b")?), Node::MapServer];
        let spaces = names.iter().zip([&self.a.xtr, &self.b.xtr, &map_server]);
        let command: Vec<OsString> = command.into_iter().collect();
        let dir = RunDir::create(&run_dir::base())?;
        let mut nodes = Nodes::start(&fabric, &command, spaces, (&dir, Conduct::default()))?;
        nodes.wait(PATIENCE, &mut |_, _| {})?;
        nodes.wait_until_registered(&fabric, PATIENCE)?;
        Ok(Forwarders {
            nodes,
            _map_server: map_server,
            dir,
        })
    }
}

/// Our forwarders between the sides of a [`Direct`]; dropped, they end.
#[derive(Debug)]
pub struct Forwarders {
    // Dropped in this order: processes, the namespace one of them is in, their files.
    nodes: Nodes,
    _map_server: Namespace,
    dir: RunDir,
}

impl Forwarders {
    /// Control sockets: users `a` and `b`, and the Map-Server.
    pub fn controls(&self) -> BTreeMap<Node, PathBuf> {
        self.nodes
            .controls()
            .map(|(node, socket)| (node.clone(), socket))
            .collect()
    }

    /// Process ids, for measuring their CPU time.
    pub fn pids(&self) -> BTreeMap<Node, u32> {
        self.nodes.pids().map(|(node, pid)| (node.clone(), pid)).collect()
    }

    /// Where their configurations and logs are, while they run.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }
}

fn side(name: &str, number: u8) -> Result<Side, NamespaceError> {
    let (host, xtr) = (Namespace::new(&format!("{name}-host"))?, Namespace::new(name)?);
    quiet(&host)?;
    quiet(&xtr)?;
    forwards(&xtr)?;
    let mac = numbered(4, number.into());
    let near = VethEnd {
        name: "eid0".to_owned(),
        mac: GATEWAY,
        mtu: MTU,
    };
    xtr.cable(
        near,
        &host,
        VethEnd {
            name: "eth0".to_owned(),
            mac,
            mtu: MTU,
        },
    )?;
    let eid: IpAddr = Ipv4Addr::new(10, 9, number, 10).into();
    xtr.links(move |links| {
        be_gateway(links, "eid0")?;
        links.route((eid, full(eid)), "eid0", None)?;
        links.neighbour("eid0", eid, mac)
    })?;
    host.links(move |links| behind_gateway(links, eid))?;
    Ok(Side {
        host,
        xtr,
        eid,
        rloc: Ipv4Addr::new(172, 31, 0, number).into(),
    })
}

fn end(name: &str, number: usize) -> VethEnd {
    VethEnd {
        name: name.to_owned(),
        mac: numbered(1, number),
        mtu: MTU,
    }
}

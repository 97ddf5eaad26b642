//! Each forwarder's configuration file, with keys drawn for this lab alone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

use lisp_wire::EidPrefix;
use proto::SiteName;
use serde::Serialize;

use super::wiring::MTU;
use super::{Conduct, Node, TellBy, UserLocators};
use crate::fabric::Fabric;

/// The key that clients are told under, held by all xTRs.
const CHANGE: &str = "change-priority";
/// The key that moves EIDs, held by the data centres alone.
const MOVE: &str = "move";
/// The key of publications, held by the Map-Server and all xTRs.
const PUBLISH: &str = "publish";

#[derive(Debug, Serialize)]
struct NodeFile {
    name: String,
    rlocs: Vec<Uplink>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tun: Option<Tun>,
    roles: Vec<&'static str>,
    map_resolvers: Vec<Resolver>,
    map_servers: Vec<MapServer>,
    keys: BTreeMap<String, Key>,
    eids: Vec<Eid>,
    sites: Vec<Site>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pubsub: Option<PubSub>,
    change_priority: ChangePriority,
    control: Control,
    state_dir: String,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Resolver {
    Asked(IpAddr),
    SubscribedAt {
        address: IpAddr,
        subscribe: bool,
        key: &'static str,
    },
}

#[derive(Debug, Serialize)]
struct PubSub {
    key: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Uplink {
    Fixed(Locator),
    /// Whatever addresses the interface has: a user's router may roam.
    Interface {
        interface: &'static str,
    },
}

impl Uplink {
    const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Fixed(locator) => Some(locator.address),
            Self::Interface { .. } => None,
        }
    }
}

#[derive(Debug, Serialize)]
struct Locator {
    address: IpAddr,
    priority: u8,
    weight: u8,
}

#[derive(Debug, Serialize)]
struct Tun {
    name: &'static str,
    uplink_mtu: u32,
    routes: Vec<EidPrefix>,
}

#[derive(Debug, Serialize)]
struct MapServer {
    address: IpAddr,
    key: String,
    /// Whether the Map-Server answers for us, as it must where it is to tell others of changes.
    proxy_reply: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Key {
    id: u8,
    algorithm: &'static str,
    secret: String,
}

#[derive(Debug, Serialize)]
struct Eid {
    prefix: EidPrefix,
    locators: Vec<Locator>,
    register: bool,
}

#[derive(Debug, Serialize)]
struct Site {
    prefix: EidPrefix,
    keys: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct ChangePriority {
    keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    move_keys: Vec<String>,
    scopes: BTreeMap<String, Vec<EidPrefix>>,
    group: Vec<IpAddr>,
    #[serde(skip_serializing_if = "str::is_empty")]
    tell_by: &'static str,
}

#[derive(Debug, Serialize)]
struct Control {
    socket: String,
}

/// What the nodes of a lab share: keys, and how they use them.
pub(super) struct Keys {
    conduct: Conduct,
    change: Key,
    moves: Key,
    publish: Key,
    registration: BTreeMap<Node, Key>,
}

impl Keys {
    /// Draws all keys anew.
    pub(super) fn draw(fabric: &Fabric, conduct: Conduct) -> Result<Self, NodeFileError> {
        let mut registration = BTreeMap::new();
        for (number, site) in fabric.sites.keys().enumerate() {
            // All data centres may register a VM, so their keys must differ in their ids.
            let id = u8::try_from(number + 1).map_err(|_| NodeFileError::Sites {
                count: fabric.sites.len(),
            })?;
            registration.insert(Node::Site(site.clone()), key(id)?);
        }
        for user in fabric.users.keys() {
            registration.insert(Node::User(user.clone()), key(1)?);
        }
        Ok(Self {
            conduct,
            change: key(1)?,
            moves: key(2)?,
            publish: key(1)?,
            registration,
        })
    }

    fn of(&self, node: &Node) -> Option<(String, Key)> {
        self.registration
            .get(node)
            .map(|key| (registration_name(node), key.clone()))
    }
}

/// The text of a node's configuration file. The control socket is `socket`; the node keeps its state in `state`.
pub(super) fn text(
    fabric: &Fabric,
    keys: &Keys,
    node: &Node,
    (socket, state): (&Path, &Path),
) -> Result<String, NodeFileError> {
    let (rloc, tun, eids) = match node {
        Node::Site(site) => {
            let rloc = fabric.sites.get(site).map(|rloc| rloc.0);
            let routes = fabric.users.values().map(|user| user.eid).collect();
            let eids = fabric.vms.values().map(|vm| Eid {
                prefix: vm.eid,
                locators: locators(fabric, &vm.home),
                register: vm.home == *site,
            });
            (rloc, Some(routes), eids.collect())
        }
        Node::User(name) => {
            let user = fabric.users.get(name);
            let others = fabric
                .users
                .iter()
                .filter(|(other, _)| *other != name)
                .map(|(_, user)| user.eid);
            let routes = fabric.vms.values().map(|vm| vm.eid).chain(others).collect();
            let own = user.map(|user| Eid {
                prefix: user.eid,
                locators: Vec::new(),
                register: true,
            });
            (
                user.map(|user| user.rloc.0),
                Some(routes),
                own.into_iter().collect(),
            )
        }
        Node::MapServer => (Some(fabric.map_server.0), None, Vec::new()),
    };
    let rloc = rloc.ok_or_else(|| NodeFileError::Unknown {
        node: node.to_string(),
    })?;
    let carries = tun.is_some();
    let mut file = NodeFile {
        name: node.to_string(),
        rlocs: vec![match (node, keys.conduct.user_locators) {
            (Node::User(_), UserLocators::Interface) => Uplink::Interface { interface: "wan0" },
            _ => Uplink::Fixed(Locator {
                address: rloc,
                priority: 1,
                weight: 100,
            }),
        }],
        tun: tun.map(|routes| Tun {
            name: "lisp0",
            uplink_mtu: MTU,
            routes,
        }),
        roles: if carries {
            vec!["itr", "etr"]
        } else {
            vec!["map-server", "map-resolver"]
        },
        map_resolvers: Vec::new(),
        map_servers: Vec::new(),
        keys: BTreeMap::new(),
        eids,
        sites: Vec::new(),
        pubsub: None,
        change_priority: ChangePriority::default(),
        control: Control {
            socket: socket.display().to_string(),
        },
        state_dir: state.display().to_string(),
    };
    if carries {
        may_ask_and_register(&mut file, fabric, keys, node);
    } else {
        takes_registrations(&mut file, fabric, keys);
    }
    serde_yaml::to_string(&file).map_err(|source| NodeFileError::Yaml {
        node: node.to_string(),
        source,
    })
}

fn may_ask_and_register(file: &mut NodeFile, fabric: &Fabric, keys: &Keys, node: &Node) {
    let map_server = fabric.map_server.0;
    let subscribes = keys.conduct.tell_by == TellBy::PubSub;
    if subscribes {
        file.keys.insert(PUBLISH.to_owned(), keys.publish.clone());
        file.map_resolvers.push(Resolver::SubscribedAt {
            address: map_server,
            subscribe: true,
            key: PUBLISH,
        });
    } else {
        file.map_resolvers.push(Resolver::Asked(map_server));
    }
    if let Some((name, key)) = keys.of(node) {
        file.map_servers.push(MapServer {
            address: map_server,
            key: name.clone(),
            proxy_reply: subscribes,
        });
        file.keys.insert(name, key);
    }
    file.change_priority = change_priority(file, fabric, keys, node);
}

fn change_priority(file: &mut NodeFile, fabric: &Fabric, keys: &Keys, node: &Node) -> ChangePriority {
    // Nobody may speak for a user's EIDs but the user's own xTR, by registering them.
    let vms: Vec<EidPrefix> = fabric.vms.values().map(|vm| vm.eid).collect();
    file.keys.insert(CHANGE.to_owned(), keys.change.clone());
    let mut settings = ChangePriority {
        keys: vec![CHANGE.to_owned()],
        scopes: BTreeMap::from([(CHANGE.to_owned(), vms.clone())]),
        tell_by: match keys.conduct.tell_by {
            TellBy::Best => "",
            // Where the Map-Server answers for an xTR nobody asks the xTR itself, and it knows nobody to tell.
            TellBy::ChangePriority | TellBy::PubSub => "change-priority",
            TellBy::Smr => "smr",
        },
        ..ChangePriority::default()
    };
    if let Node::Site(_) = node {
        let own: Vec<IpAddr> = file.rlocs.iter().filter_map(Uplink::address).collect();
        let others = fabric.sites.values().map(|rloc| rloc.0);
        settings.group = others.filter(|rloc| !own.contains(rloc)).collect();
        file.keys.insert(MOVE.to_owned(), keys.moves.clone());
        settings.move_keys.push(MOVE.to_owned());
        settings.scopes.insert(MOVE.to_owned(), vms);
    }
    settings
}

fn takes_registrations(file: &mut NodeFile, fabric: &Fabric, keys: &Keys) {
    if keys.conduct.tell_by == TellBy::PubSub {
        file.keys.insert(PUBLISH.to_owned(), keys.publish.clone());
        file.pubsub = Some(PubSub { key: PUBLISH });
    }
    let centres: Vec<Node> = fabric.sites.keys().cloned().map(Node::Site).collect();
    let vms = fabric.vms.values().map(|vm| (vm.eid, centres.clone()));
    let users = fabric
        .users
        .iter()
        .map(|(name, user)| (user.eid, vec![Node::User(name.clone())]));
    for (prefix, nodes) in vms.chain(users) {
        file.sites.push(Site {
            prefix,
            keys: nodes.iter().map(registration_name).collect(),
        });
    }
    for node in centres
        .into_iter()
        .chain(fabric.users.keys().cloned().map(Node::User))
    {
        file.keys.extend(keys.of(&node));
    }
}

/// All data centres' locators: the home of the VM first, the others behind it in the order of their names.
fn locators(fabric: &Fabric, home: &SiteName) -> Vec<Locator> {
    let locator = |(address, priority)| Locator {
        address,
        priority,
        weight: 100,
    };
    let first = fabric.sites.get(home).map(|rloc| rloc.0);
    let others = fabric
        .sites
        .iter()
        .filter(|(site, _)| *site != home)
        .map(|(_, rloc)| rloc.0);
    first
        .into_iter()
        .chain(others)
        .zip(1..=254)
        .map(locator)
        .collect()
}

fn registration_name(node: &Node) -> String {
    format!("register-{node}")
}

fn key(id: u8) -> Result<Key, NodeFileError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| NodeFileError::Random {
        why: error.to_string(),
    })?;
    let secret = secret.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    Ok(Key {
        id,
        algorithm: "hmac-sha256",
        secret,
    })
}

/// A configuration that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum NodeFileError {
    /// Keys are numbered in eight bits.
    #[error("a lab has at most 255 data centres, not {count}")]
    Sites {
        /// How many there are.
        count: usize,
    },
    /// A node that the fabric has not.
    #[error("the fabric has no '{node}'")]
    Unknown {
        /// Which.
        node: String,
    },
    /// No randomness.
    #[error("the kernel gives no random numbers: {why}")]
    Random {
        /// Why.
        why: String,
    },
    /// Not to be written as YAML.
    #[error("cannot write the configuration of '{node}': {source}")]
    Yaml {
        /// Whose.
        node: String,
        /// Why.
        source: serde_yaml::Error,
    },
}

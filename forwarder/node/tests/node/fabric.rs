//! The thesis's first test bed: three data centres that serve one VM, users, a Map-Server that is the Map-Resolver too.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lisp_wire::message::{SiteId, XtrId};
use lisp_wire::{Algorithm, EidPrefix, Key, Locator, Priority, Rloc, Ttl, Weight};
use node::Config;
use node::config::{
    AnsweredFor, ChangePriority, DataHeader, MapServer, NatRouters, NonceRule, OwnEid, OwnRloc, Probing,
    PubSub, Quota, Role, Scope, ScopedKey, Site,
};
use proto::node::Tell;
use proto::{Audience, ChangeId, NodeCommand, SiteName, Span};

use crate::network::Network;

pub(crate) const VM: &str = "10.1.0.7";
pub(crate) const VM_BLOCK: &str = "10.1.0.7/32";
pub(crate) const SITE_SECRET: &[u8] = b"one key a site";
/// Held by the users too, which are told under it.
pub(crate) const CP_SECRET: &[u8] = b"the data centres' own";
/// Held by the data centres alone.
pub(crate) const MOVE_SECRET: &[u8] = b"never seen by a user";

pub(crate) fn rloc(text: &str) -> Rloc {
    Rloc(text.parse().unwrap())
}

pub(crate) fn prefix(text: &str) -> EidPrefix {
    text.parse().unwrap()
}

pub(crate) fn key(secret: &[u8]) -> Key {
    Key::new(1, Algorithm::HmacSha256, secret).unwrap()
}

pub(crate) fn move_key() -> Key {
    Key::new(7, Algorithm::HmacSha256, MOVE_SECRET).unwrap()
}

/// The VMs', which the data centres may speak for.
pub(crate) fn of_vms(key: Key) -> ScopedKey {
    ScopedKey {
        key,
        scope: Scope::Within(vec![prefix("10.1.0.0/16")]),
    }
}

pub(crate) fn telco() -> Rloc {
    rloc("172.16.0.1")
}

pub(crate) fn marilyn() -> Rloc {
    rloc("172.16.0.2")
}

pub(crate) fn lip6() -> Rloc {
    rloc("172.16.0.3")
}

pub(crate) fn paris() -> Rloc {
    rloc("172.16.1.1")
}

pub(crate) fn lyon() -> Rloc {
    rloc("172.16.1.2")
}

pub(crate) fn server() -> Rloc {
    rloc("172.16.9.1")
}

/// Locators with priorities 1, 2, 3 and so on.
pub(crate) fn ranked(rlocs: &[Rloc]) -> Vec<Locator> {
    (1..)
        .zip(rlocs)
        .map(|(rank, rloc)| Locator::unicast(*rloc, Priority(rank), Weight(100)))
        .collect()
}

/// A node without any role.
pub(crate) fn bare(name: &str, own: Rloc) -> Config {
    let IpAddr::V4(v4) = own.0 else {
        panic!("the fabric is IPv4")
    };
    Config {
        name: SiteName::new(name).unwrap(),
        xtr_id: XtrId(u128::from(u32::from(v4))),
        site_id: SiteId(0),
        rlocs: vec![OwnRloc {
            rloc: own,
            priority: Priority(1),
            weight: Weight(100),
        }],
        roles: BTreeSet::new(),
        map_resolvers: vec![server()],
        map_servers: Vec::new(),
        register_every: Span::secs(60),
        subscribe_every: Span::secs(180),
        eids: Vec::new(),
        sites: Vec::new(),
        authority: Vec::new(),
        delegations: Vec::new(),
        ddt_roots: Vec::new(),
        nat_rtrs: Vec::new(),
        nat: NatRouters::default(),
        answers_per_second: 1000,
        pubsub: PubSub::default(),
        subscribe: BTreeMap::new(),
        change_priority: ChangePriority {
            keys: vec![of_vms(key(CP_SECRET))],
            ..ChangePriority::default()
        },
        probing: Probing::default(),
        data_header: DataHeader::default(),
    }
}

pub(crate) fn map_server() -> Config {
    let site = |text| Site {
        prefix: prefix(text),
        keys: vec![key(SITE_SECRET)],
        accept_more_specifics: true,
        nonces: NonceRule::Growing,
        pubsub: None,
        answered_for: AnsweredFor::Everyone,
        quota: Quota::default(),
    };
    Config {
        roles: [Role::MapServer, Role::MapResolver].into(),
        sites: vec![site("10.1.0.0/16"), site("10.2.1.0/24"), site("10.2.2.0/24")],
        ..bare("server", server())
    }
}

fn xtr(name: &str, own: Rloc) -> Config {
    Config {
        roles: [Role::Itr, Role::Etr].into(),
        map_servers: vec![MapServer {
            address: server(),
            keys: key(SITE_SECRET).into(),
            proxy_reply: false,
            merge: false,
            behind_nat: false,
        }],
        ..bare(name, own)
    }
}

/// A user's xTR.
pub(crate) fn user(name: &str, own: Rloc, block: &str) -> Config {
    let eid = OwnEid {
        prefix: prefix(block),
        ttl: Ttl(60),
        locators: Vec::new(),
        register: true,
        map_version: lisp_wire::data_header::MapVersion::NONE,
    };
    Config {
        eids: vec![eid],
        ..xtr(name, own)
    }
}

/// A data centre's xTR; the VM lives at the first of the ranked ones.
pub(crate) fn site(name: &str, own: Rloc) -> Config {
    let locators = ranked(&[telco(), marilyn(), lip6()]);
    let eid = OwnEid {
        prefix: prefix(VM_BLOCK),
        ttl: Ttl(10),
        locators,
        register: own == telco(),
        map_version: lisp_wire::data_header::MapVersion::NONE,
    };
    let mut config = Config {
        eids: vec![eid],
        ..xtr(name, own)
    };
    config.change_priority.group = vec![telco(), marilyn(), lip6()];
    config.change_priority.move_keys = vec![of_vms(move_key())];
    config
}

/// Indices of the members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fabric {
    pub(crate) server: usize,
    pub(crate) telco: usize,
    pub(crate) marilyn: usize,
    pub(crate) lip6: usize,
    pub(crate) paris: usize,
    pub(crate) lyon: usize,
}

/// The whole fabric, registered.
pub(crate) fn fabric() -> (Network, Fabric) {
    fabric_with(|config| config)
}

/// The whole fabric, each node's configuration changed.
pub(crate) fn fabric_with(change: impl Fn(Config) -> Config) -> (Network, Fabric) {
    let mut net = Network::new();
    let members = Fabric {
        server: net.add(change(map_server())),
        telco: net.add(change(site("telco", telco()))),
        marilyn: net.add(change(site("marilyn", marilyn()))),
        lip6: net.add(change(site("lip6", lip6()))),
        paris: net.add(change(user("paris", paris(), "10.2.1.0/24"))),
        lyon: net.add(change(user("lyon", lyon(), "10.2.2.0/24"))),
    };
    for index in [members.telco, members.marilyn, members.lip6] {
        net.command(index, subscribe());
    }
    net.run_for(Span::millis(100));
    (net, members)
}

/// A host of Telco in [`fabric_of_hosts`].
pub(crate) fn host(number: u32) -> String {
    format!("10.1.1.{number}")
}

/// The whole fabric, with so many hosts at Telco, each an EID of its own, in place of the VM. Paris speaks to all of them.
pub(crate) fn fabric_of_hosts(count: u32) -> (Network, Fabric) {
    let (mut net, at) = fabric_with(|mut config| {
        if let Some(eid) = config.eids.pop_if(|_| config.name.as_str() == "telco") {
            let each = |number| OwnEid {
                prefix: prefix(&format!("{}/32", host(number))),
                ..eid.clone()
            };
            config.eids = (1..=count).map(each).collect();
        }
        config
    });
    net.run_for(Span::secs(5));
    for number in 1..=count {
        net.miss(at.paris, &host(number));
        net.run_for(Span::millis(100));
    }
    net.run_for(Span::secs(5));
    (net, at)
}

/// "Tell of probes and events", as engines asked before EIDs were named with it.
pub(crate) fn subscribe() -> NodeCommand {
    let residents = Vec::new();
    NodeCommand::Subscribe { residents }
}

/// "Tell this client that the VM is entered by these, the first of them before all."
pub(crate) fn switch(change: u64, client: Rloc, order: &[Rloc]) -> NodeCommand {
    NodeCommand::SetLocators {
        change: ChangeId(change),
        eid: prefix(VM_BLOCK),
        audience: Audience::Client { rloc: client },
        locators: ranked(order),
        tell: Tell::ChangePriority,
    }
}

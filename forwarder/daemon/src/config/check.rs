//! From what is written to what is meant.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use datapath::{EidSet, Relay};
use lisp_wire::data_header::MapVersion;
use lisp_wire::message::{SiteId, XtrId};
use lisp_wire::{Hop, InstanceId, Locator, Path as LocatorPath, Priority, Rloc, Ttl, Weight};
use node::config::{
    AnsweredFor, ChangePriority, DelegatedTo, Delegation, KeyRing, Legacy, MapServer, NatRouters, NonceRule,
    OwnEid, OwnRloc, Probing, PubSub, Quota, Role, Scope, ScopedKey, Site, TellBy,
};

use super::error::Problem;
use super::keys::Keys;
use super::move_keys;
use super::raw::{
    KeyedRtr, RawAnsweredFor, RawChangePriority, RawConfig, RawDdt, RawDelegation, RawEid, RawLocator,
    RawNatRtr, RawNonces, RawPubSub, RawResolver, RawRole, RawRtr, RawSite, RawTellBy, RawTun, RawTuns,
};
use super::{Config, ControlConfig, LEAST_UPLINK_MTU, RoamingRloc, TunConfig};

pub(super) fn checked(mut raw: RawConfig, base: &Path) -> Result<Config, Problem> {
    let keys = Keys::read(std::mem::take(&mut raw.keys), base)?;
    move_keys::apart(&raw, &keys)?;
    let (rlocs, roaming) = own_rlocs(&raw.rlocs)?;
    let carries = raw
        .roles
        .iter()
        .any(|role| matches!(role, RawRole::Itr | RawRole::Etr));
    if raw.roles.is_empty() {
        return Err(Problem::new(
            "roles",
            "say at least one of itr, etr, map-server, map-resolver, rtr",
        ));
    }
    let tuns = tuns(raw.tun)?;
    if carries && tuns.is_empty() {
        return Err(Problem::new(
            "tun",
            "roles itr and etr carry packets of a site and need tun: { name: lisp0 }",
        ));
    }
    let homeless = |eid: &RawEid| carries && !tuns.iter().any(|tun| tun.iid == eid.prefix.iid());
    if let Some((at, eid)) = raw.eids.iter().enumerate().find(|(_, eid)| homeless(eid)) {
        let what = format!("tenant {} has no interface under tun", eid.prefix.iid().get());
        return Err(Problem::new(format!("eids[{at}].prefix"), what));
    }
    let map_servers = raw.map_servers.iter().enumerate().map(|(at, server)| {
        let keys = keys.ring(&server.key, || format!("map_servers[{at}].key"))?;
        Ok(MapServer {
            address: Rloc(server.address),
            keys,
            proxy_reply: server.proxy_reply,
            merge: server.merge,
            behind_nat: server.behind_nat,
        })
    });
    let map_servers = map_servers.collect::<Result<_, Problem>>()?;
    let xtr_id = raw
        .xtr_id
        .map_or_else(|| derived_id(raw.name.as_str(), &rlocs), |number| XtrId(number.0));
    let node = node::Config {
        xtr_id,
        site_id: SiteId(raw.site_id),
        roles: raw.roles.iter().copied().map(role).collect(),
        map_resolvers: raw
            .map_resolvers
            .iter()
            .map(|resolver| Rloc(resolver.address))
            .collect(),
        subscribe: subscribe(&raw.map_resolvers, &keys)?,
        delegations: delegations(&raw.ddt)?,
        authority: raw.ddt.authority,
        ddt_roots: raw.ddt.roots.into_iter().map(Rloc).collect(),
        nat_rtrs: nat_rtrs(&raw.nat_rtrs)?,
        nat: nat(&raw.nat_rtrs, raw.rtr.as_ref(), &keys)?,
        answers_per_second: raw.answers_per_second,
        pubsub: pubsub(&raw.pubsub, &keys)?,
        map_servers,
        register_every: raw.register_every.0,
        subscribe_every: raw.subscribe_every.0,
        eids: eids(&raw.eids, raw.state_dir.as_deref())?,
        sites: sites(&raw.sites, &keys)?,
        change_priority: change_priority(&raw.change_priority, &keys)?,
        probing: Probing {
            cache_interval: raw.probing.cache_interval.0,
            timeout: raw.probing.timeout.0,
            down_after: raw.probing.down_after,
        },
        data_header: raw.data_header.checked()?,
        name: raw.name,
        rlocs,
    };
    node.check().map_err(|error| {
        let text = error.to_string();
        let (field, what) = text.split_once(": ").unwrap_or(("", &text));
        Problem::new(field, what)
    })?;
    let control = raw.control.map(|control| ControlConfig {
        socket: base.join(control.socket),
        allow_uids: control
            .allow_uids
            .unwrap_or_else(|| vec![0, nix::unistd::geteuid().as_raw()]),
    });
    let relay = relay(&raw.roles, raw.rtr)?;
    Ok(Config {
        node,
        roaming,
        tuns,
        relay,
        control,
        state_dir: raw.state_dir.map(|path| base.join(path)),
        path: PathBuf::new(),
    })
}

/// Locators that are fixed, or interfaces whose addresses they are; with those goes a stand-in.
fn own_rlocs(raw: &[RawLocator]) -> Result<(Vec<OwnRloc>, Vec<RoamingRloc>), Problem> {
    let (mut rlocs, mut roaming) = (Vec::new(), Vec::new());
    for (at, locator) in raw.iter().enumerate() {
        let refuse = |name: &str, what: &str| Err(Problem::new(format!("rlocs[{at}]{name}"), what));
        let (priority, weight) = (Priority(locator.priority), Weight(locator.weight));
        match (locator.address, &locator.interface) {
            (Some(address), None) if unicast(address) => rlocs.push(OwnRloc {
                rloc: Rloc(address),
                priority,
                weight,
            }),
            (Some(_), None) => {
                let what = "an address of this host is needed, not a wildcard, loopback or multicast one";
                return refuse(".address", what);
            }
            (None, Some(name)) if is_interface_name(name) => roaming.push(RoamingRloc {
                name: name.clone(),
                priority,
                weight,
            }),
            (None, Some(_)) => return refuse(".interface", INTERFACE_NAME),
            (Some(_), Some(_)) | (None, None) => {
                return refuse("", "give either an address or the interface that has it");
            }
        }
    }
    if !roaming.is_empty() {
        if !rlocs.is_empty() {
            let what = "either all locators are addresses or all are interfaces";
            return Err(Problem::new("rlocs", what));
        }
        rlocs.push(OwnRloc {
            rloc: Rloc(std::net::Ipv4Addr::UNSPECIFIED.into()),
            priority: Priority::FIRST,
            weight: Weight(100),
        });
    }
    Ok((rlocs, roaming))
}

const INTERFACE_NAME: &str = "an interface name has 1 to 15 visible characters and no '/'";

fn is_interface_name(name: &str) -> bool {
    (1..=15).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
}

/// One interface a tenant.
fn tuns(raw: RawTuns) -> Result<Vec<TunConfig>, Problem> {
    let tuns = match raw {
        RawTuns::None => Vec::new(),
        RawTuns::One(one) => vec![tun(one, "tun")?],
        RawTuns::Many(many) => {
            let numbered = many.into_iter().enumerate();
            let each = numbered.map(|(at, one)| tun(one, &format!("tun[{at}]")));
            each.collect::<Result<Vec<_>, Problem>>()?
        }
    };
    for (at, later) in tuns.iter().enumerate().skip(1) {
        let earlier = || tuns.iter().take(at);
        let wrong = if earlier().any(|tun| tun.name == later.name) {
            Some(("name", format!("'{}' is there twice", later.name)))
        } else if earlier().any(|tun| tun.iid == later.iid) {
            let what = format!("tenant {} has an interface already", later.iid.get());
            Some(("instance_id", what))
        } else if earlier().any(|tun| tun.uplink_mtu != later.uplink_mtu) {
            let what = "all interfaces share the uplinks: give each the same".to_owned();
            Some(("uplink_mtu", what))
        } else {
            None
        };
        if let Some((field, what)) = wrong {
            return Err(Problem::new(format!("tun[{at}].{field}"), what));
        }
    }
    Ok(tuns)
}

/// Nobody is to have packets sent anywhere in our name, so a re-encapsulating router is told for which EIDs it is one.
fn relay(roles: &[RawRole], rtr: Option<RawRtr>) -> Result<Relay, Problem> {
    match (roles.contains(&RawRole::Rtr), rtr) {
        (true, Some(rtr)) if !rtr.eids.is_empty() => Ok(Relay::For(EidSet::from_iter(rtr.eids))),
        (true, _) => {
            let what = "the role rtr needs the EIDs whose packets are sent on: { eids: [10.0.0.0/8] }";
            Err(Problem::new("rtr", what))
        }
        (false, Some(_)) => Err(Problem::new("rtr", "has a use only with the role rtr")),
        (false, None) => Ok(Relay::Refused),
    }
}

fn tun(raw: RawTun, field: &str) -> Result<TunConfig, Problem> {
    let field = |name: &str| format!("{field}.{name}");
    if !is_interface_name(&raw.name) {
        return Err(Problem::new(field("name"), INTERFACE_NAME));
    }
    if raw.uplink_mtu < LEAST_UPLINK_MTU {
        let what = format!("must be at least {LEAST_UPLINK_MTU}, so that IPv6 packets of 1280 bytes fit");
        return Err(Problem::new(field("uplink_mtu"), what));
    }
    let iid = InstanceId::new(raw.instance_id)
        .map_err(|error| Problem::new(field("instance_id"), error.to_string()))?;
    if let Some(at) = raw
        .routes
        .iter()
        .position(|route| route.iid() != InstanceId::DEFAULT)
    {
        let what = "routes are the kernel's: leave the instance-id out and give instance_id";
        return Err(Problem::new(field(&format!("routes[{at}]")), what));
    }
    Ok(TunConfig {
        name: raw.name,
        uplink_mtu: raw.uplink_mtu,
        routes: raw.routes,
        table: raw.table,
        iid,
    })
}

/// What an RTR takes on is the packet path's matter; the control machines ask and probe for it as for an ITR.
const fn role(raw: RawRole) -> Role {
    match raw {
        RawRole::Itr | RawRole::Rtr => Role::Itr,
        RawRole::Etr => Role::Etr,
        RawRole::MapServer => Role::MapServer,
        RawRole::MapResolver => Role::MapResolver,
    }
}

fn eids(raw: &[RawEid], memory: Option<&Path>) -> Result<Vec<OwnEid>, Problem> {
    let eid = |(at, raw): (usize, &RawEid)| {
        let numbered = raw.locators.iter().enumerate();
        let locators = numbered.map(|(locator_at, raw)| {
            let field = |name: &str| format!("eids[{at}].locators[{locator_at}]{name}");
            let (priority, weight) = (Priority(raw.priority), Weight(raw.weight));
            match (raw.address, &raw.path) {
                (Some(address), None) => Ok(Locator::unicast(Rloc(address), priority, weight)),
                (None, Some(hops)) => {
                    let hops: Vec<Hop> = hops.iter().map(|hop| hop.0).collect();
                    let path = LocatorPath::new(&hops);
                    let path = path.map_err(|error| Problem::new(field(".path"), error.to_string()))?;
                    Ok(Locator::over(path, priority, weight))
                }
                _ => Err(Problem::new(field(""), "give either an address or a path to it")),
            }
        });
        Ok(OwnEid {
            prefix: raw.prefix,
            ttl: Ttl(raw.ttl),
            locators: locators.collect::<Result<_, Problem>>()?,
            register: raw.register,
            map_version: raw
                .map_version
                .map(|number| map_version(number, memory))
                .transpose()
                .map_err(|what| Problem::new(format!("eids[{at}].map_version"), what))?
                .unwrap_or(MapVersion::NONE),
        })
    };
    raw.iter().enumerate().map(eid).collect()
}

/// RFC 9302 section 6: it is the operator who says where versions begin; each change goes on from there.
fn map_version(number: u16, memory: Option<&Path>) -> Result<MapVersion, String> {
    let version = MapVersion::new(number).filter(|version| *version != MapVersion::NONE);
    let version = version.ok_or("must be from 1 to 4095")?;
    match memory {
        Some(_) => Ok(version),
        None => Err("needs a state_dir, where is kept what it has become".to_owned()),
    }
}

fn sites(raw: &[RawSite], keys_of: &Keys) -> Result<Vec<Site>, Problem> {
    let site = |(at, raw): (usize, &RawSite)| {
        let named = raw.keys.iter().enumerate();
        let keys = named.map(|(key_at, name)| keys_of.named(name, || format!("sites[{at}].keys[{key_at}]")));
        Ok(Site {
            prefix: raw.prefix,
            keys: keys.collect::<Result<_, Problem>>()?,
            accept_more_specifics: raw.accept_more_specifics,
            nonces: match raw.nonces {
                RawNonces::Growing => NonceRule::Growing,
                RawNonces::Any => NonceRule::Any,
            },
            answered_for: match raw.answered_for {
                RawAnsweredFor::Everyone => AnsweredFor::Everyone,
                RawAnsweredFor::Subscribers => AnsweredFor::Subscribers,
            },
            pubsub: raw
                .pubsub
                .as_ref()
                .map(|pubsub| keys_of.ring(&pubsub.key, || format!("sites[{at}].pubsub.key")))
                .transpose()?,
            quota: Quota {
                registrations: raw.quota.registrations,
                bytes: raw.quota.bytes,
            },
        })
    };
    raw.iter().enumerate().map(site).collect()
}

/// The resolvers to subscribe through, with the keys that vouch for what comes of it.
fn subscribe(raw: &[RawResolver], keys: &Keys) -> Result<BTreeMap<Rloc, KeyRing>, Problem> {
    let mut subscribe = BTreeMap::new();
    for (at, resolver) in raw.iter().enumerate() {
        match (resolver.subscribe, &resolver.key) {
            (true, Some(names)) => {
                let key = keys.ring(names, || format!("map_resolvers[{at}].key"))?;
                subscribe.insert(Rloc(resolver.address), key);
            }
            (true, None) => {
                let what = "subscribe: true needs the key that the Map-Server signs publications with";
                return Err(Problem::new(format!("map_resolvers[{at}].key"), what));
            }
            (false, Some(_)) => {
                let what = "a key has a use only with subscribe: true";
                return Err(Problem::new(format!("map_resolvers[{at}].key"), what));
            }
            (false, None) => {}
        }
    }
    Ok(subscribe)
}

/// Each part goes to nodes of the tree, or to Map-Servers.
fn delegations(raw: &RawDdt) -> Result<Vec<Delegation>, Problem> {
    let delegation = |(at, raw): (usize, &RawDelegation)| {
        let (to, nodes) = match (raw.nodes.as_slice(), raw.map_servers.as_slice()) {
            ([], servers) => (DelegatedTo::MapServers, servers),
            (nodes, []) => (DelegatedTo::Nodes, nodes),
            _ => {
                let what = "give either nodes or map_servers, not both";
                return Err(Problem::new(format!("ddt.delegations[{at}]"), what));
            }
        };
        Ok(Delegation {
            prefix: raw.prefix,
            to,
            nodes: nodes.iter().copied().map(Rloc).collect(),
        })
    };
    raw.delegations.iter().enumerate().map(delegation).collect()
}

/// As many as an Info-Reply can name.
fn nat_rtrs(raw: &[RawNatRtr]) -> Result<Vec<Rloc>, Problem> {
    if raw.len() > 16 {
        return Err(Problem::new("nat_rtrs", "an Info-Reply names 16 routers at most"));
    }
    Ok(raw.iter().map(|rtr| Rloc(rtr.address())).collect())
}

/// A Map-Server takes registrations from the routers that it shares a key with, a router hands them on to such Map-Servers.
fn nat(rtrs: &[RawNatRtr], own: Option<&RawRtr>, keys: &Keys) -> Result<NatRouters, Problem> {
    let mut nat = NatRouters::default();
    for (at, rtr) in rtrs.iter().enumerate() {
        if let RawNatRtr::Keyed(KeyedRtr { address, key, nonces }) = rtr {
            if *nonces == RawNonces::Any {
                nat.any_nonces.insert(Rloc(*address));
            }
            let key = keys.ring(key, || format!("nat_rtrs[{at}].key"))?;
            nat.routers.insert(Rloc(*address), key);
        }
    }
    let Some(own) = own else { return Ok(nat) };
    for (at, server) in own.nat.iter().enumerate() {
        let key = keys.ring(&server.key, || format!("rtr.nat[{at}].key"))?;
        nat.servers.insert(Rloc(server.map_server), key);
        if server.nonces == RawNonces::Any {
            nat.any_nonces.insert(Rloc(server.map_server));
        }
    }
    if !nat.servers.is_empty() {
        nat.eids.clone_from(&own.eids);
    }
    Ok(nat)
}

fn pubsub(raw: &RawPubSub, keys: &Keys) -> Result<PubSub, Problem> {
    let key = raw.key.as_ref();
    let key = key.map(|names| keys.ring(names, || "pubsub.key".to_owned()));
    Ok(PubSub {
        key: key.transpose()?,
        most: raw.most,
    })
}

fn change_priority(raw: &RawChangePriority, keys: &Keys) -> Result<ChangePriority, Problem> {
    let stranger = |name: &&String| !raw.keys.contains(name) && !raw.move_keys.contains(name);
    if let Some(name) = raw.scopes.keys().find(stranger) {
        let what = format!("'{name}' is neither among change_priority.keys nor among .move_keys");
        return Err(Problem::new(format!("change_priority.scopes.{name}"), what));
    }
    let scoped = |list: &'static str, names: &[String]| -> Result<Vec<ScopedKey>, Problem> {
        let scoped = |(at, name): (usize, &String)| {
            let key = keys.named(name, || format!("change_priority.{list}[{at}]"))?;
            let blocks = raw.scopes.get(name).cloned();
            let scope = blocks.map_or(Scope::All, Scope::Within);
            Ok(ScopedKey { key, scope })
        };
        names.iter().enumerate().map(scoped).collect()
    };
    Ok(ChangePriority {
        keys: scoped("keys", &raw.keys)?,
        move_keys: scoped("move_keys", &raw.move_keys)?,
        group: raw.group.iter().copied().map(Rloc).collect(),
        tell_by: match raw.tell_by {
            RawTellBy::ChangePriority => TellBy::ChangePriority,
            RawTellBy::Best => TellBy::Best,
            RawTellBy::Smr => TellBy::Solicitation,
        },
        legacy_peers: raw.legacy_peers.iter().copied().map(Rloc).collect(),
        own_eid_peers: raw.own_eid_peers.iter().copied().map(Rloc).collect(),
        legacy: if raw.legacy {
            Legacy::Accepted
        } else {
            Legacy::Refused
        },
    })
}

/// The same over restarts of one build, and different for every name and locator.
fn derived_id(name: &str, rlocs: &[OwnRloc]) -> XtrId {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, name).hash(&mut hasher);
        for own in rlocs {
            own.rloc.0.hash(&mut hasher);
        }
        u128::from(hasher.finish())
    };
    XtrId(half(0) << 64 | half(1))
}

fn unicast(address: IpAddr) -> bool {
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback())
}

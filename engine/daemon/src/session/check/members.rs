//! Data centres, VMs and users: names that must exist, addresses that must be their own.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use lisp_wire::{EidPrefix, Rloc};
use pacao_core::config::{Site, Traits, User, Vm, shipped};
use proto::text::is_unseen;
use proto::{SiteName, SlaName, Tag, TenantName, UserName, VmName};

use super::addresses::Addresses;
use super::doubts::{Doubts, at};
use super::offers;
use crate::session::MAP_SERVER;
use crate::session::locate::Step;
use crate::session::raw::{Entries, RawSession, RawSite, RawUser, RawVm};

/// Longest label.
const MAX_LABEL: usize = 40;

pub(super) fn sites(
    raw: &RawSession,
    doubts: &mut Doubts<'_>,
    addresses: &mut Addresses,
) -> (BTreeMap<SiteName, Site>, BTreeMap<SiteName, PathBuf>) {
    if raw.sites.0.is_empty() {
        doubts.value(at!["sites"], "there is no data centre: give at least one");
    }
    let (mut sites, mut controls) = (BTreeMap::new(), BTreeMap::new());
    for (name, site) in &raw.sites.0 {
        let known = SiteName::new(name)
            .map_err(|error| doubts.key(at!["sites", name], error.to_string()))
            .ok();
        if name == MAP_SERVER {
            doubts.key(
                at!["sites", name],
                "this name is kept for the lab's Map-Server; take another",
            );
        }
        let RawSite {
            label: given,
            rloc,
            control,
            ..
        } = site;
        let labelled = label(given.as_deref(), name, at!["sites", name, "label"], doubts);
        let place = at!["sites", name, "rloc"];
        let rloc = address(rloc, place, doubts);
        if let Some(rloc) = rloc {
            addresses.rloc(rloc, place, doubts);
        }
        let offer = offers::offer(site, name, raw, doubts);
        let control = control_path(control.as_deref(), raw, name, doubts);
        if let (Some(known), Some(rloc)) = (known, rloc) {
            sites.insert(
                known.clone(),
                Site {
                    label: labelled,
                    rloc,
                    offer,
                },
            );
            controls.extend(control.map(|path| (known, path)));
        }
    }
    (sites, controls)
}

fn control_path(
    given: Option<&str>,
    raw: &RawSession,
    name: &String,
    doubts: &mut Doubts<'_>,
) -> Option<PathBuf> {
    match given {
        // A socket's address holds 108 bytes with the closing zero (unix(7)).
        Some(text) if text.len() > 107 => {
            doubts.value(
                at!["sites", name, "control"],
                "the path of a socket has at most 107 bytes",
            );
            None
        }
        Some(text) if text.starts_with('/') => Some(PathBuf::from(text)),
        Some(text) => {
            let message = format!("'{text}' is not an absolute path: give the forwarder's control socket");
            doubts.value(at!["sites", name, "control"], message);
            None
        }
        None if raw.lab.is_some() => None,
        None => {
            let message = "the field `control` is missing: without a `lab` part, each data centre names its forwarder's control socket";
            doubts.key(at!["sites", name], message);
            None
        }
    }
}

pub(super) fn vms(
    raw: &RawSession,
    doubts: &mut Doubts<'_>,
    addresses: &mut Addresses,
) -> BTreeMap<VmName, Vm> {
    let mut vms = BTreeMap::new();
    for (name, vm) in &raw.vms.0 {
        let RawVm {
            eid,
            home,
            tenant,
            tags,
            ..
        } = vm;
        let traits = traits(tenant.as_deref(), tags, ("vms", name), doubts);
        let known = VmName::new(name)
            .map_err(|error| doubts.key(at!["vms", name], error.to_string()))
            .ok();
        let place = at!["vms", name, "eid"];
        let eid: Option<EidPrefix> = doubts.good(place, eid.parse());
        if let Some(eid) = eid {
            addresses.eid(eid, place, doubts);
        }
        let home = site_named(home, at!["vms", name, "home"], raw, doubts);
        if let (Some(known), Some(eid), Some(home)) = (known, eid, home) {
            vms.insert(
                known,
                Vm {
                    eid,
                    home,
                    traits,
                    demand: offers::demand(vm, name, doubts),
                    shared: offers::shared(vm, name, doubts),
                },
            );
        }
    }
    vms
}

pub(super) fn users(
    raw: &RawSession,
    doubts: &mut Doubts<'_>,
    addresses: &mut Addresses,
) -> BTreeMap<UserName, User> {
    let mut users = BTreeMap::new();
    for (name, user) in &raw.users.0 {
        let known = UserName::new(name)
            .map_err(|error| doubts.key(at!["users", name], error.to_string()))
            .ok();
        if has(&raw.sites, name) || name == MAP_SERVER {
            let message = format!(
                "'{name}' is the name of another site; users and data centres share one list of names"
            );
            doubts.key(at!["users", name], message);
        }
        let RawUser {
            label: given,
            rloc,
            eid,
            sla,
            vms,
            size,
            tenant,
            tags,
        } = user;
        let traits = traits(tenant.as_deref(), tags, ("users", name), doubts);
        doubts.within(at!["users", name, "size"], f64::from(*size), 1.0..=1e9);
        let labelled = label(given.as_deref(), name, at!["users", name, "label"], doubts);
        let place = at!["users", name, "rloc"];
        let rloc = address(rloc, place, doubts);
        if let Some(rloc) = rloc {
            addresses.rloc(rloc, place, doubts);
        }
        let place = at!["users", name, "eid"];
        let eid: Option<EidPrefix> = doubts.good(place, eid.parse());
        if let Some(eid) = eid {
            addresses.eid(eid, place, doubts);
        }
        let sla = match shipped(sla) {
            Some(_) => Some(sla.as_str()),
            None => named(sla, &raw.sla, "SLA class", at!["users", name, "sla"], doubts),
        };
        let sla = sla.and_then(|sla| SlaName::new(sla).ok());
        let mut entries = BTreeMap::new();
        for (vm, entry) in &vms.0 {
            if !has(&raw.vms, vm) {
                doubts.key(at!["users", name, "vms", vm], unknown("VM", vm, &raw.vms));
            }
            let entry = site_named(entry, at!["users", name, "vms", vm], raw, doubts);
            if let (Ok(vm), Some(entry)) = (VmName::new(vm), entry) {
                entries.insert(vm, entry);
            }
        }
        if let (Some(known), Some(rloc), Some(eid), Some(sla)) = (known, rloc, eid, sla) {
            users.insert(
                known,
                User {
                    label: labelled,
                    rloc,
                    eid,
                    sla,
                    vms: entries.into(),
                    size: *size,
                    traits,
                },
            );
        }
    }
    users
}

/// What selectors may go by.
fn traits(
    tenant: Option<&str>,
    tags: &[String],
    (part, name): (&str, &String),
    doubts: &mut Doubts<'_>,
) -> Traits {
    let tenant = tenant.and_then(|tenant| doubts.good(at![part, name, "tenant"], TenantName::new(tenant)));
    let tags = tags.iter().enumerate();
    Traits {
        tenant,
        tags: tags
            .filter_map(|(at, tag)| doubts.good(at![part, name, "tags", at], Tag::new(tag)))
            .collect(),
    }
}

pub(super) fn address(text: &str, path: &[Step], doubts: &mut Doubts<'_>) -> Option<Rloc> {
    let message = format!("'{text}' is not an address: write it like 192.0.2.1 or 2001:db8::1");
    let address: IpAddr = doubts.good(path, text.parse().map_err(|_| message))?;
    if address.is_unspecified() || address.is_multicast() {
        doubts.value(path, format!("{address} cannot be the address of a single site"));
        return None;
    }
    Some(Rloc(address))
}

pub(super) fn site_named(
    name: &str,
    path: &[Step],
    raw: &RawSession,
    doubts: &mut Doubts<'_>,
) -> Option<SiteName> {
    named(name, &raw.sites, "data centre", path, doubts).and_then(|name| SiteName::new(name).ok())
}

fn named<'n, T>(
    name: &'n str,
    among: &Entries<T>,
    what: &str,
    path: &[Step],
    doubts: &mut Doubts<'_>,
) -> Option<&'n str> {
    if has(among, name) {
        return Some(name);
    }
    doubts.value(path, unknown(what, name, among));
    None
}

fn has<T>(entries: &Entries<T>, name: &str) -> bool {
    entries.0.iter().any(|(known, _)| known == name)
}

fn unknown<T>(what: &str, name: &str, among: &Entries<T>) -> String {
    unknown_of(what, name, among.0.iter().map(|(known, _)| known.as_str()))
}

pub(super) fn unknown_of<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str>) -> String {
    const SHOWN: usize = 8;
    let known: Vec<&str> = known.collect();
    let mut list = known.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if known.len() > SHOWN {
        list.push_str(", ...");
    }
    let list = if list.is_empty() { "none".to_owned() } else { list };
    format!("no {what} is called '{name}'; known: {list}")
}

/// The name for people, or the name itself. It goes to terminals: no control characters.
fn label(given: Option<&str>, name: &str, path: &[Step], doubts: &mut Doubts<'_>) -> String {
    let Some(label) = given else {
        return name.to_owned();
    };
    let good =
        !label.trim().is_empty() && label.chars().count() <= MAX_LABEL && !label.chars().any(is_unseen);
    if !good {
        doubts.value(path, format!("a label has 1 to {MAX_LABEL} printable characters"));
    }
    label.to_owned()
}

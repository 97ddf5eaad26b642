//! Who is meant. A name nobody bears and a pattern nobody fits are mistakes; a list that is empty means nobody.

use std::collections::BTreeSet;

use pacao_core::config::{Glob, Selector};
use proto::SiteName;

use crate::session::check::doubts::Doubts;
use crate::session::check::members::unknown_of;
use crate::session::locate::Step;
use crate::session::raw::{RawSelector, RawSession};

/// All names of a session, by what they name.
pub(super) struct Known<'a> {
    users: BTreeSet<&'a str>,
    vms: BTreeSet<&'a str>,
    pub(super) sites: BTreeSet<&'a str>,
    tenants: BTreeSet<&'a str>,
    tags: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    pub(super) fn new(raw: &'a RawSession) -> Self {
        let (users, vms) = (&raw.users.0, &raw.vms.0);
        let tenants = users.iter().map(|(_, user)| &user.tenant);
        let tenants = tenants.chain(vms.iter().map(|(_, vm)| &vm.tenant));
        let tags = users.iter().flat_map(|(_, user)| &user.tags);
        let tags = tags.chain(vms.iter().flat_map(|(_, vm)| &vm.tags));
        Self {
            users: users.iter().map(|(name, _)| name.as_str()).collect(),
            vms: vms.iter().map(|(name, _)| name.as_str()).collect(),
            sites: raw.sites.0.iter().map(|(name, _)| name.as_str()).collect(),
            tenants: tenants.filter_map(Option::as_deref).collect(),
            tags: tags.map(String::as_str).collect(),
        }
    }

    /// What a field names, and all such names.
    pub(super) fn of(&self, field: &str) -> (&'static str, &BTreeSet<&'a str>) {
        match field {
            "user" | "users" => ("user", &self.users),
            "vm" | "vms" => ("VM", &self.vms),
            "dc" | "sites" => ("data centre", &self.sites),
            "tenant" | "tenants" => ("tenant", &self.tenants),
            _ => ("tag", &self.tags),
        }
    }
}

pub(super) fn selector(
    raw: &RawSelector,
    path: &[Step],
    known: &Known<'_>,
    doubts: &mut Doubts<'_>,
) -> Selector {
    let mut list = |field: &str, given: &Option<Vec<String>>| {
        let given = given.as_ref()?;
        let (what, names) = known.of(field);
        let globs = given.iter().enumerate().filter_map(|(at, text)| {
            let mut path = path.to_vec();
            path.extend([Step::Key(field.to_owned()), Step::Index(at)]);
            let glob = doubts.good(&path, Glob::new(text))?;
            if !names.iter().any(|name| glob.matches(name)) {
                let message = if glob.is_name() {
                    unknown_of(what, text, names.iter().copied())
                } else {
                    format!("no {what} fits '{text}': it would mean nobody")
                };
                doubts.value(&path, message);
            }
            Some(glob)
        });
        Some(globs.collect())
    };
    Selector {
        users: list("users", &raw.users),
        vms: list("vms", &raw.vms),
        sites: list("sites", &raw.sites),
        tenants: list("tenants", &raw.tenants),
        tags: list("tags", &raw.tags),
    }
}

/// Data centres by name.
pub(super) fn sites(
    given: &[String],
    path: &[Step],
    known: &Known<'_>,
    doubts: &mut Doubts<'_>,
) -> BTreeSet<SiteName> {
    let mut sites = BTreeSet::new();
    for (at, name) in given.iter().enumerate() {
        let mut path = path.to_vec();
        path.push(Step::Index(at));
        if !known.sites.contains(name.as_str()) {
            doubts.value(
                &path,
                unknown_of("data centre", name, known.sites.iter().copied()),
            );
        } else if let Some(site) = doubts.good(&path, SiteName::new(name))
            && !sites.insert(site)
        {
            doubts.value(&path, format!("'{name}' is given twice"));
        }
    }
    sites
}

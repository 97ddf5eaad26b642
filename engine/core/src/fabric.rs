//! Names become small numbers here, once, so that the machines index instead of looking names up.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lisp_wire::{EidPrefix, Rloc};
use proto::{LinkId, SiteName, SlaName, UserName, VmName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Config;
use crate::config::{Demand, Offer, OnViolation, Shared};
use crate::homes::Homes;
use crate::monitor::Limits;
use crate::optimizer::Class;
use crate::optimizer::criteria::{self, K};
use crate::policy::scope::Scopes;

/// A data centre, by its place in the order of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Dc(pub(crate) u32);

/// A user's link to a data centre: `user * sites + dc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct LinkIx(pub(crate) u32);

/// The leg from a data centre to one where a VM lives or lived: `from * homes + home`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct LegIx(pub(crate) u32);

/// A user's entry to one VM. The pairs of one user are neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PairIx(pub(crate) u32);

impl Dc {
    pub(crate) const fn at(self) -> usize {
        self.0 as usize
    }
}

impl LinkIx {
    pub(crate) const fn at(self) -> usize {
        self.0 as usize
    }
}

impl LegIx {
    pub(crate) const fn at(self) -> usize {
        self.0 as usize
    }
}

impl PairIx {
    pub(crate) const fn at(self) -> usize {
        self.0 as usize
    }
}

/// An SLA class, made ready for comparing integers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SlaClass {
    pub(crate) name: SlaName,
    pub(crate) class: Class<K>,
    pub(crate) limits: Limits,
    pub(crate) on_violation: OnViolation,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SiteFacts {
    pub(crate) name: SiteName,
    pub(crate) label: String,
    pub(crate) rloc: Rloc,
    pub(crate) offer: Offer,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UserFacts {
    pub(crate) name: UserName,
    pub(crate) rloc: Rloc,
    pub(crate) class: u32,
    pub(crate) first_pair: u32,
    pub(crate) end_pair: u32,
    /// People behind the locator.
    pub(crate) size: u32,
    /// Another user behind the same locator; probes of it tell about both.
    pub(crate) twin: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VmFacts {
    pub(crate) name: VmName,
    pub(crate) eid: EidPrefix,
    /// Where it lives now.
    pub(crate) home: Option<Dc>,
    /// Where it does by the session.
    pub(crate) first_home: Option<Dc>,
    pub(crate) demand: Demand,
    pub(crate) shared: Shared,
    pub(crate) users: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PairFacts {
    pub(crate) user: u32,
    pub(crate) vm: u32,
    pub(crate) first_entry: Dc,
}

/// The session as tables, and where its VMs live now. It serialises as the [`Config`] it was made of, and has to be told
/// of VMs that moved ([`Fabric::follow`]).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fabric {
    pub(crate) config: Config,
    pub(crate) sites: Vec<SiteFacts>,
    pub(crate) users: Vec<UserFacts>,
    pub(crate) vms: Vec<VmFacts>,
    pub(crate) pairs: Vec<PairFacts>,
    pub(crate) classes: Vec<SlaClass>,
    pub(crate) scopes: Scopes,
    /// What legs are held against by themselves.
    pub(crate) leg_limits: Limits,
    /// Data centres that legs lead to, in their order: where a VM lives, or lived.
    homes: Vec<Dc>,
    // Only looked up, never walked: its order is not part of the engine's behaviour.
    by_rloc: HashMap<Rloc, u32>,
    dc_by_rloc: HashMap<Rloc, Dc>,
}

impl Fabric {
    /// Names that point nowhere (the session reader refuses them) leave their row out.
    pub(crate) fn new(config: Config) -> Self {
        let config = compact(config);
        let sites: Vec<SiteFacts> = config
            .sites
            .iter()
            .map(|(name, site)| SiteFacts {
                name: name.clone(),
                label: site.label.clone(),
                rloc: site.rloc,
                offer: site.offer.clone(),
            })
            .collect();
        let dc_of = |name: &SiteName| {
            sites
                .binary_search_by(|site| site.name.cmp(name))
                .ok()
                .map(|at| Dc(at as u32))
        };
        let classes: Vec<SlaClass> = config
            .sla
            .iter()
            .map(|(name, sla)| {
                let class = criteria::class_of(sla);
                SlaClass {
                    name: name.clone(),
                    limits: Limits::new(&config, sla, &class),
                    class,
                    on_violation: sla.watch.on_violation,
                }
            })
            .collect();
        let mut vms: Vec<VmFacts> = config
            .vms
            .iter()
            .map(|(name, vm)| VmFacts {
                name: name.clone(),
                eid: vm.eid,
                home: dc_of(&vm.home),
                first_home: dc_of(&vm.home),
                demand: vm.demand,
                shared: vm.shared,
                users: 0,
            })
            .collect();
        let mut users: Vec<UserFacts> = Vec::with_capacity(config.users.len());
        let mut pairs = Vec::new();
        let mut by_rloc: HashMap<Rloc, u32> = HashMap::new();
        for (name, user) in &config.users {
            let Ok(class) = classes.binary_search_by(|class| class.name.cmp(&user.sla)) else {
                continue;
            };
            let first_pair = pairs.len() as u32;
            for (vm, entry) in &user.vms {
                let Ok(vm) = vms.binary_search_by(|row| row.name.cmp(vm)) else {
                    continue;
                };
                let Some(first_entry) = dc_of(entry) else { continue };
                vms[vm].users += 1;
                pairs.push(PairFacts {
                    user: users.len() as u32,
                    vm: vm as u32,
                    first_entry,
                });
            }
            let twin = by_rloc.insert(user.rloc, users.len() as u32);
            users.push(UserFacts {
                name: name.clone(),
                rloc: user.rloc,
                class: class as u32,
                first_pair,
                end_pair: pairs.len() as u32,
                size: user.size,
                twin,
            });
        }
        let in_use: Vec<&Limits> = users
            .iter()
            .map(|user| &classes[user.class as usize].limits)
            .collect();
        let mut fabric = Self {
            leg_limits: Limits::strictest(&config, &in_use),
            homes: homes(&config, &sites, &vms),
            dc_by_rloc: sites
                .iter()
                .zip(0..)
                .map(|(site, dc)| (site.rloc, Dc(dc)))
                .collect(),
            config,
            sites,
            users,
            vms,
            pairs,
            classes,
            scopes: Scopes::default(),
            by_rloc,
        };
        fabric.scopes = Scopes::new(&fabric);
        fabric
    }

    pub(crate) fn dc(&self, name: &SiteName) -> Option<Dc> {
        self.sites
            .binary_search_by(|site| site.name.cmp(name))
            .ok()
            .map(|at| Dc(at as u32))
    }

    pub(crate) fn dcs(&self) -> impl Iterator<Item = Dc> + use<> {
        (0..self.sites.len() as u32).map(Dc)
    }

    pub(crate) fn user(&self, name: &UserName) -> Option<u32> {
        self.users
            .binary_search_by(|user| user.name.cmp(name))
            .ok()
            .map(|at| at as u32)
    }

    /// The first of the users behind a locator; the others follow by [`UserFacts::twin`].
    pub(crate) fn user_at(&self, rloc: Rloc) -> Option<u32> {
        self.by_rloc.get(&rloc).copied()
    }

    pub(crate) fn link(&self, user: u32, dc: Dc) -> LinkIx {
        LinkIx(user * self.sites.len() as u32 + dc.0)
    }

    pub(crate) fn links(&self) -> usize {
        self.users.len() * self.sites.len()
    }

    /// The data centre with this locator.
    pub(crate) fn dc_at(&self, rloc: Rloc) -> Option<Dc> {
        self.dc_by_rloc.get(&rloc).copied()
    }

    /// How many legs there are, those from a data centre to itself among them.
    pub(crate) fn legs(&self) -> usize {
        self.homes.len() * self.sites.len()
    }

    /// The leg between two data centres, if it is watched.
    pub(crate) fn leg(&self, from: Dc, to: Dc) -> Option<LegIx> {
        if from == to {
            return None;
        }
        let home = self.homes.binary_search(&to).ok()?;
        Some(LegIx(from.0 * self.homes.len() as u32 + home as u32))
    }

    /// Where a leg begins and where it leads to.
    pub(crate) fn ends_of(&self, leg: LegIx) -> (Dc, Dc) {
        let homes = (self.homes.len() as u32).max(1);
        let to = self.homes.get((leg.0 % homes) as usize);
        (Dc(leg.0 / homes), to.copied().unwrap_or(Dc(0)))
    }

    /// Legs from a data centre that a way may take: to where VMs live now.
    pub(crate) fn legs_from(&self, from: Dc) -> Vec<(LegIx, Dc)> {
        let leg = |to: Dc| Some((self.leg(from, to)?, to));
        self.homes_now().into_iter().filter_map(leg).collect()
    }

    /// Where VMs live.
    pub(crate) fn homes_now(&self) -> BTreeSet<Dc> {
        self.vms.iter().filter_map(|vm| vm.home).collect()
    }

    /// Takes over where VMs live. If legs lead to more data centres by that, what became of their numbers.
    pub(crate) fn follow(&mut self, homes: &Homes) -> Option<Renumbered> {
        for (vm, at) in self.vms.iter_mut().zip(0..) {
            vm.home = homes.of(at).or(vm.first_home);
        }
        if !watches_legs(&self.config, &self.sites) {
            return None;
        }
        let mut now: BTreeSet<Dc> = self.homes.iter().copied().collect();
        now.extend(homes.ever());
        if now.len() == self.homes.len() {
            return None;
        }
        let now: Vec<Dc> = now.into_iter().collect();
        let before = std::mem::replace(&mut self.homes, now);
        let place = |dc: &Dc| self.homes.binary_search(dc).unwrap_or(0) as u32;
        Some(Renumbered {
            homes: self.homes.len() as u32,
            places: before.iter().map(place).collect(),
        })
    }

    pub(crate) fn user_of(&self, link: LinkIx) -> u32 {
        link.0 / (self.sites.len() as u32).max(1)
    }

    pub(crate) fn dc_of(&self, link: LinkIx) -> Dc {
        Dc(link.0 % (self.sites.len() as u32).max(1))
    }

    pub(crate) fn link_id(&self, link: LinkIx) -> LinkId {
        LinkId {
            user: self.users[self.user_of(link) as usize].name.clone(),
            dc: self.sites[self.dc_of(link).at()].name.clone(),
        }
    }

    pub(crate) fn class_of(&self, user: u32) -> &SlaClass {
        &self.classes[self.users[user as usize].class as usize]
    }

    pub(crate) fn pairs_of(&self, user: u32) -> impl Iterator<Item = PairIx> + use<> {
        let user = &self.users[user as usize];
        (user.first_pair..user.end_pair).map(PairIx)
    }

    /// The pairs of everyone who uses a VM.
    pub(crate) fn pairs_with(&self, vm: u32) -> Vec<PairIx> {
        (0..self.pairs.len() as u32)
            .map(PairIx)
            .filter(|ix| self.pairs[ix.at()].vm == vm)
            .collect()
    }

    pub(crate) fn label(&self, dc: Dc) -> &str {
        &self.sites[dc.at()].label
    }

    pub(crate) fn user_name(&self, pair: PairIx) -> &UserName {
        &self.users[self.pairs[pair.at()].user as usize].name
    }

    pub(crate) fn vm_of(&self, pair: PairIx) -> &VmFacts {
        &self.vms[self.pairs[pair.at()].vm as usize]
    }
}

/// The numbers of legs, where they lead to more data centres than before.
#[derive(Clone, Debug)]
pub(crate) struct Renumbered {
    homes: u32,
    /// By the place of a data centre before, its place now.
    places: Vec<u32>,
}

impl Renumbered {
    /// The number of a leg that had another.
    pub(crate) fn of(&self, before: LegIx) -> LegIx {
        let homes = (self.places.len() as u32).max(1);
        let place = self.places.get((before.0 % homes) as usize);
        LegIx(before.0 / homes * self.homes + place.copied().unwrap_or(0))
    }
}

/// Whether there is another data centre to come from, and legs are watched.
fn watches_legs(config: &Config, sites: &[SiteFacts]) -> bool {
    sites.len() >= 2 && config.legs.unwrap_or_default().measure
}

/// Where legs lead to by the session: data centres where a VM lives.
fn homes(config: &Config, sites: &[SiteFacts], vms: &[VmFacts]) -> Vec<Dc> {
    if !watches_legs(config, sites) {
        return Vec::new();
    }
    let homes: BTreeSet<Dc> = vms.iter().filter_map(|vm| vm.home).collect();
    homes.into_iter().collect()
}

/// The same session in less memory: one text a name, however often it stands there, and trees that are full.
fn compact(mut config: Config) -> Config {
    fn shared<N: Ord + Clone, V>(known: &BTreeMap<N, V>, name: &N) -> N {
        known
            .get_key_value(name)
            .map_or_else(|| name.clone(), |(name, _)| name.clone())
    }
    for user in config.users.values_mut() {
        user.sla = shared(&config.sla, &user.sla);
        user.label.shrink_to_fit();
        let entries = user.vms.iter();
        user.vms = entries
            .map(|(vm, site)| (shared(&config.vms, vm), shared(&config.sites, site)))
            .collect();
    }
    config.users = config.users.into_iter().collect();
    config
}

impl Serialize for Fabric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.config.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fabric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Config::deserialize(deserializer).map(Self::new)
    }
}

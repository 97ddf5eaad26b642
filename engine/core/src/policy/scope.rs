//! Selectors, rules and budgets of the session, resolved once to numbers.

use std::collections::BTreeMap;

use crate::Config;
use crate::config::{Budget, RuleKind, Selector, Subject};
use crate::fabric::{Dc, Fabric, PairIx};
use crate::policy::spending::Budgets;

/// What the session's policy says of each entry and each data centre. Made of the [`Config`] and not written down.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scopes {
    /// Budgets that count an entry besides the one of everybody, from 1.
    budgets: Vec<Vec<u16>>,
    /// Windows for an entry, by number.
    windows: Vec<Vec<u16>>,
    /// Where pins and exclusions let an entry be; `None` is everywhere.
    places: Vec<Option<Vec<Dc>>>,
    /// Rules of affinity and anti-affinity that bind an entry, by number.
    together: Vec<Vec<u16>>,
    apart: Vec<Vec<u16>>,
    /// Failure domain of a data centre.
    domain: Vec<u32>,
    /// Least capacity and the rule that gives it.
    pub(crate) capacity: BTreeMap<Dc, (u64, u16)>,
    /// Data centres drained by the session, and the rule.
    pub(crate) drained: BTreeMap<Dc, u16>,
}

impl Scopes {
    /// Of a fabric whose tables stand.
    pub(crate) fn new(fabric: &Fabric) -> Self {
        let calm = &fabric.config.calm;
        let pairs = fabric.pairs.len();
        let mut scopes = Self {
            budgets: Vec::new(),
            windows: Vec::new(),
            places: Vec::new(),
            together: Vec::new(),
            apart: Vec::new(),
            domain: domains(fabric),
            capacity: BTreeMap::new(),
            drained: BTreeMap::new(),
        };
        let all = || (0..pairs as u32).map(PairIx);
        let of = |who: &Selector| -> Vec<PairIx> { all().filter(|&ix| selects(fabric, who, ix)).collect() };
        for (at, scoped) in (1_u16..).zip(&calm.budgets) {
            for ix in of(&scoped.who) {
                row(&mut scopes.budgets, pairs, ix).push(at);
            }
        }
        for (at, window) in (0_u16..).zip(&calm.windows) {
            let whom = window.who.as_ref().map_or_else(|| all().collect(), of);
            for ix in whom {
                row(&mut scopes.windows, pairs, ix).push(at);
            }
        }
        for (at, rule) in (0_u16..).zip(&calm.rules) {
            let dcs = |sites: &std::collections::BTreeSet<_>| -> Vec<Dc> {
                sites.iter().filter_map(|site| fabric.dc(site)).collect()
            };
            match &rule.kind {
                RuleKind::Pin { who, sites } => {
                    let allowed = dcs(sites);
                    scopes.restrict(&of(who), fabric, |dc| allowed.contains(&dc));
                }
                RuleKind::Exclude { who, sites } => {
                    let barred = dcs(sites);
                    scopes.restrict(&of(who), fabric, |dc| !barred.contains(&dc));
                }
                RuleKind::Affinity { who } => {
                    for ix in of(who) {
                        row(&mut scopes.together, pairs, ix).push(at);
                    }
                }
                RuleKind::AntiAffinity { who } => {
                    for ix in of(who) {
                        row(&mut scopes.apart, pairs, ix).push(at);
                    }
                }
                RuleKind::Capacity { sites, users } => {
                    for dc in dcs(sites) {
                        let least = scopes.capacity.entry(dc).or_insert((*users, at));
                        *least = (*least).min((*users, at));
                    }
                }
                RuleKind::Drain { sites } => {
                    for dc in dcs(sites) {
                        scopes.drained.entry(dc).or_insert(at);
                    }
                }
            }
        }
        scopes
    }

    fn restrict(&mut self, whom: &[PairIx], fabric: &Fabric, keep: impl Fn(Dc) -> bool) {
        for ix in whom {
            let places = row(&mut self.places, fabric.pairs.len(), *ix);
            let places = places.get_or_insert_with(|| fabric.dcs().collect());
            places.retain(|&dc| keep(dc));
        }
    }

    /// Whether pins and exclusions let an entry be by a data centre.
    pub(crate) fn may_be(&self, ix: PairIx, dc: Dc) -> bool {
        self.places
            .get(ix.at())
            .and_then(Option::as_ref)
            .is_none_or(|places| places.contains(&dc))
    }

    /// Windows for an entry.
    pub(crate) fn windows(&self, ix: PairIx) -> &[u16] {
        self.windows.get(ix.at()).map_or(&[], Vec::as_slice)
    }

    /// Whether rules bind two entries of one user: a rule of affinity, a rule of anti-affinity.
    pub(crate) fn bond(&self, a: PairIx, b: PairIx) -> (Option<u16>, Option<u16>) {
        let shared = |rules: &[Vec<u16>]| {
            let (a, b) = (rules.get(a.at())?, rules.get(b.at())?);
            a.iter().copied().find(|rule| b.contains(rule))
        };
        (shared(&self.together), shared(&self.apart))
    }

    /// Whether any rule binds an entry to others of its user.
    pub(crate) fn is_bound(&self, ix: PairIx) -> bool {
        let any = |rules: &[Vec<u16>]| rules.get(ix.at()).is_some_and(|rules| !rules.is_empty());
        any(&self.together) || any(&self.apart)
    }
}

impl Budgets for Fabric {
    fn of(&self, pair: PairIx) -> impl Iterator<Item = u16> {
        let more = self.scopes.budgets.get(pair.at()).map_or(&[][..], Vec::as_slice);
        std::iter::once(0).chain(more.iter().copied())
    }

    fn limits(&self, budget: u16) -> Budget {
        let calm = &self.config.calm;
        let scoped = usize::from(budget)
            .checked_sub(1)
            .and_then(|at| calm.budgets.get(at));
        scoped.map_or(calm.budget, |scoped| scoped.budget)
    }

    fn domain(&self, dc: Dc) -> u32 {
        self.scopes.domain.get(dc.at()).copied().unwrap_or(dc.0)
    }
}

/// An entry's row of a table that is empty as long as nobody has one.
fn row<T: Clone + Default>(table: &mut Vec<T>, pairs: usize, ix: PairIx) -> &mut T {
    if table.is_empty() {
        table.resize(pairs, T::default());
    }
    &mut table[ix.at()]
}

/// Whether a selector means an entry.
pub(crate) fn selects(fabric: &Fabric, who: &Selector, ix: PairIx) -> bool {
    let facts = &fabric.pairs[ix.at()];
    let (user, vm) = (fabric.user_name(ix), &fabric.vm_of(ix).name);
    let Config { users, vms, .. } = &fabric.config;
    let (Some(user_of), Some(vm_of)) = (users.get(user), vms.get(vm)) else {
        return false;
    };
    who.matches(Subject {
        user: user.as_str(),
        vm: vm.as_str(),
        site: fabric.sites[facts.first_entry.at()].name.as_str(),
        user_traits: &user_of.traits,
        vm_traits: &vm_of.traits,
    })
}

/// Those that no domain names are domains of their own, numbered behind the named ones.
fn domains(fabric: &Fabric) -> Vec<u32> {
    let named = &fabric.config.calm.domains;
    let of = |dc: Dc| {
        let name = &fabric.sites[dc.at()].name;
        let at = named.values().position(|sites| sites.contains(name));
        at.map_or(named.len() as u32 + dc.0, |at| at as u32)
    };
    fabric.dcs().map(of).collect()
}

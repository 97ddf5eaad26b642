//! Rules that cannot all be kept, found before anything runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::Config;
use crate::config::RuleKind;
use crate::fabric::{Dc, Fabric, PairIx};
use crate::policy::scope::selects;

/// Assignments tried for one user before its rules are taken to be possible.
const TRIES: usize = 20_000;

/// Rules that contradict each other or the session's own entries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contradiction {
    /// The rule to mend.
    pub rule: String,
    /// What is wrong, with the names of all concerned.
    pub what: String,
}

/// Everything in the rules of a session that cannot be kept. Names that point nowhere are left out.
pub fn contradictions(config: &Config) -> Vec<Contradiction> {
    if config.calm.rules.is_empty() {
        return Vec::new();
    }
    let search = Search {
        fabric: Fabric::new(config.clone()),
        found: BTreeMap::new(),
    };
    search.run()
}

struct Search {
    fabric: Fabric,
    /// One for each set of rules and kind of trouble: a thousand users in the same one are one finding.
    found: BTreeMap<(Vec<String>, u8), String>,
}

impl Search {
    fn run(mut self) -> Vec<Contradiction> {
        for user in 0..self.fabric.users.len() as u32 {
            let pairs: Vec<PairIx> = self.fabric.pairs_of(user).collect();
            for &ix in &pairs {
                self.place(ix);
            }
            self.bonds(&pairs);
        }
        self.capacities();
        self.found
            .into_iter()
            .map(|((mut rules, _), what)| Contradiction {
                rule: rules.pop().unwrap_or_default(),
                what,
            })
            .collect()
    }

    /// Pins, exclusions and drains leave something, and the entry the session gives is allowed.
    fn place(&mut self, ix: PairIx) {
        let who = self.name(ix);
        if self.allowed(ix).is_empty() {
            let rules = self.placing(ix);
            let what = format!("{} leave no data centre for {who}", quoted(&rules));
            self.report(rules, 0, what);
            return;
        }
        let entry = self.fabric.pairs[ix.at()].first_entry;
        if !self.fabric.scopes.may_be(ix, entry) {
            let site = self.fabric.sites[entry.at()].name.clone();
            let rules = self.against(ix, entry);
            let what = format!(
                "{} keeps {who} from {site}, where the session lets it enter",
                quoted(&rules)
            );
            self.report(rules, 1, what);
        }
    }

    /// Affinity and anti-affinity can be kept together, and are by the entries the session gives.
    fn bonds(&mut self, pairs: &[PairIx]) {
        let mut binding = BTreeSet::new();
        for (at, &a) in pairs.iter().enumerate() {
            for &b in &pairs[at + 1..] {
                let (together, apart) = self.fabric.scopes.bond(a, b);
                let (together, apart) = (
                    together.map(|rule| self.rule(rule)),
                    apart.map(|rule| self.rule(rule)),
                );
                binding.extend(together.iter().chain(&apart).cloned());
                let both = || format!("{} and {}", self.name(a), self.fabric.vm_of(b).name);
                if let (Some(one), Some(other)) = (&together, &apart) {
                    let rules = vec![one.clone(), other.clone()];
                    let what = format!("{} want {} together and apart", quoted(&rules), both());
                    self.report(rules, 2, what);
                    return;
                }
                let entry = |ix: PairIx| self.fabric.pairs[ix.at()].first_entry;
                let same = entry(a) == entry(b);
                let broken = together.filter(|_| !same).or_else(|| apart.filter(|_| same));
                if let Some(rule) = broken {
                    let word = if same { "apart" } else { "together" };
                    let what = format!(
                        "rule '{rule}' wants {} {word}, and the session's own entries are not",
                        both()
                    );
                    self.report(vec![rule], 3, what);
                }
            }
        }
        let allowed: Vec<Vec<Dc>> = pairs.iter().map(|&ix| self.allowed(ix)).collect();
        if binding.is_empty() || allowed.iter().any(Vec::is_empty) {
            return;
        }
        let mut tries = TRIES;
        if !self.assign(pairs, &allowed, &mut Vec::new(), &mut tries) {
            let rules: BTreeSet<String> = pairs.iter().flat_map(|&ix| self.placing(ix)).collect();
            let rules: Vec<String> = rules.union(&binding).cloned().collect();
            let user = pairs.first().map(|&ix| self.fabric.user_name(ix).to_string());
            let what = format!(
                "{} cannot all be kept for the entries of {}",
                quoted(&rules),
                user.unwrap_or_default()
            );
            self.report(rules, 4, what);
        }
    }

    /// Whether the entries of one user can be laid out so that all bonds are kept.
    fn assign(&self, pairs: &[PairIx], allowed: &[Vec<Dc>], chosen: &mut Vec<Dc>, tries: &mut usize) -> bool {
        let at = chosen.len();
        let Some(&ix) = pairs.get(at) else { return true };
        for &dc in &allowed[at] {
            if *tries == 0 {
                return true;
            }
            *tries -= 1;
            let fits = pairs.iter().zip(chosen.iter()).all(|(&other, &there)| {
                let (together, apart) = self.fabric.scopes.bond(ix, other);
                (together.is_none() || there == dc) && (apart.is_none() || there != dc)
            });
            if fits {
                chosen.push(dc);
                if self.assign(pairs, allowed, chosen, tries) {
                    return true;
                }
                chosen.pop();
            }
        }
        false
    }

    /// Who may only be in some data centres fits into these, and who enters first by one fits into it.
    fn capacities(&mut self) {
        if self.fabric.scopes.capacity.is_empty() {
            return;
        }
        let mut demand: BTreeMap<Vec<Dc>, u64> = BTreeMap::new();
        let mut first: BTreeMap<Dc, u64> = BTreeMap::new();
        for at in 0..self.fabric.pairs.len() as u32 {
            let ix = PairIx(at);
            let pair = self.fabric.pairs[ix.at()];
            let size = u64::from(self.fabric.users[pair.user as usize].size);
            *demand.entry(self.allowed(ix)).or_default() += size;
            *first.entry(pair.first_entry).or_default() += size;
        }
        for set in demand.keys().filter(|set| !set.is_empty()) {
            let room = set.iter().map(|dc| self.fabric.scopes.capacity.get(dc));
            let Some(room) = room.collect::<Option<Vec<_>>>() else {
                continue;
            };
            let most = room
                .iter()
                .fold(0_u64, |sum, (most, _)| sum.saturating_add(*most));
            let inside = demand
                .iter()
                .filter(|(other, _)| other.iter().all(|dc| set.contains(dc)));
            let users: u64 = inside.map(|(_, users)| users).sum();
            if users > most {
                let rules: BTreeSet<String> = room.iter().map(|(_, rule)| self.rule(*rule)).collect();
                let rules: Vec<String> = rules.into_iter().collect();
                let what = format!(
                    "{} leave room for {most} users in {}, and {users} may be nowhere else",
                    quoted(&rules),
                    self.sites(set)
                );
                self.report(rules, 5, what);
            }
        }
        for (dc, users) in first {
            if let Some(&(most, rule)) = self.fabric.scopes.capacity.get(&dc)
                && users > most
            {
                let rule = self.rule(rule);
                let what = format!(
                    "rule '{rule}' lets {most} users enter by {}, and the session lets {users} enter there",
                    self.sites(&[dc])
                );
                self.report(vec![rule], 6, what);
            }
        }
    }

    fn allowed(&self, ix: PairIx) -> Vec<Dc> {
        let open =
            |dc: &Dc| self.fabric.scopes.may_be(ix, *dc) && !self.fabric.scopes.drained.contains_key(dc);
        self.fabric.dcs().filter(open).collect()
    }

    /// Rules that say where an entry may be.
    fn placing(&self, ix: PairIx) -> Vec<String> {
        let rules = self.fabric.config.calm.rules.iter();
        let places = |kind: &RuleKind| match kind {
            RuleKind::Pin { who, .. } | RuleKind::Exclude { who, .. } => selects(&self.fabric, who, ix),
            RuleKind::Drain { sites } => !sites.is_empty(),
            RuleKind::Affinity { .. } | RuleKind::AntiAffinity { .. } | RuleKind::Capacity { .. } => false,
        };
        rules
            .filter(|rule| places(&rule.kind))
            .map(|rule| rule.name.clone())
            .collect()
    }

    /// Pins and exclusions that keep an entry from a data centre.
    fn against(&self, ix: PairIx, dc: Dc) -> Vec<String> {
        let site = &self.fabric.sites[dc.at()].name;
        let keeps = |kind: &RuleKind| match kind {
            RuleKind::Pin { who, sites } => !sites.contains(site) && selects(&self.fabric, who, ix),
            RuleKind::Exclude { who, sites } => sites.contains(site) && selects(&self.fabric, who, ix),
            _ => false,
        };
        let rules = self.fabric.config.calm.rules.iter();
        let rule = rules.filter(|rule| keeps(&rule.kind));
        rule.map(|rule| rule.name.clone()).take(1).collect()
    }

    fn report(&mut self, rules: Vec<String>, kind: u8, what: String) {
        self.found.entry((rules, kind)).or_insert(what);
    }

    fn rule(&self, rule: u16) -> String {
        let rule = self.fabric.config.calm.rules.get(usize::from(rule));
        rule.map_or_else(String::new, |rule| rule.name.clone())
    }

    fn name(&self, ix: PairIx) -> String {
        format!("{}/{}", self.fabric.user_name(ix), self.fabric.vm_of(ix).name)
    }

    fn sites(&self, set: &[Dc]) -> String {
        let names: Vec<&str> = set
            .iter()
            .map(|dc| self.fabric.sites[dc.at()].name.as_str())
            .collect();
        names.join(", ")
    }
}

/// `rule 'a'`, `rules 'a' and 'b'`.
fn quoted(rules: &[String]) -> String {
    let names: Vec<String> = rules.iter().map(|rule| format!("'{rule}'")).collect();
    match names.as_slice() {
        [one] => format!("rule {one}"),
        many => format!("rules {}", many.join(" and ")),
    }
}

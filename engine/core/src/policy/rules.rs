//! Where rules let an entry be, and when they want it away.

use proto::Timestamp;
use proto::policy::Hold;

use crate::Engine;
use crate::fabric::{Dc, PairIx};

/// Of the drain that staff asked for, which no rule names.
const DRAIN: &str = "drain";

/// What wants an entry away.
#[derive(Clone, Copy)]
enum Order {
    Drain,
    /// A pin or an exclusion.
    Place,
    /// A rule that binds it to another entry, by its number.
    Bond(u16),
}

/// What keeps an entry from a data centre. Words are made of it only where somebody reads them: the engine looks at
/// every data centre for every entry in trouble.
#[derive(Clone, Copy)]
enum Bar {
    Drained,
    /// A pin or an exclusion.
    Place,
    /// A rule of affinity, and the entry that cannot be there.
    Together {
        rule: u16,
        other: PairIx,
    },
    /// A rule of anti-affinity, and the entry that is there.
    Apart {
        rule: u16,
        other: PairIx,
    },
    /// A rule of capacity, the users there, and how many it lets in.
    Full {
        rule: u16,
        there: u64,
        most: u64,
    },
}

impl Engine {
    /// Whether rules let an entry be by `dc`; if not, which and why.
    pub(crate) fn may_enter(&self, ix: PairIx, dc: Dc) -> Result<(), Hold> {
        self.bar(ix, dc).map_or(Ok(()), |bar| Err(self.hold(ix, dc, bar)))
    }

    /// The same without words.
    pub(crate) fn is_enterable(&self, ix: PairIx, dc: Dc) -> bool {
        self.bar(ix, dc).is_none()
    }

    fn bar(&self, ix: PairIx, dc: Dc) -> Option<Bar> {
        if self.is_drained(dc) {
            return Some(Bar::Drained);
        }
        if !self.fabric.scopes.may_be(ix, dc) {
            return Some(Bar::Place);
        }
        let bond = self.fabric.scopes.is_bound(ix).then(|| self.bond_against(ix, dc));
        bond.flatten().or_else(|| self.fullness(ix, dc))
    }

    fn hold(&self, ix: PairIx, dc: Dc, bar: Bar) -> Hold {
        let label = self.fabric.label(dc);
        let vm = |ix| &self.fabric.vm_of(ix).name;
        let (rule, why) = match bar {
            Bar::Drained => (
                self.drained(dc).unwrap_or_default(),
                format!("{label} is being drained"),
            ),
            Bar::Place => (
                self.rule_against(ix, dc),
                format!("{} may not enter by {label}", self.fabric.user_name(ix)),
            ),
            Bar::Together { rule, other } => (
                self.rule_name(rule),
                format!(
                    "{} and {1} stay together, and {1} cannot be there",
                    vm(ix),
                    vm(other)
                ),
            ),
            Bar::Apart { rule, other } => (
                self.rule_name(rule),
                format!("{} and {1} stay apart, and {1} is there", vm(ix), vm(other)),
            ),
            Bar::Full { rule, there, most } => (
                self.rule_name(rule),
                format!("{label} holds {there} of {most} users"),
            ),
        };
        Hold::Rule { rule, why }
    }

    /// The rule that wants an entry away from where it is, if somewhere else is allowed.
    pub(crate) fn must_leave(&self, ix: PairIx) -> Option<String> {
        Some(match self.order_away(ix)? {
            Order::Drain => self.drained(self.pairs[ix.at()].entry())?,
            Order::Place => self.rule_against(ix, self.pairs[ix.at()].entry()),
            Order::Bond(rule) => self.rule_name(rule),
        })
    }

    /// Whether a rule wants an entry away from where it is.
    pub(crate) fn is_ordered_away(&self, ix: PairIx) -> bool {
        self.order_away(ix).is_some()
    }

    fn order_away(&self, ix: PairIx) -> Option<Order> {
        let entry = self.pairs[ix.at()].entry();
        if self.is_drained(entry) {
            return Some(Order::Drain);
        }
        if !self.fabric.scopes.may_be(ix, entry) {
            return Some(Order::Place);
        }
        if !self.fabric.scopes.is_bound(ix) {
            return None;
        }
        // Of two that are bound, the first in order stays and the other follows or makes room.
        self.siblings(ix).filter(|&other| other < ix).find_map(|other| {
            let (together, apart) = self.fabric.scopes.bond(ix, other);
            let same = self.pairs[other.at()].entry() == entry;
            let settled = self.pairs[other.at()].flight.is_none();
            match (together, apart) {
                (Some(rule), _) if !same && settled => Some(Order::Bond(rule)),
                (_, Some(rule)) if same => Some(Order::Bond(rule)),
                _ => None,
            }
        })
    }

    /// Whether a rule or a command drains a data centre.
    pub(crate) fn is_drained(&self, dc: Dc) -> bool {
        self.fabric.scopes.drained.contains_key(&dc) || self.is_drained_by_staff(dc)
    }

    /// The rule or command that drains a data centre.
    pub(crate) fn drained(&self, dc: Dc) -> Option<String> {
        self.drained_by_session(dc)
            .or_else(|| self.is_drained_by_staff(dc).then(|| DRAIN.to_owned()))
    }

    /// The session's rule that drains a data centre. Only a changed session lifts it.
    pub(crate) fn drained_by_session(&self, dc: Dc) -> Option<String> {
        let rule = self.fabric.scopes.drained.get(&dc)?;
        Some(self.rule_name(*rule))
    }

    /// Whether staff drain a data centre, beside what the session says of it.
    pub(crate) fn is_drained_by_staff(&self, dc: Dc) -> bool {
        self.calm.drains.iter().any(|drain| drain.dc == dc)
    }

    /// Pins, exclusions and drains alone: what is left when nobody else is in the way.
    pub(crate) fn is_permitted(&self, ix: PairIx, dc: Dc) -> bool {
        self.fabric.scopes.may_be(ix, dc) && !self.is_drained(dc)
    }

    /// Whether a backup is one of the last: its link is suppressed, or it has no room. Either is better than nothing.
    pub(crate) fn is_second_choice(&self, ix: PairIx, dc: Dc, now: Timestamp) -> bool {
        self.calm.flaps.locator_until(self.link(ix, dc), now).is_some() || self.fullness(ix, dc).is_some()
    }

    /// Whether rules let a VM live at `dc`; if not, which and why. Its users would enter there, so what binds their
    /// entries binds its place: pins, exclusions, drains, room for all of them, and the places of VMs it is bound to.
    pub(crate) fn may_live(&self, vm: u32, dc: Dc) -> Result<(), Hold> {
        let (name, label) = (&self.fabric.vms[vm as usize].name, self.fabric.label(dc));
        if let Some(rule) = self.drained(dc) {
            return Err(hold(rule, format!("{label} is being drained")));
        }
        let users = self.fabric.pairs_with(vm);
        for &ix in &users {
            if !self.fabric.scopes.may_be(ix, dc) {
                let why = format!(
                    "{name} may not live at {label}, where {} may not enter",
                    self.fabric.user_name(ix)
                );
                return Err(hold(self.rule_against(ix, dc), why));
            }
            for other in self.siblings(ix) {
                let (together, apart) = self.fabric.scopes.bond(ix, other);
                let that = self.fabric.vm_of(other);
                let there = that.home == Some(dc);
                match (together, apart) {
                    (Some(rule), _) if !there => {
                        let why = format!("{name} and {0} stay together, and {0} is not there", that.name);
                        return Err(hold(self.rule_name(rule), why));
                    }
                    (_, Some(rule)) if there => {
                        let why = format!("{name} and {0} stay apart, and {0} is there", that.name);
                        return Err(hold(self.rule_name(rule), why));
                    }
                    _ => {}
                }
            }
        }
        let Some(&(most, rule)) = self.fabric.scopes.capacity.get(&dc) else {
            return Ok(());
        };
        let coming: u64 = users
            .iter()
            .filter(|&&ix| self.pairs[ix.at()].entry() != dc)
            .map(|&ix| self.size(ix))
            .sum();
        let there = self.load(dc, None);
        if there.saturating_add(coming) <= most {
            return Ok(());
        }
        let why = format!("{label} holds {there} of {most} users, and {coming} would come with {name}");
        Err(hold(self.rule_name(rule), why))
    }

    /// Affinity and anti-affinity with the user's other entries.
    fn bond_against(&self, ix: PairIx, dc: Dc) -> Option<Bar> {
        let entry = self.pairs[ix.at()].entry();
        self.siblings(ix).find_map(|other| {
            let (together, apart) = self.fabric.scopes.bond(ix, other);
            let pair = &self.pairs[other.at()];
            let there = pair.entry();
            let bound_for = pair
                .flight
                .as_ref()
                .and_then(|flight| flight.to())
                .unwrap_or(there);
            // The first in order leads, to where all may be; the others follow it.
            let leads = ix < other && (bound_for == entry || bound_for == dc);
            let joins = if leads {
                self.is_permitted(other, dc)
            } else {
                bound_for == dc
            };
            match (together, apart) {
                (Some(rule), _) if !joins => Some(Bar::Together { rule, other }),
                (_, Some(rule)) if there == dc || bound_for == dc => Some(Bar::Apart { rule, other }),
                _ => None,
            }
        })
    }

    fn fullness(&self, ix: PairIx, dc: Dc) -> Option<Bar> {
        let &(most, rule) = self.fabric.scopes.capacity.get(&dc)?;
        let there = self.load(dc, Some(ix));
        let fits = there.saturating_add(self.size(ix)) <= most;
        (!fits).then_some(Bar::Full { rule, there, most })
    }

    /// How many people an entry is of.
    pub(crate) fn size(&self, ix: PairIx) -> u64 {
        u64::from(self.fabric.users[self.fabric.pairs[ix.at()].user as usize].size)
    }

    /// The other entries of the same user.
    pub(crate) fn siblings(&self, ix: PairIx) -> impl Iterator<Item = PairIx> + use<> {
        let user = self.fabric.pairs[ix.at()].user;
        self.fabric.pairs_of(user).filter(move |&other| other != ix)
    }

    fn rule_name(&self, rule: u16) -> String {
        let rule = self.fabric.config.calm.rules.get(usize::from(rule));
        rule.map_or_else(String::new, |rule| rule.name.clone())
    }

    /// The pin or exclusion that keeps an entry from a data centre. Slow; for words only.
    fn rule_against(&self, ix: PairIx, dc: Dc) -> String {
        use crate::config::RuleKind;
        let site = &self.fabric.sites[dc.at()].name;
        let against = |kind: &RuleKind| match kind {
            RuleKind::Pin { who, sites } => {
                !sites.contains(site) && super::scope::selects(&self.fabric, who, ix)
            }
            RuleKind::Exclude { who, sites } => {
                sites.contains(site) && super::scope::selects(&self.fabric, who, ix)
            }
            RuleKind::Affinity { .. }
            | RuleKind::AntiAffinity { .. }
            | RuleKind::Capacity { .. }
            | RuleKind::Drain { .. } => false,
        };
        let rules = &self.fabric.config.calm.rules;
        let rule = rules.iter().find(|rule| against(&rule.kind));
        rule.map_or_else(String::new, |rule| rule.name.clone())
    }
}

fn hold(rule: String, why: String) -> Hold {
    Hold::Rule { rule, why }
}

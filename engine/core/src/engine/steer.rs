//! Commands that set policy while the engine runs: modes of parts of the fabric, disarming, drains, forgiving.

use proto::policy::{Arming, Disarmed, FlapKey, Scope};
use proto::text::{LONGEST_REASON, is_unseen};
use proto::{Actor, Mode, Refusal, Severity, SiteName, UserName, VmName};

use super::Engine;
use super::ask::{name_of, unknown};
use crate::fabric::{Dc, PairIx};
use crate::outbox::Outbox;
use crate::policy::state::Drain;

impl Engine {
    pub(super) fn ask_mode_at(
        &mut self,
        (scope, mode): (Scope, Option<Mode>),
        by: &Actor,
        out: &mut Outbox,
    ) -> Result<String, Refusal> {
        if scope == Scope::All {
            let why = "the mode of everything is set by `mode`, without a scope".to_owned();
            return Err(Refusal::NotSo { why });
        }
        // By whichever name it was meant.
        let scope = match scope {
            Scope::Dc { dc } => Scope::Dc {
                dc: self.fabric.sites[self.known_dc(&dc)?.at()].name.clone(),
            },
            other => other,
        };
        self.is_known(&scope)?;
        self.calm.modes.retain(|(known, _)| *known != scope);
        let what = match mode {
            Some(mode) => {
                self.calm.modes.push((scope.clone(), mode));
                self.calm.modes.sort();
                format!("the mode of {scope} is {mode}")
            }
            None => format!("{scope} goes by the mode of the session or of what is around it"),
        };
        self.log_word(Severity::Info, format!("{what}, set by {}", name_of(by)), out);
        self.policy_changed();
        self.look_again("the engine only observes there now", out);
        Ok(what)
    }

    pub(super) fn ask_disarm(&mut self, how: Disarmed, by: &Actor, out: &mut Outbox) -> String {
        if matches!(&self.calm.arming, Arming::Disarmed { how: already, .. } if *already == how) {
            return format!("the engine is disarmed ({how}) already");
        }
        self.calm.arming = Arming::Disarmed {
            how,
            by: by.clone(),
            since: out.now,
        };
        self.policy_changed();
        let flying = self.pairs.iter().filter(|pair| pair.flight.is_some()).count();
        let rest = if flying == 0 {
            String::new()
        } else {
            format!("; {flying} under way will be confirmed or taken back")
        };
        let what = match how {
            Disarmed::Freeze => format!("disarmed: nothing moves until the engine is armed{rest}"),
            Disarmed::Ignore => format!("disarmed: only hands move until the engine is armed{rest}"),
        };
        self.log_word(Severity::Warning, format!("{what}; by {}", name_of(by)), out);
        what
    }

    pub(super) fn ask_arm(&mut self, by: &Actor, out: &mut Outbox) -> String {
        if self.calm.arming == Arming::Armed {
            return "the engine is armed already".to_owned();
        }
        self.calm.arming = Arming::Armed;
        self.policy_changed();
        self.log_word(Severity::Warning, format!("armed by {}", name_of(by)), out);
        for ix in (0..self.pairs.len() as u32).map(PairIx) {
            self.attend(ix, out);
        }
        self.close_anew(out);
        "the engine is armed: it moves what its modes let it".to_owned()
    }

    /// A drain of staff's own, beside one by the session: it needs no mode above recommend.
    pub(super) fn ask_drain(
        &mut self,
        site: &SiteName,
        by: Actor,
        out: &mut Outbox,
    ) -> Result<String, Refusal> {
        let dc = self.known_dc(site)?;
        let label = self.fabric.label(dc).to_owned();
        if self.is_drained_by_staff(dc) {
            return Ok(format!("{label} is being drained already"));
        }
        // Whoever is there must have somewhere to go by the rules; whether it can be used now is another matter.
        let all = || (0..self.pairs.len() as u32).map(PairIx);
        let stuck = all().find(|&ix| {
            let elsewhere = |to: Dc| to != dc && self.is_permitted(ix, to);
            self.fabric.scopes.may_be(ix, dc) && !self.fabric.dcs().any(elsewhere)
        });
        if let Some(ix) = stuck {
            let why = format!(
                "draining {label} would leave no data centre for {} of {}: see its pins, exclusions and other drains",
                self.fabric.vm_of(ix).name,
                self.fabric.user_name(ix),
            );
            return Err(Refusal::NotSo { why });
        }
        let there: Vec<PairIx> = all().filter(|ix| self.pairs[ix.at()].entry() == dc).collect();
        let (left, but) = (there.len(), self.what_keeps_a_drain(&there));
        let text = format!("{label} is being drained for {}: {left} to move", name_of(&by));
        self.calm.drains.push(Drain {
            dc,
            by,
            told_empty: false,
        });
        self.policy_changed();
        self.log_word(Severity::Warning, text, out);
        self.look_again("the data centre is being drained", out);
        self.close_anew(out);
        let beside = self.drained_by_session(dc).map_or_else(String::new, |rule| {
            format!("; so does rule '{rule}' of the session")
        });
        Ok(format!(
            "{label} is being drained: {left} to move, within the budgets{but}{beside}"
        ))
    }

    /// What keeps a drain from moving these, to be said with its answer.
    fn what_keeps_a_drain(&self, there: &[PairIx]) -> String {
        if self.is_frozen() {
            return "; nothing moves while the engine is disarmed".to_owned();
        }
        match there
            .iter()
            .filter(|&&ix| self.mode_of(ix, None).0 == Mode::Observe)
            .count()
        {
            0 => String::new(),
            watched => format!("; {watched} of them stay while their mode is observe"),
        }
    }

    /// Takes back what staff asked for; what the session says stays.
    pub(super) fn ask_undrain(
        &mut self,
        site: &SiteName,
        by: &Actor,
        out: &mut Outbox,
    ) -> Result<String, Refusal> {
        let dc = self.known_dc(site)?;
        let label = self.fabric.label(dc).to_owned();
        let rule = self.drained_by_session(dc);
        if !self.is_drained_by_staff(dc) {
            return match rule {
                None => Ok(format!("{label} is not being drained")),
                Some(rule) => Err(Refusal::NotSo {
                    why: format!("{label} is drained by rule '{rule}' of the session: change it there"),
                }),
            };
        }
        self.calm.drains.retain(|drain| drain.dc != dc);
        let what = match rule {
            None => format!("{label} may be entered again"),
            Some(rule) => {
                format!(
                    "staff no longer drain {label}, but rule '{rule}' of the session does: change it there"
                )
            }
        };
        self.policy_changed();
        self.log_word(Severity::Info, format!("{what}; by {}", name_of(by)), out);
        self.look_again("the drain was taken back", out);
        self.close_anew(out);
        Ok(what)
    }

    pub(super) fn ask_forgive(
        &mut self,
        key: &FlapKey,
        by: &Actor,
        out: &mut Outbox,
    ) -> Result<String, Refusal> {
        let forgiven = match key {
            FlapKey::Entry { user, vm } => {
                let ix = self.known_pair(user, vm)?;
                self.calm.flaps.entries.remove(&ix).is_some()
            }
            FlapKey::Locator { user, dc } => {
                let at = self.known_user(user)?;
                let link = self.fabric.link(at, self.known_dc(dc)?);
                self.calm.flaps.locators.remove(&link).is_some()
            }
        };
        if !forgiven {
            return Ok(format!("{key} has no penalty"));
        }
        self.policy_changed();
        self.log_word(
            Severity::Info,
            format!("flaps of {key} forgiven by {}", name_of(by)),
            out,
        );
        if let FlapKey::Entry { user, vm } = key
            && let Ok(ix) = self.known_pair(user, vm)
        {
            self.attend(ix, out);
            if let Some(until) = self.pairs[ix.at()]
                .gates
                .cools_until(crate::policy::Need::Soft, out.now)
            {
                let left = until.since(out.now).as_secs_f64().ceil();
                return Ok(format!(
                    "flaps of {key} are forgiven; it still cools down for {left} s"
                ));
            }
        }
        Ok(format!("flaps of {key} are forgiven"))
    }

    /// The reason for which the glass is broken, fit for a line.
    pub(super) fn reason_given(reason: &str) -> Result<String, Refusal> {
        let text: String = reason
            .chars()
            .filter(|&c| !is_unseen(c))
            .take(LONGEST_REASON)
            .collect();
        let text = text.trim().to_owned();
        if text.is_empty() {
            let why = "breaking the glass needs a reason: it goes on the record".to_owned();
            return Err(Refusal::NotSo { why });
        }
        Ok(text)
    }

    /// By its name, or by the label that screens show if only one has it.
    pub(crate) fn known_dc(&self, site: &SiteName) -> Result<Dc, Refusal> {
        let label = site.as_str();
        let mut labelled = self.fabric.dcs().filter(|&dc| self.fabric.label(dc) == label);
        match (self.named_dc(site), labelled.next(), labelled.next()) {
            (Err(_), Some(only), None) => Ok(only),
            (named, ..) => named,
        }
    }

    fn named_dc(&self, site: &SiteName) -> Result<Dc, Refusal> {
        self.fabric.dc(site).ok_or_else(|| {
            let known = self.fabric.sites.iter().map(|site| &site.name);
            unknown("data centre", site, known)
        })
    }

    pub(crate) fn known_user(&self, user: &UserName) -> Result<u32, Refusal> {
        self.fabric
            .user(user)
            .ok_or_else(|| unknown("user", user, self.fabric.users.iter().map(|user| &user.name)))
    }

    pub(crate) fn known_pair(&self, user: &UserName, vm: &VmName) -> Result<PairIx, Refusal> {
        let at = self.known_user(user)?;
        let mut pairs = self.fabric.pairs_of(at);
        pairs
            .find(|&ix| self.fabric.vm_of(ix).name == *vm)
            .ok_or_else(|| {
                let known: Vec<_> = self
                    .fabric
                    .pairs_of(at)
                    .map(|ix| &self.fabric.vm_of(ix).name)
                    .collect();
                unknown("VM of this user", vm, known.into_iter())
            })
    }

    pub(super) fn is_known(&self, scope: &Scope) -> Result<(), Refusal> {
        match scope {
            Scope::All => Ok(()),
            Scope::Dc { dc } => self.named_dc(dc).map(|_| ()),
            Scope::User { user } => self.known_user(user).map(|_| ()),
            Scope::Vm { vm } => {
                let known = || self.fabric.vms.iter().map(|vm| &vm.name);
                let found = known().any(|name| name == vm);
                found.then_some(()).ok_or_else(|| unknown("VM", vm, known()))
            }
            Scope::Tenant { tenant } => {
                let config = &self.fabric.config;
                let users = config.users.values().map(|user| &user.traits);
                let traits = users.chain(config.vms.values().map(|vm| &vm.traits));
                let known: std::collections::BTreeSet<_> =
                    traits.filter_map(|traits| traits.tenant.as_ref()).collect();
                let found = known.contains(tenant);
                found
                    .then_some(())
                    .ok_or_else(|| unknown("tenant", tenant, known.into_iter()))
            }
        }
    }

    /// Every entry is looked at; open proposals that the mode there no longer allows are taken off the table.
    fn look_again(&mut self, why: &str, out: &mut Outbox) {
        for ix in (0..self.pairs.len() as u32).map(PairIx) {
            if self.mode_of(ix, None).0 == Mode::Observe {
                self.supersede(ix, why, out);
            }
            self.attend(ix, out);
        }
    }
}

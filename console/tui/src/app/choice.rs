//! What the cursor is on, as an answer or a reason why there is none.

use proto::policy::FlapRow;
use proto::{Command, FlapKey, LinkId, ProposalId, ProposalState, Scope, SiteName, UserName, VmName};

use super::App;
use crate::keymap::{Intent, key_of};
use crate::layout::PaneKind;

/// A line of the policy pane that the cursor can be on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PolicyItem {
    Flap(FlapKey),
    Drain(SiteName),
    Mode(Scope),
}

/// What is to be done in spite of policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GlassOf {
    Approve(ProposalId),
    Switch(UserName),
}

/// The row under the cursor: a user's entry, a data centre, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) user: Option<UserName>,
    pub(crate) vms: Vec<VmName>,
    pub(crate) dc: Option<SiteName>,
}

impl App {
    /// The question why the selected row is not moved: of a proposal, of a locator, or of a link.
    pub(crate) fn why_of_row(&self) -> Result<Command, String> {
        if self.focus == PaneKind::Proposals && self.has_pane(PaneKind::Proposals) {
            let proposal = self.selected_proposal().ok_or("there is no proposal")?;
            return Ok(Command::Why {
                user: proposal.user.clone(),
                vm: Some(proposal.vm.clone()),
                to: Some(proposal.to.clone()),
            });
        }
        if let Some(PolicyItem::Flap(key)) = self.policy_item() {
            return Ok(match key {
                FlapKey::Entry { user, vm } => Command::Why {
                    user,
                    vm: Some(vm),
                    to: None,
                },
                FlapKey::Locator { user, dc } => Command::Why {
                    user,
                    vm: None,
                    to: Some(dc),
                },
            });
        }
        let link = self.link_of_row()?;
        let row = self.shown().and_then(|world| world.links.get(link));
        let carried = row.map(|link| link.row.carries.as_slice()).unwrap_or_default();
        if self.focus == PaneKind::Rlocs
            && let Some(row) = self.rloc_of_row()
        {
            return Ok(Command::Why {
                user: row.user.clone(),
                vm: Some(row.vm.clone()),
                to: Some(row.dc.clone()),
            });
        }
        // Of the way in use the question is why not another; of another, why not this.
        Ok(Command::Why {
            user: link.user.clone(),
            vm: carried.first().cloned(),
            to: carried.is_empty().then(|| link.dc.clone()),
        })
    }

    /// User and data centre under the cursor.
    pub(crate) fn row_of_choice(&self) -> Result<Row, String> {
        match self.policy_item() {
            Some(PolicyItem::Flap(FlapKey::Entry { user, vm })) => {
                return Ok(Row {
                    user: Some(user),
                    vms: vec![vm],
                    dc: None,
                });
            }
            Some(PolicyItem::Flap(FlapKey::Locator { user, dc })) => {
                return Ok(Row {
                    vms: self.vms_of(&user),
                    user: Some(user),
                    dc: Some(dc),
                });
            }
            Some(PolicyItem::Drain(dc)) => {
                return Ok(Row {
                    user: None,
                    vms: Vec::new(),
                    dc: Some(dc),
                });
            }
            Some(PolicyItem::Mode(_)) | None => {}
        }
        if self.focus == PaneKind::Rlocs
            && let Some(row) = self.rloc_of_row()
        {
            return Ok(Row {
                user: Some(row.user.clone()),
                vms: vec![row.vm.clone()],
                dc: Some(row.dc.clone()),
            });
        }
        if self.focus == PaneKind::Proposals
            && let Some(proposal) = self.selected_proposal()
        {
            return Ok(Row {
                user: Some(proposal.user.clone()),
                vms: vec![proposal.vm.clone()],
                dc: Some(proposal.from.clone()),
            });
        }
        let link = self.link_of_row()?;
        Ok(Row {
            user: Some(link.user.clone()),
            vms: self.vms_of(&link.user),
            dc: Some(link.dc.clone()),
        })
    }

    /// The data centre under the cursor.
    pub(crate) fn dc_of_row(&self) -> Result<SiteName, String> {
        let none = || "there is no data centre on this line; choose a link or a drain".to_owned();
        self.row_of_choice()?.dc.ok_or_else(none)
    }

    /// Lines of the flap ledger that the row is about.
    pub(crate) fn flaps_of_row(&self) -> Result<Vec<&FlapRow>, String> {
        let world = self.shown().ok_or("the engine has not said anything yet")?;
        let flaps = world.policy.flaps.iter();
        if let Some(PolicyItem::Flap(key)) = self.policy_item() {
            return Ok(flaps.filter(|flap| flap.key == key).collect());
        }
        let user = self
            .row_of_choice()?
            .user
            .ok_or("there is no user on this line")?;
        let of_user: Vec<&FlapRow> = flaps
            .filter(|flap| match &flap.key {
                FlapKey::Entry { user: of, .. } | FlapKey::Locator { user: of, .. } => *of == user,
            })
            .collect();
        if of_user.is_empty() {
            return Err(format!(
                "{user} has no flaps on the ledger: there is nothing to forgive"
            ));
        }
        Ok(of_user)
    }

    /// What breaking the glass would do here.
    pub(crate) fn glass_of_row(&self) -> Result<GlassOf, String> {
        if self.focus == PaneKind::Proposals && self.has_pane(PaneKind::Proposals) {
            let proposal = self.selected_proposal().ok_or("there is no proposal")?;
            if proposal.state == ProposalState::Open {
                return Ok(GlassOf::Approve(proposal.id));
            }
            return Err(format!(
                "#{} is {}; only open proposals can be approved",
                proposal.id.0,
                proposal.state.word()
            ));
        }
        let user = self.link_of_row()?.user.clone();
        if self.vms_of(&user).is_empty() {
            return Err(format!("{user} uses no VM"));
        }
        Ok(GlassOf::Switch(user))
    }

    /// Parts of the fabric that the row belongs to, the most specific first.
    pub(crate) fn parts_of_row(&self) -> Result<Vec<Scope>, String> {
        if let Some(PolicyItem::Mode(scope)) = self.policy_item() {
            return Ok(vec![scope]);
        }
        let row = self.row_of_choice()?;
        let user = row.user.map(|user| Scope::User { user });
        let vms = row.vms.into_iter().map(|vm| Scope::Vm { vm });
        let dc = row.dc.map(|dc| Scope::Dc { dc });
        Ok(user.into_iter().chain(vms).chain(dc).collect())
    }

    pub(crate) fn link_of_row(&self) -> Result<&LinkId, String> {
        if !self.has_pane(PaneKind::Links) {
            return Err(format!(
                "there is no links table on this screen; {} changes the layout",
                key_of(Intent::Layout)
            ));
        }
        let none = || "there is no link to choose a user by".to_owned();
        self.table.selected().ok_or_else(none)
    }

    /// The line of the log under the cursor: the one at the top, newest first from where it is scrolled to.
    pub(crate) fn line_of_log(&self) -> Option<&proto::LogEntry> {
        self.shown()?.log.iter().rev().nth(self.log_back)
    }

    /// The VMs that a user has.
    pub(crate) fn vms_of(&self, user: &UserName) -> Vec<VmName> {
        let rows = self.shown().and_then(|world| world.rlocs.get(user));
        let mut vms: Vec<VmName> = rows.into_iter().flatten().map(|row| row.vm.clone()).collect();
        vms.sort();
        vms.dedup();
        vms
    }

    /// The locator under the cursor of its pane.
    fn rloc_of_row(&self) -> Option<&proto::RlocRow> {
        let user = &self.table.selected()?.user;
        let rows = super::world::by_use(self.shown()?.rlocs.get(user)?);
        rows.get(self.rlocs_down).copied()
    }

    /// Lines of the policy pane that the cursor can be on, in their order.
    pub(crate) fn policy_items(&self) -> Vec<PolicyItem> {
        let Some(world) = self.shown() else {
            return Vec::new();
        };
        let policy = &world.policy;
        let modes = policy.modes.iter().map(|row| PolicyItem::Mode(row.scope.clone()));
        let mut flaps: Vec<&FlapKey> = policy.flaps.iter().map(|row| &row.key).collect();
        // By name, not by penalty: penalties fall by themselves, and nothing may jump.
        flaps.sort();
        let flaps = flaps.into_iter().map(|key| PolicyItem::Flap(key.clone()));
        let mut drained: Vec<&SiteName> = policy.drains.iter().map(|row| &row.dc).collect();
        drained.sort();
        // One that the session and staff both drain is one line.
        drained.dedup();
        let drains = drained.into_iter().map(|dc| PolicyItem::Drain(dc.clone()));
        modes.chain(flaps).chain(drains).collect()
    }

    /// The line under the cursor of the policy pane, where keys go to it.
    pub(crate) fn policy_item(&self) -> Option<PolicyItem> {
        if self.focus != PaneKind::Policy || !self.has_pane(PaneKind::Policy) {
            return None;
        }
        let items = self.policy_items();
        let kept = self.policy_at.as_ref().filter(|at| items.contains(at)).cloned();
        kept.or_else(|| items.first().cloned())
    }
}

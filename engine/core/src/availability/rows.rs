//! What consoles are told of accounts.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use proto::Timestamp;
use proto::availability::{AvailabilityReport, AvailabilityRow, ContractRow, Horizon, Owed, Subject};

use super::account::Account;
use super::{ALL_TOLD_EVERY, Accounts, TOLD_EVERY, Whose, contract, contract_of};
use crate::fabric::{Fabric, PairIx};

/// Entries that are told, those with the most downtime first.
const ENTRIES: usize = 200;

impl Accounts {
    /// VMs, locators, and the worst of the entries.
    pub(crate) fn report(&self, fabric: &Fabric) -> AvailabilityReport {
        let mut entries: Vec<PairIx> = (0..self.pairs.len() as u32).map(PairIx).collect();
        entries.sort_by_cached_key(|pair| {
            let account = &self.pairs[pair.at()];
            let year = account.tally(Horizon::RollingYear, self.settled);
            (Reverse(year.down), Reverse(year.unknown), *pair)
        });
        let left_out = entries.len().saturating_sub(ENTRIES) as u64;
        let vms = (0..self.vms.len() as u32).map(Whose::Vm);
        let locators = fabric.dcs().map(Whose::Locator);
        let entries = entries.into_iter().take(ENTRIES).map(Whose::Entry);
        AvailabilityReport {
            rows: vms
                .chain(locators)
                .chain(entries)
                .map(|whose| self.row(fabric, whose))
                .collect(),
            left_out,
        }
    }

    /// At most `most` of all accounts, of VMs, locators and entries in the order of the session, from the `from`th on, and
    /// where the next page begins.
    pub(crate) fn page(&self, fabric: &Fabric, from: u64, most: u32) -> (Vec<AvailabilityRow>, Option<u64>) {
        let vms = (0..self.vms.len() as u32).map(Whose::Vm);
        let locators = fabric.dcs().map(Whose::Locator);
        let entries = (0..self.pairs.len() as u32).map(|at| Whose::Entry(PairIx(at)));
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let mut rest = vms.chain(locators).chain(entries).skip(from);
        let rows: Vec<AvailabilityRow> = rest
            .by_ref()
            .take(most as usize)
            .map(|whose| self.row(fabric, whose))
            .collect();
        let next = rest.next().map(|_| (from + rows.len()) as u64);
        (rows, next)
    }

    /// What consoles are to be told now.
    pub(crate) fn rows_due(&mut self, fabric: &Fabric, now: Timestamp) -> Vec<AvailabilityRow> {
        if now >= self.all_told_at + ALL_TOLD_EVERY {
            (self.all_told_at, self.told_at) = (now, now);
            self.untold.clear();
            return self.report(fabric).rows;
        }
        if self.untold.is_empty() || now < self.told_at + TOLD_EVERY {
            return Vec::new();
        }
        self.told_at = now;
        let untold = std::mem::take(&mut self.untold);
        // Vms and locators come first; of very many entries the rest is told with all.
        let most = self.vms.len() + self.locators.len() + ENTRIES;
        untold
            .into_iter()
            .take(most)
            .map(|whose| self.row(fabric, whose))
            .collect()
    }

    fn row(&self, fabric: &Fabric, whose: Whose) -> AvailabilityRow {
        let (subject, account) = match whose {
            Whose::Vm(vm) => (
                Subject::Vm {
                    vm: fabric.vms[vm as usize].name.clone(),
                },
                &self.vms[vm as usize],
            ),
            Whose::Locator(dc) => (
                Subject::Locator {
                    dc: fabric.sites[dc.at()].name.clone(),
                },
                &self.locators[dc.at()],
            ),
            Whose::Entry(pair) => (
                Subject::Entry {
                    user: fabric.user_name(pair).clone(),
                    vm: fabric.vm_of(pair).name.clone(),
                },
                &self.pairs[pair.at()],
            ),
        };
        let pairs = match whose {
            Whose::Vm(vm) => fabric.pairs_with(vm),
            Whose::Entry(pair) => vec![pair],
            Whose::Locator(_) => Vec::new(),
        };
        let periods = match whose {
            Whose::Entry(pair) => self
                .dues
                .get(&pair)
                .map(|dues| dues.periods.iter().copied().collect()),
            _ => None,
        };
        AvailabilityRow {
            subject,
            state: account.state(),
            since: account.turned_at(),
            at: self.settled,
            counted_from: self.begun,
            tallies: Horizon::ALL
                .map(|horizon| account.tally(horizon, self.settled))
                .into(),
            contract: strictest(fabric, &pairs),
            owed: self.owed(fabric, &pairs),
            periods: periods.unwrap_or_default(),
        }
    }

    fn owed(&self, fabric: &Fabric, pairs: &[PairIx]) -> Vec<Owed> {
        let mut units: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for &pair in pairs {
            let Some(contract) = contract_of(fabric, pair) else {
                continue;
            };
            let account: &Account = &self.pairs[pair.at()];
            let running = contract::penalty(contract, &account.tally(contract.per, self.settled));
            let ended = self.dues.get(&pair).map_or(0, |dues| dues.total);
            let sums = units.entry(&contract.unit).or_default();
            sums.0 = sums.0.saturating_add(running);
            sums.1 = sums.1.saturating_add(ended);
        }
        let owed = |(unit, (running, ended)): (&str, (u64, u64))| Owed {
            unit: unit.to_owned(),
            running,
            ended,
        };
        units.into_iter().map(owed).collect()
    }
}

/// The contract that asks for most.
fn strictest(fabric: &Fabric, pairs: &[PairIx]) -> Option<ContractRow> {
    let row = |&pair: &PairIx| {
        let contract = contract_of(fabric, pair)?;
        Some(ContractRow {
            sla: fabric.class_of(fabric.pairs[pair.at()].user).name.clone(),
            target: contract.target,
            per: contract.per,
        })
    };
    pairs
        .iter()
        .filter_map(row)
        .max_by_key(|row| (row.target, Reverse(row.per)))
}

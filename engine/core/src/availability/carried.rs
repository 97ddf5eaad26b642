//! Accounts that go on in an edited session.

use proto::availability::Reach;

use super::{Accounts, contract_of};
use crate::fabric::{Dc, Fabric};
use crate::places::Places;

impl Accounts {
    /// Accounts of the subjects that there still are. From the last moment counted until links are heard again nothing is
    /// known of them. What was owed under a contract in other units is left out.
    pub(crate) fn carried(
        &self,
        (before, fabric): (&Fabric, &Fabric),
        places: &Places,
        entries: Vec<Dc>,
    ) -> Self {
        let mut next = Self::new(fabric, entries, self.settled);
        next.begun = self.begun;
        places.dc_rows(&self.locators, &mut next.locators);
        places.vm_rows(&self.vms, &mut next.vms);
        places.pair_rows(&self.pairs, &mut next.pairs);
        let accounts = next
            .locators
            .iter_mut()
            .chain(&mut next.vms)
            .chain(&mut next.pairs);
        for account in accounts {
            account.turn(Reach::Unknown, self.settled);
        }
        for (&pair, dues) in &self.dues {
            let Some(to) = places.pair(pair) else { continue };
            let unit = |fabric, pair| contract_of(fabric, pair).map(|contract| &contract.unit);
            if unit(before, pair) == unit(fabric, to) {
                next.dues.insert(to, dues.clone());
            }
        }
        next
    }
}

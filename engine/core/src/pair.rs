//! One user's entry to one VM: where it enters, what is proposed, what is under way.

use lisp_wire::{Locator, Priority, Weight};
use proto::{ChangeId, ProposalId, RlocRow, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fabric::{Dc, Fabric, PairIx};
use crate::policy::{Gates, Need, Withheld};
use crate::proving::Provisional;
use crate::way::Way;

/// All locators of a view share alike among equals; priorities differ, so this is never used to share.
const WEIGHT: Weight = Weight(100);

/// What the user's xTR is known to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Known {
    /// It may hold anything: the view has not been told yet.
    #[default]
    Unsent,
    /// `node` was asked to tell it.
    Sent { change: ChangeId, node: Dc },
    /// It acknowledged.
    Confirmed,
    /// It did not; it is told again when its link comes back, and finds the view at its next Map-Request.
    Unanswered,
}

/// A switch under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flight {
    pub(crate) proposal: ProposalId,
    pub(crate) order: Vec<Dc>,
    /// Of these, the places the user was told never to use.
    #[serde(default)]
    pub(crate) closed: Vec<Dc>,
    pub(crate) need: Need,
    /// Of the last sending.
    pub(crate) change: ChangeId,
    /// The node that tells the user; `None` while none is connected.
    pub(crate) teller: Option<Dc>,
    pub(crate) deadline: Timestamp,
    pub(crate) broken_at: Option<Timestamp>,
    /// The switch that this one takes back.
    #[serde(default)]
    pub(crate) reverting: Option<Reverting>,
}

/// A switch that is taken back, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reverting {
    pub(crate) proposal: ProposalId,
    pub(crate) why: String,
}

impl Flight {
    /// The entry aimed at.
    pub(crate) fn to(&self) -> Option<Dc> {
        self.order.first().copied()
    }
}

/// The new link is watched for S'' after a switch (thesis section 5.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) until: Timestamp,
    pub(crate) proposal: ProposalId,
}

/// The state of one user and VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pair {
    /// The view as last confirmed (at first: as the session says), best first; never empty.
    pub(crate) order: Vec<Dc>,
    /// Of these, the places the user was last told never to use, in their order of names.
    #[serde(default)]
    pub(crate) closed: Vec<Dc>,
    pub(crate) known: Known,
    pub(crate) gates: Gates,
    /// The open one.
    pub(crate) proposal: Option<ProposalId>,
    /// When its card was last written.
    pub(crate) written_at: Timestamp,
    pub(crate) flight: Option<Box<Flight>>,
    pub(crate) watch: Option<Watch>,
    /// The last switch, until it has proved itself.
    #[serde(default)]
    pub(crate) provisional: Option<Box<Provisional>>,
    /// How the whole way stands, if it left its bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) way: Option<Way>,
    /// While a level is broken or a proposal is open, the facts are looked at again then.
    pub(crate) recheck_at: Option<Timestamp>,
    /// Its place in the agenda.
    pub(crate) due: Option<Timestamp>,
    /// Why nothing is proposed, as last said in the log.
    pub(crate) withheld: Option<Withheld>,
}

impl Pair {
    /// Enters where the session says; the other data centres follow in the order of names.
    pub(crate) fn new(fabric: &Fabric, ix: PairIx) -> Self {
        let first = fabric.pairs[ix.at()].first_entry;
        let mut order = Vec::with_capacity(fabric.sites.len());
        order.push(first);
        order.extend(fabric.dcs().filter(|&dc| dc != first));
        let forbids = |dc: Dc| !fabric.scopes.may_be(ix, dc) || fabric.scopes.drained.contains_key(&dc);
        Self {
            order,
            closed: fabric.dcs().filter(|&dc| dc != first && forbids(dc)).collect(),
            known: Known::Unsent,
            gates: Gates::default(),
            proposal: None,
            written_at: Timestamp::default(),
            flight: None,
            watch: None,
            provisional: None,
            way: None,
            recheck_at: None,
            due: None,
            withheld: None,
        }
    }

    /// The data centre entered by.
    pub(crate) fn entry(&self) -> Dc {
        self.order.first().copied().unwrap_or(Dc(0))
    }
}

/// Priorities as handed to a user: 1 for the best and so on, 254 from there. One that seems down to the probes stays
/// the last resort, since the user's own probes decide what it can use and a view without usable locators would cut it
/// off; 255 is for those that rules close, whose places in the set are kept so that it stays whole.
fn priorities<'a>(order: &'a [Dc], closed: &'a [Dc]) -> impl Iterator<Item = (Dc, Priority)> + 'a {
    let mut rank = 0_u8;
    order.iter().map(move |&dc| {
        if closed.contains(&dc) {
            return (dc, Priority::NEVER);
        }
        rank = rank.saturating_add(1).min(254);
        (dc, Priority(rank))
    })
}

/// A view as locators, and what of it is closed.
pub(crate) fn locators(fabric: &Fabric, order: &[Dc], closed: &[Dc]) -> Vec<Locator> {
    priorities(order, closed)
        .map(|(dc, priority)| Locator::unicast(fabric.sites[dc.at()].rloc, priority, WEIGHT))
        .collect()
}

/// A view as rows for consoles.
pub(crate) fn rows(fabric: &Fabric, ix: PairIx, (order, closed): (&[Dc], &[Dc])) -> Vec<RlocRow> {
    let vm = fabric.vm_of(ix);
    priorities(order, closed)
        .map(|(dc, priority)| RlocRow {
            user: fabric.user_name(ix).clone(),
            vm: vm.name.clone(),
            eid: vm.eid,
            dc: fabric.sites[dc.at()].name.clone(),
            rloc: fabric.sites[dc.at()].rloc,
            priority,
            weight: WEIGHT,
            home: vm.home == Some(dc),
        })
        .collect()
}

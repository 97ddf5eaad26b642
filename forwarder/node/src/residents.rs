//! Which EIDs run at this site, for engines that ask: where a VM lives is their business as soon as it moves.
//!
//! An EID runs here while this site registers it and it has not stopped to be moved. An engine names the EIDs that it
//! wants to know of; it is told of all of them at once, and then of each as it comes and goes.

use std::collections::BTreeMap;

use lisp_wire::EidPrefix;
use proto::NodeReport;
use proto::node::{Residence, ResidentRow};

use crate::context::Context;
use crate::input::{ClientId, Effect, To};
use crate::state::Standing;
use crate::xtr::Xtr;

/// What engines asked to be told of.
#[derive(Debug, Default)]
pub(crate) struct Residents {
    /// With what each was told last; what is not within the own EIDs is told nobody.
    told: BTreeMap<ClientId, BTreeMap<EidPrefix, Option<Residence>>>,
}

impl Residents {
    /// An engine wants to know of `eids` from now on, and of nothing it asked for before.
    pub(crate) fn asked(&mut self, client: ClientId, eids: Vec<EidPrefix>, xtr: &Xtr, cx: &mut Context<'_>) {
        self.told.remove(&client);
        if eids.is_empty() {
            return;
        }
        let eids = eids.into_iter();
        let known: BTreeMap<_, _> = eids.map(|eid| (eid, residence(&eid, xtr))).collect();
        let row = |(eid, residence): (&EidPrefix, &Option<Residence>)| row(*eid, *residence);
        let rows = known.iter().filter_map(row).collect();
        self.told.insert(client, known);
        tell(client, rows, cx);
    }

    /// An engine has gone.
    pub(crate) fn gone(&mut self, client: ClientId) {
        self.told.remove(&client);
    }

    /// Tells what has changed.
    pub(crate) fn tick(&mut self, xtr: &mut Xtr, cx: &mut Context<'_>) {
        let mut moved = xtr.database.take_moved();
        moved.append(&mut xtr.whereabouts.take_turned());
        if moved.is_empty() {
            return;
        }
        for (client, told) in &mut self.told {
            let mut rows = Vec::new();
            for block in &moved {
                let within = told.range_mut(*block..);
                for (eid, told) in within.take_while(|(eid, _)| block.contains(&eid.first())) {
                    let now = residence(eid, xtr);
                    if now != *told && block.covers(eid) {
                        *told = now;
                        rows.extend(row(*eid, now));
                    }
                }
            }
            if !rows.is_empty() {
                tell(*client, rows, cx);
            }
        }
    }
}

/// `None`: it is not within the own EIDs.
fn residence(eid: &EidPrefix, xtr: &Xtr) -> Option<Residence> {
    let (_, own) = xtr.database.covering(eid)?;
    let here = own.standing == Standing::Registered && !xtr.whereabouts.has_stopped(eid);
    Some(if here {
        Residence::Here { since: own.arrived }
    } else {
        Residence::Elsewhere
    })
}

fn row(eid: EidPrefix, residence: Option<Residence>) -> Option<ResidentRow> {
    residence.map(|residence| ResidentRow { eid, residence })
}

fn tell(client: ClientId, rows: Vec<ResidentRow>, cx: &mut Context<'_>) {
    cx.effects.push(Effect::Report {
        to: To::Client(client),
        reply_to: None,
        report: NodeReport::Residents { rows },
    });
}

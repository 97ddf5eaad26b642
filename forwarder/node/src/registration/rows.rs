//! Own EIDs at their Map-Servers, as they are shown.

use lisp_wire::EidPrefix;
use proto::inspect::OwnRegistrationRow;

use super::{Due, Registrations};
use crate::context::Context;
use crate::database::Database;
use crate::tables::{Rows, Window};

impl Registrations {
    /// Rows for `Show::OwnRegistrations`.
    pub(crate) fn rows(
        &self,
        window: &Window,
        database: &Database,
        cx: &Context<'_>,
    ) -> Rows<OwnRegistrationRow> {
        let refresh_in = self.timers.of(&Due::Round).map(|due| due.since(cx.now));
        let unanswered = |index: usize, eid: &EidPrefix| {
            let about = |open: &&super::Open| open.server == index && open.eids.contains(eid);
            // Few are under way at a time: those of one round.
            u32::try_from(self.open.values().filter(about).count()).unwrap_or(u32::MAX)
        };
        window.cut(database.registered_within(window).flat_map(|eid| {
            let told = window.key_after(Some(eid), |key| key.parse::<usize>().ok());
            let servers = cx.config.map_servers.iter().enumerate();
            servers
                .skip(told.map_or(0, |told| told + 1))
                .map(move |(index, server)| {
                    let acknowledged = self.acknowledged.get(&(index, eid));
                    let row = OwnRegistrationRow {
                        server: server.address,
                        eid,
                        acknowledged_ago: acknowledged.map(|at| cx.now.since(*at)),
                        unanswered: unanswered(index, &eid),
                        refresh_in,
                    };
                    (Some(eid), index, row)
                })
        }))
    }
}

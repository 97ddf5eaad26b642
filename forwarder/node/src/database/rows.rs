//! Own EIDs and who asked for them, as they are shown.

use lisp_wire::{EidPrefix, Locator, Rloc};
use proto::node::{DatabaseRow, RequesterRow};
use proto::{Audience, Span, Timestamp};

use super::{Database, Requester};
use crate::tables::{Rows, Window, beyond, read_rloc};

/// The row of everyone stands before those of single clients.
const EVERYONE: &str = "everyone";

impl Database {
    /// Rows for `Show::Database`.
    pub(crate) fn rows(&self, window: &Window) -> Rows<DatabaseRow> {
        let row = |eid: EidPrefix, audience, locators: &[Locator]| DatabaseRow {
            eid,
            audience,
            locators: locators.to_vec(),
        };
        window.cut(window.of(&self.own).flat_map(|(eid, own)| {
            let everyone = (!window.told(&eid)).then(|| {
                let row = row(eid, Audience::Everyone, &own.everyone);
                (Some(eid), EVERYONE.to_owned(), row)
            });
            let views = own
                .views
                .range(beyond(window.key_after(Some(eid), read_rloc)))
                .map(move |(rloc, locators)| {
                    let row = row(eid, Audience::Client { rloc: *rloc }, locators);
                    (Some(eid), rloc.to_string(), row)
                });
            everyone.into_iter().chain(views)
        }))
    }

    /// Rows for `Show::Requesters`. `told_by` says how each is told of changes.
    pub(crate) fn requester_rows(
        &self,
        window: &Window,
        now: Timestamp,
        told_by: impl Fn(&EidPrefix, &Rloc) -> &'static str,
    ) -> Rows<RequesterRow> {
        let told_by = &told_by;
        let askers = window.of(&self.own).flat_map(|(eid, own)| {
            let life = Span::secs(u64::from(own.ttl.0) * 60);
            let row = move |client: Rloc, asker: &Requester| RequesterRow {
                eid,
                client,
                source_eid: asker.source,
                ago: now.since(asker.at),
                expires_in: (asker.at + life).since(now),
                told_by: told_by(&eid, &client).to_owned(),
            };
            own.requesters
                .range(beyond(window.key_after(Some(eid), read_rloc)))
                .filter(move |(_, asker)| !own.lapsed(asker, now))
                .map(move |(client, asker)| (Some(eid), *client, row(*client, asker)))
        });
        window.cut(askers)
    }
}

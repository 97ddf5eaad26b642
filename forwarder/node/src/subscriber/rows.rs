//! What this node is subscribed to, as it is shown.

use proto::Timestamp;
use proto::inspect::{SubscribedRow, hex_nonce};

use super::{Standing, Subscriber};
use crate::tables::{Rows, Window};

impl Subscriber {
    /// Rows for `Show::Subscribed`.
    pub(crate) fn rows(&self, window: &Window, now: Timestamp) -> Rows<SubscribedRow> {
        let following = window.of(&self.held).filter(|(eid, _)| !window.told(eid));
        window.cut(following.map(|(eid, held)| {
            let row = SubscribedRow {
                eid,
                resolver: held.resolver,
                server: held.server,
                nonce: hex_nonce(held.last),
                there: held.mapping == Standing::There,
                renewed_in: self.renewals.of(&eid).map(|due| due.since(now)),
            };
            (Some(eid), "", row)
        }))
    }
}

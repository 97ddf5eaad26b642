//! Subscriptions as they are shown.

use lisp_wire::message::XtrId;
use proto::Timestamp;
use proto::inspect::{SubscriptionRow, hex_nonce, hex_xtr};

use super::Publisher;
use crate::tables::{Rows, Window, beyond};

impl Publisher {
    /// Rows for `Show::Subscriptions`.
    pub(crate) fn rows(&self, window: &Window, now: Timestamp) -> Rows<SubscriptionRow> {
        let read = |key: &str| u128::from_str_radix(key, 16).ok().map(XtrId);
        window.cut(window.of(&self.subscriptions).flat_map(|(eid, subscribers)| {
            let following = subscribers.range(beyond(window.key_after(Some(eid), read)));
            following.map(move |(xtr, subscription)| {
                let due = self.expiries.of(&(eid, *xtr));
                let row = SubscriptionRow {
                    eid,
                    asked: subscription.asked,
                    xtr_id: hex_xtr(*xtr),
                    site_id: subscription.site,
                    to: subscription.to.to_vec(),
                    nonce: hex_nonce(subscription.nonce),
                    unacknowledged: subscription.open.len(),
                    expires_in: due.map(|due| due.since(now)).unwrap_or_default(),
                };
                (Some(eid), hex_xtr(*xtr), row)
            })
        }))
    }
}

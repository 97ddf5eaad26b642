//! What is registered and subscribed here, as it is shown.

use lisp_wire::Rloc;
use proto::inspect::{SubscriptionRow, hex_xtr};
use proto::node::RegistrationRow;
use proto::{Span, Timestamp};

use super::{MapServer, Registrant, Registration};
use crate::tables::{Rows, Window};

/// An xTR registers as often (RFC 9301 section 8.2).
const PERIOD: Span = Span::secs(60);

impl MapServer {
    /// Rows for `Show::Registrations`.
    pub(crate) fn rows(&self, window: &Window, now: Timestamp) -> Rows<RegistrationRow> {
        window.cut(window.of(&self.registrations).flat_map(|(eid, registrants)| {
            // By their number: they are few, and have no short name.
            let told = window.key_after(Some(eid), |key| key.parse::<usize>().ok());
            registrants
                .iter()
                .enumerate()
                .skip(told.map_or(0, |told| told + 1))
                .map(move |(index, (registrant, registration))| {
                    let row = row(registrant, registration, now);
                    (Some(eid), index, row)
                })
        }))
    }

    /// Rows for `Show::Subscriptions`.
    pub(crate) fn subscription_rows(&self, window: &Window, now: Timestamp) -> Rows<SubscriptionRow> {
        self.publisher.rows(window, now)
    }
}

fn row(registrant: &Registrant, registration: &Registration, now: Timestamp) -> RegistrationRow {
    let due = registration.at + PERIOD;
    RegistrationRow {
        eid: registration.record.eid,
        locators: registration.record.locators.clone(),
        from: Rloc(registration.from),
        expires_in: (registration.at + registration.life).since(now),
        age: now.since(registration.at),
        refresh_in: (due > now).then(|| due.since(now)),
        ttl: registration.record.ttl,
        xtr_id: registrant.xtr.map(hex_xtr).unwrap_or_default(),
        proxy_reply: registration.proxy_reply,
    }
}

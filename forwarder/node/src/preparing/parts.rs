//! What is handed over, cut into parts that fit a datagram.

use std::collections::BTreeSet;

use lisp_wire::{Action, EidPrefix, Handed, HandedClient, MappingRecord, Nonce, Rloc, Ttl};
use proto::Timestamp;

use crate::cache::{Content, Mapping};
use crate::config::Right;
use crate::context::Context;
use crate::counters::Counter;
use crate::database::Own;
use crate::deliveries::Deliveries;
use crate::xtr::Xtr;

/// Sealed bytes of one part: with its headers it passes every path that LISP packets pass.
const MOST_BYTES: usize = 1100;
/// At most this many mappings of one client are handed over: those that its packets come by.
const MOST_MAPPINGS: usize = 4;

/// The parts for these clients of an EID. Somebody who speaks to nobody yet makes one part without clients: the
/// destination has to know all the same.
pub(super) fn of(
    (eid, own): (EidPrefix, &Own),
    clients: &BTreeSet<Rloc>,
    (xtr, deliveries): (&Xtr, &Deliveries),
    cx: &mut Context<'_>,
) -> Vec<Handed> {
    let highest = cx.nonces.last_timely();
    let mut parts = vec![empty(highest)];
    let mut room = MOST_BYTES;
    for client in clients {
        let mut piece = piece((eid, own), *client, (xtr, deliveries), cx);
        if piece
            .sealed_length()
            .is_ok_and(|length| length - LEAST > MOST_BYTES)
        {
            // It is asked for at the destination as if it had not been known here.
            piece.mappings.clear();
        }
        let Ok(length) = piece.sealed_length().map(|length| length - LEAST) else {
            cx.count(Counter::Unsendable);
            continue;
        };
        if length > room {
            parts.push(empty(highest));
            room = MOST_BYTES;
        }
        room = room.saturating_sub(length);
        if let Some(part) = parts.last_mut() {
            merge(part, piece);
        }
    }
    parts
}

/// Bytes of a part that hands over nothing.
const LEAST: usize = lisp_wire::sealed::SALT_BYTES + Handed::LEAST_BYTES;

fn empty(highest: Nonce) -> Handed {
    Handed {
        highest,
        keys: Vec::new(),
        clients: Vec::new(),
        mappings: Vec::new(),
    }
}

/// One client with what belongs to it.
fn piece(
    (eid, own): (EidPrefix, &Own),
    rloc: Rloc,
    (xtr, deliveries): (&Xtr, &Deliveries),
    cx: &Context<'_>,
) -> Handed {
    let key = cx.config.change_priority.key_for(&eid, Right::Tell);
    let client = HandedClient {
        rloc,
        source: own.source_of(&rloc),
        manner: deliveries.manner(&rloc, cx),
        key: key.map(|_| 0),
        age_seconds: u32::try_from(own.asked_ago(&rloc, cx.now).micros() / 1_000_000).unwrap_or(u32::MAX),
    };
    let at_client = xtr.cache.known_at(rloc);
    let of_source = client
        .source
        .and_then(|source| xtr.cache.covering(&EidPrefix::host(source)));
    let mappings = at_client
        .map(|(prefix, mapping)| (*prefix, mapping))
        .chain(of_source)
        .filter_map(|(prefix, mapping)| record(prefix, mapping, cx.now))
        .take(MOST_MAPPINGS);
    let mut handed = Handed {
        keys: key.map(|scoped| scoped.key.clone()).into_iter().collect(),
        clients: vec![client],
        ..empty(Nonce(0))
    };
    for mapping in mappings {
        if !handed.mappings.iter().any(|known| known.eid == mapping.eid) {
            handed.mappings.push(mapping);
        }
    }
    handed
}

/// A mapping as it is known here, with what is left of its life.
fn record(eid: EidPrefix, mapping: &Mapping, now: Timestamp) -> Option<MappingRecord> {
    let Content::Locators(locators) = &mapping.content else {
        return None;
    };
    let minutes = mapping.expires.since(now).micros() / 60_000_000;
    Some(MappingRecord {
        ttl: Ttl(u32::try_from(minutes).unwrap_or(u32::MAX).max(1)),
        eid,
        action: Action::NoAction,
        authoritative: false,
        map_version: 0,
        locators: locators
            .iter()
            .map(|locator| lisp_wire::Locator {
                local: false,
                probed: false,
                ..*locator
            })
            .collect(),
    })
}

fn merge(part: &mut Handed, piece: Handed) {
    let mut clients = piece.clients;
    for key in piece.keys {
        let known = part.keys.iter().position(|known| known.same_as(&key));
        let index = known.unwrap_or_else(|| {
            part.keys.push(key);
            part.keys.len() - 1
        });
        for client in &mut clients {
            client.key = u8::try_from(index).ok();
        }
    }
    part.clients.append(&mut clients);
    for mapping in piece.mappings {
        if !part.mappings.iter().any(|known| known.eid == mapping.eid) {
            part.mappings.push(mapping);
        }
    }
}

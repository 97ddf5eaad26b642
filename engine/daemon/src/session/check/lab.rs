//! The lab's part of a session.

use std::collections::BTreeMap;

use proto::{SiteName, Span};

use super::addresses::Addresses;
use super::doubts::{Doubts, at, step};
use super::members::{address, unknown_of};
use crate::session::locate::Step;
use crate::session::raw::{RawAccess, RawLab, RawPair, RawSession, RawShape};
use crate::session::{AccessShape, BitRate, ByteSize, Fabric, Lab, LinkShape, MAP_SERVER, Pair, Queue, Wan};

const MAX_DELAY: Span = Span::secs(60);

pub(super) fn lab(
    raw: &RawLab,
    session: &RawSession,
    doubts: &mut Doubts<'_>,
    addresses: &mut Addresses,
) -> Option<Lab> {
    let place = at!["lab", "map_server", "rloc"];
    let map_server = address(&raw.map_server.rloc, place, doubts);
    if let Some(rloc) = map_server {
        addresses.rloc(rloc, place, doubts);
    }
    let centres: Vec<&str> = session.sites.0.iter().map(|(name, _)| name.as_str()).collect();
    let users = session.users.0.iter().map(|(name, _)| name.as_str());
    let mut everywhere: Vec<&str> = centres.iter().copied().chain(users).collect();
    everywhere.push(MAP_SERVER);

    let zero = LinkShape {
        rtt: Span::ZERO,
        jitter: Span::ZERO,
        loss_pct: 0.0,
    };
    let wan_default = shape(&raw.wan.other, zero, at!["lab", "wan", "default"], doubts);
    let wan_pairs = pairs(&raw.wan.pairs, wan_default, ("wan", "site", &everywhere), doubts);
    let access = access(&raw.wan.access.0, &everywhere, doubts);
    let fabric_default = shape(&raw.fabric.other, zero, at!["lab", "fabric", "default"], doubts);
    let fabric_pairs = pairs(
        &raw.fabric.pairs,
        fabric_default,
        ("fabric", "data centre", &centres),
        doubts,
    );
    Some(Lab {
        map_server: map_server?,
        wan: Wan {
            default: wan_default,
            pairs: wan_pairs,
            access,
        },
        fabric: Fabric {
            default: fabric_default,
            pairs: fabric_pairs,
        },
    })
}

/// A shape; what it does not say is as in `other`.
fn shape(raw: &RawShape, other: LinkShape, path: &[Step], doubts: &mut Doubts<'_>) -> LinkShape {
    let mut span = |field: &str, text: &Option<String>, otherwise: Span| match text {
        None => otherwise,
        Some(text) => doubts
            .span(&with(path, field), text, (Span::ZERO, MAX_DELAY))
            .unwrap_or(otherwise),
    };
    let rtt = span("rtt", &raw.rtt, other.rtt);
    let jitter = span("jitter", &raw.jitter, other.jitter);
    let loss_pct = raw.loss_pct.unwrap_or(other.loss_pct);
    doubts.within(&with(path, "loss_pct"), loss_pct, 0.0..=100.0);
    LinkShape {
        rtt,
        jitter,
        loss_pct,
    }
}

/// The pairs of the `wan` or the `fabric`, between `known` places of the given kind.
fn pairs(
    raw: &[RawPair],
    other: LinkShape,
    (part, kind, known): (&str, &str, &[&str]),
    doubts: &mut Doubts<'_>,
) -> BTreeMap<Pair, LinkShape> {
    let mut pairs = BTreeMap::new();
    for (index, pair) in raw.iter().enumerate() {
        let here = at!["lab", part, "pairs", index];
        let RawPair {
            between,
            rtt,
            jitter,
            loss_pct,
        } = pair;
        let own = RawShape {
            rtt: rtt.clone(),
            jitter: jitter.clone(),
            loss_pct: *loss_pct,
        };
        let shape = shape(&own, other, here, doubts);
        let named = with(here, "between");
        for (end, name) in between.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let mut end_path = named.clone();
                end_path.push(Step::Index(end));
                doubts.value(&end_path, unknown_of(kind, name, known.iter().copied()));
            }
        }
        let [a, b] = between.as_slice() else {
            doubts.value(
                &named,
                format!("{} names: a pair has two, like [paris, lyon]", between.len()),
            );
            continue;
        };
        let (Ok(a), Ok(b)) = (SiteName::new(a), SiteName::new(b)) else {
            continue;
        };
        let Some(pair) = Pair::new(a, b) else {
            doubts.value(&named, "both ends are the same; a pair joins two");
            continue;
        };
        if pairs.contains_key(&pair) {
            let (a, b) = pair.ends();
            doubts.value(
                &named,
                format!("the pair of {a} and {b} is given twice; remove one"),
            );
        }
        pairs.insert(pair, shape);
    }
    pairs
}

fn access(
    raw: &[(String, RawAccess)],
    everywhere: &[&str],
    doubts: &mut Doubts<'_>,
) -> BTreeMap<SiteName, AccessShape> {
    let mut lines = BTreeMap::new();
    for (name, line) in raw {
        let here: &[Step] = at!["lab", "wan", "access", name];
        if !everywhere.contains(&name.as_str()) {
            doubts.key(here, unknown_of("site", name, everywhere.iter().copied()));
        }
        let rate = doubts.good(&with(here, "rate"), BitRate::parse(&line.rate));
        let buffer = doubts.good(&with(here, "buffer"), ByteSize::parse(&line.buffer));
        let queue = match line.queue.as_str() {
            "fair" => Ok(Queue::Fair),
            "fifo" => Ok(Queue::Fifo),
            other => Err(format!("'{other}' is no queue: give fair or fifo")),
        };
        let queue = doubts.good(&with(here, "queue"), queue);
        if let (Ok(name), Some(rate), Some(queue), Some(buffer)) = (SiteName::new(name), rate, queue, buffer)
        {
            lines.insert(name, AccessShape { rate, queue, buffer });
        }
    }
    lines
}

fn with(path: &[Step], field: &str) -> Vec<Step> {
    let mut longer = path.to_vec();
    longer.push(step(field));
    longer
}

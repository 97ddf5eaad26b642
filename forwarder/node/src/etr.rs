//! The answering side of an ETR: Map-Requests and RLOC-probes about the own EIDs (RFC 9301 sections 5.4 and 7.1).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use lisp_wire::message::{MapReply, MapRequest};
use lisp_wire::{EidPrefix, MappingRecord, Message, Rloc};
use proto::NodeReport;

use crate::context::Context;
use crate::counters::Counter;
use crate::database::{Database, Own};

/// DSCP of replies.
pub(crate) const REPLY_DSCP: u8 = 48;
/// A reply to an RLOC-probe goes as best effort: the probe's own class is not known here.
const PROBE_REPLY_DSCP: u8 = 0;
/// At most this many EIDs of a Map-Request are answered; ITRs ask for one at a time.
pub(crate) const MOST_ASKED: usize = 4;
/// At most this many longer mappings are told with one: with a few locators each they fit 576 bytes, which is as much as a
/// message may have where nobody knows what the way carries (RFC 9301 section 5).
pub(crate) const MOST_WITHIN: usize = 7;

/// How a Map-Request reached us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Where the answer is awaited: the sender of the request itself, unwrapped.
    pub(crate) asker: SocketAddr,
    /// The address of ours that it was sent to.
    pub(crate) local: IpAddr,
}

/// What a client was told.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) clients: Vec<Rloc>,
    /// The one of them that the answer went to, and that is told of changes.
    pub(crate) client: Rloc,
    pub(crate) eids: Vec<EidPrefix>,
}

/// Answers a Map-Request about own EIDs; `None` if none of them is ours. `known` are locators that others than the asker
/// vouch for.
pub(crate) fn answer(
    request: &MapRequest,
    arrival: Arrival,
    (database, known): (&mut Database, &dyn Fn(&Rloc) -> bool),
    cx: &mut Context<'_>,
) -> Option<Answered> {
    let to = reply_address(request, arrival, cx)?;
    let mut records = BTreeMap::new();
    let (mut eids, mut beside) = (BTreeSet::new(), BTreeSet::new());
    for asked in request.eids.iter().take(MOST_ASKED) {
        let Some((eid, own)) = database.covering(asked) else {
            continue;
        };
        let told = |own: &Own, eid| own.record(eid, own.answer(&request.itr_rlocs));
        let block = uncrowded(eid, *asked, database);
        eids.insert(eid);
        records.insert(block, told(own, block));
        // RFC 9301 section 5.5: longer mappings within are told with it, or they would be hidden.
        for (longer, own) in database.below(block).take(MOST_WITHIN) {
            records.insert(*longer, told(own, *longer));
            beside.insert(*longer);
        }
    }
    if records.is_empty() {
        return None;
    }
    let client = Rloc(to.ip());
    for eid in &eids {
        cx.tell(NodeReport::Requested { client, eid: *eid });
    }
    // Whatever it was told it is to hear changes of.
    eids.append(&mut beside);
    for eid in &eids {
        database.asked(eid, (client, request.source_eid), known, cx.now);
    }
    cx.count(Counter::RequestsAnswered);
    let reply = MapReply {
        nonce: request.nonce,
        probe: false,
        echo_nonce: cx.config.data_header.toward(client).echo_nonce,
        records: alike(records),
    };
    cx.send_to(&Message::MapReply(reply), to, REPLY_DSCP);
    Some(Answered {
        clients: request.itr_rlocs.clone(),
        client,
        eids: eids.into_iter().collect(),
    })
}

/// Records of one reply, all with the shortest of their lives: they are to end together (RFC 9301 section 5.5).
pub(crate) fn alike(records: BTreeMap<EidPrefix, MappingRecord>) -> Vec<MappingRecord> {
    let least = records.values().map(|record| record.ttl).min();
    let told = |record: MappingRecord| MappingRecord {
        ttl: least.unwrap_or(record.ttl),
        ..record
    };
    records.into_values().map(told).collect()
}

/// The largest block around what is asked that a reply can tell in full: `eid` itself, or a part of it where too many
/// longer mappings lie within.
fn uncrowded(eid: EidPrefix, asked: EidPrefix, database: &Database) -> EidPrefix {
    (eid.length()..asked.length())
        .filter_map(|length| EidPrefix::new(asked.iid(), asked.address(), length).ok())
        .find(|block| database.below(*block).nth(MOST_WITHIN).is_none())
        .unwrap_or(asked)
}

/// Answers an RLOC-probe: with the mapping if the EID is ours, else with the bare fact that we are here. Each record of such
/// an answer is an authority's (RFC 9301 section 5.4), so there is none of other EIDs.
pub(crate) fn answer_probe(
    request: &MapRequest,
    arrival: Arrival,
    database: &Database,
    cx: &mut Context<'_>,
) {
    let Some(to) = reply_address(request, arrival, cx) else {
        return;
    };
    let Some(asked) = request.eids.first() else { return };
    let record = database.covering(asked).map(|(eid, own)| {
        let mut record = own.record(eid, own.answer(&request.itr_rlocs));
        let mut locators = record.locators.iter_mut();
        if let Some(probed) = locators.find(|locator| locator.etr().0 == arrival.local) {
            probed.probed = true;
        }
        record
    });
    cx.count(Counter::ProbesServed);
    let reply = MapReply {
        nonce: request.nonce,
        probe: true,
        echo_nonce: cx.config.data_header.toward(Rloc(to.ip())).echo_nonce,
        records: record.into_iter().collect(),
    };
    cx.send_to(&Message::MapReply(reply), to, PROBE_REPLY_DSCP);
}

/// Where to answer: the sender if it is among the ITR-RLOCs, else the first of them; of either, only what we have a
/// locator of the same family for. To the port that the request came from (RFC 9301 section 5.4).
pub(crate) fn reply_address(request: &MapRequest, arrival: Arrival, cx: &Context<'_>) -> Option<SocketAddr> {
    let reachable = |rloc: &&Rloc| cx.own_toward(rloc.0).is_some();
    let mut candidates = request.itr_rlocs.iter().filter(reachable);
    // The sender of an enveloped request is its inner source, which may be of the EID's family and not of ours.
    let sender = candidates.clone().find(|rloc| rloc.0 == arrival.asker.ip());
    let chosen = sender.or_else(|| candidates.next())?;
    Some(SocketAddr::new(chosen.0, arrival.asker.port()))
}

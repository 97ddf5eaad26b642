//! Which machine a datagram on UDP 4342 is for.

use std::net::{IpAddr, SocketAddr};

use lisp_wire::message::{Encapsulated, MapNotify, MapRequest, Via};
use lisp_wire::{Message, Rloc};
use proto::Timestamp;

use crate::config::Role;
use crate::context::Context;
use crate::counters::Counter;
use crate::etr::{self, Arrival};
use crate::map_resolver;
use crate::map_server::{MapServer, Query};
use crate::node::Machines;
use crate::subscriber::Knowledge;
use crate::xtr::Xtr;

/// So many solicitations of one address are looked at in a second, so that one that sends many does not use up what all
/// of them may make us ask. A router that roams sends eight at a time.
const SOLICITS_PER_SECOND: u64 = 32;

/// A datagram as the daemon received it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) from: SocketAddr,
    pub(crate) local: IpAddr,
    pub(crate) bytes: &'a [u8],
    pub(crate) received_at: Timestamp,
}

/// Reads a datagram and hands it on. What is no message is counted.
pub(crate) fn take(datagram: &Datagram<'_>, machines: &mut Machines, cx: &mut Context<'_>) {
    cx.count(Counter::Received);
    let type5 = cx.config.change_priority.legacy.type5();
    let Ok(message) = Message::parse_with(datagram.bytes, type5) else {
        return cx.count(Counter::Malformed);
    };
    let Datagram {
        from,
        local,
        bytes,
        received_at,
    } = *datagram;
    match message {
        // Registrations that come in envelopes have limits of their own: a flood of questions must not stop them.
        Message::MapRequest(_) | Message::Encapsulated(Encapsulated { via: Via::Nobody, .. })
            if !machines.requests.allows(cx.now) =>
        {
            cx.count(Counter::Rate);
        }
        Message::MapRequest(request) => request_here(&request, Arrival { asker: from, local }, machines, cx),
        Message::Encapsulated(envelope) => unwrap(&envelope, (from, local), machines, cx),
        // RFC 9301 section 5.4: in the answer to a probe only the authority speaks.
        Message::MapReply(reply)
            if reply.probe && !reply.records.iter().all(|record| record.authoritative) =>
        {
            cx.count(Counter::NotAuthoritative);
        }
        Message::MapReply(reply) if reply.probe => {
            if let Some(rloc) = machines.probing.asked(reply.nonce) {
                machines.signals.says(rloc, reply.echo_nonce);
            }
            machines.probing.reply(reply.nonce, received_at, cx);
        }
        Message::MapReply(reply) => {
            let Xtr {
                resolutions,
                cache,
                subscriber,
                ..
            } = &mut machines.xtr;
            if let Some(asked) = resolutions.reply(&reply, cache, cx) {
                subscriber.declined(asked, resolutions);
            }
        }
        Message::MapRegister(register) if cx.config.has(Role::MapServer) => {
            machines.server.register(&register, bytes, from, cx);
        }
        Message::MapNotify(notify)
            if cx.config.subscribe.is_empty() || awaited(&notify, from, &machines.xtr, cx) =>
        {
            registered(&notify, datagram, machines, cx);
        }
        Message::MapNotify(notify) => {
            let Xtr {
                resolutions,
                cache,
                subscriber,
                ..
            } = &mut machines.xtr;
            let knowledge = Knowledge { resolutions, cache };
            subscriber.notify(&notify, datagram, knowledge, cx);
        }
        Message::ChangePriority(message) => {
            machines
                .mobility
                .receive(&message, datagram, &mut machines.xtr, cx);
        }
        Message::Preparation(message) => {
            machines
                .mobility
                .receive_preparation(&message, datagram, &mut machines.xtr, cx);
        }
        // Map-Notifies of ours to subscribers are acknowledged; those that acknowledge registrations are not.
        Message::MapNotifyAck(ack) => machines.server.acknowledged(&ack, bytes, from, cx),
        Message::MapReferral(referral) if cx.config.has(Role::MapResolver) => {
            machines.referrals.referred(&referral, from, cx);
        }
        Message::Info(info) => match &info.nat {
            Some(nat) => {
                let Xtr {
                    registrations,
                    database,
                    ..
                } = &mut machines.xtr;
                registrations.informed((&info, nat), bytes, database, cx);
                machines.xtr.go_through_routers(cx);
            }
            None if cx.config.has(Role::MapServer) && machines.requests.allows(cx.now) => {
                MapServer::inform(&info, bytes, (from, local), cx);
            }
            None => cx.count(Counter::NoRole),
        },
        Message::MapRegister(_) | Message::MapReferral(_) => cx.count(Counter::NoRole),
    }
}

fn awaited(notify: &MapNotify, from: SocketAddr, xtr: &Xtr, cx: &Context<'_>) -> bool {
    xtr.registrations.awaits(notify, from, (&xtr.database, cx.config))
}

/// A Map-Notify of a Map-Server that we register with.
fn registered(notify: &MapNotify, datagram: &Datagram<'_>, machines: &mut Machines, cx: &mut Context<'_>) {
    let Xtr {
        registrations,
        database,
        ..
    } = &mut machines.xtr;
    registrations.notify(notify, (datagram.bytes, datagram.from), database, cx);
}

/// Whether one more answer may go where this request wants it.
fn may_answer(request: &MapRequest, arrival: Arrival, machines: &mut Machines, cx: &mut Context<'_>) -> bool {
    let to = etr::reply_address(request, arrival, cx).unwrap_or(arrival.asker);
    let may = machines
        .answers
        .allows(to.ip(), cx.config.answers_per_second, cx.now);
    if !may {
        cx.count(Counter::Reflected);
    }
    may
}

/// The D bit (RFC 9301 section 5.2). Who subscribes is told by a Map-Notify.
const fn wants_nothing(request: &MapRequest) -> bool {
    request.no_reply && request.notify.is_empty()
}

/// Whether nobody sends packets to this node, so that no locator of a mapping can be its own.
fn serves_mappings_only(cx: &Context<'_>) -> bool {
    let has = |role| cx.config.has(role);
    (has(Role::MapServer) || has(Role::MapResolver)) && !has(Role::Etr) && !has(Role::Itr)
}

/// A Map-Request without an envelope: a probe, a solicitation, or a question from one who knows us.
fn request_here(request: &MapRequest, arrival: Arrival, machines: &mut Machines, cx: &mut Context<'_>) {
    if request.solicit {
        let from = arrival.asker.ip();
        if !machines.solicitors.allows(from, SOLICITS_PER_SECOND, cx.now) {
            return cx.count(Counter::SolicitsIgnored);
        }
        let eids: Vec<_> = request
            .eids
            .iter()
            .copied()
            .take(1)
            .chain(request.source_eid.map(lisp_wire::EidPrefix::host))
            .chain(request.eids.iter().skip(1).copied())
            .collect();
        machines.xtr.resolutions.solicited(&eids, &machines.xtr.cache, cx);
    } else if wants_nothing(request) {
        cx.count(Counter::Unwanted);
    } else if request.probe && serves_mappings_only(cx) {
        // RFC 9301 section 5.2: the mapping system is not probed.
        cx.count(Counter::NoRole);
    } else if !may_answer(request, arrival, machines, cx) {
        // Counted.
    } else if request.probe {
        etr::answer_probe(request, arrival, &machines.xtr.database, cx);
    } else if request.unsubscribes() && cx.config.has(Role::MapServer) {
        machines.server.unsubscribe(request, arrival, cx);
    } else if !answer_as_etr(request, arrival, machines, cx) {
        cx.count(Counter::NoRole);
    }
}

fn answer_as_etr(
    request: &MapRequest,
    arrival: Arrival,
    machines: &mut Machines,
    cx: &mut Context<'_>,
) -> bool {
    if !cx.config.has(Role::Etr) {
        return false;
    }
    let Xtr { database, cache, .. } = &mut machines.xtr;
    let known = |rloc: &Rloc| cache.reached_by(*rloc).is_some();
    let Some(answered) = etr::answer(request, arrival, (database, &known), cx) else {
        return false;
    };
    machines
        .mobility
        .deliveries
        .answered(&answered.clients, &answered.eids, cx);
    machines
        .mobility
        .asked(answered.client, &answered.eids, &machines.xtr, cx);
    true
}

/// A Map-Request in an envelope: from an ITR to us as Map-Resolver, or from a Map-Server to us as ETR.
fn unwrap(
    envelope: &Encapsulated,
    (from, local): (SocketAddr, IpAddr),
    machines: &mut Machines,
    cx: &mut Context<'_>,
) {
    match &envelope.via {
        Via::Nobody => {}
        Via::ToRouter => {
            return machines
                .nat_router
                .relay(envelope, from, &mut machines.xtr.cache, cx);
        }
        Via::Notice(auth) => {
            return machines
                .nat_router
                .notified((envelope, auth), from, &mut machines.xtr.cache, cx);
        }
        Via::FromRouter if cx.config.has(Role::MapServer) => {
            return machines.server.register_through(envelope, from, cx);
        }
        Via::FromRouter => return cx.count(Counter::NoRole),
    }
    let request = match map_resolver::unwrap(envelope) {
        Ok(Some(request)) => request,
        Ok(None) => return cx.count(Counter::Unsolicited),
        Err(_) => return cx.count(Counter::Malformed),
    };
    let arrival = Arrival {
        asker: envelope.source,
        local,
    };
    if wants_nothing(&request) {
        return cx.count(Counter::Unwanted);
    }
    if !may_answer(&request, arrival, machines, cx) {
        return;
    }
    let asked = request.eids.first();
    let own = asked.is_some_and(|eid| machines.xtr.database.covering(eid).is_some());
    let here = asked.is_some_and(|eid| cx.config.sites.iter().any(|site| site.prefix.covers(eid)));
    let resolves = cx.config.has(Role::MapResolver) && !cx.config.ddt_roots.is_empty();
    if resolves && !own && !here && !envelope.ddt_originated && !request.unsubscribes() {
        if let Some(client) = etr::reply_address(&request, arrival, cx) {
            machines.referrals.ask(&request, envelope, client, cx);
        }
        return;
    }
    let query = Query {
        request: &request,
        envelope,
        arrival,
    };
    // Who wants to be told of changes is told by the Map-Server, of EIDs of this very node too.
    if cx.config.has(Role::MapServer) && own && machines.server.takes_up(&query, cx) {
        return;
    }
    if cx.config.has(Role::MapServer) && !own {
        return if envelope.ddt_originated {
            machines.server.refer(&query, from, cx);
        } else {
            machines.server.resolve(&query, cx);
        };
    }
    if !answer_as_etr(&request, arrival, machines, cx) {
        cx.count(Counter::NoRole);
    }
}

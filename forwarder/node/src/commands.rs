//! What the engine, or a person at the control socket, asks of a node.

use std::collections::BTreeSet;

use lisp_wire::{EidPrefix, Locator, Rloc};
use proto::node::{ChangeOutcome, Tell};
use proto::{Audience, ChangeId, NodeCommand, NodeReport, ProbeTarget, Span};

use crate::cache::{Content, Life, Mapping, Origin};
use crate::context::{Context, Memory};
use crate::deliveries::{Asker, Order, Shown};
use crate::input::{ClientId, Effect, To};
use crate::mobility::News;
use crate::node::Machines;
use crate::state::Standing;
use crate::tables;
use crate::xtr::Xtr;

/// A locator set larger than this does not fit a datagram with its headers.
const MOST_LOCATORS: usize = 32;
/// At most this many locators are probed for the engine.
const MOST_TARGETS: usize = 16_384;
/// Probes closer together than this measure themselves.
const LEAST_INTERVAL: Span = Span::millis(10);
/// Probes are not told to be overdue sooner than this.
const LEAST_OVERDUE: Span = Span::millis(1);

/// A command, and who gave it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) client: ClientId,
    pub(crate) request: u64,
    pub(crate) command: NodeCommand,
}

/// A change of locators, as it was asked for.
struct Change {
    order: Order,
    eid: EidPrefix,
    audience: Audience,
    locators: Vec<Locator>,
    tell: Tell,
}

/// Does what is asked and answers it.
pub(crate) fn obey(
    asked: Asked,
    subscribers: &mut BTreeSet<ClientId>,
    machines: &mut Machines,
    cx: &mut Context<'_>,
) {
    let Asked {
        client,
        request,
        command,
    } = asked;
    let order = |change: ChangeId, subscribers: &BTreeSet<ClientId>| {
        let by = if subscribers.contains(&client) {
            Asker::Subscribed
        } else {
            Asker::Other(client)
        };
        Order { change, by }
    };
    // Direct answers come before what they set off.
    let at = cx.effects.len();
    let answer = match command {
        NodeCommand::Subscribe { residents } => {
            subscribers.insert(client);
            machines.residents.asked(client, residents, &machines.xtr, cx);
            NodeReport::Done
        }
        NodeCommand::Probe { targets } => answer_of(probe(&targets, machines, cx)),
        NodeCommand::SetLocators {
            change,
            eid,
            audience,
            locators,
            tell,
        } => {
            let order = order(change, subscribers);
            answer_of(set_locators(
                Change {
                    order,
                    eid,
                    audience,
                    locators,
                    tell,
                },
                machines,
                cx,
            ))
        }
        NodeCommand::Arrived { change, eid } => {
            answer_of(arrived(order(change, subscribers), eid, machines, cx))
        }
        NodeCommand::Prepare {
            change,
            eid,
            destination,
            expires_in,
        } => {
            let order = order(change, subscribers);
            let Machines { mobility, xtr, .. } = machines;
            answer_of(mobility.prepare((eid, destination), (expires_in, order), xtr, cx))
        }
        NodeCommand::Stopped { eid } => {
            let Machines { mobility, xtr, .. } = machines;
            answer_of(mobility.stopped(eid, xtr, cx))
        }
        NodeCommand::Abandon { eid } => {
            let Machines { mobility, xtr, .. } = machines;
            answer_of(mobility.abandon(eid, xtr, cx))
        }
        NodeCommand::SetCache { eid, locators, ttl } => {
            answer_of(set_cache(eid, locators, ttl, machines, cx))
        }
        NodeCommand::Show { what } => tables::show(what, machines, cx),
        NodeCommand::Page {
            what,
            eid,
            after,
            most,
        } => tables::page((what, eid, after, most), machines, cx),
        NodeCommand::Log { query } => NodeReport::Log(cx.journal.page(&query)),
        NodeCommand::Reload => NodeReport::Refused {
            why: "the process around the node has no file to read".into(),
        },
    };
    let answer = Effect::Report {
        to: To::Client(client),
        reply_to: Some(request),
        report: answer,
    };
    cx.effects.insert(at, answer);
}

fn answer_of(outcome: Result<(), String>) -> NodeReport {
    match outcome {
        Ok(()) => NodeReport::Done,
        Err(why) => NodeReport::Refused { why },
    }
}

fn probe(targets: &[ProbeTarget], machines: &mut Machines, cx: &mut Context<'_>) -> Result<(), String> {
    if targets.len() > MOST_TARGETS {
        return Err(format!(
            "{} targets: at most {MOST_TARGETS} can be probed",
            targets.len()
        ));
    }
    for ProbeTarget {
        rloc,
        interval,
        timeout,
        dscp,
        overdue_after,
    } in targets
    {
        if *interval < LEAST_INTERVAL || *timeout < LEAST_INTERVAL {
            return Err(format!(
                "{rloc}: interval and timeout must be at least {LEAST_INTERVAL}"
            ));
        }
        if overdue_after.is_some_and(|after| after < LEAST_OVERDUE) {
            return Err(format!(
                "{rloc}: a probe is overdue after {LEAST_OVERDUE} at the earliest"
            ));
        }
        if *dscp > 63 {
            return Err(format!("{rloc}: DSCP {dscp} is out of range: it must be 0 to 63"));
        }
        if cx.config.is_own(*rloc) {
            return Err(format!("{rloc} is this node's own locator"));
        }
        if cx.own_toward(rloc.0).is_none() {
            return Err(format!("{rloc}: this node has no locator of its address family"));
        }
    }
    machines.probing.follow_engine(targets, cx);
    Ok(())
}

fn set_locators(change: Change, machines: &mut Machines, cx: &mut Context<'_>) -> Result<(), String> {
    let Change {
        order,
        eid,
        audience,
        locators,
        tell,
    } = change;
    let locators = checked_locators(&locators, cx)?;
    if locators.is_empty() {
        return Err(format!("{eid}: at least one locator is needed"));
    }
    if machines.mobility.deliveries.carries(order.change) {
        return Ok(());
    }
    let own = machines
        .xtr
        .database
        .exactly(eid)
        .ok_or_else(|| format!("{eid} is not within the EIDs configured at this node"))?;
    cx.remember(Memory::Soon);
    let enters_here = locators
        .iter()
        .any(|locator| locator.priority.usable() && cx.config.is_own(locator.etr()));
    let told = match audience {
        Audience::Client { rloc } if cx.config.is_own(rloc) => {
            return Err(format!("{rloc} is this node's own locator, not a client's"));
        }
        Audience::Client { rloc } => {
            if !own.set_view(rloc, locators) {
                return Err(format!("{eid}: too many clients have locators of their own"));
            }
            vec![rloc]
        }
        Audience::Everyone => {
            own.everyone = locators;
            let with_view = |rloc: &Rloc| own.views.contains_key(rloc);
            own.requesters(cx.now)
                .into_iter()
                .filter(|rloc| !with_view(rloc))
                .collect()
        }
    };
    let registered = own.standing == Standing::Registered;
    let leaves = !own.enters_at(cx.config);
    // Where packets enter here before and after, they show nothing.
    let shown = if audience == Audience::Everyone && registered && leaves {
        Shown::Old
    } else {
        Shown::Nothing
    };
    if enters_here {
        // Whoever may enter here again is carried on by the network behind this site.
        let Xtr {
            whereabouts, cache, ..
        } = &mut machines.xtr;
        whereabouts.enter_here(eid, cache, cx);
    }
    if let Audience::Client { rloc } = audience {
        machines.mobility.asked(rloc, &[eid], &machines.xtr, cx);
    }
    if audience == Audience::Everyone && registered {
        machines
            .xtr
            .registrations
            .register(&[eid], &machines.xtr.database, cx);
    }
    match tell {
        Tell::ChangePriority if !told.is_empty() => {
            for client in told {
                let news = News {
                    eid,
                    client,
                    order: Some(order),
                    shown,
                };
                machines.mobility.tell_client(news, &machines.xtr, cx);
            }
        }
        Tell::ChangePriority | Tell::Nobody => order.report(ChangeOutcome::Stored, cx),
    }
    Ok(())
}

fn arrived(
    order: Order,
    eid: EidPrefix,
    machines: &mut Machines,
    cx: &mut Context<'_>,
) -> Result<(), String> {
    if machines.mobility.deliveries.carries(order.change) {
        return Ok(());
    }
    if !machines.mobility.arrived(eid, Some(order), &mut machines.xtr, cx) {
        return Err(format!("{eid} is not within the EIDs configured at this node"));
    }
    cx.remember(Memory::Soon);
    order.report(ChangeOutcome::Stored, cx);
    Ok(())
}

fn set_cache(
    eid: EidPrefix,
    locators: Vec<Locator>,
    ttl: Span,
    machines: &mut Machines,
    cx: &mut Context<'_>,
) -> Result<(), String> {
    let own = cx
        .config
        .eids
        .iter()
        .find(|own| own.prefix.covers(&eid) || eid.covers(&own.prefix));
    if let Some(own) = own {
        return Err(format!("{eid} overlaps {}, which is this node's own", own.prefix));
    }
    let cache = &mut machines.xtr.cache;
    if locators.is_empty() {
        cache.remove(&eid);
        cache.publish(cx);
        return Ok(());
    }
    if ttl < Span::secs(1) {
        return Err(format!(
            "{eid}: a lifetime of {ttl} is too short: it must be at least 1s"
        ));
    }
    if locators.len() > MOST_LOCATORS {
        return Err(format!(
            "{} locators: at most {MOST_LOCATORS} fit a message",
            locators.len()
        ));
    }
    let life = Life {
        from: cx.now,
        span: ttl,
    };
    cache.insert(
        eid,
        Mapping::new(Content::Locators(locators), Origin::Manual, eid.first(), life),
    );
    cache.publish(cx);
    cx.effects.push(Effect::Release { eid });
    Ok(())
}

fn checked_locators(locators: &[Locator], cx: &Context<'_>) -> Result<Vec<Locator>, String> {
    if locators.len() > MOST_LOCATORS {
        return Err(format!(
            "{} locators: at most {MOST_LOCATORS} fit a message",
            locators.len()
        ));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = locators
        .iter()
        .find(|locator| !seen.insert((locator.rloc, locator.path.map(|path| path.to_string()))))
    {
        return Err(format!("{} is there twice", twice.rloc));
    }
    Ok(locators
        .iter()
        .map(|locator| cx.config.marked(*locator))
        .collect())
}

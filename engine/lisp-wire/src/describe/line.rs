//! A message in one line.

use std::fmt::Write;

use super::inner;
use crate::message::{
    AuthField, ChangePriority, ChangePriorityForm, Encapsulated, Info, MapNotify, MapReferral, MapRegister,
    MapReply, MapRequest, Preparation, Purpose, ReferralAction, Step,
};
use crate::{Action, Locator, MappingRecord, Message, Nonce, Ttl};

/// A line with more records, EIDs or locators than this says how many more there are.
const MOST: usize = 4;

/// The message without its kind.
pub(super) fn of(message: &Message) -> String {
    let mut line = String::new();
    match message {
        Message::MapRequest(request) => of_request(request, &mut line),
        Message::MapReply(reply) => of_reply(reply, &mut line),
        Message::MapRegister(register) => of_register(register, &mut line),
        Message::MapNotify(notify) | Message::MapNotifyAck(notify) => of_notify(notify, &mut line),
        Message::MapReferral(referral) => of_referral(referral, &mut line),
        Message::Info(info) => of_info(info, &mut line),
        Message::Encapsulated(envelope) => of_envelope(envelope, &mut line),
        Message::ChangePriority(change) => of_change(change, &mut line),
        Message::Preparation(preparation) => of_preparation(preparation, &mut line),
    }
    line
}

fn of_request(request: &MapRequest, line: &mut String) {
    list(&request.eids, line, |eid, line| put(line, format_args!("{eid}")));
    if let Some(source) = &request.source_eid {
        put(line, format_args!(" from {source}"));
    }
    if request.itr_rlocs.is_empty() {
        line.push_str(", reply to nobody");
    } else {
        line.push_str(", reply to ");
        list(&request.itr_rlocs, line, |rloc, line| {
            put(line, format_args!("{rloc}"));
        });
    }
    let flags = [
        (request.authoritative, "authoritative"),
        (request.invoked, "smr-invoked"),
        (request.proxy_itr, "proxy-itr"),
        (request.no_reply, "no reply wanted"),
        (request.map_reply.is_some(), "carries a mapping"),
        (request.unsubscribes(), "unsubscribe"),
        (!request.notify.is_empty() && !request.unsubscribes(), "subscribe"),
    ];
    tell_flags(&flags, line);
    tell_nonce(request.nonce, line);
}

fn of_reply(reply: &MapReply, line: &mut String) {
    tell_records(&reply.records, line);
    tell_flags(&[(reply.echo_nonce, "echo-nonce")], line);
    tell_nonce(reply.nonce, line);
}

fn of_register(register: &MapRegister, line: &mut String) {
    tell_records(&register.records, line);
    let flags = [
        (register.proxy_reply, "proxy-reply"),
        (register.want_notify, "want-notify"),
        (register.merge, "merge"),
        (register.use_ttl, "use-ttl"),
    ];
    tell_flags(&flags, line);
    tell_signed(register.nonce, &register.auth, line);
}

fn of_notify(notify: &MapNotify, line: &mut String) {
    tell_records(&notify.records, line);
    if let Some((xtr, _)) = &notify.xtr {
        put(line, format_args!(", xtr-id {:x}", xtr.0));
    }
    tell_signed(notify.nonce, &notify.auth, line);
}

fn of_referral(referral: &MapReferral, line: &mut String) {
    list(&referral.records, line, |record, line| {
        put(line, format_args!("{} {}", record.eid, advice(record.action)));
        if !record.nodes.is_empty() {
            line.push_str(" at ");
            list(&record.nodes, line, |node, line| {
                put(line, format_args!("{}", node.rloc));
            });
        }
        put(line, format_args!(" ({})", life(record.ttl)));
        tell_flags(&[(record.incomplete, "incomplete")], line);
    });
    tell_nonce(referral.nonce, line);
}

fn of_info(info: &Info, line: &mut String) {
    put(line, format_args!("{}", info.eid));
    if let Some(nat) = &info.nat {
        if let Some(global) = nat.global {
            put(line, format_args!(" seen as {global} port {}", nat.etr_port));
        }
        if !nat.rtrs.is_empty() {
            line.push_str(", reached through ");
            list(&nat.rtrs, line, |rtr, line| put(line, format_args!("{rtr}")));
        }
        put(line, format_args!(" ({})", life(info.ttl)));
    }
    tell_signed(info.nonce, &info.auth, line);
}

/// What a Map-Referral advises (RFC 8111 section 6.4.1).
pub(super) const fn advice(action: ReferralAction) -> &'static str {
    match action {
        ReferralAction::NodeReferral => "ask the nodes",
        ReferralAction::MsReferral => "ask the map-servers",
        ReferralAction::MsAck => "taken on by the map-server",
        ReferralAction::MsNotRegistered => "not registered",
        ReferralAction::DelegationHole => "delegated to nobody",
        ReferralAction::NotAuthoritative => "not authoritative",
    }
}

fn of_envelope(envelope: &Encapsulated, line: &mut String) {
    put(
        line,
        format_args!("{} > {}: ", envelope.source, envelope.destination),
    );
    match inner(&envelope.message) {
        Some(message) => {
            let kind = super::MessageKind::of(&envelope.message, crate::Type5::MapNotifyAck);
            put(line, format_args!("{kind} {}", of(&message)));
        }
        None => put(
            line,
            format_args!("{} bytes that are no message", envelope.message.len()),
        ),
    }
    tell_flags(&[(envelope.ddt_originated, "ddt-originated")], line);
}

fn of_change(change: &ChangePriority, line: &mut String) {
    line.push_str(match change.purpose {
        Purpose::Arrived => "arrived: ",
        Purpose::Handover => "handover: ",
        Purpose::HandoverTold => "handover, clients told: ",
        Purpose::UpdateCache => "update: ",
        Purpose::Acknowledge => "acknowledged: ",
        Purpose::AcknowledgeSubscribed => "acknowledged, subscribed: ",
    });
    tell_records(&change.records, line);
    tell_flags(
        &[(change.form == ChangePriorityForm::Legacy, "thesis's form")],
        line,
    );
    if let Some(xtr) = &change.xtr {
        put(line, format_args!(", xtr-id {:x}", xtr.0));
    }
    tell_signed(change.nonce, &change.auth, line);
}

fn of_preparation(preparation: &Preparation, line: &mut String) {
    let Preparation {
        step: said,
        eid,
        sender,
        receiver,
        serial,
        ..
    } = preparation;
    put(
        line,
        format_args!(
            "{}: {eid} from {sender} to {receiver}, serial {serial}",
            step(*said)
        ),
    );
    put(
        line,
        format_args!(
            ", {} s, {} bytes sealed, xtr-id {:x}",
            preparation.life_seconds,
            preparation.sealed.len(),
            preparation.xtr.0
        ),
    );
    tell_signed(preparation.nonce, &preparation.auth, line);
}

/// What a preparation says, in a word.
pub(super) const fn step(step: Step) -> &'static str {
    match step {
        Step::Hand => "hand",
        Step::Stopped => "stopped",
        Step::Cancelled => "cancelled",
        Step::Acknowledge => "acknowledged",
    }
}

fn tell_records(records: &[MappingRecord], line: &mut String) {
    if records.is_empty() {
        line.push_str("no records");
    }
    list(records, line, |record, line| {
        put(line, format_args!("{}", record.eid));
        if record.locators.is_empty() {
            put(
                line,
                format_args!(" ({}, {})", words(record.action), life(record.ttl)),
            );
        } else {
            line.push_str(" = ");
            list(&record.locators, line, |locator, line| {
                put(line, format_args!("{}", locator_in_short(locator)));
            });
            put(line, format_args!(" ({})", life(record.ttl)));
        }
    });
}

fn locator_in_short(locator: &Locator) -> String {
    let down = if locator.reachable { "" } else { " down" };
    let way = match &locator.path {
        Some(path) => path.to_string(),
        None => locator.rloc.to_string(),
    };
    format!("{way} {}/{}{down}", locator.priority.0, locator.weight.0)
}

/// A time to live in words.
pub(super) fn life(ttl: Ttl) -> String {
    match ttl {
        Ttl::DEREGISTER => "withdrawn".to_owned(),
        // RFC 9301 section 5.4: the receiver may choose.
        Ttl(u32::MAX) => "no ttl".to_owned(),
        Ttl(minutes) => format!("{minutes} min"),
    }
}

/// An action in words (IANA "LISP ACT Values").
pub(super) const fn words(action: Action) -> &'static str {
    match action {
        Action::NoAction => "no action",
        Action::NativelyForward => "natively forward",
        Action::SendMapRequest => "send map-request",
        Action::Drop => "drop",
        Action::DropPolicyDenied => "drop, policy denied",
        Action::DropAuthFailure => "drop, authentication failure",
    }
}

fn tell_flags(flags: &[(bool, &str)], line: &mut String) {
    for (_, name) in flags.iter().filter(|(set, _)| *set) {
        put(line, format_args!(", {name}"));
    }
}

fn tell_nonce(nonce: Nonce, line: &mut String) {
    put(line, format_args!(", nonce {:#018x}", nonce.0));
}

fn tell_signed(nonce: Nonce, auth: &AuthField, line: &mut String) {
    tell_nonce(nonce, line);
    put(line, format_args!(", key {}", auth.key_id));
}

fn list<T>(items: &[T], line: &mut String, tell: impl Fn(&T, &mut String)) {
    for (index, item) in items.iter().take(MOST).enumerate() {
        if index > 0 {
            line.push_str(", ");
        }
        tell(item, line);
    }
    if items.len() > MOST {
        put(line, format_args!(" and {} more", items.len() - MOST));
    }
}

fn put(line: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = line.write_fmt(text);
}

//! Any value that bytes can say.

use std::net::IpAddr;

use lisp_wire::{
    Action, Algorithm, AuthField, ChangePriority, ChangePriorityForm, Eid, EidPrefix, Encapsulated, Hop,
    Info, InstanceId, Locator, MapNotify, MapReferral, MapRegister, MapReply, MapRequest, MappingRecord,
    Message, NatTraversal, Nonce, NotifyBits, Path, Preparation, Priority, Purpose, Referral, ReferralAction,
    Rloc, SiteId, Step, Ttl, Via, Weight, XtrId,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Any message of any kind.
pub(crate) fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        request().prop_map(Message::MapRequest),
        reply().prop_map(Message::MapReply),
        encapsulated().prop_map(Message::Encapsulated),
        referral().prop_map(Message::MapReferral),
        authenticated(),
    ]
}

/// Any message that carries authentication.
pub(crate) fn authenticated() -> impl Strategy<Value = Message> {
    prop_oneof![
        register().prop_map(Message::MapRegister),
        notify().prop_map(Message::MapNotify),
        notify().prop_map(|notify| Message::MapNotifyAck(notify.acknowledgement())),
        info().prop_map(Message::Info),
        change().prop_map(Message::ChangePriority),
        legacy().prop_map(Message::ChangePriority),
        preparation().prop_map(Message::Preparation),
    ]
}

fn request() -> impl Strategy<Value = MapRequest> {
    let flags = any::<[bool; 6]>();
    let rlocs = vec(address().prop_map(Rloc), 0..=32);
    let eids = vec(prefix(), 1..6);
    let subscriber = option::of((site(), any::<[bool; 5]>()));
    (
        any::<u64>(),
        flags,
        option::of(eid()),
        rlocs,
        eids,
        option::of(record()),
        subscriber,
    )
        .prop_map(
            |(nonce, flags, source_eid, mut itr_rlocs, eids, map_reply, subscriber)| {
                let [authoritative, probe, solicit, invoked, proxy_itr, no_reply] = flags;
                let (xtr, bits) = subscriber.unwrap_or_default();
                let wanted = (0..)
                    .zip(&eids)
                    .zip(bits)
                    .filter(|(_, bit)| *bit && xtr.is_some());
                let notify = wanted.fold(NotifyBits::NONE, |bits, ((index, _), _)| bits.with(index));
                if itr_rlocs.is_empty() && notify.is_empty() {
                    itr_rlocs.push(Rloc([192, 0, 2, 1].into()));
                }
                MapRequest {
                    nonce: Nonce(nonce),
                    authoritative,
                    probe,
                    solicit,
                    invoked,
                    proxy_itr,
                    no_reply,
                    source_eid,
                    itr_rlocs,
                    eids,
                    map_reply,
                    notify,
                    xtr,
                }
            },
        )
}

fn reply() -> impl Strategy<Value = MapReply> {
    (any::<u64>(), any::<[bool; 2]>(), records(0..5)).prop_map(|(nonce, [probe, echo_nonce], records)| {
        MapReply {
            nonce: Nonce(nonce),
            probe,
            echo_nonce,
            records,
        }
    })
}

fn register() -> impl Strategy<Value = MapRegister> {
    (any::<u64>(), any::<[bool; 4]>(), auth(), records(0..5), site()).prop_map(
        |(nonce, [proxy_reply, want_notify, merge, use_ttl], auth, records, xtr)| MapRegister {
            nonce: Nonce(nonce),
            proxy_reply,
            want_notify,
            merge,
            use_ttl,
            auth,
            records,
            xtr,
        },
    )
}

fn info() -> impl Strategy<Value = Info> {
    let rloc = || address().prop_map(Rloc);
    let ends = (option::of(rloc()), option::of(rloc()), option::of(rloc()));
    let nat = (any::<[u16; 2]>(), ends, vec(rloc(), 0..=16)).prop_map(
        |([server_port, etr_port], (global, server, private), rtrs)| NatTraversal {
            server_port,
            etr_port,
            global,
            server,
            private,
            rtrs,
        },
    );
    (any::<u64>(), auth(), any::<u32>(), prefix(), option::of(nat)).prop_map(
        |(nonce, auth, ttl, eid, nat)| Info {
            nonce: Nonce(nonce),
            auth,
            ttl: Ttl(ttl),
            eid,
            nat,
        },
    )
}

fn referral() -> impl Strategy<Value = MapReferral> {
    let action = proptest::sample::select(vec![
        ReferralAction::NodeReferral,
        ReferralAction::MsReferral,
        ReferralAction::MsAck,
        ReferralAction::MsNotRegistered,
        ReferralAction::DelegationHole,
        ReferralAction::NotAuthoritative,
    ]);
    let record = (action, record(), any::<bool>()).prop_map(|(action, record, incomplete)| Referral {
        ttl: record.ttl,
        eid: record.eid,
        action,
        authoritative: record.authoritative,
        incomplete,
        map_version: record.map_version,
        nodes: record.locators,
    });
    (any::<u64>(), vec(record, 0..4)).prop_map(|(nonce, records)| MapReferral {
        nonce: Nonce(nonce),
        records,
    })
}

fn notify() -> impl Strategy<Value = MapNotify> {
    (any::<u64>(), auth(), records(0..5), site()).prop_map(|(nonce, auth, records, xtr)| MapNotify {
        nonce: Nonce(nonce),
        auth,
        records,
        xtr,
    })
}

fn change() -> impl Strategy<Value = ChangePriority> {
    (any::<u64>(), auth(), any::<u128>(), purposed(6, 1..5)).prop_map(
        |(nonce, auth, xtr, (purpose, records))| ChangePriority {
            form: ChangePriorityForm::SharedExtension,
            purpose,
            nonce: Nonce(nonce),
            auth,
            xtr: Some(XtrId(xtr)),
            records,
        },
    )
}

fn legacy() -> impl Strategy<Value = ChangePriority> {
    (any::<u64>(), auth(), purposed(3, 1..2)).prop_map(|(nonce, auth, (purpose, records))| ChangePriority {
        form: ChangePriorityForm::Legacy,
        purpose,
        nonce: Nonce(nonce),
        auth,
        xtr: None,
        records,
    })
}

fn preparation() -> impl Strategy<Value = Preparation> {
    let step = proptest::sample::select(vec![
        Step::Hand,
        Step::Stopped,
        Step::Cancelled,
        Step::Acknowledge,
    ]);
    let head = (step, any::<u64>(), auth(), any::<u128>());
    let ends = any::<[[u8; 4]; 2]>().prop_map(|ends| ends.map(|address| Rloc(address.into())));
    let rest = (any::<u64>(), any::<u32>(), vec(any::<u8>(), 1..99));
    (head, ends, record(), rest).prop_map(
        |((step, nonce, auth, xtr), [sender, receiver], record, (serial, life_seconds, mut sealed))| {
            if step != Step::Hand {
                sealed.clear();
            }
            Preparation {
                step,
                nonce: Nonce(nonce),
                auth,
                xtr: XtrId(xtr),
                sender,
                receiver,
                eid: record.eid,
                serial,
                life_seconds,
                sealed,
            }
        },
    )
}

/// One of the first `kinds` purposes, with records that suit it.
fn purposed(
    kinds: usize,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = (Purpose, Vec<MappingRecord>)> {
    let all = [
        Purpose::Arrived,
        Purpose::Handover,
        Purpose::UpdateCache,
        Purpose::Acknowledge,
        Purpose::HandoverTold,
        Purpose::AcknowledgeSubscribed,
    ];
    let purpose = proptest::sample::select(all[..kinds].to_vec());
    (purpose, records(count), locator()).prop_map(|(purpose, mut records, spare)| {
        for record in &mut records {
            match purpose {
                Purpose::Arrived | Purpose::Acknowledge | Purpose::AcknowledgeSubscribed => {
                    record.locators.clear();
                }
                Purpose::Handover | Purpose::HandoverTold if record.locators.is_empty() => {
                    record.locators.push(spare);
                }
                Purpose::Handover | Purpose::HandoverTold | Purpose::UpdateCache => {}
            }
        }
        (purpose, records)
    })
}

fn encapsulated() -> impl Strategy<Value = Encapsulated> {
    let ends = prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|[from, to]| (IpAddr::from(from), IpAddr::from(to))),
        any::<[[u8; 16]; 2]>().prop_map(|[from, to]| (IpAddr::from(from), IpAddr::from(to))),
    ];
    let via = prop_oneof![
        Just(Via::Nobody),
        Just(Via::ToRouter),
        Just(Via::FromRouter),
        auth().prop_map(Via::Notice),
    ];
    (ends, any::<u16>(), any::<bool>(), via, vec(any::<u8>(), 0..200)).prop_map(
        |((from, destination), port, ddt_originated, via, message)| Encapsulated {
            source: (from, port).into(),
            destination,
            ddt_originated,
            via,
            message,
        },
    )
}

fn records(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<MappingRecord>> {
    vec(record(), count)
}

fn record() -> impl Strategy<Value = MappingRecord> {
    let action = proptest::sample::select(vec![
        Action::NoAction,
        Action::NativelyForward,
        Action::SendMapRequest,
        Action::Drop,
        Action::DropPolicyDenied,
        Action::DropAuthFailure,
    ]);
    (
        any::<u32>(),
        prefix(),
        action,
        any::<bool>(),
        0..4096_u16,
        vec(locator(), 0..5),
    )
        .prop_map(
            |(ttl, eid, action, authoritative, map_version, locators)| MappingRecord {
                ttl: Ttl(ttl),
                eid,
                action,
                authoritative,
                map_version,
                locators,
            },
        )
}

fn locator() -> impl Strategy<Value = Locator> {
    let path = option::weighted(0.3, vec((address(), any::<[bool; 3]>()), 1..9));
    let path = path.prop_map(|hops| {
        let hop = |(address, [lookup, probe, strict]): (IpAddr, [bool; 3])| Hop {
            rloc: Rloc(address),
            lookup,
            probe,
            strict,
        };
        let hops: Vec<Hop> = hops?.into_iter().map(hop).collect();
        Path::new(&hops).ok()
    });
    (address(), path, any::<[u8; 4]>(), any::<[bool; 3]>()).prop_map(
        |(
            address,
            path,
            [priority, weight, multicast_priority, multicast_weight],
            [local, probed, reachable],
        )| {
            Locator {
                rloc: path.map_or(Rloc(address), |path| path.first()),
                path,
                priority: Priority(priority),
                weight: Weight(weight),
                multicast_priority: Priority(multicast_priority),
                multicast_weight: Weight(multicast_weight),
                local,
                probed,
                reachable,
            }
        },
    )
}

fn auth() -> impl Strategy<Value = AuthField> {
    let shape = proptest::sample::select(vec![
        (Algorithm::None, 0),
        (Algorithm::HmacSha1, 12),
        (Algorithm::HmacSha1, 20),
        (Algorithm::HmacSha256, 16),
        (Algorithm::HmacSha256, 32),
        (Algorithm::HmacSha256Hkdf, 16),
        (Algorithm::HmacSha256Hkdf, 32),
    ]);
    (any::<u8>(), shape, any::<[u8; 32]>()).prop_map(|(key_id, (algorithm, length), mac)| AuthField {
        key_id,
        algorithm,
        mac: mac[..length].to_vec(),
    })
}

fn site() -> impl Strategy<Value = Option<(XtrId, SiteId)>> {
    option::of((any::<u128>().prop_map(XtrId), any::<u64>().prop_map(SiteId)))
}

fn eid() -> impl Strategy<Value = Eid> {
    (tenant(), address()).prop_map(|(iid, address)| Eid { iid, address })
}

fn prefix() -> impl Strategy<Value = EidPrefix> {
    (tenant(), address(), 0..=128_u8).prop_map(|(iid, address, length)| {
        let length = if address.is_ipv4() { length % 33 } else { length };
        EidPrefix::new(iid, address, length).unwrap()
    })
}

fn tenant() -> impl Strategy<Value = InstanceId> {
    prop_oneof![Just(0), 1..1_u32 << 24].prop_map(|number| InstanceId::new(number).unwrap())
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from)
    ]
}

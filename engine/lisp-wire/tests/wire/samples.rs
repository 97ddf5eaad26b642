//! One of each message, and of each shape a message can take.

use lisp_wire::{
    Action, AuthField, ChangePriority, ChangePriorityForm, Eid, EidPrefix, Encapsulated, Info, Locator,
    MapNotify, MapReferral, MapRegister, MapReply, MapRequest, MappingRecord, Message, NatTraversal, Nonce,
    NotifyBits, Preparation, Priority, Purpose, Referral, ReferralAction, Rloc, SiteId, Step, Ttl, Weight,
    XtrId,
};

pub(crate) const XTR: XtrId = XtrId(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f);

/// Every sample with its name.
pub(crate) fn all() -> Vec<(&'static str, Message)> {
    let mut samples = unsigned();
    samples.extend(signed());
    samples
}

/// Messages that carry no authentication.
pub(crate) fn unsigned() -> Vec<(&'static str, Message)> {
    let probe = MapRequest {
        probe: true,
        source_eid: None,
        ..request()
    };
    let smr = MapRequest {
        solicit: true,
        no_reply: true,
        nonce: Nonce(0),
        ..request()
    };
    let invoked = MapRequest {
        invoked: true,
        ..request()
    };
    let mut tenant = request();
    tenant.source_eid = Some(eid("[7]10.1.0.7"));
    tenant.eids = vec![prefix("[7]10.2.0.0/16"), prefix("[7]2001:db8:2::/48")];
    let mut ipv6 = request();
    ipv6.source_eid = Some(eid("2001:db8:1::7"));
    ipv6.itr_rlocs = vec![rloc("192.0.2.1"), rloc("2001:db8:f::1")];
    ipv6.eids = vec![prefix("2001:db8:2::9/128")];
    let carrying = MapRequest {
        authoritative: true,
        proxy_itr: true,
        map_reply: Some(record("10.1.0.0/24", &["192.0.2.1"])),
        ..request()
    };
    let subscribing = MapRequest {
        eids: vec![prefix("10.2.0.9/32"), prefix("10.3.0.0/16")],
        notify: NotifyBits::NONE.with(1),
        ..subscriber()
    };
    let subscribing_with_mapping = MapRequest {
        map_reply: Some(record("10.1.0.0/24", &["192.0.2.1"])),
        ..subscriber()
    };
    let unsubscribing = MapRequest {
        itr_rlocs: vec![],
        ..subscriber()
    };
    let mut denied = record("10.2.0.9/32", &[]);
    denied.action = Action::DropPolicyDenied;
    let mut unproven = record("10.2.0.9/32", &[]);
    unproven.action = Action::DropAuthFailure;
    let mut negative = record("10.9.0.0/16", &[]);
    negative.action = Action::NativelyForward;
    negative.ttl = Ttl(15);
    let mut probed = record("10.2.0.0/24", &["192.0.2.2", "192.0.2.3"]);
    probed.locators[0].probed = true;
    let tenants = vec![
        record("[7]10.2.0.0/24", &["192.0.2.2", "2001:db8:f::2"]),
        record("[16777215]2001:db8:2::/48", &["192.0.2.2"]),
    ];
    vec![
        ("map-request", Message::MapRequest(request())),
        ("map-request-probe", Message::MapRequest(probe)),
        ("map-request-smr", Message::MapRequest(smr)),
        ("map-request-smr-invoked", Message::MapRequest(invoked.clone())),
        ("map-request-tenant", Message::MapRequest(tenant)),
        ("map-request-ipv6", Message::MapRequest(ipv6.clone())),
        ("map-request-with-mapping", Message::MapRequest(carrying)),
        (
            "map-reply",
            reply(vec![record("10.2.0.0/24", &["192.0.2.2"])], false),
        ),
        ("map-reply-negative", reply(vec![negative], false)),
        ("map-reply-probe", reply(vec![probed], true)),
        ("map-reply-tenants", reply(tenants, false)),
        (
            "encapsulated-ipv4",
            encapsulated("10.1.0.7", "10.2.0.9", &Message::MapRequest(invoked)),
        ),
        (
            "encapsulated-ipv6",
            encapsulated("2001:db8:1::7", "2001:db8:2::9", &Message::MapRequest(ipv6)),
        ),
        ("map-request-subscribe", Message::MapRequest(subscribing)),
        (
            "map-request-subscribe-with-mapping",
            Message::MapRequest(subscribing_with_mapping),
        ),
        ("map-request-unsubscribe", Message::MapRequest(unsubscribing)),
        (
            "map-referral-node",
            referral(ReferralAction::NodeReferral, "10.2.0.0/16", &["192.0.2.8"]),
        ),
        (
            "map-referral-server",
            referral(
                ReferralAction::MsReferral,
                "[7]2001:db8:2::/48",
                &["192.0.2.8", "2001:db8:f::8"],
            ),
        ),
        (
            "map-referral-acknowledged",
            referral(ReferralAction::MsAck, "10.2.0.0/24", &["192.0.2.8"]),
        ),
        (
            "map-referral-hole",
            referral(ReferralAction::DelegationHole, "10.9.0.0/16", &[]),
        ),
        ("map-reply-policy-denied", reply(vec![denied], false)),
        ("map-reply-auth-failure", reply(vec![unproven], false)),
    ]
}

/// Messages that carry authentication, not yet signed.
pub(crate) fn signed() -> Vec<(&'static str, Message)> {
    let one = || vec![record("10.1.0.0/24", &["192.0.2.1", "192.0.2.3"])];
    let tenants = || {
        vec![
            record("[7]10.1.0.7/32", &["192.0.2.1"]),
            record("2001:db8:1::/48", &["2001:db8:f::1"]),
        ]
    };
    let site = Some((XTR, SiteId(0x1122_3344_5566_7788)));
    let bare = vec![record("10.1.0.7/32", &[])];
    let mut withdrawn = bare.clone();
    withdrawn[0].ttl = Ttl::DEREGISTER;
    vec![
        ("map-register", register(one(), None)),
        ("map-register-with-xtr", register(tenants(), site)),
        ("map-register-merging", merging()),
        ("info-request", info("10.1.0.0/24", None)),
        ("info-reply", info("10.1.0.0/24", Some(seen(&["192.0.2.9"])))),
        (
            "info-reply-rtrs",
            info("[7]2001:db8:1::/48", Some(seen(&["192.0.2.9", "2001:db8:f::9"]))),
        ),
        ("map-notify", Message::MapNotify(notify(one(), None))),
        (
            "map-notify-publication",
            Message::MapNotify(notify(withdrawn, site)),
        ),
        ("map-notify-with-xtr", Message::MapNotify(notify(tenants(), site))),
        (
            "map-notify-ack",
            Message::MapNotifyAck(notify(tenants(), site).acknowledgement()),
        ),
        ("change-priority-arrived", change(Purpose::Arrived, bare.clone())),
        ("change-priority-handover", change(Purpose::Handover, tenants())),
        (
            "change-priority-handover-told",
            change(Purpose::HandoverTold, one()),
        ),
        ("change-priority-update", change(Purpose::UpdateCache, tenants())),
        (
            "change-priority-acknowledge",
            change(Purpose::Acknowledge, bare.clone()),
        ),
        (
            "change-priority-acknowledge-subscribed",
            change(Purpose::AcknowledgeSubscribed, bare.clone()),
        ),
        ("change-priority-legacy-arrived", legacy(Purpose::Arrived, bare)),
        (
            "change-priority-legacy-handover",
            legacy(Purpose::Handover, one()),
        ),
        (
            "change-priority-legacy-update",
            legacy(Purpose::UpdateCache, one()),
        ),
        ("preparation-hand", preparation(Step::Hand, "10.1.0.7/32")),
        (
            "preparation-stopped",
            preparation(Step::Stopped, "[7]2001:db8:1::7/128"),
        ),
        (
            "preparation-cancelled",
            preparation(Step::Cancelled, "10.1.0.7/32"),
        ),
        (
            "preparation-acknowledge",
            preparation(Step::Acknowledge, "10.1.0.7/32"),
        ),
    ]
}

/// What is sealed stands for itself: a codec of its own reads it.
pub(crate) fn preparation(step: Step, eid: &str) -> Message {
    Message::Preparation(Preparation {
        step,
        nonce: Nonce(43),
        auth: AuthField::unsigned(),
        xtr: XTR,
        sender: rloc("192.0.2.1"),
        receiver: rloc("2001:db8:f::9"),
        eid: prefix(eid),
        serial: 40,
        life_seconds: 300,
        sealed: if step == Step::Hand {
            (0..44).collect()
        } else {
            Vec::new()
        },
    })
}

/// Asks to be told of changes of 10.2.0.9/32.
pub(crate) fn subscriber() -> MapRequest {
    MapRequest {
        notify: NotifyBits::FIRST,
        xtr: Some((XTR, SiteId(0x1122_3344_5566_7788))),
        ..request()
    }
}

pub(crate) fn request() -> MapRequest {
    MapRequest {
        nonce: Nonce(0x0123_4567_89ab_cdef),
        authoritative: false,
        probe: false,
        solicit: false,
        invoked: false,
        proxy_itr: false,
        no_reply: false,
        source_eid: Some(eid("10.1.0.7")),
        itr_rlocs: vec![rloc("192.0.2.1")],
        eids: vec![prefix("10.2.0.9/32")],
        map_reply: None,
        notify: NotifyBits::NONE,
        xtr: None,
    }
}

pub(crate) fn register(records: Vec<MappingRecord>, xtr: Option<(XtrId, SiteId)>) -> Message {
    Message::MapRegister(MapRegister {
        nonce: Nonce(41),
        proxy_reply: xtr.is_some(),
        want_notify: true,
        merge: false,
        use_ttl: false,
        auth: AuthField::unsigned(),
        records,
        xtr,
    })
}

fn merging() -> Message {
    let Message::MapRegister(register) = register(vec![record("10.1.0.0/24", &["192.0.2.1"])], None) else {
        panic!("it is one")
    };
    Message::MapRegister(MapRegister {
        merge: true,
        use_ttl: true,
        ..register
    })
}

pub(crate) fn referral(action: ReferralAction, eid: &str, nodes: &[&str]) -> Message {
    let node = |address: &&str| Locator::unicast(rloc(address), Priority(1), Weight(100));
    Message::MapReferral(MapReferral {
        nonce: Nonce(0x0123_4567_89ab_cdef),
        records: vec![Referral {
            ttl: Ttl(1440),
            eid: prefix(eid),
            action,
            authoritative: true,
            incomplete: action == ReferralAction::MsAck,
            map_version: 0,
            nodes: nodes.iter().map(node).collect(),
        }],
    })
}

pub(crate) fn info(eid: &str, nat: Option<NatTraversal>) -> Message {
    Message::Info(Info {
        nonce: Nonce(43),
        auth: AuthField::unsigned(),
        ttl: Ttl(if nat.is_some() { 10 } else { 0 }),
        eid: prefix(eid),
        nat,
    })
}

/// An ETR behind a NAT.
pub(crate) fn seen(rtrs: &[&str]) -> NatTraversal {
    NatTraversal {
        server_port: 4342,
        etr_port: 61_000,
        global: Some(rloc("198.51.100.7")),
        server: Some(rloc("192.0.2.1")),
        private: None,
        rtrs: rtrs.iter().map(|text| rloc(text)).collect(),
    }
}

pub(crate) fn notify(records: Vec<MappingRecord>, xtr: Option<(XtrId, SiteId)>) -> MapNotify {
    MapNotify {
        nonce: Nonce(41),
        auth: AuthField::unsigned(),
        records,
        xtr,
    }
}

pub(crate) fn change(purpose: Purpose, records: Vec<MappingRecord>) -> Message {
    Message::ChangePriority(ChangePriority {
        form: ChangePriorityForm::SharedExtension,
        purpose,
        nonce: Nonce(42),
        auth: AuthField::unsigned(),
        xtr: Some(XTR),
        records,
    })
}

pub(crate) fn legacy(purpose: Purpose, records: Vec<MappingRecord>) -> Message {
    Message::ChangePriority(ChangePriority {
        form: ChangePriorityForm::Legacy,
        purpose,
        nonce: Nonce(42),
        auth: AuthField::unsigned(),
        xtr: None,
        records,
    })
}

pub(crate) fn encapsulated(from: &str, to: &str, inner: &Message) -> Message {
    let mut message = Vec::new();
    inner.emit(&mut message).unwrap();
    Message::Encapsulated(Encapsulated {
        source: (from.parse::<std::net::IpAddr>().unwrap(), 61_000).into(),
        destination: to.parse().unwrap(),
        ddt_originated: false,
        via: lisp_wire::Via::Nobody,
        message,
    })
}

pub(crate) fn record(eid: &str, rlocs: &[&str]) -> MappingRecord {
    let locators = (1..).zip(rlocs).map(|(rank, address)| {
        let mut locator = Locator::unicast(rloc(address), Priority(rank), Weight(100));
        locator.local = true;
        locator
    });
    MappingRecord {
        ttl: Ttl(10),
        eid: prefix(eid),
        action: Action::NoAction,
        authoritative: true,
        map_version: 0,
        locators: locators.collect(),
    }
}

pub(crate) fn prefix(text: &str) -> EidPrefix {
    text.parse().unwrap()
}

pub(crate) fn eid(text: &str) -> Eid {
    prefix(text).first()
}

pub(crate) fn rloc(text: &str) -> Rloc {
    Rloc(text.parse().unwrap())
}

fn reply(records: Vec<MappingRecord>, probe: bool) -> Message {
    Message::MapReply(MapReply {
        nonce: Nonce(0x0123_4567_89ab_cdef),
        probe,
        echo_nonce: false,
        records,
    })
}

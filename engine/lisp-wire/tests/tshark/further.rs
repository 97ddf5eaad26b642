//! Forms of messages that a node sends beside those of the samples, and what tshark must call them.

use lisp_wire::{
    Algorithm, AuthField, Encapsulated, Hop, Key, Locator, MapRegister, MapReply, MapRequest, MappingRecord,
    Message, Nonce, Path, Priority, SiteId, Via, Weight,
};

use super::samples::{self, prefix, record, request, rloc};

pub(crate) fn messages() -> Vec<(&'static str, Message, &'static str)> {
    let reply = |probe, echo_nonce, records| {
        Message::MapReply(MapReply {
            nonce: Nonce(1),
            probe,
            echo_nonce,
            records,
        })
    };
    let anything = MapRequest {
        probe: true,
        source_eid: None,
        itr_rlocs: vec![rloc("192.0.2.1"), rloc("2001:db8:f::1")],
        eids: vec![prefix("0.0.0.0/0")],
        ..request()
    };
    let mut versioned = record("10.2.0.0/24", &["192.0.2.2", "2001:db8:f::2"]);
    versioned.map_version = 0x0abc;
    let longer = vec![
        record("10.2.0.0/24", &["192.0.2.2"]),
        record("10.2.0.9/32", &["192.0.2.3"]),
    ];
    vec![
        (
            "map-request-probe-of-a-locator",
            Message::MapRequest(anything),
            "Map-Request (RLOC-probe) for 0.0.0.0/0",
        ),
        (
            "map-reply-probe-without-mapping",
            reply(true, false, vec![]),
            "Map-Reply (RLOC-probe reply)",
        ),
        (
            "map-reply-probe-echo",
            reply(true, true, vec![versioned]),
            "Map-Reply (RLOC-probe reply) for 10.2.0.0/24",
        ),
        ("map-reply-longer", reply(false, false, longer), "Map-Reply"),
        (
            "map-reply-paths",
            reply(false, false, vec![over_a_path()]),
            "Map-Reply for 10.2.0.0/24",
        ),
        ("map-register-paths", register(), "Map-Register for 10.2.0.0/24"),
        (
            "encapsulated-ddt",
            ddt(),
            "Encapsulated Map-Request (DDT-originated) for 10.2.0.9/32",
        ),
        (
            "encapsulated-to-router",
            relayed(Via::ToRouter),
            "Encapsulated Map-Register for 10.1.0.0/24",
        ),
        (
            "encapsulated-from-router",
            relayed(Via::FromRouter),
            "Encapsulated Map-Register for 10.1.0.0/24",
        ),
        (
            "encapsulated-notice",
            notice(),
            // It does not look behind authentication data.
            "Encapsulated Control Message",
        ),
    ]
}

/// A Map-Notify that goes back by that router, with what proves to it whose word it is.
fn notice() -> Message {
    let key = Key::new(1, Algorithm::HmacSha256, b"secret").unwrap();
    let mut message = Vec::new();
    let notify = samples::notify(vec![record("10.1.0.0/24", &["192.0.2.1"])], None);
    Message::MapNotify(notify)
        .emit_signed(&key, &mut message)
        .unwrap();
    let proof = key.vouch(&message).unwrap();
    Message::Encapsulated(Encapsulated {
        source: "192.0.2.9:4342".parse().unwrap(),
        destination: "10.1.0.7".parse().unwrap(),
        ddt_originated: false,
        via: Via::Notice(proof),
        message,
    })
}

fn over_a_path() -> MappingRecord {
    let hops = ["192.0.2.5", "2001:db8:f::6", "192.0.2.2"].map(|hop| Hop::loose(rloc(hop)));
    let mut mapping = record("10.2.0.0/24", &["192.0.2.2"]);
    let path = Path::new(&hops).unwrap();
    mapping
        .locators
        .push(Locator::over(path, Priority(2), Weight(100)));
    mapping
}

/// A registration whose life is its own, of a path and for several xTRs.
fn register() -> Message {
    Message::MapRegister(MapRegister {
        nonce: Nonce(41),
        proxy_reply: true,
        want_notify: true,
        merge: true,
        use_ttl: true,
        auth: AuthField::unsigned(),
        records: vec![over_a_path()],
        xtr: Some((samples::XTR, SiteId(7))),
    })
}

fn ddt() -> Message {
    match samples::encapsulated("10.1.0.7", "10.2.0.9", &Message::MapRequest(request())) {
        Message::Encapsulated(envelope) => Message::Encapsulated(Encapsulated {
            ddt_originated: true,
            ..envelope
        }),
        other => other,
    }
}

/// A registration that goes by a router which helps through a NAT.
fn relayed(via: Via) -> Message {
    let key = Key::new(1, Algorithm::HmacSha256, b"secret").unwrap();
    let mut message = Vec::new();
    samples::register(vec![record("10.1.0.0/24", &["192.0.2.1"])], None)
        .emit_signed(&key, &mut message)
        .unwrap();
    Message::Encapsulated(Encapsulated {
        source: "10.1.0.7:4342".parse().unwrap(),
        destination: "192.0.2.9".parse().unwrap(),
        ddt_originated: false,
        via,
        message,
    })
}

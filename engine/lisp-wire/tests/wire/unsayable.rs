//! Values that no bytes can say are errors, and leave nothing behind.

use lisp_wire::{
    Algorithm, AuthField, ChangePriority, EmitError, Key, MapRequest, MappingRecord, Message, NotifyBits,
    Purpose, SiteId,
};

use crate::samples::{self, XTR, record, request, rloc};

fn refusal(message: &Message) -> EmitError {
    let mut out = vec![7; 3];
    let refusal = message.emit(&mut out).unwrap_err();
    assert_eq!(out, [7; 3], "an error leaves nothing behind");
    refusal
}

fn count(what: &'static str, count: usize, least: usize, most: usize) -> EmitError {
    EmitError::Count {
        what,
        count,
        least,
        most,
    }
}

/// A record with this many locators.
fn many(locators: usize) -> MappingRecord {
    let mut record = record("10.1.0.0/24", &["192.0.2.1"]);
    record.locators = vec![record.locators[0]; locators];
    record
}

fn with(message: Message, edit: impl Fn(&mut ChangePriority)) -> Message {
    let Message::ChangePriority(mut change) = message else {
        panic!("a Change-Priority")
    };
    edit(&mut change);
    Message::ChangePriority(change)
}

#[test]
fn counts_beyond_their_fields_are_refused() {
    let locators = samples::register(vec![many(255)], None);
    let mut out = Vec::new();
    locators.emit(&mut out).unwrap();
    let read = Message::parse(&out);
    assert_eq!(read, Ok(locators), "255 locators fit");

    assert_eq!(
        refusal(&samples::register(vec![many(256)], None)),
        count("locators", 256, 0, 255)
    );
    let records = vec![many(1); 256];
    assert_eq!(
        refusal(&samples::register(records.clone(), None)),
        count("records", 256, 0, 255)
    );
    assert_eq!(
        refusal(&samples::change(Purpose::Handover, records)),
        count("records", 256, 1, 255)
    );
    let rlocs = MapRequest {
        itr_rlocs: vec![rloc("192.0.2.1"); 33],
        ..request()
    };
    assert_eq!(
        refusal(&Message::MapRequest(rlocs)),
        count("ITR-RLOCs", 33, 1, 32)
    );
    let nobody = MapRequest {
        itr_rlocs: vec![],
        ..request()
    };
    assert_eq!(
        refusal(&Message::MapRequest(nobody)),
        count("ITR-RLOCs", 0, 1, 32)
    );
    let nothing = MapRequest {
        eids: vec![],
        ..request()
    };
    assert_eq!(
        refusal(&Message::MapRequest(nothing)),
        count("EID records", 0, 1, 255)
    );
}

#[test]
fn a_map_version_has_12_bits() {
    let mut versioned = many(1);
    versioned.map_version = 4096;
    let refused = refusal(&samples::register(vec![versioned], None));
    assert_eq!(
        refused,
        EmitError::Range {
            what: "map version",
            value: 4096,
            bits: 12
        }
    );
}

#[test]
fn a_mac_must_be_of_its_algorithms_length() {
    for (algorithm, length) in [
        (Algorithm::None, 1),
        (Algorithm::HmacSha1, 16),
        (Algorithm::HmacSha256, 20),
        (Algorithm::HmacSha256Hkdf, 0),
    ] {
        let mut notify = samples::notify(vec![many(1)], None);
        notify.auth = AuthField {
            key_id: 1,
            algorithm,
            mac: vec![0; length],
        };
        assert_eq!(
            refusal(&Message::MapNotify(notify)),
            EmitError::MacLength { algorithm, length }
        );
    }
}

#[test]
fn what_a_form_has_no_room_for_is_refused() {
    let bare = || vec![record("10.1.0.7/32", &[])];
    let contradictions = [
        Message::MapNotifyAck(samples::notify(vec![], Some((XTR, SiteId(1))))),
        samples::legacy(Purpose::Acknowledge, bare()),
        samples::legacy(Purpose::AcknowledgeSubscribed, bare()),
        with(samples::legacy(Purpose::Arrived, bare()), |change| {
            change.xtr = Some(XTR);
        }),
        with(samples::change(Purpose::Arrived, bare()), |change| {
            change.xtr = None;
        }),
        samples::change(Purpose::Arrived, vec![many(1)]),
        samples::change(Purpose::Acknowledge, vec![many(1)]),
        samples::change(Purpose::AcknowledgeSubscribed, vec![many(1)]),
        samples::change(Purpose::Handover, bare()),
        samples::legacy(Purpose::Handover, bare()),
    ];
    for message in contradictions {
        assert!(
            matches!(refusal(&message), EmitError::Contradiction { .. }),
            "{message:?}"
        );
    }
    let two = samples::legacy(Purpose::UpdateCache, vec![many(1); 2]);
    assert_eq!(refusal(&two), count("records", 2, 1, 1));
}

#[test]
fn an_envelope_holds_one_family_and_no_more_than_a_packet() {
    let (name, envelope) = samples::unsigned().swap_remove(11);
    let Message::Encapsulated(envelope) = envelope else {
        panic!("{name}")
    };
    let mut mixed = envelope.clone();
    mixed.destination = "2001:db8::1".parse().unwrap();
    assert!(matches!(
        refusal(&Message::Encapsulated(mixed)),
        EmitError::Contradiction { .. }
    ));
    let mut long = envelope.clone();
    long.message = vec![0; 65_508];
    assert!(matches!(
        refusal(&Message::Encapsulated(long.clone())),
        EmitError::TooLong { length: 65_508, .. }
    ));
    long.message.pop();
    assert!(
        matches!(
            refusal(&Message::Encapsulated(long)),
            EmitError::TooLong {
                length: 65_539,
                most: 65_507
            }
        ),
        "the outer datagram has to hold it too"
    );
}

#[test]
fn an_info_reply_names_sixteen_routers_at_most() {
    let rtrs = ["192.0.2.9"; 17];
    let refused = refusal(&samples::info("10.1.0.0/24", Some(samples::seen(&rtrs))));
    assert!(
        matches!(
            refused,
            EmitError::Count {
                count: 17,
                most: 16,
                ..
            }
        ),
        "{refused}"
    );
}

#[test]
fn only_what_carries_authentication_is_signed() {
    let key = Key::new(1, Algorithm::HmacSha256, b"secret").unwrap();
    for (name, message) in samples::unsigned() {
        let mut out = vec![7; 3];
        let number = message.packet_type();
        assert_eq!(
            message.emit_signed(&key, &mut out),
            Err(EmitError::NotAuthenticated { number }),
            "{name}"
        );
        assert_eq!(out, [7; 3], "{name}");
    }
}

#[test]
fn a_subscription_names_its_xtr_and_records_that_are_there() {
    let nameless = MapRequest {
        xtr: None,
        ..samples::subscriber()
    };
    let beyond = MapRequest {
        notify: NotifyBits::NONE.with(1),
        ..samples::subscriber()
    };
    let far_beyond = MapRequest {
        notify: NotifyBits::FIRST.with(200),
        ..samples::subscriber()
    };
    for request in [nameless, beyond, far_beyond] {
        let refused = refusal(&Message::MapRequest(request));
        assert!(matches!(refused, EmitError::Contradiction { .. }), "{refused}");
    }
}

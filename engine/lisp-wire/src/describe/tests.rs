use super::*;
use crate::message::{Encapsulated, MapRegister, MapRequest, NotifyBits, SiteId, XtrId};
use crate::{AuthField, Eid, Key, Locator, MappingRecord, Priority, Rloc, Ttl, Weight};

fn prefix(text: &str) -> EidPrefix {
    text.parse().unwrap()
}

fn request(eids: &[&str]) -> MapRequest {
    MapRequest {
        nonce: Nonce(0x0123_4567_89ab_cdef),
        authoritative: false,
        probe: false,
        solicit: false,
        invoked: false,
        proxy_itr: false,
        no_reply: false,
        source_eid: Some(Eid::of([10, 2, 0, 1].into())),
        itr_rlocs: vec![Rloc([172, 16, 1, 1].into())],
        eids: eids.iter().map(|eid| prefix(eid)).collect(),
        map_reply: None,
        notify: NotifyBits::NONE,
        xtr: None,
    }
}

fn bytes(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.emit(&mut bytes).unwrap();
    bytes
}

fn register() -> MapRegister {
    MapRegister {
        nonce: Nonce(7),
        proxy_reply: true,
        want_notify: true,
        merge: false,
        use_ttl: false,
        auth: AuthField::unsigned(),
        records: vec![MappingRecord {
            ttl: Ttl(1440),
            eid: prefix("[7]10.1.0.7/32"),
            action: crate::Action::NoAction,
            authoritative: true,
            map_version: 0,
            locators: vec![Locator::unicast(
                Rloc([172, 16, 0, 1].into()),
                Priority(1),
                Weight(100),
            )],
        }],
        xtr: Some((XtrId(0xaa), SiteId(3))),
    }
}

#[test]
fn a_question_reads_as_one() {
    let told = Description::of(
        &bytes(&Message::MapRequest(request(&["10.1.0.7/32"]))),
        Type5::default(),
    );
    assert_eq!(told.kind, MessageKind::MapRequest);
    assert_eq!(
        told.line,
        "10.1.0.7/32 from 10.2.0.1, reply to 172.16.1.1, nonce 0x0123456789abcdef"
    );
    assert_eq!(told.eids, [prefix("10.1.0.7/32")]);
    assert_eq!(told.nonce, Some(Nonce(0x0123_4567_89ab_cdef)));
    assert_eq!(told.key, None);
    let value = |name: &str| {
        let field = told.fields.iter().find(|field| field.name == name);
        field.map(|field| field.value.as_str())
    };
    assert_eq!(value("itr-rlocs.0"), Some("172.16.1.1"));
    assert_eq!(value("smr-invoked"), Some("false"));
}

#[test]
fn what_vouches_for_a_message_is_named_and_never_shown() {
    let secret = b"a secret that nobody may see";
    let key = Key::new(9, Algorithm::HmacSha256, secret).unwrap();
    let mut signed = Vec::new();
    Message::MapRegister(register())
        .emit_signed(&key, &mut signed)
        .unwrap();
    let told = Description::of(&signed, Type5::default());
    assert_eq!(told.key, Some((9, Algorithm::HmacSha256)));
    assert_eq!(told.eids, [prefix("[7]10.1.0.7/32")]);
    assert_eq!(
        told.line,
        "[7]10.1.0.7/32 = 172.16.0.1 1/100 (1440 min), proxy-reply, want-notify, nonce 0x0000000000000007, key 9"
    );
    let all = format!("{told:?}").to_lowercase();
    let mac = signed.get(16..32).unwrap();
    let hex: String = mac[..4]
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert!(!all.contains(&hex), "{all}");
    assert!(
        !all.contains(&format!("{mac:?}")) && !all.contains("nobody may see"),
        "{all}"
    );
    assert!(
        told.fields
            .iter()
            .any(|field| field.name == "mac" && field.value == "16 bytes")
    );
}

#[test]
fn an_envelope_is_about_what_is_in_it() {
    let inside = bytes(&Message::MapRequest(request(&["10.1.0.7/32", "2001:db8::/32"])));
    let envelope = Message::Encapsulated(Encapsulated {
        source: ([10, 2, 0, 1], 4342).into(),
        destination: [10, 1, 0, 7].into(),
        ddt_originated: false,
        via: crate::Via::Nobody,
        message: inside,
    });
    let told = Description::of(&bytes(&envelope), Type5::default());
    assert_eq!(told.kind, MessageKind::Ecm);
    assert_eq!(told.eids, [prefix("10.1.0.7/32"), prefix("2001:db8::/32")]);
    assert!(
        told.line
            .starts_with("10.2.0.1:4342 > 10.1.0.7: map-request 10.1.0.7/32, 2001:db8::/32 from")
    );
    assert!(told.fields.iter().any(|field| field.name == "message.eids.1"));
}

#[test]
fn bytes_that_are_no_message_say_why() {
    let mut cut = bytes(&Message::MapRequest(request(&["10.1.0.7/32"])));
    cut.pop();
    let told = Description::of(&cut, Type5::default());
    assert_eq!(told.kind, MessageKind::MapRequest);
    assert!(
        told.line.contains("no message: EID record 0: cut short"),
        "{}",
        told.line
    );
    assert!(told.fields.is_empty());
    assert_eq!(Description::of(&[], Type5::default()).kind, MessageKind::Unknown);
}

#[test]
fn a_long_message_has_a_short_line() {
    let eids: Vec<String> = (0..255).map(|last| format!("10.1.0.{last}/32")).collect();
    let eids: Vec<&str> = eids.iter().map(String::as_str).collect();
    let told = Description::of(&bytes(&Message::MapRequest(request(&eids))), Type5::default());
    assert!(told.line.len() < 200, "{}", told.line);
    assert!(told.line.contains("10.1.0.3/32 and 251 more"), "{}", told.line);
    assert_eq!(told.eids.len(), 255);
}

#[test]
fn every_kind_is_read_by_the_name_it_is_written_by() {
    for kind in MessageKind::ALL {
        let json = serde_json::to_string(&kind).unwrap();
        assert_eq!(json, format!("\"{kind}\""));
        assert_eq!(serde_json::from_str::<MessageKind>(&json).unwrap(), kind);
    }
}

#[test]
fn a_path_is_told_hop_by_hop() {
    let hops: Vec<crate::path::Hop> = [1, 2]
        .map(|last| crate::path::Hop::loose(Rloc([172, 16, 5, last].into())))
        .into();
    let mut register = register();
    let path = crate::path::Path::new(&hops).unwrap();
    register.records[0].locators[0].rloc = path.first();
    register.records[0].locators[0].path = Some(path);
    let key = Key::new(9, Algorithm::HmacSha256, b"any").unwrap();
    let mut signed = Vec::new();
    Message::MapRegister(register)
        .emit_signed(&key, &mut signed)
        .unwrap();
    let told = Description::of(&signed, Type5::default());
    assert!(told.line.contains(&path.to_string()), "{}", told.line);
    let hop = told
        .fields
        .iter()
        .find(|field| field.name == "records.0.locators.0.path.1.rloc");
    assert_eq!(hop.map(|field| field.value.as_str()), Some("172.16.5.2"));
}

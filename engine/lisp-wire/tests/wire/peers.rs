//! Messages of OpenOverlayRouter 1.3.0, as captured, and what they say.

use lisp_wire::{
    Action, Algorithm, AuthError, AuthField, Eid, Encapsulated, Info, Key, Locator, MacLength, MapNotify,
    MapRegister, MapReply, MapRequest, MappingRecord, Message, NatTraversal, Nonce, NotifyBits, Priority,
    Rloc, Ttl, Via, Weight, verify, verify_apart,
};

use crate::samples::{eid, prefix, rloc};

/// A locator as the peer writes it: priority 1, weight 100, no multicast priority but weight 0.
fn locator(address: &str, local: bool) -> Locator {
    Locator {
        local,
        ..Locator::unicast(rloc(address), Priority(1), Weight(100))
    }
}

/// Priority 2, for the peer's second interface.
fn second(address: &str, local: bool) -> Locator {
    Locator {
        priority: Priority(2),
        ..locator(address, local)
    }
}

fn record(eid: &str, locators: Vec<Locator>) -> MappingRecord {
    MappingRecord {
        ttl: Ttl(10),
        eid: prefix(eid),
        action: Action::NoAction,
        authoritative: true,
        map_version: 0,
        locators,
    }
}

fn request(nonce: u64, source_eid: Option<Eid>, itr_rloc: Rloc, asked: &str) -> MapRequest {
    MapRequest {
        nonce: Nonce(nonce),
        authoritative: false,
        probe: false,
        solicit: false,
        invoked: false,
        proxy_itr: false,
        no_reply: false,
        source_eid,
        itr_rlocs: vec![itr_rloc],
        eids: vec![prefix(asked)],
        map_reply: None,
        notify: NotifyBits::NONE,
        xtr: None,
    }
}

fn mac(hex: &str) -> AuthField {
    AuthField {
        key_id: 0,
        algorithm: Algorithm::HmacSha1,
        mac: bytes(hex),
    }
}

/// Bytes and value of what both sides write alike to the last bit.
fn pairs() -> Vec<(&'static str, Message)> {
    let rloc_a = || locator("10.0.1.2", true);
    let rloc_b = || locator("10.0.2.2", true);
    vec![
        // RLOC-probe of an IPv4 prefix: no source EID.
        (
            "120000017bfeb36f0fb77e5b000000010a000b0200180001c0a80200",
            Message::MapRequest(MapRequest {
                probe: true,
                ..request(0x7bfe_b36f_0fb7_7e5b, None, rloc("10.0.11.2"), "192.168.2.0/24")
            }),
        ),
        // RLOC-probe over IPv6.
        (
            "1200000179b74a7b3f4db3790000000220010db800110000000000000000000200400002fd000002000000000000000000000000",
            Message::MapRequest(MapRequest {
                probe: true,
                ..request(0x79b7_4a7b_3f4d_b379, None, rloc("2001:db8:11::2"), "fd00:2::/64")
            }),
        ),
        // RLOC-probe of a tenant's prefix.
        (
            "12000001edf7eb7b01ee7049000000010a000b020018400300000220000a000000640001c0a80200",
            Message::MapRequest(MapRequest {
                probe: true,
                ..request(
                    0xedf7_eb7b_01ee_7049,
                    None,
                    rloc("10.0.11.2"),
                    "[100]192.168.2.0/24",
                )
            }),
        ),
        // SMR: solicits a request for the receiver's own prefix.
        (
            "1100000100000000000000000001c0a8010000010a000b0200180001c0a80200",
            Message::MapRequest(MapRequest {
                solicit: true,
                ..request(0, Some(eid("192.168.1.0")), rloc("10.0.11.2"), "192.168.2.0/24")
            }),
        ),
        (
            "2000000172b75f6bf75c17420000000a0218100000000001c0a801000164ff00000500010a0001020264ff00000500010a000b02",
            Message::MapReply(MapReply {
                nonce: Nonce(0x72b7_5f6b_f75c_1742),
                probe: false,
                echo_nonce: false,
                records: vec![record(
                    "192.168.1.0/24",
                    vec![rloc_a(), second("10.0.11.2", true)],
                )],
            }),
        ),
        // Negative, from the Map-Server.
        (
            "200000017fa7d26f09d4270e0000000f0012300000000001c1a84000",
            Message::MapReply(MapReply {
                nonce: Nonce(0x7fa7_d26f_09d4_270e),
                probe: false,
                echo_nonce: false,
                records: vec![MappingRecord {
                    ttl: Ttl(15),
                    action: Action::NativelyForward,
                    ..record("193.168.64.0/18", vec![])
                }],
            }),
        ),
        // Answer to a probe: p on the locator that was probed.
        (
            "280000017bfeb36f0fb77e5b0000000a0118100000000001c0a802000164ff00000700010a000202",
            Message::MapReply(MapReply {
                nonce: Nonce(0x7bfe_b36f_0fb7_7e5b),
                probe: true,
                echo_nonce: false,
                records: vec![record(
                    "192.168.2.0/24",
                    vec![Locator {
                        probed: true,
                        ..rloc_b()
                    }],
                )],
            }),
        ),
        // A tenant's IPv6 prefix over IPv4.
        (
            "20000001b1a7036f0106a3310000000a0240100000004003000002200016000000640002fd0000010000000000000000000000000164\
             ff00000500010a0001020264ff00000500010a000b02",
            Message::MapReply(MapReply {
                nonce: Nonce(0xb1a7_036f_0106_a331),
                probe: false,
                echo_nonce: false,
                records: vec![record(
                    "[100]fd00:1::/64",
                    vec![rloc_a(), second("10.0.11.2", true)],
                )],
            }),
        ),
        (
            "300001016fffdf6ffddc796700010014460640f0727e7701148f4546d179bcc715f86a000000000a0118100000000001c0a802000164\
             ff00000500010a000202",
            Message::MapRegister(MapRegister {
                merge: false,
                use_ttl: false,
                nonce: Nonce(0x6fff_df6f_fddc_7967),
                proxy_reply: false,
                want_notify: true,
                auth: mac("460640f0727e7701148f4546d179bcc715f86a00"),
                records: vec![record("192.168.2.0/24", vec![rloc_b()])],
                xtr: None,
            }),
        ),
        // The Map-Server clears L in what it stores and repeats.
        (
            "400000016fffdf6ffddc796700010014e2a01375ead497cdcda0c1372ab1121a7ebb323a0000000a0118100000000001c0a802000164\
             ff00000100010a000202",
            Message::MapNotify(MapNotify {
                nonce: Nonce(0x6fff_df6f_fddc_7967),
                auth: mac("e2a01375ead497cdcda0c1372ab1121a7ebb323a"),
                records: vec![record("192.168.2.0/24", vec![locator("10.0.2.2", false)])],
                xtr: None,
            }),
        ),
        // IPv6 needs no IPv4 identification, so that the whole envelope is alike too.
        (
            "8000000060000000004011fffd000001000000000000000000000010fd00000200000000000000000000001010f610f60040cd781000\
             0001fbf7fe6b09faf1d90002fd00000100000000000000000000001000010a000b0200800002fd000002000000000000000000000010",
            Message::Encapsulated(Encapsulated {
                source: "[fd00:1::10]:4342".parse().unwrap(),
                destination: "fd00:2::10".parse().unwrap(),
                ddt_originated: false,
                via: lisp_wire::Via::Nobody,
                message: emitted(&Message::MapRequest(request(
                    0xfbf7_fe6b_09fa_f1d9,
                    Some(eid("fd00:1::10")),
                    rloc("10.0.11.2"),
                    "fd00:2::10/128",
                ))),
            }),
        ),
        (
            "700000007bab3b7b313d2b02000100148f39530869575ea09deab57a45c68b3431b07c4c0000000000180001c0a801000000",
            Message::Info(Info {
                nonce: Nonce(0x7bab_3b7b_313d_2b02),
                auth: mac("8f39530869575ea09deab57a45c68b3431b07c4c"),
                ttl: Ttl(0),
                eid: prefix("192.168.1.0/24"),
                nat: None,
            }),
        ),
        (
            "780000007bab3b7b313d2b02000100146af8431305bc54c77d71584107e528670af3852f0000000a00180001c0a8010040030000\
             0700001810f610f600010a00070100010a000902000000010a000802",
            Message::Info(Info {
                nonce: Nonce(0x7bab_3b7b_313d_2b02),
                auth: mac("6af8431305bc54c77d71584107e528670af3852f"),
                ttl: Ttl(10),
                eid: prefix("192.168.1.0/24"),
                nat: Some(NatTraversal {
                    server_port: 4342,
                    etr_port: 4342,
                    global: Some(rloc("10.0.7.1")),
                    server: Some(rloc("10.0.9.2")),
                    private: None,
                    rtrs: vec![rloc("10.0.8.2")],
                }),
            }),
        ),
    ]
}

#[test]
fn a_peers_messages_are_read_and_written_bit_by_bit() {
    for (hex, message) in pairs() {
        assert_eq!(Message::parse(&bytes(hex)).as_ref(), Ok(&message), "{hex}");
        assert_eq!(emitted(&message), bytes(hex), "{hex}");
    }
}

#[test]
fn a_peers_envelope_is_read_with_its_identification_and_request() {
    let hex = "800000004500003c00224000ff11f73dc0a80200c0a8010010f610f60028e50e10400001b7bfba6f21be3fb50001c0a8020000010a00\
               020200180001c0a80100";
    let invoked = MapRequest {
        invoked: true,
        ..request(
            0xb7bf_ba6f_21be_3fb5,
            Some(eid("192.168.2.0")),
            rloc("10.0.2.2"),
            "192.168.1.0/24",
        )
    };
    let Ok(Message::Encapsulated(envelope)) = Message::parse(&bytes(hex)) else {
        panic!("an envelope")
    };
    assert_eq!(envelope.source, "192.168.2.0:4342".parse().unwrap());
    assert_eq!(
        envelope.destination,
        "192.168.1.0".parse::<std::net::IpAddr>().unwrap()
    );
    assert_eq!(
        Message::parse(&envelope.message),
        Ok(Message::MapRequest(invoked))
    );
}

#[test]
fn a_peers_envelopes_through_a_nat_are_read() {
    // From its xTR to its router, and from its Map-Server to the router.
    let register = "804000004500008000024000ff115d670a0001020a00090210f610f6006c4b633b0001017bab4a7b314e231a00010014da33f061\
                    70cc1e5412a4156aed23941065b5d9550000000a0218100000000001c0a801000164ff00000400010a0001020164ff0000010001\
                    0a00080289258e90d67e70fe2da05f657614872b0000000000000000";
    let notify = "88400000020000000001001419c8610b7d5c09a2d8f3f2c0ceb0735d34c037e54500008000034000ff115d660a0009020a000102\
                  10f610f6006c5a35480000017bab4a7b314e231a00010014b030aa502edcda473a21e868cbb6303b2d5977bb0000000a02181000\
                  00000001c0a801000164ff00000000010a0001020164ff00000100010a00080289258e90d67e70fe2da05f657614872b00000000\
                  00000000";
    let envelope = |hex: &str| match Message::parse(&bytes(hex)) {
        Ok(Message::Encapsulated(envelope)) => envelope,
        other => panic!("an envelope, not {other:?}"),
    };
    let (register, notify) = (envelope(register), envelope(notify));
    assert_eq!(register.via, Via::ToRouter);
    assert_eq!(register.source, "10.0.1.2:4342".parse().unwrap());
    let nonce = Nonce(0x7bab_4a7b_314e_231a);
    assert!(
        matches!(Message::parse(&register.message), Ok(Message::MapRegister(inner)) if inner.nonce == nonce)
    );
    assert!(matches!(Message::parse(&notify.message), Ok(Message::MapNotify(inner)) if inner.nonce == nonce));
    let Via::Notice(auth) = notify.via else {
        panic!("the router's own authentication")
    };
    assert_eq!((auth.algorithm, auth.mac.len()), (Algorithm::HmacSha1, 20));
}

#[test]
fn what_stands_apart_from_its_mac_is_vouched_for_too() {
    let message = emitted(&pairs()[9].1);
    for algorithm in [
        Algorithm::HmacSha1,
        Algorithm::HmacSha256,
        Algorithm::HmacSha256Hkdf,
    ] {
        let key = Key::new(3, algorithm, b"of the router").unwrap();
        let auth = key.vouch(&message).unwrap();
        let keys = [key];
        assert_eq!(verify_apart(&message, &auth, &keys).map(|key| key.id), Ok(3));
        let mut other = message.clone();
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(
            verify_apart(&other, &auth, &keys).unwrap_err(),
            AuthError::Mismatch
        );
        assert!(verify_apart(&message, &auth, &[]).is_err());
    }
}

#[test]
fn a_peers_mac_is_verified_by_the_key_it_was_made_with() {
    let signed = [
        // Map-Register and Map-Notify of both sites, over IPv4 and, the last, with IPv6 locators in a tenant.
        (b"secretB", pairs()[8].0),
        (b"secretB", pairs()[9].0),
        (b"secretA", pairs()[11].0),
        (b"secretA", pairs()[12].0),
        (
            b"secretA",
            "300001017bb7e26ffee1931b0001001487c08f3868892b0856039043938621219c0e24d50000000a0218100000000001c0a801000164\
             ff00000500010a0001020264ff00000500010a000b02",
        ),
        (
            b"secretA",
            "30000101f7af177b1610ac6700010014119ef8621ba82a79af7b41b8440dacf96f40c4450000000a0240100000004003000002200016\
             000000640002fd0000010000000000000000000000000164ff00000500010a0001020264ff00000500010a000b02",
        ),
    ];
    for (secret, hex) in signed {
        for mac_length in [MacLength::Truncated, MacLength::Whole] {
            let right = Key::new(0, Algorithm::HmacSha1, secret)
                .unwrap()
                .with_mac_length(mac_length);
            assert!(verify(&bytes(hex), &[right]).is_ok(), "{hex}");
        }
        let wrong = Key::new(0, Algorithm::HmacSha1, b"secretC").unwrap();
        assert_eq!(verify(&bytes(hex), &[wrong]).unwrap_err(), AuthError::Mismatch);
    }
}

#[test]
fn a_registration_is_signed_as_the_peer_signs_it() {
    let (hex, message) = &pairs()[8];
    let key = Key::new(0, Algorithm::HmacSha1, b"secretB")
        .unwrap()
        .with_mac_length(MacLength::Whole);
    let mut signed = Vec::new();
    message.emit_signed(&key, &mut signed).unwrap();
    assert_eq!(signed, bytes(hex));
}

fn emitted(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.emit(&mut out).unwrap();
    out
}

fn bytes(hex: &str) -> Vec<u8> {
    let (pairs, odd) = hex.as_bytes().as_chunks::<2>();
    assert!(odd.is_empty(), "{hex}");
    pairs
        .iter()
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

//! Another implementation as judge: tshark dissects one of each message we emit, and finds nothing wrong.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as a test does")]

#[path = "tshark/data.rs"]
mod data;
#[path = "tshark/frames.rs"]
mod frames;
#[path = "tshark/further.rs"]
mod further;
#[path = "wire/samples.rs"]
mod samples;

use std::fs;
use std::process::Command;

use frames::{capture, over_ipv4, over_ipv6};
use lisp_wire::{
    Action, Algorithm, AuthField, CONTROL_PORT, Key, Locator, MacLength, MapRegister, MapReply, MapRequest,
    Message, Nonce, SiteId,
};

/// What tshark must call the samples. It names no EID where there are several records, and knows neither type 5 nor
/// type 15.
const INFO: [(&str, &str); 44] = [
    ("map-request", "Map-Request for 10.2.0.9/32"),
    ("map-request-probe", "Map-Request (RLOC-probe) for 10.2.0.9/32"),
    ("map-request-smr", "Map-Request (SMR) for 10.2.0.9/32"),
    (
        "map-request-smr-invoked",
        "Map-Request (SMR-invoked) for 10.2.0.9/32",
    ),
    ("map-request-tenant", "Map-Request"),
    ("map-request-ipv6", "Map-Request for 2001:db8:2::9/128"),
    ("map-request-with-mapping", "Map-Request by P-ITR for 10.2.0.9/32"),
    ("map-request-subscribe", "Map-Request"),
    (
        "map-request-subscribe-with-mapping",
        "Map-Request for 10.2.0.9/32",
    ),
    ("map-reply-policy-denied", "Map-Reply for 10.2.0.9/32"),
    ("map-reply-auth-failure", "Map-Reply for 10.2.0.9/32"),
    ("map-notify-publication", "Map-Notify for 10.1.0.7/32"),
    ("map-reply", "Map-Reply for 10.2.0.0/24"),
    ("map-reply-negative", "Map-Reply for 10.9.0.0/16"),
    ("map-reply-probe", "Map-Reply (RLOC-probe reply) for 10.2.0.0/24"),
    ("map-reply-tenants", "Map-Reply"),
    (
        "encapsulated-ipv4",
        "Encapsulated Map-Request (SMR-invoked) for 10.2.0.9/32",
    ),
    (
        "encapsulated-ipv6",
        "Encapsulated Map-Request for 2001:db8:2::9/128",
    ),
    ("map-register", "Map-Register for 10.1.0.0/24"),
    ("map-register-with-xtr", "Map-Register"),
    ("map-notify", "Map-Notify for 10.1.0.0/24"),
    ("map-notify-with-xtr", "Map-Notify"),
    ("map-notify-ack", "Unknown LISP Control Packet (5)"),
    ("map-register-merging", "Map-Register for 10.1.0.0/24"),
    ("map-referral-node", "Map-Referral for 10.2.0.0/16"),
    ("map-referral-server", "Map-Referral for [7] 2001:db8:2::/48"),
    ("map-referral-acknowledged", "Map-Referral for 10.2.0.0/24"),
    ("map-referral-hole", "Map-Referral for 10.9.0.0/16"),
    ("info-request", "Info-Request for 10.1.0.0/24"),
    ("info-reply", "Info-Reply for 10.1.0.0/24"),
    ("info-reply-rtrs", "Info-Reply for [7] 2001:db8:1::/48"),
    ("change-priority-arrived", "Unknown LISP Control Packet (15)"),
    ("change-priority-handover", "Unknown LISP Control Packet (15)"),
    (
        "change-priority-handover-told",
        "Unknown LISP Control Packet (15)",
    ),
    ("preparation-hand", "Unknown LISP Control Packet (15)"),
    ("preparation-stopped", "Unknown LISP Control Packet (15)"),
    ("preparation-cancelled", "Unknown LISP Control Packet (15)"),
    ("preparation-acknowledge", "Unknown LISP Control Packet (15)"),
    ("change-priority-update", "Unknown LISP Control Packet (15)"),
    ("change-priority-acknowledge", "Unknown LISP Control Packet (15)"),
    (
        "change-priority-acknowledge-subscribed",
        "Unknown LISP Control Packet (15)",
    ),
    (
        "change-priority-legacy-arrived",
        "Unknown LISP Control Packet (5)",
    ),
    (
        "change-priority-legacy-handover",
        "Unknown LISP Control Packet (5)",
    ),
    ("change-priority-legacy-update", "Unknown LISP Control Packet (5)"),
];

#[test]
fn tshark_dissects_one_of_each_message_and_finds_nothing_malformed() {
    let keys = [
        Key::new(1, Algorithm::HmacSha256, b"secret").unwrap(),
        Key::new(1, Algorithm::HmacSha256, b"secret")
            .unwrap()
            .with_mac_length(MacLength::Whole),
        Key::new(2, Algorithm::HmacSha1, b"secret").unwrap(),
        Key::new(2, Algorithm::HmacSha1, b"secret")
            .unwrap()
            .with_mac_length(MacLength::Whole),
    ];
    let mut frames = Vec::new();
    let mut expected = Vec::new();
    // tshark takes no ITR-RLOC of AFI 0, as RFC 9437 section 5 wants it where a subscription ends.
    let known = |(name, _): &(&str, Message)| *name != "map-request-unsubscribe";
    let samples = samples::all().into_iter().filter(known).map(|(name, message)| {
        let (_, info) = INFO.iter().find(|(known, _)| *known == name).unwrap();
        (name, message, *info)
    });
    let mut types = std::collections::BTreeSet::new();
    for (name, message, info) in samples.chain(further::messages()) {
        types.insert(message.packet_type());
        let unsigned = !matches!(message.packet_type(), 3 | 4 | 5 | 7 | 15);
        for key in keys.iter().take(if unsigned { 1 } else { keys.len() }) {
            let mut bytes = Vec::new();
            if unsigned {
                message.emit(&mut bytes)
            } else {
                message.emit_signed(key, &mut bytes)
            }
            .unwrap();
            frames.push(over_ipv4(CONTROL_PORT, &bytes));
            frames.push(over_ipv6(CONTROL_PORT, &bytes));
            expected.extend([(name, message.packet_type(), info); 2]);
        }
    }
    assert!(
        types.into_iter().eq([1, 2, 3, 4, 5, 6, 7, 8, 15]),
        "all types that are sent"
    );
    let dissected = dissect("control", &frames, &["lisp.type", "_ws.col.Info"]);
    assert_eq!(dissected.len(), expected.len());
    for (fields, (name, number, info)) in dissected.iter().zip(&expected) {
        let [types, said] = fields.as_slice() else {
            panic!("{fields:?}")
        };
        assert_eq!(
            types.split(',').next(),
            Some(number.to_string().as_str()),
            "{name}: {said}"
        );
        assert_eq!(said, info, "{name}");
    }
}

#[test]
fn tshark_reads_the_same_fields_out_of_a_registration() {
    let (_, message) = samples::signed().swap_remove(1);
    let key = Key::new(1, Algorithm::HmacSha256, b"secret").unwrap();
    let mut bytes = Vec::new();
    message.emit_signed(&key, &mut bytes).unwrap();
    let fields = [
        "lisp.nonce",
        "lisp.keyid",
        "lisp.authlen",
        "lisp.mapping.ttl",
        "lisp.mapping.eid.masklen",
        "lisp.loc.flags.local",
        "lisp.loc.priority",
        "lisp.loc.weight",
        "lisp.xtrid",
        "lisp.siteid",
    ];
    let dissected = dissect("register", &[over_ipv4(CONTROL_PORT, &bytes)], &fields);
    let read = [
        "0x0000000000000029",
        "0x0102",
        "16",
        "10,10",
        "32,48",
        "1,1",
        "1,1",
        "100,100",
        "000102030405060708090a0b0c0d0e0f",
        "1122334455667788",
    ];
    assert_eq!(dissected, [read]);
}

#[test]
fn tshark_sees_each_flag_of_a_request_where_it_is_set() {
    let set: [fn(&mut MapRequest); 6] = [
        |request| request.authoritative = true,
        |request| request.map_reply = Some(samples::record("10.1.0.0/24", &["192.0.2.1"])),
        |request| request.probe = true,
        |request| request.solicit = true,
        |request| request.proxy_itr = true,
        |request| request.invoked = true,
    ];
    let fields =
        ["auth", "mrp", "probe", "smr", "pitr", "smri"].map(|flag| format!("lisp.mreq.flags.{flag}"));
    let messages = set.map(|set| {
        let mut request = samples::request();
        set(&mut request);
        Message::MapRequest(request)
    });
    assert_one_each("request", &messages, &fields);
}

#[test]
fn what_is_newer_than_tshark_stands_in_the_bits_that_are_reserved_to_it() {
    let silent = MapRequest {
        no_reply: true,
        ..samples::request()
    };
    let requests = [samples::request(), silent, samples::subscriber()];
    let frames = requests.map(|request| frame(&Message::MapRequest(request)));
    // Of the nine bits before the count of ITR-RLOCs D is the last and I the second (RFC 9301 section 5.2, RFC 9437 section
    // 4); N is the first of a record's eight.
    let dissected = dissect("reserved", &frames, &["lisp.mreq.res", "lisp.mreq.record.res"]);
    let read = [["0x000000", "0x00"], ["0x000001", "0x00"], ["0x000080", "0x80"]];
    assert_eq!(dissected, read);
}

#[test]
fn tshark_sees_each_flag_of_a_reply_a_registration_and_an_envelope_where_it_is_set() {
    let reply = |probe, echo_nonce| {
        Message::MapReply(MapReply {
            nonce: Nonce(1),
            probe,
            echo_nonce,
            records: vec![],
        })
    };
    let replies = [reply(true, false), reply(false, true)];
    assert_one_each(
        "reply",
        &replies,
        &["lisp.mrep.flags.probe", "lisp.mrep.flags.enlr"].map(str::to_owned),
    );

    let register = |proxy_reply, want_notify, xtr| {
        let (nonce, auth) = (Nonce(1), AuthField::unsigned());
        Message::MapRegister(MapRegister {
            nonce,
            proxy_reply,
            want_notify,
            merge: false,
            use_ttl: false,
            auth,
            records: vec![],
            xtr,
        })
    };
    let site = Some((samples::XTR, SiteId(1)));
    let registers = [
        register(true, false, None),
        register(false, true, None),
        register(false, false, site),
    ];
    let fields = ["pmr", "wmn", "xtrid"].map(|flag| format!("lisp.mreg.flags.{flag}"));
    assert_one_each("register-flags", &registers, &fields);

    let mut envelope =
        samples::encapsulated("10.1.0.7", "10.2.0.9", &Message::MapRequest(samples::request()));
    if let Message::Encapsulated(envelope) = &mut envelope {
        envelope.ddt_originated = true;
    }
    assert_one_each("envelope", &[envelope], &["lisp.ecm.flags.ddt".to_owned()]);
}

#[test]
fn tshark_sees_each_flag_of_a_locator_and_each_action_where_they_are_set() {
    let reply = |records| {
        Message::MapReply(MapReply {
            nonce: Nonce(1),
            probe: false,
            echo_nonce: false,
            records,
        })
    };
    let set: [fn(&mut Locator); 3] = [
        |locator| locator.local = true,
        |locator| locator.probed = true,
        |locator| locator.reachable = true,
    ];
    let messages = set.map(|set| {
        let mut record = samples::record("10.1.0.0/24", &["192.0.2.1"]);
        (record.locators[0].local, record.locators[0].reachable) = (false, false);
        set(&mut record.locators[0]);
        reply(vec![record])
    });
    let fields = ["local", "probe", "reach"].map(|flag| format!("lisp.loc.flags.{flag}"));
    assert_one_each("locator", &messages, &fields);

    let actions = [
        Action::NoAction,
        Action::NativelyForward,
        Action::SendMapRequest,
        Action::Drop,
        Action::DropPolicyDenied,
        Action::DropAuthFailure,
    ];
    let frames = actions.map(|action| {
        let mut record = samples::record("10.1.0.0/24", &[]);
        (record.action, record.map_version) = (action, 0x0abc);
        frame(&reply(vec![record]))
    });
    let dissected = dissect(
        "action",
        &frames,
        &["lisp.mapping.act", "lisp.mapping.ver", "lisp.mapping.auth"],
    );
    let expected: Vec<_> = (0..6)
        .map(|number| vec![number.to_string(), "2748".into(), "1".into()])
        .collect();
    assert_eq!(dissected, expected);
}

/// Of these flags tshark must see the first set in the first message and no other, and so on.
fn assert_one_each(name: &str, messages: &[Message], fields: &[String]) {
    let frames: Vec<_> = messages.iter().map(frame).collect();
    let fields: Vec<_> = fields.iter().map(String::as_str).collect();
    let flag = |set| if set { "1" } else { "0" }.to_owned();
    let expected: Vec<Vec<_>> = (0..messages.len())
        .map(|message| (0..fields.len()).map(|field| flag(field == message)).collect())
        .collect();
    assert_eq!(dissect(name, &frames, &fields), expected, "{fields:?}");
}

fn frame(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.emit(&mut bytes).unwrap();
    over_ipv4(CONTROL_PORT, &bytes)
}

#[test]
#[should_panic(expected = "tshark objects")]
fn tshark_would_object_to_a_message_that_is_cut_short() {
    let (_, message) = samples::unsigned().swap_remove(7);
    let mut bytes = Vec::new();
    message.emit(&mut bytes).unwrap();
    bytes.pop();
    dissect("cut", &[over_ipv4(CONTROL_PORT, &bytes)], &["lisp.type"]);
}

/// Fields of each frame, after tshark has found neither a malformed part nor an error, checksums included.
fn dissect(name: &str, frames: &[Vec<u8>], fields: &[&str]) -> Vec<Vec<String>> {
    let file = std::env::temp_dir().join(format!("lisp-wire-{name}-{}.pcap", std::process::id()));
    fs::write(&file, capture(frames)).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new("tshark")
            .args([
                "-n",
                "-o",
                "udp.check_checksum:TRUE",
                "-o",
                "ip.check_checksum:TRUE",
                "-r",
            ])
            .arg(&file)
            .args(arguments)
            .output()
            .expect("this test needs tshark: apt-get install tshark");
        assert!(
            output.status.success(),
            "tshark: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let wrong = run(&[
        "-V",
        "-Y",
        "_ws.malformed || _ws.short || _ws.expert.severity >= \"Warning\"",
    ]);
    let mut arguments = vec!["-T", "fields", "-E", "separator=|"];
    arguments.extend(fields.iter().flat_map(|field| ["-e", *field]));
    let told = run(&arguments);
    fs::remove_file(&file).unwrap();
    assert_eq!(wrong, "", "tshark objects");
    let lines: Vec<Vec<String>> = told
        .lines()
        .map(|line| line.split('|').map(str::to_owned).collect())
        .collect();
    assert_eq!(lines.len(), frames.len(), "a line for each frame");
    lines
}

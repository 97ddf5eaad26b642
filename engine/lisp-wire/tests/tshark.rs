//! Another implementation as judge: tshark dissects one of each message we emit, and finds nothing wrong.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as a test does")]

#[path = "wire/samples.rs"]
mod samples;

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

use lisp_wire::{Algorithm, CONTROL_PORT, DATA_PORT, DataHeader, InstanceId, Key, MacLength, data_header};

/// What tshark must call the samples. It names no EID where there are several records, and knows neither type 5 nor
/// type 15.
const INFO: [(&str, &str); 25] = [
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
    ("change-priority-arrived", "Unknown LISP Control Packet (15)"),
    ("change-priority-handover", "Unknown LISP Control Packet (15)"),
    ("change-priority-update", "Unknown LISP Control Packet (15)"),
    ("change-priority-acknowledge", "Unknown LISP Control Packet (15)"),
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
    for (name, message) in samples::all() {
        let (_, info) = INFO.iter().find(|(known, _)| *known == name).unwrap();
        let unsigned = !matches!(message.packet_type(), 3 | 4 | 5 | 15);
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
            expected.extend([(name, message.packet_type(), *info); 2]);
        }
    }
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
fn tshark_finds_the_inner_packet_behind_every_data_header() {
    use data_header::{DataNonce, EchoRequest, MapVersion, Mark};
    let tenant = InstanceId::new(7).unwrap();
    let nonce = Mark::Nonce {
        nonce: DataNonce::from_random(0xab_cdef),
        echo: EchoRequest::Yes,
    };
    let version = |number| MapVersion::new(number).unwrap();
    let versions = Mark::Versions {
        source: version(0x123),
        destination: version(0x456),
    };
    let headers = [
        DataHeader::PLAIN,
        DataHeader::tenant(tenant),
        DataHeader::tenant(tenant).with_locator_status(3),
        DataHeader::PLAIN
            .with_locator_status(0x8000_0001)
            .with_mark(nonce),
        DataHeader::tenant(tenant).with_mark(versions),
    ];
    let frames: Vec<_> = headers
        .iter()
        .map(|header| {
            let inner = ipv4(
                Ipv4Addr::new(10, 1, 0, 7),
                Ipv4Addr::new(10, 2, 0, 9),
                &udp(None, 9, b"inner"),
            );
            over_ipv4(DATA_PORT, &[header.emit().as_slice(), &inner].concat())
        })
        .collect();
    let fields = [
        "frame.protocols",
        "lisp-data.iid",
        "lisp-data.nonce",
        "lisp-data.lsb",
        "lisp-data.lsb8",
        "lisp-data.srcmapver",
        "lisp-data.dstmapver",
    ];
    let dissected = dissect("data", &frames, &fields);
    let found = |header: [&'static str; 6]| {
        let [iid, nonce, bits, bits8, source, destination] = header;
        vec![
            "eth:ethertype:ip:udp:lisp-data:ip:udp:data",
            iid,
            nonce,
            bits,
            bits8,
            source,
            destination,
        ]
    };
    let read = [
        found(["", "", "", "", "", ""]),
        found(["7", "", "", "", "", ""]),
        found(["7", "", "", "0x03", "", ""]),
        found(["", "11259375", "0x80000001", "", "", ""]),
        found(["7", "", "", "", "291", "1110"]),
    ];
    assert_eq!(dissected, read);
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

/// A capture file: the classic header, microseconds, Ethernet.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0002_0004, 0, 0, 65_535, 1_u32] {
        file.extend(word.to_be_bytes());
    }
    for (second, frame) in (1_u32..).zip(frames) {
        for word in [second, 0, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_be_bytes());
        }
        file.extend(frame);
    }
    file
}

fn over_ipv4(port: u16, payload: &[u8]) -> Vec<u8> {
    let packet = ipv4(
        Ipv4Addr::new(192, 0, 2, 1),
        Ipv4Addr::new(192, 0, 2, 2),
        &udp(None, port, payload),
    );
    [
        [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00].as_slice(),
        &packet,
    ]
    .concat()
}

fn over_ipv6(port: u16, payload: &[u8]) -> Vec<u8> {
    let (from, to) = ("2001:db8:f::1".parse().unwrap(), "2001:db8:f::2".parse().unwrap());
    let datagram = udp(Some((from, to)), port, payload);
    let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0];
    packet.extend((datagram.len() as u16).to_be_bytes());
    packet.extend([17, 64]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(datagram);
    packet
}

/// A UDP datagram from an odd port. Over IPv4 the checksum may be left out, over IPv6 not.
fn udp(ends: Option<(Ipv6Addr, Ipv6Addr)>, port: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut datagram = [61_000_u16, port, length, 0].map(u16::to_be_bytes).concat();
    datagram.extend(payload);
    if let Some((from, to)) = ends {
        let pseudo = [from.octets(), to.octets()].concat();
        let sum = sum(&pseudo) + 17 + u64::from(length) + sum(&datagram);
        datagram[6..8].copy_from_slice(&folded(sum).to_be_bytes());
    }
    datagram
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((20 + payload.len() as u16).to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    header.extend(from.octets());
    header.extend(to.octets());
    let checksum = folded(sum(&header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header.extend(payload);
    header
}

/// Written here once more, so that the crate's own checksums have a second opinion beside tshark's.
fn sum(bytes: &[u8]) -> u64 {
    bytes
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)))
        .sum()
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

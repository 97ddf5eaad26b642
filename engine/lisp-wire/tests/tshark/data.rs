//! Data headers of every form that is sent, around packets of both families, between locators of both.

use std::net::{Ipv4Addr, Ipv6Addr};

use lisp_wire::data_header::{DataNonce, EchoRequest, MapVersion, Mark};
use lisp_wire::{DATA_PORT, DataHeader, InstanceId};

use super::dissect;
use super::frames::{ipv4, ipv6, over_ipv4, over_ipv6, udp};

/// What a header must be read as: N, L, E, V, I, instance-id, nonce, 32 bits, 8 bits, versions.
type Read = [&'static str; 11];

fn nonce(echo: EchoRequest) -> Mark {
    Mark::Nonce {
        nonce: DataNonce::from_random(0xab_cdef),
        echo,
    }
}

fn versions(source: u16, destination: u16) -> Mark {
    let version = |number| MapVersion::new(number).unwrap();
    Mark::Versions {
        source: version(source),
        destination: version(destination),
    }
}

/// Everything that a header may say, alone and together.
fn headers() -> Vec<(DataHeader, Read)> {
    let tenant = DataHeader::tenant(InstanceId::new(7).unwrap());
    let plain = DataHeader::PLAIN;
    let asking = nonce(EchoRequest::Yes);
    let echoing = nonce(EchoRequest::No);
    vec![
        (plain, ["0", "0", "0", "0", "0", "", "", "", "", "", ""]),
        (tenant, ["0", "0", "0", "0", "1", "7", "", "", "", "", ""]),
        (
            plain.with_locator_status(0x8000_0001),
            ["0", "1", "0", "0", "0", "", "", "0x80000001", "", "", ""],
        ),
        (
            tenant.with_locator_status(3),
            ["0", "1", "0", "0", "1", "7", "", "", "0x03", "", ""],
        ),
        (
            plain.with_mark(asking),
            ["1", "0", "1", "0", "0", "", "11259375", "", "", "", ""],
        ),
        (
            plain.with_mark(echoing),
            ["1", "0", "0", "0", "0", "", "11259375", "", "", "", ""],
        ),
        (
            tenant.with_mark(asking),
            ["1", "0", "1", "0", "1", "7", "11259375", "", "", "", ""],
        ),
        (
            plain.with_locator_status(5).with_mark(echoing),
            ["1", "1", "0", "0", "0", "", "11259375", "0x00000005", "", "", ""],
        ),
        (
            tenant.with_locator_status(5).with_mark(asking),
            ["1", "1", "1", "0", "1", "7", "11259375", "", "0x05", "", ""],
        ),
        (
            plain.with_mark(versions(0x123, 0x456)),
            ["0", "0", "0", "1", "0", "", "", "", "", "291", "1110"],
        ),
        (
            plain.with_mark(versions(0, 0x456)),
            ["0", "0", "0", "1", "0", "", "", "", "", "0", "1110"],
        ),
        (
            plain.with_locator_status(5).with_mark(versions(0x123, 0x456)),
            ["0", "1", "0", "1", "0", "", "", "0x00000005", "", "291", "1110"],
        ),
        (
            tenant.with_mark(versions(0x123, 0x456)),
            ["0", "0", "0", "1", "1", "7", "", "", "", "291", "1110"],
        ),
        (
            tenant.with_locator_status(5).with_mark(versions(0x123, 0x456)),
            ["0", "1", "0", "1", "1", "7", "", "", "0x05", "291", "1110"],
        ),
    ]
}

#[test]
fn tshark_finds_the_inner_packet_behind_every_data_header() {
    let inner4 = ipv4(
        Ipv4Addr::new(10, 1, 0, 7),
        Ipv4Addr::new(10, 2, 0, 9),
        &udp(None, 9, b"inner"),
    );
    let ends: [Ipv6Addr; 2] = ["2001:db8:1::7", "2001:db8:2::9"].map(|text| text.parse().unwrap());
    let inner6 = ipv6(ends[0], ends[1], &udp(Some((ends[0], ends[1])), 9, b"inner"));
    let (mut frames, mut expected) = (Vec::new(), Vec::new());
    for (header, read) in headers() {
        for (inner, inside) in [(&inner4, "ip"), (&inner6, "ipv6")] {
            let payload = [header.emit().as_slice(), inner].concat();
            for (frame, outside) in [
                (over_ipv4(DATA_PORT, &payload), "ip"),
                (over_ipv6(DATA_PORT, &payload), "ipv6"),
            ] {
                frames.push(frame);
                let layers = format!("eth:ethertype:{outside}:udp:lisp-data:{inside}:udp:data");
                let read = read.iter().map(|field| (*field).to_owned());
                expected.push(std::iter::once(layers).chain(read).collect::<Vec<_>>());
            }
        }
    }
    let fields = [
        "frame.protocols",
        "lisp-data.flags.nonce",
        "lisp-data.flags.lsb",
        "lisp-data.flags.enr",
        "lisp-data.flags.mv",
        "lisp-data.flags.iid",
        "lisp-data.iid",
        "lisp-data.nonce",
        "lisp-data.lsb",
        "lisp-data.lsb8",
        "lisp-data.srcmapver",
        "lisp-data.dstmapver",
    ];
    assert_eq!(dissect("data", &frames, &fields), expected);
}

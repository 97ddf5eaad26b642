//! The whole line in virtual time.

use std::collections::BTreeMap;

use proto::Span;

use super::config::{Directed, GATEWAY, LineConfig, PortConfig, PortKind};
use super::frame::tests::udp;
use super::*;
use crate::fabric::{Access, Discipline};
use crate::namespace::Mac;

const MS: Nanos = 1_000_000;
const EID: [u8; 4] = [10, 1, 0, 7];
const USER: [u8; 4] = [10, 2, 1, 10];

fn mac(n: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, n])
}

fn port(name: &str, segment: &str, kind: PortKind) -> PortConfig {
    PortConfig {
        name: name.into(),
        segment: segment.into(),
        interface: name.into(),
        access: None,
        kind,
    }
}

fn delay(ms: u64) -> PairShape {
    PairShape {
        delay: Span::millis(ms),
        ..PairShape::default()
    }
}

/// Ports a, b, c on the WAN; gateways telco, marilyn and guest vm (home telco) on the inner network.
fn config() -> LineConfig {
    let both = |a: &str, b: &str, shape| {
        [(a, b), (b, a)].map(|(from, to)| Directed {
            from: from.into(),
            to: to.into(),
            shape,
        })
    };
    let mut pairs = Vec::new();
    pairs.extend(both("a", "b", delay(18)));
    pairs.extend(both("telco", "marilyn", delay(5)));
    LineConfig {
        seed: 1,
        ports: vec![
            port("a", "wan", PortKind::Plain),
            port("b", "wan", PortKind::Plain),
            port("c", "wan", PortKind::Plain),
            port("telco", "inner", PortKind::Gateway),
            port("marilyn", "inner", PortKind::Gateway),
            port("vm", "inner", PortKind::Guest { home: "telco".into() }),
        ],
        default: BTreeMap::from([("wan".into(), delay(10)), ("inner".into(), delay(1))]),
        pairs,
    }
}

const A: PortId = PortId(0);
const B: PortId = PortId(1);
const C: PortId = PortId(2);
const TELCO: PortId = PortId(3);
const MARILYN: PortId = PortId(4);
const VM: PortId = PortId(5);

fn wan_frame(from: u8, to: u8, payload: usize) -> Vec<u8> {
    udp(
        (mac(from), mac(to)),
        ([172, 16, 0, from], [172, 16, 0, to]),
        (5000, 4341),
        payload,
    )
}

fn to_vm(remote: [u8; 4]) -> Vec<u8> {
    udp((GATEWAY, mac(9)), (remote, EID), (1, 2), 100)
}

fn from_vm(remote: [u8; 4]) -> Vec<u8> {
    udp((mac(9), GATEWAY), (EID, remote), (2, 1), 100)
}

fn run(line: &mut Line, until: Nanos) -> Vec<(PortId, Nanos)> {
    let mut out = Vec::new();
    line.poll(until, &mut out);
    out.into_iter()
        .map(|departure| (departure.port, departure.due))
        .collect()
}

/// A line whose switch knows where everybody is.
fn taught() -> Line {
    let mut line = Line::new(config()).unwrap();
    for (port, frame) in [
        (A, wan_frame(1, 2, 0)),
        (B, wan_frame(2, 1, 0)),
        (C, wan_frame(3, 1, 0)),
        (VM, from_vm(USER)),
    ] {
        line.ingress(port, frame, 0);
    }
    run(&mut line, 1000 * MS);
    line
}

#[test]
fn a_frame_leaves_after_the_delay_of_its_direction_however_late_it_is_polled() {
    let mut line = taught();
    line.ingress(A, wan_frame(1, 2, 100), 1000 * MS);
    line.ingress(C, wan_frame(3, 2, 100), 1001 * MS);
    assert_eq!(line.next_due(), Some(1011 * MS));
    assert_eq!(run(&mut line, 1017 * MS), [(B, 1011 * MS)]);
    assert_eq!(run(&mut line, 2000 * MS), [(B, 1018 * MS)]);
    assert_eq!(line.next_due(), None);
}

#[test]
fn an_unknown_receiver_is_looked_for_on_its_own_segment_only() {
    let mut line = Line::new(config()).unwrap();
    line.ingress(A, wan_frame(1, 2, 100), 0);
    assert_eq!(run(&mut line, 100 * MS), [(C, 10 * MS), (B, 18 * MS)]);
    // B was never heard, C neither; A was.
    line.ingress(C, wan_frame(3, 1, 100), 100 * MS);
    assert_eq!(run(&mut line, 200 * MS), [(A, 110 * MS)]);
}

#[test]
fn a_stress_is_felt_in_its_direction_alone() {
    let mut line = taught();
    line.command(&LineCommand::Stress {
        from: "a".into(),
        to: "b".into(),
        add: Span::millis(200),
    })
    .unwrap();
    line.ingress(A, wan_frame(1, 2, 100), 1000 * MS);
    line.ingress(B, wan_frame(2, 1, 100), 1000 * MS);
    assert_eq!(run(&mut line, 3000 * MS), [(A, 1018 * MS), (B, 1218 * MS)]);
    let wrong = LineCommand::Stress {
        from: "a".into(),
        to: "vm".into(),
        add: Span::ZERO,
    };
    assert!(line.command(&wrong).unwrap_err().contains("different networks"));
}

#[test]
fn an_access_line_shapes_both_ways_and_counts_ip_bytes() {
    let mut config = config();
    config.ports[0].access = Some(Access {
        rate: 8_000_000,
        buffer: 262_144,
        discipline: Discipline::Fair,
    });
    let mut line = Line::new(config).unwrap();
    line.ingress(A, wan_frame(1, 2, 0), 0);
    line.ingress(B, wan_frame(2, 1, 0), 0);
    run(&mut line, 1000 * MS);
    // 28 bytes of headers and 972 of payload at 8 Mbit/s take a millisecond.
    for _ in 0..3 {
        line.ingress(B, wan_frame(2, 1, 972), 1000 * MS);
        line.ingress(A, wan_frame(1, 2, 972), 1000 * MS);
    }
    let expected =
        [(B, 1019), (A, 1019), (B, 1020), (A, 1020), (B, 1021), (A, 1021)].map(|(p, t)| (p, t * MS));
    let mut seen = run(&mut line, 2000 * MS);
    seen.sort_by_key(|(port, at)| (*at, std::cmp::Reverse(*port)));
    assert_eq!(seen, expected);
}

#[test]
fn a_vm_answers_through_the_data_centre_the_user_entered_by() {
    let mut line = taught();
    // Nobody entered yet: home.
    line.ingress(VM, from_vm(USER), 1000 * MS);
    assert_eq!(run(&mut line, 2000 * MS), [(TELCO, 1000 * MS)]);
    // The user enters by Marilyn, five milliseconds from the VM's home.
    line.ingress(MARILYN, to_vm(USER), 2000 * MS);
    assert_eq!(run(&mut line, 3000 * MS), [(VM, 2005 * MS)]);
    line.ingress(VM, from_vm(USER), 3000 * MS);
    assert_eq!(run(&mut line, 4000 * MS), [(MARILYN, 3005 * MS)]);
    // Another user is not concerned, and the last entry wins.
    line.ingress(VM, from_vm([10, 2, 2, 10]), 4000 * MS);
    assert_eq!(run(&mut line, 5000 * MS), [(TELCO, 4000 * MS)]);
    line.ingress(TELCO, to_vm(USER), 5000 * MS);
    line.ingress(VM, from_vm(USER), 5001 * MS);
    assert_eq!(run(&mut line, 6000 * MS), [(VM, 5000 * MS), (TELCO, 5001 * MS)]);
}

#[test]
fn stragglers_on_the_way_just_left_do_not_turn_the_answers_back() {
    let mut line = taught();
    line.ingress(TELCO, to_vm(USER), 1000 * MS);
    line.ingress(MARILYN, to_vm(USER), 2000 * MS);
    // Sent before the switch, over a way that takes long.
    line.ingress(TELCO, to_vm(USER), 2200 * MS);
    run(&mut line, 2300 * MS);
    line.ingress(VM, from_vm(USER), 2300 * MS);
    assert_eq!(run(&mut line, 2400 * MS), [(MARILYN, 2305 * MS)]);
    // Long after, it is a switch back.
    line.ingress(TELCO, to_vm(USER), 3001 * MS);
    line.ingress(VM, from_vm(USER), 3001 * MS);
    assert_eq!(run(&mut line, 3100 * MS), [(VM, 3001 * MS), (TELCO, 3001 * MS)]);
}

#[test]
fn a_vm_that_moves_takes_its_distances_along() {
    let mut line = taught();
    line.ingress(MARILYN, to_vm(USER), 1000 * MS);
    run(&mut line, 2000 * MS);
    line.command(&LineCommand::Rehome {
        port: "vm".into(),
        home: "marilyn".into(),
    })
    .unwrap();
    line.ingress(MARILYN, to_vm(USER), 2000 * MS);
    line.ingress(TELCO, to_vm([10, 2, 2, 10]), 2000 * MS);
    line.ingress(VM, from_vm([10, 2, 3, 10]), 2000 * MS);
    assert_eq!(
        run(&mut line, 3000 * MS),
        [(VM, 2000 * MS), (MARILYN, 2000 * MS), (VM, 2005 * MS)]
    );
    let wrong = LineCommand::Rehome {
        port: "telco".into(),
        home: "vm".into(),
    };
    assert!(line.command(&wrong).is_err());
}

#[test]
fn gateways_never_hear_each_other_and_all_hear_who_has_which_address() {
    let mut line = taught();
    let mut arp = to_vm(USER);
    arp[..6].fill(0xff);
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    line.ingress(MARILYN, arp.clone(), 1000 * MS);
    assert_eq!(run(&mut line, 2000 * MS), [(VM, 1005 * MS)]);
    arp[..6].copy_from_slice(&GATEWAY.0);
    arp[6..12].copy_from_slice(&mac(9).0);
    line.ingress(VM, arp, 2000 * MS);
    assert_eq!(
        run(&mut line, 3000 * MS),
        [(TELCO, 2000 * MS), (MARILYN, 2005 * MS)]
    );
}

#[test]
fn a_configuration_that_contradicts_itself_is_refused() {
    let mut twice = config();
    twice.ports[1].name = "a".into();
    assert_eq!(
        Line::new(twice).err(),
        Some(ConfigError::Twice { port: "a".into() })
    );
    let mut unknown = config();
    unknown.ports[5].kind = PortKind::Guest { home: "lip6".into() };
    assert_eq!(
        Line::new(unknown).err(),
        Some(ConfigError::Unknown { port: "lip6".into() })
    );
}

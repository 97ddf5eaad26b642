//! Over loopback: what is sent is received, with all that the kernel knows of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::receive::Whole;
use crate::{Operation, Outgoing, Receiver, Role, Sender, Tun, UdpSocket};

fn loopbacks() -> [IpAddr; 2] {
    [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
}

fn bound(address: IpAddr, role: Role) -> UdpSocket {
    UdpSocket::bind(SocketAddr::new(address, 0), role).unwrap()
}

#[test]
fn a_batch_arrives_in_order_each_with_its_own_ttl_and_class() {
    for address in loopbacks() {
        let (input, output) = (bound(address, Role::DataIn), bound(address, Role::DataOut));
        let payloads: Vec<Vec<u8>> = (1..=5)
            .map(|number| vec![number; usize::from(number) * 100])
            .collect();
        let datagrams = payloads.iter().zip(1u8..).map(|(payload, number)| Outgoing {
            payload,
            to: input.local(),
            ttl: Some(60 + number),
            traffic_class: number << 2 | 1,
        });
        assert_eq!(Sender::new(8).send(&output, datagrams).unwrap(), 5);
        let mut room = vec![0; 8 * 1000];
        let mut receiver = Receiver::new(8);
        let received = receiver
            .receive(&input, room.chunks_exact_mut(1000))
            .unwrap()
            .to_vec();
        assert_eq!(received.len(), 5, "{address}");
        for (((datagram, bytes), payload), number) in received
            .iter()
            .zip(room.chunks_exact(1000))
            .zip(&payloads)
            .zip(1u8..)
        {
            assert_eq!(&bytes[..datagram.length], payload);
            assert_eq!(datagram.from, output.local());
            assert_eq!(
                (datagram.ttl, datagram.traffic_class),
                (Some(60 + number), Some(number << 2 | 1))
            );
            assert_eq!((datagram.at, datagram.whole), (None, Whole::Complete));
        }
    }
}

#[test]
fn a_control_datagram_bears_the_kernels_time() {
    for address in loopbacks() {
        let (input, output) = (bound(address, Role::Control), bound(address, Role::Control));
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let before = clock();
        let datagram = Outgoing {
            payload: b"probe",
            to: input.local(),
            ttl: None,
            traffic_class: 0xb8,
        };
        Sender::new(1).send(&output, std::iter::once(datagram)).unwrap();
        let after = clock();
        let mut room = [0; 100];
        let mut receiver = Receiver::new(1);
        let received = receiver.receive(&input, std::iter::once(&mut room[..])).unwrap();
        let at = received[0].at.unwrap();
        let slack = Duration::from_millis(1);
        assert!(
            before <= at + slack && at <= after + slack,
            "{before:?} {at:?} {after:?}"
        );
    }
}

#[test]
fn what_does_not_fit_is_said_to_be_cut_and_nothing_is_nothing() {
    let [address, _] = loopbacks();
    let (input, output) = (bound(address, Role::DataIn), bound(address, Role::DataOut));
    let mut receiver = Receiver::new(2);
    let mut room = [[0; 10]; 2];
    let none = receiver
        .receive(&input, room.iter_mut().map(|buffer| &mut buffer[..]))
        .unwrap();
    assert!(none.is_empty());
    let datagram = Outgoing {
        payload: &[7; 11],
        to: input.local(),
        ttl: Some(1),
        traffic_class: 0,
    };
    Sender::new(1).send(&output, std::iter::once(datagram)).unwrap();
    let received = receiver
        .receive(&input, room.iter_mut().map(|buffer| &mut buffer[..]))
        .unwrap();
    assert_eq!(
        (received.len(), received[0].length, received[0].whole),
        (1, 10, Whole::Truncated)
    );
    assert_eq!(room, [[7; 10], [0; 10]]);
}

#[test]
fn no_more_is_sent_than_there_is_room_for() {
    let [address, _] = loopbacks();
    let (input, output) = (bound(address, Role::DataIn), bound(address, Role::DataOut));
    let datagram = Outgoing {
        payload: b"x",
        to: input.local(),
        ttl: Some(64),
        traffic_class: 0,
    };
    let mut sender = Sender::new(3);
    assert_eq!(
        sender.send(&output, std::iter::repeat_n(datagram, 10)).unwrap(),
        3
    );
    assert_eq!(sender.send(&output, std::iter::empty()).unwrap(), 0);
}

#[test]
fn too_big_a_datagram_is_refused_and_not_cut() {
    let [address, _] = loopbacks();
    let (input, output) = (bound(address, Role::DataIn), bound(address, Role::DataOut));
    let payload = vec![0; 65_600];
    let datagram = Outgoing {
        payload: &payload,
        to: input.local(),
        ttl: Some(64),
        traffic_class: 0,
    };
    let refused = Sender::new(1)
        .send(&output, std::iter::once(datagram))
        .unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EMSGSIZE));
}

#[test]
fn an_error_names_the_operation_and_its_object() {
    let [address, _] = loopbacks();
    let taken = bound(address, Role::Control);
    let refused = UdpSocket::bind(taken.local(), Role::Control).unwrap_err();
    assert_eq!(refused.operation, Operation::Bind);
    assert!(
        refused
            .to_string()
            .starts_with(&format!("binding of {}: ", taken.local())),
        "{refused}"
    );
    for name in ["", "a-name-that-is-too-long", "a/b", "a b"] {
        assert!(
            Tun::create(name)
                .unwrap_err()
                .to_string()
                .contains("1 to 15 visible bytes")
                || name.is_empty()
        );
    }
}

#[test]
fn the_way_to_this_host_is_as_wide_as_loopback() {
    for address in loopbacks() {
        assert_eq!(crate::path::path_mtu(address).unwrap(), u16::MAX);
    }
}

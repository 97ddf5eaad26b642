//! Every value comes back from its bytes.

use lisp_wire::{Algorithm, Key, MacLength, Message, Type5, verify};
use proptest::prelude::*;

use crate::{samples, strategies};

/// Type 5 with no flags has two readings; the sender's form says which is meant.
fn reading(message: &Message) -> Type5 {
    if matches!(message, Message::ChangePriority(_)) {
        Type5::ChangePriority
    } else {
        Type5::MapNotifyAck
    }
}

fn bytes_of(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.emit(&mut bytes).unwrap();
    bytes
}

#[test]
fn every_sample_comes_back_from_its_bytes() {
    for (name, message) in samples::all() {
        let read = Message::parse_with(&bytes_of(&message), reading(&message));
        assert_eq!(read.as_ref(), Ok(&message), "{name}");
    }
}

#[test]
fn emitting_appends_and_leaves_what_was_there() {
    for (name, message) in samples::all() {
        let mut bytes = b"before".to_vec();
        message.emit(&mut bytes).unwrap();
        assert_eq!(
            bytes.strip_prefix(b"before"),
            Some(bytes_of(&message).as_slice()),
            "{name}"
        );
    }
}

#[test]
fn type_5_is_read_by_its_flags_and_then_by_the_switch() {
    let legacy: Vec<_> = samples::signed()
        .into_iter()
        .filter(|(name, _)| name.contains("legacy"))
        .map(|(_, it)| it)
        .collect();
    let [arrived, handover, update] = legacy.as_slice() else {
        panic!("three purposes")
    };
    for flagged in [arrived, update] {
        assert_eq!(Message::parse(&bytes_of(flagged)).as_ref(), Ok(flagged));
    }
    assert_eq!(bytes_of(handover)[0], 0x50);
    assert!(!matches!(
        Message::parse(&bytes_of(handover)),
        Ok(Message::ChangePriority(_))
    ));
    assert_eq!(
        Message::parse_with(&bytes_of(handover), Type5::ChangePriority).as_ref(),
        Ok(handover)
    );
}

proptest! {
    #[test]
    fn every_message_comes_back_from_its_bytes(message in strategies::message()) {
        let read = Message::parse_with(&bytes_of(&message), reading(&message));
        prop_assert_eq!(read, Ok(message));
    }

    #[test]
    fn a_signed_message_is_verified_and_comes_back_with_its_mac(
        message in strategies::authenticated(),
        id in any::<u8>(),
        secret in proptest::collection::vec(any::<u8>(), 1..100),
        shape in 0..6_usize,
    ) {
        let algorithm = [Algorithm::HmacSha1, Algorithm::HmacSha256, Algorithm::HmacSha256Hkdf][shape / 2];
        let (mac_length, bytes) = [(MacLength::Truncated, [12, 16, 16]), (MacLength::Whole, [20, 32, 32])][shape % 2];
        let key = Key::new(id, algorithm, &secret).unwrap().with_mac_length(mac_length);
        let mut signed = Vec::new();
        message.emit_signed(&key, &mut signed).unwrap();
        prop_assert!(verify(&signed, std::slice::from_ref(&key)).is_ok());

        let read = Message::parse_with(&signed, reading(&message)).unwrap();
        let auth = match &read {
            Message::MapRegister(register) => &register.auth,
            Message::MapNotify(notify) | Message::MapNotifyAck(notify) => &notify.auth,
            Message::ChangePriority(change) => &change.auth,
            Message::Preparation(preparation) => &preparation.auth,
            Message::Info(info) => &info.auth,
            other => return Err(TestCaseError::fail(format!("read as {other:?}"))),
        };
        prop_assert_eq!((auth.key_id, auth.algorithm, auth.mac.len()), (id, algorithm, bytes[shape / 2]));
        // With the MAC it came with, the message is emitted as it came.
        prop_assert_eq!(bytes_of(&read), signed);
    }
}

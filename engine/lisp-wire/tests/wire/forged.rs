//! Messages whose MAC is absent, cannot be, or is over other bytes.

use lisp_wire::message::AuthField;
use lisp_wire::{Algorithm, AuthError, Key, Message, Purpose, WireError, verify};
use proptest::prelude::*;

use crate::corpora::targets;
use crate::hostile::{bytes_of, edited};
use crate::samples::{self, record};
use crate::strategies;

#[test]
fn macs_and_algorithms_that_cannot_be_are_refused() {
    let algorithm = edited("map-register", |bytes| bytes[13] = 4);
    assert_eq!(algorithm, Err(WireError::Algorithm { number: 4 }));
    let length = edited("map-register", |bytes| (bytes[13], bytes[15]) = (2, 20));
    assert_eq!(
        length,
        Err(WireError::MacLength {
            algorithm: Algorithm::HmacSha256,
            length: 20
        })
    );
}

#[test]
fn a_message_without_a_mac_is_never_believed() {
    let key = Key::new(0, Algorithm::HmacSha256, b"secret").unwrap();
    let keys = std::slice::from_ref(&key);
    let mut bare = samples::notify(vec![record("10.1.0.0/24", &["192.0.2.1"])], None);
    bare.auth = AuthField::unsigned();
    let refused = verify(&bytes_of(&Message::MapNotify(bare.clone())), keys).unwrap_err();
    assert_eq!(
        refused,
        AuthError::AlgorithmMismatch {
            key_id: 0,
            algorithm: 0
        }
    );
    // The right algorithm over no bytes at all.
    let mut bytes = bytes_of(&Message::MapNotify(bare));
    bytes[13] = 2;
    assert_eq!(verify(&bytes, keys).unwrap_err(), AuthError::Length { length: 0 });
}

proptest! {
    #[test]
    fn a_signed_message_with_a_bit_turned_is_not_believed(
        message in strategies::authenticated(),
        turns in proptest::collection::vec(any::<prop::sample::Index>(), 32),
    ) {
        let keys = targets::keys();
        for key in &keys {
            let mut bytes = Vec::new();
            message.emit_signed(key, &mut bytes).unwrap();
            for turn in &turns {
                let bit = turn.index(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(verify(&bytes, &keys).is_err(), "bit {} of {} bytes", bit, bytes.len());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            prop_assert!(verify(&bytes, &keys).is_ok());
        }
    }
}

#[test]
fn a_change_priority_is_not_taken_for_one_of_another_purpose() {
    // Purposes share a layout, so that it is the flags, and the MAC over them, that keep them apart.
    let key = &targets::keys()[0];
    let mut bytes = Vec::new();
    let bare = vec![record("10.1.0.7/32", &[])];
    samples::change(Purpose::Acknowledge, bare)
        .emit_signed(key, &mut bytes)
        .unwrap();
    bytes[2] = 0x80;
    assert!(matches!(
        Message::parse(&bytes),
        Ok(Message::ChangePriority(change)) if change.purpose == Purpose::Arrived
    ));
    assert_eq!(
        verify(&bytes, std::slice::from_ref(key)).unwrap_err(),
        AuthError::Mismatch
    );
}

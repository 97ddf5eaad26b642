//! Keys, lengths and who is refused why. The MACs were computed by another implementation of HMAC.

use super::*;
use crate::message::{AuthField, MapNotify, MapRegister, Nonce};

const SECRET: &[u8] = b"a pre-shared secret";

fn key(algorithm: Algorithm, mac_length: MacLength) -> Key {
    Key::new(9, algorithm, SECRET)
        .unwrap()
        .with_mac_length(mac_length)
}

fn notify() -> MapNotify {
    MapNotify {
        nonce: Nonce(42),
        auth: AuthField::unsigned(),
        records: vec![],
        xtr: None,
    }
}

fn signed(message: &Message, key: &Key) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.emit_signed(key, &mut bytes).unwrap();
    bytes
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn macs_are_those_of_the_algorithms() {
    use MacLength::{Truncated, Whole};
    let vectors = [
        (Algorithm::HmacSha1, Truncated, "5ef16370ee0a3c5c933d2279"),
        (
            Algorithm::HmacSha1,
            Whole,
            "bf35be0a4fdb3acb0eb626a290a4d73d6f75fbc2",
        ),
        (
            Algorithm::HmacSha256,
            Truncated,
            "39f37850f61f318d26c17646d7e6d302",
        ),
        (
            Algorithm::HmacSha256,
            Whole,
            "92da4b6b7071249625dcf920207a3d7714f74d9fff8d14aa6d760de7d5ae3033",
        ),
        (
            Algorithm::HmacSha256Hkdf,
            Truncated,
            "20e0e24f209d7597183ffc06fce79e0b",
        ),
        (
            Algorithm::HmacSha256Hkdf,
            Whole,
            "931f012ae08d1afabcf54a2c3678efd5c71f7cfb404faaf03d816cde356125b6",
        ),
    ];
    for (algorithm, mac_length, mac) in vectors {
        let message = signed(&Message::MapNotify(notify()), &key(algorithm, mac_length));
        assert_eq!(message[MAC_AT..], bytes(mac), "{algorithm:?} {mac_length:?}");
    }
}

// RFC 9301 section 5.6 says key = KDF(nonce + PSK, s) with the salt s, and nothing of "info" or of the key's length: the
// first is empty, the second that of HMAC-SHA-256-128 (RFC 4868 section 2.1.1), 32 bytes. The keys below were derived
// three times, by Python's hmac (after RFC 5869's test cases 1 and 3), by Python's cryptography, and by
//   openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt info: -kdfopt 'salt:Map-Register Authentication' \
//     -kdfopt hexkey:000000000000002a61207072652d73686172656420736563726574 HKDF   (nonce, secret)
// and the MACs by hmac.new(key, message with its MAC zero, sha256).digest()[:16].
#[test]
fn a_messages_own_key_comes_of_its_nonce_the_secret_and_the_name_of_its_type() {
    let derived = |salt: &[u8], nonce: u64| mac::hkdf(salt, &[&nonce.to_be_bytes(), SECRET], &[]).unwrap();
    let vectors: [(&[u8], u64, &str); 4] = [
        (
            b"Map-Register Authentication",
            42,
            "f417d4a6bc9279319df8ee700d794f86cd38b0167b88f0edb1746d08bf171f55",
        ),
        (
            b"Map-Notify Authentication",
            42,
            "2540d468803ac336adb59d4717b4e91423d1b48e9fa227b03fae010b4f66823d",
        ),
        (
            b"Map-Notify-Ack Authentication",
            42,
            "4a08ade0255db2c85a41db7479eb6c185bbdc5a971a4dd071c4a5a76cb6ab821",
        ),
        (
            b"Map-Register Authentication",
            41,
            "64aa4c05016e25d3d38d9cdc71ac0e31e187ba4dd8c40d3968ab4c645b812365",
        ),
    ];
    for (salt, nonce, key) in vectors {
        assert_eq!(
            derived(salt, nonce)[..],
            bytes(key),
            "{}",
            String::from_utf8_lossy(salt)
        );
    }
}

// The same for a whole Map-Register: a record, and the xTR-ID and Site-ID that follow it, which are under the MAC too.
#[test]
fn a_registration_is_authenticated_to_its_last_byte() {
    let mut register = bytes(
        "32000101000000000000002909030010185f123352a5784297fb22d8325cab57\
         0000000a01181000000000010a0100000164ff0000050001c0000201\
         000102030405060708090a0b0c0d0e0f1122334455667788",
    );
    let keys = [key(Algorithm::HmacSha256Hkdf, MacLength::Truncated)];
    let Ok(message @ Message::MapRegister(_)) = Message::parse(&register) else {
        panic!("it is a Map-Register")
    };
    assert!(verify(&register, &keys).is_ok());
    assert_eq!(signed(&message, &keys[0]), register);
    for at in 0..register.len() {
        register[at] ^= 1;
        assert!(verify(&register, &keys).is_err(), "byte {at}");
        register[at] ^= 1;
    }
}

#[test]
fn a_derived_key_is_one_types_own() {
    let key = key(Algorithm::HmacSha256Hkdf, MacLength::Truncated);
    let register = MapRegister {
        merge: false,
        use_ttl: false,
        nonce: Nonce(42),
        proxy_reply: false,
        want_notify: false,
        auth: AuthField::unsigned(),
        records: vec![],
        xtr: None,
    };
    let vectors = [
        (Message::MapRegister(register), "8899ab99eaa44dce7dcadc24489bc94d"),
        (Message::MapNotify(notify()), "20e0e24f209d7597183ffc06fce79e0b"),
        (
            Message::MapNotifyAck(notify()),
            "dfd1ab4a84f64e60547c42b76bccb4d4",
        ),
    ];
    for (message, mac) in vectors {
        assert_eq!(signed(&message, &key)[MAC_AT..], bytes(mac));
    }
}

#[test]
fn a_whole_mac_is_good_for_a_truncating_key_but_not_the_other_way() {
    for algorithm in [
        Algorithm::HmacSha1,
        Algorithm::HmacSha256,
        Algorithm::HmacSha256Hkdf,
    ] {
        let [truncating, whole] =
            [MacLength::Truncated, MacLength::Whole].map(|length| key(algorithm, length));
        let message = Message::MapNotify(notify());
        assert!(verify(&signed(&message, &whole), std::slice::from_ref(&truncating)).is_ok());
        let short = signed(&message, &truncating);
        let length = short[15].into();
        assert_eq!(
            verify(&short, &[whole]).unwrap_err(),
            AuthError::Length { length }
        );
    }
}

#[test]
fn a_message_says_which_key_and_algorithm_it_wants() {
    let bytes = signed(
        &Message::MapNotify(notify()),
        &key(Algorithm::HmacSha256, MacLength::Truncated),
    );
    let refusal = |keys: &[Key]| verify(&bytes, keys).unwrap_err();
    let other_number = Key::new(8, Algorithm::HmacSha256, SECRET).unwrap();
    let other_algorithm = key(Algorithm::HmacSha1, MacLength::Truncated);
    let other_secret = Key::new(9, Algorithm::HmacSha256, b"another").unwrap();
    assert_eq!(refusal(&[]), AuthError::UnknownKey { key_id: 9 });
    assert_eq!(
        refusal(std::slice::from_ref(&other_number)),
        AuthError::UnknownKey { key_id: 9 }
    );
    let mismatch = AuthError::AlgorithmMismatch {
        key_id: 9,
        algorithm: 2,
    };
    assert_eq!(refusal(&[other_number, other_algorithm.clone()]), mismatch);
    assert_eq!(
        refusal(&[other_secret, other_algorithm]),
        AuthError::Mismatch,
        "the closest is told of"
    );
}

#[test]
fn two_secrets_may_share_a_number_while_one_replaces_the_other() {
    let new = Key::new(9, Algorithm::HmacSha256, b"the next secret").unwrap();
    let old = key(Algorithm::HmacSha256, MacLength::Truncated);
    let bytes = signed(&Message::MapNotify(notify()), &old);
    let keys = [new, old];
    assert!(std::ptr::eq(verify(&bytes, &keys).unwrap(), &raw const keys[1]));
}

#[test]
fn only_types_with_authentication_are_looked_at() {
    let keys = [key(Algorithm::HmacSha256, MacLength::Truncated)];
    assert_eq!(
        verify(&[], &keys).unwrap_err(),
        AuthError::NotAuthenticated { number: 0 }
    );
    for number in [0, 1, 2, 6, 8, 9, 14] {
        let refused = verify(&[number << 4; 64], &keys).unwrap_err();
        assert_eq!(refused, AuthError::NotAuthenticated { number });
    }
    let bytes = signed(&Message::MapNotify(notify()), &keys[0]);
    for have in 1..bytes.len() {
        assert_eq!(
            verify(&bytes[..have], &keys).unwrap_err(),
            AuthError::Short { have }
        );
    }
}

#[test]
fn a_key_that_authenticates_nothing_cannot_be() {
    assert_eq!(
        Key::new(1, Algorithm::HmacSha256, b"").unwrap_err(),
        KeyError::Empty { id: 1 }
    );
    assert_eq!(
        Key::new(1, Algorithm::None, SECRET).unwrap_err(),
        KeyError::NoAlgorithm { id: 1 }
    );
}

#[test]
fn a_secret_is_never_shown() {
    let shown = format!(
        "{:?} {:#?}",
        Key::new(1, Algorithm::HmacSha1, b"hush").unwrap(),
        Key::new(1, Algorithm::HmacSha1, b"hush")
    );
    assert!(shown.contains("Key { id: 1, algorithm: HmacSha1"));
    for trace in ["hush", "104", "0x68", "secret"] {
        assert!(!shown.contains(trace), "{shown}");
    }
}

#[test]
fn the_algorithm_of_a_key_cannot_be_changed_into_none_and_pass() {
    // The field is public; a key whose algorithm was taken away makes no MAC and accepts none.
    let mut key = key(Algorithm::HmacSha256, MacLength::Truncated);
    key.algorithm = Algorithm::None;
    let mut out = Vec::new();
    let refused = Message::MapNotify(notify())
        .emit_signed(&key, &mut out)
        .unwrap_err();
    assert_eq!(
        (refused, out.len()),
        (EmitError::NotAuthenticated { number: 4 }, 0)
    );
    let mut bare = Vec::new();
    let unsigned = MapNotify {
        auth: AuthField {
            key_id: 9,
            ..AuthField::unsigned()
        },
        ..notify()
    };
    Message::MapNotify(unsigned).emit(&mut bare).unwrap();
    assert_eq!(verify(&bare, &[key]).unwrap_err(), AuthError::Mismatch);
}

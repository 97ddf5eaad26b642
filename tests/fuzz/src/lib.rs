//! What must hold for any bytes, one function a fuzz target. `lisp-wire`'s own tests run the corpora through the
//! same functions on a stable compiler.

use lisp_wire::{
    Algorithm, AuthError, DATA_HEADER_LEN, DataHeader, Description, Handed, Key, MacLength, Message, Type5,
    sealed::Around,
};

/// The secret that the corpus of `verify` is signed with.
pub const SECRET: &[u8] = b"a secret for the fuzzer";

/// Bytes that are read are a value that comes back from the bytes it is written as; under both readings of type 5. All
/// bytes can be told in words, and nobody makes a log's line as long as a datagram.
pub fn message(bytes: &[u8]) {
    for type5 in [Type5::MapNotifyAck, Type5::ChangePriority] {
        let told = Description::of(bytes, type5);
        assert!(told.line.len() < 16_384, "{}", told.line.len());
        let Ok(message) = Message::parse_with(bytes, type5) else {
            continue;
        };
        let mut written = Vec::new();
        message.emit(&mut written).expect("what was read can be written");
        let again = Message::parse_with(&written, type5).expect("what was written can be read");
        assert_eq!(again, message);
        match message {
            Message::Encapsulated(envelope) => {
                let _ = Message::parse(&envelope.message);
            }
            // A stream cipher gives any bytes a meaning: what is under the seal is read too.
            Message::Preparation(preparation) => {
                let around = Around {
                    nonce: preparation.nonce,
                    xtr: preparation.xtr,
                };
                if let Ok(handed) = Handed::open(&preparation.sealed, &keys()[0], around) {
                    handed.sealed_length().expect("what was read can be written");
                }
            }
            _ => {}
        }
    }
}

/// A header that is read comes back from its eight bytes, whatever follows them.
pub fn data_header(bytes: &[u8]) {
    let Ok(header) = DataHeader::parse(bytes) else {
        return;
    };
    assert!(bytes.len() >= DATA_HEADER_LEN);
    assert_eq!(DataHeader::parse(&header.emit()), Ok(header));
    let rebuilt = header
        .instance_id()
        .map_or(DataHeader::PLAIN, DataHeader::tenant)
        .with_mark(header.mark());
    let rebuilt = header
        .locator_status()
        .map_or(rebuilt, |bits| rebuilt.with_locator_status(bits));
    if header.encryption_key() == 0 {
        assert_eq!(rebuilt, header);
    }
}

/// Nothing is believed but what a key signed: a message that passes stops passing when its last bit is turned, and
/// a message that can be read passes once it is signed.
pub fn verify(bytes: &[u8]) {
    let keys = keys();
    if lisp_wire::verify(bytes, &keys).is_ok() {
        let mut forged = bytes.to_vec();
        if let Some(last) = forged.last_mut() {
            *last ^= 1;
        }
        assert!(lisp_wire::verify(&forged, &keys).is_err());
    }
    let Ok(message) = Message::parse(bytes) else {
        return;
    };
    for key in &keys {
        let mut signed = Vec::new();
        if message.emit_signed(key, &mut signed).is_ok() {
            assert!(lisp_wire::verify(&signed, std::slice::from_ref(key)).is_ok());
            assert_eq!(
                lisp_wire::verify(&signed, &[]).err(),
                Some(AuthError::UnknownKey { key_id: key.id })
            );
        }
    }
}

/// One key for each algorithm, both lengths of MAC among them.
pub fn keys() -> [Key; 3] {
    let key = |id, algorithm| Key::new(id, algorithm, SECRET).expect("a secret and an algorithm");
    [
        key(1, Algorithm::HmacSha256),
        key(2, Algorithm::HmacSha1).with_mac_length(MacLength::Whole),
        key(3, Algorithm::HmacSha256Hkdf),
    ]
}

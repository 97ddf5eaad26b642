//! What a site hands to another before an EID moves: who speaks to the EID, the keys for them, and their mappings.
//!
//! Keys travel in it, so it is encrypted: ChaCha20 (RFC 8439) under a key that HKDF-SHA-256 (RFC 5869) derives from the
//! key that signs the message, for this one message alone. The MAC of the message is over the encrypted bytes, so it
//! must have been verified before anything is opened: encrypt, then authenticate.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};

use crate::authentication::Key;
use crate::error::{EmitError, Part, WireError};
use crate::message::{Nonce, XtrId};
use crate::{Eid, MappingRecord, Rloc};

/// Bytes before the encrypted part, drawn anew for each message.
pub const SALT_BYTES: usize = 16;

/// What a site hands over. Nothing of it is ever shown but how much it is.
#[derive(Clone, Debug)]
pub struct Handed {
    /// The highest nonce with which the sender has told clients: the type-5 form names no sender, so whoever goes on in
    /// its place must use higher ones.
    pub highest: Nonce,
    /// Keys, at most 255.
    pub keys: Vec<Key>,
    /// Who is to be told.
    pub clients: Vec<HandedClient>,
    /// Where the clients' own EIDs are.
    pub mappings: Vec<MappingRecord>,
}

/// A client that is to be told when the EID has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandedClient {
    /// Where it is reached.
    pub rloc: Rloc,
    /// For which of its EIDs it asked last, if it said.
    pub source: Option<Eid>,
    /// How it is told of changes.
    pub manner: Manner,
    /// With which of the keys it is spoken to; by those that both sites have, if there is none.
    pub key: Option<u8>,
    /// How long ago it asked, seconds.
    pub age_seconds: u32,
}

/// How a client is told of changes, as far as its former site has found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Manner {
    /// 0: not known.
    Unknown = 0,
    /// 1: it acknowledges Change-Priority.
    ChangePriority = 1,
    /// 2: it knows the thesis's type-5 form only.
    Legacy = 2,
    /// 3: by solicitation (SMR).
    Solicit = 3,
    /// 4: by solicitation, of an EID of its own.
    SolicitOwn = 4,
}

impl Manner {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Unknown,
        Self::ChangePriority,
        Self::Legacy,
        Self::Solicit,
        Self::SolicitOwn,
    ];
}

/// Something that cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It has no bytes.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The bytes under the seal are none of it.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// No key can be derived.
    #[error("no key for the seal can be derived")]
    Key,
}

/// The message around a seal: a seal opens in no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// Its nonce.
    pub nonce: Nonce,
    /// Its sender.
    pub xtr: XtrId,
}

impl Handed {
    /// Bytes that it takes in a message.
    ///
    /// # Errors
    /// [`EmitError`], where it has no bytes.
    pub fn sealed_length(&self) -> Result<usize, EmitError> {
        let mut plain = Vec::new();
        let written = self.write(&mut plain);
        let length = plain.len();
        wipe(plain);
        written.map(|()| SALT_BYTES + length)
    }

    /// Encrypts it under the key that will sign the message. `salt` must never have been used before.
    ///
    /// # Errors
    /// [`SealError`], where it has no bytes.
    pub fn seal(&self, key: &Key, around: Around, salt: [u8; SALT_BYTES]) -> Result<Vec<u8>, SealError> {
        let mut bytes = salt.to_vec();
        if let Err(error) = self.write(&mut bytes) {
            wipe(bytes);
            return Err(error.into());
        }
        let body = bytes.get_mut(SALT_BYTES..);
        if body.and_then(|body| apply(body, key, around, salt)).is_some() {
            Ok(bytes)
        } else {
            wipe(bytes);
            Err(SealError::Key)
        }
    }

    /// Decrypts what came in a message whose MAC `key` has made, and only in such.
    ///
    /// # Errors
    /// [`SealError`], for bytes that are none of it.
    pub fn open(sealed: &[u8], key: &Key, around: Around) -> Result<Self, SealError> {
        let Some((salt, body)) = sealed.split_first_chunk::<SALT_BYTES>() else {
            return Err(WireError::Truncated {
                part: Part::Sealed,
                need: SALT_BYTES + Self::LEAST_BYTES,
                have: sealed.len(),
            }
            .into());
        };
        let mut plain = body.to_vec();
        let opened = match apply(&mut plain, key, around, *salt) {
            Some(()) => Self::read(&plain).map_err(SealError::from),
            None => Err(SealError::Key),
        };
        wipe(plain);
        opened
    }
}

/// Encrypts or decrypts. The key is used once, so that the cipher's own nonce says nothing.
fn apply(bytes: &mut [u8], key: &Key, around: Around, salt: [u8; SALT_BYTES]) -> Option<()> {
    let info = [
        salt.as_slice(),
        &around.nonce.0.to_be_bytes(),
        &around.xtr.0.to_be_bytes(),
    ];
    let mut derived = key.derive(b"Handover Preparation Encryption", &info)?;
    let mut cipher = ChaCha20::new(&derived.into(), &[0; 12].into());
    derived.fill(0);
    std::hint::black_box(&mut derived);
    cipher.try_apply_keystream(bytes).ok()
}

/// What stood in clear is overwritten.
fn wipe(mut bytes: Vec<u8>) {
    bytes.fill(0);
    // Without an observer the compiler may leave the stores out.
    std::hint::black_box(&mut bytes);
}

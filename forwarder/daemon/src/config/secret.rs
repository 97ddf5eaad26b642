//! Secrets as they are written: what is wrong with one is said without showing it.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::raw::RawKey;

/// A secret. It is never shown, not even where it is no text.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Hidden::<Text>::new()).map(Self)
    }
}

/// The keys by name. One that is no block of fields may be a secret in the wrong place.
pub(super) fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, RawKey>, D::Error> {
    let fields = BTreeMap::<String, Block>::deserialize(deserializer)?;
    Ok(fields.into_iter().map(|(name, Block(key))| (name, key)).collect())
}

struct Block(RawKey);

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Hidden::<Fields>::new()).map(Self)
    }
}

/// What is expected, and what is said where something else stands.
trait Kind {
    type Value;
    const WANTED: &'static str;
    fn text<E: Error>(_text: &str) -> Result<Self::Value, E> {
        Err(E::custom(Self::WANTED))
    }
    fn map<'de, A: MapAccess<'de>>(_map: A) -> Result<Self::Value, A::Error> {
        Err(A::Error::custom(Self::WANTED))
    }
}

struct Text;

impl Kind for Text {
    type Value = String;
    const WANTED: &'static str = "a secret is a text: put it in quotes";
    fn text<E: Error>(text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

struct Fields;

impl Kind for Fields {
    type Value = RawKey;
    const WANTED: &'static str =
        "a key is a block such as { id: 1, algorithm: hmac-sha256, secret_file: main.key }";
    fn map<'de, A: MapAccess<'de>>(map: A) -> Result<RawKey, A::Error> {
        RawKey::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reads a kind of value, and refuses all others without repeating them, as readers do of themselves.
struct Hidden<K>(PhantomData<K>);

impl<K> Hidden<K> {
    const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, K: Kind> Visitor<'de> for Hidden<K> {
    type Value = K::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(K::WANTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<K::Value, E> {
        K::text(text)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<K::Value, A::Error> {
        K::map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<K::Value, A::Error> {
        Err(A::Error::custom(K::WANTED))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<K::Value, E> {
        Err(E::custom(K::WANTED))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<K::Value, E> {
        Err(E::custom(K::WANTED))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<K::Value, E> {
        Err(E::custom(K::WANTED))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<K::Value, E> {
        Err(E::custom(K::WANTED))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<K::Value, E> {
        Err(E::custom(K::WANTED))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<K::Value, E> {
        Err(E::custom(K::WANTED))
    }

    fn visit_unit<E: Error>(self) -> Result<K::Value, E> {
        Err(E::custom(K::WANTED))
    }
}

//! Where a field stands in a YAML text. The text is walked once more along the field's path and the walk fails
//! there on purpose: the parser then tells the mark, so quoting, flow style and anchors need no second parser here.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// One step down a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Which part of the last step is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Key,
    Value,
}

/// Line and column, from 1, of the field at `path`, or of its nearest ancestor that exists.
pub(super) fn locate(text: &str, path: &[Step], at: At) -> (usize, usize) {
    let whole = mark(text, path, at);
    let nearer = || {
        (0..path.len())
            .rev()
            .find_map(|length| mark(text, &path[..length], At::Value))
    };
    whole.or_else(nearer).unwrap_or((1, 1))
}

/// `users.paris-001.vms`, `lab.wan.pairs[3]`.
pub(super) fn dotted(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => {
                text.push('[');
                text.push_str(&index.to_string());
                text.push(']');
            }
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
        }
    }
    text
}

/// What keeps the field at `path` from being read as a `T`, with its exact place; `None` also if there is no such field.
pub(super) fn fault<T: DeserializeOwned>(text: &str, path: &[Step]) -> Option<serde_yaml::Error> {
    let walk = Walk {
        path,
        at: At::Value,
        leaf: PhantomData::<Read<T>>,
    };
    walk.deserialize(serde_yaml::Deserializer::from_str(text)).err()
}

fn mark(text: &str, path: &[Step], at: At) -> Option<(usize, usize)> {
    let walk = Walk {
        path,
        at,
        leaf: PhantomData::<Fail>,
    };
    let error = walk.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    error
        .location()
        .map(|location| (location.line(), location.column()))
}

/// Goes down a path, and does there what `L` says.
struct Walk<'a, L> {
    path: &'a [Step],
    at: At,
    leaf: PhantomData<L>,
}

/// What is done at the end of a path.
trait Leaf {
    fn reached<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error>;
}

/// Takes nothing, so that the parser's complaint carries the mark.
struct Fail;

/// Reads a `T` and throws it away.
struct Read<T>(PhantomData<T>);

impl Leaf for Fail {
    fn reached<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl Visitor<'_> for Fail {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing: this is the place")
    }
}

impl<T: DeserializeOwned> Leaf for Read<T> {
    fn reached<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        T::deserialize(deserializer).map(|_| ())
    }
}

impl<'de, L: Leaf> DeserializeSeed<'de> for Walk<'_, L> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.path.is_empty() {
            L::reached(deserializer)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

/// A scalar on the way is refused by default: then the field is absent, and its ancestor is the place to tell.
impl<'de, L: Leaf> Visitor<'de> for Walk<'_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Key(wanted), rest)) = self.path.split_first() else {
            return drain_map(map);
        };
        let fails = rest.is_empty() && self.at == At::Key;
        while let Some(found) = map.next_key_seed(KeyWalk { wanted, fails })? {
            if found {
                map.next_value_seed(Self { path: rest, ..self })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let (wanted, rest) = match self.path.split_first() {
            Some((Step::Index(wanted), rest)) => (Some(*wanted), rest),
            Some((Step::Key(_), rest)) => (None, rest),
            None => (None, self.path),
        };
        for index in 0.. {
            let went_on = if Some(index) == wanted {
                seq.next_element_seed(Self { path: rest, ..self })?.is_some()
            } else {
                seq.next_element::<IgnoredAny>()?.is_some()
            };
            if !went_on {
                break;
            }
        }
        Ok(())
    }
}

fn drain_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Whether a key is the wanted one.
struct KeyWalk<'a> {
    wanted: &'a str,
    fails: bool,
}

impl<'de> DeserializeSeed<'de> for KeyWalk<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyWalk<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        if key != self.wanted {
            Ok(false)
        } else if self.fails {
            Err(E::custom("here"))
        } else {
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a: 1\nb:\n  - { c: x, 'd e': [1, 22] }\n  - c: y\n\"f\": { g: ~ }\n";

    fn key(name: &str) -> Step {
        Step::Key(name.into())
    }

    #[test]
    fn a_field_is_found_in_block_and_flow_style() {
        let cases: [(&[Step], At, (usize, usize)); 7] = [
            (&[key("a")], At::Value, (1, 4)),
            (&[key("b"), Step::Index(0), key("c")], At::Value, (3, 10)),
            (&[key("b"), Step::Index(0), key("d e")], At::Key, (3, 13)),
            (
                &[key("b"), Step::Index(0), key("d e"), Step::Index(1)],
                At::Value,
                (3, 24),
            ),
            (&[key("b"), Step::Index(1), key("c")], At::Value, (4, 8)),
            (&[key("f"), key("g")], At::Value, (5, 11)),
            (&[key("f")], At::Key, (5, 1)),
        ];
        for (path, at, mark) in cases {
            assert_eq!(locate(TEXT, path, at), mark, "{}", dotted(path));
        }
    }

    #[test]
    fn a_field_that_is_absent_is_told_at_its_nearest_ancestor() {
        assert_eq!(
            locate(TEXT, &[key("b"), Step::Index(1), key("z"), key("y")], At::Value),
            (4, 5)
        );
        assert_eq!(locate(TEXT, &[key("z")], At::Value), (1, 1));
        assert_eq!(locate("", &[key("z")], At::Value), (1, 1));
    }
}

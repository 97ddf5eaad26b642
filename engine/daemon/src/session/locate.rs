//! Where a field stands in a YAML text. The text is walked once more along the field's path and the walk fails
//! there on purpose: the parser then tells the mark, so quoting, flow style and anchors need no second parser here.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

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

fn mark(text: &str, path: &[Step], at: At) -> Option<(usize, usize)> {
    let error = Walk { path, at }
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .err()?;
    error
        .location()
        .map(|location| (location.line(), location.column()))
}

/// Fails at the end of the path and nowhere else.
#[derive(Clone, Copy)]
struct Walk<'a> {
    path: &'a [Step],
    at: At,
}

const HERE: &str = "here";

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Walk<'_> {
    fn leaf<E: Error>(self) -> Result<(), E> {
        if self.path.is_empty() {
            Err(E::custom(HERE))
        } else {
            Ok(())
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (wanted, rest) = match self.path.split_first() {
            None => return Err(A::Error::custom(HERE)),
            Some((Step::Key(wanted), rest)) => (wanted, rest),
            Some((Step::Index(_), _)) => return drain_map(map),
        };
        let fails = rest.is_empty() && self.at == At::Key;
        while let Some(found) = map.next_key_seed(KeyWalk { wanted, fails })? {
            if found {
                map.next_value_seed(Walk {
                    path: rest,
                    at: self.at,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let (wanted, rest) = match self.path.split_first() {
            None => return Err(A::Error::custom(HERE)),
            Some((Step::Index(wanted), rest)) => (Some(*wanted), rest),
            Some((Step::Key(_), rest)) => (None, rest),
        };
        for index in 0.. {
            let went_on = if Some(index) == wanted {
                seq.next_element_seed(Walk {
                    path: rest,
                    at: self.at,
                })?
                .is_some()
            } else {
                seq.next_element::<IgnoredAny>()?.is_some()
            };
            if !went_on {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.leaf()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.leaf()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.leaf()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.leaf()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.leaf()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.leaf()
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.leaf()
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
            Err(E::custom(HERE))
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

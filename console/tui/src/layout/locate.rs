//! Where in a YAML text a field stands.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One step into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The value of a key.
    Key(&'static str),
    /// An element of a sequence, from 0.
    Index(usize),
}

/// A path as people write it: `screen.rows[1].pane`.
pub(super) fn path(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
            Step::Index(index) => text.extend(["[", &index.to_string(), "]"]),
        }
    }
    text
}

/// Line and column, from 1, of the value that `steps` lead to; of the last value on the way there if it is missing.
///
/// The reader tells positions only with errors. So the text is read once more by a seed that follows the steps and fails on
/// purpose when it arrives.
pub(super) fn locate(text: &str, steps: &[Step]) -> (usize, usize) {
    let error = Walk { steps }
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .err();
    error
        .and_then(|error| error.location())
        .map_or((1, 1), |place| (place.line(), place.column()))
}

#[derive(Clone, Copy)]
struct Walk<'a> {
    steps: &'a [Step],
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let [Step::Key(wanted), rest @ ..] = self.steps else {
            return Err(A::Error::custom("here"));
        };
        while let Some(key) = map.next_key::<String>()? {
            if key == *wanted {
                map.next_value_seed(Walk { steps: rest })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Err(A::Error::custom("missing here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let [Step::Index(wanted), rest @ ..] = self.steps else {
            return Err(A::Error::custom("here"));
        };
        for _ in 0..*wanted {
            if sequence.next_element::<IgnoredAny>()?.is_none() {
                return Err(A::Error::custom("missing here"));
            }
        }
        sequence.next_element_seed(Walk { steps: rest })?;
        Err(A::Error::custom("missing here"))
    }
}

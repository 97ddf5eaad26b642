//! Where in a YAML text a field stands, so that an error found later can name its line.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Line and column, from 1, of the value at a path such as `eids[0].prefix`. Where the path leads nowhere (a field
/// that was left out), the nearest value around it.
pub(super) fn locate(text: &str, path: &str) -> Option<(usize, usize)> {
    let mut steps = steps(path);
    loop {
        let walk = Walk { steps: &steps };
        let outcome = walk.deserialize(serde_yaml::Deserializer::from_str(text));
        if let Some(location) = outcome.err().and_then(|error| error.location()) {
            return Some((location.line(), location.column()));
        }
        steps.pop()?;
    }
}

#[derive(Debug)]
enum Step {
    Field(String),
    Item(usize),
}

fn steps(path: &str) -> Vec<Step> {
    let parts = path.split(['.', '[']).filter(|part| !part.is_empty());
    parts
        .map(
            |part| match part.strip_suffix(']').and_then(|number| number.parse().ok()) {
                Some(number) => Step::Item(number),
                None => Step::Field(part.to_owned()),
            },
        )
        .collect()
}

/// Follows the path and refuses what stands at its end: the reader then adds the place to the error.
struct Walk<'p> {
    steps: &'p [Step],
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
        f.write_str("nothing: this is the place that was looked for")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Field(wanted), rest)) = self.steps.split_first() else {
            return Err(serde::de::Error::custom("found"));
        };
        while let Some(key) = map.next_key::<String>()? {
            if key == *wanted {
                map.next_value_seed(Walk { steps: rest })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((Step::Item(wanted), rest)) = self.steps.split_first() else {
            return Err(serde::de::Error::custom("found"));
        };
        let mut at = 0;
        loop {
            let more = if at == *wanted {
                items.next_element_seed(Walk { steps: rest })?.is_some()
            } else {
                items.next_element_seed(Any)?.is_some()
            };
            if !more {
                return Ok(());
            }
            at += 1;
        }
    }
}

struct Any;

impl<'de> DeserializeSeed<'de> for Any {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name: a\neids:\n  - { prefix: 10.0.0.0/8 }\n  - prefix: 10.1.0.0/16\n    ttl: 3\n";

    #[test]
    fn a_path_leads_to_its_value() {
        assert_eq!(locate(TEXT, "name"), Some((1, 7)));
        assert_eq!(locate(TEXT, "eids[0].prefix").map(|place| place.0), Some(3));
        assert_eq!(locate(TEXT, "eids[1].ttl"), Some((5, 10)));
    }

    #[test]
    fn a_path_that_leads_nowhere_ends_at_the_nearest_value() {
        assert_eq!(locate(TEXT, "eids[1].locators[7]").map(|place| place.0), Some(4));
        assert_eq!(locate(TEXT, "tun.name").map(|place| place.0), Some(1));
        assert_eq!(locate("", "tun.name"), Some((1, 1)));
    }
}

//! Sessions made from sessions: the same fabric with other times, fewer users, or the sockets of a lab filled in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use proto::{SiteName, Span};
use serde_yaml::{Mapping, Value};

/// The fabric of Table 5.1, as shipped.
pub(crate) const TABLE_5_1: &str = include_str!("../../../sessions/table-5-1.yaml");

/// The fabric of Table 4.1, as shipped.
pub(crate) const TABLE_4_1: &str = include_str!("../../../sessions/table-4-1.yaml");

/// A session's text, taken apart so that parts can be replaced.
#[derive(Clone, Debug)]
pub(crate) struct SessionFile {
    root: Mapping,
}

impl SessionFile {
    /// Reads the text of a session that is known to be good.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        Ok(Self {
            root: serde_yaml::from_str(text)?,
        })
    }

    /// Sets a field, such as `["slots", "decide"]`, making the mappings on the way.
    pub(crate) fn set(&mut self, path: &[&str], value: impl Into<Value>) -> anyhow::Result<()> {
        let (last, parents) = path.split_last().context("an empty path")?;
        let mut at = &mut self.root;
        for parent in parents {
            let entry = at
                .entry((*parent).into())
                .or_insert_with(|| Value::Mapping(Mapping::new()));
            at = entry
                .as_mapping_mut()
                .with_context(|| format!("'{parent}' is not a mapping"))?;
        }
        at.insert((*last).into(), value.into());
        Ok(())
    }

    /// Sets a length of time.
    pub(crate) fn set_span(&mut self, path: &[&str], span: Span) -> anyhow::Result<()> {
        self.set(path, span.to_string())
    }

    /// Leaves out all users but one, and everything the lab says of the others.
    pub(crate) fn keep_user(&mut self, user: &str) -> anyhow::Result<()> {
        let users = self.mapping(&["users"])?;
        let gone: Vec<String> = users
            .keys()
            .filter_map(Value::as_str)
            .filter(|name| *name != user)
            .map(str::to_owned)
            .collect();
        users.retain(|name, _| name.as_str() == Some(user));
        self.mapping(&["lab", "wan", "access"])?
            .retain(|name, _| name.as_str() == Some(user));
        let wan = self.mapping(&["lab", "wan"])?;
        if let Some(pairs) = wan.get_mut("pairs").and_then(Value::as_sequence_mut) {
            let names = |pair: &Value| -> Vec<String> {
                let between = pair
                    .get("between")
                    .and_then(Value::as_sequence)
                    .cloned()
                    .unwrap_or_default();
                between
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            };
            pairs.retain(|pair| names(pair).iter().all(|name| !gone.contains(name)));
        }
        Ok(())
    }

    /// Adds a user that is `like` another in everything but its name, locator and EIDs.
    pub(crate) fn add_twin(&mut self, like: &str, name: &str, rloc: &str, eid: &str) -> anyhow::Result<()> {
        let users = self.mapping(&["users"])?;
        let mut twin = users
            .get(like)
            .with_context(|| format!("no user '{like}'"))?
            .clone();
        let fields = twin.as_mapping_mut().context("a user is not a mapping")?;
        for (field, value) in [("label", name), ("rloc", rloc), ("eid", eid)] {
            fields.insert(field.into(), value.into());
        }
        users.insert(name.into(), twin);
        let access = self.mapping(&["lab", "wan", "access"])?;
        if let Some(shape) = access.get(like).cloned() {
            access.insert(name.into(), shape);
        }
        let wan = self.mapping(&["lab", "wan"])?;
        if let Some(pairs) = wan.get_mut("pairs").and_then(Value::as_sequence_mut) {
            let mut more = Vec::new();
            for pair in pairs.iter() {
                let mut pair = pair.clone();
                let Some(between) = pair.get_mut("between").and_then(Value::as_sequence_mut) else {
                    continue;
                };
                let mut touched = false;
                for end in between {
                    if end.as_str() == Some(like) {
                        *end = name.into();
                        touched = true;
                    }
                }
                if touched {
                    more.push(pair);
                }
            }
            pairs.extend(more);
        }
        Ok(())
    }

    /// Fills in where the forwarders of a lab listen.
    pub(crate) fn set_controls(&mut self, controls: &BTreeMap<SiteName, PathBuf>) -> anyhow::Result<()> {
        for (site, socket) in controls {
            self.set(&["sites", site.as_str(), "control"], socket.display().to_string())?;
        }
        Ok(())
    }

    /// The text.
    pub(crate) fn text(&self) -> anyhow::Result<String> {
        Ok(serde_yaml::to_string(&self.root)?)
    }

    fn mapping(&mut self, path: &[&str]) -> anyhow::Result<&mut Mapping> {
        let mut at = &mut self.root;
        for name in path {
            let entry = at
                .entry((*name).into())
                .or_insert_with(|| Value::Mapping(Mapping::new()));
            at = entry
                .as_mapping_mut()
                .with_context(|| format!("'{name}' is not a mapping"))?;
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use engine::session::Session;

    use super::*;

    #[test]
    fn what_is_made_from_the_shipped_session_is_a_good_session() {
        let mut file = SessionFile::parse(TABLE_5_1).unwrap();
        file.keep_user("paris-001").unwrap();
        file.add_twin("paris-001", "twin", "172.16.1.9", "10.2.9.0/24")
            .unwrap();
        file.set_span(&["slots", "decide"], Span::secs(7)).unwrap();
        let controls = [(SiteName::new("telco").unwrap(), PathBuf::from("/run/t.sock"))].into();
        file.set_controls(&controls).unwrap();
        let session = Session::parse(&file.text().unwrap(), "made").unwrap();
        assert_eq!(session.config.users.len(), 2);
        assert_eq!(session.config.slots.decide, Span::secs(7));
        assert_eq!(session.controls, controls);
        let wan = session.lab.unwrap().wan;
        assert_eq!(
            wan.between("twin", "marilyn"),
            wan.between("paris-001", "marilyn")
        );
        assert_ne!(wan.between("twin", "marilyn"), wan.default);
    }
}

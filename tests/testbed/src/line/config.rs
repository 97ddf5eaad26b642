//! Ports and shapes, as the lab writes them for the delay line.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::PortId;
use crate::fabric::{Access, PairShape};
use crate::namespace::Mac;

/// All that the line is told before it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineConfig {
    /// Of the dice for loss and jitter: equal seeds give equal throws.
    pub seed: u64,
    /// The ports of all segments; names are unique over all of them.
    pub ports: Vec<PortConfig>,
    /// By segment: the shape between any two ports that `pairs` does not name.
    pub default: BTreeMap<String, PairShape>,
    /// Single directions.
    pub pairs: Vec<Directed>,
}

/// One port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortConfig {
    /// Its name.
    pub name: String,
    /// Which network it is on. Nothing passes from one segment to another.
    pub segment: String,
    /// The interface, in the namespace the line runs in.
    pub interface: String,
    /// Its access line, if it has one.
    pub access: Option<Access>,
    /// What is behind it.
    pub kind: PortKind,
}

/// What is behind a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum PortKind {
    /// Something with an Ethernet address of its own.
    Plain,
    /// A data centre's xTR; all of a segment share the gateway's Ethernet address ([`GATEWAY`]).
    Gateway,
    /// A VM, for which the switch chooses the gateway.
    Guest {
        /// The port of the data centre it runs in.
        home: String,
    },
}

/// The Ethernet address that all gateways of the inner network share, locally administered.
pub const GATEWAY: Mac = Mac([0x02, 0x00, 0x5e, 0x00, 0x01, 0x01]);

/// The shape of one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directed {
    /// Where packets come in.
    pub from: String,
    /// Where they go out.
    pub to: String,
    /// The shape.
    pub shape: PairShape,
}

/// What a checked configuration refers to.
pub(super) struct Checked {
    pub(super) names: HashMap<String, PortId>,
    pub(super) shapes: HashMap<(PortId, PortId), PairShape>,
}

impl LineConfig {
    pub(super) fn check(&self) -> Result<Checked, ConfigError> {
        let mut names = HashMap::new();
        for (number, port) in self.ports.iter().enumerate() {
            if names.insert(port.name.clone(), PortId(number)).is_some() {
                return Err(ConfigError::Twice {
                    port: port.name.clone(),
                });
            }
            if port.access.is_some_and(|access| access.rate == 0) {
                return Err(ConfigError::NoRate {
                    port: port.name.clone(),
                });
            }
        }
        let find = |name: &String| {
            names
                .get(name)
                .copied()
                .ok_or_else(|| ConfigError::Unknown { port: name.clone() })
        };
        for port in &self.ports {
            if let PortKind::Guest { home } = &port.kind {
                find(home)?;
            }
        }
        let mut shapes = HashMap::new();
        for Directed { from, to, shape } in &self.pairs {
            shapes.insert((find(from)?, find(to)?), *shape);
        }
        Ok(Checked { names, shapes })
    }
}

/// A configuration that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Two ports of one name.
    #[error("two ports are called '{port}'")]
    Twice {
        /// The name.
        port: String,
    },
    /// A name that no port has.
    #[error("no port is called '{port}'")]
    Unknown {
        /// The name.
        port: String,
    },
    /// A line that would never send.
    #[error("the access line of port '{port}' has rate 0: give it a rate, or leave the line out")]
    NoRate {
        /// The port.
        port: String,
    },
}

//! The configuration file: read, checked, and turned into what the parts need. An error names file, line, field and
//! what would be right.

mod check;
mod data_header;
mod error;
mod keys;
mod locate;
mod move_keys;
mod raw;
mod secret;

use std::path::{Path, PathBuf};

use datapath::Relay;
use datapath::mtu::{LEAST_V6, OVERHEAD_V4, OVERHEAD_V6};
use lisp_wire::{EidPrefix, InstanceId, Priority, Weight};

pub use error::{ConfigError, Place, Problem};

use raw::RawConfig;

/// A forwarder's configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the control machines are told.
    pub node: node::Config,
    /// Interfaces whose addresses are the node's locators, whatever they are; empty where locators are fixed. Then
    /// `node.rlocs` is a stand-in until the process knows them.
    pub roaming: Vec<RoamingRloc>,
    /// The site's side, an interface for each tenant; none for a node that carries no packets (Map-Server,
    /// Map-Resolver).
    pub tuns: Vec<TunConfig>,
    /// What is done with packets that come by the network for EIDs elsewhere.
    pub relay: Relay,
    /// The control socket.
    pub control: Option<ControlConfig>,
    /// Where replay nonces are kept over a restart; `None` forgets them.
    pub state_dir: Option<PathBuf>,
    /// The file it was read from; read anew on SIGHUP and on request.
    pub path: PathBuf,
}

/// An interface whose addresses are locators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoamingRloc {
    /// Its name.
    pub name: String,
    /// The priority of its addresses.
    pub priority: Priority,
    /// Their weight.
    pub weight: Weight,
}

/// A TUN interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunConfig {
    /// Its name.
    pub name: String,
    /// The largest IP packet the uplinks carry, bytes (L of RFC 9300 section 7.1).
    pub uplink_mtu: u16,
    /// Prefixes that the kernel routes into it.
    pub routes: Vec<EidPrefix>,
    /// The routing table that gets the routes; `None` for the main one. It keeps tenants with equal addresses apart.
    pub table: Option<u32>,
    /// The tenant whose packets pass through it.
    pub iid: InstanceId,
}

impl TunConfig {
    /// The interface's own MTU: what fits an outer packet whichever the locator's family, when some may be IPv6.
    pub fn mtu(&self, outer: OuterFamily) -> u16 {
        self.uplink_mtu.saturating_sub(match outer {
            OuterFamily::V4Only => OVERHEAD_V4,
            OuterFamily::WithV6 => OVERHEAD_V6,
        })
    }
}

/// Which families outer headers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OuterFamily {
    /// Own locators are all IPv4.
    V4Only,
    /// Some are IPv6, whose header is longer.
    WithV6,
}

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlConfig {
    /// Its path.
    pub socket: PathBuf,
    /// Who may connect.
    pub allow_uids: Vec<u32>,
}

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Checks a text; `path` is for errors, and what the file's relative paths start from.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let raw: RawConfig =
            serde_yaml::from_str(text).map_err(|source| ConfigError::of_yaml(path, &source))?;
        let base = path.parent().unwrap_or(Path::new("."));
        let checked = check::checked(raw, base);
        let with_path = |config| Self {
            path: path.to_owned(),
            ..config
        };
        checked.map(with_path).map_err(|problem| {
            let place = locate::locate(text, &problem.field);
            ConfigError::Refused {
                place: Place::of(path, place),
                problem,
            }
        })
    }

    /// Which families outer headers have.
    pub fn outer(&self) -> OuterFamily {
        if !self.roaming.is_empty() || self.node.rlocs.iter().any(|own| own.rloc.0.is_ipv6()) {
            OuterFamily::WithV6
        } else {
            OuterFamily::V4Only
        }
    }
}

/// The least uplink MTU: IPv6 packets must get through.
pub(crate) const LEAST_UPLINK_MTU: u16 = LEAST_V6 + OVERHEAD_V6;

#[cfg(test)]
mod tests;

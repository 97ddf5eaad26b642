//! Data headers that say more than whose packet it is: to whom, and who is believed.

use datapath::Signals;
use lisp_wire::{EidPrefix, InstanceId};
use node::config::{DataHeader, TrustedPeer};

use super::error::Problem;
use super::raw::TextSpan;

/// What is said in data headers besides whose packet it is, and to whom.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDataHeader {
    pub(super) locator_status: bool,
    pub(super) echo_nonce: bool,
    pub(super) map_version: bool,
    pub(super) echo_every: TextSpan,
    pub(super) echo_wait: TextSpan,
    pub(super) peers: Vec<RawPeer>,
}

impl Default for RawDataHeader {
    fn default() -> Self {
        let DataHeader {
            echo_every,
            echo_wait,
            ..
        } = DataHeader::default();
        Self {
            locator_status: false,
            echo_nonce: false,
            map_version: false,
            echo_every: TextSpan(echo_every),
            echo_wait: TextSpan(echo_wait),
            peers: Vec::new(),
        }
    }
}

impl RawDataHeader {
    /// Marks in data headers can be forged by anybody who can send a packet here, so nobody is trusted by default
    /// (RFC 9300 section 4.1).
    pub(super) fn checked(&self) -> Result<DataHeader, Problem> {
        let switched = self.locator_status || self.echo_nonce || self.map_version;
        if switched && self.peers.is_empty() {
            let what = "say which peers are trusted with it, by blocks of their locators: [172.16.0.0/16]";
            return Err(Problem::new("data_header.peers", what));
        }
        let trusted = |(at, peer): (usize, &RawPeer)| {
            let field = format!("data_header.peers[{at}]");
            if peer.rlocs.iid() != InstanceId::DEFAULT {
                return Err(Problem::new(field, "locators have no instance-id"));
            }
            let signals = Signals {
                locator_status: peer.locator_status.unwrap_or(self.locator_status),
                echo_nonce: peer.echo_nonce.unwrap_or(self.echo_nonce),
                map_version: peer.map_version.unwrap_or(self.map_version),
            };
            if !signals.any() && !switched {
                let what = "nothing is switched on: locator_status, echo_nonce or map_version: true";
                return Err(Problem::new(field, what));
            }
            Ok(TrustedPeer {
                rlocs: peer.rlocs,
                signals,
            })
        };
        Ok(DataHeader {
            peers: self
                .peers
                .iter()
                .enumerate()
                .map(trusted)
                .collect::<Result<_, _>>()?,
            echo_every: self.echo_every.0,
            echo_wait: self.echo_wait.0,
        })
    }
}

/// Peers by a block of their locators: alone, or with what is otherwise with them.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(from = "PeerForm")]
pub(super) struct RawPeer {
    pub(super) rlocs: EidPrefix,
    pub(super) locator_status: Option<bool>,
    pub(super) echo_nonce: Option<bool>,
    pub(super) map_version: Option<bool>,
}

#[derive(serde::Deserialize)]
#[serde(
    untagged,
    expecting = "a block of locators, or { rlocs, locator_status, echo_nonce, map_version }"
)]
enum PeerForm {
    Block(EidPrefix),
    Full(FullPeer),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FullPeer {
    rlocs: EidPrefix,
    locator_status: Option<bool>,
    echo_nonce: Option<bool>,
    map_version: Option<bool>,
}

impl From<PeerForm> for RawPeer {
    fn from(form: PeerForm) -> Self {
        match form {
            PeerForm::Block(rlocs) => Self {
                rlocs,
                locator_status: None,
                echo_nonce: None,
                map_version: None,
            },
            PeerForm::Full(FullPeer {
                rlocs,
                locator_status,
                echo_nonce,
                map_version,
            }) => Self {
                rlocs,
                locator_status,
                echo_nonce,
                map_version,
            },
        }
    }
}

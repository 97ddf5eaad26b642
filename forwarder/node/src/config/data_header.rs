//! Whom data headers are believed of besides whose packet it is (RFC 9300 section 4.1): nobody, unless it is said.

use datapath::Signals;
use lisp_wire::{Eid, EidPrefix, Rloc};
use proto::Span;

/// What is said in data headers, to whom, and believed of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataHeader {
    /// Peers by their locators; the longest prefix decides.
    pub peers: Vec<TrustedPeer>,
    /// Time between two questions for an echo to one locator.
    pub echo_every: Span,
    /// How long an echo is asked for, and then waited for.
    pub echo_wait: Span,
}

/// Peers in a trusted network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedPeer {
    /// Their locators, as addresses of the default tenant.
    pub rlocs: EidPrefix,
    /// What is said to them and believed of them.
    pub signals: Signals,
}

impl Default for DataHeader {
    fn default() -> Self {
        Self {
            peers: Vec::new(),
            echo_every: Span::secs(10),
            echo_wait: Span::secs(1),
        }
    }
}

impl DataHeader {
    /// Whether anybody is trusted with anything.
    pub fn any(&self) -> bool {
        self.peers.iter().any(|peer| peer.signals.any())
    }

    /// What is said to a locator and believed of it.
    pub fn toward(&self, rloc: Rloc) -> Signals {
        let address = Eid::of(rloc.0);
        let around = self.peers.iter().filter(|peer| peer.rlocs.contains(&address));
        around
            .max_by_key(|peer| peer.rlocs.length())
            .map_or(Signals::default(), |peer| peer.signals)
    }

    /// Whether mappings have versions.
    pub(crate) fn versions(&self) -> bool {
        self.peers.iter().any(|peer| peer.signals.map_version)
    }

    pub(crate) fn tells_status(&self) -> bool {
        self.peers.iter().any(|peer| peer.signals.locator_status)
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = (EidPrefix, Signals)> {
        self.peers.iter().map(|peer| (peer.rlocs, peer.signals))
    }
}

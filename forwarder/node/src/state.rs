//! What must outlive the process, so that a restart neither lets old messages in again nor undoes what was decided.

use lisp_wire::message::XtrId;
use lisp_wire::{EidPrefix, Locator, Rloc};
use proto::Timestamp;
use serde::{Deserialize, Serialize};

/// The highest nonces seen and used, and own mappings that are no longer as configured. The daemon stores it and gives
/// it back; nobody else reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The last nonce this node signed with.
    pub(crate) own: u64,
    /// The last nonce this node subscribed with.
    #[serde(default)]
    pub(crate) subscribed: u64,
    /// The last Change-Priority nonce of each sender.
    pub(crate) senders: Vec<SenderNonce>,
    /// The last nonce of each registrant and key (Map-Server role).
    pub(crate) registrants: Vec<RegistrantNonce>,
    /// What was changed in the database since it was configured.
    #[serde(default)]
    pub(crate) changes: Vec<EidChange>,
    /// Preparations of moves to here that had begun: after a restart no further parts of them are taken.
    #[serde(default)]
    pub(crate) prepared: Vec<Begun>,
    /// The versions of the own mappings (RFC 9302), where they have any.
    #[serde(default)]
    pub(crate) versions: Vec<(EidPrefix, u16)>,
}

/// An own mapping that is no longer as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EidChange {
    pub(crate) eid: EidPrefix,
    /// What the configuration said at the time. If it says something else now, that is newer than the change.
    pub(crate) configured: Terms,
    pub(crate) now: Terms,
    /// What single clients are told.
    pub(crate) views: Vec<(Rloc, Vec<Locator>)>,
    /// When it arrived here, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) arrived: Option<Timestamp>,
}

/// What everyone is told of an EID, and whether this node registers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) locators: Vec<Locator>,
    pub(crate) standing: Standing,
}

/// Whether this node registers an EID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// It lives here.
    Registered,
    /// Another site registers it.
    Elsewhere,
}

/// Who sends Change-Priority, as far as a message tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Sender {
    /// The key, and the xTR that the message names: a name alone is anybody's to use up who has a key for other EIDs.
    Xtr(u8, XtrId),
    /// The type-5 form names nobody: all holders of a key are one, for each EID.
    Legacy(u8, EidPrefix),
}

impl Sender {
    /// The number of its key.
    pub(crate) const fn key(self) -> u8 {
        match self {
            Self::Xtr(key, _) | Self::Legacy(key, _) => key,
        }
    }
}

/// How far a sender has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SenderNonce {
    pub(crate) sender: Sender,
    pub(crate) nonce: u64,
}

/// A preparation by another site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) eid: EidPrefix,
    /// Who prepares it.
    pub(crate) xtr: XtrId,
    /// Which of its preparations of this EID; later ones have higher numbers.
    pub(crate) serial: u64,
}

/// Who registers EIDs, as far as a message tells. The site stands with it, so that the holders of one site's key
/// cannot use up the nonces of another's xTRs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Registrant {
    pub(crate) site: EidPrefix,
    /// Unnamed xTRs of a site are one: apart from their addresses, which anyone can forge, nothing tells them apart.
    pub(crate) xtr: Option<XtrId>,
}

/// How far a registrant has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegistrantNonce {
    pub(crate) by: Registrant,
    /// The number of the key it signs with; earlier versions did not tell keys apart.
    #[serde(default)]
    pub(crate) key: Option<u8>,
    pub(crate) nonce: u64,
}

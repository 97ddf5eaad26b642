//! What must outlive the process, so that a restart does not let old messages in again.

use lisp_wire::EidPrefix;
use lisp_wire::message::XtrId;
use serde::{Deserialize, Serialize};

/// The highest nonces seen and used. The daemon stores it and gives it back; nobody else reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The last nonce this node signed with.
    pub(crate) own: u64,
    /// The last Change-Priority nonce of each sender.
    pub(crate) senders: Vec<SenderNonce>,
    /// The last nonce of each registrant (Map-Server role).
    pub(crate) registrants: Vec<RegistrantNonce>,
}

/// Who sends Change-Priority, as far as a message tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Sender {
    /// The xTR named in the message.
    Xtr(XtrId),
    /// The type-5 form names nobody: all holders of a key are one, for each EID.
    Legacy(u8, EidPrefix),
}

/// How far a sender has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SenderNonce {
    pub(crate) sender: Sender,
    pub(crate) nonce: u64,
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
    pub(crate) nonce: u64,
}

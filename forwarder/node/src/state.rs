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
    /// The last nonce of each Change-Priority in the type-5 form, which names no sender.
    pub(crate) legacy: Vec<LegacyNonce>,
    /// The last registration nonce of each xTR (Map-Server role).
    pub(crate) registrations: Vec<SenderNonce>,
}

/// How far a sender has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SenderNonce {
    pub(crate) xtr: XtrId,
    pub(crate) nonce: u64,
}

/// How far the holders of a key have come in speaking of an EID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LegacyNonce {
    pub(crate) key_id: u8,
    pub(crate) eid: EidPrefix,
    pub(crate) nonce: u64,
}

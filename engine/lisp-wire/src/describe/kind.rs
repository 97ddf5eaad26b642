//! What a message is, by its first bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Type5;

/// Kinds of control messages as people tell them apart: IANA "LISP Packet Types", with what their flags make of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// Type 1 that asks for a mapping.
    MapRequest,
    /// Type 1 with P: is this locator there?
    RlocProbe,
    /// Type 1 with S: ask again.
    Smr,
    /// Type 2.
    MapReply,
    /// Type 2 with P.
    ProbeReply,
    /// Type 3.
    MapRegister,
    /// Type 4.
    MapNotify,
    /// Type 5.
    MapNotifyAck,
    /// Type 6.
    MapReferral,
    /// Type 7.
    InfoRequest,
    /// Type 7 with R.
    InfoReply,
    /// Type 8: a message in an envelope.
    Ecm,
    /// Type 15 with our sub-type, and type 5 in the thesis's form.
    ChangePriority,
    /// Type 15 with our other sub-type: a handover is prepared.
    Preparation,
    /// Type 15 with another sub-type.
    Extension,
    /// No type anybody speaks.
    Unknown,
}

const P_OF_REQUEST: u8 = 0x02;
const S_OF_REQUEST: u8 = 0x01;
const P_OF_REPLY: u8 = 0x08;
const R_OF_INFO: u8 = 0x08;

impl MessageKind {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::MapRequest,
        Self::RlocProbe,
        Self::Smr,
        Self::MapReply,
        Self::ProbeReply,
        Self::MapRegister,
        Self::MapNotify,
        Self::MapNotifyAck,
        Self::MapReferral,
        Self::InfoRequest,
        Self::InfoReply,
        Self::Ecm,
        Self::ChangePriority,
        Self::Preparation,
        Self::Extension,
        Self::Unknown,
    ];

    /// What bytes claim to be. A look at the first word; they may be no message for all that.
    pub fn of(datagram: &[u8], type5: Type5) -> Self {
        let first = datagram.first().copied().unwrap_or(0);
        let word = datagram
            .first_chunk()
            .map_or(0, |word: &[u8; 4]| u32::from_be_bytes(*word));
        match first >> 4 {
            1 if first & P_OF_REQUEST != 0 => Self::RlocProbe,
            1 if first & S_OF_REQUEST != 0 => Self::Smr,
            1 => Self::MapRequest,
            2 if first & P_OF_REPLY != 0 => Self::ProbeReply,
            2 => Self::MapReply,
            3 => Self::MapRegister,
            4 => Self::MapNotify,
            5 if crate::codec::is_acknowledgement(word, type5) => Self::MapNotifyAck,
            5 => Self::ChangePriority,
            6 => Self::MapReferral,
            7 if first & R_OF_INFO != 0 => Self::InfoReply,
            7 => Self::InfoRequest,
            8 => Self::Ecm,
            15 if crate::codec::sub_type(word) == crate::CHANGE_PRIORITY_SUB_TYPE => Self::ChangePriority,
            15 if crate::codec::sub_type(word) == crate::PREPARATION_SUB_TYPE => Self::Preparation,
            15 => Self::Extension,
            _ => Self::Unknown,
        }
    }

    /// Whether it measures a path: there are many of them, and each alone is of little interest.
    pub const fn probes(self) -> bool {
        matches!(self, Self::RlocProbe | Self::ProbeReply)
    }

    /// The name it is filtered by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MapRequest => "map-request",
            Self::RlocProbe => "rloc-probe",
            Self::Smr => "smr",
            Self::MapReply => "map-reply",
            Self::ProbeReply => "probe-reply",
            Self::MapRegister => "map-register",
            Self::MapNotify => "map-notify",
            Self::MapNotifyAck => "map-notify-ack",
            Self::MapReferral => "map-referral",
            Self::InfoRequest => "info-request",
            Self::InfoReply => "info-reply",
            Self::Ecm => "ecm",
            Self::ChangePriority => "change-priority",
            Self::Preparation => "preparation",
            Self::Extension => "extension",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

//! Messages in words: one line, and every field by name. For logs and people; nothing decides by it.
//!
//! What authenticates a message is named (key, algorithm, how many bytes), never shown.

mod fields;
mod kind;
mod line;

pub use fields::Field;
pub use kind::MessageKind;

use crate::{Algorithm, EidPrefix, Message, Nonce, Type5};

/// In the highest tenant, which no EID may use, Change-Priority names its receiver.
const NOBODYS_TENANT: u32 = 0x00ff_ffff;

/// A message as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is.
    pub kind: MessageKind,
    /// All of it in one line, without the kind; of bytes that are no message, why not.
    pub line: String,
    /// The EIDs it speaks of: what is asked, answered, registered. Of an envelope, those inside.
    pub eids: Vec<EidPrefix>,
    /// Its nonce; of an envelope, the one inside.
    pub nonce: Option<Nonce>,
    /// The key it says it is signed with.
    pub key: Option<(u8, Algorithm)>,
    /// Every field. Empty for bytes that are no message.
    pub fields: Vec<Field>,
}

impl Description {
    /// Reads and describes the UDP payload of a datagram on port 4342. Any bytes have a description.
    pub fn of(datagram: &[u8], type5: Type5) -> Self {
        let kind = MessageKind::of(datagram, type5);
        match Message::parse_with(datagram, type5) {
            Ok(message) => Self {
                kind,
                line: line::of(&message),
                eids: message.eids(),
                nonce: message.nonce(),
                key: message.key(),
                fields: fields::of(&message),
            },
            Err(error) => Self {
                kind,
                line: format!("{} bytes that are no message: {error}", datagram.len()),
                eids: Vec::new(),
                nonce: None,
                key: None,
                fields: Vec::new(),
            },
        }
    }
}

impl Message {
    /// The EIDs a message speaks of, in its own order.
    pub fn eids(&self) -> Vec<EidPrefix> {
        let of_records = |records: &[crate::MappingRecord]| records.iter().map(|record| record.eid).collect();
        match self {
            Self::MapRequest(request) => request.eids.clone(),
            Self::MapReply(reply) => of_records(&reply.records),
            Self::MapRegister(register) => of_records(&register.records),
            Self::MapNotify(notify) | Self::MapNotifyAck(notify) => of_records(&notify.records),
            Self::MapReferral(referral) => referral.records.iter().map(|record| record.eid).collect(),
            Self::Info(info) => vec![info.eid],
            Self::ChangePriority(change) => {
                // The record that names the receiver is about no EID.
                let about = change.records.iter().map(|record| record.eid);
                about.filter(|eid| eid.iid().get() != NOBODYS_TENANT).collect()
            }
            Self::Preparation(preparation) => vec![preparation.eid],
            Self::Encapsulated(envelope) => {
                inner(&envelope.message).map_or_else(Vec::new, |inner| inner.eids())
            }
        }
    }

    /// What ties the message to another one, or orders it among its sender's.
    pub fn nonce(&self) -> Option<Nonce> {
        match self {
            Self::MapRequest(request) => Some(request.nonce),
            Self::MapReply(reply) => Some(reply.nonce),
            Self::MapRegister(register) => Some(register.nonce),
            Self::MapNotify(notify) | Self::MapNotifyAck(notify) => Some(notify.nonce),
            Self::MapReferral(referral) => Some(referral.nonce),
            Self::Info(info) => Some(info.nonce),
            Self::ChangePriority(change) => Some(change.nonce),
            Self::Preparation(preparation) => Some(preparation.nonce),
            Self::Encapsulated(envelope) => inner(&envelope.message).and_then(|inner| inner.nonce()),
        }
    }

    /// Number and algorithm of the key that a message says it is signed with.
    pub fn key(&self) -> Option<(u8, Algorithm)> {
        let auth = match self {
            Self::MapRequest(_) | Self::MapReply(_) | Self::MapReferral(_) => return None,
            Self::MapRegister(register) => &register.auth,
            Self::MapNotify(notify) | Self::MapNotifyAck(notify) => &notify.auth,
            Self::Info(info) => &info.auth,
            Self::ChangePriority(change) => &change.auth,
            Self::Preparation(preparation) => &preparation.auth,
            Self::Encapsulated(envelope) => return inner(&envelope.message).and_then(|inner| inner.key()),
        };
        Some((auth.key_id, auth.algorithm))
    }
}

/// What is in an envelope. An envelope in it is as far as anyone looks: bytes must not make us dig.
fn inner(bytes: &[u8]) -> Option<Message> {
    Message::parse(bytes)
        .ok()
        .filter(|message| !matches!(message, Message::Encapsulated(_)))
}

#[cfg(test)]
mod tests;

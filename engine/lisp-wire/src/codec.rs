//! Control messages from and to their bytes.
//!
//! A datagram is a message or it is refused whole, with the part that is wrong: every byte is accounted for, and
//! bytes after the last part are an error. What RFC 9301 calls reserved is zero when sent and ignored when received.
//! Counts are held against the bytes that are left before anything is allocated for them.
//!
//! What is understood of addresses, and what becomes of the rest:
//!
//! | where | IPv4, IPv6 | in an instance-id LCAF | explicit path | AFI 0 | other LCAF | other AFI |
//! |---|---|---|---|---|---|---|
//! | EID of a record | read | read | refused | refused | refused | refused |
//! | source EID | read | read | refused | `None` | refused | refused |
//! | ITR-RLOC | read | left out | left out | left out | left out | refused |
//! | locator | read | left out | read | left out | left out | refused |
//!
//! Where leaving out would leave none, the message is refused; but for the one AFI 0 that ends a subscription, which is
//! the empty list of ITR-RLOCs. The N bit of an EID record is read where the I bit says who sets it.

mod change_priority;
mod encapsulated;
mod family;
mod handed;
mod info;
mod preparation;
mod reader;
mod record;
mod referral;
mod register;
mod request;

use reader::Reader;
pub(crate) use register::AuthView;

pub use change_priority::SUB_TYPE as CHANGE_PRIORITY_SUB_TYPE;
pub use preparation::SUB_TYPE as PREPARATION_SUB_TYPE;

use crate::error::{EmitError, Part, WireError};
use crate::message::{
    ChangePriority, ChangePriorityForm, Encapsulated, Info, MapNotify, MapReferral, MapRegister, MapReply,
    MapRequest, Message, Preparation,
};

/// Bytes of the longest UDP payload over IPv4; nothing longer is emitted.
pub const MOST_BYTES: usize = 65_507;

const TYPE_SHIFT: u32 = 28;

/// Where a Shared Extension Message has its sub-type, 12 bits (RFC 9304 section 3).
const SUB_TYPE_SHIFT: u32 = 16;

/// IANA "LISP Packet Types".
mod packet_type {
    pub(super) const MAP_REQUEST: u8 = 1;
    pub(super) const MAP_REPLY: u8 = 2;
    pub(super) const MAP_REGISTER: u8 = 3;
    pub(super) const MAP_NOTIFY: u8 = 4;
    pub(super) const MAP_NOTIFY_ACK: u8 = 5;
    pub(super) const MAP_REFERRAL: u8 = 6;
    pub(super) const INFO: u8 = 7;
    pub(super) const ENCAPSULATED: u8 = 8;
    pub(super) const SHARED_EXTENSION: u8 = 15;
}

/// What a message of type 5 is taken for.
///
/// RFC 9301 gives the number to Map-Notify-Ack; the thesis, which is older, to Change-Priority. A message with the
/// H or C bit cannot be an acknowledgement, whose flags are reserved: those are always read as Change-Priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Type5 {
    /// Without H and C it is a Map-Notify-Ack.
    #[default]
    MapNotifyAck,
    /// It is always a Change-Priority, for receivers that speak the thesis's form. Such a receiver should share a
    /// key for it that signs nothing else: the bytes of an acknowledgement could otherwise be shown to it as a
    /// Change-Priority.
    ChangePriority,
}

impl Message {
    /// Reads the UDP payload of a datagram on port 4342, type 5 being a Map-Notify-Ack.
    ///
    /// # Errors
    /// [`WireError`], for bytes that are no message.
    pub fn parse(datagram: &[u8]) -> Result<Self, WireError> {
        Self::parse_with(datagram, Type5::MapNotifyAck)
    }

    /// Reads the UDP payload of a datagram on port 4342.
    ///
    /// # Errors
    /// [`WireError`], for bytes that are no message.
    pub fn parse_with(datagram: &[u8], type5: Type5) -> Result<Self, WireError> {
        let mut reader = Reader::new(datagram);
        let reader = &mut reader;
        let word = reader.u32(Part::Header)?;
        let message = match (word >> TYPE_SHIFT) as u8 {
            packet_type::MAP_REQUEST => Self::MapRequest(MapRequest::read(word, reader)?),
            packet_type::MAP_REPLY => Self::MapReply(MapReply::read(word, reader)?),
            packet_type::MAP_REGISTER => Self::MapRegister(MapRegister::read(word, reader)?),
            packet_type::MAP_NOTIFY => Self::MapNotify(MapNotify::read(word, reader)?),
            packet_type::MAP_NOTIFY_ACK if is_acknowledgement(word, type5) => {
                Self::MapNotifyAck(MapNotify::read_ack(word, reader)?)
            }
            packet_type::MAP_NOTIFY_ACK => Self::ChangePriority(ChangePriority::read_legacy(word, reader)?),
            packet_type::MAP_REFERRAL => Self::MapReferral(MapReferral::read(word, reader)?),
            packet_type::INFO => Self::Info(Info::read(word, reader)?),
            packet_type::ENCAPSULATED => Self::Encapsulated(Encapsulated::read(word, reader)?),
            packet_type::SHARED_EXTENSION => match sub_type(word) {
                CHANGE_PRIORITY_SUB_TYPE => Self::ChangePriority(ChangePriority::read_shared(word, reader)?),
                PREPARATION_SUB_TYPE => Self::Preparation(Preparation::read(word, reader)?),
                number => return Err(WireError::UnknownSubType { number }),
            },
            number => return Err(WireError::UnknownType { number }),
        };
        reader.end()?;
        Ok(message)
    }

    /// Appends the message; the MAC stands as it is in its `AuthField`.
    ///
    /// # Errors
    /// Where a value has no bytes, `out` is as it was: nothing malformed is ever emitted.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), EmitError> {
        self.write(None, out)
    }

    /// The number of the message's type (IANA "LISP Packet Types").
    pub const fn packet_type(&self) -> u8 {
        match self {
            Self::MapRequest(_) => packet_type::MAP_REQUEST,
            Self::MapReply(_) => packet_type::MAP_REPLY,
            Self::MapRegister(_) => packet_type::MAP_REGISTER,
            Self::MapNotify(_) => packet_type::MAP_NOTIFY,
            Self::MapNotifyAck(_) => packet_type::MAP_NOTIFY_ACK,
            Self::MapReferral(_) => packet_type::MAP_REFERRAL,
            Self::Info(_) => packet_type::INFO,
            Self::Encapsulated(_) => packet_type::ENCAPSULATED,
            Self::ChangePriority(change) => match change.form {
                ChangePriorityForm::SharedExtension => packet_type::SHARED_EXTENSION,
                ChangePriorityForm::Legacy => packet_type::MAP_NOTIFY_ACK,
            },
            Self::Preparation(_) => packet_type::SHARED_EXTENSION,
        }
    }

    /// Appends the message with this authentication field, or its own.
    pub(crate) fn write(&self, auth: Option<AuthView<'_>>, out: &mut Vec<u8>) -> Result<(), EmitError> {
        let start = out.len();
        let written = self
            .write_parts(auth, out)
            .and_then(|()| match out.len() - start {
                length if length > MOST_BYTES => Err(EmitError::TooLong {
                    length,
                    most: MOST_BYTES,
                }),
                _ => Ok(()),
            });
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn write_parts(&self, auth: Option<AuthView<'_>>, out: &mut Vec<u8>) -> Result<(), EmitError> {
        let number = self.packet_type();
        let word = u32::from(number) << TYPE_SHIFT;
        let open = || match auth {
            Some(_) => Err(EmitError::NotAuthenticated { number }),
            None => Ok(()),
        };
        match self {
            Self::MapRequest(request) => open().and_then(|()| request.write(word, out)),
            Self::MapReply(reply) => open().and_then(|()| reply.write(word, out)),
            Self::MapReferral(referral) => open().and_then(|()| referral.write(word, out)),
            Self::Encapsulated(envelope) => open().and_then(|()| envelope.write(word, out)),
            Self::MapRegister(register) => register.write(word, auth.unwrap_or(register.auth.view()), out),
            Self::MapNotify(notify) => notify.write(word, auth.unwrap_or(notify.auth.view()), out),
            Self::MapNotifyAck(notify) => notify.write_ack(word, auth.unwrap_or(notify.auth.view()), out),
            Self::Info(info) => info.write(word, auth.unwrap_or(info.auth.view()), out),
            Self::ChangePriority(change) => {
                let auth = auth.unwrap_or(change.auth.view());
                match change.form {
                    ChangePriorityForm::SharedExtension => change.write_shared(word, auth, out),
                    ChangePriorityForm::Legacy => change.write_legacy(word, auth, out),
                }
            }
            Self::Preparation(preparation) => {
                preparation.write(word, auth.unwrap_or(preparation.auth.view()), out)
            }
        }
    }
}

/// The sub-type in the first word of a Shared Extension Message.
pub(crate) const fn sub_type(word: u32) -> u16 {
    (word >> SUB_TYPE_SHIFT & 0x0fff) as u16
}

const fn sub_type_word(number: u16) -> u32 {
    (number as u32) << SUB_TYPE_SHIFT
}

pub(crate) const fn is_acknowledgement(word: u32, type5: Type5) -> bool {
    matches!(type5, Type5::MapNotifyAck)
        && word & (change_priority::legacy::H | change_priority::legacy::C) == 0
}

/// The bit, where it is set.
const fn flag(set: bool, bit: u32) -> u32 {
    if set { bit } else { 0 }
}

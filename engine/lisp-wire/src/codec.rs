//! Control messages from and to their bytes.

use crate::error::{EmitError, Part, WireError};
use crate::message::Message;

/// What a message of type 5 is taken for.
///
/// RFC 9301 gives the number to Map-Notify-Ack; the thesis, which is older, to Change-Priority. A message with the
/// H or C bit cannot be an acknowledgement, whose flags are reserved: those are always read as Change-Priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Type5 {
    /// Without H and C it is a Map-Notify-Ack.
    #[default]
    MapNotifyAck,
    /// It is always a Change-Priority, for receivers that speak the thesis's form.
    ChangePriority,
}

impl Message {
    /// Reads the UDP payload of a datagram on port 4342, type 5 being a Map-Notify-Ack.
    pub fn parse(datagram: &[u8]) -> Result<Self, WireError> {
        Self::parse_with(datagram, Type5::MapNotifyAck)
    }

    /// Reads the UDP payload of a datagram on port 4342.
    pub fn parse_with(datagram: &[u8], _type5: Type5) -> Result<Self, WireError> {
        let first = datagram.first().ok_or(WireError::Truncated {
            part: Part::Header,
            need: 4,
            have: 0,
        })?;
        Err(WireError::UnknownType { number: first >> 4 })
    }

    /// Appends the message; the MAC stands as it is in its `AuthField`.
    ///
    /// # Errors
    /// Where a value has no bytes, `out` is as it was: nothing malformed is ever emitted.
    pub fn emit(&self, _out: &mut Vec<u8>) -> Result<(), EmitError> {
        Err(EmitError::NotAuthenticated { number: 0 })
    }
}

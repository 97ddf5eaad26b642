//! LISP bytes to values and back. No I/O, no clock, no allocation beyond the values themselves.
//!
//! | module | what it holds |
//! |---|---|
//! | [`address`] | [`Eid`], [`EidPrefix`], [`Rloc`], [`InstanceId`]: who is spoken of |
//! | [`mapping`] | [`Priority`], [`Weight`], [`Locator`], [`MappingRecord`]: what is said of them |
//! | [`path`] | [`Path`]: the routers that packets are to go through (LISP-TE) |
//! | [`message`] | one value for each control message (RFC 9301), and [`ChangePriority`] of the thesis |
//! | [`codec`] | [`Message::parse`] and [`Message::emit`]: those values and their bytes |
//! | [`authentication`] | [`Key`], [`Message::emit_signed`], [`verify`]: who may be believed |
//! | [`sealed`] | [`Handed`]: what a site hands to another before an EID moves, encrypted |
//! | [`data_header`] | [`DataHeader`]: the 8 bytes before each encapsulated packet (RFC 9300) |
//! | [`describe`] | [`Description`]: a message in words, for logs |
//! | [`error`] | [`WireError`], [`EmitError`]: what can be wrong, and where |
//!
//! ```
//! use lisp_wire::{Algorithm, AuthField, Key, MapNotify, Message, Nonce, verify};
//!
//! let key = Key::new(1, Algorithm::HmacSha256, b"shared with the peer")?;
//! let notify = MapNotify { nonce: Nonce(7), auth: AuthField::unsigned(), records: vec![], xtr: None };
//! let mut datagram = Vec::new();
//! Message::MapNotify(notify).emit_signed(&key, &mut datagram)?;
//!
//! let keys = [key];
//! assert_eq!(verify(&datagram, &keys)?.id, 1);
//! assert!(matches!(Message::parse(&datagram)?, Message::MapNotify(notify) if notify.nonce == Nonce(7)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod address;
pub mod authentication;
pub mod codec;
pub mod data_header;
pub mod describe;
pub mod error;
pub mod mapping;
pub mod message;
pub mod path;
pub mod sealed;

pub use address::{Eid, EidPrefix, InstanceId, Rloc};
pub use authentication::{AuthError, Key, KeyError, MacLength, verify, verify_apart};
pub use codec::{CHANGE_PRIORITY_SUB_TYPE, PREPARATION_SUB_TYPE, Type5};
pub use data_header::{Age, DATA_HEADER_LEN, DataHeader, DataNonce, EchoRequest, MapVersion, Mark};
pub use describe::{Description, Field, MessageKind};
pub use error::{EmitError, WireError};
pub use mapping::{Action, Locator, MappingRecord, Priority, Ttl, Weight};
pub use message::{
    Algorithm, AuthField, ChangePriority, ChangePriorityForm, Encapsulated, Info, MapNotify, MapReferral,
    MapRegister, MapReply, MapRequest, Message, NatTraversal, Nonce, NotifyBits, Preparation, Purpose,
    Referral, ReferralAction, SiteId, Step, Via, XtrId,
};
pub use path::{Hop, Path};
pub use sealed::{Handed, HandedClient, Manner, SealError};

/// UDP destination port of encapsulated packets (RFC 9300 section 5).
pub const DATA_PORT: u16 = 4341;
/// UDP port of control messages (RFC 9301 section 5).
pub const CONTROL_PORT: u16 = 4342;

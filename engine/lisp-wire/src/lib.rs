//! LISP bytes to values and back. No I/O, no clock, no allocation beyond the values themselves.
//!
//! | module | what it holds |
//! |---|---|
//! | [`address`] | [`Eid`], [`EidPrefix`], [`Rloc`], [`InstanceId`]: who is spoken of |
//! | [`mapping`] | [`Priority`], [`Weight`], [`Locator`], [`MappingRecord`]: what is said of them |
//! | [`message`] | one value for each control message (RFC 9301), and [`ChangePriority`] of the thesis |

pub mod address;
pub mod mapping;
pub mod message;

pub use address::{Eid, EidPrefix, InstanceId, Rloc};
pub use mapping::{Action, Locator, MappingRecord, Priority, Ttl, Weight};
pub use message::{ChangePriority, Message};

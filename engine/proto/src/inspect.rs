//! What people and programs look at in a node: its message log, and its tables page by page.

use std::net::{IpAddr, SocketAddr};

pub use lisp_wire::MessageKind;
use lisp_wire::message::{SiteId, XtrId};
use lisp_wire::{Algorithm, EidPrefix, Field, InstanceId, Rloc};
use serde::{Deserialize, Serialize};

use crate::{NodeReport, Span, Timestamp};

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To this node.
    In,
    /// From it.
    Out,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum MessageOutcome {
    /// Handed to the network.
    Sent,
    /// Taken; `what` is the counter that says what was done about it, where there is one.
    Accepted {
        /// Like `control.map-requests.answered`.
        what: Option<String>,
    },
    /// Not taken, for the reason that `why` counts.
    Refused {
        /// Like `control.refused.replay`.
        why: String,
    },
}

/// Which messages of the log are wanted: those for which everything said here holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogFilter {
    /// Exchanged with this address, whatever the port.
    pub peer: Option<IpAddr>,
    /// About an EID within this block, or a block around it; in its tenant.
    pub eid: Option<EidPrefix>,
    /// About EIDs of this tenant.
    pub instance: Option<InstanceId>,
    /// Of one of these kinds; empty means of any.
    pub kinds: Vec<MessageKind>,
    /// That went this way.
    pub direction: Option<Direction>,
    /// Those refused alone.
    pub refused: bool,
    /// No probes, nor answers to them, that nothing was wrong with.
    pub no_probes: bool,
}

/// How much is told of each message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDetail {
    /// One line.
    #[default]
    Line,
    /// Every field too.
    Fields,
    /// Its bytes, for a capture. They hold what was on the wire: the MAC too, never a key.
    Bytes,
}

/// A question to the message log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogQuery {
    /// Messages with higher numbers than this; 0 means from the oldest that is kept.
    pub after: u64,
    /// At most so many; 0 leaves it to the node, which bounds it in any case.
    pub most: u32,
    /// Which.
    pub filter: LogFilter,
    /// How much of each.
    pub detail: LogDetail,
}

/// A message of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedMessage {
    /// Counts all messages since the process took up, from 1.
    pub number: u64,
    /// When the kernel had it, or when it was sent.
    pub at: Timestamp,
    /// Which way it went.
    pub direction: Direction,
    /// The other end.
    pub peer: SocketAddr,
    /// Our end, where it is known.
    pub local: Option<IpAddr>,
    /// Its port: 4342, but for what is sent from 4341 by an xTR behind a NAT.
    #[serde(default = "control_port")]
    pub local_port: u16,
    /// DSCP it was sent with, 0 to 63.
    pub dscp: Option<u8>,
    /// What it is.
    pub kind: MessageKind,
    /// What it says, in one line.
    pub line: String,
    /// The EIDs it speaks of.
    pub eids: Vec<EidPrefix>,
    /// Its nonce, as 0x and 16 digits: JSON's numbers are too small for it.
    pub nonce: Option<String>,
    /// The key it says it is signed with.
    pub key_id: Option<u8>,
    /// And how.
    pub algorithm: Option<Algorithm>,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: MessageOutcome,
    /// Bytes of the UDP payload.
    pub length: usize,
    /// All fields, where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// The UDP payload in hexadecimal digits, where it was asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bytes: String,
}

const fn control_port() -> u16 {
    lisp_wire::CONTROL_PORT
}

/// A part of the message log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// By their numbers.
    pub messages: Vec<LoggedMessage>,
    /// To be given as [`LogQuery::after`] for what follows.
    pub next: u64,
    /// Whether there is more already.
    pub more: bool,
    /// Whether messages after [`LogQuery::after`] had to make room before they were asked for.
    pub gap: bool,
}

/// A place in a table: given out by a node, and given back to it for what follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// A part of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The report that shows the table, with some of its rows.
    pub page: Box<NodeReport>,
    /// Where it goes on; none at the end.
    pub next: Option<Cursor>,
}

/// A subscription at this node (RFC 9437, Map-Server role).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionRow {
    /// The mapping whose changes are told.
    pub eid: EidPrefix,
    /// What was asked for.
    pub asked: EidPrefix,
    /// Whose it is, 32 hexadecimal digits.
    pub xtr_id: String,
    /// Its site.
    pub site_id: SiteId,
    /// Where it is told, the first before the others.
    pub to: Vec<SocketAddr>,
    /// The last nonce used, as 0x and 16 digits.
    pub nonce: String,
    /// Publications without an acknowledgement yet.
    pub unacknowledged: usize,
    /// Time left, unless it is heard of.
    pub expires_in: Span,
}

/// A subscription of this node (RFC 9437, xTR).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribedRow {
    /// The mapping whose changes are told.
    pub eid: EidPrefix,
    /// Through whom it was asked for.
    pub resolver: Rloc,
    /// The Map-Server that tells.
    pub server: SocketAddr,
    /// The highest nonce taken, as 0x and 16 digits.
    pub nonce: String,
    /// Whether the mapping is there; it may have been withdrawn and come back.
    pub there: bool,
    /// When it is asked for anew.
    pub renewed_in: Option<Span>,
}

/// An own EID at a Map-Server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRegistrationRow {
    /// The Map-Server.
    pub server: Rloc,
    /// Which EIDs.
    pub eid: EidPrefix,
    /// How long ago the Map-Server acknowledged it last; none if it never did.
    pub acknowledged_ago: Option<Span>,
    /// Attempts under way that nobody has acknowledged.
    pub unanswered: u32,
    /// When all are registered anew.
    pub refresh_in: Option<Span>,
}

/// Sixteen hexadecimal digits after 0x.
pub fn hex_nonce(nonce: lisp_wire::Nonce) -> String {
    format!("{:#018x}", nonce.0)
}

/// Thirty-two hexadecimal digits.
pub fn hex_xtr(XtrId(id): XtrId) -> String {
    format!("{id:032x}")
}

//! What crosses processes, and nothing else. Everything here is data: serialisable, comparable, free of I/O.
//!
//! | module | between |
//! |---|---|
//! | [`name`] | names of sites, users and VMs, as all parts use them |
//! | [`time`] | [`Timestamp`]: time as an argument |
//! | [`command`] | console, `pacao ctl` -> engine: [`Command`], answered by one [`Reply`] |
//! | [`notice`] | engine -> console: [`Notice`] (what changed) |
//! | [`snapshot`] | engine -> console: [`Snapshot`] (all there is), and its rows |
//! | [`proposal`] | a proposed change and its life |
//! | [`autonomy`] | earned autonomy: records and standing of classes of actions |
//! | [`plan`] | a plan for all users at once, as advice, with its proof |
//! | [`policy`] | scopes, disarming, budgets, damping: what staff set and consoles show |
//! | [`availability`] | how long things could be reached, nines, budgets, penalties |
//! | [`qoe`] | what users say of a session, and what is learnt from it |
//! | [`node`] | engine <-> forwarder: [`NodeCommand`], [`NodeReport`] |
//! | [`inspect`] | what a node shows page by page: its tables, its message log |
//! | [`frame`] | how the above are framed: JSON lines on sockets, text frames on a WebSocket |

pub mod autonomy;
pub mod availability;
pub mod command;
pub mod frame;
pub mod inspect;
pub mod name;
pub mod node;
pub mod notice;
pub mod plan;
pub mod policy;
pub mod proposal;
pub mod qoe;
pub mod snapshot;
pub mod text;
pub mod time;
pub mod why;

pub use autonomy::{ActionClass, AutonomyRow};
pub use availability::{AvailabilityReport, AvailabilityRow};
pub use command::{Actor, Command, Forced, Look, Refusal, Reply, RequestId, Verdict};
pub use frame::{ClientFrame, EngineFrame, NodeFrame, PROTOCOL, ReportFrame};
pub use inspect::{
    Cursor, Direction, LogDetail, LogFilter, LogPage, LogQuery, LoggedMessage, MessageOutcome, Page,
};
pub use name::{SiteName, SlaName, Tag, TenantName, UserName, VmName};
pub use node::{Audience, ChangeId, NodeCommand, NodeReport, ProbeOutcome, ProbeSample, ProbeTarget};
pub use notice::Notice;
pub use policy::{Arming, Disarmed, FlapKey, Hold, PolicyRow, Scope};
pub use proposal::{Proposal, ProposalId, ProposalState};
pub use qoe::{QoeReport, Score};
pub use snapshot::{
    LegRow, LinkId, LinkRow, LinkState, LogEntry, Mode, NodeRow, RlocRow, Severity, Snapshot,
};
pub use time::{Span, Timestamp};

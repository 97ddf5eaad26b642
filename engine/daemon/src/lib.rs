//! The engine's shell: the engine's only tokio, files and sockets.
//!
//! | module | what |
//! |---|---|
//! | [`session`] | `sessions/*.yaml` -> [`Session`], or findings with line and column |
//! | [`shell`] | [`spawn`]: one task owns the core; inputs are recorded, handled, acted on |
//! | [`attachment`] | a console's end of the engine, in one process or over a WebSocket |
//! | [`record`], `recorder` | the record: format, writing, going from file to file, taking up again |
//! | [`mod@replay`] | the same inputs again, the same decisions? |
//! | `node_link` | a control connection to each forwarder |
//! | [`console_link`] | the WebSocket for consoles: server and client |
//! | [`paths`] | where an engine keeps its state; one engine a session |
//! | [`lines`] | frames as JSON lines, for `pacao serve` |
//! | `clock`, `hex` | wall time that never goes backwards; hexadecimal digits |

pub mod attachment;
mod clock;
pub mod console_link;
mod hex;
pub mod lines;
mod node_link;
pub mod paths;
pub mod record;
mod recorder;
pub mod replay;
pub mod session;
pub mod shell;

pub use attachment::{Ask, Attachment};
pub use paths::{Root, StateDir, StatePaths};
pub use recorder::Upkeep;
pub use replay::{replay, replay_from_first};
pub use session::Session;
pub use shell::{EngineError, EngineHandle, Options, Start, spawn};

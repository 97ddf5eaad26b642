//! A console's end of the engine, the same in one process as over a WebSocket.

use proto::{Actor, Command, EngineFrame, RequestId};
use tokio::sync::mpsc;

/// A command with its id and who asks. Over a WebSocket the engine takes the person from the connection's greeting
/// and nothing else.
pub type Ask = (RequestId, Command, Actor);

/// Frames that wait for a console at most. When they are full the engine drops notices for this console and sends a
/// fresh snapshot as soon as half of the queue is free; replies are never dropped.
pub const FRAMES: usize = 256;

/// Commands of one console that wait for the engine at most. When they are full the console waits.
pub const ASKS: usize = 64;

/// A console's end. The first frame is `Hello`, the second a `Snapshot`; the last one is `Bye` with the reason,
/// whether the engine ends or a connection is lost. Dropping either half detaches.
#[derive(Debug)]
pub struct Attachment {
    /// What the engine tells.
    pub frames: mpsc::Receiver<EngineFrame>,
    /// What is asked of it. Sending fails once the engine is gone.
    pub ask: mpsc::Sender<Ask>,
}

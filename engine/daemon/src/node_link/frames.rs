//! JSON lines of bounded length.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// A longer line is no frame of ours: a table of 10,000 rows fits.
const MAX_LINE: usize = 4 << 20;

/// Lines of one peer.
pub(super) struct Lines {
    reader: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    line: Vec<u8>,
}

/// Not a line of ours.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("it closed the connection")]
    Closed,
    #[error("reading failed: {0}")]
    Read(std::io::Error),
    #[error("it sent a line of more than {} MiB", MAX_LINE >> 20)]
    TooLong,
    #[error("it sent a line that is no frame: {0}")]
    NotAFrame(serde_json::Error),
}

impl Lines {
    pub(super) fn new(reader: BufReader<Box<dyn AsyncRead + Send + Unpin>>) -> Self {
        Self {
            reader,
            line: Vec::new(),
        }
    }

    /// The next frame. Once abandoned half-way it must not be asked again.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<T, LineError> {
        self.line.clear();
        loop {
            let chunk = self.reader.fill_buf().await.map_err(LineError::Read)?;
            if chunk.is_empty() {
                return Err(LineError::Closed);
            }
            let (take, whole) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (chunk.len(), false),
            };
            if self.line.len() + take > MAX_LINE {
                return Err(LineError::TooLong);
            }
            self.line.extend_from_slice(&chunk[..take]);
            self.reader.consume(take);
            if whole {
                return serde_json::from_slice(&self.line).map_err(LineError::NotAFrame);
            }
        }
    }
}

/// A frame as a line.
pub(super) fn line<T: Serialize>(frame: &T) -> Result<Vec<u8>, LineError> {
    let mut line = serde_json::to_vec(frame).map_err(LineError::NotAFrame)?;
    line.push(b'\n');
    Ok(line)
}

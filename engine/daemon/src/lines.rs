//! Frames as JSON lines, for `pacao serve` and whatever reads its output.

use std::io;

use proto::EngineFrame;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// Writes every frame as one line until the engine says goodbye (that line included) or nobody reads any more.
/// Each burst of frames is flushed as a whole.
///
/// # Errors
/// Those of `out`; a reader that is gone ([`io::ErrorKind::BrokenPipe`]) is a good end.
pub async fn write(
    mut frames: mpsc::Receiver<EngineFrame>,
    mut out: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut burst = Vec::new();
    while frames.recv_many(&mut burst, 64).await > 0 {
        let mut text = Vec::new();
        for frame in burst.drain(..) {
            serde_json::to_writer(&mut text, &frame)?;
            text.push(b'\n');
        }
        let written = async {
            out.write_all(&text).await?;
            out.flush().await
        };
        match written.await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_frame_is_a_line_that_reads_back() {
        let (sender, frames) = mpsc::channel(8);
        let sent = [
            EngineFrame::Notices { notices: Vec::new() },
            EngineFrame::Bye {
                why: "stopped\nby hand".into(),
            },
        ];
        for frame in &sent {
            sender.send(frame.clone()).await.unwrap();
        }
        drop(sender);
        let mut out = Vec::new();
        write(frames, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        let read: Vec<EngineFrame> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read, sent);
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_is_a_good_end() {
        let (sender, frames) = mpsc::channel(8);
        sender.send(EngineFrame::Bye { why: "x".into() }).await.unwrap();
        let (out, reader) = tokio::io::duplex(16);
        drop(reader);
        write(frames, out).await.unwrap();
    }
}

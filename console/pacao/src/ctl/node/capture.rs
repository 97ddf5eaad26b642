//! `pacao ctl node ... capture`: the node's control messages as a pcapng file.
//!
//! The forwarder tells its log; the file is made here, with the rights of who asked for it.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use proto::Direction;
use proto::inspect::{LogDetail, LogFilter, LogQuery, LoggedMessage, MessageOutcome};

use super::forwarder::{Answer, Forwarder};
use super::log::short;
use super::pcapng::{self, Packet};
use crate::cli::CaptureArgs;

/// What is new is asked for this often.
const EVERY: Duration = Duration::from_millis(100);
/// No capture grows beyond this.
const MOST_BYTES: u64 = 1 << 30;

/// Writes until a limit is reached.
pub(super) fn run(
    forwarder: &mut Forwarder,
    args: &CaptureArgs,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Answer> {
    let mut query = LogQuery {
        // What was before is not asked for: the answer says where the log ends now.
        after: if args.past { 0 } else { u64::MAX },
        most: 0,
        filter: LogFilter::from(&args.filter),
        detail: LogDetail::Bytes,
    };
    if !args.past {
        match forwarder.log(query.clone())? {
            Ok(page) => query.after = page.next,
            Err(refused) => return Ok(refused),
        }
    }
    let to_standard_output = args.to == Path::new("-");
    let mut file: Box<dyn Write> = if to_standard_output {
        Box::new(&mut *out)
    } else {
        let mut options = OpenOptions::new();
        // A capture holds what peers said to each other; and nothing that is there is overwritten.
        let file = options.write(true).create_new(true).mode(0o600).open(&args.to);
        Box::new(BufWriter::new(
            file.with_context(|| args.to.display().to_string())?,
        ))
    };
    let mut counted = Counted::default();
    pcapng::begin("control", &mut file)?;
    let until = Instant::now() + Duration::from_secs(args.seconds);
    loop {
        let page = match forwarder.log(query.clone())? {
            Ok(page) => page,
            Err(refused) => return Ok(refused),
        };
        query.after = page.next;
        counted.gaps += u64::from(page.gap);
        for message in &page.messages {
            if counted.messages == args.packets || counted.bytes >= MOST_BYTES {
                break;
            }
            counted.bytes += write(message, &mut file)?;
            counted.messages += 1;
        }
        file.flush()?;
        let full = counted.messages == args.packets || counted.bytes >= MOST_BYTES;
        if full || (Instant::now() >= until && !page.more) {
            break;
        }
        if !page.more {
            std::thread::sleep(EVERY.min(until.saturating_duration_since(Instant::now())));
        }
    }
    drop(file);
    if counted.gaps > 0 {
        eprintln!("pacao: some messages were overwritten before they could be read");
    }
    if to_standard_output {
        return Ok(Answer::Given);
    }
    if json {
        let told = serde_json::json!({
            "file": args.to,
            "messages": counted.messages,
            "bytes": counted.bytes,
            "gaps": counted.gaps,
        });
        writeln!(out, "{told}")?;
    } else {
        writeln!(out, "{} messages in {}", counted.messages, args.to.display())?;
    }
    Ok(Answer::Given)
}

#[derive(Debug, Default)]
struct Counted {
    messages: u64,
    bytes: u64,
    /// How often messages were overwritten before they could be read.
    gaps: u64,
}

/// Writes a message; gives how many bytes of it there are.
fn write(message: &LoggedMessage, file: &mut impl Write) -> anyhow::Result<u64> {
    let payload = payload(&message.bytes).context("the forwarder's bytes are not hexadecimal")?;
    let anywhere: IpAddr = match message.peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let local = SocketAddr::new(message.local.unwrap_or(anywhere), message.local_port);
    let (from, to) = match message.direction {
        Direction::In => (message.peer, local),
        Direction::Out => (local, message.peer),
    };
    let comment = match &message.outcome {
        MessageOutcome::Sent => "sent".to_owned(),
        MessageOutcome::Accepted { what: None } => "accepted".to_owned(),
        MessageOutcome::Accepted { what: Some(what) } => format!("accepted: {}", short(what)),
        MessageOutcome::Refused { why } => format!("refused: {}", short(why)),
    };
    let packet = Packet {
        at: message.at,
        direction: message.direction,
        from,
        to,
        dscp: message.dscp.unwrap_or(0),
        payload: &payload,
        comment: &comment,
    };
    pcapng::write(&packet, file)?;
    Ok(payload.len() as u64)
}

fn payload(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    hex.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

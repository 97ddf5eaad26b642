//! `pacao ctl node ... log`: control messages in words.

use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use proto::inspect::{LogDetail, LogFilter, LogQuery, LoggedMessage, MessageOutcome};
use proto::{Direction, Timestamp};

use super::forwarder::{Answer, Forwarder};
use crate::cli::{FilterArgs, LogArgs};

/// What is new is asked for this often.
const EVERY: Duration = Duration::from_millis(100);
/// With `--last`, so many at most are held back.
const MOST_LAST: usize = 1 << 20;

impl From<&FilterArgs> for LogFilter {
    fn from(args: &FilterArgs) -> Self {
        Self {
            peer: args.peer,
            eid: args.eid,
            instance: args.iid,
            kinds: args.kinds.clone(),
            direction: args.direction.map(Direction::from),
            refused: args.refused,
            no_probes: args.no_probes,
        }
    }
}

/// Prints what there is, and with `--follow` what comes.
pub(super) fn run(
    forwarder: &mut Forwarder,
    args: &LogArgs,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Answer> {
    let mut query = LogQuery {
        filter: LogFilter::from(&args.filter),
        detail: if args.full {
            LogDetail::Fields
        } else {
            LogDetail::Line
        },
        ..LogQuery::default()
    };
    let print = |message: &LoggedMessage, out: &mut _| print(message, json, out);
    let mut last = VecDeque::new();
    let mut held_back = args.last.map(|most| most.min(MOST_LAST));
    loop {
        let page = match forwarder.log(query.clone())? {
            Ok(page) => page,
            Err(refused) => return Ok(refused),
        };
        if page.gap {
            eprintln!("pacao: some messages were overwritten before they could be read");
        }
        query.after = page.next;
        for message in page.messages {
            match held_back {
                Some(most) => {
                    last.push_back(message);
                    if last.len() > most {
                        last.pop_front();
                    }
                }
                None => print(&message, out)?,
            }
        }
        if page.more {
            continue;
        }
        for message in last.drain(..) {
            print(&message, out)?;
        }
        held_back = None;
        out.flush()?;
        if !args.follow {
            return Ok(Answer::Given);
        }
        std::thread::sleep(EVERY);
    }
}

fn print(message: &LoggedMessage, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        writeln!(out, "{}", serde_json::to_string(message)?)?;
        return Ok(());
    }
    writeln!(out, "{}", line(message, super::super::zone()))?;
    for field in &message.fields {
        writeln!(out, "    {} = {}", field.name, field.value)?;
    }
    Ok(())
}

/// One line for people.
fn line(message: &LoggedMessage, zone: FixedOffset) -> String {
    let arrow = match message.direction {
        Direction::In => '<',
        Direction::Out => '>',
    };
    let (mark, outcome) = match &message.outcome {
        MessageOutcome::Sent => (' ', String::new()),
        MessageOutcome::Accepted { what: None } => ('o', String::new()),
        MessageOutcome::Accepted { what: Some(what) } => ('o', format!("  ({})", short(what))),
        MessageOutcome::Refused { why } => ('x', format!("  (refused: {})", short(why))),
    };
    format!(
        "{} {mark} {arrow} {:<21} {:<15} {}{outcome}",
        clock(message.at, zone),
        message.peer.to_string(),
        message.kind.name(),
        message.line
    )
}

/// A counter's name without what all of them have in common.
pub(super) fn short(counter: &str) -> &str {
    let name = counter.strip_prefix("control.").unwrap_or(counter);
    name.strip_prefix("refused.").unwrap_or(name)
}

fn clock(at: Timestamp, zone: FixedOffset) -> String {
    let at = DateTime::from_timestamp_micros(i64::try_from(at.micros()).unwrap_or_default());
    let at = at.unwrap_or_default().with_timezone(&zone);
    at.format("%H:%M:%S%.6f").to_string()
}

#[cfg(test)]
mod tests {
    use lisp_wire::MessageKind;

    use super::*;

    #[test]
    fn a_line_says_when_who_what_and_what_came_of_it() {
        let message = LoggedMessage {
            number: 7,
            at: Timestamp(1_763_000_000_123_456),
            direction: Direction::In,
            peer: ([172, 16, 0, 2], 4342).into(),
            local: None,
            local_port: 4342,
            dscp: None,
            kind: MessageKind::MapRegister,
            line: "10.1.0.7/32 = 172.16.0.2 1/100 (1440 min), nonce 0x0000000000000007, key 1".to_owned(),
            eids: Vec::new(),
            nonce: None,
            key_id: Some(1),
            algorithm: None,
            outcome: MessageOutcome::Refused {
                why: "control.refused.replay".to_owned(),
            },
            length: 60,
            fields: Vec::new(),
            bytes: String::new(),
        };
        let utc = FixedOffset::east_opt(0).unwrap();
        assert_eq!(
            line(&message, utc),
            "02:13:20.123456 x < 172.16.0.2:4342       map-register    10.1.0.7/32 = 172.16.0.2 1/100 (1440 min), \
             nonce 0x0000000000000007, key 1  (refused: replay)"
        );
    }
}

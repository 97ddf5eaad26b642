//! `pacao ctl qoe`: scores of users.

use anyhow::bail;
use chrono::DateTime;
use proto::qoe::Session;
use proto::{Command, RequestId, Score, Span, Timestamp};

use crate::cli::QoeArgs;

/// What stands in a user's place to ask for the report. A user of that name is scored by the API.
const REPORT: &str = "report";

/// Whether the report is asked for.
pub(super) fn is_report(args: &QoeArgs) -> bool {
    args.user.as_str() == REPORT && args.score.is_none()
}

/// The score, and the id it is given under if the asker has one.
pub(super) fn command(args: &QoeArgs) -> anyhow::Result<(Command, Option<RequestId>)> {
    let Some(score) = args.score else {
        bail!("which score? give --score 1 (bad) to 5 (excellent), or ask for `qoe report`")
    };
    let session = Session {
        user: args.user.clone(),
        vm: args.vm.clone(),
        ended_at: args.at,
        lasted: Some(args.lasted),
    };
    let command = Command::Score {
        session,
        score: Score::new(score)?,
        note: args.note.clone(),
    };
    Ok((command, args.request.clone().map(RequestId)))
}

/// A moment, or how long ago it was.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = Span::parse(text.trim_end_matches(" ago")) {
        return Ok(crate::traffic::now() - ago);
    }
    DateTime::parse_from_rfc3339(text)
        .ok()
        .and_then(|at| u64::try_from(at.timestamp_micros()).ok())
        .map(Timestamp)
        .ok_or_else(|| {
            format!("'{text}' is no moment: give it like 2026-03-02T13:05:00Z, or how long ago, like 10m")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_written() {
        assert_eq!(moment("1970-01-01T01:00:01+01:00"), Ok(Timestamp(1_000_000)));
        let ago = moment("10m").unwrap();
        assert!(crate::traffic::now().since(ago) < Span::secs(700));
        for text in ["", "yesterday", "1960-01-01T00:00:00Z", "13:05"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}

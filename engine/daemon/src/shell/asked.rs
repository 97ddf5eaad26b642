//! What a console asks, before anything is done with it: nothing that would fill memory, record or log, or read like
//! somebody else's word.

use proto::text::{self, LONGEST_REASON, LONGEST_REQUEST};
use proto::{Actor, Command, Refusal, RequestId};

/// Whether it can be taken in at all. A refusal is not recorded.
pub(super) fn check(request: &RequestId, command: &Command, by: &Actor) -> Result<(), Refusal> {
    fit(request, command, by).map_err(|why| Refusal::NotSo { why })
}

fn fit(request: &RequestId, command: &Command, by: &Actor) -> Result<(), String> {
    text::line("a request's id", &request.0, LONGEST_REQUEST)?;
    if let Actor::Operator { name } = by {
        text::operator(name)?;
    }
    match command {
        Command::BreakGlass { reason, .. } => text::line("a reason", reason, LONGEST_REASON),
        Command::Score { note, .. } => text::line("a note", note, LONGEST_REASON),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proto::{Forced, ProposalId, Score, UserName, Verdict};

    use super::*;

    fn asked(request: &str, command: &Command, by: &str) -> Result<(), Refusal> {
        let by = Actor::Operator { name: by.to_owned() };
        check(&RequestId(request.to_owned()), command, &by)
    }

    #[test]
    fn what_fills_memory_or_reads_like_another_is_refused() {
        let glass = |reason: &str| Command::BreakGlass {
            reason: reason.to_owned(),
            ask: Forced::Decide {
                proposal: ProposalId(1),
                revision: 1,
                verdict: Verdict::Approve,
            },
        };
        let score = |note: &str| Command::Score {
            session: proto::qoe::Session {
                user: UserName::new("paris").unwrap(),
                vm: None,
                ended_at: None,
                lasted: None,
            },
            score: Score::new(3).unwrap(),
            note: note.to_owned(),
        };
        assert_eq!(asked("ctl-1", &glass("fire"), "ada"), Ok(()));
        assert_eq!(asked("ctl-1", &score(""), "ada"), Ok(()));
        for (request, command, by) in [
            ("r".repeat(129), Command::Arm, "ada"),
            ("\u{1b}[2J".to_owned(), Command::Arm, "ada"),
            ("1".to_owned(), Command::Arm, "The Engine"),
            ("1".to_owned(), glass(&"long ".repeat(41)), "ada"),
            ("1".to_owned(), glass("fire\u{202e}"), "ada"),
            ("1".to_owned(), score(&"long ".repeat(41)), "ada"),
        ] {
            assert!(
                matches!(asked(&request, &command, by), Err(Refusal::NotSo { .. })),
                "{request} {command:?} {by}"
            );
        }
    }
}

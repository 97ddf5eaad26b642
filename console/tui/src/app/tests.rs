//! What the console does, as sentences.

use proto::{Command, Notice, Proposal, ProposalId, ProposalState, Span, Timestamp, Verdict};

use crate::fixture::{NOW, console, open};
use crate::headless::Headless;

mod decisions;
mod engine;
mod nodelog;
mod palette;
mod policy;
mod rows;

const SIZE: (u16, u16) = (120, 40);

fn later(millis: u64) -> Timestamp {
    NOW + Span::millis(millis)
}

fn noc() -> Headless {
    console("noc", SIZE)
}

fn approve() -> Command {
    Command::Decide {
        proposal: ProposalId(17),
        revision: 3,
        verdict: Verdict::Approve,
    }
}

fn revised(revision: u32, state: ProposalState) -> Notice {
    Notice::Proposal {
        proposal: Proposal {
            revision,
            state,
            ..open()
        },
    }
}

fn status(console: &Headless) -> &str {
    console
        .app
        .status
        .as_ref()
        .map(|status| status.text.as_str())
        .unwrap_or_default()
}

fn users(console: &Headless) -> Vec<String> {
    console
        .app
        .table
        .order
        .iter()
        .map(|id| format!("{}/{}", id.user, id.dc))
        .collect()
}

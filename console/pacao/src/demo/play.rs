//! The course of a demo: when the link goes bad, what is said meanwhile, and what was seen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use engine::Attachment;
use proto::proposal::Criterion;
use proto::{Proposal, ProposalState, SiteName, Span, Timestamp};

use super::stage::Stage;
use crate::cli::DemoArgs;
use crate::told::Told;
use crate::traffic::now;

/// What happened, with its moments.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    /// The stress began.
    pub stressed_at: Option<Timestamp>,
    /// What the stress added.
    pub impair: Span,
    /// The proposal as it was opened.
    pub opened: Option<Proposal>,
    /// Approved, by staff or engine.
    pub approved_at: Option<Timestamp>,
    /// The client acknowledged.
    pub confirmed_at: Option<Timestamp>,
    /// The new entry.
    pub to: Option<SiteName>,
    /// Volumes of user and twin when the stress began.
    pub before: (u64, u64),
    /// It was broken off by a signal: what is missing did not have its time.
    pub broken_off: bool,
    /// Volumes of user and twin when it was over, and how long that was.
    pub after: Option<(u64, u64, Duration)>,
}

/// How long links may take to be measured at first.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plays until `stop`, or until `args.watch` after the stress if there are no hands. `say` gets a line at each turn.
pub(super) fn play(
    stage: &Stage,
    args: &DemoArgs,
    mut attachment: Attachment,
    stop: &AtomicBool,
    mut say: impl FnMut(&str),
) -> anyhow::Result<Story> {
    let begin = Instant::now();
    let mut told = Told::default();
    let mut gather = |told: &mut Told| {
        while let Ok(frame) = attachment.frames.try_recv() {
            told.take(frame);
        }
    };
    while !told.fresh(Timestamp(0)) {
        gather(&mut told);
        ensure!(
            begin.elapsed() < PATIENCE,
            "not every link was measured within {} s",
            PATIENCE.as_secs()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let from = stage.label(&stage.from).to_owned();
    say(&format!(
        "{} downloads through {from}. In {} s that link goes bad: watch its row.",
        stage.user, args.stress_after
    ));
    let stress_at = begin + Duration::from_secs(args.stress_after);
    let mut story = Story {
        impair: Span::millis(args.impair),
        ..Story::default()
    };
    let mut stressed: Option<Instant> = None;
    let unattended = args.auto || args.headless;
    while !stop.load(Ordering::Relaxed) {
        gather(&mut told);
        if stressed.is_none() && Instant::now() >= stress_at {
            story.before = stage.volumes();
            for (user, entry) in [(&stage.user, &stage.from), (&stage.twin, &stage.home)] {
                stage.lab.stress(user, entry, story.impair)?;
            }
            story.stressed_at = Some(now());
            stressed = Some(Instant::now());
            let slot = stage.slots.0;
            say(&format!(
                "+{} ms on {} / {from}. The engine waits one slot (S' = {slot}).",
                args.impair, stage.user
            ));
        }
        if story.stressed_at.is_some() {
            story.follow(stage, &told, args, &mut say);
        }
        if let Some(since) = stressed {
            let (user, twin) = stage.volumes();
            story.after = Some((user, twin, since.elapsed()));
            if unattended && since.elapsed() > Duration::from_secs(args.watch) {
                break;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // Without hands nobody stops it but a signal.
    story.broken_off = args.headless && stop.load(Ordering::Relaxed);
    Ok(story)
}

impl Story {
    fn follow(&mut self, stage: &Stage, told: &Told, args: &DemoArgs, say: &mut impl FnMut(&str)) {
        let mine = |proposal: &&Proposal| {
            proposal.user == stage.user && proposal.reason.criterion != Criterion::Manual
        };
        let Some(proposal) = told.proposals.values().rfind(mine) else {
            return;
        };
        if self.confirmed_at.is_some() {
            return;
        }
        if self.opened.as_ref().is_none_or(|opened| opened.id != proposal.id) {
            let to = stage.label(&proposal.to);
            let (id, reason) = (proposal.id.0, &proposal.reason);
            say(&format!(
                "Proposal #{id}: {} enters by {to} instead ({} {:.0} {unit}, bound {:.0}; {:.0} {unit} by {to}).{}",
                proposal.user,
                reason.criterion.word(),
                reason.measured,
                reason.bound,
                reason.expected,
                how_to_approve(stage, args, id),
                unit = reason.criterion.unit(),
            ));
            self.opened = Some(proposal.clone());
        }
        match &proposal.state {
            ProposalState::Confirmed { receipt, .. } => {
                self.approved_at = Some(receipt.approved_at);
                self.confirmed_at = Some(receipt.confirmed_at);
                self.to = Some(proposal.to.clone());
                let quit = if args.auto || args.headless {
                    ""
                } else {
                    " Look around; q ends the demo."
                };
                say(&format!(
                    "Switched: {} enters by {}; its router acknowledged after {:.0} ms.{quit}",
                    proposal.user,
                    stage.label(&proposal.to),
                    receipt.signalling.as_millis_f64()
                ));
            }
            ProposalState::Failed { why, .. } if self.approved_at.is_none() => {
                self.approved_at = Some(proposal.opened_at);
                say(&format!("The switch failed: {why}"));
            }
            _ => {}
        }
    }
}

fn how_to_approve(stage: &Stage, args: &DemoArgs, id: u64) -> String {
    match (args.auto, args.headless) {
        (true, _) => String::new(),
        (false, true) => format!(" Approve it: pacao ctl --session {} approve {id}", stage.session),
        (false, false) => " Press a, then Approve.".to_owned(),
    }
}

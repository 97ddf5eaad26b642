use proto::ProbeOutcome;

use super::*;
use crate::config::{Policy, Slots, shipped};
use crate::optimizer::criteria;

fn limits() -> Limits {
    let slots = Slots {
        decide: Span::secs(10),
        settle: Span::secs(5),
        probe: Span::millis(500),
    };
    let policy = Policy {
        proposal_ttl: Span::secs(60),
        cool_down: Span::secs(30),
        gain_min: 5.0,
        gain_min_share: 0.1,
        confirm_within: Span::secs(10),
        prove_within: Span::ZERO,
        down_after: 3,
        up_after: 3,
        stale_after: Span::secs(5),
        probe_timeout: Span::secs(2),
    };
    let sla = shipped("interactive").unwrap();
    Limits::of((slots, &policy), &sla, &criteria::class_of(&sla))
}

/// Samples with losses, a time when nothing is answered, and one that is told to be overdue.
fn samples() -> Vec<(Timestamp, ProbeSample)> {
    (0..400_u64)
        .map(|n| {
            let at = Timestamp(1_700_000_000_000_000 + n * 500_000 + n * n % 1009);
            let outcome = match n {
                ..40 if n % 13 == 5 => ProbeOutcome::Lost,
                200..210 => ProbeOutcome::Lost,
                395 => ProbeOutcome::Overdue(Span::millis(700)),
                _ => ProbeOutcome::Rtt(Span(30_000 + n * 7919 % 4001)),
            };
            let sample = ProbeSample {
                target: lisp_wire::Rloc([10, 0, 0, 1].into()),
                sent_at: at - Span::millis(700),
                outcome,
            };
            (at, sample)
        })
        .collect()
}

#[test]
fn a_link_that_an_older_version_wrote_goes_on_as_one_that_was_never_written() {
    let limits = limits();
    let mut link = Link::default();
    let mut all: Vec<(Timestamp, Outcome)> = Vec::new();
    for (number, (at, sample)) in samples().into_iter().enumerate() {
        all.push((at, Outcome::new(sample.outcome, link.down_since().is_some())));
        link.take(&sample, at, &limits);
        if !matches!(number, 30 | 206 | 397 | 399) {
            continue;
        }
        let kept = &all[all.len().saturating_sub(240)..];
        let gap = |at: usize| {
            if at == 0 {
                0
            } else {
                kept[at].0.since(kept[at - 1].0).micros()
            }
        };
        let mut old = serde_json::to_value(&link).unwrap();
        let taken = all.len() as u64;
        old["ring"] = serde_json::json!({
            "samples": kept.iter().enumerate().map(|(at, (_, outcome))| (gap(at), *outcome)).collect::<Vec<_>>(),
            "first_at": kept[0].0,
            "last_at": at,
            "taken": taken,
        });
        let overdue = old["overdue"].as_array_mut().unwrap();
        for entry in overdue {
            entry[1] = 396.into();
        }
        old["valid_from"] = 0.into();
        old["dirty"] = true.into();
        let mut read: Link = serde_json::from_value(old).unwrap();
        read.fit(&limits);
        assert_eq!(read, link, "after {number}");
        assert_eq!(read.history().len(), link.history().len());
        let outcomes = |link: &Link| {
            link.history()
                .into_iter()
                .map(|(_, outcome)| outcome)
                .collect::<Vec<_>>()
        };
        assert_eq!(outcomes(&read), outcomes(&link));
    }
}

#[test]
fn what_was_known_before_a_restart_is_history_and_nothing_else() {
    let limits = limits();
    let mut link = Link::default();
    for (at, sample) in samples() {
        link.take(&sample, at, &limits);
    }
    let (now, heard_at) = (samples()[399].0, link.heard_at());
    let before = link.history();
    link.restart();
    assert_eq!((link.state(), link.heard_at()), (LinkState::Stale, heard_at));
    assert_eq!(link.history().len(), before.len());
    assert!(link.figures(now, &limits).rtt.is_none());
    assert_eq!(link.measured(now, &limits), None);
}

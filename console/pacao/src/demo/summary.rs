//! The end of a demo: when it was noticed, when it was mended, what it cost, what it saved.

use std::time::Duration;

use proto::{Span, Timestamp};
use serde_json::{Value, json};

use super::play::Story;
use super::stage::Stage;
use crate::checks::{Bound, Checks};
use crate::traffic::Outcome;

/// Figures of one demo.
pub(super) struct Summary {
    lines: Vec<String>,
    checks: Checks,
}

/// What must be known of the stage after it is gone.
pub(super) struct Facts {
    user: String,
    from: String,
    to: Option<String>,
    slots: (Span, Span),
    base_rtt: Span,
    record: String,
    auto: bool,
}

impl Facts {
    /// Taken before the stage ends.
    pub(super) fn of(stage: &Stage, story: &Story, auto: bool) -> Self {
        Self {
            user: stage.user.to_string(),
            from: stage.label(&stage.from).to_owned(),
            to: story.to.as_ref().map(|to| stage.label(to).to_owned()),
            slots: stage.slots,
            base_rtt: stage.base_rtt,
            record: stage.record.display().to_string(),
            auto,
        }
    }
}

impl Summary {
    /// Judges what was seen.
    pub(super) fn new(facts: &Facts, story: &Story, outcome: &Outcome) -> Self {
        let mut summary = Self {
            lines: Vec::new(),
            checks: Checks::default(),
        };
        if story.broken_off {
            let text = "broken off by a signal before the story was over; nothing is judged";
            summary.lines.push(text.to_owned());
        } else {
            summary.times(facts, story);
            summary.traffic(facts, story, outcome);
        }
        summary.lines.push(format!(
            "recorded in {}; `pacao replay` repeats its decisions",
            facts.record
        ));
        summary
    }

    fn times(&mut self, facts: &Facts, story: &Story) {
        let Some(stressed) = story.stressed_at else {
            self.lines
                .push("ended before the stress; nothing to judge".to_owned());
            return;
        };
        let after = |at: Option<Timestamp>| at.map_or(f64::NAN, |at| at.since(stressed).as_secs_f64());
        let opened = after(story.opened.as_ref().map(|proposal| proposal.opened_at));
        let (approved, confirmed) = (after(story.approved_at), after(story.confirmed_at));
        let (slot, probe) = facts.slots;
        let stressed_rtt = facts.base_rtt.as_secs_f64() + story.impair.as_secs_f64();
        // S', at most one probe interval, one round trip of the bad link; then the message and its acknowledgement.
        let most = slot.as_secs_f64() + probe.as_secs_f64() + stressed_rtt + 0.05;
        self.checks
            .add("proposed after the stress", opened, "s", Bound::AtMost(most));
        if facts.auto {
            self.checks.add(
                "switched after the stress",
                confirmed,
                "s",
                Bound::AtMost(most + 0.2),
            );
        } else {
            self.checks
                .add("switched after the stress", confirmed, "s", Bound::None);
        }
        self.lines.push(match &facts.to {
            Some(to) => format!(
                "{}: {} -> {to}; proposed {opened:.2} s after the stress, approved {approved:.2} s, switched {confirmed:.2} s",
                facts.user, facts.from
            ),
            None => format!("{} still enters by {}", facts.user, facts.from),
        });
    }

    fn traffic(&mut self, facts: &Facts, story: &Story, outcome: &Outcome) {
        let echo = &outcome.echo;
        let bound = if story.confirmed_at.is_some() {
            Bound::AtMost(0.0)
        } else {
            Bound::None
        };
        self.checks
            .add("packets lost", echo.lost as f64, "packets", bound);
        self.lines.push(format!(
            "{} small packets sent, {} lost, {} reordered; round trip p50 {:.1} ms, p99 {:.1} ms",
            echo.sent, echo.lost, echo.reordered, echo.rtt_p50_ms, echo.rtt_p99_ms
        ));
        let Some((user, twin, time)) = story.after else {
            return;
        };
        let (user, twin) = (user - story.before.0.min(user), twin - story.before.1.min(twin));
        let rate = |bytes: u64| bytes as f64 * 8.0 / time.max(Duration::from_millis(1)).as_secs_f64() / 1e6;
        self.checks
            .add("volume since the stress", user as f64 / 1e6, "MB", Bound::None);
        self.checks
            .add("volume with a fixed RLOC", twin as f64 / 1e6, "MB", Bound::None);
        if story.confirmed_at.is_some() && facts.auto {
            self.checks.add(
                "volume against a fixed RLOC",
                user as f64 / twin.max(1) as f64,
                "ratio",
                Bound::AtLeast(1.0),
            );
        }
        self.lines.push(format!(
            "since the stress: {:.1} MB ({:.2} Mbit/s); the same user with a fixed RLOC: {:.1} MB ({:.2} Mbit/s)",
            user as f64 / 1e6,
            rate(user),
            twin as f64 / 1e6,
            rate(twin)
        ));
    }

    /// Whether every check holds.
    pub(super) fn holds(&self) -> bool {
        self.checks.hold()
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        format!("\n{}\n\n{}", self.lines.join("\n"), self.checks.table())
    }

    /// For programs.
    pub(super) fn json(&self) -> anyhow::Result<Value> {
        let mut whole = json!({ "demo": "table-5-1", "lines": self.lines });
        if let (Some(whole), Value::Object(checks)) =
            (whole.as_object_mut(), serde_json::to_value(&self.checks)?)
        {
            whole.extend(checks);
        }
        Ok(whole)
    }
}

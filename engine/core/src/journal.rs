//! The log: one line for everything worth one, and never a flood.

use std::collections::VecDeque;

use proto::{LogEntry, Notice, Severity, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Effect;
use crate::outbox::Outbox;

/// Lines kept.
const KEPT: usize = 500;
/// Lines in one second; what is more is counted.
const A_SECOND: u32 = 50;

/// The latest lines, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Journal {
    lines: VecDeque<LogEntry>,
    second: Timestamp,
    written: u32,
    left_out: u32,
}

impl Journal {
    /// Writes a line, unless fifty were written within this second: then a line of the next second says how
    /// many are missing.
    pub(crate) fn write(&mut self, severity: Severity, text: String, out: &mut Outbox) {
        self.turn_second(out);
        if self.written >= A_SECOND {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.written += 1;
        self.put_now(severity, text, out);
    }

    /// Writes the line of a command, also amid a flood: nothing that staff did goes untold.
    pub(crate) fn write_word(&mut self, severity: Severity, text: String, out: &mut Outbox) {
        self.turn_second(out);
        self.put_now(severity, text, out);
    }

    /// In a new second there is room again, and what was left out in the one before is told.
    fn turn_second(&mut self, out: &mut Outbox) {
        let now = out.now;
        if now >= self.second + Span::secs(1) {
            self.second = now;
            self.written = 0;
            if self.left_out > 0 {
                let text = format!(
                    "{} more lines in a second were left out",
                    std::mem::take(&mut self.left_out)
                );
                self.put_now(Severity::Warning, text, out);
            }
        }
    }

    pub(crate) fn lines(&self) -> &VecDeque<LogEntry> {
        &self.lines
    }

    fn put_now(&mut self, severity: Severity, text: String, out: &mut Outbox) {
        let entry = LogEntry {
            at: out.now,
            severity,
            text,
        };
        if self.lines.len() >= KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(entry.clone());
        out.push(Effect::Notify {
            notice: Notice::Log { entry },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_counted_instead() {
        let mut journal = Journal::default();
        let mut out = Outbox::new(Timestamp(5_000_000));
        for n in 0..1000 {
            journal.write(Severity::Info, format!("{n}"), &mut out);
        }
        assert_eq!(out.into_effects().len(), 50);
        let mut out = Outbox::new(Timestamp(6_000_000));
        journal.write(Severity::Info, "later".to_owned(), &mut out);
        assert_eq!(out.into_effects().len(), 2);
        assert_eq!(
            journal.lines()[50].text,
            "950 more lines in a second were left out"
        );
    }

    #[test]
    fn what_staff_did_is_written_amid_a_flood() {
        let mut journal = Journal::default();
        let mut out = Outbox::new(Timestamp(5_000_000));
        for n in 0..1000 {
            journal.write(Severity::Info, format!("{n}"), &mut out);
        }
        journal.write_word(
            Severity::Warning,
            "glass broken by ada: fire".to_owned(),
            &mut out,
        );
        assert_eq!(out.into_effects().len(), 51);
        assert_eq!(journal.lines()[50].text, "glass broken by ada: fire");
    }
}

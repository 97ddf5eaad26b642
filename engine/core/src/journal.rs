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
        let now = out.now;
        if now >= self.second + Span::secs(1) {
            self.second = now;
            self.written = 0;
            if self.left_out > 0 {
                let text = format!(
                    "{} more lines in a second were left out",
                    std::mem::take(&mut self.left_out)
                );
                self.put(
                    LogEntry {
                        at: now,
                        severity: Severity::Warning,
                        text,
                    },
                    out,
                );
            }
        }
        if self.written >= A_SECOND {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.written += 1;
        self.put(
            LogEntry {
                at: now,
                severity,
                text,
            },
            out,
        );
    }

    pub(crate) fn lines(&self) -> &VecDeque<LogEntry> {
        &self.lines
    }

    fn put(&mut self, entry: LogEntry, out: &mut Outbox) {
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
}

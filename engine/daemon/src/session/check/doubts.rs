//! What is wrong with a text, gathered, with the place of each.

use proto::Span;

use crate::session::Finding;
use crate::session::locate::{At, Step, dotted, locate};

/// More findings than this help nobody.
const MAX_FINDINGS: usize = 50;

/// What is wrong so far.
pub(super) struct Doubts<'a> {
    text: &'a str,
    file: &'a str,
    findings: Vec<Finding>,
    /// Those past [`MAX_FINDINGS`].
    more: usize,
}

impl<'a> Doubts<'a> {
    /// None yet about this text.
    pub(super) const fn new(text: &'a str, file: &'a str) -> Self {
        Self {
            text,
            file,
            findings: Vec::new(),
            more: 0,
        }
    }

    /// Whether nothing is wrong.
    pub(super) const fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Something is wrong with a field's value.
    pub(super) fn value(&mut self, path: &[Step], message: impl Into<String>) {
        self.add(path, At::Value, message.into());
    }

    /// Something is wrong with a field's name.
    pub(super) fn key(&mut self, path: &[Step], message: impl Into<String>) {
        self.add(path, At::Key, message.into());
    }

    /// The value, or `None` and a finding.
    pub(super) fn good<T, E: ToString>(&mut self, path: &[Step], result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.value(path, error.to_string())).ok()
    }

    /// A number within bounds; the finding says which.
    pub(super) fn within(&mut self, path: &[Step], number: f64, range: std::ops::RangeInclusive<f64>) {
        if !range.contains(&number) {
            let (low, high) = range.into_inner();
            self.value(path, format!("{number} is out of range: give {low} to {high}"));
        }
    }

    /// A length of time within bounds.
    pub(super) fn span(&mut self, path: &[Step], text: &str, range: (Span, Span)) -> Option<Span> {
        let span = self.good(path, Span::parse(text))?;
        if span < range.0 || span > range.1 {
            self.value(
                path,
                format!("{span} is out of range: give {} to {}", range.0, range.1),
            );
            return None;
        }
        Some(span)
    }

    fn add(&mut self, path: &[Step], at: At, message: String) {
        // Locating walks the text again, so their number is bounded first.
        if self.findings.len() == MAX_FINDINGS {
            self.more += 1;
            return;
        }
        let (line, column) = locate(self.text, path, at);
        let finding = Finding {
            file: self.file.into(),
            line,
            column,
            field: dotted(path),
            message,
        };
        self.findings.push(finding);
    }

    /// In the order of the file.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.findings
            .sort_by_key(|finding| (finding.line, finding.column));
        if self.more > 0 {
            let message = format!("and {} more; mend the ones above first", self.more);
            self.findings.push(Finding {
                file: self.file.into(),
                line: 1,
                column: 1,
                field: String::new(),
                message,
            });
        }
        self.findings
    }
}

/// `at![users, name, vms]`: keys of a path, owned.
macro_rules! at {
    ($($step:expr),+ $(,)?) => { &[$($crate::session::check::doubts::step($step)),+] };
}
pub(super) use at;

pub(super) fn step(key: impl Into<StepArg>) -> Step {
    key.into().0
}

pub(super) struct StepArg(Step);

impl From<&str> for StepArg {
    fn from(key: &str) -> Self {
        Self(Step::Key(key.to_owned()))
    }
}

impl From<&String> for StepArg {
    fn from(key: &String) -> Self {
        Self(Step::Key(key.clone()))
    }
}

impl From<usize> for StepArg {
    fn from(index: usize) -> Self {
        Self(Step::Index(index))
    }
}

//! What is wrong with a session, and where.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// One thing wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The path of the field, such as `users.paris-001.sla`; empty for the whole file.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            field,
            message,
        } = self;
        write!(f, "{file}:{line}:{column}: ")?;
        if !field.is_empty() {
            write!(f, "{field}: ")?;
        }
        f.write_str(message)
    }
}

/// A session that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No such file, or not allowed, or not UTF-8.
    #[error("{}: the session cannot be read: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// At least one finding.
    #[error("{}", one_a_line(findings))]
    Invalid {
        /// In the order of the file.
        findings: Vec<Finding>,
    },
}

fn one_a_line(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

//! What can be wrong with a configuration.

use std::fmt;
use std::path::{Path, PathBuf};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not YAML, or a field is unknown, missing or of the wrong kind.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What, with the field.
        message: String,
    },
    /// A field says what cannot be.
    #[error("{place}: {problem}")]
    Refused {
        /// Where.
        place: Place,
        /// What.
        problem: Problem,
    },
}

impl ConfigError {
    pub(super) fn of_yaml(path: &Path, error: &serde_yaml::Error) -> Self {
        let place = Place::of(path, error.location().map(|at| (at.line(), at.column())));
        let text = error.to_string();
        // The place stands in front; the reader's own mention of it at the end would be the second.
        let message = text
            .rsplit_once(" at line ")
            .map_or(text.as_str(), |(message, _)| message)
            .to_owned();
        Self::Syntax { place, message }
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1, where they are known.
    pub at: Option<(usize, usize)>,
}

impl Place {
    pub(super) fn of(path: &Path, at: Option<(usize, usize)>) -> Self {
        Self {
            path: path.to_owned(),
            at,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "{}:{line}:{column}", self.path.display()),
            None => write!(f, "{}", self.path.display()),
        }
    }
}

/// What a field says, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Problem {
    /// Its path, such as `eids[0].prefix`.
    pub field: String,
    /// In words.
    pub what: String,
}

impl Problem {
    pub(super) fn new(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            what: what.into(),
        }
    }
}

//! Sessions: what an engine steers, and how a lab builds it. `sessions/*.yaml` becomes a [`Session`], or errors that
//! name file, line, column and field, as many at once as can be told.
//!
//! Only checked values leave this module: names that are referred to exist, weights sum to 1, no address is used twice.

mod check;
mod explain;
mod finding;
mod lab;
mod locate;
mod raw;
mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pacao_core::Config;
use proto::SiteName;

pub use explain::{Knob, Source, explain};
pub use finding::{Finding, SessionError};
pub use lab::{AccessShape, Fabric, Lab, LinkShape, MAP_SERVER, Pair, Queue, Wan};
pub use units::{BitRate, ByteSize, UnitError};

/// A checked session.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Its name: a file name too, so of the same letters as the names of sites.
    pub name: String,
    /// What the engine decides on.
    pub config: Config,
    /// The control sockets of the forwarders, where the session names them. A lab makes them and adds them here.
    pub controls: BTreeMap<SiteName, PathBuf>,
    /// How a lab builds this fabric; `None` if the forwarders run already.
    pub lab: Option<Lab>,
}

impl Session {
    /// Reads and checks a session file.
    ///
    /// # Errors
    /// [`SessionError::Unreadable`], or [`SessionError::Invalid`] with everything found wrong.
    pub fn read(path: &Path) -> Result<Self, SessionError> {
        let text = std::fs::read_to_string(path).map_err(|source| SessionError::Unreadable {
            file: path.to_owned(),
            source,
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Checks the text of a session; `file` is for the messages.
    ///
    /// # Errors
    /// [`SessionError::Invalid`] with everything found wrong.
    pub fn parse(text: &str, file: &str) -> Result<Self, SessionError> {
        check::session(text, file).map_err(|findings| SessionError::Invalid { findings })
    }
}

/// Everything wrong with the session at `path`, in the order of the file; nothing if it is good.
///
/// # Errors
/// [`SessionError::Unreadable`] only.
pub fn check(path: &Path) -> Result<Vec<Finding>, SessionError> {
    match Session::read(path) {
        Ok(_) => Ok(Vec::new()),
        Err(SessionError::Invalid { findings }) => Ok(findings),
        Err(unreadable) => Err(unreadable),
    }
}

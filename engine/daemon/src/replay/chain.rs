//! Which records come before one.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::record::{Carried, Entry, Next, Reader, RecordError};

/// The first record that leads to the one at `path` and is still there, and those from it on, in order.
pub(super) fn up_to(path: &Path) -> Result<(PathBuf, Vec<PathBuf>), RecordError> {
    let (mut first, mut later) = (path.to_owned(), Vec::new());
    let mut seen = BTreeSet::new();
    while let Some(before) = goes_on_from(&first)?.filter(|before| before.exists()) {
        if !seen.insert(before.clone()) {
            return Err(damaged(&before, "it comes before itself".into()));
        }
        later.push(std::mem::replace(&mut first, before));
    }
    later.reverse();
    Ok((first, later))
}

fn goes_on_from(path: &Path) -> Result<Option<PathBuf>, RecordError> {
    let (mut reader, _) = Reader::open(path)?;
    let Next::Entry(entry) = reader.next()? else {
        return Ok(None);
    };
    match *entry {
        Entry::Carried { from, .. } => beside(path, &from).map(Some),
        _ => Ok(None),
    }
}

/// Records name others of their own folder, and no file elsewhere.
fn beside(path: &Path, from: &Carried) -> Result<PathBuf, RecordError> {
    let name = OsStr::new(&from.record);
    if Path::new(name).file_name() == Some(name) {
        Ok(path.with_file_name(name))
    } else {
        let why = format!("it goes on from '{}', which is no name of a file", from.record);
        Err(damaged(path, why))
    }
}

/// What a record goes on from stands in its second line.
fn damaged(path: &Path, why: String) -> RecordError {
    RecordError::Damaged {
        path: path.to_owned(),
        line: 2,
        why,
    }
}

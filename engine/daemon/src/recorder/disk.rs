//! What records lie on: a file, and the folder with its name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What a record is written to.
pub(crate) trait Medium: Send {
    /// Appends all of `bytes`.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once what was appended survives a loss of power.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts everything past `length` bytes.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// What is done to the names of records.
pub(crate) trait Disk: Send + Sync {
    /// A new file for its owner only, to be written at its end.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Medium>>;
    /// Gives a file a second name.
    fn link(&self, path: &Path, second: &Path) -> io::Result<()>;
    /// Gives a file another name, in the place of whatever has that.
    fn rename(&self, path: &Path, to: &Path) -> io::Result<()>;
    /// Takes a name away, and the file with its last one.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Returns once the names in the folder of `path` survive a loss of power.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// The system's.
pub(crate) struct System;

impl Disk for System {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Medium>> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true).mode(0o600);
        Ok(Box::new(options.open(path)?))
    }

    fn link(&self, path: &Path, second: &Path) -> io::Result<()> {
        fs::hard_link(path, second)
    }

    fn rename(&self, path: &Path, to: &Path) -> io::Result<()> {
        fs::rename(path, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(folder(path))?.sync_all()
    }
}

/// The folder that a file is in.
pub(crate) fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

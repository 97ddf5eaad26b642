//! Commands typed before, over the console's end: a file of lines, yours alone, and no longer than it needs to be.
//!
//! Only commands that were taken are written, so that what is pasted by mistake is not kept; the reason for breaking the
//! glass is left out, for it stands on the engine's record. Consoles that run side by side add to the same file. A file
//! that cannot be used costs nothing but itself: commands are then remembered until the console ends.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::app::field::{HISTORY, LONGEST};
use crate::app::palette::without_reason;

/// A file of more bytes than this is begun anew from its last lines.
const MOST_BYTES: u64 = 64 * 1024;
/// Of a file that somebody else made large, no more is read.
const MOST_READ: u64 = 4 * 1024 * 1024;

/// The file.
#[derive(Debug)]
pub(crate) struct History {
    path: PathBuf,
}

impl History {
    /// Opens the file, or makes it; what was typed before, the oldest first.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<String>)> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let file = appending(path)?;
        // One of an older umask is closed to others as well.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        let long = file.metadata()?.len() > MOST_BYTES;
        let mut text = Vec::new();
        File::open(path)?.take(MOST_READ).read_to_end(&mut text)?;
        let lines = last_lines(&String::from_utf8_lossy(&text));
        let history = Self {
            path: path.to_owned(),
        };
        if long {
            history.begin_anew(&lines)?;
        }
        Ok((history, lines))
    }

    /// Adds a line.
    pub(crate) fn add(&self, line: &str) -> io::Result<()> {
        let line = without_reason(line);
        if line.is_empty() || line.chars().any(char::is_control) {
            return Ok(());
        }
        // In one piece, so that lines of two consoles do not mix.
        appending(&self.path)?.write_all(format!("{line}\n").as_bytes())
    }

    fn begin_anew(&self, lines: &[String]) -> io::Result<()> {
        let beside = self.path.with_extension(format!("{}", std::process::id()));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&beside)?;
        let text = lines.join("\n") + "\n";
        let done = file
            .write_all(text.as_bytes())
            .and_then(|()| std::fs::rename(&beside, &self.path));
        if done.is_err() {
            let _nothing_is_left_behind = std::fs::remove_file(&beside);
        }
        done
    }
}

fn appending(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)
}

/// Lines that could have been typed, each once in a row, the last of them.
fn last_lines(text: &str) -> Vec<String> {
    let fits = |line: &&str| {
        !line.trim().is_empty() && !line.chars().any(char::is_control) && line.chars().count() <= LONGEST
    };
    let mut lines: Vec<String> = text.lines().filter(fits).map(str::to_owned).collect();
    lines.dedup();
    lines.drain(..lines.len().saturating_sub(HISTORY));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_one_console_typed_the_next_one_has_and_nobody_else_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/pacao/console-history");
        let (history, lines) = History::open(&path).unwrap();
        assert!(lines.is_empty());
        history.add("switch lyon-042 lip6").unwrap();
        // Another, side by side.
        let (other, lines) = History::open(&path).unwrap();
        assert_eq!(lines, ["switch lyon-042 lip6"]);
        other.add("mode auto").unwrap();
        history.add("glass approve 17 because my password is x").unwrap();
        history.add("with\u{1b}[31m an escape").unwrap();
        let (_, lines) = History::open(&path).unwrap();
        assert_eq!(
            lines,
            ["switch lyon-042 lip6", "mode auto", "glass approve 17 because "]
        );
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        History::open(&path).unwrap();
        assert_eq!(mode(&path), 0o600, "closed again");
    }

    #[test]
    fn the_file_stays_small_and_what_nobody_typed_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let typed: Vec<String> = (0..20_000).map(|n| format!("why user-{n:05}")).collect();
        let mut text = typed.join("\n");
        text += "\na bell \u{7}\n\n";
        text += &"x".repeat(LONGEST + 1);
        text += "\nmode auto\nmode auto\n";
        std::fs::write(&path, &text).unwrap();
        let (_, lines) = History::open(&path).unwrap();
        assert_eq!(lines.len(), HISTORY);
        assert_eq!(lines[HISTORY - 2..], ["why user-19999", "mode auto"]);
        assert!(std::fs::metadata(&path).unwrap().len() < MOST_BYTES);
        assert_eq!(mode(&path), 0o600);
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing is left beside it: {left:?}");
        let (_, again) = History::open(&path).unwrap();
        assert_eq!(again, lines);
        std::fs::write(&path, [0xff, b'\n', b'q', b'\n']).unwrap();
        let (_, lines) = History::open(&path).unwrap();
        assert_eq!(lines.last().unwrap(), "q", "bytes that are no text do no harm");
    }

    #[test]
    fn a_folder_in_its_place_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        assert!(History::open(folder.path()).is_err());
    }
}

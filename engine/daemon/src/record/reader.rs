//! Reading a record, entry by entry: what is torn off at its end is told apart from what is damaged in its midst.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use proto::Timestamp;

use super::{Body, Chain, Entry, FORMAT, Header, RecordError, VERSION};

/// No line is longer, its newline included; the writer divides what is, or refuses it.
pub(crate) const MAX_LINE: u64 = 256 << 20;

/// Reads one record.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    chain: Chain,
    line: u64,
    /// Bytes read, be they good or not.
    read: u64,
    /// Bytes of whole, good entries so far, and the seal of the last one's last line.
    good: (u64, Chain),
    last: Timestamp,
    /// Bytes of a line at most.
    most: u64,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    Entry(Box<Entry>),
    End,
    /// The writer was killed, or the machine lost power, while this was written. Nothing was done upon it.
    Torn(Torn),
}

/// An entry that was not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Its first line, from 1.
    pub line: u64,
    /// How many bytes of it there are.
    pub bytes: u64,
}

/// What the next line is.
enum Line {
    Whole(Box<Body<'static>>),
    End,
    Torn,
}

impl Reader {
    /// Opens a record and reads its header.
    pub(crate) fn open(path: &Path) -> Result<(Self, Header), RecordError> {
        Self::open_within(path, MAX_LINE)
    }

    /// The same with lines of at most so many bytes.
    fn open_within(path: &Path, most: u64) -> Result<(Self, Header), RecordError> {
        let file = File::open(path).map_err(io_error("open", path))?;
        let mut reader = Self {
            path: path.to_owned(),
            file: BufReader::new(file),
            chain: Chain::default(),
            line: 0,
            read: 0,
            good: (0, Chain::default()),
            last: Timestamp::default(),
            most,
        };
        let header = reader.header()?;
        reader.last = header.at;
        Ok((reader, header))
    }

    /// The next entry.
    pub(crate) fn next(&mut self) -> Result<Next, RecordError> {
        let first = self.line + 1;
        let mut joined: Option<(Timestamp, String)> = None;
        loop {
            let body = match self.next_line()? {
                Line::End if joined.is_none() => return Ok(Next::End),
                Line::End | Line::Torn => {
                    let bytes = self.read - self.good.0;
                    return Ok(Next::Torn(Torn { line: first, bytes }));
                }
                Line::Whole(body) => *body,
            };
            match (&mut joined, body) {
                (
                    None,
                    Body {
                        at, part: Some(part), ..
                    },
                ) => joined = Some((at, part.into_owned())),
                (
                    Some((began, text)),
                    Body {
                        at, part: Some(part), ..
                    },
                ) if at == *began => {
                    text.push_str(&part);
                }
                (
                    Some((began, text)),
                    Body {
                        at, last: Some(last), ..
                    },
                ) if at == *began => {
                    text.push_str(&last);
                    let body = serde_json::from_str(text).map_err(|error| error.to_string());
                    return self.entry(body);
                }
                (Some(_), _) => {
                    return Err(self.damaged(format!(
                        "the entry that begins in line {first} does not go on here"
                    )));
                }
                (None, body) => return self.entry(Ok(body)),
            }
        }
    }

    fn entry(&mut self, body: Result<Body<'_>, String>) -> Result<Next, RecordError> {
        let entry = body.and_then(|body| Ok(Entry::try_from(body)?));
        let entry = entry.map_err(|why| self.damaged(why))?;
        if entry.at() < self.last {
            return Err(self.damaged("its time lies before that of the line above".into()));
        }
        self.good = (self.read, self.chain.clone());
        self.last = entry.at();
        Ok(Next::Entry(Box::new(entry)))
    }

    fn next_line(&mut self) -> Result<Line, RecordError> {
        let text = self.text()?;
        if text.is_empty() {
            return Ok(Line::End);
        }
        self.line += 1;
        let Some(whole) = text.strip_suffix(b"\n") else {
            // What was torn off is the last thing in the file; a line that goes on is none that was ever written.
            return if self.at_end()? {
                Ok(Line::Torn)
            } else {
                Err(self.damaged(format!("it is longer than {} bytes", self.most)))
            };
        };
        let opened = str::from_utf8(whole)
            .map_err(|_| "it is not text".to_owned())
            .and_then(|line| Ok(self.chain.open(line)?))
            .and_then(|json| serde_json::from_str(&json).map_err(|error| error.to_string()));
        match opened {
            Ok(body) => Ok(Line::Whole(Box::new(body))),
            Err(why) => {
                // A lost page reads as zeros: at the very end, and not JSON, it is a torn line like any other.
                let garbage = serde_json::from_slice::<serde::de::IgnoredAny>(whole).is_err();
                if garbage && self.at_end()? {
                    Ok(Line::Torn)
                } else {
                    Err(self.damaged(why))
                }
            }
        }
    }

    /// Where to go on writing: the seal of the last good entry, and the bytes up to its end.
    pub(crate) fn position(&self) -> (Chain, u64) {
        (self.good.1.clone(), self.good.0)
    }

    /// Number of the line read last, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// The time of the last good entry.
    pub(crate) fn last(&self) -> Timestamp {
        self.last
    }

    /// An error that names the line read last.
    pub(crate) fn damaged(&self, why: String) -> RecordError {
        RecordError::Damaged {
            path: self.path.clone(),
            line: self.line,
            why,
        }
    }

    fn header(&mut self) -> Result<Header, RecordError> {
        let text = self.text()?;
        self.line = 1;
        let not = |why: String| RecordError::NotARecord {
            path: self.path.clone(),
            why,
        };
        let line = std::str::from_utf8(&text).map_err(|_| not("it is not text".into()))?;
        let line = line
            .strip_suffix('\n')
            .ok_or_else(|| not("its first line is not whole".into()))?;
        let json =
            Chain::open(&mut self.chain, line).map_err(|why| not(format!("in its first line, {why}")))?;
        let kind: Kind = serde_json::from_str(&json).map_err(|error| not(error.to_string()))?;
        if kind.format != FORMAT || kind.version != VERSION {
            let Kind { format, version } = kind;
            return Err(not(format!(
                "it says {format} {version}; this build reads {FORMAT} {VERSION}"
            )));
        }
        let header = serde_json::from_str(&json).map_err(|error| not(error.to_string()))?;
        self.good = (self.read, self.chain.clone());
        Ok(header)
    }

    /// The next line with its newline; empty at the end of the file.
    fn text(&mut self) -> Result<Vec<u8>, RecordError> {
        let mut text = Vec::new();
        let read = (&mut self.file).take(self.most).read_until(b'\n', &mut text);
        self.read += read.map_err(io_error("read", &self.path))? as u64;
        Ok(text)
    }

    fn at_end(&mut self) -> Result<bool, RecordError> {
        self.file
            .fill_buf()
            .map(<[u8]>::is_empty)
            .map_err(io_error("read", &self.path))
    }
}

/// What must be known of a header before the rest of it is read.
#[derive(serde::Deserialize)]
struct Kind {
    format: String,
    version: u32,
}

pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.to_owned();
    move |source| RecordError::Io { doing, path, source }
}

#[cfg(test)]
mod tests {
    use pacao_core::{Config, Input};

    use super::*;
    use crate::session::Session;

    fn config() -> Config {
        let text = include_str!("../../../../sessions/two-sites.yaml");
        Session::parse(text, "two-sites.yaml").unwrap().config
    }

    /// Cutting it would cut all that came after it as well.
    #[test]
    fn a_line_that_is_too_long_is_damage_unless_nothing_follows_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.jsonl");
        let at = Timestamp(1_700_000_000_000_000);
        let header = Header::new(config(), at);
        let mut chain = Chain::default();
        let mut bytes = Vec::new();
        let mut seal = |json: String| chain.seal(&json, &mut bytes);
        seal(serde_json::to_string(&header).unwrap());
        let input = Input::NodeDown {
            site: proto::SiteName::new("north").unwrap(),
            why: "x".repeat(100_000),
        };
        let body = Body {
            at,
            input: Some(std::borrow::Cow::Owned(input)),
            ..Body::default()
        };
        seal(serde_json::to_string(&body).unwrap());
        let long = bytes.len();
        std::fs::write(&path, &bytes).unwrap();
        let (mut reader, _) = Reader::open_within(&path, 64 << 10).unwrap();
        let told = reader.next().unwrap_err().to_string();
        assert!(
            told.contains("record.jsonl:2: ") && told.contains("longer than 65536 bytes"),
            "{told}"
        );
        let (mut reader, _) = Reader::open(&path).unwrap();
        assert!(matches!(reader.next().unwrap(), Next::Entry(_)));
        std::fs::write(&path, &bytes[..long - 1]).unwrap();
        let (mut reader, _) = Reader::open(&path).unwrap();
        assert!(matches!(reader.next().unwrap(), Next::Torn(_)));
    }
}

//! The format of a record: JSON lines, each sealed to all lines before it.
//!
//! ```text
//! {"format":"pacao-record","version":1,"engine":"0.1.0","at":T,"config":{...},"sum":"..."}
//! {"at":T,"input":{...},"sum":"..."}          what happened
//! {"at":T,"effects":[...],"sum":"..."}        what was decided upon the input just above, if anything
//! {"at":T,"state":{...},"sum":"..."}          the whole engine, now and then
//! {"at":T,"gap":"why","state":{...},"sum":"..."}   what happened before could not be written; it goes on from here
//! {"at":T,"carried":{...},"state":{...},"sum":"..."}   it goes on here from another record
//! ```
//! Of an entry too large for a line, each line but the last is `{"at":T,"part":"...","sum":"..."}` and the last one
//! `{"at":T,"last":"...","sum":"..."}`: these texts in a row are the JSON of the entry. Without its last line there is none of it.

mod line;
mod pieces;
mod reader;

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use pacao_core::{Config, Effect, Engine, Input};
use proto::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(crate) use line::Chain;
pub(crate) use pieces::PIECE;
pub(crate) use pieces::write as write_entry;
pub use reader::Torn;
pub(crate) use reader::{MAX_LINE, Next, Reader, io_error};

/// The word in the header.
const FORMAT: &str = "pacao-record";

/// Version of the format.
const VERSION: u32 = 1;

/// First line of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    format: String,
    version: u32,
    /// Version of the engine that began it.
    pub engine: String,
    /// When it was begun.
    pub at: Timestamp,
    /// What the engine was told of the fabric.
    pub config: Config,
}

impl Header {
    /// For a record that begins now.
    pub(crate) fn new(config: Config, at: Timestamp) -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            engine: env!("CARGO_PKG_VERSION").into(),
            at,
            config,
        }
    }
}

/// A line after the first.
#[derive(Debug)]
pub(crate) enum Entry {
    Input {
        at: Timestamp,
        input: Input,
    },
    Decisions {
        at: Timestamp,
        effects: Box<RawValue>,
    },
    State {
        at: Timestamp,
        engine: Box<RawValue>,
    },
    Gap {
        at: Timestamp,
        why: String,
        engine: Box<RawValue>,
    },
    Carried {
        at: Timestamp,
        from: Carried,
        engine: Box<RawValue>,
    },
}

/// The record that this one goes on from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// Its file, in the same folder.
    pub record: String,
    /// Seal of its last line.
    pub sum: String,
}

impl Entry {
    pub(crate) fn at(&self) -> Timestamp {
        match self {
            Self::Input { at, .. }
            | Self::Decisions { at, .. }
            | Self::State { at, .. }
            | Self::Gap { at, .. }
            | Self::Carried { at, .. } => *at,
        }
    }
}

/// The same as it stands in the file. One struct for reading, so that effects and states stay text until needed.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body<'a> {
    pub(crate) at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<Cow<'a, Input>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) effects: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gap: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) carried: Option<Carried>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Cow<'a, str>>,
}

/// Decisions as they are written, without a copy of them.
#[derive(Serialize)]
pub(crate) struct Decided<'a> {
    pub(crate) at: Timestamp,
    pub(crate) effects: &'a [&'a Effect],
}

/// A state as it is written, without a copy of it; with a gap or another record before it, if so.
#[derive(Serialize)]
pub(crate) struct Stated<'a> {
    pub(crate) at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gap: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) carried: Option<&'a Carried>,
    pub(crate) state: &'a Engine,
}

impl TryFrom<Body<'_>> for Entry {
    type Error = &'static str;

    fn try_from(body: Body<'_>) -> Result<Self, &'static str> {
        let at = body.at;
        if body.part.is_some() || body.last.is_some() {
            return Err("it is a part of an entry in the place of a whole one");
        }
        match (body.input, body.effects, body.gap, body.carried, body.state) {
            (Some(input), None, None, None, None) => Ok(Self::Input {
                at,
                input: input.into_owned(),
            }),
            (None, Some(effects), None, None, None) => Ok(Self::Decisions { at, effects }),
            (None, None, None, None, Some(engine)) => Ok(Self::State { at, engine }),
            (None, None, Some(why), None, Some(engine)) => Ok(Self::Gap { at, why, engine }),
            (None, None, None, Some(from), Some(engine)) => Ok(Self::Carried { at, from, engine }),
            _ => Err("it is none of input, effects, state, gap and carried"),
        }
    }
}

/// A record that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system refused.
    #[error("cannot {doing} the record {}: {source}", path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// Which record.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another kind of file.
    #[error("{} is not a record of this program: {why}", path.display())]
    NotARecord {
        /// Which file.
        path: PathBuf,
        /// What is wrong with its first line.
        why: String,
    },
    /// A line in the midst of it is not what was written.
    #[error("{}:{line}: the record was changed or damaged here: {why}", path.display())]
    Damaged {
        /// Which record.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// An entry that would make the whole record unreadable. It is not written; the record goes on without it.
    #[error("a line for {} was not written, for it could not be read back: {why}", path.display())]
    Unreadable {
        /// Which record.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The engine's state has no JSON form.
    #[error("the engine's state cannot be written down: {source}")]
    State {
        /// Why.
        source: serde_json::Error,
    },
}

//! Earned autonomy: what the engine may do by itself, for each class of action, by what its record says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::proposal::Criterion;
use crate::{Actor, Mode, SlaName, Timestamp};

/// Actions that are judged together: of one kind, for one cause, for users of one SLA class.
///
/// Written as `switch/rtt/interactive`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActionClass {
    /// What is done.
    pub kind: ActionKind,
    /// Because of what.
    pub cause: Cause,
    /// For whom.
    pub sla: SlaName,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionKind {
    /// A user enters by another locator.
    Switch,
}

impl ActionKind {
    const ALL: [Self; 1] = [Self::Switch];

    const fn word(self) -> &'static str {
        match self {
            Self::Switch => "switch",
        }
    }
}

/// Because of what: the criterion that weighs most, or that nothing comes through at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The entry is down.
    Down,
    /// One of the criteria of (5.1).
    Level(Criterion),
}

impl Cause {
    const LEVELS: [Criterion; 9] = [
        Criterion::Rtt,
        Criterion::Jitter,
        Criterion::Loss,
        Criterion::Unavailability,
        Criterion::Ram,
        Criterion::Cpu,
        Criterion::Capacity,
        Criterion::IsisCost,
        Criterion::Price,
    ];

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Down).chain(Self::LEVELS.into_iter().map(Self::Level))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("down"),
            Self::Level(criterion) => f.write_str(&criterion.word().to_ascii_lowercase().replace(' ', "-")),
        }
    }
}

impl fmt::Display for ActionClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}/{}", self.kind.word(), self.cause, self.sla))
    }
}

/// Not a class of actions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a class of actions: write it as `pacao ctl autonomy` does, such as switch/rtt/interactive"
)]
pub struct ActionClassError {
    text: String,
}

impl FromStr for ActionClass {
    type Err = ActionClassError;

    fn from_str(text: &str) -> Result<Self, ActionClassError> {
        let read = || {
            let mut parts = text.splitn(3, '/');
            let (kind, cause, sla) = (parts.next()?, parts.next()?, parts.next()?);
            Some(Self {
                kind: ActionKind::ALL.into_iter().find(|known| known.word() == kind)?,
                cause: Cause::all().find(|known| known.to_string() == cause)?,
                sla: SlaName::new(sla).ok()?,
            })
        };
        read().ok_or_else(|| ActionClassError {
            text: text.to_owned(),
        })
    }
}

impl TryFrom<String> for ActionClass {
    type Error = ActionClassError;

    fn try_from(text: String) -> Result<Self, ActionClassError> {
        text.parse()
    }
}

impl From<ActionClass> for String {
    fn from(class: ActionClass) -> Self {
        class.to_string()
    }
}

/// Whether the engine may do actions of a class by itself. No standing lifts what `observe`, disarming, a window, a
/// budget, or the mode of a part of the fabric forbids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "standing")]
pub enum Standing {
    /// As the mode has it.
    #[default]
    AsMode,
    /// It earned `auto` where the mode of everything is `recommend`.
    Risen {
        /// When.
        since: Timestamp,
    },
    /// It lost `auto`: staff decide, also where the mode is `auto`.
    Fallen {
        /// When.
        since: Timestamp,
        /// It cannot earn `auto` again before.
        until: Timestamp,
    },
    /// Staff hold it where it is, whatever its record.
    Pinned {
        /// At `recommend` or `auto`.
        mode: Mode,
        /// Who.
        by: Actor,
        /// When.
        since: Timestamp,
    },
}

impl Standing {
    /// One word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::AsMode => "as-mode",
            Self::Risen { .. } => "risen",
            Self::Fallen { .. } => "fallen",
            Self::Pinned { .. } => "pinned",
        }
    }
}

/// A share with the bounds within which it lies, each at 95 % (Wilson's score interval).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounded {
    /// As counted, 0 to 1; old evidence counts less.
    pub share: f64,
    /// At least this.
    pub low: f64,
    /// At most this.
    pub high: f64,
}

/// In percent: `93 % (88 to 96)`.
impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| share * 100.0;
        write!(
            f,
            "{:.0} % ({:.0} to {:.0})",
            percent(self.share),
            percent(self.low),
            percent(self.high)
        )
    }
}

/// The record of one class of actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutonomyRow {
    /// Which.
    pub class: ActionClass,
    /// How it stands.
    pub standing: Standing,
    /// Whether the session lets it rise.
    pub may_rise: bool,
    /// Why it rose or fell, or what it still lacks to rise, in words; empty where staff hold it.
    #[serde(default)]
    pub why: String,
    /// What staff said to what the engine would have done, of the records kept.
    pub words: Words,
    /// What reality said.
    pub outcomes: Outcomes,
    /// Share of its proposals that staff agreed with; `None` without any word of theirs.
    pub agreement: Option<Bounded>,
    /// Share of its decisions that were wrong in hindsight; `None` while none was judged.
    pub regret: Option<Bounded>,
    /// How often it has fallen since it was last forgiven.
    pub falls: u32,
    /// Should its decisions turn wrong from now on, it falls after this many at the latest.
    pub falls_within: u32,
}

/// What staff said to proposals of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// Approved, or done by hand.
    pub approved: u32,
    /// Rejected.
    pub rejected: u32,
    /// Staff chose another entry, or took the engine's own choice back.
    pub other: u32,
    /// Nobody said anything in time.
    pub lapsed: u32,
}

/// What became of decisions of a class, taken or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// The entry chosen kept what was foretold.
    pub held: u32,
    /// It did not.
    pub broke: u32,
    /// Another entry, mostly the one before, would have been better.
    pub regretted: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_reads_back_as_it_is_written() {
        for cause in Cause::all() {
            let class = ActionClass {
                kind: ActionKind::Switch,
                cause,
                sla: SlaName::new("interactive").unwrap(),
            };
            assert_eq!(class.to_string().parse(), Ok(class.clone()), "{class}");
        }
        for wrong in [
            "",
            "switch",
            "switch/rtt",
            "move/rtt/voice",
            "switch/manual/voice",
            "switch/rtt/ ",
        ] {
            assert!(wrong.parse::<ActionClass>().is_err(), "{wrong}");
        }
    }
}

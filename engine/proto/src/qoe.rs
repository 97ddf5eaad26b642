//! What users say of a session once it is over (thesis section 3.4), and what the engine learns from it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::proposal::Criterion;
use crate::{SlaName, Span, Timestamp, UserName, VmName};

/// A user's word on a session: 1 bad, 2 poor, 3 fair, 4 good, 5 excellent (ITU-T P.800).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Score(u8);

/// Not a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no score: give 1 (bad) to 5 (excellent)")]
pub struct ScoreError(u8);

impl Score {
    /// A checked score.
    ///
    /// # Errors
    /// Unless it lies in 1 to 5.
    pub const fn new(score: u8) -> Result<Self, ScoreError> {
        match score {
            1..=5 => Ok(Self(score)),
            _ => Err(ScoreError(score)),
        }
    }

    /// Its number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Good or excellent.
    pub const fn is_content(self) -> bool {
        self.0 >= 4
    }

    /// Poor or bad.
    pub const fn is_discontent(self) -> bool {
        self.0 <= 2
    }
}

impl TryFrom<u8> for Score {
    type Error = ScoreError;
    fn try_from(score: u8) -> Result<Self, ScoreError> {
        Self::new(score)
    }
}

impl From<Score> for u8 {
    fn from(score: Score) -> Self {
        score.0
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A session that is scored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose.
    pub user: UserName,
    /// With which of the user's VMs; the only one, or the first, by default.
    pub vm: Option<VmName>,
    /// When it ended; now by default.
    pub ended_at: Option<Timestamp>,
    /// How long it was; five minutes by default.
    pub lasted: Option<Span>,
}

/// How often something was so, with an interval that holds the true share with 95 % (Wilson's).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareRow {
    /// Weight of the scores that it was so of, thousandths of a score.
    pub so: u32,
    /// Weight of all of them, thousandths of a score.
    pub of: u32,
    /// Least true share, parts per million.
    pub least: u32,
    /// Largest true share, parts per million.
    pub most: u32,
}

/// Where scores turn from content to discontent, in the integers of the criterion: microseconds or parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Users are content up to here.
    pub at: u32,
    /// It lies above this with 97.5 %.
    pub least: u32,
    /// It lies below this with 97.5 %.
    pub most: u32,
}

/// What scores say of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "finding")]
pub enum Finding {
    /// Too few scores, or too few users, or only of one kind.
    NotEnough {
        /// What there is.
        have: u32,
        /// What it takes.
        need: u32,
        /// Of what.
        lack: Lack,
    },
    /// Scores do not follow this criterion: something else decides.
    NoRelation,
    /// Users turn discontent about where the bound is.
    Agrees {
        /// Where.
        turn: Turn,
    },
    /// Users are content beyond the bound.
    TooStrict {
        /// Where they turn.
        turn: Turn,
    },
    /// Users are discontent within the bound.
    TooLoose {
        /// Where they turn.
        turn: Turn,
    },
}

/// What evidence is short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lack {
    /// Scores, each user's counted up to the cap.
    Scores,
    /// Different users.
    Users,
    /// Scores of 4 and 5.
    Content,
    /// Scores of 1 and 2.
    Discontent,
}

impl Lack {
    /// As people read it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scores => "scores",
            Self::Users => "users",
            Self::Content => "good scores",
            Self::Discontent => "bad scores",
        }
    }
}

/// One criterion of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriterionRow {
    /// Which.
    pub criterion: Criterion,
    /// The class's bound, microseconds or parts per million.
    pub bound: u32,
    /// What scores say of it, sessions in which other bounds were broken left out.
    pub finding: Finding,
}

/// One SLA class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassRow {
    /// Which.
    pub sla: SlaName,
    /// Scores kept.
    pub scores: u32,
    /// Those of which no figures are known.
    pub unjoined: u32,
    /// Bad scores among sessions whose bounds were all kept.
    pub low_while_kept: ShareRow,
    /// Good scores among sessions in which one was broken.
    pub high_while_broken: ShareRow,
    /// RTT, jitter, loss.
    pub criteria: Vec<CriterionRow>,
}

/// What has been learnt. The engine shows it and does nothing about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QoeReport {
    /// By name; those without a score are left out.
    pub classes: Vec<ClassRow>,
}

impl CriterionRow {
    /// In a line: what users bear, and what the bound is.
    pub fn text(&self) -> String {
        let unit = self.criterion.unit();
        let scale = if self.criterion == Criterion::Loss {
            1e4
        } else {
            1e3
        };
        let shown = |figure: u32| shown(f64::from(figure) / scale);
        let bound = shown(self.bound);
        let turn = |turn: &Turn| {
            format!(
                "users are content up to {} {} {unit} (95 %: {}..{}), bound is {bound}",
                self.criterion.word(),
                shown(turn.at),
                shown(turn.least),
                shown(turn.most),
            )
        };
        match &self.finding {
            Finding::NotEnough { have, need, lack } => {
                format!(
                    "{}: not enough yet: {have} of {need} {}",
                    self.criterion.word(),
                    lack.word()
                )
            }
            Finding::NoRelation => format!("{}: scores do not follow it", self.criterion.word()),
            Finding::Agrees { turn: at } => format!("{}: the bound fits", turn(at)),
            Finding::TooStrict { turn: at } => format!("{}: stricter than users are", turn(at)),
            Finding::TooLoose { turn: at } => format!("{}: looser than users are", turn(at)),
        }
    }
}

/// Three figures, without zeros at the end.
fn shown(figure: f64) -> String {
    let decimals = match figure {
        figure if figure >= 100.0 => 0,
        figure if figure >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{figure:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

//! The knobs of policy: hold, damping, budgets, rules, windows and modes. Names and defaults are those operators know
//! from the session file (`policy:`). Checked by the session reader; here they are taken as true.

use std::collections::{BTreeMap, BTreeSet};

use proto::policy::Scope;
use proto::{Mode, SiteName, Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::Autonomy;
use super::select::Selector;

/// Everything beyond [`super::Policy`] that keeps moves few, small and wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Calm {
    /// A level must be broken for this many slots S' before anything is proposed; a dead entry does not wait.
    pub hold: u32,
    /// How the cool-down grows when moves follow each other.
    pub backoff: Backoff,
    /// Flap damping.
    pub damp: Damp,
    /// What may be moved at once and within an hour, over all users.
    pub budget: Budget,
    /// The same for parts of the users, beside [`Self::budget`]: every one that matches must have room.
    pub budgets: Vec<ScopedBudget>,
    /// Data centres that fail together. One that is named in none is a domain of its own.
    pub domains: BTreeMap<String, BTreeSet<SiteName>>,
    /// Modes of parts of the fabric; the most specific wins over [`super::Config::mode`].
    pub modes: Vec<ModeAt>,
    /// Where who may or must go.
    pub rules: Vec<Rule>,
    /// When nothing may be moved, or only then.
    pub windows: Vec<Window>,
    /// What the engine may earn to do by itself.
    pub autonomy: Autonomy,
}

impl Default for Calm {
    fn default() -> Self {
        Self {
            hold: 1,
            backoff: Backoff::default(),
            damp: Damp::default(),
            budget: Budget::default(),
            budgets: Vec::new(),
            domains: BTreeMap::new(),
            modes: Vec::new(),
            rules: Vec::new(),
            windows: Vec::new(),
            autonomy: Autonomy::default(),
        }
    }
}

/// Exponential back-off of the cool-down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backoff {
    /// A move that follows soon multiplies the cool-down by this; 1 keeps it.
    pub factor: u32,
    /// It never grows past this.
    pub max: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            factor: 2,
            max: Span::secs(8 * 3600),
        }
    }
}

/// Flap damping as RFC 2439 has it: a penalty a flap, halved every half-life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Damp {
    /// The penalty is halved within this long.
    pub half_life: Span,
    /// Added by every flap.
    pub penalty: u32,
    /// Above this it is suppressed.
    pub suppress: u32,
    /// At or below this it is let go.
    pub reuse: u32,
    /// It is suppressed at most this long after the last flap.
    pub max: Span,
}

impl Default for Damp {
    fn default() -> Self {
        Self {
            half_life: Span::secs(300),
            penalty: 1000,
            suppress: 3000,
            reuse: 750,
            max: Span::secs(3600),
        }
    }
}

/// How much may be moved. Every limit is hard: for the engine, for proposals approved, and for switches by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Moves under way at once.
    pub concurrent: u32,
    /// Moves begun in any 60 minutes.
    pub per_hour: u32,
    /// Moves under way at once out of one data centre.
    pub per_dc: u32,
    /// Users (by [`super::User::size`]) whose move began in any 60 minutes.
    pub users_per_hour: u64,
    /// Users times the seconds for which their move was under way, in any 60 minutes.
    pub users_seconds: u64,
    /// How many failure domains the moves under way may lead into.
    pub domains: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            concurrent: 2,
            per_hour: 12,
            per_dc: 1,
            users_per_hour: 10_000,
            users_seconds: 600,
            domains: 1,
        }
    }
}

impl Budget {
    /// No limit that is ever reached.
    pub const UNLIMITED: Self = Self {
        concurrent: u32::MAX,
        per_hour: u32::MAX,
        per_dc: u32::MAX,
        users_per_hour: u64::MAX,
        users_seconds: u64::MAX / 1_000_000,
        domains: u32::MAX,
    };
}

/// A budget of a part of the users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScopedBudget {
    /// For people.
    pub name: String,
    /// Whose moves count.
    pub who: Selector,
    /// The limits.
    pub budget: Budget,
}

/// The mode of a part of the fabric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModeAt {
    /// Which part.
    pub scope: Scope,
    /// Its mode.
    pub mode: Mode,
}

/// A rule of placement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// For people; unique.
    pub name: String,
    /// What it says.
    pub kind: RuleKind,
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "rule")]
pub enum RuleKind {
    /// These enter by one of `sites` and by no other.
    Pin {
        /// Whom it binds.
        who: Selector,
        /// Where they may be.
        sites: BTreeSet<SiteName>,
    },
    /// These never enter by any of `sites`.
    Exclude {
        /// Whom it binds.
        who: Selector,
        /// Where they may not be.
        sites: BTreeSet<SiteName>,
    },
    /// All entries of one user among these are by the same data centre.
    Affinity {
        /// Whom it binds.
        who: Selector,
    },
    /// No two entries of one user among these are by the same data centre.
    AntiAffinity {
        /// Whom it binds.
        who: Selector,
    },
    /// At most so many users (by size) enter by each of `sites`.
    Capacity {
        /// Which data centres, each by itself.
        sites: BTreeSet<SiteName>,
        /// How many users.
        users: u64,
    },
    /// Nobody is to enter by these; who does is moved off.
    Drain {
        /// Which data centres.
        sites: BTreeSet<SiteName>,
    },
}

/// A time at which moves are denied, or outside which they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// For people; unique.
    pub name: String,
    /// Deny wins over allow. Whoever an allow window is for may be moved in allow windows only.
    pub kind: WindowKind,
    /// Whom it is for; `None` is everyone.
    pub who: Option<Selector>,
    /// Whose clock it goes by.
    pub zone: Zone,
    /// When.
    pub when: When,
    /// What becomes of those whose entry is down meanwhile.
    pub on_failure: OnFailure,
}

/// What a window does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowKind {
    /// Nothing is moved in it.
    Deny,
    /// Things are moved in it only.
    Allow,
}

/// What becomes of those whose entry is down while moves are denied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// They are moved away: a freeze is about changes, not about repairs.
    #[default]
    Move,
    /// They stay too.
    Hold,
}

/// When, by the wall clock of the window's zone. An hour that comes twice or never is read so that less is moved:
/// a deny begins at the first reading and ends at the last, an allow the other way round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "when")]
pub enum When {
    /// Every week.
    Weekly {
        /// Days it begins on, 0 = Monday to 6 = Sunday.
        days: BTreeSet<u8>,
        /// Begins so many seconds after midnight.
        from: u32,
        /// Ends so many seconds after midnight; if not after `from`, on the next day.
        to: u32,
    },
    /// Once.
    Once {
        /// Begins then: seconds since 1970-01-01 00:00 on the wall clock.
        from: i64,
        /// Ends then, exclusive.
        to: i64,
    },
}

/// A time zone as a table, so that a record replays alike whatever the zone files of the machine say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// As the IANA database calls it, such as `Europe/Paris`.
    pub name: String,
    /// In the order of time; before the first, its offset counts too. Empty is UTC.
    pub shifts: Vec<Shift>,
}

/// From then on, the wall clock is so far ahead of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// The moment.
    pub from: Timestamp,
    /// Seconds east of UTC.
    pub offset: i32,
}

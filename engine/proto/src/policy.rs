//! What policy allows, as staff set it and as consoles show it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Actor, AutonomyRow, Mode, SiteName, Span, TenantName, Timestamp, UserName, VmName};

/// A part of the fabric, from the widest to the narrowest: of two that fit, the later one wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "scope")]
pub enum Scope {
    /// Everything.
    All,
    /// Whoever enters, or is to enter, by this data centre.
    Dc {
        /// Which.
        dc: SiteName,
    },
    /// Users and VMs of this tenant.
    Tenant {
        /// Whose.
        tenant: TenantName,
    },
    /// Entries to this VM.
    Vm {
        /// Which.
        vm: VmName,
    },
    /// Entries of this user.
    User {
        /// Who.
        user: UserName,
    },
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Dc { dc } => write!(f, "data centre {dc}"),
            Self::Tenant { tenant } => write!(f, "tenant {tenant}"),
            Self::Vm { vm } => write!(f, "VM {vm}"),
            Self::User { user } => write!(f, "user {user}"),
        }
    }
}

/// What a disarmed engine still does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disarmed {
    /// Nothing moves, whoever asks.
    Freeze,
    /// The engine moves nothing by itself; hands may.
    Ignore,
}

impl fmt::Display for Disarmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Freeze => "freeze",
            Self::Ignore => "ignore",
        })
    }
}

/// Whether the engine may move anything at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "arming")]
pub enum Arming {
    /// As modes and policy have it.
    #[default]
    Armed,
    /// Until somebody arms it again; over restarts.
    Disarmed {
        /// How far.
        how: Disarmed,
        /// Who did it.
        by: Actor,
        /// When.
        since: Timestamp,
    },
}

/// What damping keeps a penalty for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "of")]
pub enum FlapKey {
    /// A user's entry to a VM, whichever way it goes: a flap a move.
    Entry {
        /// The user.
        user: UserName,
        /// The VM.
        vm: VmName,
    },
    /// A locator as one user reaches it: a flap whenever the link breaks or goes down.
    Locator {
        /// The user.
        user: UserName,
        /// Whose locator.
        dc: SiteName,
    },
}

impl fmt::Display for FlapKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry { user, vm } => write!(f, "{user}/{vm}"),
            Self::Locator { user, dc } => write!(f, "{user} by {dc}"),
        }
    }
}

/// Why the executor does not move somebody now, although there is somewhere better to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "gate")]
pub enum Hold {
    /// The record cannot be written.
    Unrecorded,
    /// The engine is disarmed.
    Disarmed {
        /// How far.
        how: Disarmed,
    },
    /// The mode there does not let the engine act.
    Mode {
        /// The mode.
        mode: Mode,
        /// The scope it is set for.
        scope: Scope,
    },
    /// The engine took up a short while ago.
    Warming {
        /// When it may act by itself.
        until: Timestamp,
    },
    /// Another entry of the same user is being moved.
    InFlight {
        /// Who.
        user: UserName,
    },
    /// A rule forbids it.
    Rule {
        /// The rule's name.
        rule: String,
        /// What it says to this.
        why: String,
    },
    /// A window forbids it.
    Window {
        /// The window's name.
        window: String,
        /// When that ends; `None`: never.
        until: Option<Timestamp>,
    },
    /// It flapped too often.
    Damped {
        /// What is suppressed.
        key: FlapKey,
        /// When it is let go if nothing flaps until then.
        until: Timestamp,
    },
    /// It was moved lately.
    CoolDown {
        /// Who.
        user: UserName,
        /// Until when it cools down.
        until: Timestamp,
    },
    /// A budget has no room.
    Budget {
        /// `all`, or the budget's name.
        budget: String,
        /// Which of its limits.
        limit: Limit,
        /// How full it is.
        gauge: Gauge,
        /// When there may be room again; `None`: once a move under way has ended.
        until: Option<Timestamp>,
    },
}

impl Hold {
    /// One word for the gate.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unrecorded => "unrecorded",
            Self::Disarmed { .. } => "disarmed",
            Self::Mode { .. } => "mode",
            Self::Warming { .. } => "warming",
            Self::InFlight { .. } => "in-flight",
            Self::Rule { .. } => "rule",
            Self::Window { .. } => "window",
            Self::Damped { .. } => "damped",
            Self::CoolDown { .. } => "cool-down",
            Self::Budget { .. } => "budget",
        }
    }

    /// What would open the gate, besides waiting for [`Self::until`].
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Unrecorded => "mend what keeps the record from being written: the log says it",
            Self::Disarmed { .. } => "arm the engine first",
            Self::Mode { .. } => "set the mode there to recommend, or to auto for moves without hands",
            Self::InFlight { .. } => "wait for that move to end",
            Self::Rule { .. } | Self::Window { .. } | Self::Budget { .. } => {
                "break the glass, with a reason, to do it all the same"
            }
            Self::Damped { .. } => "forgive its flaps, or wait",
            Self::Warming { .. } | Self::CoolDown { .. } => "move it by hand, or wait",
        }
    }

    /// When the gate opens by itself, if time alone opens it.
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Warming { until } | Self::Damped { until, .. } | Self::CoolDown { until, .. } => {
                Some(*until)
            }
            Self::Window { until, .. } | Self::Budget { until, .. } => *until,
            Self::Unrecorded
            | Self::Disarmed { .. }
            | Self::Mode { .. }
            | Self::InFlight { .. }
            | Self::Rule { .. } => None,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrecorded => f.write_str("the record cannot be written: nothing moves until it can"),
            Self::Disarmed {
                how: Disarmed::Freeze,
            } => f.write_str("the engine is disarmed (freeze): nothing moves until it is armed"),
            Self::Disarmed {
                how: Disarmed::Ignore,
            } => f.write_str("the engine is disarmed (ignore): it moves nothing by itself until it is armed"),
            Self::Mode { mode, scope } => write!(f, "the mode of {scope} is {mode}"),
            Self::Warming { .. } => f.write_str("the engine took up less than a window ago"),
            Self::InFlight { user } => write!(f, "another entry of {user} is being moved"),
            Self::Rule { rule, why } => write!(f, "rule '{rule}': {why}"),
            Self::Window { window, .. } => write!(f, "window '{window}' lets nothing move now"),
            Self::Damped { key, .. } => write!(f, "{key} flapped too often and is suppressed"),
            Self::CoolDown { user, .. } => write!(f, "{user} was moved lately and cools down"),
            Self::Budget {
                budget, limit, gauge, ..
            } => write!(
                f,
                "budget '{budget}' has no room: {} of {} {}",
                gauge.used,
                gauge.limit,
                limit.word()
            ),
        }
    }
}

/// One limit of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Moves under way.
    Concurrent,
    /// Moves under way out of one data centre.
    PerDc,
    /// Failure domains that moves under way lead into.
    Domains,
    /// Moves begun in an hour.
    PerHour,
    /// Users whose move began in an hour.
    UsersPerHour,
    /// Users times seconds under way in an hour.
    UsersSeconds,
}

impl Limit {
    /// What is counted, in words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Concurrent => "moves under way",
            Self::PerDc => "moves under way out of one data centre",
            Self::Domains => "failure domains at a time",
            Self::PerHour => "moves an hour",
            Self::UsersPerHour => "users an hour",
            Self::UsersSeconds => "users x seconds an hour",
        }
    }
}

/// All of policy that changes while the engine runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyRow {
    /// Whether the engine may move anything.
    pub arming: Arming,
    /// Modes of parts of the fabric, the widest first; the global one stands in the snapshot itself.
    pub modes: Vec<ModeRow>,
    /// How much of each budget is used; the first is the one of everybody.
    pub budgets: Vec<BudgetRow>,
    /// The flap ledger: the largest penalties first, at most a hundred.
    pub flaps: Vec<FlapRow>,
    /// How their penalties grow and fall.
    pub damping: Damping,
    /// Data centres being emptied.
    pub drains: Vec<DrainRow>,
    /// Freeze and maintenance windows.
    pub windows: Vec<WindowRow>,
    /// Records of classes of actions, by name.
    pub autonomy: Vec<AutonomyRow>,
}

/// The mode of a part of the fabric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeRow {
    /// Which part.
    pub scope: Scope,
    /// Its mode.
    pub mode: Mode,
    /// Who said so.
    pub source: Source,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The session file.
    Session,
    /// A command, while the engine ran.
    Runtime,
}

/// One limit and how much of it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    /// Used now.
    pub used: u64,
    /// Never more than this.
    pub limit: u64,
}

/// One budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// `all`, or the name the session gives it.
    pub name: String,
    /// Moves under way.
    pub concurrent: Gauge,
    /// Moves begun in the last hour.
    pub per_hour: Gauge,
    /// Users whose move began in the last hour.
    pub users_per_hour: Gauge,
    /// Users times seconds of moves in the last hour; what is under way counts in full.
    pub users_seconds: Gauge,
}

/// Flap damping after RFC 2439, as the session sets it. Penalties are in points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Damping {
    /// Added by every flap.
    pub penalty: u32,
    /// A penalty halves within this long.
    pub half_life: Span,
    /// Above this a thing is suppressed.
    pub suppress: u32,
    /// At or below this it is let go.
    pub reuse: u32,
}

impl PolicyRow {
    /// What empties a data centre: the session, staff, both or none.
    pub fn drains_of(&self, dc: &SiteName) -> impl Iterator<Item = &DrainRow> {
        self.drains.iter().filter(move |row| row.dc == *dc)
    }
}

impl FlapRow {
    /// The penalty at `now`, in points.
    pub fn penalty_at(&self, damping: &Damping, now: Timestamp) -> f64 {
        let half_life = damping.half_life.micros();
        if half_life == 0 {
            return self.penalty;
        }
        self.penalty * (-(now.since(self.at).micros() as f64) / half_life as f64).exp2()
    }
}

/// One line of the flap ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlapRow {
    /// Of what.
    pub key: FlapKey,
    /// The penalty at `at`; it halves every half-life from there.
    pub penalty: f64,
    /// When that was so.
    pub at: Timestamp,
    /// Flaps counted since the penalty was last nothing.
    pub flaps: u32,
    /// When it is let go if nothing flaps until then; `None` if it is not suppressed.
    pub release_at: Option<Timestamp>,
}

/// A data centre being emptied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainRow {
    /// Which.
    pub dc: SiteName,
    /// Who asked for it; `None` is the session. A data centre that both empty has a row of each.
    pub by: Option<Actor>,
    /// The session's rule, by name.
    #[serde(default)]
    pub rule: Option<String>,
    /// Entries still by it.
    pub left: u32,
}

/// A window in which moves are denied, or only allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowRow {
    /// Its name.
    pub name: String,
    /// Whether it denies; else it allows.
    pub denies: bool,
    /// Whether it is on.
    pub on: bool,
    /// When that changes; `None`: never again.
    pub changes_at: Option<Timestamp>,
}

//! How long things could be reached, and what that is worth under a contract.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{SiteName, SlaName, Span, Timestamp, UserName, VmName};

/// A share of time, in parts per billion: seven nines (thesis Table 2.1) are 999,999,900.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Availability(u32);

impl Availability {
    /// All of the time.
    pub const ALL: Self = Self(Self::WHOLE);
    const WHOLE: u32 = 1_000_000_000;

    /// From percent, to the nearest part per billion; `None` unless it lies in 0 to 100.
    pub fn from_percent(percent: f64) -> Option<Self> {
        (0.0..=100.0)
            .contains(&percent)
            .then(|| Self((percent * 1e7).round() as u32))
    }

    /// `part` of `whole`, rounded down, so that a moment of downtime never shows as all; `None` of nothing.
    pub fn of(part: Span, whole: Span) -> Option<Self> {
        let parts = u128::from(part.micros()) * u128::from(Self::WHOLE);
        let share = parts.checked_div(u128::from(whole.micros()))?;
        u32::try_from(share)
            .ok()
            .map(|share| Self(share.min(Self::WHOLE)))
    }

    /// Parts per billion.
    pub const fn ppb(self) -> u32 {
        self.0
    }

    /// The downtime it allows in so much time, rounded down.
    pub fn allows(self, whole: Span) -> Span {
        let spare = u128::from(Self::WHOLE - self.0.min(Self::WHOLE));
        let micros = u128::from(whole.micros()) * spare / u128::from(Self::WHOLE);
        Span(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Availability {
    /// Percent, with as many decimals as it takes: `99.99%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 10_000_000, self.0 % 10_000_000);
        let part = format!("{part:07}");
        let part = part.trim_end_matches('0');
        let text = if part.is_empty() {
            format!("{whole}%")
        } else {
            format!("{whole}.{part}%")
        };
        f.pad(&text)
    }
}

/// Whose time is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "of")]
pub enum Subject {
    /// A VM, as those who use it reach it.
    Vm {
        /// Which.
        vm: VmName,
    },
    /// A data centre's locator, whoever enters by it.
    Locator {
        /// Whose.
        dc: SiteName,
    },
    /// One user's way to one VM.
    Entry {
        /// The user.
        user: UserName,
        /// The VM.
        vm: VmName,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm { vm } => write!(f, "VM {vm}"),
            Self::Locator { dc } => write!(f, "locator {dc}"),
            Self::Entry { user, vm } => write!(f, "{user}/{vm}"),
        }
    }
}

/// Whether something can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Nobody knows: no fresh word on it, or no engine ran.
    #[default]
    Unknown,
    /// Probes are answered.
    Up,
    /// Probes go unanswered.
    Down,
}

impl Reach {
    /// The mark that carries the meaning without colour.
    pub const fn mark(self) -> char {
        match self {
            Self::Unknown => '?',
            Self::Up => 'o',
            Self::Down => 'x',
        }
    }

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A stretch of time that availability is told over. Calendars are those of UTC, weeks begin on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Horizon {
    /// The last seven days, begun at a full hour.
    RollingWeek,
    /// The last 365 days, begun at a full day.
    RollingYear,
    /// This calendar week.
    Week,
    /// This calendar month.
    Month,
    /// This calendar year.
    Year,
}

impl Horizon {
    /// All of them, as they are told.
    pub const ALL: [Self; 5] = [
        Self::RollingWeek,
        Self::RollingYear,
        Self::Week,
        Self::Month,
        Self::Year,
    ];

    /// As people read it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::RollingWeek => "7d",
            Self::RollingYear => "365d",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// The time of one horizon, by what it was. What is neither down nor unknown was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Over what.
    pub horizon: Horizon,
    /// When that began.
    pub from: Timestamp,
    /// All of it: a week, 365 days, or the calendar's.
    pub length: Span,
    /// What of it has been counted until now.
    pub counted: Span,
    /// Down.
    pub down: Span,
    /// Neither known to be up nor to be down.
    pub unknown: Span,
    /// Times it went down.
    pub outages: u32,
}

/// The best class of Table 2.1: a week with more than 0.06 s of downtime does not keep it.
pub const MOST_NINES: u8 = 7;

impl Tally {
    /// Known to be up.
    pub const fn up(&self) -> Span {
        Span(
            self.counted
                .0
                .saturating_sub(self.down.0)
                .saturating_sub(self.unknown.0),
        )
    }

    /// Up as a share of what is known; `None` if nothing is.
    pub fn availability(&self) -> Option<Availability> {
        let up = self.up();
        Availability::of(up, Span(up.0.saturating_add(self.down.0)))
    }

    /// The availability of the whole horizon if nothing more went wrong: what contracts go by.
    pub fn at_best(&self) -> Availability {
        Availability::of(Span(self.length.0.saturating_sub(self.down.0)), self.length)
            .unwrap_or(Availability::ALL)
    }

    /// The class of Table 2.1 that the downtime so far still fits in: 2 is two nines, at most [`MOST_NINES`].
    pub fn nines(&self) -> u8 {
        (1..=MOST_NINES)
            .rev()
            .find(|&nines| self.down <= allowed(nines, self.length))
            .unwrap_or(0)
    }

    /// Downtime that `target` still allows in this horizon, microseconds; negative once it is spent.
    pub fn budget_left(&self, target: Availability) -> i64 {
        let allowed = i64::try_from(target.allows(self.length).0).unwrap_or(i64::MAX);
        allowed.saturating_sub(i64::try_from(self.down.0).unwrap_or(i64::MAX))
    }
}

/// The downtime that so many nines allow in so much time (Table 2.1).
pub fn allowed(nines: u8, whole: Span) -> Span {
    Span(whole.0 / 10_u64.pow(u32::from(nines.min(18))))
}

/// What was agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractRow {
    /// The SLA class.
    pub sla: SlaName,
    /// The least availability.
    pub target: Availability,
    /// In each of these.
    pub per: Horizon,
}

/// What broken contracts cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Of what: points, or a currency.
    pub unit: String,
    /// For the periods that run, as they stand.
    pub running: u64,
    /// For all that have ended.
    pub ended: u64,
}

/// A contract's period that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
    /// Down in it.
    pub down: Span,
    /// Neither known to be up nor to be down.
    pub unknown: Span,
    /// What it cost.
    pub amount: u64,
}

/// The account of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvailabilityRow {
    /// Whose.
    pub subject: Subject,
    /// How it stood at `at`.
    pub state: Reach,
    /// Since when.
    pub since: Timestamp,
    /// Up to when it is counted: a little behind the present, since that a probe is lost is known late.
    pub at: Timestamp,
    /// From when it is counted.
    pub counted_from: Timestamp,
    /// One for each of [`Horizon::ALL`].
    pub tallies: Vec<Tally>,
    /// The contract; of a VM the strictest of its users'.
    pub contract: Option<ContractRow>,
    /// Penalties, by unit; of a VM those of its users together.
    pub owed: Vec<Owed>,
    /// The contract's last periods, oldest first.
    pub periods: Vec<Period>,
}

impl AvailabilityRow {
    /// The tally of one horizon.
    pub fn tally(&self, horizon: Horizon) -> Option<&Tally> {
        self.tallies.iter().find(|tally| tally.horizon == horizon)
    }

    /// Downtime that the contract still allows in its running period, microseconds.
    pub fn budget_left(&self) -> Option<i64> {
        let contract = self.contract.as_ref()?;
        Some(self.tally(contract.per)?.budget_left(contract.target))
    }
}

/// All that is told of availability.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AvailabilityReport {
    /// VMs, locators, and the worst of users' entries.
    pub rows: Vec<AvailabilityRow>,
    /// Entries that are left out.
    pub left_out: u64,
}

impl AvailabilityReport {
    /// Puts a row in the place of the one of the same subject.
    pub fn put(&mut self, row: AvailabilityRow) {
        match self.rows.iter_mut().find(|old| old.subject == row.subject) {
            Some(old) => *old = row,
            None => self.rows.push(row),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: Span = Span::secs(7 * 86_400);
    const YEAR: Span = Span::secs(365 * 86_400);

    #[test]
    fn the_classes_are_those_of_table_2_1() {
        // Days, hours, minutes and seconds of the table, in seconds, and how far its figures are rounded.
        let table = [
            (2, 3.65 * 86_400.0, 1.68 * 3600.0),
            (3, 8.76 * 3600.0, 10.1 * 60.0),
            (4, 52.56 * 60.0, 1.01 * 60.0),
            (5, 5.26 * 60.0, 6.05),
            (6, 31.5, 0.605),
            (7, 3.15, 0.0605),
        ];
        for (nines, year, week) in table {
            for (got, want) in [(allowed(nines, YEAR), year), (allowed(nines, WEEK), week)] {
                assert!(
                    (got.as_secs_f64() / want - 1.0).abs() < 0.005,
                    "{nines} nines: {got} for {want} s"
                );
            }
        }
    }

    fn tally(length: Span, down: Span) -> Tally {
        Tally {
            horizon: Horizon::RollingWeek,
            from: Timestamp(0),
            length,
            counted: length,
            down,
            unknown: Span::ZERO,
            outages: 1,
        }
    }

    #[test]
    fn a_class_is_kept_to_its_last_microsecond() {
        for nines in 1..=MOST_NINES {
            let most = allowed(nines, WEEK);
            assert_eq!(tally(WEEK, most).nines(), nines);
            assert_eq!(tally(WEEK, Span(most.0 + 1)).nines(), nines - 1);
        }
        assert_eq!(tally(WEEK, Span::ZERO).nines(), MOST_NINES);
    }

    #[test]
    fn any_downtime_shows_and_none_shows_as_all() {
        assert_eq!(tally(YEAR, Span::ZERO).availability(), Some(Availability::ALL));
        assert_ne!(tally(YEAR, Span(1)).availability(), Some(Availability::ALL));
        let unknown = Tally {
            unknown: WEEK,
            ..tally(WEEK, Span::ZERO)
        };
        assert_eq!(unknown.availability(), None);
    }

    #[test]
    fn percent_is_read_and_written_to_the_ninth_nine() {
        for text in ["99.99%", "99.9999999%", "0%", "100%", "99.671%", "0.0000001%"] {
            let percent: f64 = text.trim_end_matches('%').parse().unwrap();
            assert_eq!(Availability::from_percent(percent).unwrap().to_string(), text);
        }
        assert_eq!(Availability::from_percent(100.1), None);
        assert_eq!(Availability::from_percent(f64::NAN), None);
    }

    #[test]
    fn a_spent_budget_is_negative() {
        let target = Availability::from_percent(99.99).unwrap();
        assert_eq!(target.allows(WEEK), Span(60_480_000));
        assert_eq!(tally(WEEK, Span::secs(60)).budget_left(target), 480_000);
        assert_eq!(tally(WEEK, Span::secs(61)).budget_left(target), -520_000);
    }
}

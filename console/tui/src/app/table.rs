//! The links table: which rows, in which order, and where the cursor is.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use proto::{LinkId, LinkRow, LinkState, Span, Timestamp};
use regex::{Regex, RegexBuilder};

use super::world::{Link, World};

/// Rows keep their place for this long after the operator's last key.
const HOLD: Span = Span::secs(30);

/// State of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) sort: Sort,
    pub(crate) direction: Direction,
    pub(crate) filter: Filter,
    /// Rows as they stand.
    pub(crate) order: Vec<LinkId>,
    /// The row under the cursor. `None` until the operator moves it: then the top row counts, which is the gravest.
    cursor: Option<LinkId>,
    /// The operator's last key.
    pub(crate) touched: Option<Timestamp>,
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Links in trouble that carry traffic first, then those in trouble, then those that carry.
    #[default]
    Gravity,
    User,
    Via,
    Rtt,
    P95,
    Jitter,
    Loss,
    Margin,
}

impl Sort {
    pub(crate) const ALL: [Self; 8] = [
        Self::Gravity,
        Self::User,
        Self::Via,
        Self::Rtt,
        Self::P95,
        Self::Jitter,
        Self::Loss,
        Self::Margin,
    ];

    pub(crate) fn next(self) -> Self {
        let at = Self::ALL
            .iter()
            .position(|sort| *sort == self)
            .map_or(0, |at| at + 1);
        Self::ALL.get(at).copied().unwrap_or_default()
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Gravity => "gravity",
            Self::User => "user",
            Self::Via => "via",
            Self::Rtt => "RTT",
            Self::P95 => "p95",
            Self::Jitter => "jitter",
            Self::Loss => "loss",
            Self::Margin => "SLA margin",
        }
    }
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Worst, highest, or A first, as the column has it.
    #[default]
    Natural,
    Reversed,
}

impl Direction {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Natural => Self::Reversed,
            Self::Reversed => Self::Natural,
        }
    }
}

/// What rows are shown.
#[derive(Clone, Debug, Default)]
pub(crate) enum Filter {
    #[default]
    All,
    Matching {
        text: String,
        regex: Regex,
        sense: Sense,
    },
    /// The pattern cannot be read: all rows are shown, and the trouble is named.
    Bad { text: String, why: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sense {
    Shown,
    Hidden,
}

impl Filter {
    /// Reads what was typed after `/`: a regular expression, case does not matter; after `!` it hides what it matches.
    pub(crate) fn parse(text: &str) -> Self {
        let (sense, pattern) = match text.strip_prefix('!') {
            Some(pattern) => (Sense::Hidden, pattern),
            None => (Sense::Shown, text),
        };
        if pattern.is_empty() {
            return Self::All;
        }
        match RegexBuilder::new(pattern)
            .case_insensitive(true)
            .size_limit(1 << 20)
            .build()
        {
            Ok(regex) => Self::Matching {
                text: text.to_owned(),
                regex,
                sense,
            },
            Err(error) => {
                let told = error.to_string();
                let why = told.lines().next_back().unwrap_or_default().trim();
                let why = why.strip_prefix("error: ").unwrap_or(why).to_owned();
                Self::Bad {
                    text: text.to_owned(),
                    why,
                }
            }
        }
    }

    /// As it was typed.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::All => "",
            Self::Matching { text, .. } | Self::Bad { text, .. } => text,
        }
    }

    fn passes(&self, link: &Link, world: &World, words: &mut String) -> bool {
        let Self::Matching { regex, sense, .. } = self else {
            return true;
        };
        words.clear();
        let row = &link.row;
        let state = [
            row.state.word(),
            if row.carries.is_empty() { "idle" } else { "carries" },
        ];
        let names = [
            row.link.user.as_str(),
            row.link.dc.as_str(),
            world.label(&row.link.dc),
            row.sla.as_str(),
        ];
        for word in names
            .into_iter()
            .chain(state)
            .chain(row.carries.iter().map(proto::VmName::as_str))
        {
            words.push_str(word);
            words.push(' ');
        }
        words.push_str(&row.user_rloc.to_string());
        regex.is_match(words) == (*sense == Sense::Shown)
    }
}

impl Table {
    /// Sorts and filters anew.
    pub(crate) fn rebuild(&mut self, world: &World) {
        let mut words = String::new();
        let mut rows: Vec<&Link> = world
            .links
            .values()
            .filter(|link| self.filter.passes(link, world, &mut words))
            .collect();
        rows.sort_by(|one, other| {
            let order = compare(self.sort, self.direction, &one.row, &other.row);
            order.then_with(|| one.row.link.cmp(&other.row.link))
        });
        self.order = rows.into_iter().map(|link| link.row.link.clone()).collect();
    }

    /// Follows the world: anew when the operator's hands are off the keys, else rows keep their places and new ones are added
    /// below.
    pub(crate) fn follow(&mut self, world: &World, now: Timestamp) {
        if self.touched.is_none_or(|touched| now.since(touched) >= HOLD) {
            self.rebuild(world);
            return;
        }
        self.order.retain(|id| world.links.contains_key(id));
        let known: BTreeSet<&LinkId> = self.order.iter().collect();
        let mut words = String::new();
        let fresh = world
            .links
            .iter()
            .filter(|(id, link)| !known.contains(id) && self.filter.passes(link, world, &mut words));
        let fresh: Vec<LinkId> = fresh.map(|(id, _)| id.clone()).collect();
        self.order.extend(fresh);
    }

    /// The row under the cursor, or the top one; `None` if there are no rows.
    pub(crate) fn selected(&self) -> Option<&LinkId> {
        self.order.get(self.position())
    }

    /// Where the cursor is, from 0.
    pub(crate) fn position(&self) -> usize {
        let cursor = self.cursor.as_ref();
        cursor
            .and_then(|cursor| self.order.iter().position(|id| id == cursor))
            .unwrap_or(0)
    }

    /// Moves the cursor to a row, or as near as there are rows.
    pub(crate) fn move_to(&mut self, position: usize) {
        self.cursor = self
            .order
            .get(position.min(self.order.len().saturating_sub(1)))
            .cloned();
    }
}

/// The order of two rows in a column; rows without a figure come last either way.
fn compare(sort: Sort, direction: Direction, one: &LinkRow, other: &LinkRow) -> Ordering {
    let words = |order: Ordering| match direction {
        Direction::Natural => order,
        Direction::Reversed => order.reverse(),
    };
    let most =
        |one: Option<f64>, other: Option<f64>| figures(one, other, |one, other| words(other.total_cmp(one)));
    let least =
        |one: Option<f64>, other: Option<f64>| figures(one, other, |one, other| words(one.total_cmp(other)));
    match sort {
        Sort::Gravity => {
            words(gravity(one).cmp(&gravity(other))).then_with(|| least(one.margin_ms, other.margin_ms))
        }
        Sort::User => words(one.link.user.cmp(&other.link.user)),
        Sort::Via => words(one.link.dc.cmp(&other.link.dc)),
        Sort::Rtt => most(one.rtt.map(|rtt| rtt.last), other.rtt.map(|rtt| rtt.last)),
        Sort::P95 => most(one.rtt.map(|rtt| rtt.p95), other.rtt.map(|rtt| rtt.p95)),
        Sort::Jitter => most(one.jitter_ms, other.jitter_ms),
        Sort::Loss => most(one.loss_pct, other.loss_pct),
        Sort::Margin => least(one.margin_ms, other.margin_ms),
    }
}

/// Gravest first: what is in trouble and in use, then what is in trouble, then what is in use. What is known to be broken
/// comes before what is not known.
pub(crate) fn gravity(row: &LinkRow) -> (bool, u8, bool) {
    let idle = row.carries.is_empty();
    let rank = match row.state {
        LinkState::Down => 0,
        LinkState::Broken => 1,
        LinkState::Stale => 2,
        LinkState::Warn => 3,
        LinkState::Ok => 4,
    };
    (row.state == LinkState::Ok || idle, rank, idle)
}

fn figures(one: Option<f64>, other: Option<f64>, order: impl Fn(&f64, &f64) -> Ordering) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => order(&one, &other),
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}

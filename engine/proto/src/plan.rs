//! A plan for all users at once, as advice: what (5.4)-(5.9) of the thesis would have of present figures, and how good
//! that is proven to be.

use serde::{Deserialize, Serialize};

use crate::{SiteName, Span, Timestamp, UserName, VmName};

/// The engine's answer to [`crate::Command::Plan`]. Nothing moves by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The moment of the figures it was made of.
    pub at: Timestamp,
    /// Entries that it could move.
    pub entries: u32,
    /// The people behind them.
    pub people: u64,
    /// What each person moved was made to cost, so that little is moved for little.
    pub price: Span,
    /// As it is.
    pub now: Standing,
    /// With [`Self::moves`].
    pub then: Standing,
    /// With the best plan found if moves cost nothing, and how many of the entries it would move.
    pub free: Standing,
    /// See [`Self::free`].
    pub free_moves: u32,
    /// What is proven.
    pub badge: Badge,
    /// Moves wanted, the greatest gain first; at most [`Plan::MOVES`].
    pub moves: Vec<Move>,
    /// Moves wanted besides.
    pub more: u32,
    /// Data centres by name.
    pub sites: Vec<Load>,
    /// Entries that were left out of it.
    pub held: Vec<Held>,
}

impl Plan {
    /// Moves of one plan that are told at most.
    pub const MOVES: usize = 1_000;
}

/// What people lose together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// By how much all are over their bounds, summed: milliseconds times people (E of the program).
    pub excess_user_ms: f64,
    /// People over their bound.
    pub late: u64,
    /// People who cannot be served where they are.
    pub cut_off: u64,
}

/// How good the best plan is known to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Badge {
    /// No plan has a lesser excess, user milliseconds. Proven also of plans that part the people of one entry.
    pub least_excess_user_ms: f64,
    /// (F - bound) / F of the plan without a price on moves, F = sum of T_u (5.4).
    pub gap: f64,
    /// Whether no plan is better than the one without a price on moves, to the microsecond.
    pub optimal: bool,
    /// People who could each enter elsewhere at no loss to anybody: how free the choice was.
    pub ties: u64,
    /// What finding and proving took.
    pub spent: Span,
}

/// One entry that would be moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// Whose.
    pub user: UserName,
    /// To which VM.
    pub vm: VmName,
    /// Entered now.
    pub from: SiteName,
    /// To be entered.
    pub to: SiteName,
    /// How many people are behind it.
    pub people: u32,
    /// What they are less late by together, milliseconds times people. Negative where they make room for others; `None`
    /// where they are cut off now.
    pub gain_user_ms: Option<f64>,
}

/// What a data centre carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Which.
    pub dc: SiteName,
    /// People who enter by it, those held among them.
    pub now: u64,
    /// And with the moves.
    pub then: u64,
    /// At most so many may; `None` is no limit.
    pub most: Option<u64>,
}

/// Entries that are not the plan's to move, and count as load where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Why, in words.
    pub why: String,
    /// How many.
    pub entries: u32,
    /// And the people behind them.
    pub people: u64,
}

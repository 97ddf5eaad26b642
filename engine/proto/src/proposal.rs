//! A proposed change and its life.

use serde::{Deserialize, Serialize};

use crate::policy::Hold;
use crate::{Actor, SiteName, Span, Timestamp, UserName, VmName};

/// Numbered from 1 in the order of opening, over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProposalId(pub u64);

/// A switch of one user's entry to one VM. (Migrations join with their issue.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its number.
    pub id: ProposalId,
    /// Grows whenever anything shown on the card changes.
    pub revision: u32,
    /// Who is moved.
    pub user: UserName,
    /// To which VM.
    pub vm: VmName,
    /// Entry now.
    pub from: SiteName,
    /// Entry proposed.
    pub to: SiteName,
    /// Why.
    pub reason: Reason,
    /// Expected gain in the criterion of the reason: `measured - expected`, in its unit.
    pub gain: f64,
    /// Gain as a share of what is measured now, 0 to 1.
    pub gain_share: f64,
    /// People behind the user's router who are moved with it; one in records of before this was told.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub people: u64,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it lapses by itself.
    pub expires_at: Timestamp,
    /// What would make the engine wait with it when the card was written. Staff who approve need not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Box<Hold>>,
    /// Where it stands.
    pub state: ProposalState,
}

const fn one() -> u64 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_one(people: &u64) -> bool {
    *people == 1
}

/// Which bound was broken, by how much, and what the other entry offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The criterion that weighs most.
    pub criterion: Criterion,
    /// Its statistic on the present entry, in the criterion's unit.
    pub measured: f64,
    /// The bound of the user's SLA class, same unit.
    pub bound: f64,
    /// The same statistic on the proposed entry.
    pub expected: f64,
    /// Weighted penalty now (5.1).
    pub penalty: f64,
    /// Weighted penalty of the proposed entry.
    pub penalty_expected: f64,
    /// How long the level has been broken.
    pub broken_for: Span,
}

impl Reason {
    /// As a line of the log; what nothing was broken for has no figures.
    pub fn words(&self) -> String {
        match self.criterion {
            Criterion::Manual => "asked for by staff".to_owned(),
            Criterion::Rule => "a rule or a drain wants it away".to_owned(),
            Criterion::Revert => "the switch before did not keep its levels".to_owned(),
            criterion => {
                let (word, unit) = (criterion.word(), criterion.unit());
                format!(
                    "{word} {:.0} {unit}, bound {:.0}, for {:.1} s; {:.0} {unit} expected",
                    self.measured,
                    self.bound,
                    self.broken_for.as_secs_f64(),
                    self.expected
                )
            }
        }
    }
}

/// What is measured of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// Round-trip time, milliseconds.
    Rtt,
    /// Interarrival jitter after RFC 3550 section 6.4.1, milliseconds.
    Jitter,
    /// Lost probes, percent.
    Loss,
    /// Share of the time in which the link was down, percent: 100 less its availability.
    #[serde(rename = "availability")]
    Unavailability,
    /// Memory taken, as a share of what is left, percent.
    Ram,
    /// Processors taken, as a share of what is left, percent.
    Cpu,
    /// Users entering, as a share of what the data centre can take, percent.
    Capacity,
    /// IS-IS cost of the path from the border router to the VM (thesis chapter 7).
    IsisCost,
    /// Price of the data centre, in the session's own unit.
    Price,
    /// Staff asked for it: nothing was broken.
    Manual,
    /// The switch before did not hold what it promised and is taken back.
    Revert,
    /// A rule or a drain wants it away: nothing was broken.
    Rule,
}

impl Criterion {
    /// As it stands in a table head.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rtt => "RTT",
            Self::Jitter => "jitter",
            Self::Loss => "loss",
            Self::Unavailability => "unavailability",
            Self::Ram => "RAM",
            Self::Cpu => "CPU",
            Self::Capacity => "capacity",
            Self::IsisCost => "IS-IS cost",
            Self::Price => "price",
            Self::Manual => "manual",
            Self::Revert => "revert",
            Self::Rule => "rule",
        }
    }

    /// Its unit.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Rtt | Self::Jitter => "ms",
            Self::Loss | Self::Unavailability | Self::Ram | Self::Cpu | Self::Capacity => "%",
            Self::IsisCost | Self::Price | Self::Manual | Self::Revert | Self::Rule => "",
        }
    }
}

/// Where a proposal stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ProposalState {
    /// Waits for a word.
    Open,
    /// Approved and being carried out.
    Executing {
        /// By whom.
        by: Actor,
        /// When it was approved.
        since: Timestamp,
    },
    /// Carried out: the client xTR acknowledged.
    Confirmed {
        /// By whom it was approved.
        by: Actor,
        /// What happened.
        receipt: Receipt,
    },
    /// Carried out, and taken back by itself: the new entry did not keep its levels.
    Reverted {
        /// By whom it was approved.
        by: Actor,
        /// How it went.
        receipt: Receipt,
        /// When it was taken back.
        at: Timestamp,
        /// Why.
        why: String,
    },
    /// Approved, and did not work; the old entry stands.
    Failed {
        /// By whom it was approved.
        by: Actor,
        /// When it was given up.
        at: Timestamp,
        /// Why.
        why: String,
    },
    /// Somebody said no.
    Rejected {
        /// Who.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// Nobody said anything in time.
    Expired {
        /// When.
        at: Timestamp,
    },
    /// The facts changed: the level is kept again, or another proposal took its place.
    Superseded {
        /// When.
        at: Timestamp,
        /// What changed.
        why: String,
    },
}

impl ProposalState {
    /// One lower-case word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Executing { .. } => "executing",
            Self::Confirmed { .. } => "confirmed",
            Self::Reverted { .. } => "reverted",
            Self::Failed { .. } => "failed",
            Self::Rejected { .. } => "rejected",
            Self::Expired { .. } => "expired",
            Self::Superseded { .. } => "superseded",
        }
    }

    /// When it came to its end, or to be carried out.
    pub fn ended_at(&self) -> Option<Timestamp> {
        match self {
            Self::Open | Self::Executing { .. } => None,
            Self::Confirmed { receipt, .. } => Some(receipt.confirmed_at),
            Self::Reverted { at, .. }
            | Self::Failed { at, .. }
            | Self::Rejected { at, .. }
            | Self::Expired { at }
            | Self::Superseded { at, .. } => Some(*at),
        }
    }

    /// Whether it can still change.
    pub const fn is_over(&self) -> bool {
        !matches!(self, Self::Open | Self::Executing { .. })
    }
}

/// How a switch went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// First bad sample of the link.
    pub broken_at: Option<Timestamp>,
    /// Approved.
    pub approved_at: Timestamp,
    /// The client xTR's acknowledgement arrived.
    pub confirmed_at: Timestamp,
    /// From the sending of Change-Priority to its acknowledgement.
    pub signalling: Span,
    /// How many times it was sent.
    pub attempts: u32,
}

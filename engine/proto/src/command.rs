//! What staff ask of the engine.

use crate::availability::AvailabilityRow;
use serde::{Deserialize, Serialize};

use crate::inspect::{Cursor, LogQuery};
use crate::node::Show;
use crate::plan::Plan;
use crate::policy::Hold;
use crate::qoe::{Score, Session};
use crate::why::Why;
use crate::{
    ActionClass, Disarmed, FlapKey, Mode, NodeReport, ProposalId, Scope, SiteName, Span, UserName, VmName,
};

/// Chosen by the asker; the same id asked twice gets the same reply and is carried out once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub String);

/// Who asks, as the engine's shell established it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Actor {
    /// A person at a console or the command line.
    Operator {
        /// Login name.
        name: String,
    },
    /// The engine itself, in mode auto.
    Engine,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum Command {
    /// Approve or reject an open proposal, just as it was shown: another revision is refused.
    Decide {
        /// Which proposal.
        proposal: ProposalId,
        /// The revision that was on the screen.
        revision: u32,
        /// The word.
        verdict: Verdict,
    },
    /// Make a user enter by another data centre, whatever the engine thinks of it.
    Switch {
        /// Which user.
        user: UserName,
        /// To which of the user's VMs.
        vm: VmName,
        /// By which data centre.
        to: SiteName,
    },
    /// Set the mode.
    SetMode {
        /// The new one.
        mode: Mode,
    },
    /// Set the mode of a part of the fabric, over what the session says of it.
    SetModeAt {
        /// Which part.
        scope: Scope,
        /// The new one; `None` takes back what was set here.
        mode: Option<Mode>,
    },
    /// Move nothing, or nothing by itself, until [`Command::Arm`]; over restarts.
    Disarm {
        /// How far.
        how: Disarmed,
    },
    /// Take up moving again.
    Arm,
    /// Let nobody enter by a data centre, and move off who does, within the budgets.
    Drain {
        /// Which.
        dc: SiteName,
    },
    /// Let a data centre be entered again.
    Undrain {
        /// Which.
        dc: SiteName,
    },
    /// Forget the flaps of something, so that it is no longer suppressed.
    Forgive {
        /// Of what.
        key: FlapKey,
    },
    /// Hold a class of actions where it is, whatever its record says; `None` lets it go by its record again.
    PinClass {
        /// Which class.
        class: ActionClass,
        /// At `recommend` or `auto`.
        mode: Option<Mode>,
    },
    /// Forget that a class of actions has fallen, and what it fell for.
    ForgiveClass {
        /// Which class.
        class: ActionClass,
    },
    /// Ask why somebody is not moved. Nothing changes by it, and it is answered anew each time.
    Why {
        /// Who.
        user: UserName,
        /// Which of the user's VMs; the only one, or the first, by default.
        vm: Option<VmName>,
        /// Where to; the best other data centre by default.
        to: Option<SiteName>,
    },
    /// Ask for accounts of availability, all of them, page by page. Nothing changes by it, and nothing is recorded.
    Accounts {
        /// Whence on: 0, then what the last page said.
        #[serde(default)]
        from: u64,
    },
    /// A user's word on a session that is over (thesis section 3.4). It moves nothing; [`crate::QoeReport`] tells what
    /// is learnt from all of them.
    Score {
        /// Which session.
        session: Session,
        /// The word.
        score: Score,
        /// In words; empty is nothing.
        note: String,
    },
    /// Look into a forwarder. Nothing changes by it, nothing is recorded, and it is answered anew each time.
    Look {
        /// Which.
        site: SiteName,
        /// At what.
        what: Look,
    },
    /// Ask what would be best for all users at once, (5.4)-(5.9), as advice: nothing moves by it, nothing is recorded, and
    /// it is answered anew each time.
    Plan {
        /// What each person moved costs; the session's least gain by default.
        #[serde(default)]
        price: Option<Span>,
        /// How long to look for it and to prove it; two seconds by default.
        #[serde(default)]
        budget: Option<Span>,
    },
    /// Carry out a switch or an approval in spite of rules, windows and budgets. The reason goes on the record.
    BreakGlass {
        /// Why; not empty.
        reason: String,
        /// What.
        ask: Forced,
    },
}

/// What may be asked with the glass broken; on the wire as the [`Command`] of the same name. A type of its own, so that no
/// frame nests deeper than what it is recorded by can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum Forced {
    /// [`Command::Decide`].
    Decide {
        /// Which proposal.
        proposal: ProposalId,
        /// The revision that was on the screen.
        revision: u32,
        /// The word.
        verdict: Verdict,
    },
    /// [`Command::Switch`].
    Switch {
        /// Which user.
        user: UserName,
        /// To which of the user's VMs.
        vm: VmName,
        /// By which data centre.
        to: SiteName,
    },
}

impl From<Forced> for Command {
    fn from(forced: Forced) -> Self {
        match forced {
            Forced::Decide {
                proposal,
                revision,
                verdict,
            } => Self::Decide {
                proposal,
                revision,
                verdict,
            },
            Forced::Switch { user, vm, to } => Self::Switch { user, vm, to },
        }
    }
}

/// A command that no reason carries out in spite of policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only a switch or an approval can be carried out by breaking the glass")]
pub struct NotForced;

impl TryFrom<Command> for Forced {
    type Error = NotForced;

    fn try_from(command: Command) -> Result<Self, NotForced> {
        match command {
            Command::Decide {
                proposal,
                revision,
                verdict,
            } => Ok(Self::Decide {
                proposal,
                revision,
                verdict,
            }),
            Command::Switch { user, vm, to } => Ok(Self::Switch { user, vm, to }),
            _ => Err(NotForced),
        }
    }
}

/// What is looked at in a forwarder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "look")]
pub enum Look {
    /// Its message log. Bytes are refused: MACs are among them.
    Log {
        /// Which messages.
        query: LogQuery,
    },
    /// A part of a table.
    Table {
        /// Which.
        table: Show,
        /// Where to go on.
        #[serde(default)]
        after: Option<Cursor>,
        /// At most so many rows.
        most: u32,
    },
}

/// A person's word on a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Do it.
    Approve,
    /// Don't; and do not propose the same again for the cool-down.
    Reject,
}

/// The engine's answer to one command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Reply {
    /// Accepted; notices tell how it goes on.
    Accepted {
        /// What was accepted, in words.
        what: String,
    },
    /// The answer to [`Command::Why`].
    Explained {
        /// Every condition, and what else could be done.
        why: Box<Why>,
    },
    /// The answer to [`Command::Look`].
    Looked {
        /// As the forwarder said it.
        report: Box<NodeReport>,
    },
    /// The answer to [`Command::Plan`].
    Planned {
        /// Moves wanted, and how good that is.
        plan: Box<Plan>,
    },
    /// The answer to [`Command::Accounts`].
    Accounted {
        /// VMs, then locators, then users' entries, in the order of the session.
        rows: Vec<AvailabilityRow>,
        /// Where the next page begins; `None` after the last.
        next: Option<u64>,
    },
    /// Refused; nothing changed.
    Refused {
        /// Which rule, and what would change that.
        refusal: Refusal,
    },
}

/// Why a command was refused. The text says what would change that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "rule")]
pub enum Refusal {
    /// No such proposal was ever opened.
    #[error("there is no proposal #{}; `pacao ctl proposals` lists them", proposal.0)]
    UnknownProposal {
        /// As asked.
        proposal: ProposalId,
    },
    /// The proposal is past deciding.
    #[error("proposal #{} is {state} and can no longer be decided", proposal.0)]
    NotOpen {
        /// As asked.
        proposal: ProposalId,
        /// Its state, a word.
        state: String,
    },
    /// The proposal changed since it was shown.
    #[error("proposal #{} is at revision {current} now; look again before you decide", proposal.0)]
    StaleRevision {
        /// As asked.
        proposal: ProposalId,
        /// The revision now.
        current: u32,
    },
    /// The facts the proposal stands on no longer hold.
    #[error("proposal #{} no longer holds: {why}", proposal.0)]
    NoLongerTrue {
        /// As asked.
        proposal: ProposalId,
        /// What changed.
        why: String,
    },
    /// A name the session does not have.
    #[error("no {what} is called '{name}'; known: {known}")]
    UnknownName {
        /// user, VM or data centre.
        what: String,
        /// As asked.
        name: String,
        /// Names that would do.
        known: String,
    },
    /// The user enters there already.
    #[error("{user} already enters by {to}")]
    AlreadyThere {
        /// As asked.
        user: UserName,
        /// As asked.
        to: SiteName,
    },
    /// Something for the same user is under way.
    #[error("a switch of {user} is under way; wait for it to end")]
    InFlight {
        /// As asked.
        user: UserName,
    },
    /// The data centre cannot be used now.
    #[error("{to} cannot take traffic: {why}")]
    Unusable {
        /// As asked.
        to: SiteName,
        /// Down, or no fresh data.
        why: String,
    },
    /// The engine only observes.
    #[error("the engine only observes; set the mode to recommend or auto first")]
    ObserveOnly,
    /// The user was moved a short while ago.
    #[error("{user} was moved lately; again in {} s at the earliest", left.as_secs_f64().ceil())]
    CoolDown {
        /// As asked.
        user: UserName,
        /// What is left of it.
        left: Span,
    },
    /// Policy does not let it happen now.
    #[error("{hold}")]
    Held {
        /// Which gate.
        hold: Hold,
    },
    /// It cannot be asked for like this.
    #[error("{why}")]
    NotSo {
        /// What would be right.
        why: String,
    },
    /// The command could not be written down, so it was not carried out.
    #[error("the record cannot be written ({why}); nothing is done that is not recorded")]
    NotRecorded {
        /// The error.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forced_stands_in_the_frame_as_the_command_itself() {
        let switch = Command::Switch {
            user: UserName::new("paris").unwrap(),
            vm: VmName::new("web").unwrap(),
            to: SiteName::new("lip6").unwrap(),
        };
        let inner = serde_json::to_value(&switch).unwrap();
        let glass = Command::BreakGlass {
            reason: "fire".to_owned(),
            ask: switch.try_into().unwrap(),
        };
        let whole = serde_json::to_value(&glass).unwrap();
        assert_eq!(whole["ask"], inner);
        assert_eq!(serde_json::from_value::<Command>(whole).unwrap(), glass);
        assert_eq!(Forced::try_from(Command::Arm), Err(NotForced));
    }

    /// Each level would make the line of the record deeper than the frame was.
    #[test]
    fn a_broken_glass_holds_no_other() {
        let mut text = serde_json::to_string(&Command::Arm).unwrap();
        for depth in 0..100 {
            text = format!(r#"{{"command":"break-glass","reason":"r","ask":{text}}}"#);
            assert!(serde_json::from_str::<Command>(&text).is_err(), "{depth}");
        }
    }
}

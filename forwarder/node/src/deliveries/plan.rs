//! How one change is told to one peer: best first, falling back by itself.
//!
//! | `tell_by: best` and the peer | Change-Priority | solicitation |
//! |---|---|---|
//! | acknowledges Change-Priority | six times in 6.3 s | from the fourth on, besides |
//! | has shown nothing yet | six times in 6.3 s | from the second on, besides |
//! | did not acknowledge it | once every ten minutes | at once, three times |
//! | knows the thesis's form | once, which cannot be acknowledged | after that, three times |

use lisp_wire::message::{ChangePriorityForm, Purpose};
use lisp_wire::{Manner, Rloc};
use proto::Span;

use super::{Parcel, SOLICIT_WAIT};
use crate::abilities::Abilities;
use crate::config::TellBy;
use crate::context::Context;

/// How often a message is sent: at 0, 0.1, 0.3, 0.7, 1.5 and 3.1 s, and given up at 6.3 s.
const TRIES: u32 = 6;
/// The type-5 form cannot be acknowledged: once, and then the SMR, which is answered by a Map-Request.
const LEGACY_TRIES: u32 = 1;

/// A plan for one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) form: ChangePriorityForm,
    /// How often Change-Priority is sent.
    pub(super) tries: u32,
    /// From which of these on the peer is solicited besides, the first being 0.
    solicit_from: Option<u32>,
    /// Whether it wants to be asked for an EID of its own.
    own_eid: bool,
}

impl Plan {
    pub(super) fn of(parcel: &Parcel, abilities: &Abilities, cx: &Context<'_>) -> Self {
        let settings = &cx.config.change_priority;
        let Parcel { peer, purpose, .. } = parcel;
        let shown = abilities.of(peer, cx.now);
        let legacy = settings.legacy_peers.contains(peer) || shown == Manner::Legacy;
        let form = if legacy {
            ChangePriorityForm::Legacy
        } else {
            ChangePriorityForm::SharedExtension
        };
        let own_eid = settings.own_eid_peers.contains(peer) || shown == Manner::SolicitOwn;
        let plan = |tries, solicit_from| Self {
            form,
            tries,
            solicit_from,
            own_eid,
        };
        if *purpose != Purpose::UpdateCache {
            return plan(if legacy { LEGACY_TRIES } else { TRIES }, None);
        }
        match (settings.tell_by, shown) {
            (TellBy::Solicitation, _) => Self {
                form: ChangePriorityForm::SharedExtension,
                ..plan(0, None)
            },
            _ if legacy => plan(LEGACY_TRIES, None),
            (TellBy::ChangePriority, Manner::Solicit | Manner::SolicitOwn) => plan(TRIES, Some(0)),
            (TellBy::ChangePriority, _) => plan(TRIES, None),
            (TellBy::Best, Manner::Solicit | Manner::SolicitOwn) => {
                plan(u32::from(abilities.may_have_learnt(peer, cx.now)), Some(0))
            }
            (TellBy::Best, Manner::ChangePriority) => plan(TRIES, Some(3)),
            (TellBy::Best, Manner::Unknown | Manner::Legacy) => plan(TRIES, Some(1)),
        }
    }

    /// Whether the peer is solicited together with the sending of this number.
    pub(super) fn solicits_with(self, number: u32) -> bool {
        match self.solicit_from {
            // Who is expected to heed only that is solicited in its own time after it.
            Some(0) => number == 0,
            Some(from) => number >= from,
            None => false,
        }
    }

    /// How long is waited after the sending of this number.
    pub(super) fn wait(self, number: u32, usual: Span) -> Span {
        let last = number + 1 == self.tries;
        if self.solicit_from == Some(0) && last {
            usual.max(SOLICIT_WAIT)
        } else {
            usual
        }
    }

    /// Solicits a Map-Request.
    pub(super) fn solicit(self, parcel: &Parcel, cx: &mut Context<'_>) {
        let Parcel {
            peer, record, theirs, ..
        } = parcel;
        let theirs = theirs.filter(|_| self.own_eid);
        let peer: Rloc = *peer;
        cx.solicit(peer, record.eid, theirs);
    }
}

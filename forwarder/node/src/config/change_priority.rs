//! Change-Priority: which keys are believed in what, whom a node shares its EIDs with, how clients are told.

use std::collections::BTreeSet;

use lisp_wire::message::Purpose;
use lisp_wire::{EidPrefix, Key, Rloc, Type5};

use super::ConfigError;

/// Who may send Change-Priority, and to whom it is sent.
#[derive(Clone, Debug, Default)]
pub struct ChangePriority {
    /// Keys that clients hold too, to be told of changes. The first signs what clients are told; without any, nothing is
    /// told or believed. The ids of these and of `move_keys` are all distinct.
    pub keys: Vec<ScopedKey>,
    /// Keys that the sites of the group hold and no client: they alone move EIDs ([`Right::Move`]). The first signs.
    pub move_keys: Vec<ScopedKey>,
    /// The other xTRs that serve the same EIDs: they get the handover (H=0, C=0), and theirs is believed.
    pub group: Vec<Rloc>,
    /// How clients are told that a mapping changed.
    pub tell_by: TellBy,
    /// Peers, in the group or clients, that know the thesis's own type-5 form only.
    pub legacy_peers: BTreeSet<Rloc>,
    /// Peers that heed a solicitation (SMR) only where it asks for an EID of theirs, and look for the changed one in
    /// its source alone. RFC 9301 section 6.1 has the receiver copy the EID-Prefix that is asked for.
    pub own_eid_peers: BTreeSet<Rloc>,
    /// Whether the type-5 form is accepted. It names no sender, so its replay protection is per key and EID.
    pub legacy: Legacy,
}

impl ChangePriority {
    /// The key that what is said of `eid` is signed with, in the exercise of a right.
    pub(crate) fn key_for(&self, eid: &EidPrefix, right: Right) -> Option<&ScopedKey> {
        let mut keys = self.with(right).iter();
        keys.find(|scoped| scoped.scope.holds(eid))
    }

    /// The key with this number, and what it may be used for.
    pub(crate) fn known_as(&self, id: u8) -> Option<(&ScopedKey, Right)> {
        let numbered = |right| {
            let mut keys = self.with(right).iter();
            let known = keys.find(|scoped: &&ScopedKey| scoped.key.id == id);
            known.map(|scoped| (scoped, right))
        };
        numbered(Right::Tell).or_else(|| numbered(Right::Move))
    }

    fn with(&self, right: Right) -> &[ScopedKey] {
        match right {
            Right::Tell => &self.keys,
            Right::Move => &self.move_keys,
        }
    }

    /// Refuses what cannot work, and keys that give clients the right to move EIDs.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let mut ids = BTreeSet::new();
        let lists = [
            ("change_priority.keys", &self.keys),
            ("change_priority.move_keys", &self.move_keys),
        ];
        for (field, keys) in lists {
            if let Some(again) = keys.iter().find(|scoped| !ids.insert(scoped.key.id)) {
                let id = again.key.id;
                return Err(ConfigError::KeyTwice { field, id });
            }
        }
        let told = |moves: &ScopedKey| self.keys.iter().any(|told| told.key.same_secret(&moves.key));
        if let Some(at) = self.move_keys.iter().position(told) {
            return Err(ConfigError::MoveKeyTold { at });
        }
        if !self.group.is_empty() && self.move_keys.is_empty() {
            return Err(ConfigError::NoMoveKey);
        }
        Ok(())
    }
}

/// What a key is good for. Neither right includes the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To say where an EID is entered (C=1). Clients hold such keys, or could not believe what they are told.
    Tell,
    /// To move EIDs: arrivals, handovers, preparations.
    Move,
}

impl Right {
    /// The right that a message needs. Its acknowledgement needs the same.
    pub(crate) const fn to(purpose: Purpose) -> Option<Self> {
        match purpose {
            Purpose::UpdateCache => Some(Self::Tell),
            Purpose::Arrived | Purpose::Handover | Purpose::HandoverTold => Some(Self::Move),
            Purpose::Acknowledge | Purpose::AcknowledgeSubscribed => None,
        }
    }
}

/// How clients are told that a mapping changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TellBy {
    /// Change-Priority with C=1, and a solicitation where it is not acknowledged.
    ChangePriority,
    /// As each peer has shown to heed: not at all where a Map-Server tells it (RFC 9437), Change-Priority where it acknowledges
    /// that, solicitation at once where it does not, both to one that has shown nothing yet and does not acknowledge within
    /// a tenth of a second.
    #[default]
    Best,
    /// Solicitation alone (SMR, RFC 9301 section 6.1): each client asks the mapping system anew.
    Solicitation,
}

/// Whether the thesis's own type-5 form is understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Legacy {
    /// Type 5 is what RFC 9301 says: Map-Notify-Ack.
    #[default]
    Refused,
    /// Type 5 is Change-Priority.
    Accepted,
}

impl Legacy {
    /// What a message of type 5 is taken for.
    pub(crate) const fn type5(self) -> Type5 {
        match self {
            Self::Refused => Type5::MapNotifyAck,
            Self::Accepted => Type5::ChangePriority,
        }
    }
}

/// A key, and the EIDs that its holders may speak for.
#[derive(Clone, Debug)]
pub struct ScopedKey {
    /// The key.
    pub key: Key,
    /// For which EIDs.
    pub scope: Scope,
}

/// A set of EIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every one, of every tenant.
    All,
    /// Those within these blocks.
    Within(Vec<EidPrefix>),
}

impl Scope {
    /// Whether all EIDs of `eid` are in the set.
    pub fn holds(&self, eid: &EidPrefix) -> bool {
        match self {
            Self::All => true,
            Self::Within(blocks) => blocks.iter().any(|block| block.covers(eid)),
        }
    }
}

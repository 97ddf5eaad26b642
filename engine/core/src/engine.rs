//! The root: routes an [`Input`] to its machine and gathers [`Effect`]s.

use proto::{Mode, NodeCommand, Notice, Snapshot, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Config, Effect, Input};

/// The engine's whole state. It serialises: a restart reads the last one written, handles the inputs recorded
/// since (their effects discarded), and then [`Input::Started`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    config: Config,
    mode: Mode,
    since: Timestamp,
}

impl Engine {
    /// An engine that has heard nothing yet; the first input is [`Input::Started`].
    pub fn new(config: Config, now: Timestamp) -> Self {
        let mode = config.mode;
        Self { config, mode, since: now }
    }

    /// Takes one input in. Deterministic: the same state, input and time give the same state and effects.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        if matches!(input, Input::Started) {
            self.since = now;
        }
        Vec::new()
    }

    /// When [`Input::Tick`] is due, if nothing else comes before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    /// All there is, for a console.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        Snapshot {
            at: now,
            session: self.config.session.clone(),
            engine_since: self.since,
            mode: self.mode,
            nodes: Vec::new(),
            links: Vec::new(),
            histories: Vec::new(),
            rlocs: Vec::new(),
            proposals: Vec::new(),
            log: std::collections::VecDeque::new(),
        }
    }

    /// What the engine was told of the fabric.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

/// Those effects that a replay must repeat: replies, what changes a mapping, and what becomes of proposals and the mode.
/// Figures for display are left out.
pub fn decisions(effects: &[Effect]) -> impl Iterator<Item = &Effect> {
    effects.iter().filter(|effect| match effect {
        Effect::Reply { .. } => true,
        Effect::Node { command, .. } => {
            matches!(command, NodeCommand::SetLocators { .. } | NodeCommand::Arrived { .. })
        }
        Effect::Notify { notice } => {
            matches!(notice, Notice::Proposal { .. } | Notice::Rlocs { .. } | Notice::Mode { .. })
        }
    })
}

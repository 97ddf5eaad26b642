//! Where the machines lay their effects, and the moment they act at.

use proto::Timestamp;

use crate::Effect;

/// The effects of one input, in order.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// The moment of the input.
    pub(crate) now: Timestamp,
    effects: Vec<Effect>,
}

impl Outbox {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now,
            effects: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn reserve(&mut self, more: usize) {
        self.effects.reserve(more);
    }

    /// Moves all of `later` behind what is here.
    pub(crate) fn append(&mut self, later: Self) {
        self.effects.extend(later.effects);
    }

    pub(crate) fn into_effects(self) -> Vec<Effect> {
        self.effects
    }
}

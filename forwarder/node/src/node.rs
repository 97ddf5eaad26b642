//! The root: routes an input to its machine and gathers the effects.

use proto::Timestamp;

use crate::config::Config;
use crate::input::{Effect, Input};

/// A LISP node's control.
#[derive(Debug)]
pub struct Node {
    config: Config,
}

impl Node {
    /// A node that takes up now. `config` has passed [`Config::check`]; `seed` must be unpredictable to outsiders:
    /// nonces come from it.
    pub fn new(config: Config, now: Timestamp, seed: [u8; 32]) -> (Self, Vec<Effect>) {
        let (_, _) = (now, seed);
        (Self { config }, Vec::new())
    }

    /// Takes an input in. `now` never goes backwards.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        let (_, _, _) = (input, now, &self.config);
        Vec::new()
    }

    /// When to call [`Node::handle`] with [`Input::Tick`] if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        None
    }
}

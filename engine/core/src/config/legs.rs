//! How the ways between data centres are watched.

use proto::Span;
use serde::{Deserialize, Serialize};

/// The way from a data centre that is entered to the one where a VM lives is the second leg of a user's way to it
/// (thesis section 5.2.1). What is `None` is as the strictest of the classes has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Legs {
    /// Whether forwarders probe each other. Where the data centres are joined by another network than the one
    /// between their locators, such probes tell nothing of it.
    pub measure: bool,
    /// Time between probes; the shortest S''' of the classes by default.
    pub probe: Option<Span>,
    /// A probe unanswered this long is lost; as for users by default.
    pub timeout: Option<Span>,
    /// Lost in a row until a leg is down; the least of the classes by default.
    pub down_after: Option<u32>,
    /// Answered in a row until it is up again; the most of the classes by default.
    pub up_after: Option<u32>,
}

impl Default for Legs {
    fn default() -> Self {
        Self {
            measure: true,
            probe: None,
            timeout: None,
            down_after: None,
            up_after: None,
        }
    }
}

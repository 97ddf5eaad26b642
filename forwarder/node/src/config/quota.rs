//! How much of a Map-Server's room a site may take.

/// How much a site may have registered at a time, so that one does not take the room of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Registrations: one for each xTR and EID prefix.
    pub registrations: usize,
    /// Bytes that they take in memory.
    pub bytes: usize,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            registrations: 131_072,
            bytes: 128 << 20,
        }
    }
}

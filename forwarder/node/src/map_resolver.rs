//! The Map-Resolver role: takes Map-Requests out of their envelopes (RFC 9301 section 8.1).
//!
//! Here the resolver and the server are one node: what is unwrapped goes to [`MapServer::resolve`]. A resolver that
//! walks a delegation hierarchy (RFC 8111) would stand between the two.
//!
//! [`MapServer::resolve`]: crate::map_server::MapServer::resolve

use lisp_wire::message::{Encapsulated, MapRequest};
use lisp_wire::{Message, WireError};

/// The Map-Request inside; `None` if there is another message inside, or one that nobody may ask through an envelope.
///
/// # Errors
/// The inner bytes are no message.
pub(crate) fn unwrap(envelope: &Encapsulated) -> Result<Option<MapRequest>, WireError> {
    match Message::parse(&envelope.message)? {
        // RFC 9301 section 5.2: probes and solicitations go to the RLOC itself, never through the mapping system.
        Message::MapRequest(request) if !request.probe && !request.solicit => Ok(Some(request)),
        _ => Ok(None),
    }
}

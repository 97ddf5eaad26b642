//! The engine's shell: sessions, recorder, replay, links to forwarders and consoles.

pub mod session;

pub use session::Session;

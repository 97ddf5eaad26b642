//! The engine's shell: sessions, recorder, replay, links to forwarders and consoles.

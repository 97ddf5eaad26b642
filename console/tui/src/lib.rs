//! The console: it shows what the engine tells and asks for what staff want. It never guesses: it moves only on notices.
//!
//! ```text
//! key -> keymap -> Intent --+
//! engine frame -> Notice ---+--> Input -> app::update(&mut App, Input, now) -> Vec<Effect>
//! tick, resize -------------+                    |                                |
//!                                  view::draw(&App, &mut Scroll, frame)     terminal acts
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`terminal`] | the shell: raw mode, threads, signals, at most 30 frames a second; [`run`] |
//! | [`input`] | what goes in ([`Input`]) and what comes out ([`Effect`]) |
//! | [`layout`] | where panes stand: `layouts/*.yaml` |

pub mod input;
pub mod layout;
pub mod terminal;

pub use input::{Effect, Feed, Gone, Inbox, Input, channel};
pub use layout::{Arrangement, Finding, Layout};
pub use terminal::{Colour, Ending, EnginePort, Glyphs, OnLost, Options, TerminalError, run};

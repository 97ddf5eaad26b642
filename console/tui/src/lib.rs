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
//! | `app` | state, as data, and how inputs change it |
//! | `keymap` | the only source of keys, of the footer's hints and of help |
//! | `view` | from state to screen; one file a pane |
//! | `theme`, `charts`, `figures` | what things look like |
//! | [`headless`] | the same console without a terminal, for pictures and tests |
//! | [`plain`] | the same rows as text, for `pacao ctl` off a terminal |

mod app;
mod charts;
mod figures;
#[cfg(test)]
mod fixture;
pub mod headless;
pub mod input;
mod keymap;
pub mod layout;
pub mod plain;
pub mod terminal;
mod theme;
mod view;

pub use input::{Effect, Feed, Gone, Inbox, Input, Keys, channel};
pub use layout::{Arrangement, Finding, Layout};
pub use terminal::{Asks, Ending, EnginePort, OnLost, Options, Quitting, TerminalError, run};
pub use theme::{Colour, Glyphs};

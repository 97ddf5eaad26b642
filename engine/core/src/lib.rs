//! The engine's machines. No sockets, no clock, no tokio: [`Input`]s go in with the time, [`Effect`]s come out.
//!
//! | module | what it decides |
//! |---|---|
//! | [`config`] | what the engine is told of the fabric and of its limits |
//! | [`input`] | [`Input`] and [`Effect`] |
//! | [`engine`] | the root: [`Engine`] routes inputs, keeps nodes, answers commands, tells rows |
//! | `monitor` | link windows, and when a level counts as broken (S') |
//! | `legs` | the ways between data centres, the second leg of a user's way |
//! | `way` | when a level of both legs together counts as broken |
//! | [`optimizer`] | the per-user program (5.1)-(5.3) |
//! | [`assignment`] | all users at once, (5.4)-(5.9), as advice |
//! | `decision` | where one user's entry should be, given the links, and the card that says so |
//! | `course` | what is done about it: rest, wait, ask, depart |
//! | [`policy`] | least gain, hold, cool-down, damping, budgets, rules, windows, modes: the gates of the executor |
//! | [`autonomy`] | a shadow held to people and reality: what the engine may do by itself |
//! | `approval` | the desk of proposals and of replies given |
//! | `crowds` | how many enter by which data centre |
//! | `execution` | telling a view, its acknowledgement, taking it back, S'' |
//! | `proving` | confirmed commit: a switch proves itself or is taken back |
//! | [`ladder`] | what could be done about an entry, and the cheapest that is enough |
//! | `why` | every condition between an entry and its move |
//! | `pair` | the state of one user and VM |
//! | `fabric` | names as small numbers |
//! | `homes` | where VMs live, as forwarders tell |
//! | `places` | the numbers of names in an edited session |
//! | `journal` | the log |
//! | `books` | what is kept beside the decisions: `availability` and `qoe` |
//! | [`alone`] | one user's slots and gates without an engine, for simulations |

pub mod alone;
mod approval;
pub mod assignment;
pub mod autonomy;
mod availability;
mod books;
pub mod config;
mod course;
mod crowds;
mod decision;
pub mod engine;
mod execution;
mod fabric;
mod homes;
pub mod input;
mod journal;
pub mod ladder;
mod legs;
mod monitor;
pub mod optimizer;
mod outbox;
mod pair;
mod places;
pub mod policy;
mod proving;
mod qoe;
mod way;
mod why;

pub use config::Config;
pub use engine::{Engine, decisions};
pub use input::{Effect, Input};

//! What the optimizer claims, judged by programs that share no code with it: tests/judge, in Python, with HiGHS.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod country;
mod entry;
mod paths;
mod python;

//! The pacao program: the command line over engine, console, forwarder and lab.
//!
//! | module | verb |
//! |---|---|
//! | [`demo`] | `demo`: the whole thing on this machine |
//! | [`run`], [`serve`], [`attach`] | the engine with a console, without one, and a console without an engine |
//! | [`ctl`] | one question to an engine or a forwarder |
//! | [`lab`] | a session's fabric in namespaces |
//! | [`drill`], [`mod@bench`] | measured claims, as [`checks`] |
//! | [`simulate`] | a country of users in virtual time |
//! | [`replay`], [`check`] | recordings and files |
//!
//! `forwarder`, `delay-line`, `guard` and `traffic` are processes of their own: thin mains over other crates.

#![allow(
    clippy::print_stdout,
    reason = "a program's results go to its standard output"
)]

mod attach;
mod bench;
mod check;
mod checks;
mod cli;
mod control;
mod ctl;
mod demo;
mod drill;
mod lab;
mod lines;
mod probes;
mod replay;
mod run;
mod screen;
mod serve;
mod session_file;
mod simulate;
mod told;
mod traffic;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use cli::{Bench, Cli, Drill, Verb};

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Forwarder(passed) => {
            let name = std::ffi::OsString::from("pacao forwarder");
            return pacao_forwarder::main_with_args(std::iter::once(name).chain(passed.args));
        }
        Verb::DelayLine(passed) => return testbed::delay_line::main_with_args(passed.args),
        Verb::Guard(passed) => return testbed::guard::main_with_args(passed.args),
        Verb::Traffic(passed) => return testbed::traffic::main_with_args(passed.args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Run(args) => run::run(args),
        Verb::Serve(args) => serve::run(args),
        Verb::Attach(args) => attach::run(args),
        Verb::Ctl(args) => ctl::run(&args),
        Verb::Lab(args) => lab::run(&args),
        Verb::Drill(Drill::Table51(args)) => drill::table_5_1::run(&args),
        Verb::Drill(Drill::Roaming(args)) => drill::roaming::run(&args),
        Verb::Bench(Bench::Assign(args)) => bench::assign::run(&args),
        Verb::Bench(Bench::Decide(args)) => bench::decide::run(&args),
        Verb::Bench(Bench::Monitor(args)) => bench::monitor::run(&args),
        Verb::Bench(Bench::Forward(args)) => bench::forward::run(&args),
        Verb::Bench(Bench::Handover(args)) => bench::handover::run(&args),
        Verb::Bench(Bench::Pubsub(args)) => bench::pubsub::run(&args),
        Verb::Replay(args) => replay::run(&args),
        Verb::Simulate(args) => simulate::run(&args),
        Verb::Check(args) => check::run(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // A terminal that has gone takes no words; the exit status still tells.
            let _ = writeln!(std::io::stderr(), "pacao: {}", words(&error));
            ExitCode::from(2)
        }
    }
}

/// An error and what it came of, outermost first; what an outer one has said already is not said again.
fn words(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        let cause = cause.to_string();
        match said.as_str() {
            "" => cause,
            said if said.ends_with(&cause) => said.to_owned(),
            said => format!("{said}: {cause}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::words;

    /// An error that says what it came of, as those of other crates do.
    #[derive(Debug)]
    struct Listing(std::io::Error);

    impl std::fmt::Display for Listing {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "cannot list /run/pacao: {}", self.0)
        }
    }

    impl std::error::Error for Listing {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn what_an_error_came_of_is_said_once() {
        let source = std::io::Error::from_raw_os_error(13);
        let error = anyhow::Error::from(Listing(source)).context("no engine can be asked");
        assert_eq!(
            words(&error),
            "no engine can be asked: cannot list /run/pacao: Permission denied (os error 13)"
        );
        let plain: Result<(), _> = Err(anyhow::anyhow!("inner"));
        assert_eq!(words(&plain.context("outer").unwrap_err()), "outer: inner");
    }
}

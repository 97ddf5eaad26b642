//! The testbed's own program: what a lab starts, for tests of the testbed that do not need the console.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use engine::Session;
use testbed::{Fabric, Lab, LabOptions};

#[derive(Debug, Parser)]
#[command(
    name = "testbed",
    about = "The processes of a lab, and a lab without an engine."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Be the WAN of a lab.
    #[command(disable_help_flag = true)]
    DelayLine(Passed),
    /// Tie a program's life to this one's.
    #[command(disable_help_flag = true)]
    Guard(Passed),
    /// Make traffic.
    #[command(disable_help_flag = true)]
    Traffic(Passed),
    /// Measure the delay line against itself.
    Measure,
    /// Build a session's fabric and keep it until standard input ends.
    Lab {
        /// The session's file.
        session: PathBuf,
        /// The forwarder's program.
        #[arg(long)]
        forwarder: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Passed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::DelayLine(passed) => return testbed::delay_line::main_with_args(passed.arguments),
        Verb::Guard(passed) => return testbed::guard::main_with_args(passed.arguments),
        Verb::Traffic(passed) => return testbed::traffic::main_with_args(passed.arguments),
        Verb::Measure => measure(),
        Verb::Lab { session, forwarder } => lab(&session, forwarder),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testbed: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn measure() -> Result<(), Box<dyn std::error::Error>> {
    testbed::enter()?;
    let measured =
        testbed::measure::delay_error(&std::env::current_exe()?, &testbed::measure::Load::default())?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn lab(session: &std::path::Path, forwarder: PathBuf) -> Result<(), Box<dyn std::error::Error>> {
    testbed::enter()?;
    let fabric = Fabric::of(&Session::read(session)?).ok_or("the session has no lab: part")?;
    let options = LabOptions {
        forwarder: vec![forwarder.into()],
        ..LabOptions::this_program()?
    };
    let lab = Lab::start(&fabric, options, &mut |progress| println!("{progress:?}"))?;
    println!("{}", lab.directory().display());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(lab.stop()?)
}

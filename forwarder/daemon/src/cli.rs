//! Arguments, logging, exit code: the same for `pacao-forwarder` and `pacao forwarder`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::process;

/// A LISP node: encapsulates, decapsulates, registers, answers, probes (RFC 9300, RFC 9301).
#[derive(Debug, Parser)]
#[command(name = "pacao-forwarder", version)]
struct Arguments {
    /// The configuration file, YAML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration and exit
    #[arg(long)]
    check: bool,
    /// End at once when the thread that started this process ends, however it ends
    #[arg(long)]
    die_with_parent: bool,
    /// What is logged to stderr: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "PACAO_LOG")]
    log: String,
}

/// Runs the program. `args` begin with the program's name. Exit codes: 0 after SIGTERM or SIGINT, 1 where it could not
/// run or had to stop, 2 for a bad argument or configuration.
pub fn main_with_args<I, A>(args: I) -> ExitCode
where
    I: IntoIterator<Item = A>,
    A: Into<OsString> + Clone,
{
    // Taken first: the parent may die at any moment.
    let parent = getppid();
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Where the help cannot be printed there is nobody to read it.
            let _unread = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    start_log(&arguments.log);
    if arguments.die_with_parent
        && let Err(why) = die_with(parent)
    {
        tracing::error!("{why}");
        return ExitCode::FAILURE;
    }
    let config = match Config::read(&arguments.config) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::from(2);
        }
    };
    if arguments.check {
        tracing::info!("{}: in order", arguments.config.display());
        return ExitCode::SUCCESS;
    }
    match process::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start_log(level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours);
    // Another log may have been set up by the program around; then that one is used.
    let _used_before = subscriber.try_init();
}

fn die_with(parent: Pid) -> Result<(), String> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| format!("--die-with-parent: {error}"))?;
    // It may have died before the kernel was told.
    if getppid() == parent {
        Ok(())
    } else {
        Err("--die-with-parent: the parent is gone already".into())
    }
}

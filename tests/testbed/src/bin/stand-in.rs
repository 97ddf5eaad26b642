//! A forwarder that forwards nothing and answers only on its control socket: for tests of the lab itself.

use std::ffi::OsString;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long)]
    config: PathBuf,
    #[arg(long)]
    die_with_parent: bool,
    /// Whatever comes before, as `forwarder` would.
    verb: Option<OsString>,
}

#[derive(serde::Deserialize)]
struct Config {
    control: Control,
}

#[derive(serde::Deserialize)]
struct Control {
    socket: PathBuf,
}

fn main() -> ExitCode {
    match serve(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stand-in: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    if arguments.die_with_parent {
        testbed::guard::die_with_parent()?;
    }
    let config: Config = serde_yaml::from_str(&std::fs::read_to_string(&arguments.config)?)?;
    for connection in UnixListener::bind(config.control.socket)?.incoming() {
        drop(connection?);
    }
    Ok(())
}

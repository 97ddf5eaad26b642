//! A forwarder that forwards nothing: it answers on its control socket that everything it may be told of is registered.
//! For tests of the lab itself.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use lisp_wire::{EidPrefix, Rloc, Ttl};
use proto::node::RegistrationRow;
use proto::{NodeFrame, NodeReport, ReportFrame, Span};

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
    rlocs: Vec<Locator>,
    sites: Vec<Site>,
}

#[derive(serde::Deserialize)]
struct Control {
    socket: PathBuf,
}

#[derive(serde::Deserialize)]
struct Locator {
    address: std::net::IpAddr,
}

#[derive(serde::Deserialize)]
struct Site {
    prefix: EidPrefix,
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
    for connection in UnixListener::bind(&config.control.socket)?.incoming() {
        // Whoever hangs up has what he wanted.
        let _ = answer(&config, &connection?);
    }
    Ok(())
}

fn answer(config: &Config, connection: &UnixStream) -> Result<(), Box<dyn std::error::Error>> {
    let mut connection = connection;
    for line in BufReader::new(connection.try_clone()?).lines() {
        let frame: NodeFrame = serde_json::from_str(&line?)?;
        let row = |site: &Site| RegistrationRow {
            eid: site.prefix,
            locators: Vec::new(),
            from: Rloc(config.rlocs[0].address),
            expires_in: Span::secs(180),
            age: Span::ZERO,
            refresh_in: None,
            ttl: Ttl::DAY,
            xtr_id: String::new(),
            proxy_reply: false,
        };
        let report = NodeReport::Registrations {
            rows: config.sites.iter().map(row).collect(),
        };
        let text = serde_json::to_string(&ReportFrame {
            reply_to: Some(frame.request),
            report,
        })?;
        connection.write_all(format!("{text}\n").as_bytes())?;
    }
    Ok(())
}

//! The testbed's own program: what a lab starts, for tests of the testbed that do not need the console.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use clap::{Args, Parser, Subcommand};
use engine::Session;
use testbed::{Direct, Fabric, Lab, LabOptions, Node};

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
    /// Lay a plain cable between two sites, and download over it for two seconds.
    Direct {
        /// The forwarder's program; without one, the kernel routes.
        #[arg(long)]
        forwarder: Option<PathBuf>,
    },
    /// Build a session's fabric and keep it until standard input ends.
    Lab {
        /// The session's file.
        session: PathBuf,
        /// The forwarder's program.
        #[arg(long)]
        forwarder: PathBuf,
        /// Send packets over the WAN between each user and each data centre, and print the round trips.
        #[arg(long)]
        echo: bool,
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
        Verb::Direct { forwarder } => direct(forwarder),
        Verb::Lab {
            session,
            forwarder,
            echo,
        } => lab(&session, forwarder, if echo { Trial::Echo } else { Trial::None }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testbed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the line may add to the delay asked for, 99th percentile, microseconds.
const LINE_ERROR_US: f64 = 300.0;

#[expect(clippy::print_stdout, reason = "the answer")]
fn measure() -> Result<(), Box<dyn std::error::Error>> {
    testbed::enter()?;
    let measured =
        testbed::measure::delay_error(&std::env::current_exe()?, &testbed::measure::Load::default())?;
    let lost = measured.sent - measured.received;
    let check = |name: &str, value: f64, unit: &str, bound: f64| serde_json::json!({ "name": name, "value": value, "unit": unit, "bound": bound, "holds": value <= bound });
    let checks = [
        check(
            "p99 of the line's own error, outside",
            measured.outside.p99_us,
            "us",
            LINE_ERROR_US,
        ),
        check(
            "p99 of the line's own error, inside",
            measured.inside.p99_us,
            "us",
            LINE_ERROR_US,
        ),
        check("packets lost", lost as f64, "packets", 0.0),
        check("packets early", measured.early as f64, "packets", 0.0),
    ];
    println!(
        "{}",
        serde_json::json!({ "measured": measured, "checks": checks })
    );
    if checks.iter().all(|check| check["holds"] == true) {
        Ok(())
    } else {
        Err("a check does not hold".into())
    }
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn direct(forwarder: Option<PathBuf>) -> Result<(), Box<dyn std::error::Error>> {
    testbed::enter()?;
    let sites = Direct::start()?;
    // Kept until the end: dropped, they end.
    let running = forwarder
        .map(|program| sites.start_forwarders([program.into()]))
        .transpose()?;
    if running.is_none() {
        sites.route_plainly()?;
    }
    let traffic = |arguments: &[&str]| {
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["traffic", "--die-with-parent"])
            .args(arguments)
            .stdout(Stdio::piped());
        command
    };
    let server = format!("{}:5001", sites.b.eid);
    let mut serving = sites.b.host.spawn(traffic(&["serve", "--listen", &server]))?;
    first_line(&mut serving)?;
    for arguments in [
        ["echo", "--seconds", "1", &server],
        ["download", "--seconds", "2", &server],
    ] {
        let output = sites.a.host.spawn(traffic(&arguments))?.wait_with_output()?;
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
    serving.kill()?;
    serving.wait()?;
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Echo,
    None,
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn lab(session: &Path, forwarder: PathBuf, trial: Trial) -> Result<(), Box<dyn std::error::Error>> {
    let privilege = testbed::enter()?;
    println!("privilege: {privilege:?}");
    let fabric = Fabric::of(&Session::read(session)?).ok_or("the session has no lab: part")?;
    let options = LabOptions {
        forwarder: vec![forwarder.into()],
        ..LabOptions::this_program()?
    };
    let lab = Lab::start(&fabric, options, &mut |progress| println!("{progress:?}"))?;
    println!("directory: {}", lab.directory().display());
    if trial == Trial::Echo {
        for (site, rloc) in &fabric.sites {
            let mut command = lab.traffic();
            command
                .args(["serve", "--listen", &format!("{}:5001", rloc.0)])
                .stdout(Stdio::piped());
            let mut server = lab.node_host(&Node::Site(site.clone()))?.spawn(command)?;
            first_line(&mut server)?;
            for user in fabric.users.keys() {
                let mut command = lab.traffic();
                command
                    .args(["echo", "--seconds", "0.2", &format!("{}:5001", rloc.0)])
                    .stdout(Stdio::piped());
                let output = lab
                    .node_host(&Node::User(user.clone()))?
                    .spawn(command)?
                    .wait_with_output()?;
                print!("{user} {site} {}", String::from_utf8_lossy(&output.stdout));
            }
            server.kill()?;
            server.wait()?;
        }
    }
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(lab.stop()?)
}

fn first_line(child: &mut Child) -> std::io::Result<String> {
    let mut text = String::new();
    if let Some(output) = &mut child.stdout {
        BufReader::new(output).read_line(&mut text)?;
    }
    Ok(text)
}

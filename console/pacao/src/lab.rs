//! `pacao lab`: a session's fabric in network namespaces, until Ctrl-C.

use anyhow::Context;
use engine::session::Session;
use testbed::{Fabric, Lab, LabOptions, Progress};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::LabArgs;
use crate::session_file::SessionFile;

/// Builds it and keeps it.
pub(crate) fn run(args: &LabArgs) -> anyhow::Result<bool> {
    testbed::enter()?;
    let session = Session::read(&args.session)?;
    let name = args.session.display();
    let lab = build(&session)?.with_context(|| format!("{name} has no `lab:` part; nothing to build"))?;
    let mut file = SessionFile::parse(&std::fs::read_to_string(&args.session)?)?;
    file.set_controls(&lab.controls())?;
    // In the lab's own directory, so that it goes when the lab goes.
    let path = lab.directory().join("session.yaml");
    std::fs::write(&path, file.text()?)?;
    println!("the fabric is up, until Ctrl-C; in another terminal:");
    println!("  pacao run {}", path.display());
    for (user, socket) in lab.user_controls() {
        println!(
            "  pacao ctl node {} map-cache     # what {user} uses",
            socket.display()
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminate.recv() => Ok(()),
        }
    })?;
    for (what, words) in lab.casualties() {
        eprintln!("{what} had died: {words}");
    }
    lab.stop()?;
    eprintln!("taken down");
    Ok(true)
}

/// Builds the fabric of a session, with a line for each step; `None` if the session has no `lab:` part.
pub(crate) fn build(session: &Session) -> anyhow::Result<Option<Lab>> {
    let Some(fabric) = Fabric::of(session) else {
        return Ok(None);
    };
    build_fabric(&session.name, &fabric).map(Some)
}

/// Builds a fabric, with a line for each step.
pub(crate) fn build_fabric(name: &str, fabric: &Fabric) -> anyhow::Result<Lab> {
    eprintln!("building {name} in network namespaces");
    let mut say = |progress: Progress| eprintln!("  {}", words(&progress));
    Ok(Lab::start(fabric, LabOptions::this_program()?, &mut say)?)
}

fn words(progress: &Progress) -> String {
    match progress {
        Progress::Swept { directories } => {
            format!("removed {directories} run directories of labs that were killed")
        }
        Progress::Wired { namespaces } => format!("{namespaces} namespaces wired"),
        Progress::LineUp => "the delay line carries packets".to_owned(),
        Progress::ForwarderUp { node, up, of } => format!("forwarder {up}/{of}: {node}"),
    }
}

//! `pacao lab`: a session's fabric in network namespaces, until Ctrl-C.

use anyhow::Context;
use engine::session::Session;
use testbed::{Fabric, Lab, LabOptions};

use crate::cli::LabArgs;
use crate::session_file::SessionFile;

/// Builds it and keeps it.
pub(crate) fn run(args: &LabArgs) -> anyhow::Result<bool> {
    testbed::enter()?;
    let session = Session::read(&args.session)?;
    let name = args.session.display();
    let fabric =
        Fabric::of(&session).with_context(|| format!("{name} has no `lab:` part; nothing to build"))?;
    eprintln!(
        "building {} in network namespaces; Ctrl-C takes it down",
        session.name
    );
    let lab = Lab::start(&fabric, LabOptions::this_program()?, &mut |progress| {
        eprintln!("  {progress:?}");
    })?;
    let mut file = SessionFile::parse(&std::fs::read_to_string(&args.session)?)?;
    file.set_controls(&lab.controls())?;
    let directory = tempfile::Builder::new().prefix("pacao-session-").tempdir()?;
    let path = directory.path().join("session.yaml");
    std::fs::write(&path, file.text()?)?;
    println!("the fabric is up; in another terminal:");
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
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
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

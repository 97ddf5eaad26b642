//! `pacao serve`: the engine alone. JSON lines on standard output, a WebSocket on loopback.

use std::io::IsTerminal;

use anyhow::Context;
use engine::paths::{Root, StateDir, StatePaths};
use engine::session::Session;
use engine::{Attachment, EngineHandle};
use proto::{Actor, Command, EngineFrame, Mode, RequestId};
use testbed::Lab;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{EngineArgs, ServeArgs};
use crate::lab;
use crate::screen::operator;

/// Serves until SIGINT or SIGTERM.
pub(crate) fn run(args: ServeArgs) -> anyhow::Result<bool> {
    if args.die_with_parent {
        testbed::guard::die_with_parent()?;
    }
    log_to_stderr();
    let (session, lab) = prepare(&args.engine)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(session, args.engine));
    // A reader of our lines that does not read must not keep us.
    runtime.shutdown_background();
    lab.map_or(Ok(()), Lab::stop)?;
    served.map(|()| true)
}

async fn serve(session: Session, args: EngineArgs) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut engine = start(session, args).await?;
    if let Some(endpoint) = engine.endpoint() {
        tracing::info!("consoles attach at {}", endpoint.url);
    }
    let lines = tokio::spawn(engine::lines::write(
        engine.attach().await?.frames,
        tokio::io::stdout(),
    ));
    let ended = tokio::select! {
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        error = engine.ended() => Some(error),
    };
    if let Some(error) = ended {
        return Err(error.into());
    }
    engine.shutdown().await?;
    // The goodbye is the last line.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), lines).await;
    Ok(())
}

/// Reads the session. If it describes a lab, and no forwarders that run already, the lab is built: to be called before
/// there is a second thread.
pub(crate) fn prepare(args: &EngineArgs) -> anyhow::Result<(Session, Option<Lab>)> {
    let mut session = Session::read(&args.session)?;
    if session.lab.is_none() || !session.controls.is_empty() {
        return Ok((session, None));
    }
    testbed::enter()?;
    let lab = lab::build(&session)?;
    session.controls = lab.as_ref().map(Lab::controls).unwrap_or_default();
    Ok((session, lab))
}

/// Takes a session up as the arguments say.
pub(crate) async fn start(mut session: Session, args: EngineArgs) -> anyhow::Result<EngineHandle> {
    let root = args.state.clone().map_or(Root::User, Root::At);
    let paths = StatePaths::new(&root, &session.name)?;
    if let Some(mode) = args.mode {
        session.config.mode = mode;
    }
    let mut options = engine::Options::new(StateDir::open(paths)?);
    options.console = Some(args.listen);
    if args.fresh {
        options.start = engine::Start::Fresh;
    }
    let engine = engine::spawn(session, options).await?;
    if let Some(mode) = args.mode {
        set_mode(engine.attach().await?, mode).await?;
    }
    Ok(engine)
}

/// An engine that goes on with a record goes on in the record's mode; the command line has the last word.
async fn set_mode(mut attachment: Attachment, wanted: Mode) -> anyhow::Result<()> {
    while let Some(frame) = attachment.frames.recv().await {
        match frame {
            EngineFrame::Snapshot { snapshot } if snapshot.mode == wanted => break,
            EngineFrame::Snapshot { .. } => {
                let request = RequestId(format!(
                    "mode-{}-{:x}",
                    std::process::id(),
                    crate::traffic::now().micros()
                ));
                let by = Actor::Operator { name: operator() };
                attachment
                    .ask
                    .send((request, Command::SetMode { mode: wanted }, by))
                    .await
                    .context("the engine ended")?;
            }
            EngineFrame::Reply { .. } => break,
            _ => {}
        }
    }
    Ok(())
}

/// Logs to standard error: human lines on a terminal, JSON otherwise. `RUST_LOG` chooses what.
pub(crate) fn log_to_stderr() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.json().init();
    }
}

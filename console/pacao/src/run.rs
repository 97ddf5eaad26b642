//! `pacao run`: the engine and its console in one process.

use testbed::Lab;
use tui::{Asks, Ending};

use crate::cli::RunArgs;
use crate::screen::{self, Screen};
use crate::serve;

/// Runs until the operator quits; the engine ends with its console (`pacao serve` is the one that stays).
pub(crate) fn run(args: RunArgs) -> anyhow::Result<bool> {
    screen::present()?;
    // Before anything starts: a bad layout must not leave half an engine.
    screen::layout(&args.screen)?;
    let (session, lab) = serve::prepare(&args.engine)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let engine = runtime.block_on(serve::start(session, args.engine))?;
    let attachment = runtime.block_on(engine.attach())?;
    let then = if lab.is_some() {
        "the engine ends, and the lab it built; nothing is measured or moved any more"
    } else {
        "the engine ends: nothing is measured, proposed or moved; forwarders go on as they are"
    };
    let ending = Screen::new(&args.screen, attachment)?
        .quitting(Asks::Always, then)
        .show(|_| {});
    runtime.block_on(engine.shutdown())?;
    lab.map_or(Ok(()), Lab::stop)?;
    if let Ending::Lost { why } = ending? {
        anyhow::bail!("the engine was lost: {why}");
    }
    Ok(true)
}

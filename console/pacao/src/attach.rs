//! `pacao attach`: a console on an engine of another process.

use std::path::PathBuf;

use anyhow::{Context, bail};
use engine::Attachment;
use engine::console_link::{Connection, Token, connect};
use engine::paths::{Root, StatePaths};
use tui::Ending;

use crate::cli::{AttachArgs, EngineAt};
use crate::screen::{self, Screen, operator};

/// Where an engine is, and what opens its door.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    url: String,
    token: PathBuf,
}

impl Door {
    /// Finds the engine that is meant.
    pub(crate) fn find(at: &EngineAt) -> anyhow::Result<Self> {
        let root = at.state.clone().map_or(Root::User, Root::At);
        if let (Some(url), Some(token)) = (&at.url, &at.token_file) {
            return Ok(Self {
                url: url.clone(),
                token: token.clone(),
            });
        }
        let mut doors = Vec::new();
        let mut others = Vec::new();
        for paths in StatePaths::with_endpoint(&root)? {
            let name = paths
                .folder()
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let endpoint = paths.endpoint();
            let url = std::fs::read_to_string(&endpoint).with_context(|| endpoint.display().to_string())?;
            let door = Self {
                url: url.trim().to_owned(),
                token: paths.token(),
            };
            let wanted = at.session.as_ref().is_none_or(|session| *session == name)
                && at
                    .url
                    .as_ref()
                    .is_none_or(|url| url.trim_end_matches('/') == door.url.trim_end_matches('/'));
            if wanted {
                doors.push((name, door));
            } else {
                others.push(name);
            }
        }
        let names: Vec<&str> = doors.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(", ");
        match (doors.pop(), doors.is_empty()) {
            (Some((_, door)), true) => Ok(Self {
                token: at.token_file.clone().unwrap_or(door.token),
                url: door.url,
            }),
            (Some(_), false) => bail!("several engines run: {names}; choose one with --session"),
            (None, _) if !others.is_empty() && at.url.is_none() => bail!(
                "no engine of yours is called {}; these run: {}",
                at.session.as_deref().unwrap_or_default(),
                others.join(", ")
            ),
            (None, _) => match &at.url {
                Some(url) => {
                    bail!("no engine of yours listens at {url}; if it is another user's, give --token-file")
                }
                None => bail!("no engine of yours runs; start one with `pacao run`, `serve` or `demo`"),
            },
        }
    }

    /// Goes in.
    pub(crate) async fn enter(&self) -> anyhow::Result<(Attachment, Connection)> {
        let token = Token::read(&self.token)?;
        Ok(connect(&self.url, &token, &operator()).await?)
    }
}

/// Shows the console until the operator quits; looks for the engine again when it is lost.
pub(crate) fn run(mut args: AttachArgs) -> anyhow::Result<bool> {
    screen::present()?;
    screen::layout(&args.screen)?;
    args.engine.url = args.at.or(args.engine.url);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (attachment, connection) = runtime.block_on(Door::find(&args.engine)?.enter())?;
    let handle = runtime.handle().clone();
    let at = args.engine.clone();
    // A restarted engine listens elsewhere: look for its door anew.
    let again = move || handle.block_on(Door::find(&at).ok()?.enter()).ok();
    let screen = Screen::new(&args.screen, attachment)?.remote(connection, Box::new(again));
    let ending = screen.show(|_| {})?;
    // Not waiting for a connection attempt that may be under way.
    runtime.shutdown_background();
    if let Ending::Lost { why } = ending {
        bail!("the engine was lost: {why}");
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_does_not_run_is_answered_with_those_that_do() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::At(state.path().to_owned());
        for name in ["paris", "lyon"] {
            let paths = StatePaths::new(&root, name).unwrap();
            std::fs::create_dir_all(paths.folder()).unwrap();
            std::fs::write(paths.endpoint(), "ws://127.0.0.1:1").unwrap();
            // It runs as long as this process does.
            std::fs::write(paths.lock(), std::process::id().to_string()).unwrap();
        }
        let at = |session: Option<&str>| EngineAt {
            session: session.map(str::to_owned),
            state: Some(state.path().to_owned()),
            url: None,
            token_file: None,
        };
        let told = |session| Door::find(&at(session)).unwrap_err().to_string();
        assert_eq!(
            told(Some("nope")),
            "no engine of yours is called nope; these run: lyon, paris"
        );
        assert!(told(None).starts_with("several engines run:"));
        assert_eq!(Door::find(&at(Some("lyon"))).unwrap().url, "ws://127.0.0.1:1");
    }
}

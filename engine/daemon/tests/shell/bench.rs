//! Two data centres, one user, one engine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{Attachment, EngineError, EngineHandle, Options, Root, Session, StateDir, StatePaths};
use lisp_wire::Rloc;
use proto::{
    Actor, Command, EngineFrame, Mode, Notice, Proposal, ProposalState, Reply, RequestId, SiteName, Snapshot,
    Span,
};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::forwarder::FakeForwarder;

const SESSION: &str = include_str!("../../../../sessions/two-sites.yaml");

/// Only a hang takes this long.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const USER: Rloc = Rloc(std::net::IpAddr::V4(std::net::Ipv4Addr::new(172, 16, 1, 1)));

pub(crate) struct Bench {
    folder: PathBuf,
    _own: Option<TempDir>,
    pub(crate) session: Session,
    pub(crate) north: FakeForwarder,
    pub(crate) south: FakeForwarder,
}

impl Bench {
    /// The fabric of `sessions/two-sites.yaml` with slots a tenth as long; the user enters by north.
    pub(crate) fn new(mode: Mode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        Self::over(&path, Some(folder), mode)
    }

    /// The same in a folder that outlives it.
    pub(crate) fn at(folder: &Path, mode: Mode) -> Self {
        Self::over(folder, None, mode)
    }

    fn over(folder: &Path, own: Option<TempDir>, mode: Mode) -> Self {
        let mut session = Session::parse(SESSION, "two-sites.yaml").unwrap();
        let config = &mut session.config;
        config.mode = mode;
        (config.slots.decide, config.slots.settle) = (Span::millis(500), Span::millis(250));
        config.slots.probe = Span::millis(20);
        let start = |site: &str| FakeForwarder::start(site, &folder.join(site));
        let (north, south) = (start("north"), start("south"));
        for site in ["north", "south"] {
            session
                .controls
                .insert(SiteName::new(site).unwrap(), folder.join(site));
        }
        north.finds(USER, Span::millis(20));
        south.finds(USER, Span::millis(30));
        Self {
            folder: folder.to_owned(),
            _own: own,
            session,
            north,
            south,
        }
    }

    pub(crate) fn paths(&self) -> StatePaths {
        paths_in(&self.folder)
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.paths().record()
    }

    pub(crate) async fn engine(&self) -> EngineHandle {
        self.try_engine(|_| ()).await.unwrap()
    }

    /// An engine with other options. An engine that was killed lets its folder go a moment later.
    pub(crate) async fn try_engine(
        &self,
        change: impl FnOnce(&mut Options),
    ) -> Result<EngineHandle, EngineError> {
        let opened = async {
            loop {
                match StateDir::open(self.paths()) {
                    Ok(state) => return state,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let mut options = Options::new(timeout(LIMIT, opened).await.expect("the folder is free"));
        change(&mut options);
        engine::spawn(self.session.clone(), options).await
    }
}

/// The engine's files, for a bench in this folder.
pub(crate) fn paths_in(folder: &Path) -> StatePaths {
    StatePaths::new(&Root::At(folder.join("state")), "two-sites").unwrap()
}

/// The next frame that holds what is looked for.
pub(crate) async fn until<T>(
    console: &mut Attachment,
    what: &str,
    mut look: impl FnMut(EngineFrame) -> Option<T>,
) -> T {
    let found = async {
        loop {
            let frame = console
                .frames
                .recv()
                .await
                .unwrap_or_else(|| panic!("the engine went before: {what}"));
            if let Some(found) = look(frame) {
                return found;
            }
        }
    };
    timeout(LIMIT, found)
        .await
        .unwrap_or_else(|_| panic!("never came: {what}"))
}

/// The next notice that holds what is looked for; rows of snapshots do not count.
pub(crate) async fn until_notice<T>(
    console: &mut Attachment,
    what: &str,
    mut look: impl FnMut(&Notice) -> Option<T>,
) -> T {
    until(console, what, |frame| match frame {
        EngineFrame::Notices { notices } => notices.iter().find_map(&mut look),
        _ => None,
    })
    .await
}

/// The proposal in the state looked for, as soon as it is in it.
pub(crate) async fn until_proposal(
    console: &mut Attachment,
    what: &str,
    look: impl Fn(&ProposalState) -> bool,
) -> Proposal {
    let looked = |proposal: &Proposal| look(&proposal.state).then(|| proposal.clone());
    until(console, what, |frame| match frame {
        EngineFrame::Notices { notices } => notices.iter().find_map(|notice| match notice {
            Notice::Proposal { proposal } => looked(proposal),
            _ => None,
        }),
        EngineFrame::Snapshot { snapshot } => snapshot.proposals.iter().find_map(looked),
        _ => None,
    })
    .await
}

/// Until both forwarders are connected and every link was heard.
pub(crate) async fn until_measured(engine: &EngineHandle) {
    let measured = async {
        loop {
            let snapshot = snapshot(engine).await;
            if !snapshot.links.is_empty() && snapshot.links.iter().all(|row| row.rtt.is_some()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, measured).await.expect("links are measured");
}

pub(crate) async fn snapshot(engine: &EngineHandle) -> Snapshot {
    first_snapshot(&mut engine.attach().await.unwrap()).await
}

pub(crate) async fn first_snapshot(console: &mut Attachment) -> Snapshot {
    until(console, "a snapshot", |frame| match frame {
        EngineFrame::Snapshot { snapshot } => Some(snapshot),
        _ => None,
    })
    .await
}

pub(crate) fn ada() -> Actor {
    Actor::Operator { name: "ada".into() }
}

/// Asks, and reads on to the reply of that request.
pub(crate) async fn ask(console: &mut Attachment, request: &str, command: Command) -> Reply {
    let request = RequestId(request.into());
    console.ask.send((request.clone(), command, ada())).await.unwrap();
    until(console, "a reply", |frame| match frame {
        EngineFrame::Reply { request: of, reply } if of == request => Some(reply),
        _ => None,
    })
    .await
}

//! What a demo stands on: the fabric, the engine, the download of a user, and that of a twin whose entry stays.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use engine::paths::{Root, StateDir, StatePaths};
use engine::session::Session;
use engine::{Attachment, EngineHandle};
use proto::{SiteName, Span, UserName, VmName};
use testbed::{Fabric, Lab};
use tokio::runtime::Runtime;

use crate::cli::DemoArgs;
use crate::session_file::{SessionFile, TABLE_5_1};
use crate::traffic::{Outcome, Server, Traffic};

/// The receiver window of both downloads, bytes (thesis section 5.4).
pub(super) const WINDOW: u32 = 163_840;

/// The user behind 8 Mbit/s, 37 ms from TelcoCenter.
const THESIS_USER: &str = "paris-001";

/// The twin's name, locator and EIDs.
const TWIN: (&str, &str, &str) = ("fixed-rloc", "172.16.250.1", "10.250.1.0/24");

/// Everything that runs.
pub(super) struct Stage {
    pub lab: Lab,
    /// The user whose link goes bad.
    pub user: UserName,
    /// The same user over again, unknown to the engine: what would have been.
    pub twin: UserName,
    /// The entry at the start.
    pub from: SiteName,
    /// The twin's entry: the VM's home, as registered.
    pub home: SiteName,
    /// Labels of the data centres.
    pub labels: BTreeMap<SiteName, String>,
    /// S' and S''' of the session.
    pub slots: (Span, Span),
    /// Where the engine's record is.
    pub record: PathBuf,
    /// The session's name, for `pacao ctl --session`.
    pub session: String,
    /// The round trip over the entry at the start, undisturbed.
    pub base_rtt: Span,
    runtime: Runtime,
    engine: EngineHandle,
    traffic: Traffic,
    twin_traffic: Traffic,
    _server: Server,
}

impl Stage {
    /// Builds the fabric, starts the engine, waits until every link is measured, begins the downloads.
    pub(super) fn build(args: &DemoArgs) -> anyhow::Result<Self> {
        let (text, name) = match &args.session {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
                (text, path.display().to_string())
            }
            None => (TABLE_5_1.to_owned(), "table-5-1".to_owned()),
        };
        let plain = Session::parse(&text, &name)?;
        let Some((user, vm, from)) = cast(&plain, args) else {
            let able = plain.config.users.iter().filter(|(_, user)| !user.vms.is_empty());
            let able: Vec<&str> = able.map(|(user, _)| user.as_str()).collect();
            match &args.user {
                Some(asked) => bail!("{name} has no user {asked} with a VM; it has {}", able.join(", ")),
                None => bail!("{name}: the demo needs a user with a VM"),
            }
        };
        let home = plain
            .config
            .vms
            .get(&vm)
            .map_or_else(|| from.clone(), |vm| vm.home.clone());
        let mut file = SessionFile::parse(&text)?;
        file.add_twin(user.as_str(), TWIN.0, TWIN.1, TWIN.2)?;
        let with_twin = Session::parse(&file.text()?, &name)?;
        let fabric =
            Fabric::of(&with_twin).with_context(|| format!("{name}: the demo needs a `lab:` part"))?;
        let wan = &with_twin.lab.as_ref().context("no lab part")?.wan;
        let base_rtt = wan.between(user.as_str(), from.as_str()).rtt;

        let lab = crate::lab::build_fabric(&plain.name, &fabric)?;
        let mut session = plain;
        session.controls = lab.controls();
        session.config.mode = super::mode(args);
        let slots = (session.config.slots.decide, session.config.slots.probe);
        let labels = session
            .config
            .sites
            .iter()
            .map(|(name, site)| (name.clone(), site.label.clone()))
            .collect();

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        session.name = format!("demo-{}", session.name);
        session.config.session.clone_from(&session.name);
        let name = session.name.clone();
        let paths = StatePaths::new(&Root::User, &name)?;
        let mut record = paths.record();
        if let Some(given) = &args.record {
            record.clone_from(given);
        }
        let mut options = engine::Options::new(StateDir::open(paths)?);
        options.record.clone_from(&record);
        options.start = engine::Start::Fresh;
        options.console = Some(([127, 0, 0, 1], 0).into());
        let engine = runtime.block_on(engine::spawn(session, options))?;

        let server = Server::start(&lab, &vm)?;
        let twin = UserName::new(TWIN.0)?;
        let traffic = Traffic::start(&lab, &user, &server, WINDOW, None)?;
        let twin_traffic = Traffic::start(&lab, &twin, &server, WINDOW, None)?;
        Ok(Self {
            lab,
            user,
            twin,
            from,
            home,
            labels,
            slots,
            record,
            session: name,
            base_rtt,
            runtime,
            engine,
            traffic,
            twin_traffic,
            _server: server,
        })
    }

    /// Another console's end of the engine.
    pub(super) fn attach(&self) -> anyhow::Result<Attachment> {
        Ok(self.runtime.block_on(self.engine.attach())?)
    }

    /// Becomes true at Ctrl-C.
    pub(super) fn interrupted(&self) -> Arc<AtomicBool> {
        let flag = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&flag);
        self.runtime.spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                set.store(true, Ordering::Relaxed);
            }
        });
        flag
    }

    /// Bytes downloaded by the user and by the twin.
    pub(super) fn volumes(&self) -> (u64, u64) {
        (self.traffic.bytes(), self.twin_traffic.bytes())
    }

    /// The name for people.
    pub(super) fn label<'a>(&'a self, site: &'a SiteName) -> &'a str {
        self.labels.get(site).map_or(site.as_str(), String::as_str)
    }

    /// Ends traffic, engine and fabric, in this order; what the user sent and got.
    pub(super) fn end(self) -> anyhow::Result<Outcome> {
        let outcome = self.traffic.stop()?;
        self.twin_traffic.stop()?;
        self.runtime.block_on(self.engine.shutdown())?;
        self.lab.stop()?;
        Ok(outcome)
    }
}

/// Whose link goes bad: who was asked for, or the thesis's user, or the first one.
fn cast(session: &Session, args: &DemoArgs) -> Option<(UserName, VmName, SiteName)> {
    let users = &session.config.users;
    let wanted = args.user.as_ref().map_or(THESIS_USER, UserName::as_str);
    let (name, user) = match users.get_key_value(wanted) {
        Some(found) => found,
        None if args.user.is_none() => users.iter().next()?,
        None => return None,
    };
    let (vm, entry) = user.vms.iter().next()?;
    Some((name.clone(), vm.clone(), entry.clone()))
}

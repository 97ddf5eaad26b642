//! The forwarder under test.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use proto::node::Show;
use proto::{NodeCommand, NodeReport};
use testbed::Namespace;

use crate::control::Control;

/// Where it answers.
pub(super) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 9, 1));
/// Where the load comes from.
pub(super) const LOAD: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 9, 2));
/// Whose keys: id and secret.
pub(super) const REGISTER: (u8, &str) = (1, "registrations of the bench");
pub(super) const PUBLISH: (u8, &str) = (2, "publications of the bench");

/// A forwarder process in a namespace of its own. Dropping it ends it.
pub(super) struct Server {
    child: Child,
    control: Control,
    pub(super) namespace: Namespace,
    _directory: tempfile::TempDir,
}

/// What the forwarder counts.
pub(super) struct Counted {
    pub(super) registrations: u64,
    pub(super) subscriptions: u64,
    pub(super) published: u64,
    pub(super) delivered: u64,
    pub(super) given_up: u64,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(super) fn start() -> anyhow::Result<Self> {
        let namespace = Namespace::new("map-server")?;
        namespace.links(|links| {
            links.address("lo", ADDRESS, 32)?;
            links.address("lo", LOAD, 32)
        })?;
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join("control.sock");
        let file = directory.path().join("node.yaml");
        std::fs::write(&file, configuration(&socket))?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["forwarder", "--die-with-parent", "--config"])
            .arg(&file);
        command.stdin(Stdio::null());
        let child = namespace.spawn(command)?;
        let control = connect(&socket)?;
        let mut server = Self {
            child,
            control,
            namespace,
            _directory: directory,
        };
        // The control socket is there before the others are; it answers when they are too.
        server.counted()?;
        Ok(server)
    }

    /// What it holds in memory, bytes.
    pub(super) fn memory(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).context(path)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kilobytes.context("no VmRSS")?.parse::<u64>()? * 1024)
    }

    /// Its figures, once all publications are acknowledged or `patience` is over.
    pub(super) fn settled(&mut self, patience: Duration) -> anyhow::Result<Counted> {
        let until = Instant::now() + patience;
        loop {
            let counted = self.counted()?;
            if counted.delivered >= counted.published || Instant::now() > until {
                return Ok(counted);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn counted(&mut self) -> anyhow::Result<Counted> {
        let what = Show::Counters;
        let NodeReport::Counters { rows } = self.control.ask(NodeCommand::Show { what })? else {
            bail!("asked for counters");
        };
        let rows: BTreeMap<String, u64> = rows.into_iter().map(|row| (row.name, row.value)).collect();
        let of = |name: &str| rows.get(name).copied().unwrap_or_default();
        Ok(Counted {
            registrations: self.rows(Show::Registrations)?,
            subscriptions: self.rows(Show::Subscriptions)?,
            published: of("control.pubsub.published"),
            delivered: of("control.pubsub.delivered"),
            given_up: of("control.pubsub.unanswered") + of("control.pubsub.expired"),
        })
    }

    /// How many rows a table has, page by page.
    fn rows(&mut self, what: Show) -> anyhow::Result<u64> {
        let (mut count, mut after) = (0, None);
        loop {
            let command = NodeCommand::Page {
                what,
                eid: None,
                after: after.take(),
                most: 0,
            };
            let NodeReport::Page(part) = self.control.ask(command)? else {
                bail!("asked for a page");
            };
            count += match *part.page {
                NodeReport::Registrations { rows } => rows.len() as u64,
                NodeReport::Subscriptions { rows } => rows.len() as u64,
                other => bail!("asked for {what:?}, got {other:?}"),
            };
            after = part.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }
}

fn connect(socket: &PathBuf) -> anyhow::Result<Control> {
    let until = Instant::now() + Duration::from_secs(10);
    while UnixStream::connect(socket).is_err() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    Control::connect(socket)
}

/// The limits are those of a router that is meant to serve so many; all load comes from one address here.
fn configuration(socket: &std::path::Path) -> String {
    let ((register, register_secret), (publish, publish_secret)) = (REGISTER, PUBLISH);
    format!(
        "name: bench
rlocs: [{{ address: {ADDRESS} }}]
roles: [map-server, map-resolver]
keys:
  register: {{ id: {register}, algorithm: hmac-sha256, secret: {register_secret} }}
  publish: {{ id: {publish}, algorithm: hmac-sha256, secret: {publish_secret} }}
sites: [{{ prefix: 10.0.0.0/8, keys: [register], accept_more_specifics: true }}]
pubsub: {{ key: publish, most: 1000000 }}
answers_per_second: 1000000
control: {{ socket: {} }}
",
        socket.display()
    )
}

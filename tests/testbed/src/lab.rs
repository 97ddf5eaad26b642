//! The running fabric: namespaces, the delay line, the forwarders, and the levers a drill pulls.

mod line_process;
mod node_file;
mod node_process;
mod nodes;
mod registered;
pub(crate) mod run_dir;
pub(crate) mod wiring;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lisp_wire::EidPrefix;
use proto::{SiteName, Span, UserName, VmName};

use crate::delay_line::{LineCommand, LineStats};
use crate::fabric::{Fabric, PairShape};
use crate::namespace::{Namespace, NamespaceError};
pub(crate) use line_process::LineProcess;
pub use line_process::LineProcessError;
pub use node_file::NodeFileError;
pub use node_process::NodeProcessError;
pub(crate) use nodes::Nodes;
use run_dir::RunDir;
pub use run_dir::RunDirError;
use wiring::Wiring;

/// A site with a forwarder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A data centre.
    Site(SiteName),
    /// A user site.
    User(UserName),
    /// Map-Server and Map-Resolver.
    MapServer,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(name) => name.fmt(f),
            Self::User(name) => name.fmt(f),
            Self::MapServer => f.pad("map-server"),
        }
    }
}

/// How to build.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// The program with the subcommands `forwarder`, `delay-line`, `guard` and `traffic`.
    pub program: PathBuf,
    /// The forwarder and its first arguments, to which `--config FILE --die-with-parent` is added; empty: `program forwarder`.
    pub forwarder: Vec<OsString>,
    /// Where the run directory goes; unset: `$XDG_RUNTIME_DIR`, or else `/tmp`.
    pub base: Option<PathBuf>,
    /// Further hosts on the WAN by name, without a forwarder: for tools that test what strangers can do.
    pub outsiders: BTreeMap<String, IpAddr>,
    /// How long a forwarder may take to answer on its control socket.
    pub patience: Duration,
    /// How the forwarders go about it.
    pub conduct: Conduct,
}

/// How the forwarders of a lab go about their work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conduct {
    /// How they tell clients that a mapping changed.
    pub tell_by: TellBy,
    /// What those of users are told their locators are.
    pub user_locators: UserLocators,
}

/// What the forwarder of a user is told its locator is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserLocators {
    /// The address that the fabric gives it.
    #[default]
    Fixed,
    /// Whatever address its uplink has: it may roam ([`Lab::roam`]).
    Interface,
}

/// How clients of a lab are told that a mapping changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TellBy {
    /// Each as it has shown to heed: what a forwarder does that is not told otherwise.
    #[default]
    Best,
    /// Change-Priority with C=1 (thesis section 4.3), to everybody.
    ChangePriority,
    /// Solicit-Map-Request (RFC 9301 section 6.1).
    Smr,
    /// The Map-Server publishes (RFC 9437): it answers in place of the xTRs, and all of them are its subscribers.
    PubSub,
}

impl LabOptions {
    /// This program itself, no outsiders, ten seconds of patience, clients told as each has shown to heed, nobody roams.
    pub fn this_program() -> io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            forwarder: Vec::new(),
            base: None,
            outsiders: BTreeMap::new(),
            patience: Duration::from_secs(10),
            conduct: Conduct::default(),
        })
    }
}

/// What has been built so far, for a line on a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Removed what an earlier lab that was killed left in the run directory's parent.
    Swept {
        /// How many run directories.
        directories: usize,
    },
    /// Namespaces, cables and addresses stand.
    Wired {
        /// How many namespaces.
        namespaces: usize,
    },
    /// The delay line carries packets.
    LineUp,
    /// A forwarder answers.
    ForwarderUp {
        /// Which.
        node: Node,
        /// How many answer now.
        up: usize,
        /// How many there will be.
        of: usize,
    },
}

/// A running fabric. Dropping it ends every process and takes all namespaces down.
#[derive(Debug)]
pub struct Lab {
    // Fields are dropped in this order: processes first, then what they run in, then their files.
    forwarders: Mutex<Nodes>,
    line: Mutex<LineProcess>,
    wiring: Wiring,
    dir: RunDir,
    fabric: Fabric,
    program: PathBuf,
    patience: Duration,
}

impl Lab {
    /// Builds the fabric and waits until every forwarder answers and every EID is registered.
    pub fn start(
        fabric: &Fabric,
        options: LabOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LabError> {
        let base = options.base.unwrap_or_else(run_dir::base);
        let directories = RunDir::sweep(&base)?;
        if directories > 0 {
            progress(Progress::Swept { directories });
        }
        let dir = RunDir::create(&base)?;
        let (wiring, line_config) = Wiring::build(fabric, &options.outsiders)?;
        progress(Progress::Wired {
            namespaces: wiring.count(),
        });
        let line = LineProcess::start(&options.program, &line_config, &wiring.core, &dir)?;
        progress(Progress::LineUp);

        let command = if options.forwarder.is_empty() {
            vec![options.program.clone().into_os_string(), "forwarder".into()]
        } else {
            options.forwarder
        };
        let mut forwarders = Nodes::start(fabric, &command, &wiring.nodes, (&dir, options.conduct))?;
        let of = forwarders.count();
        forwarders.wait(options.patience, &mut |node, up| {
            progress(Progress::ForwarderUp {
                node: node.clone(),
                up,
                of,
            });
        })?;
        forwarders.wait_until_registered(fabric, options.patience)?;
        Ok(Self {
            forwarders: Mutex::new(forwarders),
            line: Mutex::new(line),
            wiring,
            dir,
            fabric: fabric.clone(),
            program: options.program,
            patience: options.patience,
        })
    }

    /// Control sockets of the data centres' forwarders.
    pub fn controls(&self) -> BTreeMap<SiteName, PathBuf> {
        let forwarders = self.forwarders();
        let controls = forwarders.controls().filter_map(|(node, socket)| match node {
            Node::Site(site) => Some((site.clone(), socket)),
            Node::User(_) | Node::MapServer => None,
        });
        controls.collect()
    }

    /// Control sockets of the user sites' forwarders.
    pub fn user_controls(&self) -> BTreeMap<UserName, PathBuf> {
        let forwarders = self.forwarders();
        let controls = forwarders.controls().filter_map(|(node, socket)| match node {
            Node::User(user) => Some((user.clone(), socket)),
            Node::Site(_) | Node::MapServer => None,
        });
        controls.collect()
    }

    /// The control socket of the Map-Server.
    pub fn map_server_control(&self) -> PathBuf {
        self.forwarders()
            .get(&Node::MapServer)
            .map(|process| process.socket().to_owned())
            .unwrap_or_default()
    }

    /// Adds `add` to the round trip between a user and a data centre, half of it each way. A second call replaces the first.
    pub fn stress(&self, user: &UserName, site: &SiteName, add: Span) -> Result<(), LabError> {
        let (user, site) = (user.to_string(), site.to_string());
        let half = Span(add.micros() / 2);
        for (from, to) in [(&user, &site), (&site, &user)] {
            self.tell_line(&LineCommand::Stress {
                from: from.clone(),
                to: to.clone(),
                add: half,
            })?;
        }
        Ok(())
    }

    /// Ends a stress.
    pub fn relieve(&self, user: &UserName, site: &SiteName) -> Result<(), LabError> {
        self.stress(user, site, Span::ZERO)
    }

    /// Gives the WAN between two nodes another shape, each way.
    pub fn reshape(&self, a: &Node, b: &Node, shape: PairShape) -> Result<(), LabError> {
        let (a, b) = (a.to_string(), b.to_string());
        for (from, to) in [(&a, &b), (&b, &a)] {
            self.tell_line(&LineCommand::Shape {
                from: from.clone(),
                to: to.clone(),
                shape,
            })?;
        }
        Ok(())
    }

    /// Gives the ways between two data centres another shape, each way: between their forwarders, and from either to the
    /// VMs that were built in the other.
    pub fn reshape_between(&self, a: &SiteName, b: &SiteName, shape: PairShape) -> Result<(), LabError> {
        self.reshape(&Node::Site(a.clone()), &Node::Site(b.clone()), shape)?;
        for (from, home) in [(a, b), (b, a)] {
            let gateway = wiring::inner_name(from.as_str());
            let living = self.fabric.vms.iter().filter(|(_, vm)| vm.home == *home);
            for (name, _) in living {
                let guest = wiring::vm_port(name);
                for (from, to) in [(&gateway, &guest), (&guest, &gateway)] {
                    self.tell_line(&LineCommand::Shape {
                        from: from.clone(),
                        to: to.clone(),
                        shape,
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Stops a VM, as a live migration does at its end: what reaches it from now on is lost, until [`Lab::rehome`].
    pub fn halt(&self, vm: &VmName) -> Result<(), LabError> {
        let port = wiring::vm_port(vm);
        self.tell_line(&LineCommand::Halt { port })
    }

    /// Tells the inner network that a VM runs in another data centre now.
    pub fn rehome(&self, vm: &VmName, home: &SiteName) -> Result<(), LabError> {
        let command = LineCommand::Rehome {
            port: wiring::vm_port(vm),
            home: wiring::inner_name(home.as_str()),
        };
        self.tell_line(&command)
    }

    /// A user's router joins another network: its address is `to` from now on, and no longer `from`. What is under way to
    /// the old address is lost. Its forwarder is told nothing but what the kernel tells it, and heeds that with
    /// [`UserLocators::Interface`].
    pub fn roam(&self, user: &UserName, (from, to): (IpAddr, IpAddr)) -> Result<(), LabError> {
        self.wiring.roam(&self.fabric, user, (from, to))
    }

    /// Kills a forwarder, without giving it a chance to say goodbye. Does nothing if it is dead already.
    pub fn kill_forwarder(&self, node: &Node) -> Result<(), LabError> {
        Ok(self.forwarders().get(node)?.kill()?)
    }

    /// Starts a killed forwarder again and waits until it answers.
    pub fn restart_forwarder(&self, node: &Node) -> Result<(), LabError> {
        let namespace = self.node_host(node)?;
        let mut forwarders = self.forwarders();
        let process = forwarders.get(node)?;
        process.restart(namespace)?;
        Ok(process.wait_until_it_answers(self.patience)?)
    }

    /// The namespace of a VM: spawn what is to run in it with [`Namespace::spawn`].
    pub fn vm_host(&self, vm: &VmName) -> Result<&Namespace, LabError> {
        found(self.wiring.vms.get(vm), vm)
    }

    /// The namespace of the host behind a user's xTR.
    pub fn user_host(&self, user: &UserName) -> Result<&Namespace, LabError> {
        found(self.wiring.users.get(user), user)
    }

    /// The namespace a node's forwarder runs in.
    pub fn node_host(&self, node: &Node) -> Result<&Namespace, LabError> {
        found(self.wiring.nodes.get(node), node)
    }

    /// The namespace of an outsider.
    pub fn outsider(&self, name: &str) -> Result<&Namespace, LabError> {
        found(self.wiring.outsiders.get(name), name)
    }

    /// The address of the host behind a user's xTR.
    pub fn user_address(&self, user: &UserName) -> Result<IpAddr, LabError> {
        found(self.fabric.users.get(user), user).map(|user| wiring::host_address(&user.eid))
    }

    /// The address of a VM.
    pub fn vm_address(&self, vm: &VmName) -> Result<IpAddr, LabError> {
        found(self.fabric.vms.get(vm), vm).map(|vm| wiring::host_address(&vm.eid))
    }

    /// `<program> traffic --die-with-parent`, to which a verb and its arguments are added before it is spawned in a
    /// namespace.
    pub fn traffic(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["traffic", "--die-with-parent"]);
        command
    }

    /// The directory with the forwarders' configurations (`NAME.yaml`, with their keys) and logs (`NAME.log`). Only its
    /// owner can read it, and it is gone when the lab ends.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// Process ids of the forwarders that run.
    pub fn pids(&self) -> BTreeMap<Node, u32> {
        self.forwarders()
            .pids()
            .map(|(node, pid)| (node.clone(), pid))
            .collect()
    }

    /// What the delay line did so far.
    pub fn line_stats(&self) -> Result<LineStats, LabError> {
        Ok(self.line().stats()?)
    }

    /// Begins the delay line's statistics anew.
    pub fn reset_line_stats(&self) -> Result<(), LabError> {
        self.tell_line(&LineCommand::Reset)
    }

    /// Processes that ended without being told to, by name, with how they ended and the last words of their logs.
    pub fn casualties(&self) -> Vec<(String, String)> {
        let line = self.line().casualty().map(|why| ("delay-line".to_owned(), why));
        line.into_iter().chain(self.forwarders().casualties()).collect()
    }

    /// Ends everything and says what could not be cleaned up. Dropping does the same silently.
    pub fn stop(self) -> Result<(), LabError> {
        let Self {
            forwarders,
            line,
            wiring,
            dir,
            ..
        } = self;
        drop((forwarders, line));
        drop(wiring);
        Ok(dir.remove()?)
    }

    fn tell_line(&self, command: &LineCommand) -> Result<(), LabError> {
        Ok(self.line().tell(command)?)
    }

    // A thread that panicked while it held a lock has broken no invariant: each call leaves the processes consistent.
    fn line(&self) -> std::sync::MutexGuard<'_, LineProcess> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forwarders(&self) -> std::sync::MutexGuard<'_, Nodes> {
        self.forwarders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn found<T>(thing: Option<T>, name: &(impl fmt::Display + ?Sized)) -> Result<T, LabError> {
    thing.ok_or_else(|| LabError::Unknown {
        name: name.to_string(),
    })
}

/// A lab that cannot be built, or a lever that does not move.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// No such user, VM, node or outsider.
    #[error("the lab has no '{name}'")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A namespace or something in it.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// Offloads that cannot be turned off.
    #[error("cannot turn the offloads of {interface} off: {source}")]
    Offloads {
        /// Which.
        interface: String,
        /// Why.
        source: io::Error,
    },
    /// A measurement.
    #[error("cannot {what} to measure the delay line: {source}")]
    Measure {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The run directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// A forwarder's configuration.
    #[error(transparent)]
    NodeFile(#[from] NodeFileError),
    /// The Map-Server cannot be asked.
    #[error("cannot ask the Map-Server at {}: {source}", socket.display())]
    Registrations {
        /// Its control socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A mapping is not registered.
    #[error("{eid} was not registered with the Map-Server within {seconds} s")]
    Unregistered {
        /// Which.
        eid: EidPrefix,
        /// How long was waited.
        seconds: u64,
    },
    /// A forwarder's process.
    #[error(transparent)]
    NodeProcess(#[from] NodeProcessError),
    /// The delay line's process.
    #[error(transparent)]
    LineProcess(#[from] LineProcessError),
}

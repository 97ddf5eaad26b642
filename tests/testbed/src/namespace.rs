//! A network namespace that is owned by a thread, and so has neither name nor file.
//!
//! The kernel keeps a namespace as long as a process is in it. Here that is one thread, which does what is sent to it:
//! opens sockets, writes sysctls, starts children (they inherit the namespace). When the process ends, however it
//! ends, the thread, the namespace and every interface in it are gone.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, unshare};

pub mod netlink;

pub use netlink::{Mac, NetlinkError, VethEnd};

type Job = Box<dyn FnOnce() + Send>;

/// A handle to a thread in a network namespace of its own. Dropping it ends the thread, and with it every child
/// started there that asked to die with its parent.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    file: OwnedFd,
}

impl Namespace {
    /// A new namespace with its loopback up. `name` is for errors and the thread's name only.
    pub fn new(name: &str) -> Result<Self, NamespaceError> {
        let failed = |source| NamespaceError::Create {
            namespace: name.to_owned(),
            source,
        };
        let (jobs, work) = mpsc::channel::<Job>();
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::Builder::new()
            // The kernel keeps fifteen characters.
            .name(name.chars().take(15).collect())
            .spawn(move || {
                let made = unshare(CloneFlags::CLONE_NEWNET)
                    .map_err(io::Error::from)
                    .and_then(|()| File::open("/proc/thread-self/ns/net"));
                let go_on = made.is_ok();
                if ready.send(made.map(OwnedFd::from)).is_err() || !go_on {
                    return;
                }
                while let Ok(job) = work.recv() {
                    job();
                }
            })
            .map_err(failed)?;
        let file = is_ready
            .recv()
            .map_err(|_| NamespaceError::Gone {
                namespace: name.to_owned(),
            })?
            .map_err(failed)?;
        let namespace = Self {
            name: name.to_owned(),
            jobs: Some(jobs),
            thread: Some(thread),
            file,
        };
        namespace.run(|| netlink::Links::open()?.up("lo"))??;
        Ok(namespace)
    }

    /// The name given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` in the namespace and waits for it. Sockets opened there stay in the namespace wherever they are used.
    pub fn run<T, F>(&self, work: F) -> Result<T, NamespaceError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let gone = || NamespaceError::Gone {
            namespace: self.name.clone(),
        };
        let (done, result) = mpsc::channel();
        let job = Box::new(move || {
            // The receiver waits below; it cannot have gone.
            let _ = done.send(work());
        });
        self.jobs
            .as_ref()
            .ok_or_else(gone)?
            .send(job)
            .map_err(|_| gone())?;
        result.recv().map_err(|_| gone())
    }

    /// Starts a child in the namespace. Its parent is the namespace's thread: a child that asks to die with its parent
    /// dies with the namespace. For programs that do not ask, see [`crate::guard`].
    pub fn spawn(&self, mut command: Command) -> Result<Child, NamespaceError> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.env(crate::guard::PARENT, std::process::id().to_string());
        self.run(move || command.spawn())?
            .map_err(|source| NamespaceError::Spawn {
                namespace: self.name.clone(),
                program,
                source,
            })
    }

    /// Writes `value` to `/proc/sys/net/<key>` as this namespace sees it; `key` is written with slashes.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<(), NamespaceError> {
        let path = format!("/proc/sys/net/{key}");
        let (at, text) = (path.clone(), value.to_owned());
        self.run(move || std::fs::write(at, text))?
            .map_err(|source| NamespaceError::Sysctl {
                namespace: self.name.clone(),
                path,
                source,
            })
    }

    /// Changes links, addresses, routes and neighbours of the namespace.
    pub fn links<T, F>(&self, work: F) -> Result<T, NamespaceError>
    where
        T: Send + 'static,
        F: FnOnce(&mut netlink::Links) -> Result<T, NetlinkError> + Send + 'static,
    {
        self.run(move || work(&mut netlink::Links::open()?))?
            .map_err(NamespaceError::from)
    }

    /// Lays a cable: a veth pair with one end here and the other in `to`, both up.
    pub fn cable(&self, here: VethEnd, to: &Self, there: VethEnd) -> Result<(), NamespaceError> {
        let peer: RawFd = to.file.as_raw_fd();
        let far = there.name.clone();
        self.links(move |links| {
            links.veth(&here, &there, peer)?;
            links.up(&here.name)
        })?;
        to.links(move |links| links.up(&far))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A job that panicked has ended the thread already; nothing is left to do about it.
            let _ = thread.join();
        }
    }
}

/// A namespace that cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// The kernel refused.
    #[error("cannot make network namespace '{namespace}': {source} (as root, or after `testbed::enter`?)")]
    Create {
        /// Which.
        namespace: String,
        /// Why.
        source: io::Error,
    },
    /// Its thread has ended.
    #[error("the thread of network namespace '{namespace}' has ended")]
    Gone {
        /// Which.
        namespace: String,
    },
    /// A program did not start.
    #[error("cannot start {program} in network namespace '{namespace}': {source}")]
    Spawn {
        /// Which.
        namespace: String,
        /// What.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A sysctl was refused.
    #[error(
        "cannot write {path} in network namespace '{namespace}': {source} (is /proc/sys mounted read-only?)"
    )]
    Sysctl {
        /// Which.
        namespace: String,
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A link, address, route or neighbour was refused.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

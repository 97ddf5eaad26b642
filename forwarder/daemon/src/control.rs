//! The control thread: owns the control machines, turns what happens into their inputs, and carries out their effects.

mod arrivals;
mod datagrams;
mod effects;
mod misses;
mod paths;
mod reload;

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datapath::Fate;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use node::{Effect, Input, Node};
use proto::{NodeCommand, NodeFrame, Span, Timestamp};

use crate::clients::{Clients, Happening, Waiting};
use crate::clock::Clock;
use crate::holding::Holding;
use crate::link::{Ear, Ticket};
use crate::memory::Memory;
use crate::release::Release;
use crate::roaming::Roaming;
use crate::shared::{Shared, Tables};
use crate::tenants::Tenants;

pub(crate) use datagrams::ControlSockets;
use paths::Paths;

/// Packet losses are logged this often at most.
const LOG_EVERY: Span = Span::secs(60);

/// So many publications of tables are remembered, to tell since when a mapping is in force.
const PUBLICATIONS: usize = 256;

/// Everything the thread owns.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) node: Node,
    pub(crate) clock: Clock,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sockets: ControlSockets,
    pub(crate) clients: Option<Clients>,
    /// `None` for a node that forgets everything with its process.
    pub(crate) memory: Option<Memory>,
    pub(crate) ear: Ear,
    /// `None` for a node that carries no packets.
    pub(crate) release: Option<Release>,
    /// The same, for what was held for EIDs of the site.
    pub(crate) tenants: Option<Arc<Tenants>>,
    /// `None` for a node whose locators are fixed.
    pub(crate) roaming: Option<Roaming>,
    /// Readable when the process is asked to end.
    pub(crate) signals: UnixStream,
    /// Readable when the configuration is to be read anew.
    pub(crate) hangups: UnixStream,
    /// The configuration's file.
    pub(crate) path: PathBuf,
    /// Closed by a packet thread that ends.
    pub(crate) lifelines: Vec<UnixStream>,
    pub(crate) desk: Desk,
}

/// What the thread keeps between one thing and the next.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The tables as they are, or are about to be, published.
    tables: Tables,
    published: Published,
    /// When tables were published last, the oldest first.
    publications: VecDeque<Timestamp>,
    holding: Holding<()>,
    arrivals: Holding<Ticket>,
    inputs: VecDeque<Input>,
    paths: Paths,
    log_at: Timestamp,
    lost: u64,
}

/// Whether the packet threads have the tables of the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Published {
    Yes,
    NotYet,
}

impl Desk {
    pub(crate) fn new(tables: Tables, now: Timestamp) -> Self {
        Self {
            tables,
            published: Published::Yes,
            publications: VecDeque::with_capacity(PUBLICATIONS),
            holding: Holding::for_misses(),
            arrivals: Holding::for_arrivals(),
            inputs: VecDeque::new(),
            paths: Paths::default(),
            log_at: now + LOG_EVERY,
            lost: 0,
        }
    }
}

/// Why the thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The process was asked to end.
    Asked,
    /// A packet thread ended by itself.
    ThreadDied,
}

/// What woke the thread.
#[derive(Clone, Copy, Debug, Default)]
struct Woken {
    asked_to_end: bool,
    hung_up: bool,
    thread_died: bool,
    words: bool,
    datagrams: bool,
    stored: bool,
    addresses: bool,
    clients: bool,
}

impl Control {
    /// Does what the machines want `first`, then runs until the process is asked to end, or a packet thread has died.
    pub(crate) fn run(mut self, first: Vec<Effect>) -> io::Result<End> {
        self.carry_out(first);
        self.work();
        loop {
            let woken = self.wait()?;
            if woken.thread_died {
                return Ok(End::ThreadDied);
            }
            if woken.hung_up {
                self.hung_up();
            }
            if woken.datagrams {
                self.receive();
            }
            if woken.words {
                self.ear.woken();
                self.listen();
            }
            if woken.stored {
                self.memory.iter().for_each(Memory::woken);
                self.say_what_waited();
            }
            if woken.addresses {
                self.follow_interfaces();
            }
            if woken.clients {
                self.serve_clients();
            }
            self.tick();
            self.work();
            if woken.asked_to_end {
                self.desk.inputs.push_back(Input::Shutdown);
                self.work();
                self.memory.iter().for_each(Memory::finish);
                self.say_what_waited();
                return Ok(End::Asked);
            }
        }
    }

    /// Sleeps until something happens or a deadline comes.
    fn wait(&self) -> io::Result<Woken> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let fixed = [self.signals.as_fd(), self.hangups.as_fd(), self.ear.as_fd()].map(readable);
        let mut waited = Vec::from(fixed);
        waited.extend(self.lifelines.iter().map(|lifeline| readable(lifeline.as_fd())));
        waited.extend(self.sockets.iter().map(|socket| readable(socket.as_fd())));
        waited.extend(self.memory.iter().map(|memory| readable(memory.as_fd())));
        waited.extend(self.roaming.iter().map(|roaming| readable(roaming.fd())));
        let (memory, roaming) = (
            usize::from(self.memory.is_some()),
            usize::from(self.roaming.is_some()),
        );
        let (lifelines, sockets) = (self.lifelines.len(), self.sockets.iter().len());
        for (fd, waiting) in self.clients.iter().flat_map(Clients::sources) {
            let flags = match waiting {
                Waiting::Input => PollFlags::POLLIN,
                Waiting::InputAndOutput => PollFlags::POLLIN | PollFlags::POLLOUT,
            };
            waited.push(PollFd::new(fd, flags));
        }
        let timeout = self
            .next_deadline()
            .map(|then| TimeSpec::from(until(self.clock.now(), then)));
        match ppoll(&mut waited, timeout, None) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(Woken::default()),
            Err(error) => return Err(error.into()),
        }
        let mut ready = waited.iter().map(|fd| fd.any().unwrap_or(true));
        Ok(Woken {
            asked_to_end: ready.next().unwrap_or(true),
            hung_up: ready.next().unwrap_or(true),
            words: ready.next().unwrap_or(true),
            thread_died: ready.by_ref().take(lifelines).fold(false, |any, one| any | one),
            datagrams: ready.by_ref().take(sockets).fold(false, |any, one| any | one),
            stored: ready.by_ref().take(memory).fold(false, |any, one| any | one),
            addresses: ready.by_ref().take(roaming).fold(false, |any, one| any | one),
            clients: ready.fold(false, |any, one| any | one),
        })
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let desk = &self.desk;
        [
            self.node.next_deadline(),
            desk.holding.next_deadline(),
            desk.arrivals.next_deadline(),
            desk.paths.next_deadline(),
            Some(desk.log_at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What is due.
    fn tick(&mut self) {
        let now = self.clock.now();
        self.desk.holding.expire(now, &self.shared.control);
        self.desk.arrivals.expire(now, &self.shared.control);
        self.look_at_paths_again(now);
        self.log_losses(now);
        if self.node.next_deadline().is_some_and(|then| then <= now) {
            self.desk.inputs.push_back(Input::Tick);
        }
    }

    /// Gives the machines what has gathered, and does what they say, until nothing is left.
    fn work(&mut self) {
        while let Some(input) = self.desk.inputs.pop_front() {
            let effects = self.node.handle(input, self.clock.now());
            self.carry_out(effects);
        }
    }

    /// Tells the machines where the node is now, if that has changed.
    fn follow_interfaces(&mut self) {
        if let Some(rlocs) = self.roaming.as_mut().and_then(Roaming::changed) {
            let text: Vec<String> = rlocs.iter().map(|own| own.rloc.to_string()).collect();
            tracing::info!(rlocs = text.join(" "), "the node has moved");
            let rlocs = rlocs.to_vec();
            self.desk.inputs.push_back(Input::Relocated { rlocs });
        }
    }

    fn serve_clients(&mut self) {
        let happenings = self.clients.as_mut().map(Clients::serve).unwrap_or_default();
        for happening in happenings {
            let input = match happening {
                Happening::Connected(client) => Input::Connected { client },
                Happening::Asked {
                    client,
                    frame:
                        NodeFrame {
                            request,
                            command: NodeCommand::Reload,
                        },
                } => {
                    self.reload_for(client, request);
                    continue;
                }
                Happening::Asked { client, frame } => Input::Command {
                    client,
                    request: frame.request,
                    command: frame.command,
                },
                Happening::Gone(client) => Input::ClientGone { client },
            };
            self.desk.inputs.push_back(input);
        }
    }

    /// The packet threads count and say nothing; here is said what they lost, not more than once a minute.
    fn log_losses(&mut self, now: Timestamp) {
        if now < self.desk.log_at {
            return;
        }
        self.desk.log_at = now + LOG_EVERY;
        let drops = || Fate::ALL.iter().filter(|fate| fate.name().contains(".drop."));
        let lost: u64 = drops().map(|fate| self.shared.total(*fate)).sum();
        let fresh = lost - self.desk.lost;
        self.desk.lost = lost;
        if fresh > 0 {
            let by_reason: Vec<String> = drops()
                .map(|fate| (fate.name(), self.shared.total(*fate)))
                .filter(|(_, count)| *count > 0)
                .map(|(name, count)| format!("{name}={count}"))
                .collect();
            tracing::info!(lost_last_minute = fresh, since_start = %by_reason.join(" "), "packets lost");
        }
    }
}

/// How long to sleep. A microsecond more than nothing, since a deadline that is here already is handled first.
fn until(now: Timestamp, then: Timestamp) -> Duration {
    then.since(now).to_duration()
}

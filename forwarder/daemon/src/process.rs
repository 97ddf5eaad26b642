//! The whole process: everything is opened, privileges are dropped, threads run until the end.
//!
//! | thread | waits for | owns |
//! |---|---|---|
//! | outbound | TUNs | encapsulation, its lanes' turn |
//! | inbound | UDP 4341 | decapsulation |
//! | control (the main one) | UDP 4342, control socket, timers, misses, signals | the control machines, held packets |
//! | memory | states to be stored, the disk | the state file |
//!
//! The packet threads read what the control thread publishes and never wait for it. A lifeline joins each to it: closed
//! on either side, the other sees it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use datapath::{Decapsulator, Encapsulator, Relay};
use node::{Effect, Input, Node};
use offload::{Capability, Role, SystemError, UdpSocket, capabilities};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::clients::{Clients, ListenError, Listener};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{Control, ControlSockets, Desk, End};
use crate::inbound::{Inbound, Passage};
use crate::interface::InterfaceError;
use crate::lanes::{LANES, Lanes};
use crate::link::{Mouth, link};
use crate::memory::Memory;
use crate::outbound::{BATCH, Outbound};
use crate::release::Release;
use crate::roaming::{self, Roaming};
use crate::shared::Shared;
use crate::state_file::{StateError, StateFile};
use crate::teller::Teller;
use crate::tenants::Tenants;
use crate::transmit::{DATA_PORT, Transmitter};

/// A forwarder that cannot run, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The TUN or its routes.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// A socket or the capabilities.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The control socket.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// What was to outlive the last process.
    #[error(transparent)]
    State(#[from] StateError),
    /// No random numbers.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
    /// A thread, a pipe or a signal handler.
    #[error("{what}: {source}")]
    Thread {
        /// Which.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A packet thread stopped: the TUN was removed, or it panicked.
    #[error("the {thread} thread stopped: {why}")]
    Died {
        /// Which.
        thread: &'static str,
        /// Why.
        why: String,
    },
}

fn thread_error(what: &'static str) -> impl Fn(io::Error) -> RunError {
    move |source| RunError::Thread { what, source }
}

/// Runs a forwarder until SIGTERM or SIGINT.
pub fn run(mut config: Config) -> Result<(), RunError> {
    let asked = |which: &[i32]| signals(which).map_err(thread_error("signals"));
    let (signals, hangups) = (asked(&[SIGTERM, SIGINT])?, asked(&[SIGHUP])?);
    let clock = Clock::start();
    let state = config.state_dir.as_deref().map(StateFile::within).transpose()?;
    let remembered = state.as_ref().map(StateFile::load).transpose()?.flatten();
    let listener = config.control.as_ref().map(Listener::open).transpose()?;

    let roaming = if config.roaming.is_empty() {
        None
    } else {
        let interfaces = std::mem::take(&mut config.roaming);
        let roaming = Roaming::start(interfaces, &signals).map_err(thread_error("watching interfaces"))?;
        let Some(roaming) = roaming else { return Ok(()) };
        config.node.rlocs = roaming.rlocs().to_vec();
        Some(roaming)
    };
    let rlocs: Vec<IpAddr> = match roaming {
        Some(_) => roaming::anywhere(),
        None => config.node.rlocs.iter().map(|own| own.rloc.0).collect(),
    };
    let uplink_mtu = config.tuns.first().map_or(1500, |tun| tun.uplink_mtu);
    let shared = Arc::new(Shared::new(uplink_mtu));
    let mut sockets = ControlSockets::open(rlocs.iter().copied())?;
    // A re-encapsulating router carries packets without having a site.
    let carries = !config.tuns.is_empty() || config.relay != Relay::Refused;
    let data = carries
        .then(|| DataSide::open(&config, (uplink_mtu, &rlocs), sockets.shared()))
        .transpose()?;
    if let Some(data) = &data {
        sockets.set_data(data.sockets.clone());
    }
    // Interfaces, routes and queues past the limit are made; all that could still be needed is CAP_NET_ADMIN.
    capabilities::keep_only(&[Capability::NetAdmin])?;

    let largest = data.as_ref().map_or(0, |data| data.largest);
    let (mouths, ear) = link(&[&shared.outbound, &shared.inbound], largest)
        .map_err(thread_error("waking the control thread"))?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(RunError::Random)?;
    let name = config.node.name.clone();
    let path = config.path;
    let (mut node, mut effects) = Node::new(config.node, clock.now(), seed);
    if let Some(state) = remembered {
        // The node begins without a past; what it would write now must not replace what it is about to be told.
        effects.retain(|effect| !matches!(effect, Effect::Remember(_)));
        effects.extend(node.handle(Input::Remembered(state), clock.now()));
    }
    let release = data.as_ref().map(|data| data.release(&shared));
    let tenants = data.as_ref().map(|data| Arc::clone(&data.tenants));
    let (threads, lifelines) = data.map_or(Ok(Default::default()), |data| data.start(&shared, mouths))?;
    let memory = state.map(Memory::start).transpose();
    let memory = memory.map_err(thread_error("the thread that stores the state"))?;
    let tables = shared.tables.load().as_ref().clone();
    let control = Control {
        node,
        desk: Desk::new(tables, clock.now()),
        clock,
        sockets,
        clients: listener.map(Clients::new),
        memory,
        ear,
        roaming,
        release,
        tenants,
        signals,
        hangups,
        path,
        lifelines,
        shared,
    };
    tracing::info!(%name, "forwarding");
    let end = control.run(effects).map_err(thread_error("control"))?;
    // The lifelines are closed with the control side: the threads end.
    for (thread, handle) in threads {
        let why = match handle.join() {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it panicked".to_owned(),
        };
        return Err(RunError::Died { thread, why });
    }
    match end {
        End::Asked => Ok(()),
        End::ThreadDied => Err(RunError::Died {
            thread: "packet",
            why: "for no reason it gave".into(),
        }),
    }
}

/// Readable once one of these signals has come.
fn signals(which: &[i32]) -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    for signal in which {
        signal_hook::low_level::pipe::register(*signal, write.try_clone()?)?;
    }
    Ok(read)
}

type Threads = Vec<(&'static str, JoinHandle<io::Result<()>>)>;

/// What carries packets.
struct DataSide {
    tenants: Arc<Tenants>,
    relay: Relay,
    lanes: Arc<Lanes>,
    sockets: Vec<Arc<UdpSocket>>,
    /// Where control messages come through the tunnel: behind a NAT, at the own locators.
    natted: Vec<IpAddr>,
    /// The largest packet that a TUN gives.
    mtu: u16,
    /// The largest packet or datagram of any kind.
    largest: usize,
}

impl DataSide {
    fn open(
        config: &Config,
        (uplink_mtu, rlocs): (u16, &[IpAddr]),
        control: Vec<Arc<UdpSocket>>,
    ) -> Result<Self, RunError> {
        let bind =
            |rloc: &IpAddr| UdpSocket::bind(SocketAddr::new(*rloc, DATA_PORT), Role::DataIn).map(Arc::new);
        let natted = config.node.map_servers.iter().any(|server| server.behind_nat);
        let sockets = rlocs.iter().map(bind).collect::<Result<_, _>>()?;
        let lanes = Arc::new(Lanes::open(rlocs, control)?);
        let outer = config.outer();
        let mtu = config.tuns.iter().map(|tun| tun.mtu(outer)).max().unwrap_or(0);
        let tenants = Tenants::establish(config.tuns.iter().map(|tun| (tun, tun.mtu(outer))))?;
        Ok(Self {
            tenants: Arc::new(tenants),
            relay: config.relay.clone(),
            lanes,
            sockets,
            natted: rlocs.iter().copied().filter(|_| natted).collect(),
            mtu,
            largest: usize::from(uplink_mtu),
        })
    }

    fn transmitter(&self, counters: &Arc<datapath::Counters>) -> Transmitter {
        Transmitter::new(Arc::clone(&self.lanes), BATCH, Arc::clone(counters))
    }

    fn release(&self, shared: &Arc<Shared>) -> Release {
        let counters = &shared.control;
        Release::new(
            Encapsulator::new(LANES, Arc::clone(counters)),
            self.transmitter(counters),
            self.largest,
            Arc::clone(counters),
        )
    }

    fn start(self, shared: &Arc<Shared>, mouths: Vec<Mouth>) -> Result<(Threads, Vec<UnixStream>), RunError> {
        let what = thread_error("starting a packet thread");
        let Ok([out_mouth, in_mouth]) = <[Mouth; 2]>::try_from(mouths) else {
            return Ok(Default::default());
        };
        let (out_line, out_end) = UnixStream::pair().map_err(&what)?;
        let (in_line, in_end) = UnixStream::pair().map_err(&what)?;
        let outbound = Outbound {
            tenants: Arc::clone(&self.tenants),
            shared: Arc::clone(shared),
            mouth: out_mouth,
            transmitter: self.transmitter(&shared.outbound),
            encapsulator: Encapsulator::new(LANES, Arc::clone(&shared.outbound)),
            mtu: self.mtu,
            lifeline: out_end,
        };
        let passage = Passage {
            transmitter: self.transmitter(&shared.inbound),
            encapsulator: Encapsulator::new(LANES, Arc::clone(&shared.inbound)),
            decapsulator: Decapsulator::new(
                self.tenants.iter().map(|tenant| tenant.iid),
                self.relay,
                Arc::clone(&shared.inbound),
            )
            .with_control_at(self.natted),
            tenants: self.tenants,
            shared: Arc::clone(shared),
            mouth: in_mouth,
            teller: Teller::new(),
        };
        let inbound = Inbound {
            sockets: self.sockets,
            passage,
            largest: self.largest,
            lifeline: in_end,
        };
        let spawn = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let threads = vec![
            (
                "outbound",
                spawn("outbound").spawn(move || outbound.run()).map_err(&what)?,
            ),
            (
                "inbound",
                spawn("inbound").spawn(move || inbound.run()).map_err(&what)?,
            ),
        ];
        Ok((threads, vec![out_line, in_line]))
    }
}

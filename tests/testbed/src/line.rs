//! The delay line as a machine: frames in, frames out later. Time is an argument; nothing here sleeps or asks for it.
//!
//! A frame's way: port -> switch (whom is it for?) -> access line of its port -> pair (bottleneck, loss, delay) -> access
//! line of the other port -> port. Everything happens at the time it is due, however late [`Line::poll`] is called, so
//! being late once never delays what follows.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | ports and shapes, as the lab writes them |
//! | [`frame`] | what a switch reads of a frame |
//! | [`switch`] | whom a frame is for; symmetric return on the inner network |
//! | [`pipe`] | one direction between two ports |
//! | [`access`] | one direction of an access line, fair or fifo |
//! | [`histogram`] | quantiles of the line's own error |

pub mod access;
pub mod config;
pub mod frame;
pub mod histogram;
pub mod pipe;
pub mod switch;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use crate::delay_line::{AccessCounters, LineCommand, PairCounters};
use crate::fabric::PairShape;
use access::AccessQueue;
use config::{ConfigError, LineConfig, PortKind};
use frame::View;
use pipe::{Pipe, Transit};
use switch::{Destination, Switch};

/// Nanoseconds on any clock that never goes backwards.
pub type Nanos = u64;

/// A port's number: its place in [`LineConfig::ports`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub usize);

/// A frame that is to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Where.
    pub port: PortId,
    /// When it was due.
    pub due: Nanos,
    /// From the Ethernet header on.
    pub bytes: Vec<u8>,
}

/// A frame on its way.
#[derive(Debug)]
struct Packet {
    bytes: Vec<u8>,
    /// Bytes from the IP header on: what counts on a line.
    length: u64,
    flow: u64,
    from: PortId,
    to: Destination,
}

/// The two directions of an access line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

#[derive(Debug)]
enum Step {
    /// It has crossed the pair and reaches the access line of its destination.
    Arrive { to: PortId, packet: Packet },
    /// An access line has sent its packet and takes the next.
    Sent { port: PortId, way: Way, packet: Packet },
}

struct Due {
    at: Nanos,
    order: u64,
    step: Step,
}

#[derive(Debug)]
struct Port {
    name: String,
    segment: String,
    kind: PortKind,
    up: Option<AccessQueue<Packet>>,
    down: Option<AccessQueue<Packet>>,
}

/// The machine.
pub struct Line {
    ports: Vec<Port>,
    names: HashMap<String, PortId>,
    switch: Switch,
    default: BTreeMap<String, PairShape>,
    shapes: HashMap<(PortId, PortId), PairShape>,
    /// VMs that stand still.
    halted: HashSet<PortId>,
    pipes: HashMap<(PortId, PortId), Pipe>,
    due: BinaryHeap<Reverse<Due>>,
    order: u64,
    random: fastrand::Rng,
}

impl Line {
    /// A line with these ports and shapes.
    pub fn new(config: LineConfig) -> Result<Self, ConfigError> {
        let checked = config.check()?;
        let queue = |access: &Option<_>| access.as_ref().map(AccessQueue::new);
        let ports: Vec<Port> = config
            .ports
            .iter()
            .map(|port| Port {
                name: port.name.clone(),
                segment: port.segment.clone(),
                kind: port.kind.clone(),
                up: queue(&port.access),
                down: queue(&port.access),
            })
            .collect();
        Ok(Self {
            switch: Switch::new(&config, &checked.names),
            ports,
            names: checked.names,
            default: config.default,
            shapes: checked.shapes,
            pipes: HashMap::new(),
            halted: HashSet::new(),
            due: BinaryHeap::new(),
            order: 0,
            random: fastrand::Rng::with_seed(config.seed),
        })
    }

    /// A frame came in at `port` at `at`.
    pub fn ingress(&mut self, port: PortId, bytes: Vec<u8>, at: Nanos) {
        let Some(view) = View::of(&bytes) else { return };
        let to = self.switch.decide(port, &view, at);
        if to == Destination::Nowhere {
            return;
        }
        let packet = Packet {
            length: view.length(),
            flow: view.flow(),
            from: port,
            to,
            bytes,
        };
        self.offer(port, Way::Up, packet, at);
    }

    /// Moves everything that is due by `now`; what leaves goes to `out`, in order.
    pub fn poll(&mut self, now: Nanos, out: &mut Vec<Departure>) {
        while self.due.peek().is_some_and(|Reverse(due)| due.at <= now) {
            let Some(Reverse(Due { at, step, .. })) = self.due.pop() else {
                return;
            };
            match step {
                Step::Arrive { to, .. } if self.halted.contains(&to) => {}
                Step::Arrive { to, packet } if self.ports[to.0].down.is_none() => {
                    out.push(Departure {
                        port: to,
                        due: at,
                        bytes: packet.bytes,
                    });
                }
                Step::Arrive { to, packet } => self.offer(to, Way::Down, packet, at),
                Step::Sent { port, way, packet } => {
                    match way {
                        Way::Up => self.cross(packet, at),
                        Way::Down => out.push(Departure {
                            port,
                            due: at,
                            bytes: packet.bytes,
                        }),
                    }
                    let next = self.queue(port, way).and_then(|queue| queue.sent(at));
                    if let Some((packet, done)) = next {
                        self.later(done, Step::Sent { port, way, packet });
                    }
                }
            }
        }
    }

    /// When [`Line::poll`] has something to do next.
    pub fn next_due(&self) -> Option<Nanos> {
        self.due.peek().map(|Reverse(due)| due.at)
    }

    /// Obeys a command that changes the line; the others are the process's business. Says what is wrong with it.
    pub fn command(&mut self, command: &LineCommand) -> Result<(), String> {
        match command {
            LineCommand::Stress { from, to, add } => {
                self.pipe_named(from, to)?.stress(*add);
            }
            LineCommand::Shape { from, to, shape } => {
                let pair = (self.port(from)?, self.port(to)?);
                self.shapes.insert(pair, *shape);
                self.pipe(pair).reshape(*shape);
            }
            LineCommand::Halt { port } => {
                let guest = self.port(port)?;
                if !matches!(self.ports[guest.0].kind, PortKind::Guest { .. }) {
                    return Err(format!("'{port}' must be a VM's port"));
                }
                self.halted.insert(guest);
            }
            LineCommand::Rehome { port, home } => {
                let (guest, gateway) = (self.port(port)?, self.port(home)?);
                if !matches!(self.ports[guest.0].kind, PortKind::Guest { .. })
                    || !matches!(self.ports[gateway.0].kind, PortKind::Gateway)
                {
                    return Err(format!(
                        "'{port}' must be a VM's port and '{home}' a data centre's inner port"
                    ));
                }
                self.ports[guest.0].kind = PortKind::Guest { home: home.clone() };
                self.halted.remove(&guest);
                self.switch.rehome(guest, gateway);
                let touched: Vec<_> = self
                    .pipes
                    .keys()
                    .filter(|(a, b)| *a == guest || *b == guest)
                    .copied()
                    .collect();
                for pair in touched {
                    let shape = self.shape(pair);
                    self.pipe(pair).reshape(shape);
                }
            }
            LineCommand::Reset => {
                self.pipes.values_mut().for_each(Pipe::reset);
                for port in &mut self.ports {
                    port.up
                        .iter_mut()
                        .chain(&mut port.down)
                        .for_each(AccessQueue::reset);
                }
            }
            LineCommand::Stats => {}
        }
        Ok(())
    }

    /// Counters by direction, written `from>to`.
    pub fn pair_counters(&self) -> BTreeMap<String, PairCounters> {
        let name = |port: PortId| self.ports[port.0].name.as_str();
        self.pipes
            .iter()
            .map(|((from, to), pipe)| (format!("{}>{}", name(*from), name(*to)), pipe.counters()))
            .collect()
    }

    /// Counters of the access lines by port.
    pub fn access_counters(&self) -> BTreeMap<String, AccessCounters> {
        self.ports
            .iter()
            .filter_map(|port| {
                let (up, down) = (port.up.as_ref()?, port.down.as_ref()?);
                let counters = AccessCounters {
                    up_dropped: up.dropped(),
                    down_dropped: down.dropped(),
                    up_peak: up.peak(),
                    down_peak: down.peak(),
                };
                Some((port.name.clone(), counters))
            })
            .collect()
    }

    fn offer(&mut self, port: PortId, way: Way, packet: Packet, at: Nanos) {
        let (flow, length) = (packet.flow, packet.length);
        match self.queue(port, way) {
            Some(queue) => {
                if let Some((packet, done)) = queue.offer(packet, flow, length, at) {
                    self.later(done, Step::Sent { port, way, packet });
                }
            }
            None => self.cross(packet, at),
        }
    }

    /// Sends a packet over the pair or, to several, over each pair.
    fn cross(&mut self, packet: Packet, at: Nanos) {
        match self.switch.ports(packet.to, packet.from) {
            switch::Ports::One(to) => self.transit(to, packet, at),
            switch::Ports::Many(ports) => {
                for to in ports {
                    let copy = Packet {
                        bytes: packet.bytes.clone(),
                        ..packet
                    };
                    self.transit(to, copy, at);
                }
            }
        }
    }

    fn transit(&mut self, to: PortId, packet: Packet, at: Nanos) {
        let chance = self.random.f64();
        let spread = self.random.f64();
        if let Transit::Through(out) = self
            .pipe((packet.from, to))
            .transit(packet.length, at, chance, spread)
        {
            self.later(out, Step::Arrive { to, packet });
        }
    }

    fn later(&mut self, at: Nanos, step: Step) {
        self.order += 1;
        self.due.push(Reverse(Due {
            at,
            order: self.order,
            step,
        }));
    }

    fn queue(&mut self, port: PortId, way: Way) -> Option<&mut AccessQueue<Packet>> {
        let port = &mut self.ports[port.0];
        match way {
            Way::Up => port.up.as_mut(),
            Way::Down => port.down.as_mut(),
        }
    }

    fn port(&self, name: &str) -> Result<PortId, String> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| format!("the line has no port '{name}'"))
    }

    fn pipe_named(&mut self, from: &str, to: &str) -> Result<&mut Pipe, String> {
        let pair = (self.port(from)?, self.port(to)?);
        if self.ports[pair.0.0].segment != self.ports[pair.1.0].segment {
            return Err(format!("'{from}' and '{to}' are on different networks"));
        }
        Ok(self.pipe(pair))
    }

    fn pipe(&mut self, pair: (PortId, PortId)) -> &mut Pipe {
        let shape = self.shape(pair);
        self.pipes.entry(pair).or_insert_with(|| Pipe::new(shape))
    }

    /// The shape of a pair: what was said of it; on the inner network, what was said of the data centres where both are.
    fn shape(&self, (from, to): (PortId, PortId)) -> PairShape {
        if let Some(shape) = self.shapes.get(&(from, to)) {
            return *shape;
        }
        let at = |port: PortId| match &self.ports[port.0].kind {
            PortKind::Guest { home } => self.names.get(home).copied().unwrap_or(port),
            PortKind::Gateway | PortKind::Plain => port,
        };
        let sites = (at(from), at(to));
        if sites.0 == sites.1 {
            return PairShape::default();
        }
        let default = || {
            self.default
                .get(&self.ports[from.0].segment)
                .copied()
                .unwrap_or_default()
        };
        self.shapes.get(&sites).copied().unwrap_or_else(default)
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // What was scheduled first goes first among equals.
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[cfg(test)]
mod tests;

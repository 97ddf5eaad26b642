//! The network between the nodes under test.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use datapath::{Forwarding, MapCache};
use lisp_wire::{CONTROL_PORT, Eid, EidPrefix, Message, Rloc};
use node::{ClientId, Config, Effect, Input, Node, State, To};
use proto::node::{CacheRow, Show};
use proto::{NodeCommand, NodeReport, Span, Timestamp};

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
    pub(crate) sent_at: Timestamp,
}

impl Packet {
    pub(crate) fn message(&self) -> Option<Message> {
        Message::parse(&self.bytes).ok()
    }

    pub(crate) fn is(&self, kind: fn(&Message) -> bool) -> bool {
        self.message().as_ref().is_some_and(kind)
    }
}

/// A node, and what the daemon around it would keep.
pub(crate) struct Member {
    config: Config,
    node: Option<Node>,
    starts: u8,
    state: State,
    pub(crate) published: MapCache,
    pub(crate) publications: usize,
    pub(crate) reports: Vec<(To, Option<u64>, NodeReport)>,
    pub(crate) released: Vec<EidPrefix>,
    pub(crate) discarded: Vec<EidPrefix>,
    pub(crate) delivered: Vec<EidPrefix>,
    /// How often it was to write to its disk.
    pub(crate) remembered: usize,
}

/// Decides whether a packet is lost.
pub(crate) type Loss = Box<dyn FnMut(&Packet) -> bool>;

/// Stands between one member and all others: gives its ports another address and other numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nat {
    pub(crate) inside: IpAddr,
    /// The data port and the control port as they are seen from outside.
    pub(crate) data: SocketAddr,
    pub(crate) control: SocketAddr,
}

/// All of it.
pub(crate) struct Network {
    pub(crate) now: Timestamp,
    members: Vec<Member>,
    on_the_way: BTreeMap<(Timestamp, u64), Packet>,
    sequence: u64,
    one_way: Span,
    delays: BTreeMap<(IpAddr, IpAddr), Span>,
    loss: Loss,
    pub(crate) nat: Option<Nat>,
    /// Every datagram sent, lost or not.
    pub(crate) tap: Vec<Packet>,
}

/// The control connection the tests speak over.
pub(crate) const CLIENT: ClientId = ClientId(1);

impl Network {
    pub(crate) fn new() -> Self {
        Self {
            now: Timestamp(1_763_000_000_000_000),
            members: Vec::new(),
            on_the_way: BTreeMap::new(),
            sequence: 0,
            one_way: Span::millis(10),
            delays: BTreeMap::new(),
            loss: Box::new(|_| false),
            nat: None,
            tap: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, config: Config) -> usize {
        config.check().unwrap();
        self.members.push(Member {
            config,
            node: None,
            starts: 0,
            state: State::default(),
            published: MapCache::new(),
            publications: 0,
            reports: Vec::new(),
            released: Vec::new(),
            discarded: Vec::new(),
            delivered: Vec::new(),
            remembered: 0,
        });
        let index = self.members.len() - 1;
        self.start(index);
        index
    }

    /// Starts a node that is not there, with what it was told to remember.
    pub(crate) fn start(&mut self, index: usize) {
        let member = &mut self.members[index];
        member.starts += 1;
        let seed = [index as u8 * 16 + member.starts; 32];
        let (node, effects) = Node::new(member.config.clone(), self.now, seed);
        member.node = Some(node);
        let state = member.state.clone();
        self.act(index, effects);
        self.input(index, Input::Remembered(state));
    }

    /// The node is told of a new configuration while it runs.
    pub(crate) fn configure(&mut self, index: usize, change: impl FnOnce(&mut Config)) {
        let mut config = self.members[index].config.clone();
        change(&mut config);
        config.check().unwrap();
        self.members[index].config = config.clone();
        self.input(index, Input::Configured(Box::new(config)));
    }

    /// A member's interfaces have another address.
    pub(crate) fn relocate(&mut self, index: usize, rloc: Rloc) {
        let rlocs = &mut self.members[index].config.rlocs;
        rlocs.truncate(1);
        rlocs[0].rloc = rloc;
        let rlocs = rlocs.clone();
        self.input(index, Input::Relocated { rlocs });
    }

    /// The process ends without a word.
    pub(crate) fn kill(&mut self, index: usize) {
        self.members[index].node = None;
    }

    pub(crate) fn lose(&mut self, loss: impl FnMut(&Packet) -> bool + 'static) {
        self.loss = Box::new(loss);
    }

    /// Sets the delay between two addresses, each way.
    pub(crate) fn delay(&mut self, a: IpAddr, b: IpAddr, one_way: Span) {
        self.delays.insert((a, b), one_way);
        self.delays.insert((b, a), one_way);
    }

    /// The member with this address, if it is alive.
    pub(crate) fn index_of(&self, address: IpAddr) -> Option<usize> {
        let alive = |member: &Member| member.node.is_some();
        let holds = |member: &Member| member.config.rlocs.iter().any(|own| own.rloc.0 == address);
        self.members
            .iter()
            .position(|member| alive(member) && holds(member))
    }

    /// A member's first address.
    pub(crate) fn address_of(&self, index: usize) -> IpAddr {
        self.members[index].config.rlocs[0].rloc.0
    }

    pub(crate) fn member(&self, index: usize) -> &Member {
        &self.members[index]
    }

    pub(crate) fn forget_reports(&mut self) {
        self.members.iter_mut().for_each(|member| member.reports.clear());
    }

    pub(crate) fn input(&mut self, index: usize, input: Input) {
        let now = self.now;
        if let Some(node) = &mut self.members[index].node {
            let effects = node.handle(input, now);
            if let Some(next) = node.next_deadline() {
                assert!(next > now, "a node must not ask to be called again at once");
            }
            self.act(index, effects);
        }
    }

    /// Gives a command and takes its direct answer.
    pub(crate) fn command(&mut self, index: usize, command: NodeCommand) -> NodeReport {
        self.sequence += 1;
        let request = self.sequence;
        self.input(
            index,
            Input::Command {
                client: CLIENT,
                request,
                command,
            },
        );
        let answers: Vec<NodeReport> = self.members[index]
            .reports
            .iter()
            .filter(|(_, reply_to, _)| *reply_to == Some(request))
            .map(|(_, _, report)| report.clone())
            .collect();
        let [answer] = answers.as_slice() else {
            panic!("one answer a command, not {answers:?}")
        };
        answer.clone()
    }

    pub(crate) fn miss(&mut self, index: usize, eid: &str) {
        let eid = Eid::of(eid.parse().unwrap());
        self.input(index, Input::Miss { eid, source: None });
    }

    /// Puts a datagram onto the network as anybody could.
    pub(crate) fn inject(&mut self, from: SocketAddr, to: IpAddr, bytes: Vec<u8>) {
        let packet = Packet {
            from,
            to: SocketAddr::new(to, CONTROL_PORT),
            bytes,
            sent_at: self.now,
        };
        self.sequence += 1;
        self.on_the_way
            .insert((self.now + Span::millis(1), self.sequence), packet);
    }

    pub(crate) fn run_for(&mut self, span: Span) {
        let end = self.now + span;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until something holds; fails if it does not within `span`.
    pub(crate) fn run_until(&mut self, span: Span, what: impl Fn(&Self) -> bool) {
        let end = self.now + span;
        while !what(self) {
            assert!(self.step(end), "not within {span}");
        }
    }

    /// Goes to the next thing that happens before `end`.
    fn step(&mut self, end: Timestamp) -> bool {
        let arrival = self.on_the_way.first_key_value().map(|((at, _), _)| *at);
        let deadline = |member: &Member| member.node.as_ref().and_then(Node::next_deadline);
        let tick = self.members.iter().filter_map(deadline).min();
        let Some(next) = arrival.into_iter().chain(tick).min().filter(|next| *next <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            if let Some((_, packet)) = self.on_the_way.pop_first() {
                self.deliver(packet);
            }
        } else {
            for index in 0..self.members.len() {
                if deadline(&self.members[index]).is_some_and(|at| at <= self.now) {
                    self.input(index, Input::Tick);
                }
            }
        }
        true
    }

    fn deliver(&mut self, mut packet: Packet) {
        if let Some(nat) = self.nat {
            if packet.to == nat.control {
                packet.to = SocketAddr::new(nat.inside, CONTROL_PORT);
            } else if packet.to == nat.data {
                let Some(inner) = out_of_tunnel(&packet) else {
                    return;
                };
                packet = inner;
            }
        }
        let holds = |member: &Member| member.config.rlocs.iter().any(|own| own.rloc.0 == packet.to.ip());
        if let Some(index) = self.members.iter().position(holds) {
            let Packet { from, to, bytes, .. } = packet;
            self.input(
                index,
                Input::Datagram {
                    from,
                    local: to.ip(),
                    bytes,
                    received_at: self.now,
                },
            );
        }
    }

    fn act(&mut self, index: usize, effects: Vec<Effect>) {
        for effect in effects {
            let now = self.now;
            let member = &mut self.members[index];
            match effect {
                Effect::Send { from, to, bytes, .. } => {
                    let from = SocketAddr::new(from.expect("a node knows its address"), CONTROL_PORT);
                    let packet = Packet {
                        from,
                        to,
                        bytes,
                        sent_at: now,
                    };
                    self.send(packet);
                }
                Effect::SendFromData { to, bytes } => {
                    let from = SocketAddr::new(member.config.rlocs[0].rloc.0, lisp_wire::DATA_PORT);
                    let packet = Packet {
                        from,
                        to,
                        bytes,
                        sent_at: now,
                    };
                    self.send(packet);
                }
                Effect::Publish(table) => {
                    member.published = table;
                    member.publications += 1;
                }
                Effect::Release { eid } => {
                    let way = member
                        .published
                        .lookup(&eid.first())
                        .map(|entry| &entry.forwarding);
                    assert!(
                        !matches!(way, None | Some(Forwarding::Pending)),
                        "released {eid} without a way"
                    );
                    member.released.push(eid);
                }
                Effect::Discard { eid } => member.discarded.push(eid),
                Effect::Deliver { eid } => member.delivered.push(eid),
                Effect::Report { to, reply_to, report } => member.reports.push((to, reply_to, report)),
                // As the daemon keeps it: as text.
                Effect::Remember(state) => {
                    member.remembered += 1;
                    let text = serde_json::to_string(&state).unwrap();
                    member.state = serde_json::from_str(&text).unwrap();
                }
            }
        }
    }

    fn send(&mut self, mut packet: Packet) {
        if let Some(nat) = self.nat.filter(|nat| nat.inside == packet.from.ip()) {
            packet.from = if packet.from.port() == CONTROL_PORT {
                nat.control
            } else {
                nat.data
            };
        }
        self.tap.push(packet.clone());
        if (self.loss)(&packet) {
            return;
        }
        let pair = (packet.from.ip(), packet.to.ip());
        let delay = self.delays.get(&pair).copied().unwrap_or(self.one_way);
        self.sequence += 1;
        self.on_the_way.insert((self.now + delay, self.sequence), packet);
    }

    /// How many datagrams of a kind were sent from an address.
    pub(crate) fn sent(&self, from: Rloc, kind: fn(&Message) -> bool) -> usize {
        self.tap
            .iter()
            .filter(|packet| packet.from.ip() == from.0 && packet.is(kind))
            .count()
    }

    /// A counter's value.
    pub(crate) fn counter(&mut self, index: usize, name: &str) -> u64 {
        let NodeReport::Counters { rows } = self.command(index, NodeCommand::Show { what: Show::Counters })
        else {
            panic!("counters were asked for");
        };
        rows.iter()
            .find(|row| row.name == name)
            .unwrap_or_else(|| panic!("no counter {name}"))
            .value
    }

    /// The map cache as it is shown.
    pub(crate) fn cache(&mut self, index: usize) -> Vec<CacheRow> {
        match self.command(index, NodeCommand::Show { what: Show::MapCache }) {
            NodeReport::MapCache { rows } => rows,
            other => panic!("the map cache was asked for, not {other:?}"),
        }
    }
}

/// The control message of a data packet, as the daemon finds it: behind the LISP header stands the packet that an envelope
/// holds behind its first word.
fn out_of_tunnel(packet: &Packet) -> Option<Packet> {
    let envelope = [&[0x80, 0, 0, 0], packet.bytes.get(lisp_wire::DATA_HEADER_LEN..)?].concat();
    let Ok(Message::Encapsulated(inside)) = Message::parse(&envelope) else {
        return None;
    };
    Some(Packet {
        from: inside.source,
        to: SocketAddr::new(inside.destination, CONTROL_PORT),
        bytes: inside.message,
        sent_at: packet.sent_at,
    })
}

impl Member {
    /// What the packet path does with a packet to `eid`.
    pub(crate) fn way(&self, eid: &str) -> Way {
        let eid = Eid::of(eid.parse().unwrap());
        match self.published.lookup(&eid).map(|entry| &entry.forwarding) {
            None => Way::Miss,
            Some(Forwarding::Pending) => Way::Pending,
            Some(Forwarding::Native) => Way::Native,
            Some(Forwarding::Drop) => Way::Drop,
            Some(Forwarding::Arriving(gate)) if gate.holds() => Way::Held,
            Some(Forwarding::Local | Forwarding::Arriving(_)) => Way::Local,
            Some(Forwarding::Encapsulate(table) | Forwarding::Redirect(table)) => table
                .choose(0x1234_5678)
                .map_or(Way::Drop, |chosen| Way::To(chosen.locator.rloc)),
        }
    }

    /// A packet of a peer for `eid` has come by the network.
    pub(crate) fn hear(&self, from: Rloc, eid: &str) {
        if let Some(watch) = self.published.watch() {
            watch.heard(from.0, &Eid::of(eid.parse().unwrap()));
        }
    }

    /// Sends packets, as far as the counters are concerned.
    pub(crate) fn carry(&self, eid: &str, packets: usize) {
        let eid = Eid::of(eid.parse().unwrap());
        let entry = self.published.lookup(&eid).expect("a way");
        let Forwarding::Encapsulate(table) = &entry.forwarding else {
            panic!("no locators for {eid}")
        };
        let chosen = table.choose(1).expect("a locator");
        (0..packets).for_each(|_| chosen.counters.count(1000));
    }
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Miss,
    Pending,
    Native,
    Drop,
    Local,
    /// At this site before it runs there.
    Held,
    To(Rloc),
}

//! Registering the own EIDs with the Map-Servers: every minute, and at once on a change (RFC 9301 section 8.2).

mod rows;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lisp_wire::message::{Encapsulated, Info, MapNotify, MapRegister, MapReply, NatTraversal, Via};
use lisp_wire::{CONTROL_PORT, EidPrefix, Key, Locator, MappingRecord, Message, Nonce, Rloc, Ttl, verify};
use proto::{Span, Timestamp};

use crate::config::{Config, MapServer};
use crate::context::{Context, Memory, unsigned};
use crate::counters::Counter;
use crate::database::Database;
use crate::nat::{Nat, News};
use crate::timers::Timers;

/// How long each attempt waits for its Map-Notify, twice as long as the one before (RFC 9301 section 5.7). Before the last
/// has waited for all of its time, the next round begins.
const WAITS: [Span; 6] = [
    Span::secs(1),
    Span::secs(2),
    Span::secs(4),
    Span::secs(8),
    Span::secs(16),
    Span::secs(32),
];
/// Behind a NAT we register this often at least: its binding must not be forgotten, and a new one be known soon.
const KEEP_OPEN: Span = Span::secs(20);
/// Bytes of the records in one Map-Register. With IP, UDP and LISP headers, a whole MAC, the xTR-ID and an envelope the packet
/// has 576 at most, over IPv6 a few more: so much is carried everywhere (RFC 9301 section 5).
const RECORDS_BYTES: usize = 440;

/// What is registered where, and not acknowledged yet.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    open: BTreeMap<Nonce, Open>,
    /// When each Map-Server, by its number, acknowledged each EID last.
    acknowledged: BTreeMap<(usize, EidPrefix), Timestamp>,
    /// The last nonce of each Map-Server's Map-Notifies that acknowledge nothing.
    told: BTreeMap<Rloc, Nonce>,
    nat: Nat,
    timers: Timers<Due>,
}

/// A Map-Register under way.
#[derive(Clone, Debug)]
struct Open {
    server: usize,
    eids: Vec<EidPrefix>,
    attempts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Round,
    Retry(Nonce),
}

impl Registrations {
    /// Registers everything at the next occasion.
    pub(crate) fn start(&mut self, config: &Config, now: Timestamp) {
        self.nat.start(config, now);
        self.timers.set(Due::Round, now);
    }

    /// Registers everything, and again after `register_every`.
    pub(crate) fn round(&mut self, database: &Database, cx: &mut Context<'_>) {
        let natted = self.routers(cx.config).next().is_some();
        let every = cx.config.register_every;
        let every = if natted { every.min(KEEP_OPEN) } else { every };
        self.timers.set(Due::Round, cx.now + every);
        for open in std::mem::take(&mut self.open).keys() {
            self.timers.cancel(&Due::Retry(*open));
        }
        let eids: Vec<EidPrefix> = database.registered().collect();
        self.register(&eids, database, cx);
    }

    /// Registers these at once, because they changed.
    pub(crate) fn register(&mut self, eids: &[EidPrefix], database: &Database, cx: &mut Context<'_>) {
        // One that cannot be reached from where we are may have another address that can.
        let reached = |server: &usize| {
            let server = cx.config.map_servers.get(*server);
            server.is_some_and(|server| cx.config.speaks_to(server.address))
        };
        let servers: Vec<usize> = (0..cx.config.map_servers.len()).filter(reached).collect();
        for server in servers {
            for eids in parts(eids, database) {
                let open = Open {
                    server,
                    eids,
                    attempts: 0,
                };
                self.attempt(&open, database, cx);
            }
        }
    }

    fn attempt(&mut self, open: &Open, database: &Database, cx: &mut Context<'_>) {
        let Some(server) = cx.config.map_servers.get(open.server) else {
            return;
        };
        // What another site has taken over meanwhile is not registered by us again.
        let eids: Vec<EidPrefix> = open
            .eids
            .iter()
            .copied()
            .filter(|eid| database.registers(eid))
            .collect();
        if eids.is_empty() {
            return;
        }
        let mut records: Vec<_> = eids.iter().filter_map(|eid| database.record(eid)).collect();
        let router = self.nat.router(server.address, cx.config);
        for record in &mut records {
            match router {
                Some(router) => reached_through(router, &mut record.locators, cx.config),
                None => self.nat.as_seen(server.address, &mut record.locators, cx),
            }
        }
        let Some(key) = server.keys.signing(open.attempts) else {
            return;
        };
        let nonce = send_register((server, key), records, router, cx);
        if let Some(wait) = WAITS.get(open.attempts) {
            self.timers.set(Due::Retry(nonce), cx.now + *wait);
            let again = Open {
                server: open.server,
                eids,
                attempts: open.attempts + 1,
            };
            self.open.insert(nonce, again);
        }
    }

    /// The routers that help us through a NAT.
    pub(crate) fn routers<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = Rloc> + 'a {
        let servers = config.map_servers.iter().filter(|server| server.behind_nat);
        servers.filter_map(|server| self.nat.router(server.address, config))
    }

    /// Whether a Map-Notify is about a registration of ours: it acknowledges one, or tells of one that is merged.
    pub(crate) fn awaits(
        &self,
        notify: &MapNotify,
        from: SocketAddr,
        (database, config): (&Database, &Config),
    ) -> bool {
        let ours = |record: &MappingRecord| database.registers(&record.eid);
        let merges = || merging(config, from).is_some() && notify.records.iter().all(ours);
        self.open.contains_key(&notify.nonce) || merges()
    }

    /// A Map-Notify: the Map-Server has our registration.
    pub(crate) fn notify(
        &mut self,
        notify: &MapNotify,
        (datagram, from): (&[u8], SocketAddr),
        database: &mut Database,
        cx: &mut Context<'_>,
    ) {
        let Some(open) = self.open.get(&notify.nonce) else {
            return self.merged(notify, (datagram, from), database, cx);
        };
        let Some(server) = cx.config.map_servers.get(open.server) else {
            return;
        };
        match verify(datagram, server.keys.all()) {
            Ok(_) => {
                cx.count(Counter::RegistersAcknowledged);
                let at = |eid: &EidPrefix| ((open.server, *eid), cx.now);
                self.acknowledged.extend(open.eids.iter().map(at));
                if server.merge {
                    for record in &notify.records {
                        database.set_siblings(record, cx.config);
                    }
                }
                self.open.remove(&notify.nonce);
                self.timers.cancel(&Due::Retry(notify.nonce));
            }
            Err(error) => cx.count(error.into()),
        }
    }

    /// A Map-Notify that acknowledges nothing: what another xTR registers for the same EIDs has changed (RFC 9301
    /// section 5.7). It is acknowledged, and each is taken once and in order.
    fn merged(
        &mut self,
        notify: &MapNotify,
        (datagram, from): (&[u8], SocketAddr),
        database: &mut Database,
        cx: &mut Context<'_>,
    ) {
        let config = cx.config;
        let Some(server) = merging(config, from).filter(|_| !notify.records.is_empty()) else {
            return cx.count(Counter::Unsolicited);
        };
        let key = match verify(datagram, server.keys.all()) {
            Ok(key) => key,
            Err(error) => return cx.count(error.into()),
        };
        if notify.xtr.is_some_and(|(xtr, _)| xtr != config.xtr_id) {
            return cx.count(Counter::Misdirected);
        }
        let last = self.told.get(&server.address).copied();
        if last.is_some_and(|last| notify.nonce < last) {
            return cx.count(Counter::Replay);
        }
        if last != Some(notify.nonce) {
            self.told.insert(server.address, notify.nonce);
            cx.count(Counter::MergeLearned);
            for record in &notify.records {
                database.set_siblings(record, config);
            }
        }
        cx.send_signed(&Message::MapNotifyAck(notify.acknowledgement()), key, from);
    }

    /// How a Map-Server sees us; what is registered there follows.
    pub(crate) fn informed(
        &mut self,
        (info, nat): (&Info, &NatTraversal),
        datagram: &[u8],
        database: &Database,
        cx: &mut Context<'_>,
    ) {
        if self.nat.reply((info, nat), datagram, cx) == News::Moved {
            self.round(database, cx);
        }
    }

    /// Withdraws everything: the process ends. Sent once; what gets lost expires by itself.
    pub(crate) fn withdraw(&mut self, database: &Database, cx: &mut Context<'_>) {
        let nat = std::mem::take(&mut self.nat);
        *self = Self::default();
        let eids: Vec<EidPrefix> = database.registered().collect();
        for server in &cx.config.map_servers {
            for chunk in parts(&eids, database) {
                let mut records: Vec<_> = chunk.iter().filter_map(|eid| database.record(eid)).collect();
                for record in &mut records {
                    record.ttl = Ttl::DEREGISTER;
                }
                let router = nat.router(server.address, cx.config);
                // The Map-Server may not have all of them: it takes the first that it has.
                for key in server.keys.all() {
                    send_register((server, key), records.clone(), router, cx);
                }
            }
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers
            .next()
            .into_iter()
            .chain(self.nat.next_deadline())
            .min()
    }

    pub(crate) fn tick(&mut self, database: &Database, cx: &mut Context<'_>) {
        self.nat.tick(database, cx);
        while let Some(due) = self.timers.pop_due(cx.now) {
            match due {
                Due::Round => self.round(database, cx),
                Due::Retry(nonce) => {
                    if let Some(open) = self.open.remove(&nonce) {
                        self.attempt(&open, database, cx);
                    }
                }
            }
        }
    }
}

/// What goes into one Map-Register each.
fn parts(eids: &[EidPrefix], database: &Database) -> Vec<Vec<EidPrefix>> {
    let mut parts: Vec<Vec<EidPrefix>> = Vec::new();
    let mut room = 0;
    for eid in eids {
        let bytes = database.record(eid).map_or(0, bytes_of);
        if let Some(part) = parts.last_mut().filter(|_| bytes <= room) {
            part.push(*eid);
            room -= bytes;
        } else {
            parts.push(vec![*eid]);
            room = RECORDS_BYTES.saturating_sub(bytes);
        }
    }
    parts
}

/// Bytes that a record takes in a message.
fn bytes_of(record: MappingRecord) -> usize {
    /// First word and nonce.
    const HEAD: usize = 12;
    let reply = MapReply {
        nonce: Nonce(0),
        probe: false,
        echo_nonce: false,
        records: vec![record],
    };
    let mut bytes = Vec::new();
    let written = Message::MapReply(reply).emit(&mut bytes);
    written.map_or(0, |()| bytes.len().saturating_sub(HEAD))
}

/// The Map-Server of this address that merges what we register with what others do.
fn merging(config: &Config, from: SocketAddr) -> Option<&MapServer> {
    let mut servers = config.map_servers.iter();
    servers.find(|server| server.merge && server.address.0 == from.ip())
}

fn send_register(
    (server, key): (&MapServer, &Key),
    records: Vec<MappingRecord>,
    router: Option<Rloc>,
    cx: &mut Context<'_>,
) -> Nonce {
    let nonce = cx.nonces.growing(cx.now);
    cx.remember(Memory::Soon);
    cx.count(Counter::RegistersSent);
    let register = MapRegister {
        nonce,
        // Nobody can ask us: the Map-Server answers.
        proxy_reply: server.proxy_reply || router.is_some(),
        want_notify: true,
        merge: server.merge,
        use_ttl: false,
        auth: unsigned(),
        records,
        xtr: Some((cx.config.xtr_id, cx.config.site_id)),
    };
    let register = Message::MapRegister(register);
    if let Some(router) = router {
        send_through(router, (server.address, key), &register, cx);
    } else {
        let to = SocketAddr::new(server.address.0, CONTROL_PORT);
        cx.send_signed(&register, key, to);
    }
    nonce
}

/// In an envelope to the router, from the data port: what the router sends to us comes back there.
fn send_through(router: Rloc, (server, key): (Rloc, &Key), register: &Message, cx: &mut Context<'_>) {
    let mut message = Vec::new();
    let own = cx.own_toward(server.0);
    let (Some(own), Ok(())) = (own, register.emit_signed(key, &mut message)) else {
        return cx.count(Counter::Unsendable);
    };
    cx.count(Counter::NatRegistered);
    let envelope = Encapsulated {
        source: SocketAddr::new(own.0, CONTROL_PORT),
        destination: server.0,
        ddt_originated: false,
        via: Via::ToRouter,
        message,
    };
    cx.send_from_data(&Message::Encapsulated(envelope), router);
}

/// The router stands for this node's own locators, which nobody outside can reach.
fn reached_through(router: Rloc, locators: &mut Vec<Locator>, config: &Config) {
    let own = locators.iter().position(|locator| config.is_own(locator.etr()));
    let Some(first) = own.and_then(|at| locators.get(at).copied()) else {
        return;
    };
    locators.retain(|locator| !config.is_own(locator.etr()));
    locators.push(Locator::unicast(router, first.priority, first.weight));
}

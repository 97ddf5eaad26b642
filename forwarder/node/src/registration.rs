//! Registering the own EIDs with the Map-Servers: every minute, and at once on a change (RFC 9301 section 8.2).

mod rows;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lisp_wire::message::{MapNotify, MapRegister};
use lisp_wire::{CONTROL_PORT, EidPrefix, Key, Message, Nonce, Ttl, verify};
use proto::{Span, Timestamp};

use crate::config::MapServer;
use crate::context::{Context, Memory, unsigned};
use crate::counters::Counter;
use crate::database::Database;
use crate::timers::Timers;

/// How long each attempt waits for its Map-Notify. After the last, the next round tries again.
const WAITS: [Span; 5] = [
    Span::millis(500),
    Span::secs(1),
    Span::secs(2),
    Span::secs(4),
    Span::secs(8),
];
/// Records in one Map-Register: with a handful of locators each they fit 1,200 bytes.
const RECORDS_EACH: usize = 12;

/// What is registered where, and not acknowledged yet.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    open: BTreeMap<Nonce, Open>,
    /// When each Map-Server, by its number, acknowledged each EID last.
    acknowledged: BTreeMap<(usize, EidPrefix), Timestamp>,
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
    pub(crate) fn start(&mut self, now: Timestamp) {
        self.timers.set(Due::Round, now);
    }

    /// Registers everything, and again after `register_every`.
    pub(crate) fn round(&mut self, database: &Database, cx: &mut Context<'_>) {
        self.timers.set(Due::Round, cx.now + cx.config.register_every);
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
            for chunk in eids.chunks(RECORDS_EACH) {
                let open = Open {
                    server,
                    eids: chunk.to_vec(),
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
        let records = eids.iter().filter_map(|eid| database.record(eid)).collect();
        let Some(key) = server.keys.signing(open.attempts) else {
            return;
        };
        let nonce = send_register((server, key), records, cx);
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

    /// Whether a registration with this nonce is to be acknowledged.
    pub(crate) fn awaits(&self, nonce: Nonce) -> bool {
        self.open.contains_key(&nonce)
    }

    /// A Map-Notify: the Map-Server has our registration.
    pub(crate) fn notify(&mut self, notify: &MapNotify, datagram: &[u8], cx: &mut Context<'_>) {
        let Some(open) = self.open.get(&notify.nonce) else {
            cx.count(Counter::Unsolicited);
            return;
        };
        let Some(server) = cx.config.map_servers.get(open.server) else {
            return;
        };
        match verify(datagram, server.keys.all()) {
            Ok(_) => {
                cx.count(Counter::RegistersAcknowledged);
                let at = |eid: &EidPrefix| ((open.server, *eid), cx.now);
                self.acknowledged.extend(open.eids.iter().map(at));
                self.open.remove(&notify.nonce);
                self.timers.cancel(&Due::Retry(notify.nonce));
            }
            Err(error) => cx.count(error.into()),
        }
    }

    /// Withdraws everything: the process ends. Sent once; what gets lost expires by itself.
    pub(crate) fn withdraw(&mut self, database: &Database, cx: &mut Context<'_>) {
        *self = Self::default();
        let eids: Vec<EidPrefix> = database.registered().collect();
        for server in &cx.config.map_servers {
            for chunk in eids.chunks(RECORDS_EACH) {
                let mut records: Vec<_> = chunk.iter().filter_map(|eid| database.record(eid)).collect();
                for record in &mut records {
                    record.ttl = Ttl::DEREGISTER;
                }
                // The Map-Server may not have all of them: it takes the first that it has.
                for key in server.keys.all() {
                    send_register((server, key), records.clone(), cx);
                }
            }
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    pub(crate) fn tick(&mut self, database: &Database, cx: &mut Context<'_>) {
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

fn send_register(
    (server, key): (&MapServer, &Key),
    records: Vec<lisp_wire::MappingRecord>,
    cx: &mut Context<'_>,
) -> Nonce {
    let nonce = cx.nonces.growing(cx.now);
    cx.remember(Memory::Soon);
    cx.count(Counter::RegistersSent);
    let register = MapRegister {
        nonce,
        proxy_reply: server.proxy_reply,
        want_notify: true,
        merge: false,
        use_ttl: false,
        auth: unsigned(),
        records,
        xtr: Some((cx.config.xtr_id, cx.config.site_id)),
    };
    let to = SocketAddr::new(server.address.0, CONTROL_PORT);
    cx.send_signed(&Message::MapRegister(register), key, to);
    nonce
}

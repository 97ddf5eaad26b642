//! An xTR behind a NAT: asks its Map-Servers how it is seen from outside (draft-ermagan-lisp-nat-traversal), and
//! registers the address that others can reach.
//!
//! That is enough where the NAT maps addresses one to one, or forwards UDP 4341 and 4342. Asking keeps its binding open.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lisp_wire::message::{Info, NatTraversal};
use lisp_wire::{CONTROL_PORT, Locator, Message, Nonce, Rloc, Ttl, verify};
use proto::{Span, Timestamp};

use crate::config::Config;
use crate::context::{Context, unsigned};
use crate::counters::Counter;
use crate::database::Database;
use crate::timers::Timers;

/// Time between two questions: NATs forget UDP bindings after a few minutes at the earliest (RFC 4787 section 4.3 asks
/// for two).
const AGAIN: Span = Span::secs(45);
/// How long each attempt waits.
const WAITS: [Span; 4] = [Span::millis(500), Span::secs(1), Span::secs(2), Span::secs(4)];
/// What was seen is believed so long without being said again.
pub(crate) const BELIEVED: Span = Span::secs(180);

/// What the Map-Servers said.
#[derive(Debug, Default)]
pub(crate) struct Nat {
    open: BTreeMap<Nonce, Question>,
    timers: Timers<Due>,
    seen: BTreeMap<Rloc, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    server: Rloc,
    tries: usize,
}

#[derive(Clone, Debug)]
struct Seen {
    global: Rloc,
    /// Who helps us through the NAT.
    routers: Vec<Rloc>,
    at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Ask(Rloc),
    Retry(Nonce),
}

/// Whether what we register has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    None,
    Moved,
}

impl Nat {
    /// Asks all Map-Servers that are to be asked, at the next occasion.
    pub(crate) fn start(&mut self, config: &Config, now: Timestamp) {
        for server in config.map_servers.iter().filter(|server| server.behind_nat) {
            self.timers.set(Due::Ask(server.address), now);
        }
    }

    fn ask(&mut self, question: Question, database: &Database, cx: &mut Context<'_>) {
        let Question { server, tries } = question;
        let config = cx.config;
        let known = config.map_servers.iter().find(|known| known.address == server);
        let Some(eid) = database.registered().next() else {
            return;
        };
        let Some(key) = known
            .filter(|known| known.behind_nat)
            .and_then(|known| known.keys.signing(tries))
        else {
            return;
        };
        let nonce = cx.nonces.random();
        if let Some(wait) = WAITS.get(tries) {
            self.timers.set(Due::Retry(nonce), cx.now + *wait);
            let tries = tries + 1;
            self.open.insert(nonce, Question { server, tries });
        } else {
            return cx.count(Counter::InfoUnanswered);
        }
        let info = Info {
            nonce,
            auth: unsigned(),
            ttl: Ttl(0),
            eid,
            nat: None,
        };
        cx.count(Counter::InfoAsked);
        let to = SocketAddr::new(server.0, CONTROL_PORT);
        cx.send_signed(&Message::Info(info), key, to);
    }

    /// An Info-Reply.
    pub(crate) fn reply(
        &mut self,
        (info, nat): (&Info, &NatTraversal),
        datagram: &[u8],
        cx: &mut Context<'_>,
    ) -> News {
        let Some(question) = self.open.get(&info.nonce).copied() else {
            cx.count(Counter::Unsolicited);
            return News::None;
        };
        let mut servers = cx.config.map_servers.iter();
        let Some(server) = servers.find(|known| known.address == question.server) else {
            return News::None;
        };
        if let Err(error) = verify(datagram, server.keys.all()) {
            cx.count(error.into());
            return News::None;
        }
        self.open.remove(&info.nonce);
        self.timers.cancel(&Due::Retry(info.nonce));
        let Some(global) = nat.global.filter(|global| cx.own_toward(global.0).is_some()) else {
            cx.count(Counter::Mismatch);
            return News::None;
        };
        cx.count(Counter::InfoLearned);
        let at = cx.now;
        let routers = nat.rtrs.clone();
        let before = self.seen.get(&question.server);
        let same = before.is_some_and(|before| before.global == global && before.routers == routers);
        self.seen.insert(question.server, Seen { global, routers, at });
        if same || cx.config.is_own(global) {
            News::None
        } else {
            News::Moved
        }
    }

    /// The router that we register through at `server`, and are reached through: we are behind a NAT, and it was named.
    pub(crate) fn router(&self, server: Rloc, config: &Config) -> Option<Rloc> {
        let seen = self.seen.get(&server)?;
        let mut routers = seen.routers.iter().copied();
        let router = routers.find(|router| config.speaks_to(*router))?;
        (!config.is_own(seen.global)).then_some(router)
    }

    /// The locators as they are to be registered at `server`: ours as they are seen from there.
    pub(crate) fn as_seen(&self, server: Rloc, locators: &mut [Locator], cx: &Context<'_>) {
        let Some(seen) = self.seen.get(&server) else {
            return;
        };
        let own = cx.own_toward(seen.global.0);
        for locator in locators.iter_mut().filter(|locator| Some(locator.rloc) == own) {
            locator.rloc = seen.global;
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    pub(crate) fn tick(&mut self, database: &Database, cx: &mut Context<'_>) {
        while let Some(due) = self.timers.pop_due(cx.now) {
            match due {
                Due::Ask(server) => {
                    self.timers.set(Due::Ask(server), cx.now + AGAIN);
                    self.seen.retain(|_, seen| cx.now.since(seen.at) <= BELIEVED);
                    self.ask(Question { server, tries: 0 }, database, cx);
                }
                Due::Retry(nonce) => {
                    if let Some(question) = self.open.remove(&nonce) {
                        self.ask(question, database, cx);
                    }
                }
            }
        }
    }
}

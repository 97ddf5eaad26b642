//! The asking side of an ITR: Map-Requests through the Map-Resolvers, repeated until answered (RFC 9301 section 5.3).

mod pace;
mod subscribing;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use datapath::Forwarding;
use lisp_wire::message::{Encapsulated, MapReply, MapRequest, NotifyBits};
use lisp_wire::{Action, CONTROL_PORT, Eid, EidPrefix, MappingRecord, Message, Nonce, Ttl};
use proto::{Span, Timestamp};

use crate::cache::{Cache, Content, Life, Mapping, Origin, is_native};
use crate::context::{Context, Memory};
use crate::counters::Counter;
use crate::input::Effect;
use crate::limits::Rate;
use crate::timers::Timers;
use pace::{EVERY, Pace};
use subscribing::{Followed, Manner, is_denial, resolver_of, subscribes};

/// How long each attempt waits for its answer; as many attempts as there are waits.
const WAITS: [Span; 4] = [EVERY, Span::secs(1), Span::secs(2), Span::secs(4)];
/// After the last attempt packets are dropped this long before the EID is asked for again; longer, where it has been asked
/// for too often in vain.
const NO_REPLY: Span = Span::secs(5);
/// A pending entry outlives its attempts, whose sum is 8 s.
const PENDING: Span = Span::secs(60);
/// At most this many EIDs are asked for at a time.
const MOST_OPEN: usize = 4096;
/// Of all solicited mappings no more than this many are asked for a second, besides the limit for each (RFC 9301 section
/// 6.1 demands one).
const SOLICITED_PER_SECOND: u64 = 200;
/// One solicitation reaches at most this many cached mappings, of so many of its blocks, and so many entries of the cache
/// are looked at for it.
const MOST_SOLICITED: usize = 64;
const MOST_BLOCKS: usize = 4;
const MOST_LOOKED_AT: usize = 256;
/// At most this many records of a Map-Reply are looked at.
const MOST_RECORDS: usize = 64;
/// No mapping is kept longer than this without asking again, whatever its owner says.
const LONGEST_LIFE: Span = Span::secs(24 * 3600);

/// Questions without an answer yet.
#[derive(Debug)]
pub(crate) struct Resolutions {
    open: BTreeMap<Eid, Open>,
    by_nonce: BTreeMap<Nonce, Eid>,
    timers: Timers<Eid>,
    pace: Pace,
    followed: Followed,
    solicited_rate: Rate,
}

#[derive(Debug)]
struct Open {
    source: Option<Eid>,
    why: Why,
    /// One for each attempt so far; an answer to any of them will do.
    nonces: Vec<Nonce>,
    manner: Manner,
}

/// A record that is believed.
#[derive(Clone, Copy, Debug)]
struct Accepted<'a> {
    /// Under which prefix it is kept; longer than the record's own where that would hide EIDs of this node.
    eid: EidPrefix,
    /// What was asked.
    asked: Eid,
    record: &'a MappingRecord,
    origin: Origin,
}

/// What made us ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// A packet that is held.
    Miss,
    /// A mapping in use is about to expire.
    Refresh,
    /// The mapping's owner says that it changed (SMR).
    Solicited,
    /// Packets of the mapping's owner say so, by its version (RFC 9302 section 7.2).
    Outdated,
}

impl Resolutions {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            open: BTreeMap::new(),
            by_nonce: BTreeMap::new(),
            timers: Timers::default(),
            pace: Pace::default(),
            followed: Followed::default(),
            solicited_rate: Rate::per_second(SOLICITED_PER_SECOND, now),
        }
    }

    /// A packet found no mapping.
    pub(crate) fn miss(&mut self, eid: Eid, source: Option<Eid>, cache: &mut Cache, cx: &mut Context<'_>) {
        cx.count(Counter::Misses);
        let host = EidPrefix::host(eid);
        match cache.forwarding(&eid) {
            // The answer came while the miss was on its way here.
            Some(Forwarding::Encapsulate(_) | Forwarding::Redirect(_) | Forwarding::Native) => {
                cx.effects.push(Effect::Release { eid: host });
                return;
            }
            Some(Forwarding::Drop | Forwarding::Local | Forwarding::Arriving(_)) => {
                cx.effects.push(Effect::Discard { eid: host });
                return;
            }
            Some(Forwarding::Pending) if self.open.contains_key(&eid) => return,
            Some(Forwarding::Pending) | None => {}
        }
        if self.open.len() >= MOST_OPEN && !self.open.contains_key(&eid) {
            cx.count(Counter::Full);
            cx.effects.push(Effect::Discard { eid: host });
            return;
        }
        if let Some(rest) = self.pace.rests(&eid, cx.now) {
            return no_reply(eid, rest, cache, cx);
        }
        let life = Life {
            from: cx.now,
            span: PENDING,
        };
        cache.insert(host, Mapping::new(Content::Pending, Origin::NoReply, eid, life));
        cache.publish(cx);
        self.ask(eid, source, Why::Miss, cx);
    }

    /// A mapping in use is about to expire.
    pub(crate) fn refresh(&mut self, eid: Eid, cx: &mut Context<'_>) {
        if self.open.len() < MOST_OPEN && !self.open.contains_key(&eid) {
            self.ask(eid, None, Why::Refresh, cx);
        }
    }

    /// Somebody says that mappings of `eids` changed (SMR). It is not authenticated, and so does no more than make us
    /// ask the mapping system, now and then, for what we have in use (RFC 9301 section 6.1).
    pub(crate) fn solicited(&mut self, eids: &[EidPrefix], cache: &Cache, cx: &mut Context<'_>) {
        let eids = eids.get(..MOST_BLOCKS).unwrap_or(eids);
        let covering = eids
            .iter()
            .filter_map(|eid| cache.covering(eid))
            .map(|(_, mapping)| mapping);
        let within = eids
            .iter()
            .flat_map(|eid| cache.entries_within(*eid))
            .take(MOST_LOOKED_AT)
            .filter(|mapping| matches!(mapping.content, Content::Locators(_)));
        let mut asked: Vec<Eid> = covering
            .chain(within)
            .filter(|mapping| !mapping.origin.is_given())
            .map(|mapping| mapping.asked)
            .take(MOST_SOLICITED)
            .collect();
        asked.sort_unstable();
        asked.dedup();
        if asked.is_empty() {
            cx.count(Counter::SolicitsIgnored);
        }
        for eid in asked {
            self.ask_limited(eid, Why::Solicited, cx);
        }
    }

    /// Packets carry a newer version of a mapping than the one that was told. They prove nothing either, and come in
    /// numbers: the same limits hold.
    pub(crate) fn outdated(&mut self, eid: Eid, cx: &mut Context<'_>) {
        self.ask_limited(eid, Why::Outdated, cx);
    }

    fn ask_limited(&mut self, eid: Eid, why: Why, cx: &mut Context<'_>) {
        let (followed, ignored) = match why {
            Why::Outdated => (Counter::VersionsNew, None),
            _ => (Counter::SolicitsFollowed, Some(Counter::SolicitsIgnored)),
        };
        let busy = self.open.contains_key(&eid) || self.open.len() >= MOST_OPEN;
        if busy || !self.solicited_rate.allows(cx.now) {
            if let Some(ignored) = ignored {
                cx.count(ignored);
            }
            return;
        }
        cx.count(followed);
        self.ask(eid, None, why, cx);
    }

    fn ask(&mut self, eid: Eid, source: Option<Eid>, why: Why, cx: &mut Context<'_>) {
        let open = self.open.entry(eid).or_insert(Open {
            source,
            why,
            nonces: Vec::new(),
            manner: Manner::Subscribe,
        });
        if why == Why::Miss {
            // Packets wait now, whatever the question was asked for before.
            (open.why, open.source) = (why, source);
        }
        if open.nonces.is_empty() {
            self.attempt(eid, cx);
        }
    }

    fn attempt(&mut self, eid: Eid, cx: &mut Context<'_>) {
        let Some(open) = self.open.get_mut(&eid) else {
            return;
        };
        // Too soon after the last, but not lost: what made us ask may have been the last change.
        if let Some(at) = self.pace.not_before(&eid, cx.now) {
            return self.timers.set(eid, at);
        }
        self.pace.asked(eid, cx.now);
        let attempt = open.nonces.len();
        let resolver = resolver_of(attempt, cx.config);
        let subscribes = subscribes(open.manner, attempt, cx.config);
        let nonce = if subscribes {
            cx.remember(Memory::Soon);
            self.followed.next(&eid, attempt, cx)
        } else {
            cx.nonces.random()
        };
        open.nonces.push(nonce);
        self.by_nonce.insert(nonce, eid);
        let wait = WAITS.get(attempt).copied().unwrap_or(Span::secs(4));
        self.timers.set(eid, cx.now + wait);
        let request = MapRequest {
            nonce,
            authoritative: false,
            probe: false,
            solicit: false,
            invoked: open.why == Why::Solicited,
            proxy_itr: false,
            no_reply: false,
            source_eid: open.source,
            itr_rlocs: cx.itr_rlocs(),
            eids: vec![EidPrefix::host(eid)],
            map_reply: None,
            notify: if subscribes {
                NotifyBits::FIRST
            } else {
                NotifyBits::NONE
            },
            xtr: subscribes.then_some((cx.config.xtr_id, cx.config.site_id)),
        };
        let Some(resolver) = resolver else { return };
        let source = inner_source(eid, open.source, cx);
        if let Some(message) = encapsulated(&request, source, eid.address) {
            cx.count(Counter::RequestsSent);
            cx.send(&message, resolver);
        } else {
            cx.count(Counter::Unsendable);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// Asks again, or gives up.
    pub(crate) fn tick(&mut self, cache: &mut Cache, cx: &mut Context<'_>) {
        while let Some(eid) = self.timers.pop_due(cx.now) {
            let attempts = self.open.get(&eid).map_or(0, |open| open.nonces.len());
            let rests = self.pace.rests(&eid, cx.now);
            // A question that waits for its turn alone goes on waiting.
            if attempts < WAITS.len() && (rests.is_none() || attempts == 0) {
                self.attempt(eid, cx);
                continue;
            }
            cx.count(Counter::RequestsFailed);
            let Some(open) = self.close(&eid) else { continue };
            // A mapping that could not be refreshed goes on until it expires.
            if open.why == Why::Miss {
                no_reply(eid, rests.unwrap_or(NO_REPLY), cache, cx);
            }
        }
    }

    /// A Map-Reply that is no probe's. It is taken only for a question of ours, and only where it speaks of what was
    /// asked: a record that holds the EID, and longer ones within it (RFC 9301 section 5.5).
    ///
    /// Tells what was asked where that was to subscribe: who answers plainly keeps no subscription (RFC 9437 section 5).
    pub(crate) fn reply(&mut self, reply: &MapReply, cache: &mut Cache, cx: &mut Context<'_>) -> Option<Eid> {
        let Some(asked) = self.by_nonce.get(&reply.nonce).copied() else {
            cx.count(Counter::Unsolicited);
            return None;
        };
        let Some(main) = reply.records.iter().find(|record| record.eid.contains(&asked)) else {
            cx.count(Counter::Mismatch);
            return None;
        };
        let declined = self.subscribing(reply.nonce, cx.config).map(|(asked, _)| asked);
        if declined.is_some() {
            cx.count(Counter::PubsubFallbacks);
            // It is the subscription that was denied: whether there is a mapping is another question.
            if is_denial(main) {
                self.pace.answered(&asked, cx.now);
                self.ask_plainly(asked, cx);
                return declined;
            }
        }
        let main_eid = main.eid;
        let mut accepted = Vec::new();
        for record in reply.records.iter().take(MOST_RECORDS) {
            if !main_eid.covers(&record.eid) {
                cx.count(Counter::Mismatch);
            } else if let Some(eid) = apart_from_own(record, asked, cx) {
                accepted.push(Accepted {
                    eid,
                    asked,
                    record,
                    origin: Origin::MapReply,
                });
            } else {
                cx.count(Counter::OwnEid);
            }
        }
        if !accepted.iter().any(|accepted| accepted.eid.contains(&asked)) {
            return declined;
        }
        self.close(&asked);
        let longest = accepted.iter().map(|accepted| accepted.eid);
        let longest = longest
            .filter(|eid| eid.contains(&asked))
            .max_by_key(EidPrefix::length);
        for accepted in accepted {
            cx.count(Counter::RepliesAccepted);
            self.learn(accepted, cache, cx);
        }
        if let Some(answer) = longest {
            cache.supersede(asked, answer);
            cache.publish(cx);
        }
        declined
    }

    fn learn(&mut self, accepted: Accepted<'_>, cache: &mut Cache, cx: &mut Context<'_>) {
        let Accepted {
            eid,
            asked,
            record,
            origin,
        } = accepted;
        let content = if record.locators.is_empty() {
            Content::Negative(record.action)
        } else {
            Content::Locators(record.locators.clone())
        };
        let asked = if eid.contains(&asked) { asked } else { eid.first() };
        let gone = record.ttl == Ttl(0);
        // RFC 9301 section 5.5: a mapping does not outlive longer ones within it, or it would hide that they have changed.
        let span = cache
            .shortest_within(eid, cx.now)
            .map_or(life_of(record), |least| least.min(life_of(record)));
        let life = Life { from: cx.now, span };
        let mapping = Mapping::new(content, origin, asked, life).said_by(record, cx.config);
        let passes = match &mapping.content {
            Content::Negative(action) => is_native(*action),
            Content::Locators(_) | Content::Pending | Content::Behind(_) => true,
        };
        // Other packets held for EIDs in the block go the same way: had one of them a longer mapping, its owner
        // would have said so in the same reply. The pending entries, being longer, must not hide the answer.
        let settled: Vec<Eid> = self
            .open
            .iter()
            .filter(|(waiting, open)| open.why == Why::Miss && eid.contains(waiting))
            .map(|(waiting, _)| *waiting)
            .collect();
        for waiting in settled.iter().chain([&asked]) {
            self.close(waiting);
            self.pace.answered(waiting, cx.now);
            if matches!(cache.forwarding(waiting), Some(Forwarding::Pending)) {
                cache.remove(&EidPrefix::host(*waiting));
            }
        }
        if cache.is_pinned(&eid) {
            cache.publish(cx);
            return cx.effects.push(Effect::Release { eid });
        }
        if gone {
            // RFC 9301 section 5.4: what lives no longer is forgotten at once.
            cache.withdraw(&eid);
        } else {
            cache.insert(eid, mapping);
        }
        cache.publish(cx);
        cx.effects.push(if passes && !gone {
            Effect::Release { eid }
        } else {
            Effect::Discard { eid }
        });
    }

    /// Whether an answer for EIDs of `eid` is on its way, which may be older than what we are told now. What is yet to be
    /// asked is not: whoever solicits again and again must not keep what we are told from being heard.
    pub(crate) fn awaits(&self, eid: &EidPrefix) -> bool {
        self.open
            .iter()
            .any(|(asked, open)| !open.nonces.is_empty() && eid.contains(asked))
    }

    fn close(&mut self, eid: &Eid) -> Option<Open> {
        self.timers.cancel(eid);
        let open = self.open.remove(eid)?;
        for nonce in &open.nonces {
            self.by_nonce.remove(nonce);
        }
        Some(open)
    }
}

/// Nobody answers: packets are dropped for a while.
fn no_reply(eid: Eid, span: Span, cache: &mut Cache, cx: &mut Context<'_>) {
    let life = Life { from: cx.now, span };
    let host = EidPrefix::host(eid);
    if cache.is_pinned(&host) {
        // Packets waited when it was set.
        if matches!(cache.forwarding(&eid), Some(Forwarding::Pending)) {
            cache.remove(&host);
        }
        cache.publish(cx);
        return cx.effects.push(Effect::Release { eid: host });
    }
    let content = Content::Negative(Action::Drop);
    cache.insert(host, Mapping::new(content, Origin::NoReply, eid, life));
    cache.publish(cx);
    cx.effects.push(Effect::Discard { eid: host });
}

/// A Map-Request in the envelope that the mapping system expects (RFC 9301 section 5.8).
fn encapsulated(request: &MapRequest, source: SocketAddr, destination: IpAddr) -> Option<Message> {
    let mut message = Vec::new();
    Message::MapRequest(request.clone()).emit(&mut message).ok()?;
    Some(Message::Encapsulated(Encapsulated {
        source,
        destination,
        ddt_originated: false,
        via: lisp_wire::Via::Nobody,
        message,
    }))
}

/// The inner packet has one address family. Answers go to the ITR-RLOCs, so the address itself hardly matters.
fn inner_source(eid: Eid, source: Option<Eid>, cx: &Context<'_>) -> SocketAddr {
    let fits = |address: &IpAddr| address.is_ipv4() == eid.address.is_ipv4();
    let own = cx.own_toward(eid.address).map(|own| own.0);
    let address = own
        .or_else(|| source.map(|source| source.address).filter(fits))
        .unwrap_or(match eid.address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        });
    SocketAddr::new(address, CONTROL_PORT)
}

/// The prefix under which a record may be kept without hiding EIDs of this node.
///
/// A positive one that overlaps them is refused. A negative one, which often spans a large hole, is narrowed to the
/// longest hole around what was asked.
fn apart_from_own(record: &MappingRecord, asked: Eid, cx: &Context<'_>) -> Option<EidPrefix> {
    let own = || cx.config.eids.iter().map(|own| &own.prefix);
    let overlaps = |eid: &EidPrefix| own().any(|own| own.covers(eid) || eid.covers(own));
    if !overlaps(&record.eid) {
        return Some(record.eid);
    }
    if !record.locators.is_empty() || !record.eid.contains(&asked) {
        return None;
    }
    let host = EidPrefix::host(asked);
    (record.eid.length()..=host.length())
        .filter_map(|length| EidPrefix::new(asked.iid, asked.address, length).ok())
        .find(|narrower| !overlaps(narrower))
}

fn life_of(record: &MappingRecord) -> Span {
    let stated = Span::secs(u64::from(record.ttl.0) * 60).min(LONGEST_LIFE);
    match record.action {
        // Each packet asks; a moment it must be kept all the same, or each of a burst would wait.
        Action::SendMapRequest if record.locators.is_empty() => EVERY,
        _ => stated,
    }
}

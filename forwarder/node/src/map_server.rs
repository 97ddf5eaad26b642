//! The Map-Server role: takes registrations, and answers or forwards Map-Requests for them (RFC 9301 section 8).

mod addresses;
mod delegating;
mod merging;
mod publishing;
mod routed;
mod rows;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use lisp_wire::message::{Encapsulated, MapNotify, MapRegister, MapReply, MapRequest};
use lisp_wire::{Action, EidPrefix, Key, Locator, MappingRecord, Message, Nonce, Rloc, Ttl, verify};
use proto::{Span, Timestamp};

use crate::config::{NonceRule, Site};
use crate::context::{Context, Memory, unsigned};
use crate::counters::Counter;
use crate::etr::{Arrival, reply_address};
use crate::map_server::merging::{MergeNotices, Reach, Standing, spoken};
use crate::map_server::routed::Through;
use crate::pubsub::Publisher;
use crate::state::{Registrant, RegistrantNonce};
use crate::timers::Timers;

/// A registration not repeated this long has ended: three missed repetitions a minute apart (RFC 9301 section 8.2).
const LIFE: Span = Span::secs(180);
/// Where an xTR says itself how long (the T bit), it may be from one minute to a day.
const LEAST_LIFE: Span = Span::secs(60);
const LONGEST_LIFE: Span = Span::secs(24 * 3600);
/// So long after the start an EID may be registered without our knowing it yet: one period, and some.
const LEARNING: Span = Span::secs(75);
/// DSCP of replies.
const REPLY_DSCP: u8 = 48;
/// How long "no such EID" may be cached, and "known, but nobody registers it" (RFC 9301 section 8.3), in minutes.
const UNKNOWN: Ttl = Ttl(15);
const UNREGISTERED: Ttl = Ttl(1);
/// At most this many xTRs' registrations of one EID are kept.
const MOST_REGISTRANTS: usize = 64;
/// At most this many xTRs of one site are remembered by their nonces. They name themselves, and are never forgotten.
const MOST_NONCES: usize = 1024;
/// At most this many registrations are kept in all.
const MOST_REGISTRATIONS: usize = 262_144;
/// A client that asks for the same EID again within this time repeats itself: it has had no answer.
const INSISTING: Span = Span::secs(3);
/// So many askings go to one ETR before the next is tried: one may be lost, and only the ETR that registered knows for
/// certain what each client is to be told.
const ASKINGS_EACH: usize = 2;
/// At most this many askers are remembered for that.
const MOST_ASKERS: usize = 16_384;

/// What is registered here.
#[derive(Debug)]
pub(crate) struct MapServer {
    started: Timestamp,
    registrations: BTreeMap<EidPrefix, BTreeMap<Registrant, Registration>>,
    timers: Timers<(EidPrefix, Registrant)>,
    nonces: BTreeMap<Registrant, Nonce>,
    askers: BTreeMap<(EidPrefix, Rloc), Asker>,
    /// When room was last made among them: it takes a look at each, which a flood must not cause at each request.
    askers_swept: Timestamp,
    publisher: Publisher,
    merges: MergeNotices,
}

#[derive(Clone, Debug)]
struct Registration {
    record: MappingRecord,
    from: IpAddr,
    proxy_reply: bool,
    at: Timestamp,
    /// Decides among registrations of one moment.
    nonce: Nonce,
    standing: Standing,
    reach: Reach,
    life: Span,
}

#[derive(Clone, Copy, Debug)]
struct Asker {
    at: Timestamp,
    times: usize,
}

/// A Map-Request as it came out of its envelope.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a> {
    pub(crate) request: &'a MapRequest,
    pub(crate) envelope: &'a Encapsulated,
    pub(crate) arrival: Arrival,
}

impl MapServer {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            started: now,
            registrations: BTreeMap::new(),
            timers: Timers::default(),
            nonces: BTreeMap::new(),
            askers: BTreeMap::new(),
            askers_swept: now,
            publisher: Publisher::default(),
            merges: MergeNotices::default(),
        }
    }

    /// A Map-Register. It is taken whole or not at all.
    pub(crate) fn register(
        &mut self,
        register: &MapRegister,
        datagram: &[u8],
        from: SocketAddr,
        cx: &mut Context<'_>,
    ) {
        self.take_register(register, (datagram, from), None, cx);
    }

    /// A Map-Register, from the xTR itself or handed on by a router.
    fn take_register(
        &mut self,
        register: &MapRegister,
        (datagram, from): (&[u8], SocketAddr),
        through: Option<Through<'_>>,
        cx: &mut Context<'_>,
    ) {
        let (site, key) = match authorised(register, datagram, &cx.config.sites) {
            Ok(authority) => authority,
            Err(refusal) => return cx.count(refusal),
        };
        let registrant = Registrant {
            site: site.prefix,
            xtr: register.xtr.map(|(xtr, _)| xtr),
        };
        // Where it came from is not under its MAC: handed on by a router once more, it could say that the site is anywhere.
        if site.nonces == NonceRule::Growing || through.is_some() {
            if self
                .nonces
                .get(&registrant)
                .is_some_and(|last| register.nonce <= *last)
            {
                return cx.count(Counter::Replay);
            }
            if !self.nonces.contains_key(&registrant) && self.xtrs_of(site.prefix) >= MOST_NONCES {
                return cx.count(Counter::Full);
            }
            self.nonces.insert(registrant, register.nonce);
            cx.remember(Memory::Soon);
        }
        let standing = if register.merge {
            Standing::Merged
        } else {
            Standing::Alone
        };
        for record in &register.records {
            let registration = Registration {
                record: record.clone(),
                from: from.ip(),
                proxy_reply: register.proxy_reply,
                at: cx.now,
                nonce: register.nonce,
                standing,
                reach: Reach {
                    to: from,
                    key_id: key.id,
                    xtr: register.xtr,
                },
                life: if register.use_ttl {
                    Span::secs(u64::from(record.ttl.0) * 60).clamp(LEAST_LIFE, LONGEST_LIFE)
                } else {
                    LIFE
                },
            };
            self.take(registrant, registration, cx);
        }
        cx.count(Counter::RegistersAccepted);
        if register.want_notify {
            let notify = MapNotify {
                nonce: register.nonce,
                auth: unsigned(),
                records: register
                    .records
                    .iter()
                    .map(|record| self.confirmed(record, standing))
                    .collect(),
                xtr: register.xtr,
            };
            let notify = Message::MapNotify(notify);
            match through {
                None => cx.send_signed(&notify, key, from),
                Some(through) => through.send_back(&notify, key, cx),
            }
        }
    }

    /// How many xTRs a site has named so far.
    fn xtrs_of(&self, site: EidPrefix) -> usize {
        let first = Registrant { site, xtr: None };
        self.nonces
            .range(first..)
            .take_while(|(registrant, _)| registrant.site == site)
            .count()
    }

    fn take(&mut self, registrant: Registrant, registration: Registration, cx: &mut Context<'_>) {
        let eid = registration.record.eid;
        let key = (eid, registrant);
        if registration.record.ttl == Ttl::DEREGISTER {
            self.timers.cancel(&key);
            self.forget(&key, cx);
            return;
        }
        let room = self.timers.len() < MOST_REGISTRATIONS;
        let known = self.registrations.get(&eid);
        let new = known.is_none_or(|registrants| !registrants.contains_key(&registrant));
        if new && (!room || known.is_some_and(|registrants| registrants.len() >= MOST_REGISTRANTS)) {
            cx.count(Counter::Full);
            return;
        }
        let before = self.told(&eid);
        let (whole, life) = (self.whole(&eid), registration.life);
        self.registrations
            .entry(eid)
            .or_default()
            .insert(registrant, registration);
        self.timers.set(key, cx.now + life);
        self.publish(eid, before.as_ref(), cx);
        self.follow_merge(eid, whole.as_deref(), (&registrant, cx));
    }

    /// Answers a Map-Request, or sends it on to the ETR (RFC 9301 section 8.3).
    pub(crate) fn resolve(&mut self, query: &Query<'_>, cx: &mut Context<'_>) {
        let Some(asked) = query.request.eids.first().copied() else {
            return;
        };
        if query.request.unsubscribes() {
            return self.unsubscribe(query.request, query.arrival, cx);
        }
        let Some(to) = reply_address(query.request, query.arrival, cx) else {
            return;
        };
        if self.subscribed(query.request, asked, to, cx) {
            return;
        }
        let Some(registration) = self.newest(&asked) else {
            return self.refuse(asked, query.request.nonce, to, cx);
        };
        if registration.proxy_reply && !query.request.authoritative {
            cx.count(Counter::ServerProxied);
            let record = proxied(&registration.record);
            return send_reply(query.request.nonce, record, to, cx);
        }
        // Who was solicited asks for the news, not for want of an answer.
        let times = if query.request.invoked {
            0
        } else {
            self.insistence(asked, Rloc(to.ip()), cx.now)
        };
        let etrs = etrs(&registration, cx);
        let Some(etr) = etrs.get((times / ASKINGS_EACH).checked_rem(etrs.len()).unwrap_or(0)) else {
            return;
        };
        cx.count(Counter::ServerForwarded);
        cx.send(&Message::Encapsulated(query.envelope.clone()), *etr);
    }

    /// "There is no such EID": with the largest block around it of which that is true.
    fn refuse(&mut self, asked: EidPrefix, nonce: Nonce, to: SocketAddr, cx: &mut Context<'_>) {
        let Some(record) = self.hole(asked, cx) else {
            return cx.count(Counter::ServerSilent);
        };
        cx.count(Counter::ServerNegative);
        send_reply(nonce, record, to, cx);
    }

    /// The largest block around `asked` that nobody registers; `None` while we may not know of it yet.
    fn hole(&self, asked: EidPrefix, cx: &Context<'_>) -> Option<MappingRecord> {
        let site = cx.config.sites.iter().filter(|site| site.prefix.covers(&asked));
        let (shortest, ttl, action) = match site.map(|site| site.prefix.length()).max() {
            // After a restart the registrations come back within a period: a denial would be cached for longer.
            Some(_) if cx.now.since(self.started) < LEARNING => return None,
            // A LISP site's packets have no business on the underlay while the site is away.
            Some(length) => (length, UNREGISTERED, Action::Drop),
            None => (0, UNKNOWN, Action::NativelyForward),
        };
        let taken = |eid: &EidPrefix| {
            let registered = self
                .registrations
                .range(*eid..)
                .next()
                .is_some_and(|(other, _)| eid.covers(other));
            let site_within = |site: &Site| eid.covers(&site.prefix) && *eid != site.prefix;
            registered
                || cx
                    .config
                    .sites
                    .iter()
                    .any(|site| site_within(site) || (ttl == UNKNOWN && site.prefix == *eid))
        };
        let hole = (shortest..=asked.length())
            .filter_map(|length| EidPrefix::new(asked.iid(), asked.address(), length).ok())
            .find(|eid| !taken(eid))
            .unwrap_or(asked);
        Some(MappingRecord {
            ttl,
            eid: hole,
            action,
            authoritative: false,
            map_version: 0,
            locators: Vec::new(),
        })
    }

    /// The registration of the longest prefix around `asked`; of several xTRs, the last to register speaks, for all of
    /// them where they are merged.
    fn newest(&self, asked: &EidPrefix) -> Option<Registration> {
        (0..=asked.length()).rev().find_map(|length| {
            let prefix = EidPrefix::new(asked.iid(), asked.address(), length).ok()?;
            self.registrations.get(&prefix).and_then(spoken)
        })
    }

    /// How often this client has asked for this EID in a row.
    fn insistence(&mut self, asked: EidPrefix, client: Rloc, now: Timestamp) -> usize {
        if self.askers.len() >= MOST_ASKERS && now.since(self.askers_swept) >= INSISTING {
            self.askers_swept = now;
            self.askers.retain(|_, asker| now.since(asker.at) <= INSISTING);
        }
        if self.askers.len() >= MOST_ASKERS && !self.askers.contains_key(&(asked, client)) {
            return 0;
        }
        let entry = self
            .askers
            .entry((asked, client))
            .or_insert(Asker { at: now, times: 0 });
        let new = entry.at == now || now.since(entry.at) > INSISTING;
        *entry = Asker {
            at: now,
            times: if new { 0 } else { entry.times + 1 },
        };
        entry.times
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers
            .next()
            .into_iter()
            .chain(self.publisher.next_deadline())
            .chain(self.merges_due())
            .min()
    }

    /// Ends registrations that were not repeated.
    pub(crate) fn tick(&mut self, cx: &mut Context<'_>) {
        while let Some(key) = self.timers.pop_due(cx.now) {
            self.forget(&key, cx);
        }
        self.publisher.tick(cx);
        self.tick_merges(cx);
    }

    fn forget(&mut self, (eid, registrant): &(EidPrefix, Registrant), cx: &mut Context<'_>) {
        let before = self.told(eid);
        let whole = self.whole(eid);
        if let Some(registrants) = self.registrations.get_mut(eid) {
            registrants.remove(registrant);
            if registrants.is_empty() {
                self.registrations.remove(eid);
            }
        }
        self.publish(*eid, before.as_ref(), cx);
        self.follow_merge(*eid, whole.as_deref(), (registrant, cx));
    }

    /// The locators that are merged for a prefix, if any are.
    fn whole(&self, eid: &EidPrefix) -> Option<Vec<Locator>> {
        let whole = self.registrations.get(eid).and_then(spoken)?;
        (whole.standing == Standing::Merged).then_some(whole.record.locators)
    }

    /// Tells all but the one that set it off where merged locators are no longer what they were.
    fn follow_merge(
        &mut self,
        eid: EidPrefix,
        before: Option<&[Locator]>,
        (by, cx): (&Registrant, &mut Context<'_>),
    ) {
        let now = self.whole(&eid);
        if now.is_some() && now.as_deref() != before {
            self.tell_merged(eid, by, cx);
        }
    }

    /// What must outlive the process.
    pub(crate) fn nonces(&self) -> Vec<RegistrantNonce> {
        self.nonces
            .iter()
            .map(|(by, nonce)| RegistrantNonce {
                by: *by,
                nonce: nonce.0,
            })
            .collect()
    }

    /// Goes on from what an earlier process had seen.
    pub(crate) fn resume(&mut self, nonces: &[RegistrantNonce]) {
        for RegistrantNonce { by, nonce } in nonces {
            let last = self.nonces.entry(*by).or_insert(Nonce(0));
            *last = Nonce(*nonce).max(*last);
        }
    }
}

/// The site that every record belongs to, and its key that vouches for the message.
fn authorised<'c>(
    register: &MapRegister,
    datagram: &[u8],
    sites: &'c [Site],
) -> Result<(&'c Site, &'c Key), Counter> {
    let mut found = None;
    for record in &register.records {
        let holds = |site: &&Site| {
            site.prefix == record.eid || (site.accept_more_specifics && site.prefix.covers(&record.eid))
        };
        let site = sites
            .iter()
            .filter(holds)
            .max_by_key(|site| site.prefix.length())
            .ok_or(Counter::Scope)?;
        let key = verify(datagram, &site.keys).map_err(Counter::from)?;
        // The strictest rule of all the sites spoken of holds.
        let stricter = site.nonces == NonceRule::Growing;
        if found.is_none() || stricter {
            found = Some((site, key));
        }
    }
    found.ok_or(Counter::Malformed)
}

/// Whom to ask: the registering xTR's own locators first, then the others, each by priority.
fn etrs(registration: &Registration, cx: &Context<'_>) -> Vec<Rloc> {
    let usable = |locator: &&Locator| locator.priority.usable() && cx.own_toward(locator.etr().0).is_some();
    // To ourselves it would come back to where it is.
    let other = |rloc: &Rloc| !cx.config.is_own(*rloc);
    let mut locators: Vec<&Locator> = registration.record.locators.iter().filter(usable).collect();
    // Only the xTR that registered knows for certain what it tells each client.
    locators.sort_by_key(|locator| {
        (
            locator.etr().0 != registration.from,
            !locator.local,
            locator.priority,
        )
    });
    let mut etrs: Vec<Rloc> = locators
        .iter()
        .map(|locator| locator.etr())
        .filter(other)
        .collect();
    if etrs.is_empty() {
        etrs.extend(Some(Rloc(registration.from)).filter(other));
    }
    etrs
}

/// The record as it is told by us, who are not its owner.
fn proxied(record: &MappingRecord) -> MappingRecord {
    MappingRecord {
        authoritative: false,
        ..record.clone()
    }
}

fn send_reply(nonce: Nonce, record: MappingRecord, to: SocketAddr, cx: &mut Context<'_>) {
    let reply = MapReply {
        nonce,
        probe: false,
        echo_nonce: false,
        records: vec![record],
    };
    cx.send_to(&Message::MapReply(reply), to, REPLY_DSCP);
}

//! The Map-Server role: takes registrations, and answers or forwards Map-Requests for them (RFC 9301 section 8).

mod addresses;
mod answering;
mod damping;
mod delegating;
mod merging;
mod publishing;
mod quota;
mod routed;
mod rows;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use lisp_wire::data_header::{Age, MapVersion};
use lisp_wire::message::{Encapsulated, MapNotify, MapRegister, MapRequest};
use lisp_wire::{
    Action, CONTROL_PORT, EidPrefix, Key, Locator, MappingRecord, Message, Nonce, Rloc, Ttl, verify,
};
use proto::{Span, Timestamp};

use crate::config::{AnsweredFor, Config, NonceRule, Site};
use crate::context::{Context, Memory, unsigned};
use crate::counters::Counter;
use crate::etr::Arrival;
use crate::map_server::damping::Damping;
use crate::map_server::merging::{MergeNotices, Reach, Standing, spoken};
use crate::map_server::quota::Holdings;
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
/// How long "no such EID" may be cached, and "known, but nobody registers it" (RFC 9301 section 8.3), in minutes.
const UNKNOWN: Ttl = Ttl(15);
const UNREGISTERED: Ttl = Ttl(1);
/// At most this many xTRs' registrations of one EID are kept.
const MOST_REGISTRANTS: usize = 64;
/// At most this many xTRs of one site are remembered by their nonces. They name themselves, and are never forgotten.
const MOST_NONCES: usize = 1024;
/// A registration names at most this many locators. Records of 255 with paths would take 50 kB each.
const MOST_LOCATORS: usize = 32;
/// At most this many registrations are kept in all.
const MOST_REGISTRATIONS: usize = 262_144;

/// What is registered here.
#[derive(Debug)]
pub(crate) struct MapServer {
    started: Timestamp,
    registrations: BTreeMap<EidPrefix, BTreeMap<Registrant, Registration>>,
    timers: Timers<(EidPrefix, Registrant)>,
    holdings: Holdings,
    nonces: BTreeMap<(Registrant, Option<u8>), Nonce>,
    askers: BTreeMap<(EidPrefix, Rloc), Asker>,
    /// When room was last made among them: it takes a look at each, which a flood must not cause at each request.
    askers_swept: Timestamp,
    publisher: Publisher,
    damping: Damping,
    merges: MergeNotices,
}

#[derive(Clone, Debug)]
struct Registration {
    record: MappingRecord,
    from: IpAddr,
    proxy_reply: bool,
    /// Whether it came by a router that helps through a NAT: the xTR itself cannot be asked.
    behind_nat: bool,
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

impl Registration {
    /// Whether a plain question is answered here.
    fn is_answered_for(&self, config: &Config) -> bool {
        let around = config
            .sites
            .iter()
            .filter(|site| site.prefix.covers(&self.record.eid));
        let site = around.max_by_key(|site| site.prefix.length());
        let everyone = site.is_none_or(|site| site.answered_for == AnsweredFor::Everyone);
        self.proxy_reply && (everyone || self.behind_nat)
    }
}

impl MapServer {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            started: now,
            registrations: BTreeMap::new(),
            timers: Timers::default(),
            holdings: Holdings::default(),
            nonces: BTreeMap::new(),
            askers: BTreeMap::new(),
            askers_swept: now,
            publisher: Publisher::default(),
            damping: Damping::default(),
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
        let vouching = |keys| verify(datagram, keys).map_err(Counter::from);
        let (site, key) = match authorised(register, &cx.config.sites, vouching) {
            Ok(authority) => authority,
            Err(refusal) => return cx.count(refusal),
        };
        if register
            .records
            .iter()
            .any(|record| record.locators.len() > MOST_LOCATORS)
        {
            return cx.count(Counter::ManyLocators);
        }
        let registrant = Registrant {
            site: site.prefix,
            xtr: register.xtr.map(|(xtr, _)| xtr),
        };
        // Where it came from is not under its MAC: handed on by a router once more, it could say that the site is anywhere.
        // So the router has to be named for that leniency besides the site.
        let strict = |_: Through<'_>| !cx.config.nat.any_nonces.contains(&Rloc(from.ip()));
        let ordered = site.nonces == NonceRule::Growing || through.is_some_and(strict);
        // RFC 9301 section 5.6: for each xTR and key. What an earlier process noted without the key holds for all of them.
        let by = (registrant, Some(key.id));
        if ordered {
            let mut last = [by, (registrant, None)]
                .into_iter()
                .filter_map(|by| self.nonces.get(&by));
            if last.any(|last| register.nonce <= *last) {
                return cx.count(Counter::Replay);
            }
            if !self.nonces.contains_key(&by) && self.xtrs_of(site.prefix) >= MOST_NONCES {
                return cx.count(Counter::Full);
            }
        }
        if self.is_outdated(register, &registrant) {
            return cx.count(Counter::VersionRefused);
        }
        if ordered {
            self.nonces.insert(by, register.nonce);
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
                behind_nat: through.is_some(),
                at: cx.now,
                nonce: register.nonce,
                standing,
                reach: Reach {
                    to: notified_at(from),
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
                None => cx.send_signed(&notify, key, notified_at(from)),
                Some(through) => through.send_back(&notify, key, cx),
            }
        }
    }

    /// How many nonces of a site's xTRs are remembered.
    fn xtrs_of(&self, site: EidPrefix) -> usize {
        let first = Registrant { site, xtr: None };
        self.nonces
            .range((first, None)..)
            .take_while(|((registrant, _), _)| registrant.site == site)
            .count()
    }

    /// Whether an xTR registers an older version of a mapping than it has registered already: such a message is dropped
    /// (RFC 9302 section 5).
    fn is_outdated(&self, register: &MapRegister, registrant: &Registrant) -> bool {
        register.records.iter().any(|record| {
            let known = self
                .registrations
                .get(&record.eid)
                .and_then(|all| all.get(registrant));
            let versions = [
                record.map_version,
                known.map_or(0, |known| known.record.map_version),
            ];
            let [said, known] = versions.map(|number| MapVersion::new(number).unwrap_or_default());
            said.compared_with(known) == Some(Age::Older)
        })
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
        let site = cx.config.sites.iter().find(|site| site.prefix == registrant.site);
        let quota = site.map(|site| site.quota).unwrap_or_default();
        let replaced = known.and_then(|registrants| registrants.get(&registrant));
        if !self
            .holdings
            .replace(registrant.site, replaced, &registration, quota)
        {
            cx.count(Counter::Quota);
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

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers
            .next()
            .into_iter()
            .chain(self.publisher.next_deadline())
            .chain(self.damping.next_deadline())
            .chain(self.merges_due())
            .min()
    }

    /// Ends registrations that were not repeated.
    pub(crate) fn tick(&mut self, cx: &mut Context<'_>) {
        while let Some(key) = self.timers.pop_due(cx.now) {
            self.forget(&key, cx);
        }
        self.publisher.tick(cx);
        self.publish_due(cx);
        self.tick_merges(cx);
    }

    fn forget(&mut self, (eid, registrant): &(EidPrefix, Registrant), cx: &mut Context<'_>) {
        let before = self.told(eid);
        let whole = self.whole(eid);
        if let Some(registrants) = self.registrations.get_mut(eid) {
            if let Some(gone) = registrants.remove(registrant) {
                self.holdings.forget(registrant, &gone);
            }
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
            .map(|((by, key), nonce)| RegistrantNonce {
                by: *by,
                key: *key,
                nonce: nonce.0,
            })
            .collect()
    }

    /// Goes on from what an earlier process had seen.
    pub(crate) fn resume(&mut self, nonces: &[RegistrantNonce]) {
        for RegistrantNonce { by, key, nonce } in nonces {
            let last = self.nonces.entry((*by, *key)).or_insert(Nonce(0));
            *last = Nonce(*nonce).max(*last);
        }
    }
}

/// The site that every record belongs to, and its key that vouches for the message, as `vouching` finds it among the
/// site's. That reads the whole datagram, and so is asked once for each site, not for each record.
fn authorised<'c>(
    register: &MapRegister,
    sites: &'c [Site],
    vouching: impl Fn(&'c [Key]) -> Result<&'c Key, Counter>,
) -> Result<(&'c Site, &'c Key), Counter> {
    let mut found = None;
    let mut vouched: BTreeMap<EidPrefix, &Key> = BTreeMap::new();
    for record in &register.records {
        let holds = |site: &&Site| {
            site.prefix == record.eid || (site.accept_more_specifics && site.prefix.covers(&record.eid))
        };
        let site = sites
            .iter()
            .filter(holds)
            .max_by_key(|site| site.prefix.length())
            .ok_or(Counter::Scope)?;
        let key = match vouched.get(&site.prefix) {
            Some(key) => key,
            None => vouching(&site.keys)?,
        };
        vouched.insert(site.prefix, key);
        // The strictest rule of all the sites spoken of holds.
        let stricter = site.nonces == NonceRule::Growing;
        if found.is_none() || stricter {
            found = Some((site, key));
        }
    }
    found.ok_or(Counter::Malformed)
}

/// Where an xTR is told of what it registers: at the control port, whichever it sent from (RFC 9301 section 8.2).
const fn notified_at(from: SocketAddr) -> SocketAddr {
    SocketAddr::new(from.ip(), CONTROL_PORT)
}

#[cfg(test)]
mod tests;

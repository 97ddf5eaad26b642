//! Subscriptions at the Map-Server: who is told of changes of which mappings (RFC 9437).
//!
//! A Map-Request carries no proof of who sent it. A subscription therefore counts from the moment its Map-Notify has
//! been acknowledged under the key shared with the subscriber: until then it changes nothing of what is there, nor
//! does the end of one. For the same reason nothing of this need outlive the process: what a replayed request sets
//! off is told to the real subscriber, who knows its nonce and keeps silent.

mod notices;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use lisp_wire::message::{MapNotify, SiteId, XtrId};
use lisp_wire::{Action, EidPrefix, MappingRecord, Nonce, Rloc, Ttl};
use proto::{Span, Timestamp};

use crate::config::{Config, KeyRing};
use crate::context::Context;
use crate::counters::Counter;
use crate::timers::Timers;
use notices::{Notice, NoticeId, Notices, Purpose, Verdict};

/// A subscriber that has not been heard of for the lifetime of what it was told, but at least so long, has gone.
const LEAST_LIFE: Span = Span::secs(16 * 60);
/// For the way there and back.
const GRACE_SECONDS: u64 = 60;
/// And what it was told need not live longer than a day.
const LONGEST_LIFE: Span = Span::secs(24 * 3600);
/// The last nonce of an ended subscription is remembered for so long; of the oldest if there are too many, no longer.
const SPENT: Span = Span::secs(24 * 3600);
const MOST_SPENT: usize = 65_536;
/// Changes that are on their way to one subscriber at a time; more wait for an acknowledgement.
const MOST_OPEN: usize = 64;
/// Mappings whose changes wait, at most. With more the subscription ends, and whoever is still there subscribes anew.
const MOST_WAITING: usize = 4096;

/// Who is subscribed to what.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    subscriptions: BTreeMap<EidPrefix, BTreeMap<XtrId, Subscription>>,
    /// One for each subscription.
    expiries: Timers<(EidPrefix, XtrId)>,
    /// The last nonces of those that have ended, so that what was said then cannot be said once more (RFC 9437 section 5).
    spent: BTreeMap<(EidPrefix, XtrId), Nonce>,
    spent_until: Timers<(EidPrefix, XtrId)>,
    notices: Notices,
    /// What may be told now to whom, after it had to wait.
    ready: Vec<(Subscriber, EidPrefix)>,
    /// What an xTR at the same node may want to know.
    news: Vec<Publication>,
}

/// What is subscribed to, and by whom.
pub(crate) type Subscriber = (EidPrefix, XtrId);

/// What is known of a subscriber, who is reached at each of `to`.
#[derive(Clone, Debug)]
pub(crate) enum Publication {
    /// It has proven to want to be told of changes of a mapping.
    Subscribed {
        /// Of which.
        eid: EidPrefix,
        to: Arc<[SocketAddr]>,
    },
    /// It has acknowledged a change.
    Told {
        /// Of which mapping.
        eid: EidPrefix,
        to: Arc<[SocketAddr]>,
    },
    /// It is told no more.
    Ended {
        /// Of which mapping.
        eid: EidPrefix,
        to: Arc<[SocketAddr]>,
    },
}

impl Publication {
    /// Where the subscriber is reached.
    pub(crate) fn peers(&self) -> impl Iterator<Item = Rloc> + use<> {
        let (Self::Subscribed { to, .. } | Self::Told { to, .. } | Self::Ended { to, .. }) = self;
        let peers: BTreeSet<Rloc> = to.iter().map(|to| Rloc(to.ip())).collect();
        peers.into_iter()
    }
}

#[derive(Debug)]
struct Subscription {
    site: SiteId,
    /// What was asked for; the mapping it lies in is what changes are told of.
    asked: EidPrefix,
    to: Arc<[SocketAddr]>,
    /// The last one used: of the request, or of a publication after it.
    nonce: Nonce,
    /// What has not been acknowledged yet, by the EID it is about.
    open: BTreeMap<EidPrefix, NoticeId>,
    /// Mappings that have changed besides. What they are is looked up when it is told.
    waiting: BTreeSet<EidPrefix>,
}

/// What a Map-Request with the N bit asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) xtr: XtrId,
    pub(crate) site: SiteId,
    pub(crate) asked: EidPrefix,
    pub(crate) nonce: Nonce,
    /// Where the subscriber is told, the first before the others; where it wishes to end it, the sender.
    pub(crate) to: Arc<[SocketAddr]>,
}

/// A subscription that its subscriber has proven to want.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) eid: EidPrefix,
    pub(crate) xtr: XtrId,
    /// What it was told when it asked.
    pub(crate) told: Arc<MappingRecord>,
}

impl Publisher {
    pub(crate) fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }

    /// Offers a subscription to changes of `record`, by a Map-Notify with the nonce of the request (RFC 9437 section 5).
    ///
    /// # Errors
    /// There is no room. The request is then to be answered like any other.
    pub(crate) fn subscribe(
        &mut self,
        wish: Wish,
        record: MappingRecord,
        keys: &KeyRing,
        cx: &mut Context<'_>,
    ) -> Result<(), Full> {
        let eid = record.eid;
        let known = self.subscription(&eid, &wish.xtr);
        let spent = self.spent.get(&(eid, wish.xtr)).copied();
        let last = known.map(|known| known.nonce).max(spent);
        if last.is_some_and(|last| wish.nonce <= last) {
            cx.count(Counter::PubsubReplayed);
            return Ok(());
        }
        let full = known.is_none() && self.expiries.len() >= cx.config.pubsub.most;
        let notice = Notice::new(Purpose::Confirm { asked: wish.asked }, wish, Arc::new(record));
        if full || self.notices.offer(notice, keys, cx).is_none() {
            cx.count(Counter::PubsubFull);
            return Err(Full);
        }
        Ok(())
    }

    /// Asks whoever wants to end a subscription to acknowledge that (RFC 9437 section 5).
    pub(crate) fn unsubscribe(&mut self, wish: Wish, cx: &mut Context<'_>) {
        let of_asked = around(&wish.asked).find(|eid| {
            self.subscription(eid, &wish.xtr)
                .is_some_and(|known| *eid == wish.asked || known.asked == wish.asked)
        });
        let Some((eid, known)) = of_asked.and_then(|eid| Some((eid, self.subscription(&eid, &wish.xtr)?)))
        else {
            return cx.count(Counter::PubsubUnknown);
        };
        let Some(keys) = keys_of(cx.config, &eid) else {
            return;
        };
        if wish.nonce <= known.nonce {
            return cx.count(Counter::PubsubReplayed);
        }
        let notice = Notice::new(Purpose::Farewell, wish, Arc::new(withdrawn(eid)));
        if self.notices.offer(notice, keys, cx).is_none() {
            cx.count(Counter::PubsubFull);
        }
    }

    /// Tells all subscribers of mappings around `record`, each once (RFC 9437 section 6), and those of parts of it, `within`,
    /// what holds there. Who subscribed under another key than the mapping has by now has not proven to hold that, and is let go.
    pub(crate) fn publish(
        &mut self,
        record: MappingRecord,
        within: Vec<MappingRecord>,
        cx: &mut Context<'_>,
    ) {
        for part in within {
            self.publish_by(&[part.eid], part, cx);
        }
        let config = cx.config;
        let keys = keys_of(config, &record.eid);
        let same = |eid: &EidPrefix| {
            let of = keys_of(config, eid);
            of.zip(keys).is_some_and(|(of, keys)| std::ptr::eq(of, keys))
        };
        let known = around(&record.eid).filter(|eid| self.subscriptions.contains_key(eid));
        // The longest first: one subscriber of several mappings around is told by the closest.
        let (around, others): (Vec<EidPrefix>, Vec<EidPrefix>) = known.partition(same);
        self.publish_by(&around, record, cx);
        for eid in others {
            self.break_off_all(eid, cx);
        }
    }

    /// Tells those who are subscribed to any of these, by the first of them.
    fn publish_by(&mut self, eids: &[EidPrefix], record: MappingRecord, cx: &mut Context<'_>) {
        let config = cx.config;
        let Some(keys) = keys_of(config, &record.eid) else {
            return;
        };
        let record = Arc::new(record);
        let (mut told, mut overrun) = (BTreeSet::new(), Vec::new());
        for eid in eids {
            for (xtr, subscription) in self.subscriptions.get_mut(eid).into_iter().flatten() {
                let subscriber = (*eid, *xtr);
                if told.insert(*xtr)
                    && tell(
                        &mut self.notices,
                        subscriber,
                        subscription,
                        &record,
                        (keys, &mut *cx),
                    ) == Room::None
                {
                    overrun.push(subscriber);
                }
            }
        }
        for subscriber in overrun {
            self.break_off(subscriber, cx);
        }
    }

    /// Lets all go who are subscribed to blocks around a mapping, or to parts of it.
    pub(crate) fn let_go(&mut self, of: EidPrefix, cx: &mut Context<'_>) {
        let within: Vec<EidPrefix> = self.within(of).collect();
        for eid in around(&of).chain(within) {
            self.break_off_all(eid, cx);
        }
    }

    fn break_off_all(&mut self, eid: EidPrefix, cx: &mut Context<'_>) {
        let subscribers = self.subscriptions.get(&eid).into_iter().flatten();
        let xtrs: Vec<XtrId> = subscribers.map(|(xtr, _)| *xtr).collect();
        for xtr in xtrs {
            self.break_off((eid, xtr), cx);
        }
    }

    /// Ends a subscription to more than one can be to, and says so: who is still there subscribes anew, to a part.
    fn break_off(&mut self, (eid, xtr): Subscriber, cx: &mut Context<'_>) {
        let config = cx.config;
        let Some(subscription) = self.subscriptions.get_mut(&eid).and_then(|all| all.get_mut(&xtr)) else {
            return;
        };
        cx.count(Counter::PubsubOverrun);
        let wish = subscription.next_wish(xtr, (&self.notices, &eid));
        if let Some(keys) = keys_of(config, &eid) {
            let notice = Notice::new(Purpose::Publication, wish, Arc::new(withdrawn(eid)));
            notices::last_word(&notice, keys, cx);
        }
        self.end((&eid, &xtr), Nonce(0), cx.now);
    }

    /// What may be told now, after it had to wait until something else was acknowledged.
    pub(crate) fn take_waiting(&mut self) -> Vec<(Subscriber, EidPrefix)> {
        std::mem::take(&mut self.ready)
    }

    /// Tells one subscriber.
    pub(crate) fn publish_to(&mut self, (eid, xtr): Subscriber, record: MappingRecord, cx: &mut Context<'_>) {
        let config = cx.config;
        let subscription = self.subscriptions.get_mut(&eid).and_then(|all| all.get_mut(&xtr));
        let (Some(subscription), Some(keys)) = (subscription, keys_of(config, &record.eid)) else {
            return;
        };
        let record = Arc::new(record);
        let told = tell(
            &mut self.notices,
            (eid, xtr),
            subscription,
            &record,
            (keys, &mut *cx),
        );
        if told == Room::None {
            self.break_off((eid, xtr), cx);
        }
    }

    /// A Map-Notify-Ack. Tells of a subscription that begins, or begins anew, with it.
    pub(crate) fn acknowledged(
        &mut self,
        ack: &MapNotify,
        datagram: &[u8],
        from: SocketAddr,
        cx: &mut Context<'_>,
    ) -> Option<Proven> {
        let notice = self.notices.acknowledged(ack, datagram, from, cx)?;
        let (eid, xtr, now) = (notice.eid, notice.wish.xtr, cx.now);
        match notice.purpose {
            Purpose::Publication => {
                let subscription = self.subscriptions.get_mut(&eid)?.get_mut(&xtr)?;
                subscription.open.remove(&notice.record.eid);
                let next = subscription.waiting.pop_first();
                self.ready.extend(next.map(|next| ((eid, xtr), next)));
                self.news.push(Publication::Told {
                    eid: notice.record.eid,
                    to: Arc::clone(&subscription.to),
                });
                self.expiries.set((eid, xtr), now + life_of(&notice.record));
                cx.count(Counter::PubsubDelivered);
                None
            }
            Purpose::Farewell => {
                let last = self.subscription(&eid, &xtr)?.nonce;
                if notice.wish.nonce > last {
                    self.end((&eid, &xtr), notice.wish.nonce, now);
                    cx.count(Counter::PubsubUnsubscribed);
                }
                None
            }
            Purpose::Confirm { asked } => {
                let known = self.subscription(&eid, &xtr);
                let room = known.is_some() || self.expiries.len() < cx.config.pubsub.most;
                if !room || known.is_some_and(|known| notice.wish.nonce <= known.nonce) {
                    return None;
                }
                self.remove((&eid, &xtr), notice.wish.nonce, now);
                let subscription = Subscription {
                    site: notice.wish.site,
                    asked,
                    to: notice.wish.to,
                    nonce: notice.wish.nonce,
                    open: BTreeMap::new(),
                    waiting: BTreeSet::new(),
                };
                self.news.push(Publication::Subscribed {
                    eid,
                    to: Arc::clone(&subscription.to),
                });
                self.subscriptions
                    .entry(eid)
                    .or_default()
                    .insert(xtr, subscription);
                self.expiries.set((eid, xtr), now + life_of(&notice.record));
                cx.count(Counter::PubsubSubscribed);
                let told = notice.record;
                Some(Proven { eid, xtr, told })
            }
        }
    }

    /// What has become known of subscribers since the last call.
    pub(crate) fn take_news(&mut self) -> Vec<Publication> {
        std::mem::take(&mut self.news)
    }

    /// The prefixes within `block`, itself excepted, that somebody is subscribed to.
    pub(crate) fn within(&self, block: EidPrefix) -> impl Iterator<Item = EidPrefix> {
        self.subscriptions
            .range(block..)
            .map(|(eid, _)| *eid)
            .take_while(move |eid| block.contains(&eid.first()))
            .filter(move |eid| *eid != block && block.covers(eid))
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let expiries = self.expiries.next().into_iter();
        let spent = self.spent_until.next();
        expiries.chain(spent).chain(self.notices.next_deadline()).min()
    }

    /// Says again what was not acknowledged; ends what has run out.
    pub(crate) fn tick(&mut self, cx: &mut Context<'_>) {
        while let Some(spent) = self.spent_until.pop_due(cx.now) {
            self.spent.remove(&spent);
        }
        while let Some((eid, xtr)) = self.expiries.pop_due(cx.now) {
            self.end((&eid, &xtr), Nonce(0), cx.now);
            cx.count(Counter::PubsubExpired);
        }
        while let Some(id) = self.notices.pop_due(cx.now) {
            let config = cx.config;
            let Some((eid, xtr, purpose, about)) = self.notices.subject(id) else {
                continue;
            };
            let Some(keys) = keys_of(config, &about) else {
                continue;
            };
            let subscription = self.subscriptions.get_mut(&eid).and_then(|all| all.get_mut(&xtr));
            let nonce = match (purpose, subscription) {
                // RFC 9437 section 6: one more each time, or a receiver that has taken a later one would drop it.
                (Purpose::Publication, Some(subscription)) => {
                    subscription.nonce = self.notices.after(subscription.nonce, &about, &subscription.to);
                    Some(subscription.nonce)
                }
                _ => None,
            };
            if self.notices.again(id, nonce, keys, cx) == Verdict::GivenUp && purpose == Purpose::Publication
            {
                self.end((&eid, &xtr), Nonce(0), cx.now);
            }
        }
    }

    fn subscription(&self, eid: &EidPrefix, xtr: &XtrId) -> Option<&Subscription> {
        self.subscriptions.get(eid)?.get(xtr)
    }

    /// Ends a subscription. `nonce` is what it came to an end with, if that said one.
    fn end(&mut self, (eid, xtr): (&EidPrefix, &XtrId), nonce: Nonce, now: Timestamp) {
        if let Some(to) = self.remove((eid, xtr), nonce, now) {
            self.news.push(Publication::Ended { eid: *eid, to });
        }
    }

    /// The same, where another may begin in its place; whoever it told is where this says.
    fn remove(
        &mut self,
        (eid, xtr): (&EidPrefix, &XtrId),
        nonce: Nonce,
        now: Timestamp,
    ) -> Option<Arc<[SocketAddr]>> {
        self.expiries.cancel(&(*eid, *xtr));
        let subscribers = self.subscriptions.get_mut(eid)?;
        let ended = subscribers.remove(xtr)?;
        if subscribers.is_empty() {
            self.subscriptions.remove(eid);
        }
        for id in ended.open.into_values() {
            self.notices.drop(id);
        }
        if let Some(oldest) = self
            .spent_until
            .first()
            .filter(|_| self.spent.len() >= MOST_SPENT)
        {
            self.spent.remove(&oldest);
            self.spent_until.cancel(&oldest);
        }
        self.spent.insert((*eid, *xtr), nonce.max(ended.nonce));
        self.spent_until.set((*eid, *xtr), now + SPENT);
        Some(ended.to)
    }
}

impl Subscription {
    /// Who is told the next thing, with the nonce of that.
    fn next_wish(&mut self, xtr: XtrId, (notices, about): (&Notices, &EidPrefix)) -> Wish {
        self.nonce = notices.after(self.nonce, about, &self.to);
        Wish {
            xtr,
            site: self.site,
            asked: self.asked,
            nonce: self.nonce,
            to: Arc::clone(&self.to),
        }
    }
}

/// Whether something could be told, or wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Enough,
    None,
}

/// There is no room for another subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The keys that publications about `eid` are signed with: of the closest site around it that has one, or the server's.
pub(crate) fn keys_of<'c>(config: &'c Config, eid: &EidPrefix) -> Option<&'c KeyRing> {
    let sites = config.sites.iter().filter(|site| site.prefix.covers(eid));
    sites
        .max_by_key(|site| site.prefix.length())
        .and_then(|site| site.pubsub.as_ref())
        .or(config.pubsub.key.as_ref())
}

/// "There is no such mapping any more" (RFC 9437 section 5).
pub(crate) fn withdrawn(eid: EidPrefix) -> MappingRecord {
    MappingRecord {
        ttl: Ttl(0),
        eid,
        action: Action::NoAction,
        authoritative: false,
        map_version: 0,
        locators: Vec::new(),
    }
}

/// One publication to one subscriber; what was under way to it about the same EID is overtaken.
fn tell(
    notices: &mut Notices,
    (eid, xtr): Subscriber,
    subscription: &mut Subscription,
    record: &Arc<MappingRecord>,
    (keys, cx): (&KeyRing, &mut Context<'_>),
) -> Room {
    if let Some(id) = subscription.open.remove(&record.eid) {
        notices.drop(id);
    } else if subscription.open.len() >= MOST_OPEN {
        subscription.waiting.insert(record.eid);
        return if subscription.waiting.len() > MOST_WAITING {
            Room::None
        } else {
            Room::Enough
        };
    }
    subscription.waiting.remove(&record.eid);
    let wish = subscription.next_wish(xtr, (notices, &record.eid));
    let mut notice = Notice::new(Purpose::Publication, wish, Arc::clone(record));
    notice.eid = eid;
    cx.count(Counter::PubsubPublished);
    let id = notices.send(notice, keys, cx);
    subscription.open.insert(record.eid, id);
    Room::Enough
}

/// `eid` and the prefixes around it, the longest first.
fn around(eid: &EidPrefix) -> impl Iterator<Item = EidPrefix> + use<> {
    let eid = *eid;
    (0..=eid.length())
        .rev()
        .filter_map(move |length| EidPrefix::new(eid.iid(), eid.address(), length).ok())
}

fn life_of(record: &MappingRecord) -> Span {
    Span::secs(u64::from(record.ttl.0) * 60 + GRACE_SECONDS).clamp(LEAST_LIFE, LONGEST_LIFE)
}

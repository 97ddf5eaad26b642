//! What data headers are to say, and what follows from what they said: locator-status bits and echoed nonces (RFC 9300
//! section 10), versions of mappings (RFC 9302). Only between peers that the configuration trusts with it.
//!
//! The packet path leaves what it hears in atomics; here they are looked at twenty times a second.

mod echo;
mod own;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datapath::Reach;
use datapath::marks::{Marks, News, Peer};
use lisp_wire::{EidPrefix, Rloc};
use proto::{Span, Timestamp};

use crate::context::Context;
use crate::counters::Counter;
use crate::xtr::Xtr;
use echo::{Asking, Verdict};
use own::Places;

/// How often the packet path's news are looked at.
const LOOK: Span = Span::millis(50);
/// A peer with an old version of a mapping is solicited no more often than this, and after so many times in a row more
/// seldom (RFC 9302 section 7.1).
const SOLICIT_EVERY: Span = Span::secs(1);
const MOST_IN_A_ROW: u32 = 11;
const SOLICIT_SELDOM: Span = Span::secs(30);
/// Peers that send to us and that we have no mapping of; the one heard of longest ago makes room.
const MOST_MET: usize = 1024;
/// Other routers of this site whose locators are probed for their status.
const MOST_SIBLINGS: usize = 64;

/// The peers, and what is known of them.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    peers: BTreeMap<Rloc, Known>,
    news: Arc<News>,
    /// Our mappings by the numbers that the packet path knows them by.
    numbered: Vec<EidPrefix>,
    /// Locators of the site that are not this node's own.
    siblings: BTreeSet<Rloc>,
    /// Those of them that do not answer.
    down: BTreeSet<Rloc>,
    solicited: BTreeMap<(Rloc, EidPrefix), Solicited>,
    met: BTreeMap<Rloc, Timestamp>,
    look: Option<Timestamp>,
    places: Places,
    /// When some of them will be told again.
    quiet_until: Option<Timestamp>,
    marks: Standing,
    siblings_changed: bool,
}

/// How often a peer has been told that it has an old version of a mapping.
#[derive(Clone, Copy, Debug)]
struct Solicited {
    at: Timestamp,
    times: u32,
}

impl Solicited {
    fn may_be_again(self, now: Timestamp) -> bool {
        let wait = if self.times < MOST_IN_A_ROW {
            SOLICIT_EVERY
        } else {
            SOLICIT_SELDOM
        };
        now.since(self.at) >= wait
    }
}

/// Whether the packet path has what there is to be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Outdated,
    /// No, but that can wait until the next look.
    OutdatedAtLook,
    Current,
}

#[derive(Debug)]
struct Known {
    peer: Arc<Peer>,
    /// Whether it says that it echoes nonces (the E bit of its Map-Replies, RFC 9300 section 10.1).
    echoes: bool,
    asking: Asking,
}

impl Signals {
    /// A trusted peer that the packet path does not know has sent something.
    pub(crate) fn met(&mut self, rloc: Rloc, cx: &Context<'_>) {
        if !cx.config.data_header.toward(rloc).any() || self.peers.contains_key(&rloc) {
            return;
        }
        if self.met.len() >= MOST_MET {
            let oldest = self.met.iter().min_by_key(|(_, at)| **at).map(|(rloc, _)| *rloc);
            oldest.map(|oldest| self.met.remove(&oldest));
        }
        self.met.insert(rloc, cx.now);
        // Where senders can forge their addresses there is a new one with each packet, and all is made anew for it.
        self.marks = match (self.marks, self.look) {
            (Standing::Current, Some(_)) => Standing::OutdatedAtLook,
            (standing @ Standing::OutdatedAtLook, _) => standing,
            _ => Standing::Outdated,
        };
    }

    /// What a peer's Map-Reply says of nonces.
    pub(crate) fn says(&mut self, rloc: Rloc, echoes: bool) {
        if let Some(known) = self.peers.get_mut(&rloc) {
            known.echoes = echoes;
        }
    }

    /// What a probe found out of a locator that may be one of this site's.
    pub(crate) fn set_reach(&mut self, rloc: Rloc, reach: Reach) {
        let news = match reach {
            Reach::Up => self.down.remove(&rloc),
            Reach::Down => self.siblings.contains(&rloc) && self.down.insert(rloc),
        };
        if news {
            self.marks = Standing::Outdated;
        }
    }

    /// The map cache has other locators than before.
    pub(crate) const fn outdated(&mut self) {
        self.marks = Standing::Outdated;
    }

    /// Locators of the site that are to be probed, if they are not the same as when last asked.
    pub(crate) fn changed_siblings(&mut self) -> bool {
        std::mem::take(&mut self.siblings_changed)
    }

    /// Locators of the site that are to be probed.
    pub(crate) const fn siblings(&self) -> &BTreeSet<Rloc> {
        &self.siblings
    }

    pub(crate) const fn next_deadline(&self) -> Option<Timestamp> {
        self.look
    }

    pub(crate) fn tick(&mut self, xtr: &mut Xtr, cx: &mut Context<'_>) {
        if !cx.config.data_header.any() {
            return;
        }
        if xtr.database.take_touched() || self.marks == Standing::Outdated || self.places_due(cx.now) {
            self.marks = Standing::Current;
            self.say(xtr, cx);
        }
        if self.look.is_none_or(|look| look > cx.now) {
            return;
        }
        self.look = Some(cx.now + LOOK);
        if self.marks == Standing::OutdatedAtLook {
            self.marks = Standing::Current;
            self.say(xtr, cx);
        }
        if self.news.take() {
            self.follow_news(xtr, cx);
        }
        self.follow_echoes(xtr, cx);
    }

    /// What peers say of their mappings, and which of them have an old one of ours.
    fn follow_news(&mut self, xtr: &mut Xtr, cx: &mut Context<'_>) {
        let heeded = xtr.cache.heed();
        (0..heeded.down).for_each(|_| cx.count(Counter::StatusDown));
        for asked in heeded.outdated {
            xtr.resolutions.outdated(asked, cx);
        }
        let now = cx.now;
        self.solicited
            .retain(|_, solicited| now.since(solicited.at) <= SOLICIT_SELDOM);
        for (rloc, known) in &self.peers {
            let number = known
                .peer
                .take_stale()
                .and_then(|number| usize::try_from(number).ok());
            let Some(eid) = number.and_then(|number| self.numbered.get(number)) else {
                continue;
            };
            // The peer says it again with its next packet.
            let before = self.solicited.get(&(*rloc, *eid));
            if before.is_some_and(|before| !before.may_be_again(now)) {
                continue;
            }
            let times = before.map_or(0, |before| before.times) + 1;
            self.solicited.insert((*rloc, *eid), Solicited { at: now, times });
            cx.count(Counter::VersionsOld);
            cx.solicit(*rloc, *eid, None);
        }
    }

    fn follow_echoes(&mut self, xtr: &mut Xtr, cx: &mut Context<'_>) {
        for (rloc, known) in &mut self.peers {
            if !known.peer.signals().echo_nonce {
                continue;
            }
            let verdict = known.asking.follow(&known.peer.echo, known.echoes, cx);
            let (counter, reach) = match verdict {
                None => continue,
                Some(Verdict::Asked) => (Counter::EchoAsked, None),
                Some(Verdict::Echoed) => (Counter::EchoCame, None),
                Some(Verdict::Silent) => (Counter::EchoMissed, Some(Reach::Down)),
                Some(Verdict::TryAgain) => (Counter::EchoTriedAgain, Some(Reach::Up)),
            };
            cx.count(counter);
            if let Some(reach) = reach {
                xtr.cache.set_silence(*rloc, reach);
            }
        }
    }

    /// Whether bits may be said again that could not be when last they were made.
    fn places_due(&self, now: Timestamp) -> bool {
        self.quiet_until.is_some_and(|until| until <= now)
    }

    /// Makes anew what the packet path says and believes.
    fn say(&mut self, xtr: &mut Xtr, cx: &Context<'_>) {
        let config = cx.config;
        let trust = &config.data_header;
        let wanted: BTreeSet<Rloc> = xtr.cache.locators().chain(self.met.keys().copied()).collect();
        for rloc in self.peers.keys().filter(|rloc| !wanted.contains(rloc)) {
            xtr.cache.set_silence(*rloc, Reach::Up);
        }
        self.peers.retain(|rloc, _| wanted.contains(rloc));
        for rloc in wanted {
            let signals = trust.toward(rloc);
            if signals.any() {
                self.peers.entry(rloc).or_insert_with(|| Known {
                    peer: Arc::new(Peer::new(signals)),
                    echoes: false,
                    asking: Asking::default(),
                });
            }
        }
        let places = (&mut self.places, cx.now);
        let (own, siblings) = own::marks(&xtr.database, &self.down, places, config);
        self.quiet_until = self.places.next(cx.now);
        self.numbered = own.iter().map(|mark| mark.eid).collect();
        if siblings != self.siblings {
            self.down.retain(|rloc| siblings.contains(rloc));
            (self.siblings, self.siblings_changed) = (siblings, true);
        }
        let peers = self.peers.iter();
        let marks = Marks::new(trust.blocks(), Arc::clone(&self.news))
            .with_peers(peers.map(|(rloc, known)| (rloc.0, Arc::clone(&known.peer))))
            .with_own(own);
        xtr.cache.set_marks(Arc::new(marks));
        let start = self.look.unwrap_or(Timestamp(0));
        self.look = (!self.peers.is_empty()).then_some(start);
    }
}

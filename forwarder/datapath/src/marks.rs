//! What data headers say besides whose packet it is: locator-status bits and nonces to be echoed (RFC 9300 section 10),
//! versions of mappings (RFC 9302). All of it can be forged by whoever can send a packet, so it is said to peers, and
//! believed of them, only where they are named (RFC 9300 section 4.1): without any there are no [`Marks`], and a packet
//! costs one branch more.
//!
//! What packets teach is left in atomics for the control thread, which looks at them now and then: later news of the
//! same kind take the place of earlier ones.

mod echo;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use lisp_wire::data_header::{Age, MapVersion, Mark};
use lisp_wire::{DataHeader, Eid, EidPrefix, InstanceId};

pub use echo::{Echo, Traffic};

use crate::counters::Fate;
use crate::eid_map::EidMap;

/// Which kinds are said to a peer and believed of it: none unless it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Signals {
    /// L: which locators of a site are up.
    pub locator_status: bool,
    /// N and E: nonces that come back if the way there is open.
    pub echo_nonce: bool,
    /// V: which versions of the mappings are in use.
    pub map_version: bool,
}

impl Signals {
    /// Whether there are any.
    pub const fn any(self) -> bool {
        self.locator_status || self.echo_nonce || self.map_version
    }
}

/// All that is said and believed. Built by the control thread, published with the map cache.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    trusted: EidMap<Signals>,
    /// In the order of their addresses.
    peers: Box<[(IpAddr, Arc<Peer>)]>,
    own: EidMap<OwnMark>,
    /// Whether each packet of a peer counts, marked or not.
    counts_all: bool,
    news: Arc<News>,
}

/// A peer: one of its locators, to which packets are sent or from which they come.
#[derive(Debug, Default)]
pub struct Peer {
    signals: Signals,
    /// Nonces to and from it.
    pub echo: Echo,
    /// The number of one of our mappings of which it uses an old version, and one more; 0 for none.
    stale: AtomicU32,
}

/// What is said of one of this site's mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnMark {
    /// Which.
    pub eid: EidPrefix,
    /// A bit for each of its locators, as they stand in Map-Replies, the first the lowest: whether it is up. `None` where
    /// peers are told different locators, so that no bit has a meaning for all.
    pub status: Option<u32>,
    /// Its version; [`MapVersion::NONE`] for none.
    pub version: MapVersion,
    /// By which number the control thread knows it.
    pub number: u32,
}

/// What peers say of a mapping of theirs, and what we go by.
#[derive(Debug)]
pub struct MappingMarks {
    version: MapVersion,
    /// [`SAID`], [`NARROW`] and the bits.
    status: AtomicU64,
    /// A version that is newer than ours; 0 for none.
    newer: AtomicU32,
}

const SAID: u64 = 1 << 63;
const NARROW: u64 = 1 << 62;

/// Locator-status bits as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The first locator's is the lowest.
    pub bits: u32,
    /// How many there are: 8 beside an instance-id, else 32.
    pub width: usize,
}

impl Status {
    /// Whether the locator at this place of the mapping is said to be down. Of those without a bit nothing is said.
    pub const fn says_down(self, place: usize) -> bool {
        place < self.width && self.bits >> place & 1 == 0
    }
}

/// Whether packets have taught anything since the control thread looked last.
#[derive(Debug, Default)]
pub struct News(AtomicBool);

impl News {
    fn raise(&self) {
        if !self.0.load(Ordering::Relaxed) {
            self.0.store(true, Ordering::Release);
        }
    }

    /// Whether there are any; from now on there are none.
    pub fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Acquire)
    }
}

/// Where a marked packet came from and what it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) header: DataHeader,
    pub(crate) from: IpAddr,
    /// Whose EID it is for.
    pub(crate) destination: Eid,
    /// The mapping of the EID it comes from, and whether its locators have `from` among them: nobody speaks for another
    /// site's locators.
    pub(crate) source: Option<&'a MappingMarks>,
}

/// What follows for the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It was looked at.
    Heeded,
    /// Its sender is not to be believed.
    Ignored,
    /// Its sender is to be believed, but the control thread has to be told of it first.
    Stranger,
}

impl Marks {
    /// For peers within these blocks, the longest prefix deciding. Nobody is known yet.
    pub fn new(trusted: impl IntoIterator<Item = (EidPrefix, Signals)>, news: Arc<News>) -> Self {
        let mut map = EidMap::default();
        for (block, signals) in trusted {
            map.insert(&block, Arc::new(signals));
        }
        Self {
            trusted: map,
            news,
            ..Self::default()
        }
    }

    /// The same for these peers.
    #[must_use]
    pub fn with_peers(mut self, peers: impl IntoIterator<Item = (IpAddr, Arc<Peer>)>) -> Self {
        let mut peers: Vec<_> = peers.into_iter().collect();
        peers.sort_by_key(|(address, _)| *address);
        self.counts_all = peers.iter().any(|(_, peer)| peer.signals.echo_nonce);
        self.peers = peers.into();
        self
    }

    /// The same, saying this of the own mappings.
    #[must_use]
    pub fn with_own(mut self, own: impl IntoIterator<Item = OwnMark>) -> Self {
        self.own = EidMap::default();
        for mark in own {
            self.own.insert(&mark.eid, Arc::new(mark));
        }
        self
    }

    /// What may be said to a locator and believed of it.
    pub fn toward(&self, rloc: IpAddr) -> Signals {
        self.trusted
            .lookup(&Eid::of(rloc))
            .map_or(Signals::default(), |signals| **signals)
    }

    fn peer(&self, rloc: IpAddr) -> Option<&Peer> {
        let at = self.peers.binary_search_by_key(&rloc, |(address, _)| *address);
        self.peers.get(at.ok()?).map(|(_, peer)| peer.as_ref())
    }

    /// The header of a packet of `iid` from an EID of this site to a locator of a mapping.
    pub(crate) fn header(
        &self,
        iid: InstanceId,
        (source, to): (IpAddr, IpAddr),
        mapping: Option<&MappingMarks>,
    ) -> DataHeader {
        let plain = DataHeader::of(iid);
        let Some(peer) = self.peer(to) else { return plain };
        let signals = peer.signals;
        let own = self.own.lookup(&Eid { iid, address: source });
        let header = match own.and_then(|own| own.status) {
            Some(bits) if signals.locator_status => plain.with_locator_status(bits),
            _ => plain,
        };
        let nonce = if signals.echo_nonce {
            peer.echo.outgoing()
        } else {
            None
        };
        if let Some(mark) = nonce {
            return header.with_mark(mark);
        }
        let source = own.map_or(MapVersion::NONE, |own| own.version);
        let destination = mapping.map_or(MapVersion::NONE, |mapping| mapping.version);
        // RFC 9302 section 6.1: to a mapping without a version none are said.
        if signals.map_version && destination != MapVersion::NONE {
            return header.with_mark(Mark::Versions { source, destination });
        }
        header
    }

    /// Whether a packet is to be looked at.
    pub(crate) const fn looks_at(&self, header: DataHeader) -> bool {
        self.counts_all || header.is_marked()
    }

    /// Takes in what a packet's header says.
    ///
    /// # Errors
    /// The packet's fate, where it must be dropped for it.
    pub(crate) fn hear(&self, arrival: &Arrival<'_>) -> Result<Heard, Fate> {
        let Some(peer) = self.peer(arrival.from) else {
            return Ok(if self.toward(arrival.from).any() {
                Heard::Stranger
            } else {
                Heard::Ignored
            });
        };
        let header = arrival.header;
        let (signals, mut ignored) = (peer.signals, false);
        if signals.echo_nonce {
            peer.echo.incoming(header.mark());
        }
        match header.mark() {
            Mark::Versions { source, destination } if signals.map_version => {
                self.versions(peer, arrival, (source, destination))?;
            }
            Mark::Versions { .. } => ignored = true,
            Mark::Nonce { .. } => ignored |= !signals.echo_nonce,
            Mark::Absent => {}
        }
        match (header.locator_status(), arrival.source) {
            (Some(bits), Some(mapping)) if signals.locator_status => {
                let narrow = if header.instance_id().is_some() { NARROW } else { 0 };
                self.replace(&mapping.status, SAID | narrow | u64::from(bits));
            }
            (Some(_), _) => ignored = true,
            (None, _) => {}
        }
        Ok(if ignored { Heard::Ignored } else { Heard::Heeded })
    }

    /// RFC 9302 section 7. A version of ours that is ahead of ours, or one of theirs that is behind what its owner has told
    /// us, cannot be; nor can versions of a mapping that has none. Such a packet is dropped.
    fn versions(
        &self,
        peer: &Peer,
        arrival: &Arrival<'_>,
        (source, destination): (MapVersion, MapVersion),
    ) -> Result<(), Fate> {
        if let Some(own) = self.own.lookup(&arrival.destination) {
            // RFC 9302 section 6.1: there are none to a mapping without a version, and none without that of the destination.
            if own.version == MapVersion::NONE || destination == MapVersion::NONE {
                return Err(Fate::VersionNull);
            }
            match destination.compared_with(own.version) {
                Some(Age::Newer) => return Err(Fate::VersionAhead),
                Some(Age::Older) => {
                    peer.stale.store(own.number.saturating_add(1), Ordering::Relaxed);
                    self.news.raise();
                }
                Some(Age::Same) | None => {}
            }
        }
        if let Some(mapping) = arrival.source {
            match source.compared_with(mapping.version) {
                Some(Age::Older) => return Err(Fate::VersionBehind),
                Some(Age::Newer) => {
                    mapping.newer.store(source.get().into(), Ordering::Relaxed);
                    self.news.raise();
                }
                Some(Age::Same) | None => {}
            }
        }
        Ok(())
    }

    fn replace(&self, place: &AtomicU64, value: u64) {
        if place.load(Ordering::Relaxed) != value {
            place.store(value, Ordering::Relaxed);
            self.news.raise();
        }
    }
}

impl Peer {
    /// A peer to whom these are said, and of whom they are believed.
    pub fn new(signals: Signals) -> Self {
        Self {
            signals,
            ..Self::default()
        }
    }

    /// What is said to it and believed of it.
    pub const fn signals(&self) -> Signals {
        self.signals
    }

    /// The number of one of our mappings of which it uses an old version; it is told once.
    pub fn take_stale(&self) -> Option<u32> {
        match self.stale.load(Ordering::Relaxed) {
            0 => None,
            _ => self.stale.swap(0, Ordering::Relaxed).checked_sub(1),
        }
    }
}

impl MappingMarks {
    /// Of a mapping of this version, of which nothing is known yet.
    pub const fn new(version: MapVersion) -> Self {
        Self {
            version,
            status: AtomicU64::new(0),
            newer: AtomicU32::new(0),
        }
    }

    /// The locator-status bits that came last, if any did.
    pub fn status(&self) -> Option<Status> {
        let said = self.status.load(Ordering::Relaxed);
        (said & SAID != 0).then_some(Status {
            bits: said as u32,
            width: if said & NARROW == 0 { 32 } else { 8 },
        })
    }

    /// Whether there is a newer version than ours; it is told once.
    pub fn take_newer(&self) -> bool {
        self.newer.load(Ordering::Relaxed) != 0 && self.newer.swap(0, Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
mod tests;

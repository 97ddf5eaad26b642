//! What a node is told of itself and of its peers. [`Config::check`] refuses what cannot work; the machines take it as true.

mod adopt;
mod change_priority;
mod data_header;
mod key_ring;
mod quota;

use std::collections::{BTreeMap, BTreeSet};

use lisp_wire::data_header::MapVersion;
use lisp_wire::message::{SiteId, XtrId};
use lisp_wire::{EidPrefix, Key, Locator, Priority, Rloc, Ttl, Weight};
use proto::{SiteName, Span};

pub use change_priority::{ChangePriority, Legacy, Right, Scope, ScopedKey, TellBy};
pub use data_header::{DataHeader, TrustedPeer};
pub use key_ring::KeyRing;
pub use quota::Quota;

/// Everything a node is told when it takes up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name it introduces itself by.
    pub name: SiteName,
    /// Which xTR it is (RFC 9301 section 5.6): unique in the whole network.
    pub xtr_id: XtrId,
    /// The LISP site it belongs to; 0 where sites are not numbered.
    pub site_id: SiteId,
    /// Its own locators, the preferred one first; at least one.
    pub rlocs: Vec<OwnRloc>,
    /// What it does.
    pub roles: BTreeSet<Role>,
    /// Whom it asks, in order of preference.
    pub map_resolvers: Vec<Rloc>,
    /// Where it registers its EIDs.
    pub map_servers: Vec<MapServer>,
    /// Time between registrations; 60 s as a rule (RFC 9301 section 8.2).
    pub register_every: Span,
    /// Time between two askings for what this node is subscribed to elsewhere (RFC 9437): a Map-Server that has restarted
    /// knows of no subscription.
    pub subscribe_every: Span,
    /// Its own EIDs.
    pub eids: Vec<OwnEid>,
    /// Who may register what here (Map-Server role).
    pub sites: Vec<Site>,
    /// For which EIDs this node is the authority in a delegation tree (RFC 8111; Map-Server role).
    pub authority: Vec<EidPrefix>,
    /// Parts of them that it delegates to others.
    pub delegations: Vec<Delegation>,
    /// Where the Map-Resolver begins to walk down delegation trees (RFC 8111); without any it answers from its own sites.
    pub ddt_roots: Vec<Rloc>,
    /// Re-encapsulating routers that xTRs behind NATs are told of (Map-Server role).
    pub nat_rtrs: Vec<Rloc>,
    /// Who helps through NATs, and for whom.
    pub nat: NatRouters,
    /// So many answers to Map-Requests go to one address in a second: a request proves nothing of where it came from.
    pub answers_per_second: u64,
    /// Subscriptions at this node (RFC 9437; Map-Server role).
    pub pubsub: PubSub,
    /// Those of `map_resolvers` through which this node subscribes instead of just asking (RFC 9437), and the key that
    /// the Map-Server behind each signs its Map-Notifies with.
    pub subscribe: BTreeMap<Rloc, KeyRing>,
    /// Change-Priority (thesis section 4.3).
    pub change_priority: ChangePriority,
    /// Probing of the locators in the own map cache.
    pub probing: Probing,
    /// What is said in data headers, and believed of whom (RFC 9300 section 4.1).
    pub data_header: DataHeader,
}

/// Re-encapsulating routers that help xTRs through NATs, and Map-Servers (draft-ermagan-lisp-nat-traversal): a key for
/// each pair of them, with which the Map-Server proves to the router that a registration is good.
#[derive(Clone, Debug, Default)]
pub struct NatRouters {
    /// Map-Server role: the routers whose word is taken on where a registration came from.
    pub routers: BTreeMap<Rloc, KeyRing>,
    /// Router: the Map-Servers that registrations are handed on to.
    pub servers: BTreeMap<Rloc, KeyRing>,
    /// Router: the EIDs that may lie behind NATs.
    pub eids: Vec<EidPrefix>,
    /// Of those routers and Map-Servers, with whom nonces of registrations need not grow ([`NonceRule::Any`]): for xTRs that draw
    /// them at random. Who has seen a registration can then have the site's packets come to him, until its next one.
    pub any_nonces: BTreeSet<Rloc>,
}

/// Something a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Encapsulates: asks for mappings and keeps a map cache.
    Itr,
    /// Decapsulates: answers for its EIDs and registers them.
    Etr,
    /// Takes registrations.
    MapServer,
    /// Takes encapsulated Map-Requests.
    MapResolver,
}

/// A locator of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnRloc {
    /// The address.
    pub rloc: Rloc,
    /// Its priority in mappings that name no locators of their own.
    pub priority: Priority,
    /// Its weight there.
    pub weight: Weight,
}

/// A Map-Server to register with.
#[derive(Clone, Debug)]
pub struct MapServer {
    /// Where it is.
    pub address: Rloc,
    /// The keys shared with it.
    pub keys: KeyRing,
    /// Whether it is to answer Map-Requests itself. It then knows nothing of the views of single clients.
    pub proxy_reply: bool,
    /// Whether our locators are to stand with those that other xTRs register for the same EIDs (RFC 9301 section 5.6).
    pub merge: bool,
    /// Whether it is asked how we are seen from there, because we are behind a NAT.
    pub behind_nat: bool,
}

/// A block of EIDs of this site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnEid {
    /// Which.
    pub prefix: EidPrefix,
    /// How long others may cache the mapping.
    pub ttl: Ttl,
    /// What others are told; empty means the node's own [`Config::rlocs`].
    pub locators: Vec<Locator>,
    /// Whether this node registers it. Of several sites that serve an EID, only the one where it lives does.
    pub register: bool,
    /// The version that the mapping begins with, and goes on from with each change (RFC 9302 section 6);
    /// [`MapVersion::NONE`] where it has none. Needs a memory that outlives restarts.
    pub map_version: MapVersion,
}

/// A LISP site that registers with this Map-Server.
#[derive(Clone, Debug)]
pub struct Site {
    /// Which EIDs it may register.
    pub prefix: EidPrefix,
    /// Its keys, distinct in their ids; a new one is added before the old one is removed.
    pub keys: Vec<Key>,
    /// Whether longer prefixes than `prefix` may be registered too.
    pub accept_more_specifics: bool,
    /// How strictly registrations are ordered.
    pub nonces: NonceRule,
    /// The key shared with those who may subscribe to its mappings; [`PubSub::key`] where there is none.
    pub pubsub: Option<KeyRing>,
    /// Who is answered in its place, where it wishes to be answered for.
    pub answered_for: AnsweredFor,
    /// How much it may register.
    pub quota: Quota,
}

/// Who is answered by the Map-Server in place of a site that wishes it (P bit of its Map-Registers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnsweredFor {
    /// Everyone (RFC 9301 section 8.3). The site does not learn who has its mappings, and cannot tell them of changes.
    #[default]
    Everyone,
    /// Subscribers alone (RFC 9437), who are told of changes. Other questions go to the site, which so knows whom to tell.
    /// One that nobody can ask, because it is behind a NAT, is answered for all the same.
    Subscribers,
}

/// A part of the EIDs of a delegation tree that others are the authority for (RFC 8111).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Which.
    pub prefix: EidPrefix,
    /// To whom.
    pub to: DelegatedTo,
    /// Where they are.
    pub nodes: Vec<Rloc>,
}

/// What stands below a delegation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelegatedTo {
    /// Nodes of the tree, which delegate further.
    Nodes,
    /// The Map-Servers that the EIDs are registered with.
    MapServers,
}

/// Who may subscribe to mappings here (RFC 9437). Without any key nobody can, and Map-Requests that ask for it are
/// answered like all others.
#[derive(Clone, Debug)]
pub struct PubSub {
    /// The key shared with subscribers, for sites that have none of their own.
    pub key: Option<KeyRing>,
    /// At most so many subscriptions are kept. Further ones are answered like plain Map-Requests.
    pub most: usize,
}

impl PubSub {
    /// So many subscriptions are kept unless it is said otherwise.
    pub const MOST: usize = 131_072;
}

impl Default for PubSub {
    fn default() -> Self {
        Self {
            key: None,
            most: Self::MOST,
        }
    }
}

/// How strictly the nonces of an xTR's registrations are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonceRule {
    /// Each must be above the one before (RFC 9301 section 5.6); this stops replays.
    #[default]
    Growing,
    /// Any will do, for peers that draw them at random. Replays are then possible.
    Any,
}

/// Probing of the locators in the own map cache (RFC 9301 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probing {
    /// Time between two probes of a locator.
    pub cache_interval: Span,
    /// A probe unanswered this long is lost.
    pub timeout: Span,
    /// A locator is down after this many losses in a row, and up again with the first answer.
    pub down_after: u32,
}

impl Default for Probing {
    fn default() -> Self {
        Self {
            cache_interval: Span::secs(1),
            timeout: Span::secs(1),
            down_after: 3,
        }
    }
}

/// A Map-Server lets a subscription run out after a quarter of an hour and a minute at the earliest.
const MOST_SUBSCRIBE_EVERY: Span = Span::secs(15 * 60);

impl Config {
    /// Whether anyone may subscribe to anything here.
    pub(crate) fn publishes(&self) -> bool {
        self.pubsub.key.is_some() || self.sites.iter().any(|site| site.pubsub.is_some())
    }

    /// The closest delegation around `eid`.
    pub(crate) fn delegation_of(&self, eid: &EidPrefix) -> Option<&Delegation> {
        let around = self.delegations.iter().filter(|part| part.prefix.covers(eid));
        around.max_by_key(|part| part.prefix.length())
    }

    /// Whether the node has this role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Refuses what cannot work, naming the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.rlocs.is_empty() {
            return Err(ConfigError::NoRloc);
        }
        if self.has(Role::MapResolver) && !self.has(Role::MapServer) && self.ddt_roots.is_empty() {
            return Err(ConfigError::ResolverAlone);
        }
        if self.register_every < Span::secs(1) {
            return Err(ConfigError::TooShort {
                field: "register_every",
                least: Span::secs(1),
            });
        }
        if !(Span::secs(1)..=MOST_SUBSCRIBE_EVERY).contains(&self.subscribe_every) {
            return Err(ConfigError::SubscribeEvery);
        }
        let probing = &self.probing;
        for (field, span) in [
            ("probing.cache_interval", probing.cache_interval),
            ("probing.timeout", probing.timeout),
        ] {
            if span < Span::millis(10) {
                return Err(ConfigError::TooShort {
                    field,
                    least: Span::millis(10),
                });
            }
        }
        for (field, span) in [
            ("data_header.echo_every", self.data_header.echo_every),
            ("data_header.echo_wait", self.data_header.echo_wait),
        ] {
            if span < Span::millis(100) {
                return Err(ConfigError::TooShort {
                    field,
                    least: Span::millis(100),
                });
            }
        }
        if probing.down_after == 0 {
            return Err(ConfigError::DownAfter);
        }
        let versioned = self.eids.iter().any(|own| own.map_version != MapVersion::NONE);
        if versioned && !self.data_header.versions() {
            return Err(ConfigError::Versions);
        }
        for (at, own) in self.eids.iter().enumerate() {
            if self.eids[..at].iter().any(|other| other.prefix == own.prefix) {
                return Err(ConfigError::Twice {
                    field: "eids",
                    prefix: own.prefix,
                });
            }
            if own.ttl == Ttl::DEREGISTER {
                return Err(ConfigError::NoLife { prefix: own.prefix });
            }
            if own.locators.len() > 255 {
                return Err(ConfigError::Locators {
                    prefix: own.prefix,
                    count: own.locators.len(),
                });
            }
        }
        for (at, site) in self.sites.iter().enumerate() {
            if self.sites[..at].iter().any(|other| other.prefix == site.prefix) {
                return Err(ConfigError::Twice {
                    field: "sites",
                    prefix: site.prefix,
                });
            }
            if site.keys.is_empty() {
                return Err(ConfigError::NoKey { prefix: site.prefix });
            }
        }
        for (at, part) in self.delegations.iter().enumerate() {
            if self.delegations[..at]
                .iter()
                .any(|other| other.prefix == part.prefix)
            {
                return Err(ConfigError::Twice {
                    field: "ddt.delegations",
                    prefix: part.prefix,
                });
            }
            if part.nodes.is_empty() {
                return Err(ConfigError::NoNodes { prefix: part.prefix });
            }
            if !self.authority.iter().any(|block| block.covers(&part.prefix)) {
                return Err(ConfigError::Undelegable { prefix: part.prefix });
            }
        }
        if self.answers_per_second == 0 {
            return Err(ConfigError::NoAnswers);
        }
        let elsewhere = |resolver: &&Rloc| !self.map_resolvers.contains(resolver);
        if let Some(resolver) = self.subscribe.keys().find(elsewhere) {
            return Err(ConfigError::Subscribe { resolver: *resolver });
        }
        self.change_priority.check()
    }

    /// The locators told of an EID unless a client has a view of its own.
    pub(crate) fn default_locators(&self, own: &OwnEid) -> Vec<Locator> {
        if own.locators.is_empty() {
            let locator = |r: &OwnRloc| Locator::unicast(r.rloc, r.priority, r.weight);
            self.rlocs.iter().map(locator).map(|l| self.marked(l)).collect()
        } else {
            own.locators.iter().map(|l| self.marked(*l)).collect()
        }
    }

    /// Whether packets can be sent to `rloc`, as far as its family goes.
    pub(crate) fn speaks_to(&self, rloc: Rloc) -> bool {
        self.rlocs
            .iter()
            .any(|own| own.rloc.0.is_ipv4() == rloc.0.is_ipv4())
    }

    /// Whether `rloc` is this node's.
    pub(crate) fn is_own(&self, rloc: Rloc) -> bool {
        self.rlocs.iter().any(|own| own.rloc == rloc)
    }

    /// The locator with its L bit as it stands for this node (RFC 9301 section 5.4).
    pub(crate) fn marked(&self, locator: Locator) -> Locator {
        Locator {
            local: self.is_own(locator.etr()),
            probed: false,
            ..locator
        }
    }
}

/// A configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nobody could reach the node.
    #[error("rlocs: at least one locator is needed")]
    NoRloc,
    /// A resolver that is no server would have nobody to ask.
    #[error("roles: a map-resolver must be a map-server too, or have ddt_roots")]
    ResolverAlone,
    /// A timer that would flood the network.
    #[error("{field}: must be at least {least}")]
    TooShort {
        /// Which.
        field: &'static str,
        /// The least.
        least: Span,
    },
    /// No loss at all would be a failure.
    #[error("probing.down_after: must be at least 1")]
    DownAfter,
    /// The same prefix twice in one list.
    #[error("{field}: {prefix} is there twice")]
    Twice {
        /// The list.
        field: &'static str,
        /// The prefix.
        prefix: EidPrefix,
    },
    /// A lifetime of zero withdraws a mapping.
    #[error("eids: {prefix} has a ttl of 0, it must be at least 1 minute")]
    NoLife {
        /// Which EID.
        prefix: EidPrefix,
    },
    /// A record holds 255 locators at most.
    #[error("eids: {prefix} has {count} locators, at most 255 fit a record")]
    Locators {
        /// Of which EID.
        prefix: EidPrefix,
        /// How many.
        count: usize,
    },
    /// Nobody could register.
    #[error("sites: {prefix} has no key")]
    NoKey {
        /// Which site.
        prefix: EidPrefix,
    },
    /// A delegation to nobody.
    #[error("ddt.delegations: {prefix} names no nodes")]
    NoNodes {
        /// Of which EIDs.
        prefix: EidPrefix,
    },
    /// Only the authority can delegate.
    #[error("ddt.delegations: {prefix} is not within ddt.authority")]
    Undelegable {
        /// Which EIDs.
        prefix: EidPrefix,
    },
    /// Nobody would ever be answered.
    #[error("answers_per_second: must be at least 1")]
    NoAnswers,
    /// Subscriptions that run out, or a flood of questions.
    #[error(
        "subscribe_every: must be from 1s to {MOST_SUBSCRIBE_EVERY}, before a Map-Server lets a subscription run out"
    )]
    SubscribeEvery,
    /// Versions that nobody is told.
    #[error(
        "eids: a map_version has a use only with data_header.map_version: true, for peers that are named"
    )]
    Versions,
    /// Nobody would ever be asked there.
    #[error("subscribe: {resolver} is not among the map_resolvers")]
    Subscribe {
        /// Which.
        resolver: Rloc,
    },
    /// The key of a message must be clear from its id.
    #[error("{field}: id {id} is there twice, with change_priority.keys and .move_keys taken together")]
    KeyTwice {
        /// The list with the second of them.
        field: &'static str,
        /// Which.
        id: u8,
    },
    /// Whoever is told of moves has to know that a site tells them.
    #[error(
        "change_priority.group: sites that move EIDs between them need a key that none of their clients holds: \
         move_keys: [NAME], the same at each of them"
    )]
    NoMoveKey,
    /// Whoever is told of changes could move EIDs.
    #[error(
        "change_priority.move_keys[{at}]: the same secret stands in change_priority.keys, which clients hold: give the \
         sites of the group one of their own"
    )]
    MoveKeyTold {
        /// Its place in the list.
        at: usize,
    },
}

#[cfg(test)]
mod tests;

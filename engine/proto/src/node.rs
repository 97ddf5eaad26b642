//! Engine and forwarder: what is asked of a node, and what it reports.

use lisp_wire::{Eid, EidPrefix, Locator, Rloc, Ttl};
use serde::{Deserialize, Serialize};

use crate::inspect::{Cursor, LogPage, LogQuery, OwnRegistrationRow, Page, SubscribedRow, SubscriptionRow};
use crate::{SiteName, Span, Timestamp};

/// Ties a node's report to the change it was asked for. Unique over restarts of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeId(pub u64);

/// What an engine, or `pacao ctl node`, asks of a forwarder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum NodeCommand {
    /// From now on, send probe results and events on this connection.
    Subscribe {
        /// Of these, tell whether they run here: at once, and as it changes ([`NodeReport::Residents`]). Older engines
        /// name none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        residents: Vec<EidPrefix>,
    },
    /// Probe exactly these. The list replaces the one before, which stays in force while no engine is connected.
    Probe {
        /// User RLOCs, and how to probe them.
        targets: Vec<ProbeTarget>,
    },
    /// Answer Map-Requests for `eid` with these locators, and register them when the audience is everyone.
    SetLocators {
        /// For the report.
        change: ChangeId,
        /// Which mapping.
        eid: EidPrefix,
        /// Who is to see it.
        audience: Audience,
        /// All locators of the mapping.
        locators: Vec<Locator>,
        /// Whom to tell at once.
        tell: Tell,
    },
    /// Algorithm 1 with H=1: the EID has just arrived at this site (thesis section 4.3).
    Arrived {
        /// For the report.
        change: ChangeId,
        /// The EID.
        eid: EidPrefix,
    },
    /// Before an EID moves, asked of the site that it leaves: hand its clients, the keys for them and their mappings to
    /// the site that it will come to, so that that site tells the clients itself. Asked again, it begins anew.
    Prepare {
        /// For the report: [`ChangeOutcome::Prepared`], or [`ChangeOutcome::Unanswered`] by the destination.
        change: ChangeId,
        /// The EID.
        eid: EidPrefix,
        /// A locator of the node at the site that it will come to: one of this node's group.
        destination: Rloc,
        /// How long the preparation holds.
        #[serde(default = "preparation_life")]
        expires_in: Span,
    },
    /// The EID has just stopped at this site and is about to run elsewhere: what comes for it is sent on to the site that
    /// the move was prepared with, to be held there; without a preparation it is held here.
    Stopped {
        /// The EID.
        eid: EidPrefix,
    },
    /// The EID stays after all: what was prepared is forgotten here and at the destination, and what was held comes back.
    Abandon {
        /// The EID.
        eid: EidPrefix,
    },
    /// Put a mapping into the map cache by hand, until `ttl` lapses; an empty list of locators removes it.
    SetCache {
        /// Which EIDs.
        eid: EidPrefix,
        /// Its locators.
        locators: Vec<Locator>,
        /// Lifetime.
        ttl: Span,
    },
    /// Read the configuration file anew: keys, Map-Servers, sites and the like change at once, addresses and roles with a
    /// restart only. A file that is wrong changes nothing.
    Reload,
    /// Report what is asked, once and whole. A table that is too long for that is refused: it is to be asked for by
    /// [`NodeCommand::Page`].
    Show {
        /// What.
        what: Show,
    },
    /// Report a part of a table, and where it goes on; answered by [`NodeReport::Page`].
    Page {
        /// What.
        what: Show,
        /// Only rows about EIDs within this block, or about a block around it. Of no meaning for probes and counters.
        #[serde(default)]
        eid: Option<EidPrefix>,
        /// Where to go on; from the beginning if there is none.
        #[serde(default)]
        after: Option<Cursor>,
        /// At most so many rows; 0 leaves it to the node, which bounds it in any case.
        #[serde(default)]
        most: u32,
    },
    /// Report messages of the log; answered by [`NodeReport::Log`].
    Log {
        /// Which.
        #[serde(default)]
        query: LogQuery,
    },
}

/// A live migration takes minutes where memory is written to fast.
const fn preparation_life() -> Span {
    Span::secs(300)
}

/// Who sees a locator set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Audience {
    /// Everyone who has no set of their own; this is also what is registered with the Map-Server.
    Everyone,
    /// The client xTR with this locator.
    Client {
        /// Its RLOC.
        rloc: Rloc,
    },
}

/// Whom a change is told at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tell {
    /// Nobody: it is found at the next Map-Request.
    Nobody,
    /// The audience (a client, or everyone in the requester log), by Change-Priority with C=1, repeated until acknowledged.
    ChangePriority,
}

/// A locator to be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProbeTarget {
    /// The locator.
    pub rloc: Rloc,
    /// Time between probes (S''').
    pub interval: Span,
    /// A probe unanswered this long is lost.
    pub timeout: Span,
    /// DSCP of the probes, 0 to 63: the class of the user's traffic.
    pub dscp: u8,
    /// A probe that is out for this long is told to be overdue, before its answer or timeout.
    #[serde(default)]
    pub overdue_after: Option<Span>,
}

/// Parts of a node that can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Show {
    /// Remote mappings.
    MapCache,
    /// Mappings registered here (Map-Server role).
    Registrations,
    /// Own EIDs, with the views of single clients.
    Database,
    /// Who asked for which EID lately.
    Requesters,
    /// Probed locators and their figures.
    Probes,
    /// Packets and messages, by fate.
    Counters,
    /// Who is subscribed to mappings here (Map-Server role).
    Subscriptions,
    /// The mappings that this node is subscribed to elsewhere.
    Subscribed,
    /// Own EIDs at their Map-Servers: acknowledged when, due when.
    OwnRegistrations,
}

/// What a forwarder tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "report")]
pub enum NodeReport {
    /// First word on every connection.
    Hello {
        /// The configured name.
        name: SiteName,
        /// Version of the forwarder.
        version: String,
        /// Its locators.
        rlocs: Vec<Rloc>,
        /// When the process took up.
        since: Timestamp,
    },
    /// Outcomes of probes, in the order they became known.
    Probes {
        /// The outcomes.
        samples: Vec<ProbeSample>,
    },
    /// How a change went.
    Changed {
        /// Which.
        change: ChangeId,
        /// How.
        outcome: ChangeOutcome,
    },
    /// A client xTR asked for an EID of ours.
    Requested {
        /// The client.
        client: Rloc,
        /// What it asked for.
        eid: EidPrefix,
    },
    /// Which of the EIDs that were named with [`NodeCommand::Subscribe`] run at this site: first of all that are within
    /// the EIDs configured here, then of those of which it has changed.
    Residents {
        /// One row an EID.
        rows: Vec<ResidentRow>,
    },
    /// The command before was accepted; for commands with nothing else to say.
    Done,
    /// The command before was refused.
    Refused {
        /// Why, and what would be right.
        why: String,
    },
    /// Asked by [`Show::MapCache`].
    MapCache {
        /// One row a mapping.
        rows: Vec<CacheRow>,
    },
    /// Asked by [`Show::Registrations`].
    Registrations {
        /// One row a mapping and registering xTR.
        rows: Vec<RegistrationRow>,
    },
    /// Asked by [`Show::Database`].
    Database {
        /// One row an EID prefix and audience.
        rows: Vec<DatabaseRow>,
    },
    /// Asked by [`Show::Requesters`].
    Requesters {
        /// One row an EID prefix and client.
        rows: Vec<RequesterRow>,
    },
    /// Asked by [`Show::Probes`].
    ProbeFigures {
        /// One row a locator.
        rows: Vec<ProbeRow>,
    },
    /// Asked by [`Show::Counters`].
    Counters {
        /// Name and value, in a fixed order.
        rows: Vec<CounterRow>,
    },
    /// Asked by [`Show::Subscriptions`].
    Subscriptions {
        /// One row a mapping and subscriber.
        rows: Vec<SubscriptionRow>,
    },
    /// Asked by [`Show::Subscribed`].
    Subscribed {
        /// One row a mapping.
        rows: Vec<SubscribedRow>,
    },
    /// Asked by [`Show::OwnRegistrations`].
    OwnRegistrations {
        /// One row a Map-Server and EID prefix.
        rows: Vec<OwnRegistrationRow>,
    },
    /// The file has been read anew (asked by [`NodeCommand::Reload`]).
    Reloaded {
        /// Fields that differ from what is in force and count from the next start on.
        from_next_start: Vec<String>,
    },
    /// Asked by [`NodeCommand::Page`].
    Page(Page),
    /// Asked by [`NodeCommand::Log`].
    Log(LogPage),
}

/// Whether an EID runs at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidentRow {
    /// As it was named.
    pub eid: EidPrefix,
    /// Whether it does.
    #[serde(flatten)]
    pub residence: Residence,
}

/// Where an EID runs, as far as one site knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "runs")]
pub enum Residence {
    /// At this site.
    Here {
        /// When it arrived, by the forwarder's clock; none: it is here by the configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// Not here: at another site, or stopped here to be moved.
    Elsewhere,
}

/// One probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSample {
    /// The locator probed.
    pub target: Rloc,
    /// When it was sent, by the forwarder's clock.
    pub sent_at: Timestamp,
    /// What came of it.
    pub outcome: ProbeOutcome,
}

/// What came of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeOutcome {
    /// Answered after this long.
    Rtt(Span),
    /// Not answered for this long so far: the RTT is at least that. Another outcome of the same probe follows and
    /// takes its place.
    Overdue(Span),
    /// Not answered in time.
    Lost,
}

/// How a change went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum ChangeOutcome {
    /// Stored; nobody was to be told.
    Stored,
    /// A client acknowledged.
    Acknowledged {
        /// Which.
        client: Rloc,
        /// From first sending to acknowledgement.
        after: Span,
        /// How often it was sent.
        attempts: u32,
    },
    /// The destination of a move has taken everything.
    Prepared {
        /// The destination's node.
        destination: Rloc,
        /// So many clients were handed to it.
        clients: usize,
        /// From the command on.
        after: Span,
    },
    /// A client never acknowledged. The new set stays in force for later Map-Requests.
    Unanswered {
        /// Which.
        client: Rloc,
        /// How often it was sent.
        attempts: u32,
    },
}

/// A remote mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheRow {
    /// Which EIDs.
    pub eid: EidPrefix,
    /// encapsulate, native, drop, pending.
    pub forwarding: String,
    /// Its locators, each with whether probes find it up.
    pub locators: Vec<CacheLocator>,
    /// Time left to live.
    pub expires_in: Span,
    /// Where it came from: map-reply, change-priority, manual.
    pub origin: String,
    /// When it came to say what it says, by the forwarder's clock.
    #[serde(default)]
    pub told_at: Timestamp,
    /// When packets began to go by it, by the same clock; none if that was too long ago to be known, or is not so yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force_at: Option<Timestamp>,
}

/// A locator in a map cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheLocator {
    /// As told by the mapping's owner.
    pub locator: Locator,
    /// What this node found out by probing.
    pub up: bool,
    /// Packets sent to it from this mapping.
    pub packets: u64,
    /// Bytes of the inner packets.
    pub bytes: u64,
}

/// A registered mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationRow {
    /// Which EIDs.
    pub eid: EidPrefix,
    /// As registered.
    pub locators: Vec<Locator>,
    /// Who registered it.
    pub from: Rloc,
    /// Time left.
    pub expires_in: Span,
    /// How long ago it was registered last.
    #[serde(default)]
    pub age: Span,
    /// When it should come again, a minute after the last (RFC 9301 section 8.2); none if it is late.
    #[serde(default)]
    pub refresh_in: Option<Span>,
    /// How long others may cache it.
    #[serde(default = "no_ttl")]
    pub ttl: Ttl,
    /// Which xTR registered it, 32 hexadecimal digits; empty if it did not say.
    #[serde(default)]
    pub xtr_id: String,
    /// Whether the Map-Server answers for it.
    #[serde(default)]
    pub proxy_reply: bool,
}

const fn no_ttl() -> Ttl {
    Ttl::DEREGISTER
}

/// An own mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseRow {
    /// Which EIDs.
    pub eid: EidPrefix,
    /// For whom.
    pub audience: Audience,
    /// The locators they are told.
    pub locators: Vec<Locator>,
}

/// Somebody who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequesterRow {
    /// For what.
    pub eid: EidPrefix,
    /// Who.
    pub client: Rloc,
    /// For which of its EIDs, if it said.
    pub source_eid: Option<Eid>,
    /// How long ago.
    pub ago: Span,
    /// When what it was told expires, and it with it.
    #[serde(default)]
    pub expires_in: Span,
    /// How it is told of changes: map-server where one publishes them to it (RFC 9437), change-priority,
    /// change-priority-legacy, smr, change-priority-or-smr where it has shown nothing yet, or smr-too where it has not
    /// acknowledged Change-Priority and is sent it all the same.
    #[serde(default)]
    pub told_by: String,
}

/// A probed locator. Figures are over the last window of 30 probes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeRow {
    /// Which.
    pub rloc: Rloc,
    /// Whether probes are answered.
    pub up: bool,
    /// RTT, milliseconds.
    pub rtt: Option<crate::snapshot::RttFigures>,
    /// RFC 3550 jitter, milliseconds.
    pub jitter_ms: Option<f64>,
    /// Lost, percent.
    pub loss_pct: Option<f64>,
    /// Share of time up since probing began, percent.
    pub availability_pct: f64,
    /// For whom: engine, map-cache, or both.
    #[serde(default)]
    pub probed_for: String,
    /// Time between probes.
    #[serde(default)]
    pub interval: Span,
    /// DSCP of the probes.
    #[serde(default)]
    pub dscp: u8,
    /// Lost since the last answer.
    #[serde(default)]
    pub lost_in_a_row: u32,
    /// Mappings of the own map cache that name it.
    #[serde(default)]
    pub mappings: usize,
}

/// A counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterRow {
    /// Dotted name: `encap.packets`, `control.refused.replay`.
    pub name: String,
    /// Count since the process took up.
    pub value: u64,
    /// What is counted, in words; told to people who ask page by page, not to every heartbeat.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub meaning: String,
}

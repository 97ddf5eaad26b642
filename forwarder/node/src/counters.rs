//! What became of messages, for `Show::Counters`.

use lisp_wire::AuthError;
use proto::node::CounterRow;

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// Something counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Counter {
            $($(#[doc = $doc])* $variant,)*
        }

        const NAMES: &[&str] = &[$($name),*];
        /// What the names stand for: the comments of the table.
        const MEANINGS: &[&str] = &[$(concat!($($doc),*)),*];
    };
}

counters! {
    /// Datagrams on the control port.
    Received = "control.received",
    /// Messages sent.
    Sent = "control.sent",
    /// Messages that had no bytes; a defect or an absurd configuration.
    Unsendable = "control.unsendable",
    /// Bytes that are no message.
    Malformed = "control.refused.malformed",
    /// A key that is not shared with the sender, or of another algorithm.
    UnknownKey = "control.refused.unknown-key",
    /// A MAC that the key does not make.
    BadMac = "control.refused.bad-mac",
    /// A nonce not above the sender's last.
    Replay = "control.refused.replay",
    /// A nonce more than 300 s away from our clock.
    Stale = "control.refused.stale",
    /// A reply or acknowledgement nobody asked for.
    Unsolicited = "control.refused.unsolicited",
    /// A reply about something else than was asked.
    Mismatch = "control.refused.mismatch",
    /// A mapping that would cover EIDs of this node.
    OwnEid = "control.refused.own-eid",
    /// A Change-Priority or Map-Register about EIDs that its key, or this node, has no say over.
    Scope = "control.refused.scope",
    /// A message that moves an EID under a key that may only tell clients, or the other way round.
    NoRight = "control.refused.no-right",
    /// A message that moves an EID, from or to a site that is not of the group.
    NotInGroup = "control.refused.not-in-group",
    /// A Change-Priority made for another node.
    Misdirected = "control.refused.misdirected",
    /// A Change-Priority about an EID that has been asked for; it is taken when it comes again after the answer.
    Awaited = "control.refused.awaited",
    /// The type-5 form where it is not configured.
    Legacy = "control.refused.legacy",
    /// A registration of an older version of a mapping than the xTR has registered (Map-Server role, RFC 9302).
    VersionRefused = "control.refused.map-version",
    /// A Map-Request that wants no answer (the D bit), and is no solicitation.
    Unwanted = "control.refused.no-reply-wanted",
    /// An answer to a probe by one who does not speak for the EID (no A bit).
    NotAuthoritative = "control.refused.not-authoritative",
    /// A message this node has no role for.
    NoRole = "control.refused.no-role",
    /// More Map-Requests than are answered in a second.
    Rate = "control.refused.rate",
    /// More answers to one address than it gets in a second.
    Reflected = "control.refused.reflected",
    /// A table is full.
    Full = "control.refused.full",
    /// Registrations of a site that has as many as it may have, or as many bytes of them (Map-Server role).
    Quota = "control.refused.site-quota",
    /// A registration of more locators than are kept of one mapping (Map-Server role).
    ManyLocators = "control.refused.too-many-locators",
    /// Misses of the packet path.
    Misses = "control.misses",
    /// Times that the own locators changed.
    Relocations = "control.relocations",
    /// Map-Requests sent.
    RequestsSent = "control.map-requests.sent",
    /// Map-Requests answered from the own database.
    RequestsAnswered = "control.map-requests.answered",
    /// Map-Requests nobody answered in time.
    RequestsFailed = "control.map-requests.failed",
    /// Mappings taken from Map-Replies.
    RepliesAccepted = "control.map-replies.accepted",
    /// Solicitations (SMR) sent.
    SolicitsSent = "control.smr.sent",
    /// Solicitations followed.
    SolicitsFollowed = "control.smr.followed",
    /// Solicitations without an entry in the map cache.
    SolicitsIgnored = "control.smr.ignored",
    /// Map-Registers sent.
    RegistersSent = "control.map-registers.sent",
    /// Map-Registers acknowledged by Map-Notify.
    RegistersAcknowledged = "control.map-registers.acknowledged",
    /// Map-Registers accepted (Map-Server role).
    RegistersAccepted = "control.map-registers.accepted",
    /// Map-Requests forwarded to an ETR (Map-Server role).
    ServerForwarded = "control.map-server.forwarded",
    /// Map-Requests answered for an ETR (Map-Server role).
    ServerProxied = "control.map-server.proxied",
    /// Map-Requests answered negatively (Map-Server role).
    ServerNegative = "control.map-server.negative",
    /// Map-Requests kept silent about, because the Map-Server is too young to know (Map-Server role).
    ServerSilent = "control.map-server.silent",
    /// Map-Notifies about merged mappings sent to the other xTRs, repetitions included (Map-Server role).
    MergeTold = "control.map-server.merge.told",
    /// Those that an xTR acknowledged (Map-Server role).
    MergeKnown = "control.map-server.merge.acknowledged",
    /// Those that an xTR never acknowledged (Map-Server role).
    MergeUnanswered = "control.map-server.merge.unanswered",
    /// Map-Notifies taken that tell of locators of other xTRs (xTR).
    MergeLearned = "control.map-notifies.merged",
    /// Map-Referrals sent (delegation tree).
    Referred = "control.referrals.sent",
    /// Map-Requests sent down a delegation tree (Map-Resolver role).
    ReferralsAsked = "control.referrals.asked",
    /// Map-Referrals that led further down (Map-Resolver role).
    ReferralsFollowed = "control.referrals.followed",
    /// Map-Requests that a Map-Server has taken on (Map-Resolver role).
    ReferralsArrived = "control.referrals.arrived",
    /// Map-Requests answered negatively because a delegation tree has nothing there (Map-Resolver role).
    ReferralsHoles = "control.referrals.holes",
    /// Map-Referrals that led in a circle, too far, or nowhere (Map-Resolver role).
    ReferralsRefused = "control.referrals.refused",
    /// Map-Requests that no node of a delegation tree answered (Map-Resolver role).
    ReferralsFailed = "control.referrals.failed",
    /// Info-Requests sent (xTR behind a NAT).
    InfoAsked = "control.info.asked",
    /// Info-Replies taken (xTR behind a NAT).
    InfoLearned = "control.info.learned",
    /// Info-Requests that had no answer (xTR behind a NAT).
    InfoUnanswered = "control.info.unanswered",
    /// Registrations of xTRs behind NATs handed on to their Map-Server (RTR).
    NatRelayed = "control.nat.relayed",
    /// Those that the Map-Server took: the site can be reached from here now, or still (RTR).
    NatReached = "control.nat.reached",
    /// Sites whose NAT has given them another address or port (RTR).
    NatMoved = "control.nat.moved",
    /// The same registration came from two addresses at a time, one of them the site's known one, which counts: somebody
    /// repeats what he sees (RTR role).
    NatContested = "control.nat.contested",
    /// Sites behind NATs that have not registered again in time (RTR).
    NatExpired = "control.nat.expired",
    /// Registrations that no Map-Server confirmed (RTR).
    NatUnanswered = "control.nat.unanswered",
    /// Registrations sent through a router (xTR behind a NAT).
    NatRegistered = "control.nat.registered",
    /// Info-Requests answered (Map-Server role).
    InfoAnswered = "control.info.answered",
    /// Map-Notifies to subscribers sent, repetitions included (Map-Server role).
    PubsubSent = "control.pubsub.sent",
    /// Changes to be told to a subscriber (Map-Server role).
    PubsubPublished = "control.pubsub.published",
    /// Changes of mappings that changed too often: told later, the last of them only (Map-Server role).
    PubsubCoalesced = "control.pubsub.coalesced",
    /// Subscriptions ended because too much was to be told, or part of it under another key or by its owner alone (Map-Server
    /// role).
    PubsubOverrun = "control.pubsub.overrun",
    /// Changes that a subscriber acknowledged (Map-Server role).
    PubsubDelivered = "control.pubsub.delivered",
    /// Map-Notifies that a subscriber never acknowledged (Map-Server role).
    PubsubUnanswered = "control.pubsub.unanswered",
    /// Subscriptions begun or renewed (Map-Server role).
    PubsubSubscribed = "control.pubsub.subscribed",
    /// Subscriptions ended by their subscriber (Map-Server role).
    PubsubUnsubscribed = "control.pubsub.unsubscribed",
    /// Subscriptions that nobody renewed (Map-Server role).
    PubsubExpired = "control.pubsub.expired",
    /// Requests to end a subscription that is not there (Map-Server role).
    PubsubUnknown = "control.pubsub.refused.unknown",
    /// Subscriptions there was no room for; answered like any Map-Request (Map-Server role).
    PubsubFull = "control.pubsub.refused.full",
    /// Subscriptions to EIDs of a site without a key for it (Map-Server role).
    PubsubDenied = "control.pubsub.refused.denied",
    /// Subscriptions to mappings that only their ETR may tell; forwarded to it (Map-Server role).
    PubsubNotProxied = "control.pubsub.refused.not-proxied",
    /// Nonces not above the last: a subscription at the Map-Server, a Map-Notify at the xTR.
    PubsubReplayed = "control.pubsub.refused.replay",
    /// Subscriptions that a Map-Server confirmed (xTR).
    PubsubConfirmed = "control.pubsub.confirmed",
    /// Publications taken, by record (xTR).
    PubsubApplied = "control.pubsub.applied",
    /// Map-Notifies said again, because our acknowledgement was lost (xTR).
    PubsubRepeated = "control.pubsub.repeated",
    /// Subscriptions that the Map-Server ended (xTR).
    PubsubEnded = "control.pubsub.ended",
    /// Subscriptions that this node ended (xTR).
    PubsubFarewells = "control.pubsub.farewells",
    /// Requests to subscribe that had a plain answer, or were denied and asked again plainly (xTR).
    PubsubFallbacks = "control.pubsub.fallbacks",
    /// Packets of peers that used an old version of a mapping of ours; each time the peer was solicited (RFC 9302).
    VersionsOld = "control.data-header.old-versions",
    /// Newer versions of others' mappings that packets told of; each time the mapping was asked for (RFC 9302).
    VersionsNew = "control.data-header.new-versions",
    /// Locators that a peer's status bits say are down, each time anew.
    StatusDown = "control.data-header.status-down",
    /// Questions for an echo (RFC 9300 section 10.1).
    EchoAsked = "control.data-header.echo.asked",
    /// Echoes that came.
    EchoCame = "control.data-header.echo.came",
    /// Echoes that did not come though the peer sent packets: the way to it is closed.
    EchoMissed = "control.data-header.echo.missed",
    /// Locators without an echo that were given another chance.
    EchoTriedAgain = "control.data-header.echo.tried-again",
    /// Change-Priority messages sent, repetitions included.
    ChangesSent = "control.change-priority.sent",
    /// Change-Priority messages that a peer acknowledged.
    ChangesAcknowledged = "control.change-priority.acknowledged",
    /// Change-Priority messages that changed something here.
    ChangesApplied = "control.change-priority.applied",
    /// Authentic updates that change nothing: about EIDs nobody here speaks to, or said again. They are acknowledged.
    ChangesIdle = "control.change-priority.idle",
    /// Changes that were left to a Map-Server, which tells the peer, and that nothing showed it not to know.
    ChangesPublished = "control.change-priority.published",
    /// Those that the peer turned out not to know, or did not show to: it was told after all.
    ChangesUnpublished = "control.change-priority.unpublished",
    /// Handovers that this node began to prepare, as the site that the EID leaves.
    PreparationsBegun = "control.preparations.begun",
    /// Parts of preparations sent, repetitions included.
    PreparationsSent = "control.preparations.sent",
    /// Parts that the destination acknowledged.
    PreparationsAcknowledged = "control.preparations.acknowledged",
    /// Preparations that the destination never acknowledged: clients are told as without one.
    PreparationsUnanswered = "control.preparations.unanswered",
    /// Preparations that were given up by command.
    PreparationsAbandoned = "control.preparations.abandoned",
    /// Preparations whose time was up, at either site.
    PreparationsExpired = "control.preparations.expired",
    /// Preparations that were forgotten to make room for those of EIDs with less: their clients are told as without one.
    PreparationsDisplaced = "control.preparations.displaced",
    /// Parts taken, as the site that the EID is to come to.
    PreparationsTaken = "control.preparations.taken",
    /// EIDs that have come as it was prepared.
    PreparationsUsed = "control.preparations.used",
    /// Clients that this node told because they had been handed to it.
    PreparationsTold = "control.preparations.told",
    /// Mappings of clients taken, so that return traffic never misses.
    PreparationsMappings = "control.preparations.mappings",
    /// Mappings of clients that were not believed: of own EIDs, of another tenant, too wide, or at no client handed over.
    PreparationsUnbelieved = "control.preparations.mappings.refused",
    /// Probes sent.
    ProbesSent = "probes.sent",
    /// Probes answered in time.
    ProbesAnswered = "probes.answered",
    /// Probes lost.
    ProbesLost = "probes.lost",
    /// Answers after the time was up.
    ProbesLate = "probes.late",
    /// Probes of others that were answered.
    ProbesServed = "probes.served",
}

impl Counter {
    /// The dotted name it is shown by.
    pub(crate) fn name(self) -> &'static str {
        NAMES.get(self as usize).copied().unwrap_or_default()
    }

    /// Whether it counts what was not taken. Who asked to subscribe in vain is answered like anyone.
    pub(crate) fn refuses(self) -> bool {
        let answered = matches!(self, Self::PubsubFull | Self::PubsubNotProxied);
        self.name().contains(".refused.") && !answered
    }

    /// Whether it counts what came or went, and not what was done about it.
    pub(crate) fn is_traffic(self) -> bool {
        let sent = self.name().rsplit('.').next() == Some("sent");
        sent || matches!(self, Self::Received | Self::Unsendable | Self::PubsubPublished)
    }
}

/// All counters of a node.
#[derive(Debug)]
pub(crate) struct Counters(Box<[u64]>);

impl Default for Counters {
    fn default() -> Self {
        Self(vec![0; NAMES.len()].into())
    }
}

impl Counters {
    /// One more.
    pub(crate) fn count(&mut self, counter: Counter) {
        if let Some(value) = self.0.get_mut(counter as usize) {
            *value += 1;
        }
    }

    /// Names and values in the order of the table above.
    pub(crate) fn rows(&self) -> Vec<CounterRow> {
        NAMES
            .iter()
            .zip(&self.0)
            .map(|(name, value)| CounterRow {
                name: (*name).to_owned(),
                value: *value,
                meaning: String::new(),
            })
            .collect()
    }

    /// The same, with what each means.
    pub(crate) fn explained(&self) -> Vec<CounterRow> {
        let mut rows = self.rows();
        for (row, meaning) in rows.iter_mut().zip(MEANINGS) {
            meaning.trim().clone_into(&mut row.meaning);
        }
        rows
    }
}

impl From<AuthError> for Counter {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::UnknownKey { .. } | AuthError::AlgorithmMismatch { .. } => Self::UnknownKey,
            AuthError::Mismatch => Self::BadMac,
            _ => Self::Malformed,
        }
    }
}

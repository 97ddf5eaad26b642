//! One value for each control message of RFC 9301, and Change-Priority of the thesis (section 4.3).

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::{Eid, EidPrefix, Locator, MappingRecord, Rloc, Ttl};

/// 64 bits that tie a reply to its request, or order registrations (RFC 9301 sections 5.2 and 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(pub u64);

/// Which xTR of a site speaks (RFC 9301 section 5.6), 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct XtrId(pub u128);

/// The site an xTR belongs to (RFC 9301 section 5.6), 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SiteId(pub u64);

/// A control message on UDP 4342 (IANA registry "LISP Packet Types").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Type 1.
    MapRequest(MapRequest),
    /// Type 2.
    MapReply(MapReply),
    /// Type 3.
    MapRegister(MapRegister),
    /// Type 4.
    MapNotify(MapNotify),
    /// Type 5.
    MapNotifyAck(MapNotify),
    /// Type 6.
    MapReferral(MapReferral),
    /// Type 7.
    Info(Info),
    /// Type 8.
    Encapsulated(Encapsulated),
    /// Type 15 (RFC 9304), or type 5 in the thesis's own form.
    ChangePriority(ChangePriority),
    /// Type 15 too, with another sub-type.
    Preparation(Preparation),
}

/// "Where is this EID?" (RFC 9301 section 5.2)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapRequest {
    /// Echoed in the reply.
    pub nonce: Nonce,
    /// A: only an authoritative answer will do.
    pub authoritative: bool,
    /// P: this is an RLOC-probe.
    pub probe: bool,
    /// S: solicits a Map-Request from the receiver.
    pub solicit: bool,
    /// s: this request was invoked by an SMR.
    pub invoked: bool,
    /// p: sent by a proxy ITR.
    pub proxy_itr: bool,
    /// D: no Map-Reply is wanted, as with a solicitation (RFC 9301 section 5.2).
    pub no_reply: bool,
    /// Whose packet caused it; `None` in RLOC-probes (AFI 0).
    pub source_eid: Option<Eid>,
    /// Where the reply may go: 1 to 32. None in the request that ends a subscription (RFC 9437 section 5), which says
    /// AFI 0 in their place.
    pub itr_rlocs: Vec<Rloc>,
    /// What is asked for: 1 to 255.
    pub eids: Vec<EidPrefix>,
    /// M: the sender's own mapping, for the receiver's cache.
    pub map_reply: Option<MappingRecord>,
    /// N of each of `eids`. Without `xtr` there are none.
    pub notify: NotifyBits,
    /// I: which xTR asks, of which site (RFC 9437 section 4).
    pub xtr: Option<(XtrId, SiteId)>,
}

/// Of which EID records of a Map-Request changes are to be told, by their index (the N bit, RFC 9437 section 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifyBits([u128; 2]);

impl NotifyBits {
    /// Of none: a question, not a subscription.
    pub const NONE: Self = Self([0; 2]);

    /// Of the first record alone.
    pub const FIRST: Self = Self([1, 0]);

    /// These, and the record with this index.
    #[must_use]
    pub const fn with(self, index: u8) -> Self {
        let Self([mut low, mut high]) = self;
        if index < 128 {
            low |= 1 << index;
        } else {
            high |= 1 << (index - 128);
        }
        Self([low, high])
    }

    /// Whether changes of the record with this index are to be told.
    pub const fn contains(self, index: u8) -> bool {
        let Self([low, high]) = self;
        if index < 128 {
            low >> index & 1 == 1
        } else {
            high >> (index - 128) & 1 == 1
        }
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        let Self([low, high]) = self;
        low | high == 0
    }

    /// Whether all of them are bits of the first `count` records.
    pub(crate) const fn are_within(self, count: usize) -> bool {
        let Self([low, high]) = self;
        let last = if high != 0 {
            256 - high.leading_zeros() as usize
        } else {
            128 - low.leading_zeros() as usize
        };
        last <= count
    }
}

impl MapRequest {
    /// Whether it ends subscriptions: it names nowhere to tell changes to (RFC 9437 section 5).
    pub const fn unsubscribes(&self) -> bool {
        self.itr_rlocs.is_empty() && !self.notify.is_empty()
    }
}

/// The answer (RFC 9301 section 5.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapReply {
    /// The request's.
    pub nonce: Nonce,
    /// P: answers an RLOC-probe.
    pub probe: bool,
    /// E: the sender echoes data nonces.
    pub echo_nonce: bool,
    /// Negative where a record has no locators.
    pub records: Vec<MappingRecord>,
}

/// An ETR tells its Map-Server which EIDs it serves (RFC 9301 section 5.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapRegister {
    /// Grows from one registration to the next.
    pub nonce: Nonce,
    /// P: the Map-Server answers Map-Requests itself.
    pub proxy_reply: bool,
    /// M: acknowledge by Map-Notify.
    pub want_notify: bool,
    /// a: merge the locators with those that other xTRs register for the same EIDs.
    pub merge: bool,
    /// T: the registration ends after its records' TTL, not after the Map-Server's own time.
    pub use_ttl: bool,
    /// The MAC as it stood on the wire, or room for it.
    pub auth: AuthField,
    /// What is registered.
    pub records: Vec<MappingRecord>,
    /// I: which xTR speaks, of which site.
    pub xtr: Option<(XtrId, SiteId)>,
}

/// The Map-Server's word to an ETR or subscriber, and the acknowledgement of it (RFC 9301 section 5.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapNotify {
    /// The registration's, when it acknowledges one.
    pub nonce: Nonce,
    /// The MAC as it stood on the wire, or room for it.
    pub auth: AuthField,
    /// The mappings spoken of.
    pub records: Vec<MappingRecord>,
    /// I: to which xTR.
    pub xtr: Option<(XtrId, SiteId)>,
}

/// A control message inside an IP/UDP envelope of its own (RFC 9301 section 5.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encapsulated {
    /// Who sent the inner message, and on which port it awaits the answer.
    pub source: SocketAddr,
    /// The EID it is about, as destination address; its port is 4342.
    pub destination: IpAddr,
    /// D: DDT originated (asks for a Map-Referral).
    pub ddt_originated: bool,
    /// Whether a router that helps through NATs has a part in it.
    pub via: Via,
    /// The inner message, a Map-Request as a rule.
    pub message: Vec<u8>,
}

/// The part of a re-encapsulating router (RTR) in an envelope between an xTR behind a NAT and its Map-Server
/// (draft-ermagan-lisp-nat-traversal section 4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// None.
    #[default]
    Nobody,
    /// R: from the xTR; the router is to hand the Map-Register inside on.
    ToRouter,
    /// N: from the router, which hands it on.
    FromRouter,
    /// R, and S with authentication data of type 2: the Map-Server's Map-Notify, with what proves to the router that it is
    /// the Map-Server's.
    Notice(AuthField),
}

/// Whom to ask next, from a node of a delegation tree to a Map-Resolver (RFC 8111 section 6.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapReferral {
    /// The request's.
    pub nonce: Nonce,
    /// One for each EID prefix that was asked for.
    pub records: Vec<Referral>,
}

/// One record of a Map-Referral.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referral {
    /// How long it may be kept.
    pub ttl: Ttl,
    /// What is delegated, or the hole in it.
    pub eid: EidPrefix,
    /// What to do with it.
    pub action: ReferralAction,
    /// A: the sender is the authority for the prefix.
    pub authoritative: bool,
    /// I: the set of nodes is not all there is; it is not to be kept.
    pub incomplete: bool,
    /// 12 bits.
    pub map_version: u16,
    /// Whom to ask next: at most 255.
    pub nodes: Vec<Locator>,
}

/// What a referral means (IANA "LISP-DDT Map-Referral ACT" values, RFC 8111 section 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum ReferralAction {
    /// 0: ask these nodes of the tree.
    NodeReferral = 0,
    /// 1: ask these Map-Servers.
    MsReferral = 1,
    /// 2: the Map-Server has taken the question on.
    MsAck = 2,
    /// 3: the prefix is the Map-Server's, and nobody registers it.
    MsNotRegistered = 3,
    /// 4: the prefix is delegated to nobody.
    DelegationHole = 4,
    /// 5: the node has nothing to do with the EID.
    NotAuthoritative = 5,
}

/// "Where do I appear to be?" and the answer (draft-ermagan-lisp-nat-traversal section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Of the request; repeated in the reply.
    pub nonce: Nonce,
    /// The MAC as it stood on the wire, or room for it.
    pub auth: AuthField,
    /// How long the reply holds, minutes; 0 in requests.
    pub ttl: Ttl,
    /// An EID prefix of the asking site: it tells whose key the message is signed with.
    pub eid: EidPrefix,
    /// What the Map-Server saw; `None` in a request.
    pub nat: Option<NatTraversal>,
}

/// How a Map-Server sees an ETR behind a NAT (RFC 8060 section 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatTraversal {
    /// The Map-Server's port.
    pub server_port: u16,
    /// The ETR's port, as it is seen from outside.
    pub etr_port: u16,
    /// The ETR's address, as it is seen from outside.
    pub global: Option<Rloc>,
    /// The Map-Server's address.
    pub server: Option<Rloc>,
    /// The ETR's own address, where it said.
    pub private: Option<Rloc>,
    /// Re-encapsulating routers that sites behind NATs can be reached through.
    pub rtrs: Vec<Rloc>,
}

/// How the authentication field of a message is computed (IANA "LISP Algorithm ID Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Algorithm {
    /// 0: no authentication; never accepted.
    None = 0,
    /// 1: HMAC-SHA-1-96 (RFC 2404), only where a peer has nothing better.
    HmacSha1 = 1,
    /// 2: HMAC-SHA-256-128 (RFC 4868).
    HmacSha256 = 2,
    /// 3: HMAC-SHA-256-128 with a key from HKDF-SHA-256 (RFC 9301 section 5.6).
    HmacSha256Hkdf = 3,
}

/// The authentication field of Map-Register, Map-Notify and Change-Priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthField {
    /// Which of the shared keys.
    pub key_id: u8,
    /// How it was computed.
    pub algorithm: Algorithm,
    /// 12, 16, 20 or 32 bytes.
    pub mac: Vec<u8>,
}

impl AuthField {
    /// The field of a message still to be signed: no algorithm, no MAC.
    pub const fn unsigned() -> Self {
        Self {
            key_id: 0,
            algorithm: Algorithm::None,
            mac: Vec::new(),
        }
    }
}

/// Which wire form a Change-Priority takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangePriorityForm {
    /// Type 15, LISP Shared Extension Message (RFC 9304), an unregistered sub-type; carries xTR-ID and acknowledgement.
    #[default]
    SharedExtension,
    /// Type 5 as in the thesis, where RFC 9301 now has Map-Notify-Ack.
    Legacy,
}

/// The thesis's message for a change of entry (section 4.3, Algorithm 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePriority {
    /// The wire form.
    pub form: ChangePriorityForm,
    /// What the message asks of its receiver.
    pub purpose: Purpose,
    /// Grows from one message of a sender to its next; an acknowledgement repeats it.
    pub nonce: Nonce,
    /// The MAC as it stood on the wire, or room for it.
    pub auth: AuthField,
    /// The sender; always there in the shared-extension form, never in the legacy one.
    pub xtr: Option<XtrId>,
    /// One record an EID prefix. Locators are empty for [`Purpose::Arrived`] and acknowledgements.
    pub records: Vec<MappingRecord>,
}

/// The H and C bits (thesis, Algorithm 1), and the acknowledgement we add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// H=1: hypervisor to its xTR, "this EID has just arrived here".
    Arrived,
    /// H=0, C=0: xTR to the xTR group, "your locator is no longer the entry".
    Handover,
    /// T=1 (shared-extension form only): a handover to the site that prepared it, whose clients the sender tells itself:
    /// those of the parts of the preparation that it has acknowledged.
    HandoverTold,
    /// C=1: xTR to client xTR, "update your map cache".
    UpdateCache,
    /// A=1 (shared-extension form only): the receiver of an update has applied it.
    Acknowledge,
    /// A=1 and S=1 (shared-extension form only): the same, by one that is subscribed to all these mappings (RFC 9437): a
    /// Map-Server tells it of their changes too.
    AcknowledgeSubscribed,
}

impl Purpose {
    /// Whether it acknowledges a message, and asks for nothing.
    pub const fn acknowledges(self) -> bool {
        matches!(self, Self::Acknowledge | Self::AcknowledgeSubscribed)
    }
}

/// A handover is prepared: the site that an EID is about to leave and the one it will come to speak to each other
/// before it moves. Ours; the thesis has nothing of the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preparation {
    /// What the message says.
    pub step: Step,
    /// Grows from one message of a sender to its next; an acknowledgement repeats it.
    pub nonce: Nonce,
    /// The MAC as it stood on the wire, or room for it.
    pub auth: AuthField,
    /// Who speaks.
    pub xtr: XtrId,
    /// Where the sender is reached.
    pub sender: Rloc,
    /// Whom the message is for; anybody else refuses it.
    pub receiver: Rloc,
    /// What is about to move.
    pub eid: EidPrefix,
    /// Which preparation of this EID: a later one has a larger number.
    pub serial: u64,
    /// How long the preparation holds, seconds.
    pub life_seconds: u32,
    /// A [`Handed`](crate::Handed), sealed; only [`Step::Hand`] has one.
    pub sealed: Vec<u8>,
}

/// What a [`Preparation`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Step {
    /// 0: these clients, keys and mappings are yours once the EID has come to you. There may be several of these.
    Hand = 0,
    /// 1: the EID has stopped here; hold what comes for it until it runs at your site.
    Stopped = 1,
    /// 2: it does not come after all; forget what was handed to you.
    Cancelled = 2,
    /// 3: the receiver of one of the others has taken it.
    Acknowledge = 3,
}

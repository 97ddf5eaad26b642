//! The configuration file as it is written. Nothing here leaves [`config`](super).

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use lisp_wire::message::Algorithm;
use lisp_wire::{EidPrefix, Hop, MacLength, Rloc};
use node::config::{PubSub, Quota};
use proto::{SiteName, Span};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::data_header::RawDataHeader;
use super::secret::{self, Secret};

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) name: SiteName,
    pub(super) xtr_id: Option<Number>,
    #[serde(default)]
    pub(super) site_id: u64,
    pub(super) rlocs: Vec<RawLocator>,
    #[serde(default)]
    pub(super) tun: RawTuns,
    pub(super) roles: Vec<RawRole>,
    #[serde(default)]
    pub(super) map_resolvers: Vec<RawResolver>,
    #[serde(default)]
    pub(super) map_servers: Vec<RawMapServer>,
    #[serde(default = "minute")]
    pub(super) register_every: TextSpan,
    #[serde(default = "three_minutes")]
    pub(super) subscribe_every: TextSpan,
    #[serde(default, deserialize_with = "secret::keys")]
    pub(super) keys: BTreeMap<String, RawKey>,
    #[serde(default)]
    pub(super) eids: Vec<RawEid>,
    #[serde(default)]
    pub(super) sites: Vec<RawSite>,
    #[serde(default)]
    pub(super) ddt: RawDdt,
    /// Routers that xTRs behind NATs are told of.
    #[serde(default)]
    pub(super) nat_rtrs: Vec<RawNatRtr>,
    #[serde(default = "thousand")]
    pub(super) answers_per_second: u64,
    #[serde(default)]
    pub(super) pubsub: RawPubSub,
    pub(super) rtr: Option<RawRtr>,
    #[serde(default)]
    pub(super) change_priority: RawChangePriority,
    #[serde(default)]
    pub(super) probing: RawProbing,
    #[serde(default)]
    pub(super) data_header: RawDataHeader,
    pub(super) control: Option<RawControl>,
    pub(super) state_dir: Option<PathBuf>,
}

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLocator {
    pub(super) address: Option<IpAddr>,
    /// Whatever addresses this has.
    pub(super) interface: Option<String>,
    #[serde(default = "first")]
    pub(super) priority: u8,
    #[serde(default = "hundred")]
    pub(super) weight: u8,
}

/// Where an EID is reached: an address, or a path to it.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEidLocator {
    pub(super) address: Option<IpAddr>,
    pub(super) path: Option<Vec<RawHop>>,
    #[serde(default = "first")]
    pub(super) priority: u8,
    #[serde(default = "hundred")]
    pub(super) weight: u8,
}

/// A hop of a path: its address alone, or with its bits.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(from = "HopForm")]
pub(super) struct RawHop(pub(super) Hop);

#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "an address, or { address, lookup, probe, strict }")]
enum HopForm {
    Address(IpAddr),
    Full(FullHop),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FullHop {
    address: IpAddr,
    #[serde(default)]
    lookup: bool,
    #[serde(default = "yes")]
    probe: bool,
    #[serde(default)]
    strict: bool,
}

impl From<HopForm> for RawHop {
    fn from(form: HopForm) -> Self {
        Self(match form {
            HopForm::Address(address) => Hop::loose(Rloc(address)),
            HopForm::Full(FullHop {
                address,
                lookup,
                probe,
                strict,
            }) => Hop {
                rloc: Rloc(address),
                lookup,
                probe,
                strict,
            },
        })
    }
}

/// One interface, or a list of them, each for a tenant.
#[derive(Debug, Default)]
pub(super) enum RawTuns {
    #[default]
    None,
    One(RawTun),
    Many(Vec<RawTun>),
}

impl<'de> Deserialize<'de> for RawTuns {
    // By hand, since an untagged enum would not say which field is wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = RawTuns;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an interface such as { name: lisp0 }, or a list of them")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawTuns, A::Error> {
                RawTun::deserialize(MapAccessDeserializer::new(map)).map(RawTuns::One)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<RawTuns, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(RawTuns::Many)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTun {
    pub(super) name: String,
    #[serde(default = "ethernet")]
    pub(super) uplink_mtu: u16,
    #[serde(default)]
    pub(super) routes: Vec<EidPrefix>,
    #[serde(default)]
    pub(super) instance_id: u32,
    pub(super) table: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawRole {
    Itr,
    Etr,
    MapServer,
    MapResolver,
    Rtr,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMapServer {
    pub(super) address: IpAddr,
    pub(super) key: Names,
    #[serde(default)]
    pub(super) proxy_reply: bool,
    #[serde(default)]
    pub(super) merge: bool,
    #[serde(default)]
    pub(super) behind_nat: bool,
}

/// A Map-Resolver: its address alone, or with the wish to subscribe through it.
#[derive(Debug, serde::Deserialize)]
#[serde(from = "ResolverForm")]
pub(super) struct RawResolver {
    pub(super) address: IpAddr,
    pub(super) subscribe: bool,
    pub(super) key: Option<Names>,
}

#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "an address, or { address, subscribe, key }")]
enum ResolverForm {
    Address(IpAddr),
    Full(FullResolver),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FullResolver {
    address: IpAddr,
    #[serde(default)]
    subscribe: bool,
    key: Option<Names>,
}

impl From<ResolverForm> for RawResolver {
    fn from(form: ResolverForm) -> Self {
        match form {
            ResolverForm::Address(address) => Self {
                address,
                subscribe: false,
                key: None,
            },
            ResolverForm::Full(FullResolver {
                address,
                subscribe,
                key,
            }) => Self {
                address,
                subscribe,
                key,
            },
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKey {
    pub(super) id: u8,
    pub(super) algorithm: Algorithm,
    pub(super) secret: Option<Secret>,
    pub(super) secret_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) mac: RawMac,
    /// SHA-1 is used only where this says so.
    #[serde(default)]
    pub(super) legacy: bool,
}

impl fmt::Debug for RawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawMac {
    #[default]
    Truncated,
    Whole,
}

impl From<RawMac> for MacLength {
    fn from(raw: RawMac) -> Self {
        match raw {
            RawMac::Truncated => Self::Truncated,
            RawMac::Whole => Self::Whole,
        }
    }
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEid {
    pub(super) prefix: EidPrefix,
    #[serde(default = "day")]
    pub(super) ttl: u32,
    #[serde(default)]
    pub(super) locators: Vec<RawEidLocator>,
    #[serde(default = "yes")]
    pub(super) register: bool,
    pub(super) map_version: Option<u16>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSite {
    pub(super) prefix: EidPrefix,
    pub(super) keys: Vec<String>,
    #[serde(default)]
    pub(super) accept_more_specifics: bool,
    #[serde(default)]
    pub(super) nonces: RawNonces,
    pub(super) pubsub: Option<RawSitePubSub>,
    #[serde(default)]
    pub(super) answered_for: RawAnsweredFor,
    #[serde(default)]
    pub(super) quota: RawQuota,
}

#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawAnsweredFor {
    #[default]
    Everyone,
    Subscribers,
}

/// How much a site may have registered at a time.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawQuota {
    pub(super) registrations: usize,
    pub(super) bytes: usize,
}

impl Default for RawQuota {
    fn default() -> Self {
        let Quota { registrations, bytes } = Quota::default();
        Self { registrations, bytes }
    }
}

/// The key that publications about a site's mappings are signed with.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSitePubSub {
    pub(super) key: Names,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPubSub {
    pub(super) key: Option<Names>,
    pub(super) most: usize,
}

impl Default for RawPubSub {
    fn default() -> Self {
        Self {
            key: None,
            most: PubSub::MOST,
        }
    }
}

/// What a re-encapsulating router takes on.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRtr {
    /// Packets to these EIDs only are sent on.
    pub(super) eids: Vec<EidPrefix>,
    /// Map-Servers for whose xTRs behind NATs it is a way in and out.
    #[serde(default)]
    pub(super) nat: Vec<RawNatServer>,
}

/// A Map-Server, and the key that it proves its word to a router with.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNatServer {
    pub(super) map_server: IpAddr,
    pub(super) key: Names,
    #[serde(default)]
    pub(super) nonces: RawNonces,
}

/// A router that xTRs behind NATs are told of: its address alone, or with the key that it knows the Map-Server's word by.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged, expecting = "an address, or { address, key }")]
pub(super) enum RawNatRtr {
    Address(IpAddr),
    Keyed(KeyedRtr),
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyedRtr {
    pub(super) address: IpAddr,
    pub(super) key: Names,
    #[serde(default)]
    pub(super) nonces: RawNonces,
}

impl RawNatRtr {
    pub(super) const fn address(&self) -> IpAddr {
        match self {
            Self::Address(address) | Self::Keyed(KeyedRtr { address, .. }) => *address,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawNonces {
    #[default]
    Growing,
    Any,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChangePriority {
    /// Held by clients too.
    #[serde(default)]
    pub(super) keys: Vec<String>,
    /// Held by the sites of the group alone.
    #[serde(default)]
    pub(super) move_keys: Vec<String>,
    /// For keys that may speak for some EIDs only: which.
    #[serde(default)]
    pub(super) scopes: BTreeMap<String, Vec<EidPrefix>>,
    #[serde(default)]
    pub(super) group: Vec<IpAddr>,
    #[serde(default)]
    pub(super) legacy: bool,
    #[serde(default)]
    pub(super) legacy_peers: Vec<IpAddr>,
    #[serde(default)]
    pub(super) own_eid_peers: Vec<IpAddr>,
    #[serde(default)]
    pub(super) tell_by: RawTellBy,
}

#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawTellBy {
    ChangePriority,
    #[default]
    Best,
    Smr,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawProbing {
    pub(super) cache_interval: TextSpan,
    pub(super) timeout: TextSpan,
    pub(super) down_after: u32,
}

impl Default for RawProbing {
    fn default() -> Self {
        Self {
            cache_interval: TextSpan(Span::secs(1)),
            timeout: TextSpan(Span::secs(2)),
            down_after: 3,
        }
    }
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawControl {
    pub(super) socket: PathBuf,
    pub(super) allow_uids: Option<Vec<u32>>,
}

/// One name, or several: the first before the others.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(
    untagged,
    expecting = "the name of a key, or a list of names: the first signs, all are believed"
)]
pub(super) enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    pub(super) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// A delegation tree (RFC 8111): where the Map-Resolver begins, and this node's own part in it.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDdt {
    pub(super) roots: Vec<IpAddr>,
    pub(super) authority: Vec<EidPrefix>,
    pub(super) delegations: Vec<RawDelegation>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDelegation {
    pub(super) prefix: EidPrefix,
    #[serde(default)]
    pub(super) nodes: Vec<IpAddr>,
    #[serde(default)]
    pub(super) map_servers: Vec<IpAddr>,
}

fn thousand() -> u64 {
    1000
}

fn first() -> u8 {
    1
}

fn hundred() -> u8 {
    100
}

fn ethernet() -> u16 {
    1500
}

fn day() -> u32 {
    1440
}

fn yes() -> bool {
    true
}

fn minute() -> TextSpan {
    TextSpan(Span::secs(60))
}

fn three_minutes() -> TextSpan {
    TextSpan(Span::secs(180))
}

/// A length of time as people write it: `60s`, `500ms`.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextSpan(pub(super) Span);

impl<'de> Deserialize<'de> for TextSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = TextSpan;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time such as 10s, 500ms or 2m")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TextSpan, E> {
                Span::parse(text).map(TextSpan).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// A number of up to 128 bits, decimal or hexadecimal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(pub(super) u128);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of up to 128 bits such as 0x1f")
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number.into()))
            }
            fn visit_u128<E: serde::de::Error>(self, number: u128) -> Result<Number, E> {
                Ok(Number(number))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                let digits = text.strip_prefix("0x").map(|hex| u128::from_str_radix(hex, 16));
                let number = digits.unwrap_or_else(|| text.parse());
                number
                    .map(Number)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

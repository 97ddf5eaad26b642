//! Every field of a message by name.

use std::fmt::{Display, Write};

use serde::{Deserialize, Serialize};

use super::inner;
use super::line::{advice, life, step, words};
use crate::message::{AuthField, ChangePriorityForm, NatTraversal, Purpose, Referral, SiteId, XtrId};
use crate::{Algorithm, Locator, MappingRecord, Message, Nonce};

/// A field of a message, and what stands in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// A dotted path: `records.0.locators.1.priority`.
    pub name: String,
    /// In words.
    pub value: String,
}

/// All fields in the order of the wire.
pub(super) fn of(message: &Message) -> Vec<Field> {
    let mut fields = Fields::default();
    fields.message(message);
    fields.all
}

/// Fields gathered so far, and the path that the next ones have before their name.
#[derive(Debug, Default)]
struct Fields {
    all: Vec<Field>,
    path: String,
}

impl Fields {
    fn put(&mut self, name: &str, value: impl Display) {
        self.all.push(Field {
            name: format!("{}{name}", self.path),
            value: value.to_string(),
        });
    }

    fn within(&mut self, name: impl Display, tell: impl FnOnce(&mut Self)) {
        let before = self.path.len();
        // Writing to a String cannot fail.
        let _ = write!(self.path, "{name}.");
        tell(self);
        self.path.truncate(before);
    }

    fn message(&mut self, message: &Message) {
        self.put("type", message.packet_type());
        match message {
            Message::MapRequest(request) => {
                self.put("authoritative", request.authoritative);
                self.put("probe", request.probe);
                self.put("solicit", request.solicit);
                self.put("smr-invoked", request.invoked);
                self.put("proxy-itr", request.proxy_itr);
                self.put("no-reply", request.no_reply);
                self.nonce(request.nonce);
                if let Some(source) = request.source_eid {
                    self.put("source-eid", source);
                }
                for (index, rloc) in request.itr_rlocs.iter().enumerate() {
                    self.put(&format!("itr-rlocs.{index}"), rloc);
                }
                for (index, eid) in (0..=u8::MAX).zip(&request.eids) {
                    self.put(&format!("eids.{index}"), eid);
                    self.put(&format!("eids.{index}.notify"), request.notify.contains(index));
                }
                if let Some(record) = &request.map_reply {
                    self.within("carried", |fields| fields.record(record));
                }
                self.xtr(request.xtr);
            }
            Message::MapReply(reply) => {
                self.put("probe", reply.probe);
                self.put("echo-nonce", reply.echo_nonce);
                self.nonce(reply.nonce);
                self.records(&reply.records);
            }
            Message::MapRegister(register) => {
                self.put("proxy-reply", register.proxy_reply);
                self.put("want-notify", register.want_notify);
                self.put("merge", register.merge);
                self.put("use-ttl", register.use_ttl);
                self.nonce(register.nonce);
                self.auth(&register.auth);
                self.records(&register.records);
                self.xtr(register.xtr);
            }
            Message::MapNotify(notify) | Message::MapNotifyAck(notify) => {
                self.nonce(notify.nonce);
                self.auth(&notify.auth);
                self.records(&notify.records);
                self.xtr(notify.xtr);
            }
            Message::MapReferral(referral) => {
                self.nonce(referral.nonce);
                for (index, record) in referral.records.iter().enumerate() {
                    self.within(format_args!("records.{index}"), |fields| fields.referral(record));
                }
            }
            Message::Info(info) => {
                self.nonce(info.nonce);
                self.auth(&info.auth);
                self.put("ttl", life(info.ttl));
                self.put("eid", info.eid);
                if let Some(nat) = &info.nat {
                    self.within("nat", |fields| fields.nat(nat));
                }
            }
            Message::Encapsulated(envelope) => {
                self.put("ddt-originated", envelope.ddt_originated);
                self.put("source", envelope.source);
                self.put("destination", envelope.destination);
                match inner(&envelope.message) {
                    Some(message) => self.within("message", |fields| fields.message(&message)),
                    None => self.put("message", format_args!("{} bytes", envelope.message.len())),
                }
            }
            Message::ChangePriority(change) => {
                self.put(
                    "form",
                    match change.form {
                        ChangePriorityForm::SharedExtension => "shared extension",
                        ChangePriorityForm::Legacy => "thesis",
                    },
                );
                self.put(
                    "purpose",
                    match change.purpose {
                        Purpose::Arrived => "arrived",
                        Purpose::Handover => "handover",
                        Purpose::HandoverTold => "handover-told",
                        Purpose::UpdateCache => "update-cache",
                        Purpose::Acknowledge => "acknowledge",
                        Purpose::AcknowledgeSubscribed => "acknowledge-subscribed",
                    },
                );
                self.nonce(change.nonce);
                self.auth(&change.auth);
                if let Some(XtrId(id)) = change.xtr {
                    self.put("xtr-id", format_args!("{id:032x}"));
                }
                self.records(&change.records);
            }
            Message::Preparation(preparation) => {
                self.put("step", step(preparation.step));
                self.nonce(preparation.nonce);
                self.auth(&preparation.auth);
                self.put("xtr-id", format_args!("{:032x}", preparation.xtr.0));
                self.put("sender", preparation.sender);
                self.put("receiver", preparation.receiver);
                self.put("eid", preparation.eid);
                self.put("serial", preparation.serial);
                self.put("life", format_args!("{} s", preparation.life_seconds));
                // What is sealed stays sealed.
                self.put("sealed", format_args!("{} bytes", preparation.sealed.len()));
            }
        }
    }

    fn nonce(&mut self, nonce: Nonce) {
        self.put("nonce", format_args!("{:#018x}", nonce.0));
    }

    /// The MAC itself is nobody's business: it stays out of logs, as keys do.
    fn auth(&mut self, auth: &AuthField) {
        self.put("key-id", auth.key_id);
        self.put("algorithm", algorithm(auth.algorithm));
        self.put("mac", format_args!("{} bytes", auth.mac.len()));
    }

    fn xtr(&mut self, xtr: Option<(XtrId, SiteId)>) {
        if let Some((XtrId(xtr), SiteId(site))) = xtr {
            self.put("xtr-id", format_args!("{xtr:032x}"));
            self.put("site-id", site);
        }
    }

    fn records(&mut self, records: &[MappingRecord]) {
        for (index, record) in records.iter().enumerate() {
            self.within(format_args!("records.{index}"), |fields| fields.record(record));
        }
    }

    fn record(&mut self, record: &MappingRecord) {
        self.put("eid", record.eid);
        self.put("ttl", life(record.ttl));
        self.put("action", words(record.action));
        self.put("authoritative", record.authoritative);
        self.put("map-version", record.map_version);
        for (index, locator) in record.locators.iter().enumerate() {
            self.within(format_args!("locators.{index}"), |fields| fields.locator(locator));
        }
    }

    fn referral(&mut self, record: &Referral) {
        self.put("eid", record.eid);
        self.put("ttl", life(record.ttl));
        self.put("action", advice(record.action));
        self.put("authoritative", record.authoritative);
        self.put("incomplete", record.incomplete);
        self.put("map-version", record.map_version);
        for (index, node) in record.nodes.iter().enumerate() {
            self.within(format_args!("nodes.{index}"), |fields| fields.locator(node));
        }
    }

    fn nat(&mut self, nat: &NatTraversal) {
        self.put("server-port", nat.server_port);
        self.put("etr-port", nat.etr_port);
        let addresses = [
            ("global", nat.global),
            ("server", nat.server),
            ("private", nat.private),
        ];
        for (name, rloc) in addresses {
            if let Some(rloc) = rloc {
                self.put(name, rloc);
            }
        }
        for (index, rtr) in nat.rtrs.iter().enumerate() {
            self.put(&format!("rtrs.{index}"), rtr);
        }
    }

    fn locator(&mut self, locator: &Locator) {
        self.put("rloc", locator.rloc);
        for (index, hop) in locator.path.iter().flat_map(crate::Path::hops).enumerate() {
            self.within(format_args!("path.{index}"), |fields| {
                fields.put("rloc", hop.rloc);
                fields.put("lookup", hop.lookup);
                fields.put("probe", hop.probe);
                fields.put("strict", hop.strict);
            });
        }
        self.put("priority", locator.priority.0);
        self.put("weight", locator.weight.0);
        self.put("multicast-priority", locator.multicast_priority.0);
        self.put("multicast-weight", locator.multicast_weight.0);
        self.put("local", locator.local);
        self.put("probed", locator.probed);
        self.put("reachable", locator.reachable);
    }
}

/// By the names of configuration files.
const fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::None => "none",
        Algorithm::HmacSha1 => "hmac-sha1",
        Algorithm::HmacSha256 => "hmac-sha256",
        Algorithm::HmacSha256Hkdf => "hmac-sha256-hkdf",
    }
}

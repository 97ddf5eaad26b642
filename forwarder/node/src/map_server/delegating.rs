//! A node of a delegation tree: says whom a Map-Resolver is to ask next (RFC 8111).

use std::net::SocketAddr;

use lisp_wire::message::{Encapsulated, MapReferral, Nonce, Referral, ReferralAction};
use lisp_wire::{EidPrefix, Locator, Message, Priority, Rloc, Ttl, Weight};

use super::{MapServer, Query, UNREGISTERED};
use crate::config::{Config, DelegatedTo, Delegation};
use crate::context::Context;
use crate::counters::Counter;

/// How long a referral may be kept, in minutes (RFC 8111 section 10 leaves it to the node).
const KEPT: Ttl = Ttl(1440);
/// How long it may be kept that there is nothing (RFC 8111 section 7.1), in minutes.
const HOLE: Ttl = Ttl(15);

impl MapServer {
    /// A Map-Request of a Map-Resolver that walks down a delegation tree. It is told what becomes of its question; if we
    /// are the Map-Server, the question itself goes on from here.
    pub(crate) fn refer(&mut self, query: &Query<'_>, resolver: SocketAddr, cx: &mut Context<'_>) {
        let Some(asked) = query.request.eids.first().copied() else {
            return;
        };
        let config = cx.config;
        let site = config.sites.iter().filter(|site| site.prefix.covers(&asked));
        let site = site.map(|site| site.prefix.length()).max();
        let delegation = config.delegation_of(&asked);
        let referral = match (site, delegation) {
            (site, Some(delegation)) if site.is_none_or(|length| length < delegation.prefix.length()) => {
                delegated(delegation)
            }
            (Some(_), _) => match self.newest(&asked) {
                Some(registration) => {
                    let eid = registration.record.eid;
                    let inner = Encapsulated {
                        ddt_originated: false,
                        via: lisp_wire::Via::Nobody,
                        ..query.envelope.clone()
                    };
                    let onward = Query {
                        envelope: &inner,
                        ..*query
                    };
                    self.resolve(&onward, cx);
                    answer(eid, ReferralAction::MsAck, KEPT)
                }
                None => match self.hole(asked, cx) {
                    Some(hole) => answer(hole.eid, ReferralAction::MsNotRegistered, UNREGISTERED),
                    None => return cx.count(Counter::ServerSilent),
                },
            },
            (None, _) => match config.authority.iter().find(|block| block.covers(&asked)) {
                Some(block) => answer(
                    undelegated(*block, asked, config),
                    ReferralAction::DelegationHole,
                    HOLE,
                ),
                None => answer(asked, ReferralAction::NotAuthoritative, Ttl(0)),
            },
        };
        cx.count(Counter::Referred);
        send(query.request.nonce, referral, resolver, cx);
    }
}

fn delegated(delegation: &Delegation) -> Referral {
    let node = |rloc: &Rloc| Locator::unicast(*rloc, Priority::FIRST, Weight(100));
    let action = match delegation.to {
        DelegatedTo::Nodes => ReferralAction::NodeReferral,
        DelegatedTo::MapServers => ReferralAction::MsReferral,
    };
    Referral {
        nodes: delegation.nodes.iter().map(node).collect(),
        ..answer(delegation.prefix, action, KEPT)
    }
}

fn answer(eid: EidPrefix, action: ReferralAction, ttl: Ttl) -> Referral {
    Referral {
        ttl,
        eid,
        action,
        authoritative: action != ReferralAction::NotAuthoritative,
        // What we say of ourselves is no set of nodes to be kept (RFC 8111 section 6.4).
        incomplete: matches!(
            action,
            ReferralAction::MsAck | ReferralAction::MsNotRegistered | ReferralAction::NotAuthoritative
        ),
        map_version: 0,
        nodes: Vec::new(),
    }
}

/// The largest part of `block` around `asked` that is delegated to nobody.
fn undelegated(block: EidPrefix, asked: EidPrefix, config: &Config) -> EidPrefix {
    let sites = config.sites.iter().map(|site| site.prefix);
    let taken: Vec<EidPrefix> = config
        .delegations
        .iter()
        .map(|delegation| delegation.prefix)
        .chain(sites)
        .collect();
    (block.length()..=asked.length())
        .filter_map(|length| EidPrefix::new(asked.iid(), asked.address(), length).ok())
        .find(|part| !taken.iter().any(|other| part.covers(other)))
        .unwrap_or(asked)
}

fn send(nonce: Nonce, referral: Referral, to: SocketAddr, cx: &mut Context<'_>) {
    let message = MapReferral {
        nonce,
        records: vec![referral],
    };
    cx.send_to(&Message::MapReferral(message), to, crate::etr::REPLY_DSCP);
}

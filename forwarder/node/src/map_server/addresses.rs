//! Tells an xTR how it is seen from here: Info-Request and Info-Reply (draft-ermagan-lisp-nat-traversal).

use std::net::{IpAddr, SocketAddr};

use lisp_wire::message::{Info, NatTraversal};
use lisp_wire::{CONTROL_PORT, Message, Rloc, Ttl, verify};

use super::MapServer;
use crate::context::{Context, unsigned};
use crate::counters::Counter;

/// How long an xTR may count on what it was told, in minutes. It asks again before a NAT forgets it, anyway.
const HOLDS: Ttl = Ttl(10);

impl MapServer {
    /// An Info-Request. Only holders of a key of the site it names are answered: others would have us tell a third party.
    pub(crate) fn inform(
        info: &Info,
        datagram: &[u8],
        (from, local): (SocketAddr, IpAddr),
        cx: &mut Context<'_>,
    ) {
        let config = cx.config;
        let sites = config.sites.iter().filter(|site| site.prefix.covers(&info.eid));
        let Some(site) = sites.max_by_key(|site| site.prefix.length()) else {
            return cx.count(Counter::Scope);
        };
        let key = match verify(datagram, &site.keys) {
            Ok(key) => key,
            Err(error) => return cx.count(error.into()),
        };
        cx.count(Counter::InfoAnswered);
        let reply = Info {
            nonce: info.nonce,
            auth: unsigned(),
            ttl: HOLDS,
            eid: info.eid,
            nat: Some(NatTraversal {
                server_port: CONTROL_PORT,
                etr_port: from.port(),
                global: Some(Rloc(from.ip())),
                server: Some(Rloc(local)),
                private: None,
                rtrs: config.nat_rtrs.clone(),
            }),
        };
        cx.send_signed(&Message::Info(reply), key, from);
    }
}

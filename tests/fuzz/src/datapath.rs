//! The packet path among strangers: any packet from the site, any datagram from the network. `datapath`'s own tests run
//! the corpus through the same function.

use std::sync::Arc;

use datapath::{
    Counters, Decapsulator, Egress, EidSet, Encapsulator, Entry, Fate, Forwarding, Ingress, Limits,
    LocatorTable, MapCache, Outer, PacketBatch, Reach, Relay, Routes,
};
use lisp_wire::{EidPrefix, InstanceId, Locator, Priority, Rloc, Weight};

const LARGEST: usize = 2048;

/// The bytes are taken for a packet from the site, and for a datagram with its envelope's first bytes in front. Each
/// ends somewhere: carried, held, relayed, answered or counted as dropped.
pub fn datapath(bytes: &[u8]) {
    let bytes = bytes.get(..LARGEST).unwrap_or(bytes);
    let counters = Arc::new(Counters::default());
    let cache = cache();
    let limits = Limits::new(1500);
    let routes = Routes {
        cache: &cache,
        limits: &limits,
    };
    let encapsulator = Encapsulator::new(32, Arc::clone(&counters));
    let mut batch = PacketBatch::new(2, LARGEST);
    let mut egress = Egress::new(2, LARGEST);
    if batch.push(bytes).is_some() {
        encapsulator.encapsulate_batch(routes, &mut batch, &mut egress);
        for datagram in &egress.datagrams {
            let payload = egress.payload(&batch, datagram);
            assert!(
                payload.len() >= 8 + 20,
                "a header and a packet: {}",
                payload.len()
            );
        }
        let ended = egress.datagrams.len() + egress.held.len() + egress.too_big.len();
        let counted: u64 = Fate::ALL.iter().map(|fate| counters.get(*fate)).sum();
        assert!(ended > 0 || counted > 0, "a packet that ended nowhere");
    }

    let takes = [prefix("10.3.0.0/16")].into_iter().collect::<EidSet>();
    let decapsulator = Decapsulator::new([InstanceId::DEFAULT], Relay::For(takes), Arc::clone(&counters));
    batch.clear();
    egress.clear();
    let mut ingress = Ingress::new(2);
    let outer = Outer {
        ttl: bytes.first().copied().unwrap_or(64),
        ..Outer::default()
    };
    let Some(spare) = batch.spare().and_then(|spare| spare.get_mut(..bytes.len())) else {
        return;
    };
    spare.copy_from_slice(bytes);
    batch.commit(bytes.len(), outer);
    decapsulator.decapsulate_batch(&cache, &mut batch, &mut ingress);
    for slot in &ingress.local {
        assert!(
            batch.packet(*slot).len() >= 20,
            "a packet for the site has a header"
        );
    }
    let relayed = ingress.relayed.clone();
    encapsulator.relay_batch(routes, (&mut batch, &relayed), Fate::Relayed, &mut egress);
}

fn cache() -> MapCache {
    let table = |hosts: &[u8]| {
        let locators = (1..).zip(hosts).map(|(priority, host)| {
            let rloc = Rloc([172, 16, 0, *host].into());
            (
                Locator::unicast(rloc, Priority(priority / 2), Weight(100)),
                Reach::Up,
            )
        });
        LocatorTable::new(locators, None)
    };
    let entries = [
        ("10.1.0.0/16", Forwarding::Local),
        ("10.2.0.0/16", Forwarding::Encapsulate(table(&[1, 2, 3]))),
        ("10.3.0.0/16", Forwarding::Encapsulate(table(&[4]))),
        ("10.4.0.0/16", Forwarding::Native),
        ("10.5.0.0/16", Forwarding::Drop),
        ("10.6.0.0/16", Forwarding::Pending),
        ("10.7.0.0/16", Forwarding::Redirect(table(&[5]))),
        ("fd00::/16", Forwarding::Encapsulate(table(&[6]))),
    ];
    let mut cache = MapCache::new();
    for (eids, forwarding) in entries {
        cache.insert(Entry {
            prefix: prefix(eids),
            forwarding,
        });
    }
    cache
}

fn prefix(text: &str) -> EidPrefix {
    text.parse().expect("a prefix")
}

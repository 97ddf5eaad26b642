//! What a packet costs on the packet path, without any I/O: `cargo bench -p datapath`.
//!
//! Absolute figures depend on the machine; the ratios tell whether the trie and the in-place encapsulation still pay.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use datapath::{
    Counters, Decapsulator, Egress, Encapsulator, Entry, Forwarding, Ingress, Limits, LocatorTable, MapCache,
    Outer, PacketBatch, Reach, Relay, Routes,
};
use lisp_wire::{Eid, EidPrefix, InstanceId, Locator, Priority, Rloc, Weight};

const ROUNDS: usize = 5;

fn main() {
    for mappings in [10u32, 1_000, 100_000] {
        lookup(mappings);
    }
    for length in [64, 1400] {
        tunnel(length);
    }
}

/// Nanoseconds an operation, the median of some rounds.
fn median(operations: usize, mut round: impl FnMut()) -> f64 {
    let mut figures: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_nanos() as f64 / operations as f64
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    figures[ROUNDS / 2]
}

fn table() -> LocatorTable {
    let locator = |last| Locator::unicast(Rloc([172, 16, 0, last].into()), Priority(1), Weight(50));
    LocatorTable::new([1, 2].map(|last| (locator(last), Reach::Up)), None)
}

fn lookup(mappings: u32) {
    let prefix = |number: u32| {
        let address = Ipv4Addr::from(0x0a00_0000 + (number << 6));
        EidPrefix::new(InstanceId::DEFAULT, address.into(), 26 + (number % 7) as u8)
            .unwrap_or_else(|_| unreachable!())
    };
    let mut cache = MapCache::new();
    let mut list = Vec::new();
    for number in 0..mappings {
        cache.insert(Entry {
            prefix: prefix(number),
            forwarding: Forwarding::Drop,
        });
        list.push(prefix(number));
    }
    let eids: Vec<Eid> = (0..10_000u32)
        .map(|n| prefix(n.wrapping_mul(2_654_435_761) % mappings).first())
        .collect();
    let trie = median(eids.len(), || {
        for eid in &eids {
            black_box(cache.lookup(black_box(eid)));
        }
    });
    let few = eids.get(..50).unwrap_or_default();
    let linear = median(few.len(), || {
        for eid in few {
            let holds = list.iter().filter(|prefix| prefix.contains(black_box(eid)));
            black_box(holds.max_by_key(|prefix| prefix.length()));
        }
    });
    let publish = median(1_000, || {
        for number in 0..1_000 {
            cache.insert(Entry {
                prefix: prefix(number % mappings),
                forwarding: Forwarding::Drop,
            });
            black_box(cache.clone());
        }
    });
    report(
        &format!("lookup among {mappings} mappings"),
        trie,
        &format!("a list takes {:.1} x as long", linear / trie),
    );
    report(
        &format!("change and publish one of {mappings}"),
        publish,
        &format!("{:.1} lookups", publish / trie),
    );
}

fn tunnel(length: usize) {
    let counters = Arc::new(Counters::default());
    let mut cache = MapCache::new();
    let eids: EidPrefix = "10.2.0.0/16".parse().unwrap_or_else(|_| unreachable!());
    cache.insert(Entry {
        prefix: eids,
        forwarding: Forwarding::Encapsulate(table()),
    });
    let mut local = MapCache::new();
    local.insert(Entry {
        prefix: eids,
        forwarding: Forwarding::Local,
    });
    let limits = Limits::new(1500);
    let encapsulator = Encapsulator::new(InstanceId::DEFAULT, 32, Arc::clone(&counters));
    let decapsulator = Decapsulator::new(InstanceId::DEFAULT, Relay::Refused, counters);
    let packet = packet(length);
    let (mut batch, mut egress) = (PacketBatch::new(64, 1500), Egress::new(64, 1500));
    let fill = |batch: &mut PacketBatch, bytes: &[u8]| {
        batch.clear();
        while let Some(room) = batch.spare() {
            if let Some(room) = room.get_mut(..bytes.len()) {
                room.copy_from_slice(bytes);
            }
            batch.commit(
                bytes.len(),
                Outer {
                    ttl: 60,
                    traffic_class: 0,
                },
            );
        }
    };
    let copy = median(64 * 1_000, || {
        for _ in 0..1_000 {
            fill(&mut batch, black_box(&packet));
        }
    });
    let encap = median(64 * 1_000, || {
        for _ in 0..1_000 {
            fill(&mut batch, black_box(&packet));
            encapsulator.encapsulate_batch(
                Routes {
                    cache: &cache,
                    limits: &limits,
                },
                &mut batch,
                &mut egress,
            );
            black_box(&egress.datagrams);
            egress.clear();
        }
    });
    let mut payload = vec![0; 8];
    payload.extend(&packet);
    let mut ingress = Ingress::new(64);
    let decap = median(64 * 1_000, || {
        for _ in 0..1_000 {
            fill(&mut batch, black_box(&payload));
            decapsulator.decapsulate_batch(&local, &mut batch, &mut ingress);
            black_box(&ingress.local);
            ingress.clear();
        }
    });
    let against = |figure: f64| format!("{:.1} x the copy into the batch, which is in it", figure / copy);
    report(&format!("encapsulate {length} bytes"), encap, &against(encap));
    report(&format!("decapsulate {length} bytes"), decap, &against(decap));
}

fn packet(length: usize) -> Vec<u8> {
    let mut packet = vec![0; length];
    let header = [
        0x45,
        0,
        (length >> 8) as u8,
        length as u8,
        0,
        0,
        0,
        0,
        63,
        17,
        0,
        0,
        10,
        1,
        0,
        7,
        10,
        2,
        0,
        7,
    ];
    for (room, byte) in packet.iter_mut().zip(header) {
        *room = byte;
    }
    packet
}

#[allow(clippy::print_stdout)] // a bench's figures are its output
fn report(what: &str, nanos: f64, ratio: &str) {
    println!("{what:<40} {nanos:>9.1} ns   {ratio}");
}

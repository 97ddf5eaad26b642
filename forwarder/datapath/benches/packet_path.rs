//! What a packet costs on the packet path, without any I/O: `cargo bench -p datapath`.
//!
//! Absolute figures depend on the machine; the ratios tell whether the trie and the in-place encapsulation still pay.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use datapath::{
    Counters, Decapsulator, Egress, Encapsulator, Entry, Forwarding, Ingress, Limits, LocatorTable, MapCache,
    Outer, PacketBatch, Reach, Relay, Routes,
};
use lisp_wire::{Eid, EidPrefix, InstanceId, Locator, Priority, Rloc, Weight};

/// The machine has other things to do too: of many rounds some are undisturbed.
const ROUNDS: usize = 41;

fn main() {
    for mappings in [10u32, 1_000, 100_000, 1_000_000] {
        lookup(mappings, "side by side", dense);
    }
    for mappings in [100_000, 1_000_000] {
        lookup(mappings, "scattered", scattered);
        lookup(mappings, "IPv6", six);
    }
    for length in [64, 1400] {
        tunnel(length);
    }
}

/// Nanoseconds an operation.
struct Figure {
    median: f64,
    best: f64,
}

/// Of some rounds.
fn measure(operations: usize, mut round: impl FnMut()) -> Figure {
    let mut figures: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_nanos() as f64 / operations as f64
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    Figure {
        median: figures[ROUNDS / 2],
        best: figures[0],
    }
}

fn table() -> LocatorTable {
    let locator = |last| Locator::unicast(Rloc([172, 16, 0, last].into()), Priority(1), Weight(50));
    LocatorTable::new([1, 2].map(|last| (locator(last), Reach::Up)), None)
}

/// Prefixes of all lengths from 26 to 32, in neighbouring blocks.
fn dense(number: u32) -> EidPrefix {
    let address = Ipv4Addr::from(0x0a00_0000 + (number << 6));
    prefix(address.into(), 26 + (number % 7) as u8)
}

/// Host prefixes all over the IPv4 space.
fn scattered(number: u32) -> EidPrefix {
    prefix(Ipv4Addr::from(number.wrapping_mul(2_654_435_761)).into(), 32)
}

/// A /64 for each of a site's subnets, a thousand to a site.
fn six(number: u32) -> EidPrefix {
    let (site, subnet) = (u128::from(number / 1000), u128::from(number % 1000));
    let bits = 0x2001_0db8 << 96 | site << 80 | subnet << 64;
    prefix(Ipv6Addr::from_bits(bits).into(), 64)
}

fn prefix(address: IpAddr, length: u8) -> EidPrefix {
    EidPrefix::new(InstanceId::DEFAULT, address, length).unwrap_or_else(|_| unreachable!())
}

fn lookup(mappings: u32, manner: &str, prefix: fn(u32) -> EidPrefix) {
    let before = resident();
    let mut cache = MapCache::new();
    for number in 0..mappings {
        cache.insert(Entry {
            prefix: prefix(number),
            forwarding: Forwarding::Drop,
        });
    }
    let bytes = resident().saturating_sub(before) / u64::from(mappings);
    let list: Vec<EidPrefix> = (0..mappings).map(prefix).collect();
    let eids: Vec<Eid> = (0..10_000u32)
        .map(|n| prefix(n.wrapping_mul(2_654_435_761) % mappings).first())
        .collect();
    let trie = measure(eids.len(), || {
        for eid in &eids {
            black_box(cache.lookup(black_box(eid)));
        }
    });
    let few = eids.get(..5).unwrap_or_default();
    let linear = measure(few.len(), || {
        for eid in few {
            let holds = list.iter().filter(|prefix| prefix.contains(black_box(eid)));
            black_box(holds.max_by_key(|prefix| prefix.length()));
        }
    });
    let mut held = cache.clone();
    let publish = measure(1_000, || {
        for number in 0..1_000u32 {
            cache.insert(Entry {
                prefix: prefix(number.wrapping_mul(2_654_435_761) % mappings),
                forwarding: Forwarding::Drop,
            });
            held = cache.clone();
        }
    });
    black_box(&held);
    report(
        &format!("lookup, {mappings} mappings, {manner}"),
        &trie,
        &format!(
            "a list takes {:.1} x as long; {bytes} bytes a mapping, entry and all",
            linear.median / trie.median
        ),
    );
    report(
        &format!("change and publish, {mappings}, {manner}"),
        &publish,
        &format!("{:.1} lookups", publish.median / trie.median),
    );
}

/// Memory of the process that is in use, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
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
    let encapsulator = Encapsulator::new(32, Arc::clone(&counters));
    let decapsulator = Decapsulator::new([InstanceId::DEFAULT], Relay::Refused, counters);
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
                    ..Outer::default()
                },
            );
        }
    };
    let copy = measure(64 * 1_000, || {
        for _ in 0..1_000 {
            fill(&mut batch, black_box(&packet));
        }
    });
    let encap = measure(64 * 1_000, || {
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
    let decap = measure(64 * 1_000, || {
        for _ in 0..1_000 {
            fill(&mut batch, black_box(&payload));
            decapsulator.decapsulate_batch(&local, &mut batch, &mut ingress);
            black_box(&ingress.local);
            ingress.clear();
        }
    });
    let against = |figure: &Figure| {
        format!(
            "{:.1} x the copy into the batch, which is in it",
            figure.median / copy.median
        )
    };
    report(&format!("encapsulate {length} bytes"), &encap, &against(&encap));
    report(&format!("decapsulate {length} bytes"), &decap, &against(&decap));
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
fn report(what: &str, figure: &Figure, ratio: &str) {
    let Figure { median, best } = figure;
    println!("{what:<48} {median:>9.1} ns (best {best:.1})   {ratio}");
}

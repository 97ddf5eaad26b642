//! Nothing is allocated for a packet. A binary of its own, since it counts what the whole process allocates.

// Clippy knows tests by their attribute; the helpers of tests are theirs too.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use datapath::{
    Counters, Decapsulator, Egress, Encapsulator, Entry, Fate, Forwarding, Ingress, Limits, LocatorTable,
    MapCache, PacketBatch, Reach, Relay, Routes,
};
use lisp_wire::{InstanceId, Locator, Priority, Rloc, Weight};

thread_local! {
    /// Of this thread: the harness has others.
    static ALLOCATED: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: all is handed to the system's allocator as it came; counting neither allocates nor panics.
#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on, and all memory comes from there.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on, and all memory comes from there.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocated_by(act: impl FnOnce()) -> u64 {
    let before = ALLOCATED.get();
    act();
    ALLOCATED.get() - before
}

/// An IPv4 packet of `length` bytes from 10.1.0.`source` to an EID, that may be cut.
fn packet(source: u8, destination: [u8; 4], length: usize) -> Vec<u8> {
    let mut packet = vec![0; length];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    (packet[8], packet[9]) = (64, 17);
    packet[12..16].copy_from_slice(&[10, 1, 0, source]);
    packet[16..20].copy_from_slice(&destination);
    let sum: u32 = packet[..20]
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn tables() -> MapCache {
    let locator = |last| Locator::unicast(Rloc([172, 16, 0, last].into()), Priority(1), Weight(50));
    let mut cache = MapCache::new();
    let mut set = |prefix: &str, forwarding| {
        cache.insert(Entry {
            prefix: prefix.parse().unwrap(),
            forwarding,
        });
    };
    let both = LocatorTable::new([(locator(1), Reach::Up), (locator(2), Reach::Up)], None);
    set("10.2.0.0/16", Forwarding::Encapsulate(both.clone()));
    set("10.3.0.0/16", Forwarding::Drop);
    set("10.1.0.0/16", Forwarding::Local);
    set("10.1.0.99/32", Forwarding::Redirect(both));
    cache
}

#[test]
fn what_is_allocated_is_counted() {
    let one = || drop(std::hint::black_box(Box::new(1)));
    assert_eq!(allocated_by(one), 1);
}

#[test]
fn nothing_is_allocated_for_a_packet_that_leaves() {
    let (cache, limits, counters) = (tables(), Limits::new(1500), Arc::new(Counters::default()));
    let encapsulator = Encapsulator::new(32, Arc::clone(&counters));
    let (mut batch, mut out) = (PacketBatch::new(32, 2000), Egress::new(32, 2000));
    // Sent, cut, without a mapping, dropped.
    let packets: Vec<Vec<u8>> = (0..8)
        .flat_map(|host| {
            let to = |second, length| packet(host, [10, second, 0, host], length);
            [to(2, 1000), to(2, 1490), to(4, 100), to(3, 100)]
        })
        .collect();
    let mut turn = || {
        for packet in &packets {
            assert!(batch.push(packet).is_some());
        }
        let routes = Routes {
            cache: &cache,
            limits: &limits,
        };
        encapsulator.encapsulate_batch(routes, &mut batch, &mut out);
        let came = (out.datagrams.len(), out.held.len());
        out.clear();
        batch.clear();
        came
    };
    assert_eq!(turn(), (8 + 16, 8));
    let turns = || {
        for _ in 0..100 {
            turn();
        }
    };
    assert_eq!(allocated_by(turns), 0);
    assert_eq!(counters.get(Fate::Encapsulated), 101 * 16);
}

#[test]
fn nothing_is_allocated_for_a_packet_that_comes_or_is_sent_on() {
    let (cache, limits, counters) = (tables(), Limits::new(1500), Arc::new(Counters::default()));
    let decapsulator = Decapsulator::new([InstanceId::DEFAULT], Relay::Refused, Arc::clone(&counters));
    let encapsulator = Encapsulator::new(32, Arc::clone(&counters));
    let mut batch = PacketBatch::new(32, 2000);
    let (mut ingress, mut egress) = (Ingress::new(32), Egress::new(32, 2000));
    let datagrams: Vec<Vec<u8>> = (0..10)
        .flat_map(|host| [[10, 1, 0, host], [10, 1, 0, 99], [10, 3, 0, host]])
        .map(|to| [vec![0; 8], packet(200, to, 500)].concat())
        .collect();
    let mut turn = || {
        for datagram in &datagrams {
            assert!(batch.push(datagram).is_some());
        }
        decapsulator.decapsulate_batch(&cache, &mut batch, &mut ingress);
        let routes = Routes {
            cache: &cache,
            limits: &limits,
        };
        let sent_on = (&mut batch, ingress.redirected.as_slice());
        encapsulator.relay_batch(routes, sent_on, Fate::Redirected, &mut egress);
        let came = (ingress.local.len(), egress.datagrams.len());
        egress.clear();
        ingress.clear();
        batch.clear();
        came
    };
    assert_eq!(turn(), (10, 10));
    let turns = || {
        for _ in 0..100 {
            turn();
        }
    };
    assert_eq!(allocated_by(turns), 0);
}

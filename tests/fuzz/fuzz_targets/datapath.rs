#![no_main]

#[path = "../src/datapath.rs"]
mod packets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| packets::datapath(bytes));

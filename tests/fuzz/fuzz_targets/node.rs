#![no_main]

#[path = "../src/node.rs"]
mod machine;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| machine::node(bytes));

//! The fuzzers' corpora, on a stable compiler: each file is run through the function its target runs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::samples;

#[path = "../../../../tests/fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own elsewhere")]
pub(crate) mod targets;

#[test]
fn every_file_of_the_corpora_keeps_the_rules_of_its_target() {
    for (name, least) in [("message", 40), ("data_header", 12), ("verify", 40)] {
        let files = files(name);
        assert!(
            files.len() >= least,
            "the corpus of {name} has only {} files",
            files.len()
        );
        for file in files {
            let bytes = fs::read(&file).unwrap();
            match name {
                "message" => targets::message(&bytes),
                "data_header" => targets::data_header(&bytes),
                _ => targets::verify(&bytes),
            }
        }
    }
}

#[test]
fn the_corpora_start_from_one_of_each_message_in_its_golden_bytes() {
    for (name, message) in samples::all() {
        let mut bytes = Vec::new();
        message.emit(&mut bytes).unwrap();
        assert_golden(&corpus("message").join(name), &bytes);
    }
    for (name, message) in samples::signed() {
        for key in &targets::keys() {
            let mut bytes = Vec::new();
            message.emit_signed(key, &mut bytes).unwrap();
            assert_golden(&corpus("verify").join(format!("{name}-key-{}", key.id)), &bytes);
        }
    }
}

#[test]
fn what_a_key_signed_in_the_corpus_is_verified_and_no_bit_of_it_can_be_turned() {
    let keys = targets::keys();
    for file in files("verify")
        .iter()
        .filter(|file| file.to_string_lossy().contains("-key-"))
    {
        let mut bytes = fs::read(file).unwrap();
        assert!(lisp_wire::verify(&bytes, &keys).is_ok(), "{}", file.display());
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(
                lisp_wire::verify(&bytes, &keys).is_err(),
                "{} with bit {bit} turned",
                file.display()
            );
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// The file must hold these bytes: what goes on the wire does not change unnoticed.
fn assert_golden(file: &Path, bytes: &[u8]) {
    let golden = fs::read(file).unwrap_or_default();
    assert_eq!(
        golden,
        bytes,
        "{} differs; these bytes are {bytes:02x?}",
        file.display()
    );
}

fn files(target: &str) -> Vec<PathBuf> {
    fs::read_dir(corpus(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fuzz/corpus")
        .join(target)
}

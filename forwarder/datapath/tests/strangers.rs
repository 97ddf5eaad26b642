//! The packet path among strangers, on a stable compiler: the fuzzer's corpus, and bytes drawn anew at each run, go
//! through the function that the fuzz target runs.

// Clippy knows tests by their attribute; the helpers of tests are theirs too.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

#[path = "../../../tests/fuzz/src/datapath.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own elsewhere")]
mod target;

#[test]
fn every_file_of_the_corpus_ends_somewhere() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/datapath");
    let mut files = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        target::datapath(&std::fs::read(file.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 40, "the corpus has only {files} files");
}

proptest! {
    #[test]
    fn any_bytes_end_somewhere(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        target::datapath(&bytes);
    }
}

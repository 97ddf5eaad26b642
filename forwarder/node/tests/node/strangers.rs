//! A whole node among strangers, on a stable compiler: the fuzzer's corpus, and scripts drawn anew at each run, go
//! through the function that the fuzz target runs.

use std::path::Path;

use proptest::prelude::*;

#[path = "../../../../tests/fuzz/src/node.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own elsewhere")]
mod target;

#[test]
fn every_script_of_the_corpus_leaves_what_only_a_key_can_change() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/node");
    let mut files = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        target::node(&std::fs::read(file.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 40, "the corpus has only {files} files");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_script_leaves_what_only_a_key_can_change(script in prop::collection::vec(any::<u8>(), 0..1024)) {
        target::node(&script);
    }
}

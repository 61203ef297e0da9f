//! The configuration file: no bytes bring the reader down, every report can be shown, and whatever is accepted is
//! read back from its effective form as it was.

use std::path::Path;

use elbow::control::config::{self, Paint};
use proptest::prelude::*;

/// The files of `corpus/config`, and those of the table of wrong files.
const CORPUS: [&str; 2] =
    [include_str!("corpus/config/every_table.toml"), include_str!("../conformance/config/wrong_files.txt")];

/// Reads `bytes` as a configuration file.
pub fn fuzz_config(bytes: &[u8]) {
    let path = Path::new("elbow.toml");
    match config::parse(&String::from_utf8_lossy(bytes), path) {
        Err(report) => {
            assert!(report.counts().0 > 0, "refused without an error");
            assert!(!report.render(Paint::Ansi).is_empty());
            assert_eq!(report.to_json()["valid"], false);
        }
        Ok(loaded) => {
            let effective = config::effective(&loaded.configuration);
            match config::parse(&effective, path) {
                Ok(again) => assert_eq!(again.configuration, loaded.configuration),
                Err(report) => panic!("the effective file is refused:\n{report}\n{effective}"),
            }
        }
    }
}

/// Single files: each entry of the table of wrong files is one.
fn corpus() -> Vec<&'static str> {
    CORPUS.iter().flat_map(|text| text.split("=== ")).collect()
}

#[test]
fn the_corpus_is_survived() {
    for file in corpus() {
        fuzz_config(file.as_bytes());
    }
}

/// Splices pieces of the corpus into each other: what is nearly a configuration reaches deeper than noise.
fn spliced() -> impl Strategy<Value = Vec<u8>> {
    let piece = || (proptest::sample::select(corpus()), any::<prop::sample::Index>(), 0_usize..80);
    (
        proptest::sample::select(corpus()),
        prop::collection::vec((any::<prop::sample::Index>(), piece(), 0_usize..12), 0..6),
    )
        .prop_map(|(file, splices)| {
            let mut bytes = file.as_bytes().to_vec();
            for (at, (source, from, length), removed) in splices {
                let at = at.index(bytes.len() + 1);
                let from = from.index(source.len() + 1);
                let piece = &source.as_bytes()[from..(from + length).min(source.len())];
                let end = (at + removed).min(bytes.len());
                bytes.splice(at..end, piece.iter().copied());
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn spliced_files_are_survived(bytes in spliced()) {
        fuzz_config(&bytes);
    }

    #[test]
    fn noise_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_config(&bytes);
    }
}

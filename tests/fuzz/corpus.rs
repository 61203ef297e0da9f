//! Runs a fuzz function over its kept corpus and over mutations of it.

use std::path::Path;

use elbow::base::random::Random;

/// Mutations in an ordinary run: well under a second per function.
const ROUNDS: u64 = 20_000;
/// The mutations follow from this and the round's number; nothing else is random.
const SEED: u64 = 9112;

/// Pieces of protocols that byte flips would not find.
const WORDS: [&[u8]; 24] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"chunked",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Host: b\r\n",
    b"HTTP/1.0",
    b"http://c",
    b"-1",
    b"ffffffffffffffff",
    b"18446744073709551616",
    b"PROXY TCP4 ",
    b"\r\n\r\n\0\r\nQUIT\n",
    b"_",
];

/// Runs `function` over the corpus of that name and `FUZZ_ROUNDS` mutations of it.
pub fn run(name: &str, function: fn(&[u8])) {
    run_rounds(name, function, ROUNDS);
}

/// The same for a function that does much for each input: a fiftieth of the usual rounds.
pub fn run_slow(name: &str, function: fn(&[u8])) {
    run_rounds(name, function, ROUNDS / 50);
}

fn run_rounds(name: &str, function: fn(&[u8]), usual: u64) {
    let corpus = read(name);
    for input in &corpus {
        run_one(function, input);
    }
    let rounds = std::env::var("FUZZ_ROUNDS").map_or(usual, |text| text.parse().expect("FUZZ_ROUNDS is a number"));
    for round in 0..rounds {
        let mut random = Random::new(SEED.wrapping_add(round));
        let mut input = corpus[index(&mut random, corpus.len())].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut input, &corpus, &mut random);
        }
        run_one(function, &input);
    }
}

fn read(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = index(random, input.len() + 1);
    let end = at + index(random, (input.len() - at).min(16) + 1);
    match random.below(6) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 => drop(input.splice(at..end, WORDS[index(random, WORDS.len())].iter().copied())),
        2 => drop(input.splice(at..at, WORDS[index(random, WORDS.len())].iter().copied())),
        3 => drop(input.drain(at..end)),
        4 => input.extend_from_within(at..end),
        _ => {
            let other = &corpus[index(random, corpus.len())];
            input.truncate(at);
            input.extend_from_slice(&other[index(random, other.len() + 1)..]);
        }
    }
}

fn index(random: &mut Random, bound: usize) -> usize {
    random.below(bound as u64) as usize
}

fn run_one(function: fn(&[u8]), input: &[u8]) {
    let _shown = ShownOnPanic(input);
    function(input);
}

/// Prints the input that a fuzz function panicked on, ready for the corpus.
struct ShownOnPanic<'a>(&'a [u8]);

impl Drop for ShownOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("broken by printf '{}'", self.0.escape_ascii());
        }
    }
}

//! Desync classes against Amazon's own: its published cases, and its library on whatever chance makes of them.

use elbow::wire::desync::{Class, of_accepted, of_bytes};
use http_desync_guardian::RequestSafetyTier;
use http_desync_guardian::request_analyzer::HttpRequestData;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use elbow::wire::head::{HeadLimits, HeadStatus, RequestHead};

/// The library has rules that nobody else would make (see below); chance shall not find another one some day.
const SEED: RngSeed = RngSeed::Fixed(612);

/// One published case.
struct Case {
    class: Class,
    name: &'static str,
    head: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let lines = include_str!("desync_guardian.txt").lines().filter(|line| !line.starts_with('#'));
    let cases = lines.map(|line| {
        let mut parts = line.splitn(3, " | ");
        let mut part = || parts.next().expect("tier | name | head");
        let class = match part() {
            "Compliant" => Class::Compliant,
            "Acceptable" => Class::Acceptable,
            "Ambiguous" => Class::Ambiguous,
            "Severe" => Class::Severe,
            other => panic!("no tier: {other}"),
        };
        Case { class, name: part(), head: unescape(part()) }
    });
    cases.collect()
}

/// Undoes `\r`, `\n`, `\t`, `\\` and `\xNN`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match (byte, byte == b'\\') {
            (_, false) => byte,
            (_, true) => match bytes.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let mut digit =
                        || bytes.next().and_then(|digit| char::from(digit).to_digit(16)).expect("two digits");
                    (digit() * 16 + digit()) as u8
                }
                _ => b'\\',
            },
        });
    }
    out
}

fn of_guardian(head: &[u8]) -> Class {
    match HttpRequestData::analyze_raw_request(head).tier {
        RequestSafetyTier::Compliant => Class::Compliant,
        RequestSafetyTier::Acceptable => Class::Acceptable,
        RequestSafetyTier::Ambiguous => Class::Ambiguous,
        RequestSafetyTier::Severe => Class::Severe,
    }
}

/// A request head of published heads' lines, in any order and with changed bytes, ended as it should be.
fn shuffled_head() -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<Vec<u8>> = cases()
        .iter()
        .flat_map(|case| {
            case.head.split_inclusive(|byte| *byte == b'\n').skip(1).map(<[u8]>::to_vec).collect::<Vec<_>>()
        })
        .filter(|line| line != b"\r\n")
        .collect();
    let request_lines: Vec<Vec<u8>> = cases()
        .iter()
        .filter_map(|case| case.head.split_inclusive(|byte| *byte == b'\n').next().map(<[u8]>::to_vec))
        .collect();
    let line = prop::sample::select(lines);
    let changed = (line.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut line, at, byte)| {
        // Letters of names stay: the library takes even "Content-Lengt!" for the framing field it is not.
        let at = at.index(line.len());
        let in_name = !line[..at].contains(&b':');
        if !in_name || !line[at].is_ascii_alphanumeric() {
            line[at] = byte;
        }
        line
    });
    (prop::sample::select(request_lines), prop::collection::vec(prop_oneof![3 => line, 1 => changed], 0..6))
        .prop_map(|(request_line, lines)| [request_line, lines.concat(), b"\r\n".to_vec()].concat())
}

#[test]
fn published_cases_are_classified_as_published() {
    for Case { class, name, head } in cases() {
        assert_eq!(of_guardian(&head), class, "{name}: the library itself");
        assert_eq!(of_bytes(&head).class(), class, "{name}: {:?}", of_bytes(&head).finding());
    }
}

#[test]
fn what_the_library_overlooks() {
    for (head, guardian, ours) in [
        // It takes whatever sorts behind "HTTP/2" for HTTP/2, which it leaves alone.
        ("GET / foo\r\n\r\n", Class::Compliant, Class::Severe),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip, chunked\r\n\r\n", Class::Compliant, Class::Severe),
        ("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", Class::Compliant, Class::Severe),
        ("POST / HTTP/1.1\r\nContent Length: 1\r\n\r\n", Class::Acceptable, Class::Ambiguous),
        (" / HTTP/1.1\r\n\r\n", Class::Compliant, Class::Severe),
        ("GET / HTTP/1.1\r\n", Class::Acceptable, Class::Ambiguous),
    ] {
        assert_eq!(of_guardian(head.as_bytes()), guardian, "{head:?}");
        assert_eq!(of_bytes(head.as_bytes()).class(), ours, "{head:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, rng_seed: SEED, ..ProptestConfig::default() })]

    #[test]
    fn never_milder_than_the_library(head in shuffled_head()) {
        let (ours, guardian) = (of_bytes(&head), of_guardian(&head));
        prop_assert!(ours.class() >= guardian, "{guardian:?} {ours:?}: {}", head.escape_ascii());
    }

    #[test]
    fn accepted_heads_are_judged_as_their_bytes(head in shuffled_head()) {
        let mut parsed = RequestHead::default();
        let head = String::from_utf8_lossy(&head).replacen("\r\n", "\r\nHost: a\r\n", 1).into_bytes();
        if let Ok(HeadStatus::Complete { length }) = parsed.parse(&head, &HeadLimits::default()) {
            prop_assert_eq!(of_accepted(&parsed).class(), of_bytes(&head[..length]).class(), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn any_bytes_are_survived(head in prop::collection::vec(any::<u8>(), 0..100)) {
        of_bytes(&head);
    }
}

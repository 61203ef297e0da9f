//! What an HTTP/2 client may waste: it is counted alike however its frames are cut, and nobody gets more than the credit
//! of a connection is worth.

use elbow::base::Instant;
use elbow::transport::{Http2Credit, Http2Flood};

use crate::corpus;

/// What a client says first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection that never gets an answer may do: so many frames that bring nothing, of these so many changes of
/// settings, and so many requests given up.
const FRAMES_MAX: usize = 16_384;
const SETTINGS_MAX: usize = 1_024;
const RESETS_MAX: usize = 128;

/// Reads the first byte as how often the rest is said, the second as the size of the pieces that it comes in.
pub fn fuzz_http2_flood(input: &[u8]) {
    let Some(([times, piece], said)) = input.split_first_chunk() else { return };
    let stream = [PREFACE, &said.repeat(usize::from(*times))].concat();
    let (in_pieces, after_pieces) = credit_after(stream.chunks(usize::from(*piece).max(1)));
    let (at_once, after_all) = credit_after([stream.as_slice()].into_iter());
    assert_eq!(in_pieces, at_once, "the pieces count");
    let seen = Seen::of(&stream[PREFACE.len()..]);
    if at_once.is_ok() {
        assert_eq!(after_pieces, after_all, "the pieces hide where a head begins");
        assert_eq!(after_all, seen.is_inside_head, "a head is under way");
        assert!(seen.wasteful <= FRAMES_MAX && seen.settings <= SETTINGS_MAX && seen.resets <= RESETS_MAX, "{seen:?}");
    } else {
        assert!(seen.wasteful + 16 * seen.settings + 128 * seen.resets > FRAMES_MAX, "too early: {seen:?}");
    }
}

/// Whether the credit lasts, and whether a head is under way at the end.
fn credit_after<'a>(mut pieces: impl Iterator<Item = &'a [u8]>) -> (Result<(), Http2Flood>, bool) {
    let mut credit = Http2Credit::new(Instant::ZERO);
    let taken = pieces.try_for_each(|piece| credit.take(piece, Instant::ZERO));
    (taken, credit.head_since().is_some())
}

/// What a reader who has all bytes before him sees in them.
#[derive(Debug, Default)]
struct Seen {
    /// Frames that bring no request nearer to its answer.
    wasteful: usize,
    settings: usize,
    resets: usize,
    is_inside_head: bool,
}

impl Seen {
    fn of(mut stream: &[u8]) -> Seen {
        let mut seen = Seen::default();
        while let Some((&[l0, l1, l2, kind, flags, ..], rest)) = stream.split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
            let is_whole = rest.len() >= length;
            match (kind, seen.is_inside_head) {
                (1, false) | (9, true) => seen.is_inside_head = flags & 4 == 0 || !is_whole,
                _ => {}
            }
            match kind {
                1 => {}
                0 if length > 0 || flags & 1 != 0 => {}
                _ => seen.wasteful += 1,
            }
            seen.settings += usize::from(kind == 4);
            seen.resets += usize::from(kind == 3);
            stream = rest.get(length..).unwrap_or_default();
        }
        seen
    }
}

#[test]
fn http2_floods() {
    corpus::run("http2_flood", fuzz_http2_flood);
}

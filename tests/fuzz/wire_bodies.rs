//! Bodies: one reading whatever the pieces, and what is written from it reads as the same data.

use elbow::wire::body::BodyDecoder;
use elbow::wire::chunk::{CRLF, LAST_CHUNK, chunk_header};
use elbow::wire::fault::BodyFault;
use elbow::wire::framing::BodyFraming;

use crate::corpus;

/// What was read of a body.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    data: Vec<u8>,
    trailers: Vec<u8>,
    consumed: usize,
    ended: bool,
    fault: Option<BodyFault>,
}

/// Any bytes as a chunked body.
pub fn fuzz_chunked(input: &[u8]) {
    let whole = read(input, input.len().max(1));
    let pieces = read(input, 1 + input.len() % 5);
    // Where a fault was met is as much the input's as the pieces'; what was read before it is not.
    if whole.fault.is_none() {
        assert_eq!(whole, pieces, "the pieces changed the reading");
    } else {
        assert_eq!((&whole.data, whole.fault), (&pieces.data, pieces.fault), "the pieces changed the reading");
    }
    if !whole.ended {
        return;
    }
    let mut written = Vec::new();
    if !whole.data.is_empty() {
        for part in [chunk_header(whole.data.len() as u64).as_bytes(), &whole.data, CRLF] {
            written.extend_from_slice(part);
        }
    }
    for part in [LAST_CHUNK, &whole.trailers, CRLF] {
        written.extend_from_slice(part);
    }
    let again = read(&written, written.len());
    assert_eq!((again.data, again.trailers, again.ended), (whole.data, whole.trailers, true));
    assert_eq!(again.consumed, written.len());
}

fn read(input: &[u8], piece: usize) -> Read {
    let mut decoder = BodyDecoder::new(BodyFraming::Chunked);
    let mut read = Read::default();
    let mut available = 0;
    loop {
        let bytes = &input[read.consumed..available];
        match decoder.decode(bytes) {
            Ok(decoded) => {
                assert!(decoded.data.end <= decoded.consumed && decoded.consumed <= bytes.len());
                read.data.extend_from_slice(&bytes[decoded.data]);
                read.consumed += decoded.consumed;
                read.ended = decoded.ended;
                if decoded.ended {
                    read.trailers = decoder.trailers().as_bytes().to_vec();
                    return read;
                }
                if decoded.consumed == 0 && available == input.len() {
                    return read;
                }
            }
            Err(fault) => {
                assert_eq!(decoder.decode(bytes), Err(fault), "a fault went away");
                read.fault = Some(fault);
                return read;
            }
        }
        available = input.len().min(available + piece);
    }
}

#[test]
fn chunked_bodies() {
    corpus::run("chunked", fuzz_chunked);
}

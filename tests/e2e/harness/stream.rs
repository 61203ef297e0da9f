//! Long streams that no shift, loss or repetition leaves the same, known by their SHA-256.

use super::peer::Peer;
use aws_lc_rs::digest::{Context, SHA256, digest};

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 65_536;

/// What a stream was: its length and its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    pub length: u64,
    pub digest: Vec<u8>,
}

/// The `n`th block of every stream.
pub fn block(n: u64) -> Vec<u8> {
    let words = BLOCK_BYTES as u64 / 8;
    (0..words).flat_map(|at| (n * words + at).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect()
}

/// The fingerprint of bytes in memory.
pub fn fingerprint(bytes: &[u8]) -> Fingerprint {
    Fingerprint { length: bytes.len() as u64, digest: digest(&SHA256, bytes).as_ref().to_vec() }
}

/// Sends so many blocks.
pub fn send_stream(peer: &mut Peer, blocks: u64) -> Fingerprint {
    let mut digest = Context::new(&SHA256);
    for n in 0..blocks {
        let bytes = block(n);
        digest.update(&bytes);
        peer.send(&bytes);
    }
    Fingerprint { length: blocks * BLOCK_BYTES as u64, digest: digest.finish().as_ref().to_vec() }
}

/// Receives so many bytes, or fewer when the connection ends before.
pub fn receive_stream(peer: &mut Peer, length: u64) -> Fingerprint {
    let mut received = Fingerprint { length: 0, digest: Vec::new() };
    let mut digest = Context::new(&SHA256);
    while received.length < length {
        let bytes = peer.try_read_some().expect("bytes or the end");
        if bytes.is_empty() {
            break;
        }
        received.length += bytes.len() as u64;
        digest.update(&bytes);
    }
    received.digest = digest.finish().as_ref().to_vec();
    received
}

//! Bytes in the order they were sent, kept in the pieces they came in.

use std::collections::VecDeque;

/// A queue of bytes.
#[derive(Debug, Default)]
pub struct ByteQueue {
    pieces: VecDeque<Vec<u8>>,
    /// How much of the first piece is gone.
    taken: usize,
    length: usize,
}

impl ByteQueue {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds a piece at the end.
    pub fn push(&mut self, piece: Vec<u8>) {
        if !piece.is_empty() {
            self.length += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// Takes up to `most` bytes from the front, over the seams of pieces.
    pub fn take(&mut self, most: usize) -> Vec<u8> {
        let wanted = most.min(self.length);
        let mut bytes = Vec::with_capacity(wanted);
        while bytes.len() < wanted
            && let Some(piece) = self.take_piece(wanted - bytes.len())
        {
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    /// Takes up to `most` bytes of the first piece.
    pub fn take_piece(&mut self, most: usize) -> Option<Vec<u8>> {
        let first = self.pieces.front()?;
        let rest = &first[self.taken..];
        let piece = rest[..rest.len().min(most)].to_vec();
        self.taken += piece.len();
        self.length -= piece.len();
        if self.taken == first.len() {
            self.pieces.pop_front();
            self.taken = 0;
        }
        Some(piece)
    }
}

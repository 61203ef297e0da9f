//! What a receive has received and nobody has taken yet.

use std::collections::VecDeque;

use crate::runtime::buffers::Chunk;

/// Chunks in the order of their arrival. Nearly always there is none or one, which needs no memory of its own: an idle
/// connection holds none.
#[derive(Debug, Default)]
pub struct Backlog {
    first: Option<Chunk>,
    /// What came behind the first, while there is any.
    #[expect(clippy::box_collection, reason = "one word of every operation in flight instead of four")]
    behind: Option<Box<VecDeque<Chunk>>>,
}

impl Backlog {
    /// Number of chunks.
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.behind.as_ref().map_or(0, |behind| behind.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Adds what has arrived. Small pieces that nobody has taken share one buffer.
    pub(in crate::runtime) fn push(&mut self, chunk: Chunk) {
        let last = self.behind.as_mut().and_then(|behind| behind.back_mut()).or(self.first.as_mut());
        let Some(last) = last else {
            self.first = Some(chunk);
            return;
        };
        if !last.absorb(&chunk) {
            self.behind.get_or_insert_default().push_back(chunk);
        }
    }

    /// Takes the oldest.
    pub(in crate::runtime) fn pop(&mut self) -> Option<Chunk> {
        let first = self.first.take();
        if let Some(behind) = &mut self.behind {
            self.first = behind.pop_front();
            if behind.is_empty() {
                self.behind = None;
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::buffers::BufferPool;

    #[test]
    fn chunks_leave_in_the_order_of_their_arrival() {
        let pool = BufferPool::new(8).expect("address space");
        let mut backlog = Backlog::default();
        let mut shared = Vec::new();
        for number in 0..4_u8 {
            let chunk = pool.copy(&[number]).expect("a buffer");
            // Somebody else holds the buffer, so the next chunk cannot go into it.
            shared.push(chunk.clone());
            backlog.push(chunk);
            assert_eq!(backlog.len(), usize::from(number) + 1);
        }
        for number in 0..4_u8 {
            assert_eq!(backlog.pop().as_deref(), Some(&[number][..]));
        }
        assert!(backlog.is_empty() && backlog.pop().is_none() && backlog.behind.is_none());
    }

    #[test]
    fn small_pieces_that_wait_share_a_buffer() {
        let pool = BufferPool::new(8).expect("address space");
        let mut backlog = Backlog::default();
        for byte in b"abc" {
            backlog.push(pool.copy(&[*byte]).expect("a buffer"));
        }
        assert_eq!((backlog.len(), pool.in_use()), (1, 1));
        assert_eq!(backlog.pop().as_deref(), Some(&b"abc"[..]));
    }
}

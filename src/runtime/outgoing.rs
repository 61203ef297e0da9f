//! Bytes on their way out. A send owns them until the kernel has taken the last one.

use crate::runtime::buffers::Chunk;

/// What a send sends.
#[derive(Debug)]
pub enum Outgoing {
    /// Bytes that were written for this send, from an offset on.
    Bytes(Vec<u8>, usize),
    /// Bytes as they were received.
    Chunk(Chunk),
    /// Bytes that never change.
    Fixed(&'static [u8]),
    /// Written bytes, received ones and fixed ones behind them, in one gathering send.
    Parts(Box<Parts>),
}

/// A head that was written, a body piece as it was received and a fixed end, sent by one sendmsg(2).
#[derive(Debug)]
pub struct Parts {
    head: Vec<u8>,
    sent: usize,
    body: Chunk,
    tail: &'static [u8],
    pub(in crate::runtime) message: Message,
}

/// Where the ring keeps the structures that sendmsg(2) reads; filled at submission.
pub(in crate::runtime) struct Message {
    pub(in crate::runtime) slices: [libc::iovec; 3],
    pub(in crate::runtime) header: Option<libc::msghdr>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Message")
    }
}

impl Outgoing {
    /// `head`, `body` and `tail` in one send. Small bodies are copied behind the head: up to about this much a copy
    /// costs less than a gathering send.
    pub fn gather(mut head: Vec<u8>, body: Chunk, tail: &'static [u8]) -> Outgoing {
        const COPY_AT_MOST: usize = 2048;
        if body.len() <= COPY_AT_MOST {
            head.extend_from_slice(&body);
            head.extend_from_slice(tail);
            return Outgoing::Bytes(head, 0);
        }
        let empty = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let message = Message { slices: [empty; 3], header: None };
        Outgoing::Parts(Box::new(Parts { head, sent: 0, body, tail, message }))
    }

    /// What is left to send, in order, as at most three slices.
    pub fn slices(&self) -> [&[u8]; 3] {
        match self {
            Outgoing::Bytes(bytes, sent) => [bytes.get(*sent..).unwrap_or_default(), &[], &[]],
            Outgoing::Chunk(chunk) => [chunk, &[], &[]],
            Outgoing::Fixed(bytes) => [bytes, &[], &[]],
            Outgoing::Parts(parts) => [parts.head.get(parts.sent..).unwrap_or_default(), &parts.body, parts.tail],
        }
    }

    /// Number of bytes left to send.
    pub fn len(&self) -> usize {
        self.slices().iter().map(|slice| slice.len()).sum()
    }

    /// Whether all has been sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes note that `count` bytes were sent.
    pub fn advance(&mut self, count: usize) {
        match self {
            Outgoing::Bytes(_, sent) => *sent += count,
            Outgoing::Chunk(chunk) => chunk.advance(count),
            Outgoing::Fixed(bytes) => *bytes = bytes.get(count..).unwrap_or_default(),
            Outgoing::Parts(parts) => {
                let of_head = count.min(parts.head.len() - parts.sent);
                let of_body = parts.body.len().min(count - of_head);
                parts.sent += of_head;
                parts.body.advance(of_body);
                parts.tail = parts.tail.get(count - of_head - of_body..).unwrap_or_default();
            }
        }
    }

    /// The written bytes' memory, emptied, for the next use.
    pub fn recycle(self) -> Option<Vec<u8>> {
        let mut memory = match self {
            Outgoing::Bytes(bytes, _) => bytes,
            Outgoing::Parts(parts) => parts.head,
            Outgoing::Chunk(_) | Outgoing::Fixed(_) => return None,
        };
        memory.clear();
        Some(memory)
    }
}

impl From<Vec<u8>> for Outgoing {
    fn from(bytes: Vec<u8>) -> Outgoing {
        Outgoing::Bytes(bytes, 0)
    }
}

impl From<Chunk> for Outgoing {
    fn from(chunk: Chunk) -> Outgoing {
        Outgoing::Chunk(chunk)
    }
}

impl From<&'static [u8]> for Outgoing {
    fn from(bytes: &'static [u8]) -> Outgoing {
        Outgoing::Fixed(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::buffers::BufferPool;

    #[test]
    fn a_gathered_send_advances_over_its_seam() {
        let pool = BufferPool::new(1).expect("address space");
        let id = pool.take().expect("a buffer");
        pool.fill(&id, &[b'x'; 5000]);
        let mut outgoing = Outgoing::gather(b"head".to_vec(), pool.lease(id, 5000), b"\r\n");
        assert!(matches!(outgoing, Outgoing::Parts(_)));
        outgoing.advance(3);
        assert_eq!((outgoing.slices()[0], outgoing.len()), (&b"d"[..], 5003));
        outgoing.advance(101);
        assert_eq!((outgoing.slices()[0].len(), outgoing.len()), (0, 4902));
        outgoing.advance(4901);
        assert_eq!(outgoing.slices(), [&b""[..], b"", b"\n"]);
        outgoing.advance(1);
        assert!(outgoing.is_empty());
    }
}

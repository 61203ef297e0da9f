//! What waits to be written to one access log.

use crate::model::{AccessLog, AccessLogFormat};
use crossbeam::queue::ArrayQueue;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Blocks that may wait: 8 MiB, some 40,000 lines, most of a second of a busy node.
const BLOCKS_MAX: usize = 128;

/// A block is given to the queue when it has grown to this.
const BLOCK_BYTES: usize = 64 * 1024;

/// Lines of one core that belong together.
#[derive(Debug, Default)]
pub struct Block {
    /// The lines.
    pub bytes: Vec<u8>,
    /// How many.
    pub lines: u64,
}

/// The way from the cores to the file.
#[derive(Debug)]
pub struct AccessLogQueue {
    log: AccessLog,
    waiting: ArrayQueue<Block>,
    dropped: AtomicU64,
}

impl AccessLogQueue {
    /// Nothing waits yet for `log`.
    pub fn new(log: AccessLog) -> AccessLogQueue {
        AccessLogQueue { log, waiting: ArrayQueue::new(BLOCKS_MAX), dropped: AtomicU64::new(0) }
    }

    /// Which log it is.
    pub fn log(&self) -> &AccessLog {
        &self.log
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.log.path
    }

    /// How its lines look.
    pub fn format(&self) -> AccessLogFormat {
        self.log.format
    }

    /// Gives a block away; when too much waits, its lines are dropped and counted. Never waits.
    pub fn offer(&self, block: Block) {
        if block.lines > 0
            && let Err(block) = self.waiting.push(block)
        {
            self.count_dropped(block.lines);
        }
    }

    /// The block that waits longest.
    pub fn take(&self) -> Option<Block> {
        self.waiting.pop()
    }

    /// Counts lines that could not be written.
    pub fn count_dropped(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Block {
    /// Adds a line that `write` appends. Whether the block is full now.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(BLOCK_BYTES + 4 * 1024);
        }
        write(&mut self.bytes);
        self.lines += 1;
        self.bytes.len() >= BLOCK_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_what_is_new_and_counts_its_lines() {
        let queue = AccessLogQueue::new(AccessLog::unrotated("x".into(), AccessLogFormat::Elb));
        for number in 0..=BLOCKS_MAX {
            queue.offer(Block { bytes: vec![number as u8], lines: 3 });
        }
        queue.offer(Block::default());
        assert_eq!(queue.dropped(), 3);
        let waiting: Vec<u8> = std::iter::from_fn(|| queue.take()).map(|block| block.bytes[0]).collect();
        assert_eq!(waiting, (0..BLOCKS_MAX).map(|number| number as u8).collect::<Vec<_>>());
    }

    #[test]
    fn a_block_says_when_it_is_full() {
        let mut block = Block::default();
        let lines = (1..).find(|_| block.add(|bytes| bytes.extend_from_slice(&[b'x'; 1000]))).expect("some time");
        assert_eq!((block.lines, block.bytes.len()), (lines, lines as usize * 1000));
        assert!(block.bytes.len() >= BLOCK_BYTES);
    }
}

//! Stream contents that can be checked at any offset: which byte stands where follows from the stream's number alone, so a
//! byte that is lost, doubled, moved or of another stream is found.

use elbow::base::random::Random;

/// Bytes of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern(pub u64);

/// Bytes that come from one number; a word of them repeats nowhere near.
const WORD: u64 = 8;

impl Pattern {
    /// The bytes from `start` to `end`.
    pub fn bytes(self, start: u64, end: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity((end.saturating_sub(start)) as usize + WORD as usize);
        let skipped = (start % WORD) as usize;
        for word in start / WORD..end.div_ceil(WORD) {
            bytes.extend_from_slice(&self.word(word));
        }
        bytes.truncate(skipped + end.saturating_sub(start) as usize);
        bytes.drain(..skipped.min(bytes.len()));
        bytes
    }

    /// Whether `bytes` are what stands at `start`.
    pub fn matches(self, start: u64, bytes: &[u8]) -> bool {
        self.bytes(start, start + bytes.len() as u64) == bytes
    }

    fn word(self, word: u64) -> [u8; WORD as usize] {
        Random::new(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ word).next_u64().to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_range_is_a_part_of_the_whole() {
        let whole = Pattern(7).bytes(0, 100);
        for (start, end) in [(0, 0), (0, 100), (3, 5), (8, 16), (7, 9), (99, 100)] {
            assert_eq!(Pattern(7).bytes(start, end), whole[start as usize..end as usize]);
        }
        assert!(Pattern(7).matches(5, &whole[5..50]));
        assert!(!Pattern(7).matches(6, &whole[5..50]));
        assert!(!Pattern(8).matches(5, &whole[5..50]));
    }
}

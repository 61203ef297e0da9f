//! One block of memory per executor, for bytes that are used up before anything else happens.

/// Bytes in the block: four of the largest TLS records.
pub const BLOCK: usize = 64 * 1024;

const PAGE: usize = 4096;

/// The block; allocated when first used.
#[derive(Default)]
pub(in crate::runtime) struct Block {
    memory: Vec<u8>,
}

impl Block {
    /// The block's bytes, whatever they are. They begin in the middle of a page: copied from the start of one page to
    /// just behind the start of another, as behind a record's header, `rep movsb` takes over twenty times as long on
    /// processors of AMD (glibc's bug 30994; 16 KiB: 6.3 µs instead of 0.3).
    pub fn bytes(&mut self) -> &mut [u8] {
        self.memory.resize(BLOCK + 2 * PAGE, 0);
        let start = self.memory.as_ptr().align_offset(PAGE).min(PAGE) + PAGE / 2;
        self.memory.get_mut(start..start + BLOCK).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_always_the_same_and_begins_in_the_middle_of_a_page() {
        let mut block = Block::default();
        let first = block.bytes().as_ptr().addr();
        assert_eq!((block.bytes().as_ptr().addr(), block.bytes().len()), (first, BLOCK));
        assert_eq!(first % PAGE, PAGE / 2);
    }
}

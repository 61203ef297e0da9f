//! Slots with stable keys. A key carries the generation of its slot, so a key of something gone finds nothing.
//!
//! Tasks, operations and timers live in slabs; their keys travel through the kernel (`user_data`) and other threads.
//! Storage grows in pages that never move: growing copies nothing and leaves no freed giant behind.

const PAGE: usize = 256;
const NONE: u32 = u32::MAX;

const INDEX_BITS: u32 = 28;
const GENERATION_BITS: u32 = 24;

/// Names one occupant of a [`Slab`]: 28 bits of index, 24 of generation, so that twelve bits of a word stay free for
/// whose slab it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// How many bits [`Key::to_bits`] uses.
    pub const BITS: u32 = INDEX_BITS + GENERATION_BITS;

    /// The key as one number below 2^[`Key::BITS`].
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << INDEX_BITS | self.index as u64
    }

    /// The inverse of [`Key::to_bits`].
    pub const fn from_bits(bits: u64) -> Key {
        let index = bits as u32 & ((1 << INDEX_BITS) - 1);
        Key { index, generation: (bits >> INDEX_BITS) as u32 & ((1 << GENERATION_BITS) - 1) }
    }
}

enum Content<T> {
    Free { next: u32 },
    Used(T),
}

struct Entry<T> {
    generation: u32,
    content: Content<T>,
}

/// A growing set of `T` with generational keys. Insert, look-up and remove are constant time.
pub struct Slab<T> {
    pages: Vec<Box<[Entry<T>]>>,
    first_free: u32,
    length: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { pages: Vec::new(), first_free: NONE, length: 0 }
    }
}

impl<T> Slab<T> {
    /// Number of occupants.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Stores `value` and names it.
    pub fn insert(&mut self, value: T) -> Key {
        if self.first_free == NONE {
            self.grow();
        }
        let index = self.first_free;
        let entry = &mut self.pages[index as usize / PAGE][index as usize % PAGE];
        if let Content::Free { next } = entry.content {
            self.first_free = next;
        }
        entry.content = Content::Used(value);
        self.length += 1;
        Key { index, generation: entry.generation }
    }

    /// The occupant that `key` names, if it is still there.
    pub fn get(&self, key: Key) -> Option<&T> {
        let entry = self.pages.get(key.index as usize / PAGE)?.get(key.index as usize % PAGE)?;
        match &entry.content {
            Content::Used(value) if entry.generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The occupant that `key` names, if it is still there.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.pages.get_mut(key.index as usize / PAGE)?.get_mut(key.index as usize % PAGE)?;
        match &mut entry.content {
            Content::Used(value) if entry.generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// Takes out the occupant that `key` names; its key finds nothing from now on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        let entry = &mut self.pages[key.index as usize / PAGE][key.index as usize % PAGE];
        let content = std::mem::replace(&mut entry.content, Content::Free { next: self.first_free });
        entry.generation = (entry.generation + 1) & ((1 << GENERATION_BITS) - 1);
        self.first_free = key.index;
        self.length -= 1;
        match content {
            Content::Used(value) => Some(value),
            Content::Free { .. } => None,
        }
    }

    /// Every occupant with its key.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.pages.iter().flatten().enumerate().filter_map(|(index, entry)| match &entry.content {
            Content::Used(value) => Some((Key { index: index as u32, generation: entry.generation }, value)),
            Content::Free { .. } => None,
        })
    }

    fn grow(&mut self) {
        let start = (self.pages.len() * PAGE) as u32;
        let entry = |offset: usize| {
            let next = if offset + 1 == PAGE { NONE } else { start + offset as u32 + 1 };
            Entry { generation: 0, content: Content::Free { next } }
        };
        self.pages.push((0..PAGE).map(entry).collect());
        self.first_free = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut slab = Slab::default();
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b');
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(Key::from_bits(second.to_bits())), Some(&'b'));
    }

    #[test]
    fn it_grows_by_pages_and_reuses_what_is_freed() {
        let mut slab = Slab::default();
        let keys: Vec<Key> = (0..3 * PAGE).map(|value| slab.insert(value)).collect();
        assert!(keys.iter().enumerate().all(|(value, key)| slab.get(*key) == Some(&value)));
        keys.iter().for_each(|key| assert!(slab.remove(*key).is_some()));
        assert!(slab.is_empty());
        (0..3 * PAGE).for_each(|value| assert!(slab.insert(value).to_bits() < 1 << Key::BITS));
        assert_eq!((slab.len(), slab.pages.len()), (3 * PAGE, 3));
    }
}

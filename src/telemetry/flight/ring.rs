//! Records that one thread writes over and over and any thread reads, without locks.

use super::record::{WORDS, Words};
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// A ring of records, oldest overwritten first.
#[derive(Debug)]
pub(super) struct Ring {
    slots: Box<[Slot]>,
    /// The slot written next. Only its writer touches it.
    next: AtomicU64,
}

/// One record behind a sequence lock: the version is odd while it is written, and another one afterwards.
#[derive(Debug)]
struct Slot {
    version: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl Ring {
    /// Room for `records`.
    pub fn new(records: usize) -> Ring {
        let slot = || Slot { version: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; WORDS] };
        Ring { slots: (0..records).map(|_| slot()).collect(), next: AtomicU64::new(0) }
    }

    /// Writes over the oldest record. For one thread.
    pub fn write(&self, words: &Words) {
        let next = self.next.load(Ordering::Relaxed);
        self.next.store(next.wrapping_add(1), Ordering::Relaxed);
        let Some(slot) = self.slots.get((next % self.slots.len() as u64) as usize) else { return };
        let version = slot.version.load(Ordering::Relaxed);
        slot.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        slot.words.iter().zip(words).for_each(|(place, word)| place.store(*word, Ordering::Relaxed));
        slot.version.store(version + 2, Ordering::Release);
    }

    /// The records that are wanted, in no order. One that is just being written is passed over.
    pub fn find(&self, is_wanted: impl Fn(&Words) -> bool) -> impl Iterator<Item = Words> {
        self.slots.iter().filter_map(Slot::read).filter(move |words| is_wanted(words))
    }
}

impl Slot {
    fn read(&self) -> Option<Words> {
        let before = self.version.load(Ordering::Acquire);
        if before == 0 || before % 2 == 1 {
            return None;
        }
        let words = std::array::from_fn(|index| self.words[index].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        (self.version.load(Ordering::Relaxed) == before).then_some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::RequestId;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn nobody_reads_half_a_record() {
        let (ring, done) = (Ring::new(4), AtomicBool::new(false));
        let id = RequestId::given(b"same").expect("good");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..200_000 {
                    let mut words = [number; WORDS];
                    words[..id.words().len()].copy_from_slice(&id.words());
                    ring.write(&words);
                }
                done.store(true, Ordering::Relaxed);
            });
            let mut read = 0;
            while !done.load(Ordering::Relaxed) || read == 0 {
                for words in ring.find(|words| words.starts_with(&id.words())) {
                    let rest = &words[id.words().len()..];
                    assert!(rest.iter().all(|word| *word == rest[0]), "{rest:?}");
                    read += 1;
                }
            }
        });
    }
}

//! Plaintext in pieces, taken record by record.

/// The concatenation of some slices, from the front on.
pub(super) struct Pieces<'a> {
    /// The rest of the piece that is next.
    current: &'a [u8],
    following: &'a [&'a [u8]],
    /// Where a record is put together that spans pieces.
    joined: Vec<u8>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(pieces: &'a [&'a [u8]]) -> Self {
        let mut pieces = Self { current: &[], following: pieces, joined: Vec::new() };
        pieces.skip_empty();
        pieces
    }

    fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// At most `limit` bytes: straight from a piece that fills a record or is the last, otherwise joined.
    pub(super) fn next(&mut self, limit: usize) -> Option<&[u8]> {
        if self.is_empty() {
            return None;
        }
        if self.current.len() >= limit || self.following.iter().all(|piece| piece.is_empty()) {
            return Some(self.take(limit));
        }
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        while joined.len() < limit && !self.is_empty() {
            joined.extend_from_slice(self.take(limit - joined.len()));
        }
        self.joined = joined;
        Some(&self.joined)
    }

    fn take(&mut self, limit: usize) -> &'a [u8] {
        let (taken, rest) = self.current.split_at(limit.min(self.current.len()));
        self.current = rest;
        self.skip_empty();
        taken
    }

    fn skip_empty(&mut self) {
        while let ([], [next, following @ ..]) = (self.current, self.following) {
            self.current = next;
            self.following = following;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_come_out_whole_and_in_records_as_large_as_allowed(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            limit in 1usize..50,
        ) {
            let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let whole = pieces.concat();
            let mut taken = Pieces::new(&slices);
            let mut seen = Vec::new();
            while let Some(record) = taken.next(limit) {
                prop_assert_eq!(record.len(), limit.min(whole.len() - seen.len()));
                seen.extend_from_slice(record);
            }
            prop_assert_eq!(seen, whole);
        }
    }
}

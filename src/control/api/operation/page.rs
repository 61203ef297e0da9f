//! Long lists in pieces: `Marker` and `PageSize` in, `NextMarker` out.

use crate::control::api::error::ApiError;
use crate::control::api::query::{Reader, number};

/// The most items of one answer, and what is given when nothing is asked.
const SIZE_MAX: i64 = 400;

/// Which piece is asked for.
pub(super) struct Page {
    marker: Option<String>,
    size: usize,
}

impl Page {
    /// What the call asks.
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let marker = reader.optional_text("Marker");
        let size = reader.optional("PageSize", number(1..=SIZE_MAX))?.unwrap_or(SIZE_MAX);
        Some(Self { marker: marker?, size: usize::try_from(size).ok()? })
    }

    /// The piece of `items`, which are in the order of their keys, and the marker of what follows, if something does. A
    /// marker is the key of the last item given, so that what comes and goes between two pages disturbs neither.
    ///
    /// # Errors
    ///
    /// `ValidationError` when a marker is none by `is_key`.
    pub(super) fn of<T: Copy>(
        &self,
        items: &[T],
        key: impl Fn(&T) -> &str,
        is_key: impl Fn(&str) -> bool,
    ) -> Result<(Vec<T>, Option<String>), ApiError> {
        let start = match &self.marker {
            Some(marker) if !is_key(marker) => {
                return Err(ApiError::validation(format!("Invalid Marker '{marker}'")));
            }
            Some(marker) => items.partition_point(|item| key(item) <= marker.as_str()),
            None => 0,
        };
        let page: Vec<T> = items.iter().skip(start).take(self.size).copied().collect();
        let more = start + page.len() < items.len();
        let next = page.last().filter(|_| more).map(|last| key(last).to_owned());
        Ok((page, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_to_the_whole() {
        let items = ["a", "b", "c", "d", "e"];
        for size in 1..=6 {
            let (mut seen, mut marker) = (Vec::new(), None);
            for _ in 0..items.len() {
                let (page, next) = Page { marker, size }.of(&items, |item| item, |_| true).unwrap();
                seen.extend(page);
                marker = next;
                if marker.is_none() {
                    break;
                }
            }
            assert_eq!(seen, items, "{size}");
        }
    }

    #[test]
    fn a_marker_whose_item_is_gone_still_leads_on() {
        let page = Page { marker: Some("bb".to_owned()), size: 1 };
        assert_eq!(page.of(&["a", "b", "c"], |item| item, |_| true), Ok((vec!["c"], None)));
        assert!(page.of(&["a"], |item| item, |_| false).is_err());
    }
}

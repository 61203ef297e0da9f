//! How large the records of one connection are: small while the other side is likely to wait for each, large once
//! data streams. A receiver can use nothing of a record before its last byte is there.

use std::time::Duration;

use crate::base::Instant;

/// Payload of the first records after silence: three TCP segments of an Ethernet path, well inside the initial
/// congestion window (RFC 6928), at a third of the per-record cost of one-segment records.
const SMALL: usize = 4096;

/// The largest payload of a record (RFC 8446 section 5.1).
pub(super) const LARGE: usize = 16_384;

/// Bytes after which a burst streams: the congestion window has had two or three round trips to open.
const BURST: usize = 65_536;

/// Silence after which a burst begins anew: TCP too shrinks its window after an idle retransmission timeout
/// (RFC 9293 section 3.8.6, RFC 5681 section 4.1).
const SILENCE: Duration = Duration::from_secs(1);

/// The record sizes of one direction of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecordSize {
    sent_in_burst: usize,
    last_sent: Instant,
}

impl RecordSize {
    /// To be called before a write.
    pub(super) fn begin_write(&mut self, now: Instant) {
        if now.since(self.last_sent) >= SILENCE {
            self.sent_in_burst = 0;
        }
        self.last_sent = now;
    }

    /// The most payload the next record may carry.
    pub(super) fn limit(self) -> usize {
        match self.sent_in_burst < BURST {
            true => SMALL,
            false => LARGE,
        }
    }

    /// A record with `payload` bytes was sealed.
    pub(super) fn record_sealed(&mut self, payload: usize) {
        self.sent_in_burst = self.sent_in_burst.saturating_add(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_start_small_grow_and_start_small_again_after_silence() {
        let millisecond = Duration::from_millis(1);
        let mut size = RecordSize::default();
        let mut now = Instant::ZERO + Duration::from_secs(5);
        let mut sealed = 0;
        for _ in 0..100 {
            size.begin_write(now);
            let expected = if sealed < BURST { SMALL } else { LARGE };
            assert_eq!(size.limit(), expected, "after {sealed} bytes");
            sealed += size.limit();
            size.record_sealed(size.limit());
            now = now + millisecond;
        }
        size.begin_write(now + (SILENCE - 2 * millisecond));
        assert_eq!(size.limit(), LARGE);
        size.begin_write(now + 3 * SILENCE);
        assert_eq!(size.limit(), SMALL);
    }
}

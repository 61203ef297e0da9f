//! Tells a client that uses an HTTP/2 connection from one that only makes work.
//!
//! Frames that bring no request nearer to its answer are paid from a credit that answers and time refill (RFC 9113
//! section 10.5; CVE-2019-9512 to 9518, CVE-2023-44487). What the frames say is `h2`'s business; only their headers are
//! read here, on the way in.

use std::time::Duration;

use crate::base::Instant;
use crate::transport::http2_frames::{FrameHeader, Frames, Step, flag, frame_type};

/// The credit at the beginning, and the most that can be saved. A burst of this much costs some milliseconds.
const FULL: u32 = 16_384;

/// What a second is worth: pings and small changes of mind on a quiet connection.
const PER_SECOND: u32 = 200;

/// What an answer that went out whole is worth: a client may give up a request for every two that it lets finish.
const PER_ANSWER: u32 = 64;

/// What a data frame sent is worth: the client opens two windows for it again, and measures its way with a ping.
const PER_DATA_FRAME: u32 = 4;

/// What giving up a request costs: it has been work on both sides.
const RESET_COST: u32 = 128;

/// What a change of settings costs: all windows may have to be counted anew.
const SETTINGS_COST: u32 = 16;

/// The length of what a client says first (RFC 9113 section 3.4).
pub(in crate::transport) const PREFACE_LENGTH: u32 = 24;

/// The client's credit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood;

/// What one connection's client may still waste.
pub struct Credit {
    left: u32,
    refilled_at: Instant,
    frames: Frames,
    block: Block,
}

/// Where in a request's head the stream of frames is.
#[derive(Clone, Copy)]
enum Block {
    /// In none.
    Outside,
    /// In one that began then; the frame at hand is its last or not.
    Inside { since: Instant, is_last: bool },
}

impl Credit {
    /// A new connection's, in front of the preface.
    pub fn new(now: Instant) -> Credit {
        Credit { left: FULL, refilled_at: now, frames: Frames::behind(PREFACE_LENGTH), block: Block::Outside }
    }

    /// Takes note of what arrived next.
    ///
    /// # Errors
    /// When the credit is used up.
    pub fn take(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Flood> {
        while let Some(step) = self.frames.next(&mut bytes) {
            match step {
                Step::Begin(header) => self.begin_frame(header, now)?,
                Step::Payload(_) => {}
                Step::End => self.end_frame(),
            }
        }
        Ok(())
    }

    /// An answer went out whole.
    pub fn note_answer(&mut self) {
        self.earn(PER_ANSWER);
    }

    /// A data frame was sent.
    pub fn note_data(&mut self) {
        self.earn(PER_DATA_FRAME);
    }

    /// Since when a request's head has been under way.
    pub fn head_since(&self) -> Option<Instant> {
        match self.block {
            Block::Outside => None,
            Block::Inside { since, .. } => Some(since),
        }
    }

    fn begin_frame(&mut self, header: FrameHeader, now: Instant) -> Result<(), Flood> {
        let FrameHeader { kind, flags, length, .. } = header;
        let is_last = flags & flag::END_HEADERS != 0;
        match (kind, self.block) {
            (frame_type::HEADERS, Block::Outside) => self.block = Block::Inside { since: now, is_last },
            (frame_type::CONTINUATION, Block::Inside { since, .. }) => self.block = Block::Inside { since, is_last },
            _ => {}
        }
        self.pay(cost(kind, flags, length), now)
    }

    fn end_frame(&mut self) {
        if let Block::Inside { is_last: true, .. } = self.block {
            self.block = Block::Outside;
        }
    }

    fn pay(&mut self, cost: u32, now: Instant) -> Result<(), Flood> {
        if self.left < cost {
            self.refill(now);
        }
        self.left = self.left.checked_sub(cost).ok_or(Flood)?;
        Ok(())
    }

    fn refill(&mut self, now: Instant) {
        let silence = now.since(self.refilled_at).min(Duration::from_secs(3600));
        self.refilled_at = now;
        self.earn((silence.as_millis() * u128::from(PER_SECOND) / 1000) as u32);
    }

    fn earn(&mut self, worth: u32) {
        self.left = FULL.min(self.left.saturating_add(worth));
    }
}

/// What a frame costs. Data and requests are bounded by windows and by the number of streams.
fn cost(kind: u8, flags: u8, length: u32) -> u32 {
    match kind {
        frame_type::HEADERS => 0,
        frame_type::DATA if length > 0 || flags & flag::END_STREAM != 0 => 0,
        frame_type::RST_STREAM => RESET_COST,
        frame_type::SETTINGS => SETTINGS_COST,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn credit() -> Credit {
        let mut credit = Credit::new(at(0));
        credit.take(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", at(0)).unwrap();
        credit
    }

    fn at(milliseconds: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(milliseconds)
    }

    /// How many of `frame` are taken before the credit is used up, or `most`.
    fn taken(credit: &mut Credit, frame: &[u8], most: usize) -> usize {
        (0..most).find(|_| credit.take(frame, at(0)).is_err()).unwrap_or(most)
    }

    #[test]
    fn only_what_brings_nothing_is_paid_for() {
        let most = 4 * FULL as usize;
        for (bytes, expected) in [
            (frame(frame_type::DATA, 0, b"x"), most),
            (frame(frame_type::DATA, flag::END_STREAM, b""), most),
            (frame(frame_type::HEADERS, flag::END_HEADERS, b"abc"), most),
            (frame(frame_type::DATA, 0, b""), FULL as usize),
            (frame(PING, 0, &[0; 8]), FULL as usize),
            (frame(0x77, 0, b"unknown"), FULL as usize),
            (frame(frame_type::SETTINGS, 0, b""), (FULL / SETTINGS_COST) as usize),
            (frame(frame_type::RST_STREAM, 0, &[0; 4]), (FULL / RESET_COST) as usize),
        ] {
            assert_eq!(taken(&mut credit(), &bytes, most), expected, "{:?}", &bytes[..5]);
        }
    }

    #[test]
    fn frames_are_found_however_they_are_split() {
        let stream = [frame(PING, 0, &[0; 8]), frame(frame_type::DATA, 0, &[0; 300]), frame(PING, 0, &[0; 8])].concat();
        for step in 1..stream.len() {
            let mut credit = credit();
            stream.chunks(step).for_each(|piece| credit.take(piece, at(0)).unwrap());
            assert_eq!(credit.left, FULL - 2, "{step}");
        }
    }

    #[test]
    fn answers_and_time_refill() {
        let reset = frame(frame_type::RST_STREAM, 0, &[0; 4]);
        let spent = || Credit { left: 0, ..credit() };
        assert_eq!(spent().take(&reset, at(0)), Err(Flood));
        assert_eq!(spent().take(&reset, at(1000)), Ok(()));
        let mut credit = spent();
        credit.note_answer();
        assert_eq!(Credit { left: credit.left, ..spent() }.take(&reset, at(0)), Err(Flood));
        credit.note_answer();
        assert_eq!(credit.take(&reset, at(0)), Ok(()));
        credit.refill(at(1_000_000_000));
        assert_eq!(credit.left, FULL);
    }

    #[test]
    fn a_head_is_under_way_until_its_last_frame_is_whole() {
        let mut credit = credit();
        let headers = frame(frame_type::HEADERS, 0, b"abc");
        credit.take(&headers, at(1)).unwrap();
        assert_eq!(credit.head_since(), Some(at(1)));
        let last = frame(frame_type::CONTINUATION, flag::END_HEADERS, b"def");
        credit.take(&last[..10], at(2)).unwrap();
        assert_eq!(credit.head_since(), Some(at(1)));
        credit.take(&last[10..], at(3)).unwrap();
        assert_eq!(credit.head_since(), None);
    }
}

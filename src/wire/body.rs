//! Reads a body's framing as its bytes arrive, and tells which of them are data. The bytes stay where they
//! are: nothing is copied but trailers.

use std::ops::Range;

use crate::wire::chunk::ChunkLine;
use crate::wire::fault::BodyFault;
use crate::wire::framing::BodyFraming;
use crate::wire::trailers::Trailers;

/// The state of one body. Reused from message to message by [`BodyDecoder::restart`].
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: State,
    trailers: Trailers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length { remaining: u64 },
    UntilClose,
    ChunkLine(ChunkLine),
    ChunkData { remaining: u64 },
    ChunkCarriageReturn,
    ChunkLineFeed,
    Trailers,
    Ended,
    Failed(BodyFault),
}

/// What one call of [`BodyDecoder::decode`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that belong to this body and are done with.
    pub consumed: usize,
    /// Which of them are data, in one piece; possibly none.
    pub data: Range<usize>,
    /// Whether the body ended: what lies behind `consumed` is the next message.
    pub ended: bool,
}

impl Default for BodyDecoder {
    /// A body that has ended.
    fn default() -> Self {
        Self { state: State::Ended, trailers: Trailers::default() }
    }
}

impl BodyDecoder {
    /// A decoder at the beginning of a body.
    pub fn new(framing: BodyFraming) -> Self {
        let mut decoder = Self::default();
        decoder.restart(framing);
        decoder
    }

    /// Goes to the beginning of another body.
    pub fn restart(&mut self, framing: BodyFraming) {
        self.trailers.clear();
        self.state = match framing {
            BodyFraming::None | BodyFraming::Length(0) => State::Ended,
            BodyFraming::Length(remaining) => State::Length { remaining },
            BodyFraming::Chunked => State::ChunkLine(ChunkLine::default()),
            BodyFraming::UntilClose => State::UntilClose,
        };
    }

    /// Reads on in `input`, which begins behind what the last call consumed. At most one piece of data is
    /// found per call; call again while something was consumed and the body has not ended. Framing in front
    /// of the data and behind it is consumed in the same call as far as it is there.
    ///
    /// A fault is told once the data before it has been, and again by every later call.
    pub fn decode(&mut self, input: &[u8]) -> Result<Decoded, BodyFault> {
        let mut decoded = Decoded::default();
        if let Err(fault) = self.read(input, &mut decoded) {
            self.state = State::Failed(fault);
            if decoded.data.is_empty() {
                return Err(fault);
            }
        }
        decoded.ended = self.is_ended();
        Ok(decoded)
    }

    /// How many bytes of data follow for certain and without framing between them, when the length of the
    /// whole body is known: they may be moved without being looked at, and [`BodyDecoder::advance`] told.
    pub fn remaining_known(&self) -> Option<u64> {
        match self.state {
            State::Length { remaining } => Some(remaining),
            State::Ended => Some(0),
            _ => None,
        }
    }

    /// Counts `length` bytes of data that were moved past the decoder, at most
    /// [`BodyDecoder::remaining_known`].
    pub fn advance(&mut self, length: u64) {
        if let State::Length { remaining } = &mut self.state {
            debug_assert!(length <= *remaining, "moved more than the body has");
            *remaining = remaining.saturating_sub(length);
            if *remaining == 0 {
                self.state = State::Ended;
            }
        }
    }

    /// Whether the body has ended.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// The sender closed: the end of a body that lasts until then, a fault in any other unfinished one.
    pub fn handle_close(&mut self) -> Result<(), BodyFault> {
        match self.state {
            State::UntilClose | State::Ended => {
                self.state = State::Ended;
                Ok(())
            }
            State::Failed(fault) => Err(fault),
            _ => Err(BodyFault::Truncated),
        }
    }

    /// The trailers of a chunked body that has ended.
    pub fn trailers(&self) -> &Trailers {
        &self.trailers
    }

    fn read(&mut self, input: &[u8], decoded: &mut Decoded) -> Result<(), BodyFault> {
        while self.state != State::Ended {
            if let State::Failed(fault) = self.state {
                return Err(fault);
            }
            let rest = input.get(decoded.consumed..).unwrap_or_default();
            let Some(&next) = rest.first() else {
                break;
            };
            decoded.consumed += match &mut self.state {
                State::Length { .. } | State::UntilClose | State::ChunkData { .. } => {
                    if !decoded.data.is_empty() {
                        break;
                    }
                    let length = self.take_data(rest.len());
                    decoded.data = decoded.consumed..decoded.consumed + length;
                    length
                }
                State::ChunkLine(line) => {
                    match line.take(next)? {
                        None => {}
                        Some(0) => self.state = State::Trailers,
                        Some(remaining) => self.state = State::ChunkData { remaining },
                    }
                    1
                }
                State::ChunkCarriageReturn if next == b'\r' => {
                    self.state = State::ChunkLineFeed;
                    1
                }
                State::ChunkLineFeed if next == b'\n' => {
                    self.state = State::ChunkLine(ChunkLine::default());
                    1
                }
                State::ChunkCarriageReturn | State::ChunkLineFeed => {
                    return Err(BodyFault::ChunkEnd);
                }
                State::Trailers => {
                    let (length, last) = self.trailers.take(rest)?;
                    if last {
                        self.state = State::Ended;
                    }
                    length
                }
                State::Ended | State::Failed(_) => break,
            };
        }
        Ok(())
    }

    /// Takes up to `available` bytes of data; returns how many.
    fn take_data(&mut self, available: usize) -> usize {
        let (remaining, then) = match &mut self.state {
            State::Length { remaining } => (remaining, State::Ended),
            State::ChunkData { remaining } => (remaining, State::ChunkCarriageReturn),
            _ => return available,
        };
        let length = usize::try_from(*remaining).unwrap_or(usize::MAX).min(available);
        *remaining -= length as u64;
        if *remaining == 0 {
            self.state = then;
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data, bytes consumed and whether the body ended, of `input` given in pieces of `step` bytes.
    fn run(framing: BodyFraming, input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), BodyFault> {
        let mut decoder = BodyDecoder::new(framing);
        let mut data = Vec::new();
        let (mut at, mut end) = (0, 0);
        loop {
            let decoded = decoder.decode(&input[at..end])?;
            data.extend_from_slice(&input[at..end][decoded.data]);
            at += decoded.consumed;
            if decoded.ended || (decoded.consumed == 0 && end == input.len()) {
                return Ok((data, at, decoded.ended));
            }
            if at == end {
                end = input.len().min(end + step);
            }
        }
    }

    #[test]
    fn every_split_reads_the_same() {
        let chunked = b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET";
        for step in 1..chunked.len() {
            let result = run(BodyFraming::Chunked, chunked, step);
            assert_eq!(result, Ok((b"hello world".to_vec(), chunked.len() - 3, true)), "{step}");
            let result = run(BodyFraming::Length(5), b"helloGET", step);
            assert_eq!(result, Ok((b"hello".to_vec(), 5, true)), "{step}");
        }
    }

    #[test]
    fn a_small_chunked_body_is_read_in_one_call() {
        let input = b"5\r\nhello\r\n0\r\n\r\n";
        let decoded = BodyDecoder::new(BodyFraming::Chunked).decode(input);
        assert_eq!(decoded, Ok(Decoded { consumed: input.len(), data: 3..8, ended: true }));
    }

    #[test]
    fn data_before_a_fault_is_not_lost_and_the_fault_stays() {
        let mut decoder = BodyDecoder::new(BodyFraming::Chunked);
        let input = b"5\r\nhello\r\n!";
        assert_eq!(decoder.decode(input).unwrap().data, 3..8);
        assert_eq!(decoder.decode(b"!"), Err(BodyFault::ChunkSize));
        assert_eq!(decoder.decode(b""), Err(BodyFault::ChunkSize));
        assert_eq!(decoder.handle_close(), Err(BodyFault::ChunkSize));
    }

    #[test]
    fn chunk_data_must_end_where_it_said() {
        for bad in ["5\r\nhelloX\n", "5\r\nhello\n0\r\n", "5\r\nhello\rX", "5\r\nhello world\r\n"] {
            assert_eq!(run(BodyFraming::Chunked, bad.as_bytes(), 64), Err(BodyFault::ChunkEnd), "{bad:?}");
        }
    }

    #[test]
    fn only_a_body_until_close_may_end_by_close() {
        assert_eq!(BodyDecoder::new(BodyFraming::UntilClose).handle_close(), Ok(()));
        assert_eq!(BodyDecoder::new(BodyFraming::None).handle_close(), Ok(()));
        for framing in [BodyFraming::Length(1), BodyFraming::Chunked] {
            assert_eq!(BodyDecoder::new(framing).handle_close(), Err(BodyFault::Truncated));
        }
        let mut decoder = BodyDecoder::new(BodyFraming::Chunked);
        assert!(!decoder.decode(b"0\r\n").unwrap().ended);
        assert_eq!(decoder.handle_close(), Err(BodyFault::Truncated));
    }

    #[test]
    fn data_may_be_moved_past_the_decoder() {
        let mut decoder = BodyDecoder::new(BodyFraming::Length(100));
        assert_eq!(decoder.decode(&[0; 30]).unwrap().data, 0..30);
        assert_eq!(decoder.remaining_known(), Some(70));
        decoder.advance(69);
        assert!(!decoder.is_ended());
        decoder.advance(1);
        assert!(decoder.is_ended());
        assert_eq!(BodyDecoder::new(BodyFraming::Chunked).remaining_known(), None);
        assert_eq!(BodyDecoder::new(BodyFraming::UntilClose).remaining_known(), None);
    }
}

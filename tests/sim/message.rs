//! HTTP/1 messages as a client or back end of the simulation reads and writes them: strictly, and at its own pace.

use std::io;
use std::time::Duration;

use elbow::base::random::Random;
use elbow::runtime::Io;

use crate::flows::timely;
use crate::line::Line;
use crate::pattern::Pattern;

/// Why a message could not be read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The stream ended inside it.
    Ended,
    /// The connection broke, or nothing came for too long.
    Broken(io::ErrorKind),
    /// It is not HTTP.
    Malformed(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Broken(error.kind())
    }
}

/// Pieces of one message, more or less.
const PIECES: u64 = 200;

/// How fast a peer talks and listens.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Most bytes of one send.
    pub piece: u64,
    /// One pause in so many sends or receives; 0 for none.
    pub pauses: u64,
    /// Most length of a pause.
    pub pause: Duration,
}

impl Pace {
    /// As fast as it goes.
    pub const BRISK: Pace = Pace { piece: 1 << 20, pauses: 0, pause: Duration::ZERO };

    /// Brisk in half of all cases; never so slow that a message of a few kilobytes takes a second.
    pub fn drawn(random: &mut Random) -> Pace {
        match random.chance(1, 2) {
            true => Pace::BRISK,
            false => Pace {
                piece: 1 << random.below(16),
                pauses: 1 << (2 + random.below(8)),
                pause: Duration::from_micros(1 << random.below(14)),
            },
        }
    }

    /// Pauses, if it is time to.
    pub async fn pause(&self, io: &Io, random: &mut Random) {
        if self.pauses > 0 && random.chance(1, self.pauses) {
            io.sleep(Duration::from_micros(random.below(self.pause.as_micros() as u64 + 1))).await;
        }
    }
}

/// The sending half of a peer: what is said is kept until it is flushed.
pub struct Talker {
    line: Line,
    pace: Pace,
    random: Random,
    unsent: Vec<u8>,
}

impl Talker {
    /// A talker on `line`.
    pub fn new(line: Line, pace: Pace, seed: u64) -> Talker {
        Talker { line, pace, random: Random::new(seed), unsent: Vec::new() }
    }

    /// The talker's chance.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Adds bytes to what will be sent.
    pub fn say(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// Sends everything said so far, in pieces.
    pub async fn flush(&mut self) -> io::Result<()> {
        let unsent = std::mem::take(&mut self.unsent);
        let mut rest = unsent.as_slice();
        // Whoever dribbles does not do so for ever.
        let piece = self.pace.piece.max(rest.len() as u64 / PIECES);
        while !rest.is_empty() {
            let most = (1 + self.random.below(piece)) as usize;
            let (piece, later) = rest.split_at(most.min(rest.len()));
            timely(self.line.socket().io(), self.line.send(piece.to_vec())).await?;
            rest = later;
            self.pace.pause(self.line.socket().io(), &mut self.random).await;
        }
        Ok(())
    }
}

/// The receiving half of a peer.
pub struct Hearer {
    line: Line,
    pace: Pace,
    random: Random,
    heard: Vec<u8>,
    ended: bool,
}

/// The first lines of a message.
#[derive(Clone, Debug)]
pub struct Head {
    /// The request or status line.
    pub line: String,
    fields: Vec<(String, String)>,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// By chunks.
    Chunked,
    /// By the end of the stream.
    UntilEnd,
}

/// What has come of a body.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// Bytes.
    pub length: u64,
    /// Whether one of them was wrong.
    pub wrong: bool,
    /// Its trailers.
    pub trailers: Vec<(String, String)>,
}

impl Head {
    /// A head whose field names are in lower case.
    pub fn new(line: String, fields: Vec<(String, String)>) -> Head {
        Head { line, fields }
    }

    /// Adds a field.
    pub fn add(&mut self, name: &str, value: &str) {
        self.fields.push((name.to_owned(), value.to_owned()));
    }

    /// The value of the only field of this name, in lower case.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut found = self.all(name);
        let value = found.next()?;
        found.next().is_none().then_some(value)
    }

    /// All values of the fields of this name, in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The framing that the fields give; `otherwise` when they give none.
    pub fn framing(&self, otherwise: Framing) -> Result<Framing, Trouble> {
        let lengths: Vec<&str> = self.all("content-length").collect();
        let codings: Vec<&str> = self.all("transfer-encoding").collect();
        match (lengths.as_slice(), codings.as_slice()) {
            ([], []) => Ok(otherwise),
            ([], ["chunked"]) => Ok(Framing::Chunked),
            ([length], []) => length.parse().map(Framing::Length).map_err(|_| malformed("length", length)),
            _ => Err(malformed("framing", &format!("{lengths:?} and {codings:?}"))),
        }
    }
}

impl Hearer {
    /// A hearer on `line`.
    pub fn new(line: Line, pace: Pace, seed: u64) -> Hearer {
        Hearer { line, pace, random: Random::new(seed), heard: Vec::new(), ended: false }
    }

    /// The next head; `None` when the stream ends before its first byte.
    pub async fn head(&mut self) -> Result<Option<Head>, Trouble> {
        loop {
            if let Some(end) = find(&self.heard, b"\r\n\r\n") {
                let head: Vec<u8> = self.heard.drain(..end + 4).collect();
                return parse(&head[..end]).map(Some);
            }
            if !self.hear().await? {
                return if self.heard.is_empty() { Ok(None) } else { Err(Trouble::Ended) };
            }
        }
    }

    /// A body, compared with `pattern`. What had come by then is in `body` even when it could not be read to its end.
    pub async fn body(&mut self, framing: Framing, pattern: Pattern, body: &mut Body) -> Result<(), Trouble> {
        match framing {
            Framing::None => Ok(()),
            Framing::Length(length) => self.bytes(length, pattern, body).await,
            Framing::UntilEnd => {
                while self.hear_some().await? {
                    self.take(u64::MAX, pattern, body);
                }
                Ok(())
            }
            Framing::Chunked => self.chunks(pattern, body).await,
        }
    }

    /// The next `count` bytes.
    pub async fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Trouble> {
        while self.heard.len() < count {
            if !self.hear().await? {
                return Err(Trouble::Ended);
            }
        }
        Ok(self.heard.drain(..count).collect())
    }

    /// Bytes that come before the stream ends: there should be none.
    pub async fn rest(&mut self) -> Result<Vec<u8>, Trouble> {
        while self.hear().await? {}
        Ok(std::mem::take(&mut self.heard))
    }

    /// Waits for as long as completions may be late.
    pub async fn settle(&self) {
        self.line.socket().io().sleep(Duration::from_secs(1)).await;
    }

    /// What has been heard and belongs to no message yet.
    pub fn unread(&self) -> &[u8] {
        &self.heard
    }

    async fn bytes(&mut self, length: u64, pattern: Pattern, body: &mut Body) -> Result<(), Trouble> {
        let end = body.length + length;
        while body.length < end {
            if !self.hear_some().await? {
                return Err(Trouble::Ended);
            }
            self.take(end - body.length, pattern, body);
        }
        Ok(())
    }

    async fn chunks(&mut self, pattern: Pattern, body: &mut Body) -> Result<(), Trouble> {
        loop {
            let line = self.line().await?;
            let length = u64::from_str_radix(&line, 16).map_err(|_| malformed("chunk", &line))?;
            if length == 0 {
                break;
            }
            self.bytes(length, pattern, body).await?;
            let end = self.line().await?;
            if !end.is_empty() {
                return Err(malformed("chunk end", &end));
            }
        }
        loop {
            match self.line().await?.as_str() {
                "" => return Ok(()),
                line => body.trailers.push(field(line)?),
            }
        }
    }

    async fn line(&mut self) -> Result<String, Trouble> {
        loop {
            if let Some(end) = find(&self.heard, b"\r\n") {
                let line: Vec<u8> = self.heard.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !self.hear().await? {
                return Err(Trouble::Ended);
            }
        }
    }

    fn take(&mut self, most: u64, pattern: Pattern, body: &mut Body) {
        let count = most.min(self.heard.len() as u64);
        body.wrong |= !pattern.matches(body.length, &self.heard[..count as usize]);
        self.heard.drain(..count as usize);
        body.length += count;
    }

    async fn hear_some(&mut self) -> Result<bool, Trouble> {
        Ok(!self.heard.is_empty() || self.hear().await?)
    }

    /// Hears more; false at the end of the stream.
    async fn hear(&mut self) -> Result<bool, Trouble> {
        if !self.ended {
            self.pace.pause(self.line.socket().io(), &mut self.random).await;
            let receiving = self.line.receive(&mut self.heard);
            self.ended = !timely(self.line.socket().io(), receiving).await?;
        }
        Ok(!self.ended)
    }
}

fn parse(head: &[u8]) -> Result<Head, Trouble> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    Ok(Head { line, fields: lines.map(field).collect::<Result<_, _>>()? })
}

fn field(line: &str) -> Result<(String, String), Trouble> {
    match line.split_once(':') {
        Some((name, value)) if !name.is_empty() && !name.contains(char::is_whitespace) => {
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err(malformed("field", line)),
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn malformed(what: &str, text: &str) -> Trouble {
    Trouble::Malformed(format!("{what}: {text:?}"))
}

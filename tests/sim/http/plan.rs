//! What a request is and how it will be answered: all of it follows from the request's number and the run's seed.

use std::time::Duration;

use elbow::base::random::Random;

use crate::pattern::Pattern;

/// The host that every request names.
pub const HOST: &str = "shop.example";

/// Bodies of this size (as a power of two) move by splice.
const BULK: u64 = 18;

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Counts the requests of a run.
    pub number: u64,
    /// As in the request line.
    pub method: &'static str,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// What the request carries.
    pub body: Content,
    /// The client waits for a 100 before it sends the body.
    pub expects: bool,
    /// The client says that it is its last.
    pub closes: bool,
    /// The client has been behind another proxy.
    pub forwarded: bool,
    /// How long the client waits before it.
    pub idle: Duration,
    /// What the back end answers.
    pub answer: Answer,
}

/// The version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// A body: how many bytes and how they are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    None,
    Sized(u64),
    Chunked(u64),
    /// Answers only: the end of the connection is the end of the body.
    UntilEnd(u64),
}

/// How a back end answers.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Interim answers before it.
    pub interim: Vec<u16>,
    pub body: Content,
    pub trailer: bool,
    /// It comes before the request's body is read.
    pub early: bool,
    pub parting: Parting,
    /// How long the back end thinks.
    pub delay: Duration,
    pub failing: Option<Failing>,
}

/// What a back end does with its connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    Keep,
    /// It says that it will close, and does.
    Close,
    /// It closes without a word.
    CloseSilently,
}

/// How a back end fails a request.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    pub how: Failure,
    /// Only the first time it gets the request.
    pub once: bool,
}

/// The ways to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It closes or resets after so many bytes of the request's body, without an answer.
    Leave { after: u64, reset: bool },
    /// It closes after so many bytes of its answer.
    Close(u64),
    /// It resets after so many bytes of its answer.
    Reset(u64),
    /// It never answers.
    Hang,
    /// It answers with something else than HTTP.
    Garbage,
    /// It breaks the framing of its answer's body; where that cannot be told, it resets.
    BadFraming,
}

/// Which kinds of traffic a run has.
#[derive(Clone, Debug)]
pub struct Kinds {
    /// Back ends fail one request in so many; 0 for none.
    pub failing: u64,
    /// Back ends close kept connections without a word after one answer in so many; 0 for none.
    pub closing: u64,
    /// Bodies are shorter than two to this power, and mostly by far.
    pub size: u64,
    /// Requests have bodies.
    pub uploads: bool,
    /// Clients wait, at times for longer than the idle timeout.
    pub idle: bool,
    /// Early and interim answers, HTTP/1.0, Expect and the like.
    pub unusual: bool,
}

impl Kinds {
    /// A random subset; `troubled` lets back ends fail.
    pub fn drawn(random: &mut Random, troubled: bool) -> Kinds {
        let one_in = |random: &mut Random, bits| if random.chance(1, 2) { 1 << random.below(bits) } else { 0 };
        Kinds {
            failing: if troubled { one_in(random, 6) } else { 0 },
            closing: if troubled { one_in(random, 6) } else { 0 },
            size: if random.chance(1, 4) { BULK } else { 1 + random.below(14) },
            uploads: random.chance(2, 3),
            idle: random.chance(1, 4),
            unusual: random.chance(2, 3),
        }
    }
}

impl Content {
    /// Number of bytes.
    pub fn length(self) -> u64 {
        match self {
            Content::None => 0,
            Content::Sized(length) | Content::Chunked(length) | Content::UntilEnd(length) => length,
        }
    }

    /// The header field that frames it.
    pub fn field(self) -> String {
        match self {
            Content::None | Content::UntilEnd(_) => String::new(),
            Content::Sized(length) => format!("Content-Length: {length}\r\n"),
            Content::Chunked(_) => "Transfer-Encoding: chunked\r\n".to_owned(),
        }
    }

    /// The bytes of `pattern` as they are sent, in chunks of random sizes where it is chunked.
    pub fn encode(self, pattern: Pattern, trailer: bool, random: &mut Random) -> Vec<u8> {
        let Content::Chunked(length) = self else { return pattern.bytes(0, self.length()) };
        let (mut bytes, mut offset) = (Vec::new(), 0);
        while offset < length {
            let most = 1 << random.below(16);
            let end = length.min(offset + 1 + random.below(most));
            bytes.extend_from_slice(format!("{:x}\r\n", end - offset).as_bytes());
            bytes.extend_from_slice(&pattern.bytes(offset, end));
            bytes.extend_from_slice(b"\r\n");
            offset = end;
        }
        bytes.extend_from_slice(if trailer { b"0\r\nX-Sum: 1\r\n\r\n" } else { b"0\r\n\r\n" });
        bytes
    }

    fn drawn(random: &mut Random, size: u64) -> Content {
        let reach = if size == BULK && random.chance(1, 2) { 1 << BULK } else { 1 << random.below(size) };
        let length = random.below(reach);
        if random.chance(1, 2) { Content::Sized(length) } else { Content::Chunked(length) }
    }
}

impl Plan {
    /// Draws a request.
    pub fn drawn(number: u64, kinds: &Kinds, random: &mut Random) -> Plan {
        const WITHOUT_BODY: [&str; 4] = ["GET", "GET", "HEAD", "OPTIONS"];
        const WITH_BODY: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];
        let uploads = kinds.uploads && random.chance(1, 2);
        let methods = if uploads { WITH_BODY } else { WITHOUT_BODY };
        let method = methods[random.below(4) as usize];
        let old = kinds.unusual && random.chance(1, 8);
        let body = match uploads {
            true if old => Content::Sized(Content::drawn(random, kinds.size).length()),
            true => Content::drawn(random, kinds.size),
            false => Content::None,
        };
        let idle = match kinds.idle && random.chance(1, 4) {
            true => Duration::from_millis(random.below(90_000)),
            false => Duration::ZERO,
        };
        Plan {
            number,
            method,
            version: if old { Version::Http10 } else { Version::Http11 },
            body,
            expects: kinds.unusual && !old && body != Content::None && random.chance(1, 3),
            closes: random.chance(1, 16),
            forwarded: random.chance(1, 8),
            idle,
            answer: Answer::drawn(method, body, kinds, random),
        }
    }

    /// What its body consists of.
    pub fn pattern(&self) -> Pattern {
        Pattern(2 * self.number)
    }

    /// What the body of its answer consists of.
    pub fn answer_pattern(&self) -> Pattern {
        Pattern(2 * self.number + 1)
    }

    /// Whether a back end may see it more than once (RFC 9110 section 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        !matches!(self.method, "POST" | "PATCH")
    }

    /// Whether its body has a trailer.
    pub fn has_trailer(&self) -> bool {
        matches!(self.body, Content::Chunked(_)) && self.number.is_multiple_of(3)
    }

    /// Without what HTTP/2 has no word for.
    pub fn for_stream(self) -> Plan {
        Plan { version: Version::Http11, closes: false, ..self }
    }

    /// Its head as the client sends it, with another field line.
    pub fn head(&self, line: &str) -> String {
        let version = match self.version {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        };
        let mut head = format!("{} /r/{} {version}\r\nHost: {HOST}\r\n", self.method, self.number);
        head.push_str(&self.body.field());
        head.push_str(line);
        let optional = [
            (self.expects, "Expect: 100-continue\r\n"),
            (self.forwarded, "X-Forwarded-For: 192.0.2.7\r\n"),
            (self.closes, "Connection: close, X-Hop\r\nX-Hop: 1\r\n"),
            (!self.closes && self.version == Version::Http10, "Connection: keep-alive\r\n"),
        ];
        optional.iter().filter(|(wanted, _)| *wanted).for_each(|(_, line)| head.push_str(line));
        head.push_str("\r\n");
        head
    }

    /// Whether its answer has no body whatever its head says (RFC 9112 section 6.3).
    pub fn is_answered_without_body(&self) -> bool {
        self.method == "HEAD" || matches!(self.answer.status, 204 | 304)
    }
}

impl Answer {
    fn drawn(method: &str, request: Content, kinds: &Kinds, random: &mut Random) -> Answer {
        const STATUSES: [u16; 8] = [200, 200, 200, 201, 204, 304, 404, 500];
        let status = STATUSES[random.below(8) as usize];
        let until_end = random.chance(1, 16);
        let body = match Content::drawn(random, kinds.size) {
            _ if matches!(status, 204 | 304) => Content::None,
            body if until_end && method != "HEAD" => Content::UntilEnd(body.length()),
            body => body,
        };
        let parting = match random.below(16) {
            _ if matches!(body, Content::UntilEnd(_)) => Parting::Close,
            0 => Parting::Close,
            _ if kinds.closing > 0 && random.chance(1, kinds.closing) => Parting::CloseSilently,
            _ => Parting::Keep,
        };
        let interim = match kinds.unusual && random.chance(1, 8) {
            true => vec![[100, 102, 103][random.below(3) as usize]; 1 + random.below(2) as usize],
            false => Vec::new(),
        };
        let delay = match random.chance(1, 4) {
            true => Duration::from_micros(1 << random.below(20)),
            false => Duration::ZERO,
        };
        let failing = kinds.failing > 0 && random.chance(1, kinds.failing);
        Answer {
            status,
            interim,
            body,
            trailer: matches!(body, Content::Chunked(_)) && random.chance(1, 4),
            early: kinds.unusual && random.chance(1, 8),
            parting,
            delay,
            failing: failing.then(|| Failing::drawn(body, request, random)),
        }
    }

    /// Its head as the back end sends it.
    pub fn head(&self, number: u64) -> String {
        let closes = if self.parting == Parting::Close { "Connection: close\r\n" } else { "" };
        let framing = match self.body {
            Content::None if !matches!(self.status, 204 | 304) => "Content-Length: 0\r\n".to_owned(),
            body => body.field(),
        };
        format!("HTTP/1.1 {} Said\r\nX-Answer: {number}\r\n{framing}{closes}\r\n", self.status)
    }
}

impl Failing {
    fn drawn(body: Content, request: Content, random: &mut Random) -> Failing {
        let reach = 1 << random.below(BULK);
        let after = if random.chance(1, 2) { 0 } else { random.below(reach) };
        let leaves = request.length() > 0 && random.chance(1, 2);
        let how = match random.below(7) {
            _ if leaves => Failure::Leave { after: after.min(request.length() - 1), reset: random.chance(1, 2) },
            // A body that ends with its connection cannot be seen to have ended early.
            0 | 1 if !matches!(body, Content::UntilEnd(_)) || after == 0 => Failure::Close(after),
            0..=3 => Failure::Reset(after),
            4 => Failure::Hang,
            5 => Failure::BadFraming,
            _ => Failure::Garbage,
        };
        Failing { how, once: random.chance(1, 2) }
    }
}

//! One remembered request: as it is recorded, as words, and as a text for people.

use crate::model::{Keyword, Reason};
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime};

/// 64-bit words of a record.
pub(super) const WORDS: usize = 40;

/// A record as it stands in a ring.
pub(super) type Words = [u64; WORDS];

/// The longest id: room for a UUID. Ours take 24 bytes.
const ID_BYTES: usize = 39;

/// Instances that are remembered of one request: as many as it can be tried on.
const ATTEMPTS: usize = 4;

/// Bytes of an attempt in a record: address and port, how it ended, how long it took.
const ATTEMPT_BYTES: usize = 16 + 2 + 2 + 4;

/// What a request is asked after by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    length: u8,
    bytes: [u8; ID_BYTES],
}

/// No id: of no characters.
impl Default for RequestId {
    fn default() -> Self {
        Self { length: 0, bytes: [0; ID_BYTES] }
    }
}

/// What is remembered of a request.
#[derive(Clone, Copy, Debug)]
pub struct FlightRecord<'a> {
    /// Its id.
    pub id: RequestId,
    /// When its first byte arrived.
    pub began: SystemTime,
    /// Who sent it.
    pub client: SocketAddr,
    /// The load balancer.
    pub load_balancer: &'a str,
    /// The port it came to.
    pub listener_port: u16,
    /// Its method; empty when the head could not be read; of a connection, what it speaks.
    pub method: &'a [u8],
    /// Its path; a connection has none.
    pub path: &'a [u8],
    /// The status that the client got; 0: none.
    pub status: u16,
    /// The status that the instance gave; 0: none.
    pub backend_status: u16,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// How long each part took.
    pub phases: FlightPhases,
    /// The instances it was tried on, in order.
    pub attempts: &'a [FlightAttempt],
    /// Bytes of its body.
    pub received_bytes: u64,
    /// Bytes of the answer's body.
    pub sent_bytes: u64,
}

/// How long the parts of a request took, as far as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlightPhases {
    /// Until an instance was found, waiting in the surge queue included: from the first byte.
    pub queue: Option<Duration>,
    /// Until there was a connection to it, TLS included.
    pub connect: Option<Duration>,
    /// Until the request was sent.
    pub send: Option<Duration>,
    /// Until the answer began.
    pub first_byte: Option<Duration>,
    /// Until it was over.
    pub rest: Option<Duration>,
}

/// One instance that a request was tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlightAttempt {
    /// Where it is.
    pub instance: SocketAddr,
    /// Whether a kept connection was used.
    pub kept: bool,
    /// How it failed; `None`: it answered, or was still at it in the end.
    pub failed: Option<Reason>,
    /// How long it was tried.
    pub took: Duration,
}

impl RequestId {
    /// An id of our own: 24 hexadecimal digits.
    pub fn numbered(seed: u64, core: u64, number: u64) -> RequestId {
        let mut id = RequestId { length: 24, ..RequestId::default() };
        // Cores count apart from each other.
        let words = [(seed ^ core.rotate_right(8), 16), (number & 0xffff_ffff, 8)];
        let mut digits = id.bytes.iter_mut();
        for (word, count) in words {
            for (shift, digit) in (0..count).rev().map(|place| place * 4).zip(digits.by_ref()) {
                *digit = b"0123456789abcdef"[(word >> shift & 0xf) as usize];
            }
        }
        id
    }

    /// The id that a client gives; `None` when it is too long to be one, or not made of letters, digits and `-_.:=+/`.
    pub fn given(value: &[u8]) -> Option<RequestId> {
        let is_good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=+/".contains(byte);
        let mut id = RequestId { length: value.len().try_into().ok()?, ..RequestId::default() };
        id.bytes.get_mut(..value.len())?.copy_from_slice(value);
        (!value.is_empty() && value.iter().all(is_good)).then_some(id)
    }

    /// Its characters.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// How it begins a record.
    pub(super) fn words(&self) -> [u64; 5] {
        let mut bytes = [self.length; ID_BYTES + 1];
        bytes[1..].copy_from_slice(&self.bytes);
        std::array::from_fn(|index| word(&bytes, index))
    }
}

impl FlightRecord<'_> {
    pub(super) fn words(&self) -> Words {
        let mut bytes = Writer { bytes: [0; WORDS * 8], at: 0 };
        self.id.words().iter().for_each(|word| bytes.put(word.to_le_bytes()));
        let began = self.began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        bytes.put((began.as_micros() as u64).to_le_bytes());
        bytes.put(self.received_bytes.to_le_bytes());
        bytes.put(self.sent_bytes.to_le_bytes());
        bytes.put_address(self.client);
        for number in [self.listener_port, self.status, self.backend_status, reason_number(self.reason)] {
            bytes.put(number.to_le_bytes());
        }
        let FlightPhases { queue, connect, send, first_byte, rest } = self.phases;
        for time in [queue, connect, send, first_byte, rest] {
            bytes.put(time.map_or(u32::MAX, microseconds).to_le_bytes());
        }
        for index in 0..ATTEMPTS {
            match self.attempts.get(index) {
                Some(attempt) => {
                    bytes.put_address(attempt.instance);
                    bytes.put((reason_number(attempt.failed) << 1 | u16::from(attempt.kept)).to_le_bytes());
                    bytes.put(microseconds(attempt.took).to_le_bytes());
                }
                None => bytes.at += ATTEMPT_BYTES,
            }
        }
        for text in [self.load_balancer.as_bytes(), b" ", self.method, b" ", self.path] {
            bytes.put_text(text);
        }
        std::array::from_fn(|index| word(&bytes.bytes, index))
    }
}

/// Whose record it is.
pub(super) fn client_of(words: &Words) -> SocketAddr {
    // Behind the id, the time and two counts.
    Reader { words, at: ID_BYTES + 1 + 3 * 8 }.address()
}

/// The record as lines for people.
pub(super) fn explain(words: &Words) -> String {
    let mut reader = Reader { words, at: 0 };
    let length = reader.number(1);
    let id: Vec<u8> = (0..ID_BYTES).map(|_| reader.number(1) as u8).take(ID_BYTES).collect();
    let id = String::from_utf8_lossy(id.get(..length as usize).unwrap_or_default()).into_owned();
    let began = jiff::Timestamp::from_microsecond(reader.number(8) as i64).unwrap_or_default();
    let (received, sent) = (reader.number(8), reader.number(8));
    let client = reader.address();
    let (port, status, backend_status) = (reader.number(2), reader.number(2), reader.number(2));
    let reason = reason_named(reader.number(2));
    let phases: Vec<u64> = (0..5).map(|_| reader.number(4)).collect();
    let attempts: Vec<_> = (0..ATTEMPTS).map(|_| (reader.address(), reader.number(2), reader.number(4))).collect();
    let text = reader.rest();
    let (balancer, request) = text.split_once(' ').unwrap_or((&text, ""));

    // Writing to a string cannot fail.
    let mut out = String::new();
    let connection = request.strip_suffix(' ').filter(|protocol| !protocol.is_empty());
    let _ = writeln!(out, "{} {id}", if connection.is_some() { "connection" } else { "request" });
    let _ = writeln!(out, "  {began:.6}  from {client} to {balancer}, port {port}");
    let asked = if request.trim().is_empty() { "(its head could not be read)" } else { request };
    let _ = writeln!(out, "  {asked}");
    let answered = match (connection, status, backend_status) {
        (Some(_), ..) if reason.is_some() => "failed".to_owned(),
        (Some(_), ..) => "carried to its end".to_owned(),
        (None, 0, _) => "not answered".to_owned(),
        (None, status, 0) => format!("answered {status} by the balancer"),
        (None, status, _) => format!("answered {status} by the instance"),
    };
    let why = reason.map(|reason| format!(": {}", reason.as_str())).unwrap_or_default();
    let body = if connection.is_some() { "" } else { "body " };
    let _ = writeln!(out, "  {answered}{why}; {body}{received} bytes in, {sent} bytes out");
    for (instance, outcome, took) in attempts.iter().filter(|(instance, ..)| instance.port() != 0) {
        let connection = if outcome & 1 == 1 { "kept connection" } else { "new connection" };
        let failed = reason_named(outcome >> 1).map_or("", Keyword::as_str);
        let _ = writeln!(out, "  tried {instance}, {connection}, {} {failed}", milliseconds(*took));
    }
    let names = ["found an instance", "connected", "sent", "first byte", "the rest"];
    for (name, time) in names.iter().zip(&phases).filter(|(_, time)| **time != u64::from(u32::MAX)) {
        let _ = writeln!(out, "  {:>14} {name}", milliseconds(*time));
    }
    out
}

/// Puts a record together; what does not fit is cut off.
struct Writer {
    bytes: [u8; WORDS * 8],
    at: usize,
}

impl Writer {
    /// Of a length that is known beforehand: a store and not a call.
    fn put<const LENGTH: usize>(&mut self, bytes: [u8; LENGTH]) {
        if let Some(place) = self.bytes.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut()) {
            *place = bytes;
        }
        self.at += LENGTH;
    }

    fn put_text(&mut self, bytes: &[u8]) {
        let length = bytes.len().min(self.bytes.len() - self.at);
        if let (Some(place), Some(bytes)) = (self.bytes.get_mut(self.at..self.at + length), bytes.get(..length)) {
            place.copy_from_slice(bytes);
        }
        self.at += length;
    }

    fn put_address(&mut self, address: SocketAddr) {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        self.put(ip.octets());
        self.put(address.port().to_le_bytes());
    }
}

/// Takes a record apart.
struct Reader<'a> {
    words: &'a Words,
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let word = self.words.get(self.at / 8).copied().unwrap_or_default();
        let byte = (word >> (self.at % 8 * 8)) as u8;
        self.at += 1;
        byte
    }

    /// A number of so many bytes.
    fn number(&mut self, bytes: u32) -> u64 {
        (0..bytes).fold(0, |number, place| number | u64::from(self.byte()) << (place * 8))
    }

    fn address(&mut self) -> SocketAddr {
        let ip = Ipv6Addr::from(std::array::from_fn(|_| self.byte()));
        SocketAddr::new(IpAddr::V6(ip).to_canonical(), self.number(2) as u16)
    }

    fn rest(&mut self) -> String {
        let bytes: Vec<u8> = (self.at..WORDS * 8).map(|_| self.byte()).take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).escape_debug().to_string()
    }
}

fn word(bytes: &[u8], index: usize) -> u64 {
    let bytes = bytes.get(index * 8..).and_then(|rest| rest.first_chunk());
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn microseconds(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX - 1)
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
}

/// 0: none.
fn reason_number(reason: Option<Reason>) -> u16 {
    reason.map_or(0, |reason| reason as u16 + 1)
}

fn reason_named(number: u64) -> Option<Reason> {
    Reason::ALL.get((number as usize).checked_sub(1)?).copied()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn record() -> FlightRecord<'static> {
        static ATTEMPTS: [FlightAttempt; 1] = [FlightAttempt {
            instance: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 2, 3)), 8080),
            kept: true,
            failed: Some(Reason::BackendReset),
            took: Duration::from_micros(1_002_310),
        }];
        FlightRecord {
            id: RequestId::numbered(7, 0, 1),
            began: SystemTime::UNIX_EPOCH + Duration::from_micros(1_709_979_330_123_456),
            client: "[2001:db8::1]:51000".parse().expect("an address"),
            load_balancer: "shop",
            listener_port: 443,
            method: b"GET",
            path: b"/cart?id=7",
            status: 504,
            backend_status: 0,
            reason: Some(Reason::BackendReset),
            phases: FlightPhases {
                queue: Some(Duration::from_micros(41)),
                connect: Some(Duration::ZERO),
                ..Default::default()
            },
            attempts: &ATTEMPTS,
            received_bytes: 12,
            sent_bytes: 0,
        }
    }

    #[test]
    fn everything_that_was_recorded_is_told() {
        assert_eq!(
            explain(&record().words()),
            "request 000000000000000700000001\n\
             \x20 2024-03-09T10:15:30.123456Z  from [2001:db8::1]:51000 to shop, port 443\n\
             \x20 GET /cart?id=7\n\
             \x20 answered 504 by the balancer: backend_reset; body 12 bytes in, 0 bytes out\n\
             \x20 tried 10.1.2.3:8080, kept connection, 1002.310 ms backend_reset\n\
             \x20       0.041 ms found an instance\n\
             \x20       0.000 ms connected\n"
        );
    }

    #[test]
    fn a_connection_is_told_as_one() {
        let carried = FlightRecord { method: b"TCP", path: b"", status: 0, reason: None, attempts: &[], ..record() };
        let told = explain(&carried.words());
        assert!(told.starts_with("connection 000000000000000700000001\n"), "{told}");
        assert!(told.contains("\n  TCP \n  carried to its end; 12 bytes in, 0 bytes out\n"), "{told}");
        let refused = FlightRecord { reason: Some(Reason::AddressDenied), ..carried };
        assert!(explain(&refused.words()).contains("failed: address_denied"), "{told}");
        assert_eq!(client_of(&refused.words()), record().client);
    }

    #[test]
    fn what_is_too_long_is_cut_and_what_is_unreadable_is_escaped() {
        let long = [b'x'; 500];
        let told = explain(&FlightRecord { path: &long, ..record() }.words());
        assert!(told.contains("GET xxxx") && !told.contains(&"x".repeat(200)), "{told}");
        let told = explain(&FlightRecord { path: b"/\x1b[2J\n", ..record() }.words());
        assert!(told.contains(r"/\u{1b}[2J\n"), "{told}");
    }

    #[test]
    fn ids_of_clients_are_kept_if_they_are_harmless() {
        for good in ["a", "Root=1-67891233-abcdef012345678912345678", "00-4bf92f"] {
            assert_eq!(
                RequestId::given(good.as_bytes()).map(|id| id.as_str().to_owned()).as_deref(),
                (good.len() <= 39).then_some(good)
            );
        }
        for bad in [&b""[..], b"a b", b"a\"", b"\xff", &[b'a'; 40]] {
            assert_eq!(RequestId::given(bad), None);
        }
        assert_eq!(RequestId::numbered(0x0123_4567_89ab_cdef, 0, 0x1_0000_00ff).as_str(), "0123456789abcdef000000ff");
    }
}

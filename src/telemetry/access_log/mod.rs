//! The access log: one line for each request of an HTTP listener and for each connection of a TCP one.
//!
//! A core formats its lines into a block of its own and gives full blocks to a bounded queue, from which the control
//! thread writes them to the file. Nobody waits for anybody: when the file is not written fast enough the queue fills,
//! and further blocks are dropped, their lines counted.

mod elb;
mod json;
mod queue;

pub use queue::{AccessLogQueue, Block};

use crate::model::AccessLogFormat;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

/// What there is to say of one request or connection.
#[derive(Debug, Clone, Copy)]
pub struct AccessRecord<'a> {
    /// What it is called, for `elbow explain`. ELB's form has no room for that.
    pub id: &'a str,
    /// When its first byte was received; TCP: when it was accepted.
    pub received_at: SystemTime,
    /// The load balancer.
    pub load_balancer: &'a str,
    /// The port it came to.
    pub listener_port: u16,
    /// Who sent it.
    pub client: SocketAddr,
    /// Who answered it.
    pub instance: Option<SocketAddr>,
    /// How long each part took; `None` when no instance answered.
    pub times: Option<Times>,
    /// What it asked for and was answered; `None`: a stream, of which that is not known.
    pub exchange: Option<AccessExchange<'a>>,
    /// Bytes of the request's body; TCP: everything received.
    pub received_bytes: u64,
    /// Bytes of the answer's body; TCP: everything sent.
    pub sent_bytes: u64,
    /// What protects the client's connection, if it is inside TLS.
    pub tls: Option<AccessTls<'a>>,
    /// Who the client proved to be. ELB's form has no room for that.
    pub client_certificate: Option<AccessCertificate<'a>>,
    /// Why it failed.
    pub reason: Option<&'a str>,
}

/// What a connection is protected by, in OpenSSL's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessTls<'a> {
    /// The cipher.
    pub cipher: &'a str,
    /// The protocol version.
    pub protocol: &'a str,
}

/// A client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessCertificate<'a> {
    /// Its subject (RFC 4514).
    pub subject: &'a str,
    /// SHA-256 over its DER in hexadecimal.
    pub fingerprint: &'a str,
}

/// How long the parts of an exchange took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// From its first byte until it was sent to the instance. TCP: until the instance was connected.
    pub request: Duration,
    /// From then until the head of the answer began. TCP: the time to connect.
    pub backend: Duration,
    /// From then until the answer was sent on.
    pub response: Duration,
}

/// The part of a record that only HTTP has.
#[derive(Debug, Clone, Copy)]
pub struct AccessExchange<'a> {
    /// The status that the client got; 0: none.
    pub status: u16,
    /// The status that the instance gave; 0: none.
    pub backend_status: u16,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The host that was asked for, perhaps with a port.
    pub host: &'a [u8],
    /// Method, path and version; `None`: they could not be read.
    pub line: Option<AccessRequestLine<'a>>,
    /// What the client calls itself.
    pub user_agent: Option<&'a [u8]>,
}

/// What a request begins with.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequestLine<'a> {
    /// Its method.
    pub method: &'a [u8],
    /// Path and query.
    pub path: &'a [u8],
    /// `HTTP/1.1` and the like.
    pub version: &'a str,
}

/// The longest user agent that is logged (ELB).
const USER_AGENT_MAX: usize = 8 * 1024;

impl AccessRecord<'_> {
    /// Appends the record as one line.
    pub fn write(&self, format: AccessLogFormat, out: &mut Vec<u8>) {
        match format {
            AccessLogFormat::Elb => elb::write(self, out),
            AccessLogFormat::Json => json::write(self, out),
        }
        out.push(b'\n');
    }
}

/// `2024-03-09T10:15:30.123456Z`.
fn write_timestamp(at: SystemTime, out: &mut Vec<u8>) {
    use std::io::Write;
    let at = jiff::Timestamp::try_from(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    // Writing to a vector cannot fail.
    let _ = write!(out, "{at:.6}");
}

/// `text` inside quotes: what a client says must not end its field or its line. A byte that is not printable ASCII stands
/// as a backslash, `numbered` and two hexadecimal digits.
fn write_escaped(text: &[u8], numbered: &str, out: &mut Vec<u8>) {
    use std::io::Write;
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0x20..=0x7e => out.push(*byte),
            byte => drop(write!(out, "\\{numbered}{byte:02x}")),
        }
    }
}

/// Seconds with six decimals.
fn write_seconds(time: Duration, out: &mut Vec<u8>) {
    use std::io::Write;
    let _ = write!(out, "{}.{:06}", time.as_secs(), time.subsec_micros());
}

/// `scheme://host:port/path`; the port is the listener's where the host names none.
fn write_url(exchange: &AccessExchange<'_>, port: u16, path: &[u8], write: &mut impl FnMut(&[u8])) {
    write(exchange.scheme.as_bytes());
    write(b"://");
    write(exchange.host);
    let after_address = exchange.host.iter().rposition(|byte| *byte == b']').map_or(0, |end| end + 1);
    if !exchange.host.get(after_address..).is_some_and(|rest| rest.contains(&b':')) {
        write(format!(":{port}").as_bytes());
    }
    write(path);
}

fn user_agent<'a>(exchange: &AccessExchange<'a>) -> Option<&'a [u8]> {
    exchange.user_agent.map(|agent| agent.get(..USER_AGENT_MAX).unwrap_or(agent))
}

#[cfg(test)]
pub(in crate::telemetry) mod tests {
    use super::*;

    pub fn record() -> AccessRecord<'static> {
        AccessRecord {
            id: "018c2f0a",
            received_at: SystemTime::UNIX_EPOCH + Duration::from_micros(1_709_979_330_123_456),
            load_balancer: "lb-demo",
            listener_port: 443,
            client: "192.0.2.10:51000".parse().expect("an address"),
            instance: Some("10.1.2.3:8080".parse().expect("an address")),
            times: Some(Times {
                request: Duration::from_micros(41),
                backend: Duration::from_micros(1_002_310),
                response: Duration::from_micros(29),
            }),
            exchange: Some(AccessExchange {
                status: 200,
                backend_status: 201,
                scheme: "https",
                host: b"shop.example",
                line: Some(AccessRequestLine { method: b"POST", path: b"/cart?id=7", version: "HTTP/1.1" }),
                user_agent: Some(b"curl/8.5.0 \"x\\\x01\xff"),
            }),
            received_bytes: 12,
            sent_bytes: 345,
            tls: Some(AccessTls { cipher: "ECDHE-RSA-AES128-GCM-SHA256", protocol: "TLSv1.2" }),
            client_certificate: None,
            reason: None,
        }
    }

    pub fn line(record: &AccessRecord<'_>, format: AccessLogFormat) -> String {
        let mut out = Vec::new();
        record.write(format, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn a_url_says_its_port_once() {
        for (host, expected) in [
            (&b"a"[..], "http://a:80/x"),
            (b"a:81", "http://a:81/x"),
            (b"[::1]", "http://[::1]:80/x"),
            (b"[::1]:81", "http://[::1]:81/x"),
        ] {
            let exchange = AccessExchange { host, scheme: "http", ..record().exchange.expect("HTTP") };
            let mut url = Vec::new();
            write_url(&exchange, 80, b"/x", &mut |part| url.extend_from_slice(part));
            assert_eq!(String::from_utf8(url).expect("ASCII"), expected);
        }
    }
}

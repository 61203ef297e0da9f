//! The PROXY protocol, versions 1 and 2: the header with which one proxy tells the next whose connection this is
//! (the HAProxy project's `proxy-protocol.txt`). It comes first on a connection, before any TLS.
//!
//! Who may send one is not decided here: an address taken from a stranger's header is a forged address.

mod checksum;
pub mod v1;
pub mod v2;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What a header says of the connection it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is relayed for a client.
    Proxied {
        /// The client.
        source: SocketAddr,
        /// What the client connected to.
        destination: SocketAddr,
    },
    /// Its own ends are the true ones: a health check of the sender, or a client that is not TCP over IP.
    Direct,
}

/// How far a header has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preface {
    /// The input ends inside the header. Call again with the same bytes and more behind them.
    Partial,
    /// The header is whole.
    Complete {
        /// Bytes of the input it took.
        length: usize,
        /// What it says.
        origin: Origin,
    },
}

/// Why a header was refused. The connection must be closed: what it carries is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefaceFault {
    /// The connection does not begin with a header of either version.
    Missing,
    /// A line of version 1 without CR LF within 107 bytes, or a header of version 2 over its limit.
    TooLong,
    /// A line of version 1 that does not have its parts separated by single spaces, or does not end in CR LF.
    Line,
    /// A protocol or address family there is none of.
    Family,
    /// An address that is none of its family, or missing.
    Address,
    /// A port that is no number, or written with leading zeros.
    Port,
    /// A version other than 2 behind the signature of version 2.
    Version,
    /// A command other than LOCAL and PROXY.
    Command,
    /// Additional fields that do not fill their place.
    Tlv,
    /// The checksum is wrong.
    Checksum,
}

impl PrefaceFault {
    /// The stable name of this fault, for logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "proxy_header_missing",
            Self::TooLong => "proxy_header_too_long",
            Self::Line => "proxy_header_malformed_line",
            Self::Family => "proxy_header_unknown_family",
            Self::Address => "proxy_header_invalid_address",
            Self::Port => "proxy_header_invalid_port",
            Self::Version => "proxy_header_unknown_version",
            Self::Command => "proxy_header_unknown_command",
            Self::Tlv => "proxy_header_malformed_tlv",
            Self::Checksum => "proxy_header_wrong_checksum",
        }
    }
}

impl std::fmt::Display for PrefaceFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for PrefaceFault {}

/// Reads the header of either version at the start of `input`. Reading again from the start as more arrives is bounded
/// by the longest header, and anything else is refused at its first wrong byte.
pub fn decode(input: &[u8]) -> Result<Preface, PrefaceFault> {
    match input.first() {
        None => Ok(Preface::Partial),
        Some(b'P') => v1::decode(input),
        Some(_) => v2::decode(input),
    }
}

/// Both addresses in one family, as both versions require: IPv4 if both are, else IPv6.
enum Family {
    V4 { source: [u8; 4], destination: [u8; 4] },
    V6 { source: Ipv6Addr, destination: Ipv6Addr },
}

impl Family {
    fn of(source: SocketAddr, destination: SocketAddr) -> Self {
        match (source.ip().to_canonical(), destination.ip().to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                Self::V4 { source: source.octets(), destination: destination.octets() }
            }
            (source, destination) => Self::V6 { source: as_ipv6(source), destination: as_ipv6(destination) },
        }
    }
}

fn as_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// Whether `input` begins like `expected`, as far as either goes.
fn begins_like(input: &[u8], expected: &[u8]) -> bool {
    input.iter().zip(expected).all(|(byte, expected)| byte == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_written_reads_back_in_any_pieces() {
        let addresses = [
            ("192.0.2.1:1", "198.51.100.2:65535"),
            ("[2001:db8::1]:80", "[2001:db8::2]:443"),
            ("[::ffff:192.0.2.1]:9", "10.0.0.1:80"),
            ("192.0.2.1:5000", "[2001:db8::2]:443"),
        ];
        for (source, destination) in addresses.map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())) {
            for write in [v1::write, v2::write] {
                let mut header = Vec::new();
                write(source, destination, &mut header);
                for end in 0..header.len() {
                    assert_eq!(decode(&header[..end]), Ok(Preface::Partial));
                }
                let length = header.len();
                header.extend_from_slice(b"GET / HTTP/1.1\r\n");
                let Ok(Preface::Complete { length: read, origin: Origin::Proxied { source: from, destination: to } }) =
                    decode(&header)
                else {
                    panic!("{source} {destination}");
                };
                assert_eq!(read, length);
                assert_eq!((from.ip().to_canonical(), from.port()), (source.ip().to_canonical(), source.port()));
                assert_eq!((to.ip().to_canonical(), to.port()), (destination.ip().to_canonical(), destination.port()));
            }
        }
    }

    #[test]
    fn what_is_no_header_is_told_at_its_first_wrong_byte() {
        for input in [&b"G"[..], b"PU", b"PROXX", b"\r\n\r\n\0\r\nQUIX", b"\x16\x03\x01", b"\n"] {
            assert_eq!(decode(input), Err(PrefaceFault::Missing), "{input:?}");
        }
    }
}

//! Version 1: one line of text, the version ELB speaks.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Family, Origin, Preface, PrefaceFault, begins_like};
use crate::wire::address::{write_address, write_decimal};

const BEGINNING: &[u8] = b"PROXY ";
/// The longest line with its CR LF (section 2.1 of the specification).
const MAX_LINE: usize = 107;

/// Appends the header for a connection relayed from `source` to `destination`.
pub fn write(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    match Family::of(source, destination) {
        Family::V4 { source, destination } => {
            out.extend_from_slice(b"PROXY TCP4 ");
            write_address(IpAddr::from(source), out);
            out.push(b' ');
            write_address(IpAddr::from(destination), out);
        }
        // Writing to a vector cannot fail.
        Family::V6 { source, destination } => drop(write!(out, "PROXY TCP6 {source} {destination}")),
    }
    for port in [source.port(), destination.port()] {
        out.push(b' ');
        write_decimal(u64::from(port), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Reads the header at the start of `input`.
pub fn decode(input: &[u8]) -> Result<Preface, PrefaceFault> {
    if !begins_like(input, BEGINNING) {
        return Err(PrefaceFault::Missing);
    }
    let longest = input.get(..MAX_LINE).unwrap_or(input);
    let Some(end) = memchr::memchr(b'\n', longest) else {
        return if longest.len() < MAX_LINE { Ok(Preface::Partial) } else { Err(PrefaceFault::TooLong) };
    };
    let line = input.get(BEGINNING.len()..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").ok_or(PrefaceFault::Line)?;
    Ok(Preface::Complete { length: end + 1, origin: read_line(line)? })
}

/// Reads what stands between `PROXY ` and CR LF.
fn read_line(line: &[u8]) -> Result<Origin, PrefaceFault> {
    let line = std::str::from_utf8(line).map_err(|_| PrefaceFault::Line)?;
    // Whatever follows UNKNOWN is to be ignored (section 2.1).
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Ok(Origin::Direct);
    }
    let mut parts = line.split(' ');
    let [family, source, destination, source_port, destination_port, rest] = std::array::from_fn(|_| parts.next());
    let (Some(family), Some(source), Some(destination), Some(source_port), Some(destination_port), None) =
        (family, source, destination, source_port, destination_port, rest)
    else {
        return Err(PrefaceFault::Line);
    };
    let read_address: fn(&str) -> Option<IpAddr> = match family {
        "TCP4" => |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return Err(PrefaceFault::Family),
    };
    let read_address = |text| read_address(text).ok_or(PrefaceFault::Address);
    Ok(Origin::Proxied {
        source: SocketAddr::new(read_address(source)?, read_port(source_port)?),
        destination: SocketAddr::new(read_address(destination)?, read_port(destination_port)?),
    })
}

/// Decimal, and without leading zeros, which some would read as octal (section 2.1).
fn read_port(text: &str) -> Result<u16, PrefaceFault> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(PrefaceFault::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(line: &str) -> Result<Origin, PrefaceFault> {
        match decode(line.as_bytes())? {
            Preface::Complete { length, origin } => {
                assert_eq!(length, line.find('\n').unwrap() + 1);
                Ok(origin)
            }
            Preface::Partial => panic!("partial: {line:?}"),
        }
    }

    #[test]
    fn lines_as_specified() {
        let mut out = Vec::new();
        write("255.255.255.255:65535".parse().unwrap(), "255.255.255.255:65535".parse().unwrap(), &mut out);
        assert_eq!(out, b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n");
        let proxied = |source: &str, destination: &str| {
            Ok(Origin::Proxied { source: source.parse().unwrap(), destination: destination.parse().unwrap() })
        };
        for (line, expected) in [
            ("PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\nrest", proxied("192.0.2.1:56324", "10.0.0.1:443")),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 0 1\r\n", proxied("192.0.2.1:0", "10.0.0.1:1")),
            ("PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", proxied("[2001:db8::1]:1", "[::1]:2")),
            ("PROXY UNKNOWN\r\n", Ok(Origin::Direct)),
            ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", Ok(Origin::Direct)),
        ] {
            assert_eq!(origin(line), expected, "{line:?}");
        }
    }

    #[test]
    fn lines_that_are_refused() {
        use PrefaceFault::{Address, Family, Line, Missing, Port};
        for (line, fault) in [
            ("PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n", Line),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n", Line),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 1 2 \r\n", Line),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n", Line),
            ("PROXY TCP4  192.0.2.1 10.0.0.1 1\r\n", Address),
            ("PROXY TCP4 192.0.2.1 10.0.0.1  2\r\n", Port),
            ("PROXY TCP4\t192.0.2.1 10.0.0.1 1 2\r\n", Line),
            ("PROXY\tTCP4 192.0.2.1 10.0.0.1 1 2\r\n", Missing),
            ("proxy TCP4 192.0.2.1 10.0.0.1 1 2\r\n", Missing),
            ("PROXY tcp4 192.0.2.1 10.0.0.1 1 2\r\n", Family),
            ("PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n", Family),
            ("PROXY UNKNOWNX\r\n", Line),
            ("PROXY TCP4 192.0.2.01 10.0.0.1 1 2\r\n", Address),
            ("PROXY TCP4 192.0.2 10.0.0.1 1 2\r\n", Address),
            ("PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n", Address),
            ("PROXY TCP4 ::1 ::1 1 2\r\n", Address),
            ("PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n", Address),
            ("PROXY TCP6 [::1] ::1 1 2\r\n", Address),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n", Port),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 +1 2\r\n", Port),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 65536 2\r\n", Port),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 1 -2\r\n", Port),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\r\n", Port),
        ] {
            assert!(
                matches!(decode(line.as_bytes()), Err(found) if found == fault),
                "{line:?}: {:?}",
                decode(line.as_bytes())
            );
        }
    }

    #[test]
    fn a_line_ends_within_107_bytes() {
        let line = |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - 16));
        assert_eq!(origin(&line(MAX_LINE)), Ok(Origin::Direct));
        assert_eq!(decode(line(MAX_LINE + 1).as_bytes()), Err(PrefaceFault::TooLong));
        assert_eq!(decode(&line(MAX_LINE + 1).as_bytes()[..MAX_LINE - 1]), Ok(Preface::Partial));
    }
}

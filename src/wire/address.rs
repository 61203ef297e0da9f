//! Writes IP addresses as text into a byte vector, without allocation.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

/// Appends an address as text, an IPv6 address without brackets and an IPv4-mapped one as IPv4: a socket that
/// listens on both families sees IPv4 clients so, back ends should not.
pub fn write_address(address: IpAddr, out: &mut Vec<u8>) {
    match address.to_canonical() {
        IpAddr::V4(address) => write_ipv4(address, out),
        // Writing to a vector cannot fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

/// Appends a number in decimal.
pub fn write_decimal(number: u64, out: &mut Vec<u8>) {
    const LONGEST: usize = 20;
    let mut digits = [b'0'; LONGEST];
    let mut start = LONGEST;
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        start -= 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

fn write_ipv4(address: Ipv4Addr, out: &mut Vec<u8>) {
    let [first, rest @ ..] = address.octets();
    write_decimal(u64::from(first), out);
    for octet in rest {
        out.push(b'.');
        write_decimal(u64::from(octet), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(address: &str) -> String {
        let mut out = Vec::new();
        write_address(address.parse().unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn addresses_read_back() {
        for address in ["0.0.0.0", "10.0.100.9", "255.255.255.255", "::", "2001:db8::1"] {
            assert_eq!(text(address), address);
        }
        assert_eq!(text("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn numbers_read_back() {
        for number in [0, 7, 10, 65535, u64::MAX] {
            let mut out = Vec::new();
            write_decimal(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}

//! Version 2: binary, with room for additional fields.

use std::net::SocketAddr;

use super::checksum::crc32c;
use super::{Family, Origin, Preface, PrefaceFault, begins_like};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED: usize = 16;
/// The longest header. Addresses take up to 216 bytes, TLS details and tags of clouds some hundred more.
const MAX_HEADER: usize = 4096;

const VERSION: u8 = 0x20;
const COMMAND_LOCAL: u8 = 0x0;
const COMMAND_PROXY: u8 = 0x1;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
const TLV_CRC32C: u8 = 0x03;

/// Appends the header for a connection relayed from `source` to `destination`.
pub fn write(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    const IPV4_LENGTH: [u8; 2] = 12u16.to_be_bytes();
    const IPV6_LENGTH: [u8; 2] = 36u16.to_be_bytes();
    out.extend_from_slice(&SIGNATURE);
    out.push(VERSION | COMMAND_PROXY);
    match Family::of(source, destination) {
        Family::V4 { source, destination } => {
            out.push(TCP_OVER_IPV4);
            out.extend_from_slice(&IPV4_LENGTH);
            out.extend_from_slice(&source);
            out.extend_from_slice(&destination);
        }
        Family::V6 { source, destination } => {
            out.push(TCP_OVER_IPV6);
            out.extend_from_slice(&IPV6_LENGTH);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
}

/// Reads the header at the start of `input`. Additional fields are checked for their form, and the checksum is
/// verified where there is one; they are not used.
pub fn decode(input: &[u8]) -> Result<Preface, PrefaceFault> {
    if !begins_like(input, &SIGNATURE) {
        return Err(PrefaceFault::Missing);
    }
    let Some((fixed, _)) = input.split_first_chunk::<FIXED>() else {
        return Ok(Preface::Partial);
    };
    let [.., version_command, family, high, low] = *fixed;
    if version_command & 0xf0 != VERSION {
        return Err(PrefaceFault::Version);
    }
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_HEADER {
        return Err(PrefaceFault::TooLong);
    }
    let Some(header) = input.get(..length) else {
        return Ok(Preface::Partial);
    };
    let origin = match version_command & 0x0f {
        // The sender speaks for itself; whatever follows is to be skipped (section 2.2).
        COMMAND_LOCAL => Origin::Direct,
        COMMAND_PROXY => read_proxied(family, header)?,
        _ => return Err(PrefaceFault::Command),
    };
    Ok(Preface::Complete { length, origin })
}

fn read_proxied(family: u8, header: &[u8]) -> Result<Origin, PrefaceFault> {
    let payload = header.get(FIXED..).unwrap_or_default();
    let (origin, tlvs) = match family {
        TCP_OVER_IPV4 => {
            let (addresses, tlvs) = payload.split_first_chunk::<12>().ok_or(PrefaceFault::Address)?;
            (read_addresses::<4>(addresses)?, tlvs)
        }
        TCP_OVER_IPV6 => {
            let (addresses, tlvs) = payload.split_first_chunk::<36>().ok_or(PrefaceFault::Address)?;
            (read_addresses::<16>(addresses)?, tlvs)
        }
        _ => (Origin::Direct, payload.get(unused_address_length(family)?..).ok_or(PrefaceFault::Address)?),
    };
    check_tlvs(header, tlvs)?;
    Ok(origin)
}

/// Length of the addresses of families that exist but say nothing about a TCP client (section 2.2).
fn unused_address_length(family: u8) -> Result<usize, PrefaceFault> {
    match family {
        0x00 => Ok(0),
        0x12 => Ok(12),
        0x22 => Ok(36),
        0x31 | 0x32 => Ok(216),
        _ => Err(PrefaceFault::Family),
    }
}

/// Reads two addresses of `N` bytes and two ports.
fn read_addresses<const N: usize>(addresses: &[u8]) -> Result<Origin, PrefaceFault>
where
    std::net::IpAddr: From<[u8; N]>,
{
    let read = || {
        let (source, rest) = addresses.split_first_chunk::<N>()?;
        let (destination, rest) = rest.split_first_chunk::<N>()?;
        let (source_port, rest) = rest.split_first_chunk::<2>()?;
        let (destination_port, _) = rest.split_first_chunk::<2>()?;
        Some(Origin::Proxied {
            source: SocketAddr::new((*source).into(), u16::from_be_bytes(*source_port)),
            destination: SocketAddr::new((*destination).into(), u16::from_be_bytes(*destination_port)),
        })
    };
    read().ok_or(PrefaceFault::Address)
}

/// Checks that the fields behind the addresses fill the header to its end (section 2.2.7), and the checksum.
fn check_tlvs(header: &[u8], mut tlvs: &[u8]) -> Result<(), PrefaceFault> {
    while !tlvs.is_empty() {
        let ([kind, high, low], rest) = tlvs.split_first_chunk::<3>().ok_or(PrefaceFault::Tlv)?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(PrefaceFault::Tlv)?;
        if *kind == TLV_CRC32C {
            let expected = <[u8; 4]>::try_from(value).map_err(|_| PrefaceFault::Tlv)?;
            check_checksum(header, header.len() - rest.len() - value.len(), u32::from_be_bytes(expected))?;
        }
        tlvs = rest;
    }
    Ok(())
}

/// The checksum covers the whole header with its own four bytes, at `place`, taken as zero (section 2.2.3).
fn check_checksum(header: &[u8], place: usize, expected: u32) -> Result<(), PrefaceFault> {
    let (before, rest) = header.split_at_checked(place).ok_or(PrefaceFault::Tlv)?;
    let after = rest.get(4..).ok_or(PrefaceFault::Tlv)?;
    if crc32c([before, &[0; 4], after]) == expected { Ok(()) } else { Err(PrefaceFault::Checksum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version_command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[version_command, family], &length, payload].concat()
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb];

    fn proxied() -> Origin {
        Origin::Proxied { source: "192.0.2.1:56324".parse().unwrap(), destination: "10.0.0.1:443".parse().unwrap() }
    }

    fn origin(header: &[u8]) -> Result<Origin, PrefaceFault> {
        match decode(header)? {
            Preface::Complete { length, origin } => {
                assert_eq!(length, header.len());
                Ok(origin)
            }
            Preface::Partial => panic!("partial: {header:?}"),
        }
    }

    #[test]
    fn bytes_as_specified() {
        let mut out = Vec::new();
        write("192.0.2.1:56324".parse().unwrap(), "10.0.0.1:443".parse().unwrap(), &mut out);
        assert_eq!(out, header(0x21, 0x11, &IPV4));
        assert_eq!(origin(&out), Ok(proxied()));
    }

    #[test]
    fn what_says_nothing_of_a_client_is_direct() {
        for (command, family, payload) in [
            (0x20, 0x00, &[][..]),
            (0x20, 0x11, &IPV4),
            (0x20, 0x77, b"anything"),
            (0x21, 0x00, &[]),
            (0x21, 0x12, &IPV4),
            (0x21, 0x22, &[0; 36]),
            (0x21, 0x31, &[0; 216]),
        ] {
            assert_eq!(origin(&header(command, family, payload)), Ok(Origin::Direct), "{command:#x} {family:#x}");
        }
    }

    #[test]
    fn headers_that_are_refused() {
        use PrefaceFault::{Address, Command, Family, Tlv, TooLong, Version};
        let with_tlv = |tlv: &[u8]| [&IPV4[..], tlv].concat();
        for (command, family, payload, fault) in [
            (0x11, 0x11, IPV4.to_vec(), Version),
            (0x31, 0x11, IPV4.to_vec(), Version),
            (0x22, 0x11, IPV4.to_vec(), Command),
            (0x21, 0x10, IPV4.to_vec(), Family),
            (0x21, 0x13, IPV4.to_vec(), Family),
            (0x21, 0x41, IPV4.to_vec(), Family),
            (0x21, 0x11, IPV4[..11].to_vec(), Address),
            (0x21, 0x21, [0; 35].to_vec(), Address),
            (0x21, 0x31, [0; 215].to_vec(), Address),
            (0x21, 0x11, with_tlv(&[4]), Tlv),
            (0x21, 0x11, with_tlv(&[4, 0]), Tlv),
            (0x21, 0x11, with_tlv(&[4, 0, 1]), Tlv),
            (0x21, 0x11, with_tlv(&[4, 0, 1, 0, 0]), Tlv),
            (0x21, 0x11, with_tlv(&[3, 0, 3, 0, 0, 0]), Tlv),
            (0x21, 0x11, vec![0; MAX_HEADER], TooLong),
        ] {
            assert_eq!(origin(&header(command, family, &payload)), Err(fault), "{command:#x} {family:#x} {fault:?}");
        }
    }

    #[test]
    fn a_checksum_is_verified() {
        let mut whole =
            header(0x21, 0x11, &[&IPV4[..], &[4, 0, 2, 0, 0], &[3, 0, 4, 0, 0, 0, 0], &[5, 0, 1, 9]].concat());
        assert_eq!(origin(&whole), Err(PrefaceFault::Checksum));
        let checksum = crc32c([&whole[..], &[], &[]]);
        let place = whole.len() - 8;
        whole[place..place + 4].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(origin(&whole), Ok(proxied()));
        whole[16] ^= 1;
        assert_eq!(origin(&whole), Err(PrefaceFault::Checksum));
    }
}

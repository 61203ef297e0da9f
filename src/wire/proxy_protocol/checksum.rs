//! CRC-32C (Castagnoli, RFC 3720 appendix B.4), bit by bit: it runs over some hundred bytes once per connection.

/// The checksum of three pieces as if they were one.
pub(super) fn crc32c(pieces: [&[u8]; 3]) -> u32 {
    const POLYNOMIAL_REVERSED: u32 = 0x82f6_3b78;
    let shift = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL_REVERSED } else { crc >> 1 };
    let bytes = pieces.into_iter().flatten();
    !bytes.fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shift(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_values() {
        assert_eq!(crc32c([b"1234", b"5678", b"9"]), 0xe306_9283);
        assert_eq!(crc32c([&[0; 32], b"", b""]), 0x8a91_36aa);
        assert_eq!(crc32c([&[0xff; 32], b"", b""]), 0x62a8_ab43);
    }
}

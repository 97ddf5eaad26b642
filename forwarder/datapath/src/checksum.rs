//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

/// Sum of a part's 16-bit words, not folded; parts but the last must be of even length.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    let (words, last) = bytes.as_chunks::<2>();
    let whole: u32 = words
        .iter()
        .map(|word| u32::from(u16::from_be_bytes(*word)))
        .sum();
    whole + last.first().map_or(0, |byte| u32::from(*byte) << 8)
}

/// The checksum field for an unfolded sum of less than 2^32.
pub(crate) fn finish(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The checksum after one 16-bit word changed (RFC 1624, equation 3).
pub(crate) fn updated(checksum: u16, old: u16, new: u16) -> u16 {
    finish(u32::from(!checksum) + u32::from(!old) + u32::from(new))
}

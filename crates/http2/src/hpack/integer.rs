//! Integers with a prefix of some bits (RFC 7541, section 5.1).

use crate::hpack::HpackError;

/// So many bytes hold 32 bits beyond the prefix. A longer form says the same number with zeros.
const MOST_BYTES: usize = 5;

/// Takes an integer whose prefix are the last `bits` bits of the first byte, 4 to 7 of them.
pub(super) fn take(block: &mut &[u8], bits: u32) -> Result<u32, HpackError> {
    let (first, mut rest) = block.split_first().ok_or(HpackError::Truncated)?;
    let mask = most_in(bits);
    let prefix = first & mask;
    let mut value = u64::from(prefix);
    if prefix == mask {
        let mut count = 0;
        loop {
            let (byte, after) = rest.split_first().ok_or(HpackError::Truncated)?;
            rest = after;
            value += u64::from(byte & 0x7f) << (7 * count);
            count += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if count == MOST_BYTES {
                return Err(HpackError::Integer);
            }
        }
    }
    *block = rest;
    u32::try_from(value).map_err(|_| HpackError::Integer)
}

/// Appends an integer after the bits of `pattern`, which are those above the prefix.
pub(super) fn push(block: &mut Vec<u8>, pattern: u8, bits: u32, value: usize) {
    let mask = most_in(bits);
    match u8::try_from(value) {
        Ok(small) if small < mask => block.push(pattern | small),
        _ => {
            block.push(pattern | mask);
            let mut left = value - usize::from(mask);
            while left >= 0x80 {
                block.push(low_seven(left) | 0x80);
                left >>= 7;
            }
            block.push(low_seven(left));
        }
    }
}

fn most_in(bits: u32) -> u8 {
    u8::MAX.checked_shr(8 - bits.clamp(1, 8)).unwrap_or(u8::MAX)
}

fn low_seven(value: usize) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low & 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(bytes: &[u8], bits: u32) -> Result<u32, HpackError> {
        take(&mut { bytes }, bits)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in any::<u32>(), bits in 1u32..8, pattern in any::<u8>()) {
            let mut block = Vec::new();
            push(&mut block, pattern & !most_in(bits), bits, usize::try_from(value).unwrap());
            prop_assert_eq!(taken(&block, bits), Ok(value));
            for cut in 0..block.len() {
                prop_assert_eq!(taken(&block[..cut], bits), Err(HpackError::Truncated));
            }
        }
    }

    /// Appendix C.1.
    #[test]
    fn integers_are_those_of_the_rfc() {
        for (bits, value, bytes) in
            [(5, 10, &[10][..]), (5, 1337, &[31, 154, 10]), (8, 42, &[42]), (5, 31, &[31, 0])]
        {
            let mut block = Vec::new();
            push(&mut block, 0, bits, usize::try_from(value).unwrap());
            assert_eq!(block, bytes);
            assert_eq!(taken(bytes, bits), Ok(value));
        }
    }

    #[test]
    fn numbers_that_are_too_large_are_refused() {
        let largest = u64::from(u32::MAX) - 127;
        let bytes = |value: u64| {
            let sevens = [0, 7, 14, 21, 28].map(|by| (value >> by).to_le_bytes()[0] & 0x7f);
            let [a, b, c, d, e] = sevens;
            [127, a | 0x80, b | 0x80, c | 0x80, d | 0x80, e]
        };
        assert_eq!(taken(&bytes(largest), 7), Ok(u32::MAX));
        assert_eq!(taken(&bytes(largest + 1), 7), Err(HpackError::Integer));
        assert_eq!(taken(&[127, 0xff, 0xff, 0xff, 0xff, 0x7f], 7), Err(HpackError::Integer));
        // A number of any length made of zeros.
        assert_eq!(taken(&[127, 0x80, 0x80, 0x80, 0x80, 0x80, 0], 7), Err(HpackError::Integer));
        assert_eq!(taken(&[127; 1000], 7), Ok(254));
    }
}

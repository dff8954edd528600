//! The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B).
//!
//! The code is canonical: codes of one length are consecutive numbers in the order of their
//! symbols, and those of the next length begin where these end. So it follows from the lengths
//! alone.

use crate::hpack::HpackError;

/// How many bits the code of each byte has, and of the end-of-string symbol, the last one.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// The codes of one length.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// The first of them.
    first: u32,
    count: u32,
    /// Where their symbols begin in [`Code::symbols`].
    offset: u32,
}

#[derive(Debug)]
struct Code {
    /// By length.
    rows: [Row; LONGEST + 1],
    /// By code.
    symbols: [u16; LENGTHS.len()],
}

static CODE: Code = Code::new();

impl Code {
    const fn new() -> Self {
        let mut rows = [Row { first: 0, count: 0, offset: 0 }; LONGEST + 1];
        let mut symbols = [0; LENGTHS.len()];
        let (mut length, mut next, mut filled) = (1, 0, 0);
        while length <= LONGEST {
            next <<= 1;
            rows[length] = Row { first: next, count: 0, offset: filled };
            let mut symbol: u16 = 0;
            while (symbol as usize) < LENGTHS.len() {
                if LENGTHS[symbol as usize] as usize == length {
                    symbols[filled as usize] = symbol;
                    filled += 1;
                    next += 1;
                }
                symbol += 1;
            }
            rows[length].count = next - rows[length].first;
            length += 1;
        }
        Self { rows, symbols }
    }

    /// The symbol at the front of `window`, of which `bits` bits are there, and the length of its
    /// code.
    fn symbol(&self, window: u32, bits: usize) -> Option<(u16, usize)> {
        (SHORTEST..=LONGEST.min(bits)).find_map(|length| {
            let code = window >> (32 - length);
            let row = self.rows[length];
            // Codes that are smaller are shorter ones, and were found before.
            let place = code.checked_sub(row.first).filter(|place| *place < row.count)?;
            let at = usize::try_from(row.offset + place).ok()?;
            Some((*self.symbols.get(at)?, length))
        })
    }
}

/// Decodes a string. It grows to at most 8/5 of its length.
pub(super) fn decode(mut bytes: &[u8]) -> Result<Vec<u8>, HpackError> {
    let mut decoded = Vec::with_capacity(bytes.len() + bytes.len() / 2);
    // The next bits, from the top down, and how many they are.
    let (mut window, mut bits) = (0u64, 0);
    loop {
        while let (true, Some((byte, rest))) = (bits <= 56, bytes.split_first()) {
            window |= u64::from(*byte) << (56 - bits);
            bits += 8;
            bytes = rest;
        }
        let top = u32::try_from(window >> 32).unwrap_or(u32::MAX);
        let Some((symbol, length)) = CODE.symbol(top, bits) else { break };
        // The end-of-string symbol, which is the only one that is no byte, may not occur.
        decoded.push(u8::try_from(symbol).map_err(|_| HpackError::Huffman)?);
        window <<= length;
        bits -= length;
    }
    // What is left is less than a byte of ones.
    let ones = !(u64::MAX.checked_shr(u32::try_from(bits).unwrap_or(64)).unwrap_or(0));
    if bits >= 8 || window != ones {
        return Err(HpackError::Huffman);
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The code of a symbol and its length.
    fn code_of(symbol: usize) -> (u32, usize) {
        let length = usize::from(LENGTHS[symbol]);
        let row = CODE.rows[length];
        let of_length = &CODE.symbols[usize::try_from(row.offset).unwrap()..];
        let place = of_length.iter().position(|each| usize::from(*each) == symbol).unwrap();
        (row.first + u32::try_from(place).unwrap(), length)
    }

    /// Symbols one after the other, padded with ones.
    fn encode(symbols: impl IntoIterator<Item = usize>) -> Vec<u8> {
        let mut bits: Vec<bool> = Vec::new();
        for symbol in symbols {
            let (code, length) = code_of(symbol);
            bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
        }
        bits.chunks(8)
            .map(|byte| {
                let padded = byte.iter().chain([&true; 7]).take(8);
                padded.fold(0, |all, bit| all << 1 | u8::from(*bit))
            })
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let encoded = encode(bytes.iter().map(|byte| usize::from(*byte)));
            prop_assert_eq!(decode(&encoded), Ok(bytes));
        }

        #[test]
        fn whatever_comes_is_decoded_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..100)
        ) {
            if let Ok(decoded) = decode(&bytes) {
                prop_assert!(decoded.len() <= bytes.len() * 8 / 5);
                // There is one way to say it.
                prop_assert_eq!(encode(decoded.iter().map(|byte| usize::from(*byte))), bytes);
            }
        }
    }

    /// The first and the last code of each length, as appendix B has them.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let table = [
            (5, [(b'0', 0x0), (b't', 0x9)]),
            (6, [(b' ', 0x14), (b'u', 0x2d)]),
            (7, [(b':', 0x5c), (b'z', 0x7b)]),
            (8, [(b'&', 0xf8), (b'Z', 0xfd)]),
            (10, [(b'!', 0x3f8), (b'?', 0x3fc)]),
            (11, [(b'\'', 0x7fa), (b'|', 0x7fc)]),
            (12, [(b'#', 0xffa), (b'>', 0xffb)]),
            (13, [(0, 0x1ff8), (b'~', 0x1ffd)]),
            (14, [(b'^', 0x3ffc), (b'}', 0x3ffd)]),
            (15, [(b'<', 0x7ffc), (b'{', 0x7ffe)]),
            (19, [(92, 0x7_fff0), (208, 0x7_fff2)]),
            (20, [(128, 0xf_ffe6), (226, 0xf_ffed)]),
            (21, [(153, 0x1f_ffdc), (230, 0x1f_ffe8)]),
            (22, [(129, 0x3f_ffd2), (233, 0x3f_ffeb)]),
            (23, [(1, 0x7f_ffd8), (239, 0x7f_fff4)]),
            (24, [(9, 0xff_ffea), (237, 0xff_fff5)]),
            (25, [(199, 0x1ff_ffec), (235, 0x1ff_ffef)]),
            (26, [(192, 0x3ff_ffe0), (255, 0x3ff_ffee)]),
            (27, [(203, 0x7ff_ffde), (254, 0x7ff_fff0)]),
            (28, [(2, 0xfff_ffe2), (249, 0xfff_fffe)]),
            (30, [(10, 0x3fff_fffc), (22, 0x3fff_fffe)]),
        ];
        for (length, codes) in table {
            for (symbol, code) in codes {
                assert_eq!(code_of(usize::from(symbol)), (code, length), "{symbol}");
            }
        }
        assert_eq!(code_of(256), (0x3fff_ffff, 30));
    }

    #[test]
    fn every_bit_string_begins_with_one_code() {
        let used: u64 = LENGTHS.iter().map(|length| 1u64 << (30 - length)).sum();
        assert_eq!(used, 1 << 30);
    }

    /// Section 5.2: padding is less than a byte of ones, and the end-of-string symbol does not
    /// occur.
    #[test]
    fn padding_and_the_end_are_checked() {
        let (a, zero) = (encode([usize::from(b'a')]), encode([usize::from(b'0')]));
        assert_eq!(decode(&a), Ok(b"a".to_vec()));
        assert_eq!(decode(&[]), Ok(Vec::new()));
        // `a` is 00011: padded with 111 it is right.
        assert_eq!((a, zero), (vec![0b0001_1111], vec![0b0000_0111]));
        for wrong in [
            // Padded with zeros, with something else, with a whole byte, with four, with less than
            // the end.
            &[0b0001_1000][..],
            &[0b0001_1110],
            &[0b0001_1111, 0xff],
            &[0b0001_1111, 0xff, 0xff, 0xff],
            &[0xff],
            // A code that is cut off.
            &[0xff, 0xc0],
        ] {
            assert_eq!(decode(wrong), Err(HpackError::Huffman), "{wrong:x?}");
        }
        assert_eq!(decode(&encode([256])), Err(HpackError::Huffman));
        assert_eq!(decode(&encode([97, 256, 97])), Err(HpackError::Huffman));
    }
}

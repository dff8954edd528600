//! The payload: a ramp of 251 bytes that repeats for ever.
//!
//! The byte at offset `n` of a stream is `n % 251`. 251 is prime, so a block that was lost, doubled
//! or swapped shows as a jump at the very byte where it happened, whatever its size. Bytes come
//! from a table, and are compared with it, by whole blocks, because gigabytes are checked.

/// Length of the ramp. Bytes of this value or above are not in it.
pub(crate) const PERIOD: u8 = 251;

const PERIOD_BYTES: usize = PERIOD as usize;

/// Bytes that one copy or comparison handles; a multiple of the period.
const BLOCK: usize = PERIOD_BYTES * 261;

static TABLE: [u8; BLOCK + PERIOD_BYTES] = table();

/// A byte that is not the ramp's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// The place in the stream.
    pub offset: u64,
    /// The byte that the ramp has there.
    pub expected: u8,
    /// The one that came.
    pub found: u8,
}

/// Writes the ramp from `offset` on into `block`.
pub(crate) fn fill(offset: u64, block: &mut [u8]) {
    let start = phase(offset);
    for piece in block.chunks_mut(BLOCK) {
        piece.copy_from_slice(&TABLE[start..start + piece.len()]);
    }
}

/// Checks that `block` is the ramp from `offset` on.
pub(crate) fn verify(offset: u64, block: &[u8]) -> Result<(), Mismatch> {
    let start = phase(offset);
    for (index, piece) in block.chunks(BLOCK).enumerate() {
        let expected = &TABLE[start..start + piece.len()];
        if piece == expected {
            continue;
        }
        let pairs = piece.iter().zip(expected).enumerate();
        if let Some((at, (found, expected))) = pairs.into_iter().find(|(_, (a, b))| a != b) {
            let offset = offset + (index * BLOCK + at) as u64;
            return Err(Mismatch { offset, expected: *expected, found: *found });
        }
    }
    Ok(())
}

/// Where in the table `offset` is.
fn phase(offset: u64) -> usize {
    usize::from(u8::try_from(offset % u64::from(PERIOD)).unwrap_or(0))
}

const fn table() -> [u8; BLOCK + PERIOD_BYTES] {
    let mut table = [0; BLOCK + PERIOD_BYTES];
    let mut at = 0;
    let mut value = 0;
    while at < table.len() {
        table[at] = value;
        value = if value + 1 == PERIOD { 0 } else { value + 1 };
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_its_offset() {
        for offset in [0, 1, 250, 251, 1 << 20, u64::from(u32::MAX) + 7] {
            let mut block = vec![0; 3 * BLOCK + 5];
            fill(offset, &mut block);
            let right = |(n, byte): (usize, &u8)| u64::from(*byte) == (offset + n as u64) % 251;
            assert!(block.iter().enumerate().all(right));
            assert_eq!(verify(offset, &block), Ok(()));
        }
    }

    #[test]
    fn a_wrong_byte_is_found_where_it_is() {
        let mut block = vec![0; 2 * BLOCK];
        fill(10, &mut block);
        block[BLOCK + 3] = 255;
        let offset = 10 + BLOCK as u64 + 3;
        assert_eq!(verify(10, &block), Err(Mismatch { offset, expected: 13, found: 255 }));
        assert!(verify(11, &block).is_err());
    }
}

//! The payload of the tests: a ramp of 251 bytes that repeats for ever.
//!
//! The byte at offset `n` of a stream is `n % 251`. 251 is prime, so the ramp never lines up with
//! a page, a pipe slot, a buffer or a segment: a block that was lost, doubled or swapped shows as a
//! jump at the very byte where it happened. Bytes come from a table, and are checked against it, by
//! whole blocks, because the tests move gigabytes.

use std::fmt;
use std::io::{self, Read, Write};

/// Length of the ramp in bytes.
pub const PERIOD: u64 = 251;

const PERIOD_BYTES: usize = 251;

/// Bytes that one copy or comparison handles at most. A multiple of the period, so that the
/// position in the table only depends on the offset at which a buffer begins.
const BLOCK: usize = PERIOD_BYTES * 261;

/// The ramp, long enough to take a whole block from any position in it.
static TABLE: [u8; BLOCK + PERIOD_BYTES] = table();

/// The place where a stream stopped being the ramp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// Offset in the stream, in bytes.
    pub offset: u64,
    /// The byte that the ramp has there.
    pub expected: u8,
    /// The byte that came.
    pub found: u8,
    /// Bytes by which the stream was found to be ahead of the ramp, from 1 to 250: what a lost
    /// piece leaves behind, modulo the period. Zero if the bytes that follow fit nowhere.
    pub shift: u64,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, expected, found, shift } = self;
        write!(f, "byte {offset} should be {expected:#04x} and is {found:#04x}: ")?;
        match shift {
            0 => f.write_str("what follows is no ramp"),
            shift => write!(f, "the ramp goes on {shift} bytes (modulo 251) too early"),
        }
    }
}

impl std::error::Error for Mismatch {}

/// Writes the ramp from `offset` on into `buf`.
pub fn fill(offset: u64, buf: &mut [u8]) {
    let start = phase(offset);
    for chunk in buf.chunks_mut(BLOCK) {
        chunk.copy_from_slice(&TABLE[start..start + chunk.len()]);
    }
}

/// Checks that `buf` is the ramp from `offset` on.
pub fn verify(offset: u64, buf: &[u8]) -> Result<(), Mismatch> {
    let start = phase(offset);
    for (index, chunk) in buf.chunks(BLOCK).enumerate() {
        let expected = &TABLE[start..start + chunk.len()];
        if chunk != expected {
            return Err(first_mismatch(offset + (index * BLOCK) as u64, chunk, expected));
        }
    }
    Ok(())
}

/// `len` bytes of the ramp, from offset 0.
pub fn bytes(len: usize) -> Vec<u8> {
    let mut all = vec![0; len];
    fill(0, &mut all);
    all
}

fn first_mismatch(offset: u64, chunk: &[u8], expected: &[u8]) -> Mismatch {
    let at = chunk.iter().zip(expected).position(|(found, wanted)| found != wanted).unwrap_or(0);
    let rest = &chunk[at..];
    // Eight bytes name a position beyond doubt; fewer are left only at the end of the buffer.
    let sample = &rest[..rest.len().min(8)];
    let shift = (1..PERIOD)
        .find(|shift| {
            let start = phase(offset + at as u64 + shift);
            sample == &TABLE[start..start + sample.len()]
        })
        .unwrap_or(0);
    Mismatch { offset: offset + at as u64, expected: expected[at], found: chunk[at], shift }
}

/// A reader that gives the first `len` bytes of the ramp and then ends.
#[derive(Debug, Clone)]
pub struct Ramp {
    offset: u64,
    end: u64,
}

impl Ramp {
    /// `len` bytes from offset 0.
    pub fn new(len: u64) -> Self {
        Self { offset: 0, end: len }
    }

    /// Bytes that are still to come.
    pub fn left(&self) -> u64 {
        self.end - self.offset
    }
}

impl Read for Ramp {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.left()).unwrap_or(usize::MAX).min(buf.len());
        fill(self.offset, &mut buf[..len]);
        self.offset += len as u64;
        Ok(len)
    }
}

/// A writer that checks and counts what it is given, from offset 0 on.
///
/// A byte that does not belong there is an error of kind `InvalidData` around a [`Mismatch`].
#[derive(Debug, Clone, Default)]
pub struct RampSink {
    count: u64,
}

impl RampSink {
    /// A sink that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the bytes that came, all of them right.
    pub fn count(&self) -> u64 {
        self.count
    }
}

impl Write for RampSink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        verify(self.count, buf)
            .map_err(|mismatch| io::Error::new(io::ErrorKind::InvalidData, mismatch))?;
        self.count += buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// The remainder is below 251.
#[allow(clippy::cast_possible_truncation)]
fn phase(offset: u64) -> usize {
    (offset % PERIOD) as usize
}

// The remainder is below 251.
#[allow(clippy::cast_possible_truncation)]
const fn table() -> [u8; BLOCK + PERIOD_BYTES] {
    let mut table = [0; BLOCK + PERIOD_BYTES];
    let mut index = 0;
    while index < table.len() {
        table[index] = (index % PERIOD_BYTES) as u8;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_its_offset_modulo_251() {
        for (offset, len) in [(0, 1), (250, 3), (7, BLOCK), (1 << 40, 2 * BLOCK + 17)] {
            let mut buf = vec![0xff; len];
            fill(offset, &mut buf);
            for (index, byte) in buf.iter().enumerate() {
                assert_eq!(u64::from(*byte), (offset + index as u64) % PERIOD);
            }
            assert_eq!(verify(offset, &buf), Ok(()));
        }
    }

    #[test]
    fn a_wrong_byte_is_named() {
        let mut buf = bytes(3 * BLOCK);
        let at = 2 * BLOCK + 5;
        buf[at] ^= 0x80;
        let mismatch = verify(0, &buf).unwrap_err();
        assert_eq!((mismatch.offset, mismatch.shift), (at as u64, 0));
        assert_eq!(mismatch.found, mismatch.expected ^ 0x80);
    }

    #[test]
    fn a_lost_piece_is_told_by_its_length() {
        let mut buf = bytes(1000);
        buf.drain(400..500);
        let mismatch = verify(0, &buf).unwrap_err();
        assert_eq!((mismatch.offset, mismatch.shift), (400, 100));
        assert!(mismatch.to_string().contains("100 bytes (modulo 251) too early"));
    }

    #[test]
    fn reader_and_sink_fit_together() {
        let mut sink = RampSink::new();
        let copied = io::copy(&mut Ramp::new(1_000_003), &mut sink).unwrap();
        assert_eq!((copied, sink.count()), (1_000_003, 1_000_003));
        let error = sink.write_all(&[0xfe]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

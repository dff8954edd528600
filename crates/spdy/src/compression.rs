//! The compression of header blocks: one zlib stream for each direction (section 2.6.10.1).
//!
//! What the peer sends is inflated with a bound. What we send is not compressed: the zlib stream
//! consists of stored blocks (RFC 1951, 3.2.4), which costs ten bytes for each header block and
//! spares a connection a compressor, of some 250 KB. Behind each comes an empty one, as deflate's sync
//! flush would put it there: at that the peer's inflater knows that it has all there is for now.

use flate2::{Decompress, FlushDecompress, Status};

use crate::dictionary;
use crate::error::ConnectionError;

/// Inflates the header blocks of a peer.
#[derive(Debug, Default)]
pub(crate) struct Inflater {
    /// From the first block on: its window has 32 KiB.
    state: Option<Box<Decompress>>,
}

impl Inflater {
    /// Inflates the next block, to at most `most` bytes.
    pub(crate) fn inflate(
        &mut self,
        mut block: &[u8],
        most: usize,
    ) -> Result<Vec<u8>, ConnectionError> {
        let state = self.state.get_or_insert_with(|| Box::new(Decompress::new(true)));
        let mut inflated = Vec::new();
        loop {
            // One byte more than allowed tells that there is more than allowed.
            let room = (inflated.len() + CHUNK).min(most + 1);
            inflated.reserve_exact(room - inflated.len());
            let (before_in, before_out) = (state.total_in(), inflated.len());
            let result = state.decompress_vec(block, &mut inflated, FlushDecompress::Sync);
            let taken = usize::try_from(state.total_in() - before_in).unwrap_or(usize::MAX);
            block = block.get(taken..).unwrap_or_default();
            match result {
                Err(error) if error.needs_dictionary() == Some(dictionary::ID) => {
                    state
                        .set_dictionary(&dictionary::bytes())
                        .map_err(|_| ConnectionError::HeaderBlock("its dictionary is unknown"))?;
                }
                Err(_) => return Err(ConnectionError::HeaderBlock("it is not compressed by zlib")),
                Ok(Status::StreamEnd) => {
                    return Err(ConnectionError::HeaderBlock("its compression ends with it"));
                }
                Ok(Status::Ok | Status::BufError) => {
                    if inflated.len() > most {
                        return Err(ConnectionError::HeaderBlockTooLong(most));
                    }
                    let stands_still = taken == 0 && inflated.len() == before_out;
                    if block.is_empty() && inflated.len() < inflated.capacity() || stands_still {
                        break;
                    }
                }
            }
        }
        if block.is_empty() {
            Ok(inflated)
        } else {
            Err(ConnectionError::HeaderBlock("something follows what is compressed"))
        }
    }
}

/// So much room is made at a time.
const CHUNK: usize = 1024;

/// Packs the header blocks that are sent.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    /// The head of the zlib stream has been sent.
    has_begun: bool,
}

/// CMF and FLG of RFC 1950: deflate, a window of 32 KiB, a dictionary, the fastest of the levels. The
/// two as a number have to be a multiple of 31, and are.
const ZLIB_HEAD: [u8; 2] = [0x78, 0x20];

/// What a stored block holds at most.
const STORED: usize = 0xffff;

impl Packer {
    pub(crate) fn pack(&mut self, block: &[u8]) -> Vec<u8> {
        let mut packed = Vec::with_capacity(block.len() + 16);
        if !std::mem::replace(&mut self.has_begun, true) {
            packed.extend_from_slice(&ZLIB_HEAD);
            packed.extend_from_slice(&dictionary::ID.to_be_bytes());
        }
        for stored in block.chunks(STORED).chain([&[][..]]) {
            // At most STORED.
            let length = u16::try_from(stored.len()).unwrap_or(u16::MAX);
            packed.push(0);
            packed.extend_from_slice(&length.to_le_bytes());
            packed.extend_from_slice(&(!length).to_le_bytes());
            packed.extend_from_slice(stored);
        }
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};
    use proptest::prelude::*;

    const MOST: usize = 100_000;

    fn deflated(state: &mut Compress, block: &[u8]) -> Vec<u8> {
        let mut packed = Vec::with_capacity(2 * block.len() + 100);
        state.compress_vec(block, &mut packed, FlushCompress::Sync).unwrap();
        packed
    }

    fn with_dictionary() -> Compress {
        let mut state = Compress::new(Compression::best(), true);
        assert_eq!(state.set_dictionary(&dictionary::bytes()).unwrap(), dictionary::ID);
        state
    }

    proptest! {
        #[test]
        fn blocks_come_out_as_they_went_in(
            blocks in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..3000), 1..10
            )
        ) {
            let (mut packer, mut stored, mut squeezed) =
                (Packer::default(), Inflater::default(), Inflater::default());
            let mut state = with_dictionary();
            for block in blocks {
                prop_assert_eq!(&stored.inflate(&packer.pack(&block), MOST).unwrap(), &block);
                let packed = deflated(&mut state, &block);
                prop_assert_eq!(&squeezed.inflate(&packed, MOST).unwrap(), &block);
            }
        }

        #[test]
        fn whatever_comes_is_inflated_or_refused(
            blocks in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..300), 1..5
            ),
            begun: bool,
        ) {
            let mut inflater = Inflater::default();
            if begun {
                inflater.inflate(&Packer::default().pack(b"begun"), MOST).unwrap();
            }
            for block in blocks {
                if let Ok(inflated) = inflater.inflate(&block, 500) {
                    prop_assert!(inflated.len() <= 500 && inflated.capacity() <= 501 + CHUNK);
                }
            }
        }
    }

    #[test]
    fn a_bomb_is_found_out_before_it_has_gone_off() {
        let bomb = deflated(&mut with_dictionary(), &vec![b'x'; 50_000_000]);
        assert!(bomb.len() < 100_000);
        let refused = Inflater::default().inflate(&bomb, 5000);
        assert_eq!(refused, Err(ConnectionError::HeaderBlockTooLong(5000)));
    }

    #[test]
    fn blocks_of_any_length_up_to_the_limit_pass() {
        for length in [0, 1, 1023, 1024, 1025, 4999, 5000] {
            let block = vec![7; length];
            let packed = Packer::default().pack(&block);
            assert_eq!(Inflater::default().inflate(&packed, 5000), Ok(block));
        }
        let packed = Packer::default().pack(&[7; 5001]);
        assert!(Inflater::default().inflate(&packed, 5000).is_err());
        let long = vec![1; 200_000];
        assert_eq!(Inflater::default().inflate(&Packer::default().pack(&long), 200_000), Ok(long));
    }

    #[test]
    fn another_dictionary_or_none_is_refused_or_read() {
        let mut other = Compress::new(Compression::best(), true);
        other.set_dictionary(b"something else").unwrap();
        assert!(Inflater::default().inflate(&deflated(&mut other, b"abc"), 100).is_err());
        let mut none = Compress::new(Compression::best(), true);
        assert_eq!(
            Inflater::default().inflate(&deflated(&mut none, b"abc"), 100),
            Ok(b"abc".to_vec())
        );
    }
}

//! The mask of a client's payloads (RFC 6455 section 5.3).

/// Four bytes that a payload is combined with, over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mask(pub(crate) [u8; 4]);

impl Mask {
    /// Masks the next bytes of a payload, or unmasks them, in place.
    pub(crate) fn apply(&mut self, bytes: &mut [u8]) {
        let [a, b, c, d] = self.0;
        let twice = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, rest) = bytes.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ twice).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(self.0.iter().cycle()) {
            *byte ^= key;
        }
        self.0.rotate_left(rest.len() % 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_masked_as_the_whole(
            key in any::<[u8; 4]>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            cuts in proptest::collection::vec(0..20usize, 0..20),
        ) {
            let expected: Vec<_> = (0..).zip(&bytes).map(|(at, byte)| byte ^ key[at % 4]).collect();
            let (mut masked, mut mask) = (bytes, Mask(key));
            let mut rest = &mut masked[..];
            for cut in cuts {
                let (piece, later) = rest.split_at_mut(cut.min(rest.len()));
                mask.apply(piece);
                rest = later;
            }
            mask.apply(rest);
            prop_assert_eq!(masked, expected);
        }
    }
}

//! Base64 of one message, decoded as it comes (RFC 4648 section 4).

/// How far a message is.
///
/// It has the padding that it needs, as upstream asks for; line ends in between are passed over, and
/// what is left of the last digit is not looked at, as upstream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base64 {
    /// So many digits of a group of four, and those of their bits that have not become a byte.
    Digits { have: u8, bits: u8 },
    /// One more `=` is due.
    Padding,
    /// After the padding.
    End,
}

/// Something that is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Base64 {
    /// The beginning of a message.
    pub(crate) const NEW: Self = Self::Digits { have: 0, bits: 0 };

    /// Decodes `text` where it stands: each digit makes one byte at most. Answers the bytes up to where
    /// it is malformed, and whether it is.
    pub(crate) fn decode<'a>(
        &mut self,
        text: &'a mut [u8],
    ) -> (&'a mut [u8], Result<(), Malformed>) {
        let (mut written, mut result) = (0, Ok(()));
        for at in 0..text.len() {
            match self.next(text[at]) {
                Ok(Some(byte)) => {
                    text[written] = byte;
                    written += 1;
                }
                Ok(None) => {}
                Err(malformed) => {
                    result = Err(malformed);
                    break;
                }
            }
        }
        (&mut text[..written], result)
    }

    /// Whether the message may end here.
    pub(crate) fn is_whole(self) -> bool {
        matches!(self, Self::NEW | Self::End)
    }

    fn next(&mut self, byte: u8) -> Result<Option<u8>, Malformed> {
        if matches!(byte, b'\r' | b'\n') {
            return Ok(None);
        }
        let (next, decoded) = match (*self, byte) {
            (Self::Digits { have: 2, .. }, b'=') => (Self::Padding, None),
            (Self::Digits { have: 3, .. } | Self::Padding, b'=') => (Self::End, None),
            (Self::Digits { have, bits }, byte) => {
                let digit = digit(byte).ok_or(Malformed)?;
                match have {
                    0 => (Self::Digits { have: 1, bits: digit }, None),
                    1 => (Self::Digits { have: 2, bits: digit & 15 }, Some(bits << 2 | digit >> 4)),
                    2 => (Self::Digits { have: 3, bits: digit & 3 }, Some(bits << 4 | digit >> 2)),
                    _ => (Self::NEW, Some(bits << 6 | digit)),
                }
            }
            (Self::Padding | Self::End, _) => return Err(Malformed),
        };
        *self = next;
        Ok(decoded)
    }
}

fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{Engine, BASE64_STANDARD};
    use proptest::prelude::*;

    /// What `text` decodes to, in pieces of `piece` bytes; `None` if it is malformed.
    fn decoded(text: &[u8], piece: usize) -> Option<Vec<u8>> {
        let (mut base64, mut bytes) = (Base64::NEW, Vec::new());
        for piece in text.to_vec().chunks_mut(piece) {
            let (decoded, result) = base64.decode(piece);
            bytes.extend_from_slice(decoded);
            result.ok()?;
        }
        base64.is_whole().then_some(bytes)
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_however_it_is_split(
            bytes in proptest::collection::vec(any::<u8>(), 0..50),
            piece in 1..9usize,
        ) {
            let text = BASE64_STANDARD.encode(&bytes);
            prop_assert_eq!(decoded(text.as_bytes(), piece), Some(bytes));
        }

        #[test]
        fn what_is_taken_is_what_another_decoder_takes(
            text in "[AQgw/+=]{0,9}|[A-Za-z0-9+/=_ -]{0,9}",
            piece in 1..9usize,
        ) {
            use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
            let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
            let other = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
            prop_assert_eq!(decoded(text.as_bytes(), piece), other.decode(&text).ok());
        }
    }

    /// Section 10 of the RFC, and a line end.
    #[test]
    fn vectors_of_the_rfc_are_decoded() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
            ("Zm9v\r\nYmFy\n", "foobar"),
        ] {
            assert_eq!(decoded(text.as_bytes(), 1), Some(bytes.into()), "{text}");
        }
        for text in ["Z", "Zg", "Zg=", "Zm8", "=", "Zg==Zg==", "Zg=a", "Zm9v=", "Zg-_"] {
            assert_eq!(decoded(text.as_bytes(), 1), None, "{text}");
        }
    }
}

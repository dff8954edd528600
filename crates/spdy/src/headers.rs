//! The names and values of a header block (section 2.6.10 of the draft).

use crate::error::ConnectionError;
use crate::limits::Limits;

/// Headers in the order in which they were sent. Names are lower case; a name that has several values
/// has them in one, joined by NUL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of the header with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(each, _)| *each == name).map(|(_, value)| value)
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Reads an inflated block.
    pub(crate) fn parse(mut block: &[u8], limits: &Limits) -> Result<Self, ConnectionError> {
        let short = ConnectionError::HeaderBlock("it ends in the middle");
        let count = take_length(&mut block).ok_or_else(|| short.clone())?;
        if count > limits.headers {
            return Err(ConnectionError::HeaderBlock("it has too many headers"));
        }
        let mut headers: Vec<(String, String)> = Vec::with_capacity(count);
        for _ in 0..count {
            let name = take_text(&mut block).ok_or_else(|| short.clone())?;
            let value = take_text(&mut block).ok_or_else(|| short.clone())?;
            let name = String::from_utf8(name.to_vec())
                .map_err(|_| ConnectionError::HeaderBlock("a name is not text"))?;
            if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return Err(ConnectionError::HeaderBlock("a name is empty or has upper case"));
            }
            if headers.iter().any(|(each, _)| *each == name) {
                return Err(ConnectionError::HeaderBlock("a name stands twice"));
            }
            headers.push((name, String::from_utf8_lossy(value).into_owned()));
        }
        if !block.is_empty() {
            return Err(ConnectionError::HeaderBlock("something follows the last header"));
        }
        Ok(Self(headers))
    }

    /// The block that says `headers`, before it is compressed.
    pub(crate) fn block(headers: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        push_length(&mut block, headers.len());
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            push_length(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
        block
    }
}

fn take_length(block: &mut &[u8]) -> Option<usize> {
    let (length, rest) = block.split_first_chunk()?;
    *block = rest;
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

fn take_text<'a>(block: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(block)?;
    let (text, rest) = block.split_at_checked(length)?;
    *block = rest;
    Some(text)
}

fn push_length(block: &mut Vec<u8>, length: usize) {
    block.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            headers in proptest::collection::btree_map("[a-z0-9-]{1,9}", ".{0,20}", 0..20)
        ) {
            let pairs: Vec<_> = headers.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            let read = Headers::parse(&Headers::block(&pairs), &Limits::default()).unwrap();
            prop_assert_eq!(read.iter().collect::<Vec<_>>(), pairs);
        }

        #[test]
        fn whatever_comes_is_read_or_refused(block in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(headers) = Headers::parse(&block, &Limits::default()) {
                prop_assert!(headers.0.len() <= Limits::default().headers);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let whole = Headers::block(&[("a", "1"), ("b", "2")]);
        let twice = Headers::block(&[("a", "1"), ("a", "2")]);
        let upper = Headers::block(&[("A", "1")]);
        let nameless = Headers::block(&[("", "1")]);
        let longer = [&whole[..], b"x"].concat();
        let endless = [255; 12].to_vec();
        let limits = Limits { headers: 2, ..Limits::default() };
        assert!(Headers::parse(&whole, &limits).is_ok());
        let cuts = (0..whole.len()).map(|cut| whole[..cut].to_vec());
        for wrong in cuts.chain([twice, upper, nameless, longer, endless]) {
            assert!(Headers::parse(&wrong, &limits).is_err(), "{wrong:?}");
        }
        let fewer = Limits { headers: 1, ..limits };
        assert!(Headers::parse(&whole, &fewer).is_err());
    }
}

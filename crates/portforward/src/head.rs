//! The head of a request: gathered as it comes, in whatever pieces, and read once it is whole.

use httparse::{Status, EMPTY_HEADER};

/// The longest head, in bytes: kubectl's has some 400, with a token of a service account 2000.
pub(crate) const LONGEST: usize = 16 << 10;

/// The most headers: kubectl sends eight.
const MOST_HEADERS: usize = 64;

/// Bytes that were received and not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Received {
    bytes: Vec<u8>,
    /// No head ends within the first so many.
    searched: usize,
}

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// The path and what follows it, as it was sent.
    pub(crate) target: String,
    /// HTTP/1.1, which keeps connections, and not 1.0.
    pub(crate) is_current: bool,
    /// Names in lower case, and values that are text.
    headers: Vec<(String, String)>,
}

/// Why a head cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("the head of the request is longer than {LONGEST} bytes")]
    TooLong,
    #[error("this is not a request of HTTP/1.1: {0}")]
    Malformed(httparse::Error),
}

impl Received {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes everything.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.searched = 0;
        std::mem::take(&mut self.bytes)
    }

    /// Takes the head that is in front; `None` if it is not whole yet. What follows it stays.
    pub(crate) fn head(&mut self) -> Result<Option<Head>, HeadError> {
        // A head is read once, however many pieces it comes in: its end is looked for in what is new.
        let from = self.searched.saturating_sub(END);
        let ends = |at: usize| {
            self.bytes[..=at].ends_with(b"\n\r\n") || self.bytes[..=at].ends_with(b"\n\n")
        };
        if !(from..self.bytes.len()).any(ends) {
            self.searched = self.bytes.len();
            return if self.len() > LONGEST { Err(HeadError::TooLong) } else { Ok(None) };
        }
        let mut headers = [EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(&self.bytes).map_err(HeadError::Malformed)? {
            Status::Complete(length) if length > LONGEST => return Err(HeadError::TooLong),
            Status::Complete(length) => length,
            // An empty line in front of the request.
            Status::Partial => {
                self.searched = self.bytes.len();
                return if self.len() > LONGEST { Err(HeadError::TooLong) } else { Ok(None) };
            }
        };
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let headers = request.headers.iter().map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase(), value)
        });
        let head = Head {
            method: text(request.method),
            target: text(request.path),
            is_current: request.version == Some(1),
            headers: headers.collect(),
        };
        self.bytes.drain(..length);
        self.searched = 0;
        Ok(Some(head))
    }
}

/// What ends a head is no longer than this.
const END: usize = 3;

impl Head {
    /// The values of a header, in their order. `name` is in lower case.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// Whether a header has this word among its values, which are separated by commas.
    pub(crate) fn has(&self, name: &str, word: &str) -> bool {
        self.words(name).any(|each| each.eq_ignore_ascii_case(word))
    }

    /// The words of a header's values.
    pub(crate) fn words<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values(name).flat_map(|value| value.split(',')).map(str::trim)
    }

    /// Whether a body follows.
    pub(crate) fn has_body(&self) -> bool {
        self.values("transfer-encoding").next().is_some()
            || self.values("content-length").any(|length| length.trim() != "0")
    }

    /// Whether the client wants the connection to be kept after the answer.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_current && !self.has("connection", "close")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REQUEST: &[u8] =
        b"POST /api/v1/x?a=b HTTP/1.1\r\nHost: a\r\nX-Stream-Protocol-Version: v1\r\n\
        x-stream-protocol-version: v2, v3\r\nContent-Length: 0\r\n\r\nrest";

    proptest! {
        #[test]
        fn however_it_is_cut_it_is_the_same(cuts in proptest::collection::vec(1usize..40, 1..200)) {
            let mut received = Received::default();
            let (mut rest, mut cuts, mut got) = (REQUEST, cuts.into_iter().cycle(), None);
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(cuts.next().unwrap()));
                received.push(now);
                rest = later;
                let head = received.head().unwrap();
                got = got.or(head);
            }
            let head = got.unwrap();
            prop_assert_eq!(head.target.as_str(), "/api/v1/x?a=b");
            let words: Vec<_> = head.words("x-stream-protocol-version").collect();
            prop_assert_eq!(words, ["v1", "v2", "v3"]);
            prop_assert!(!head.has_body() && head.is_kept());
            prop_assert_eq!(received.take(), b"rest");
        }

        #[test]
        fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut received = Received::default();
            received.push(&bytes);
            received.push(b"\r\n\r\n");
            let _ = received.head();
        }
    }

    #[test]
    fn heads_are_bounded() {
        let mut received = Received::default();
        received.push(&vec![b'a'; LONGEST]);
        assert_eq!(received.head(), Ok(None));
        received.push(b"a");
        assert_eq!(received.head(), Err(HeadError::TooLong));
        let mut received = Received::default();
        received.push(b"GET / HTTP/1.1\r\n");
        received.push("a: b\r\n".repeat(MOST_HEADERS + 1).as_bytes());
        received.push(b"\r\n");
        assert_eq!(received.head(), Err(HeadError::Malformed(httparse::Error::TooManyHeaders)));
        let mut received = Received::default();
        received.push(format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(LONGEST)).as_bytes());
        assert_eq!(received.head(), Err(HeadError::TooLong));
    }

    #[test]
    fn a_body_is_seen() {
        for (header, has_body) in [
            ("Content-Length: 0", false),
            ("Content-Length: 1", true),
            ("Content-Length: -", true),
            ("Transfer-Encoding: chunked", true),
            ("Host: a", false),
        ] {
            let mut received = Received::default();
            received.push(format!("POST / HTTP/1.1\r\n{header}\r\n\r\n").as_bytes());
            assert_eq!(received.head().unwrap().unwrap().has_body(), has_body, "{header}");
        }
    }
}

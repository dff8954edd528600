//! What indexes stand for: 61 headers of the RFC, then those of the connection (RFC 7541, section
//! 2.3).

use std::collections::VecDeque;

use crate::hpack::{size_of, Field, HpackError};

/// The headers of the connection, newest first, and no more of them than their sizes allow.
#[derive(Debug)]
pub(super) struct Table {
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    size: usize,
    most: usize,
}

impl Table {
    pub(super) fn new(most: usize) -> Self {
        Self { entries: VecDeque::new(), size: 0, most }
    }

    /// Name and value behind an index, which counts from 1.
    pub(super) fn get(&self, index: u32) -> Result<(&[u8], &[u8]), HpackError> {
        let none = HpackError::Index(index);
        let place = usize::try_from(index).ok().and_then(|at| at.checked_sub(1)).ok_or(none)?;
        if let Some((name, value)) = STATIC.get(place) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let (name, value) = self.entries.get(place - STATIC.len()).ok_or(none)?;
        Ok((name, value))
    }

    /// Puts a header before the others. One that is larger than the table empties it.
    pub(super) fn insert(&mut self, field: &Field) {
        let size = field.size();
        self.shrink_to(self.most.saturating_sub(size));
        if size <= self.most {
            self.size += size;
            self.entries.push_front((field.name.clone(), field.value.clone()));
        }
    }

    /// Changes how large it may become.
    pub(super) fn resize(&mut self, most: usize) {
        self.most = most;
        self.shrink_to(most);
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn shrink_to(&mut self, most: usize) {
        while self.size > most {
            let Some((name, value)) = self.entries.pop_back() else { return };
            self.size -= size_of(&name, &value);
        }
    }
}

/// The index of a header that everybody knows.
pub(super) fn static_index(name: &[u8], value: &[u8]) -> Option<usize> {
    STATIC
        .iter()
        .position(|(each, has)| each.as_bytes() == name && has.as_bytes() == value)
        .map(|place| place + 1)
}

/// Appendix A.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"),
    (":path", "/index.html"), (":scheme", "http"), (":scheme", "https"), (":status", "200"),
    (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
    (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""),
    ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""),
    ("authorization", ""), ("cache-control", ""), ("content-disposition", ""),
    ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""),
    ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""),
    ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
    ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""),
    ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""),
    ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""),
    ("set-cookie", ""), ("strict-transport-security", ""), ("transfer-encoding", ""),
    ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
];

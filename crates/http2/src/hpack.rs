//! HPACK (RFC 7541): header lists in and out of header blocks.
//!
//! Decoding does all of the RFC, within bounds: the table holds what was allowed, a list what the
//! owner takes. Encoding is one form out of many: what the static table has is named by its index,
//! and all else is a literal that neither side's table remembers and that is not compressed. So an
//! encoder has no table, and blocks of different origins can be sent on one connection.

use std::fmt;

mod decoder;
mod encoder;
mod huffman;
mod integer;
mod table;

pub use decoder::Decoder;
pub use encoder::Encoder;

/// A header.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The name.
    pub name: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// Whether nobody on the way may put it into a table (section 6.2.3).
    pub never_indexed: bool,
}

impl Field {
    /// A header that may be indexed.
    pub fn new(name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: value.into(), never_indexed: false }
    }

    /// What it counts for in a table or a list, in bytes (section 4.1).
    pub fn size(&self) -> usize {
        size_of(&self.name, &self.value)
    }
}

fn size_of(name: &[u8], value: &[u8]) -> usize {
    name.len() + value.len() + OVERHEAD
}

/// What an entry counts for beside its name and value.
const OVERHEAD: usize = 32;

impl fmt::Debug for Field {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.never_indexed { " (never indexed)" } else { "" };
        write!(to, "{}: {}{mark}", self.name.escape_ascii(), self.value.escape_ascii())
    }
}

/// Why a header block cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HpackError {
    /// The block ends in the middle of a header.
    #[error("it ends in the middle of a header")]
    Truncated,
    /// A number is larger than 32 bits, or longer than such a number is.
    #[error("a number in it is too large")]
    Integer,
    /// An index is not in the tables.
    #[error("index {0} is not in the tables")]
    Index(u32),
    /// A compressed string has the end-of-string code in it, or is not padded with the beginning of
    /// it.
    #[error("a string in it is not compressed as it should be")]
    Huffman,
    /// The size of the table would be larger than was allowed.
    #[error("it makes the table {asked} bytes large, and {allowed} are allowed")]
    TableSize {
        /// The size that the block asks for.
        asked: u32,
        /// What was allowed.
        allowed: u32,
    },
    /// The size of the table is changed after a header.
    #[error("it changes the size of the table after a header")]
    TableSizeLate,
    /// The headers are larger than the limit in bytes. The block was read to its end all the same,
    /// and the decoder can go on with the next.
    #[error("the headers in it are larger than {0} bytes")]
    ListTooLong(usize),
}

#[cfg(test)]
mod tests;

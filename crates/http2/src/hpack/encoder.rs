//! Header lists into header blocks that touch no table.

use crate::hpack::table::static_index;
use crate::hpack::{integer, Field};

/// The encoder of one direction of a connection. Every block of that direction has to come from it.
#[derive(Debug)]
pub struct Encoder {
    says_size: bool,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder that says in its first block that it keeps nothing.
    pub fn new() -> Self {
        Self { says_size: true }
    }

    /// Notes that the peer has sent a `SETTINGS_HEADER_TABLE_SIZE`: the block after its
    /// acknowledgement has to say a size that is not larger (RFC 9113, section 4.3.1), and it says
    /// nothing at all.
    pub fn table_size_announced(&mut self) {
        self.says_size = true;
    }

    /// Encodes a list.
    pub fn encode<'a>(&mut self, list: impl IntoIterator<Item = &'a Field>) -> Vec<u8> {
        let mut block = Vec::new();
        if std::mem::take(&mut self.says_size) {
            integer::push(&mut block, 0x20, 5, 0);
        }
        for field in list {
            let index = static_index(&field.name, &field.value).filter(|_| !field.never_indexed);
            if let Some(index) = index {
                integer::push(&mut block, 0x80, 7, index);
                continue;
            }
            block.push(if field.never_indexed { 0x10 } else { 0 });
            for string in [&field.name, &field.value] {
                integer::push(&mut block, 0, 7, string.len());
                block.extend_from_slice(string);
            }
        }
        block
    }
}

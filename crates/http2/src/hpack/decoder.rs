//! Header blocks into header lists.

use crate::hpack::table::Table;
use crate::hpack::{huffman, integer, Field, HpackError};

/// The decoder of one direction of a connection. Every block of that direction has to go through
/// it, in order, whether anybody wants it or not.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    allowed: u32,
    max_list: usize,
}

impl Decoder {
    /// A decoder that lets the peer keep `table` bytes, [`crate::DEFAULT_HEADER_TABLE`] if nothing
    /// else was said to it, and takes lists of up to `max_list` bytes. Sizes are those of RFC 7541,
    /// section 4.1; memory is about three times as much.
    pub fn new(table: u32, max_list: usize) -> Self {
        Self { table: Table::new(to_usize(table)), allowed: table, max_list }
    }

    /// Changes what the peer may keep, once it has acknowledged `SETTINGS_HEADER_TABLE_SIZE`. A
    /// table that is larger stays until the peer shrinks it, as it has to at the start of its next
    /// block.
    pub fn allow_table(&mut self, bytes: u32) {
        self.allowed = bytes;
    }

    /// How much the peer keeps, in bytes.
    pub fn table_size(&self) -> usize {
        self.table.size()
    }

    /// Decodes a whole block.
    ///
    /// # Errors
    /// When it is not one, after which nothing that follows on the connection can be decoded; only
    /// after [`HpackError::ListTooLong`] it can.
    pub fn decode(&mut self, mut block: &[u8]) -> Result<Vec<Field>, HpackError> {
        let (mut list, mut size) = (Vec::new(), 0usize);
        let mut is_first = true;
        while let Some(first) = block.first() {
            if first & 0xe0 == 0x20 {
                self.resize(&mut block, is_first)?;
                continue;
            }
            is_first = false;
            let field = self.field(&mut block, *first)?;
            size = size.saturating_add(field.size());
            if size <= self.max_list {
                list.push(field);
            } else {
                // The rest counts for the table alone.
                list = Vec::new();
            }
        }
        if size > self.max_list {
            return Err(HpackError::ListTooLong(self.max_list));
        }
        Ok(list)
    }

    /// Section 6.3, and 4.2 for where it may stand.
    fn resize(&mut self, block: &mut &[u8], is_first: bool) -> Result<(), HpackError> {
        let asked = integer::take(block, 5)?;
        if !is_first {
            return Err(HpackError::TableSizeLate);
        }
        if asked > self.allowed {
            return Err(HpackError::TableSize { asked, allowed: self.allowed });
        }
        self.table.resize(to_usize(asked));
        Ok(())
    }

    /// Sections 6.1 and 6.2.
    fn field(&mut self, block: &mut &[u8], first: u8) -> Result<Field, HpackError> {
        if first & 0x80 != 0 {
            let (name, value) = self.table.get(integer::take(block, 7)?)?;
            return Ok(Field::new(name, value));
        }
        let is_indexed = first & 0x40 != 0;
        let never_indexed = !is_indexed && first & 0x10 != 0;
        let index = integer::take(block, if is_indexed { 6 } else { 4 })?;
        let name = match index {
            0 => string(block)?,
            _ => self.table.get(index)?.0.to_vec(),
        };
        let field = Field { name, value: string(block)?, never_indexed };
        if is_indexed {
            self.table.insert(&field);
        }
        Ok(field)
    }
}

/// Section 5.2.
fn string(block: &mut &[u8]) -> Result<Vec<u8>, HpackError> {
    let first = *block.first().ok_or(HpackError::Truncated)?;
    let length = to_usize(integer::take(block, 7)?);
    let (bytes, rest) = block.split_at_checked(length).ok_or(HpackError::Truncated)?;
    *block = rest;
    if first & 0x80 == 0 {
        Ok(bytes.to_vec())
    } else {
        huffman::decode(bytes)
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

//! Protocol buffers, as much of them as a few messages need: fields are read where they lie, and
//! nothing is built of those that nobody wants.
//!
//! So a message takes no more memory than its bytes, whatever is in it, where generated types can
//! take a hundred times as much. Fields that are not known are passed over; one of the wrong type
//! is an error that names the message and the field (protobuf.dev/programming-guides/encoding).

/// Reads the fields of a message, in the order in which they come.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    name: &'static str,
    rest: &'a [u8],
}

/// A field of a message.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Its number.
    pub number: u32,
    message: &'static str,
    value: Value<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes, of which no message here has any.
    Fixed,
}

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// It is no sequence of fields.
    #[error("{message} is malformed: {what}")]
    Malformed {
        /// The message.
        message: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// A field has another type than it should have.
    #[error("{message}.{field} (field {number}) is {is} where {wanted} is wanted")]
    Type {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
        /// The field's number.
        number: u32,
        /// What it is.
        is: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A field that has to be there is not.
    #[error("{message}.{field} is missing")]
    Missing {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
    /// There are more of something than there can be.
    #[error("{message}.{field} has more than {most} entries")]
    TooMany {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
        /// The limit.
        most: usize,
    },
}

impl<'a> Message<'a> {
    /// The message in `bytes`, whose type is called `name`.
    pub fn new(name: &'static str, bytes: &'a [u8]) -> Self {
        Self { name, rest: bytes }
    }

    /// The next field; `None` at the end.
    ///
    /// # Errors
    /// When what follows is no field.
    #[allow(clippy::should_implement_trait)] // An iterator would go on after an error.
    pub fn next(&mut self) -> Result<Option<Field<'a>>, ProtobufError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..=LARGEST).contains(number));
        let number = number.ok_or_else(|| self.malformed("a field has no possible number"))?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(self.malformed("a field has no possible type")),
        };
        Ok(Some(Field { number, message: self.name, value }))
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0;
        for place in 0..10 {
            let [byte] = *self.take(1)? else { break };
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has one bit left.
            if place == 9 && bits > 1 {
                break;
            }
            value |= bits << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed("a number is too large"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| self.malformed("it ends in the middle of a field"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn malformed(&self, what: &'static str) -> ProtobufError {
        ProtobufError::Malformed { message: self.name, what }
    }
}

impl<'a> Field<'a> {
    /// Its bytes, if it is called `name` and is of bytes.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn bytes(&self, name: &'static str) -> Result<&'a [u8], ProtobufError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong(name, "bytes")),
        }
    }

    /// Its text.
    ///
    /// # Errors
    /// When it is of another type, or not UTF-8.
    pub fn text(&self, name: &'static str) -> Result<&'a str, ProtobufError> {
        match self.value {
            Value::Bytes(bytes) => std::str::from_utf8(bytes)
                .map_err(|_| self.wrong_from("bytes that are no text", name, "text")),
            _ => Err(self.wrong(name, "text")),
        }
    }

    /// The message of the type `kind` in it.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn message(
        &self,
        name: &'static str,
        kind: &'static str,
    ) -> Result<Message<'a>, ProtobufError> {
        match self.value {
            Value::Bytes(bytes) => Ok(Message::new(kind, bytes)),
            _ => Err(self.wrong(name, "a message")),
        }
    }

    /// Its number, as a signed one where it can be that.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn number(&self, name: &'static str) -> Result<u64, ProtobufError> {
        match self.value {
            Value::Number(number) => Ok(number),
            _ => Err(self.wrong(name, "a number")),
        }
    }

    fn wrong(&self, name: &'static str, wanted: &'static str) -> ProtobufError {
        let is = match self.value {
            Value::Number(_) => "a number",
            Value::Bytes(_) => "text, bytes or a message",
            Value::Fixed => "a number of fixed length",
        };
        self.wrong_from(is, name, wanted)
    }

    fn wrong_from(
        &self,
        is: &'static str,
        field: &'static str,
        wanted: &'static str,
    ) -> ProtobufError {
        let (message, number) = (self.message, self.number);
        ProtobufError::Type { message, field, number, is, wanted }
    }
}

/// Key and value of an entry of a map from text to text.
///
/// # Errors
/// When it is no such entry.
pub fn map_entry<'a>(
    field: Field<'a>,
    name: &'static str,
) -> Result<(&'a str, &'a str), ProtobufError> {
    let mut entry = field.message(name, "an entry of a map")?;
    let (mut key, mut value) = ("", "");
    while let Some(field) = entry.next()? {
        match field.number {
            1 => key = field.text("key")?,
            2 => value = field.text("value")?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Writes a message, field by field. What is empty or 0 is left out, as it is the value of what is
/// absent.
#[derive(Debug, Default, Clone)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A message without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a field of text.
    #[must_use]
    pub fn text(self, number: u32, text: &str) -> Self {
        if text.is_empty() {
            return self;
        }
        self.bytes(number, text.as_bytes())
    }

    /// With a field of a number, or of a Boolean value.
    #[must_use]
    pub fn number(mut self, number: u32, value: impl Into<u64>) -> Self {
        let value = value.into();
        if value != 0 {
            self.varint(u64::from(number) << 3);
            self.varint(value);
        }
        self
    }

    /// With a field of a message, also if that is empty.
    #[must_use]
    pub fn message(self, number: u32, message: Self) -> Self {
        self.bytes(number, &message.0)
    }

    /// With an entry of a map from text to text.
    #[must_use]
    pub fn map_entry(self, number: u32, key: &str, value: &str) -> Self {
        self.message(number, Self::new().text(1, key).text(2, value))
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn bytes(mut self, number: u32, bytes: &[u8]) -> Self {
        self.varint(u64::from(number) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn varint(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.0.push(low & 0x7f);
                return;
            }
            self.0.push(low | 0x80);
        }
    }
}

/// The largest number of a field.
const LARGEST: u32 = (1 << 29) - 1;

#[cfg(test)]
mod tests;

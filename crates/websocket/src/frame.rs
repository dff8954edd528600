//! The head of a frame, two to fourteen bytes (RFC 6455 section 5.2).

use std::ops::Deref;

use crate::error::ConnectionError;
use crate::mask::Mask;

/// The longest payload of a control frame, in bytes (section 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// Lengths that say where the length stands: in the two or eight bytes that follow.
const IN_TWO: u8 = 126;
const IN_EIGHT: u8 = 127;

/// The bytes that say how long the head is.
const START: usize = 2;
const LONGEST: usize = START + 8 + 4;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn parse(number: u8) -> Result<Self, ConnectionError> {
        Ok(match number {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(ConnectionError::Opcode(number)),
        })
    }

    fn number(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// What the head of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    pub(crate) mask: Option<Mask>,
    pub(crate) length: u64,
}

/// The bytes of a head, and of what stands before the data in the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    bytes: [u8; LONGEST + 1],
    length: usize,
}

impl FrameHead {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// This head, and the byte that stands before the data.
    pub(crate) fn with(mut self, byte: u8) -> Self {
        self.push(&[byte]);
        self
    }
}

impl Deref for FrameHead {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Head {
    /// The bytes that say this, with the length in the shortest way.
    pub(crate) fn bytes(&self) -> FrameHead {
        let mut head = FrameHead { bytes: [0; LONGEST + 1], length: 0 };
        let first = self.opcode.number() | if self.fin { FIN } else { 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        match (u8::try_from(self.length), u16::try_from(self.length)) {
            (Ok(length), _) if length < IN_TWO => head.push(&[first, masked | length]),
            (_, Ok(length)) => {
                head.push(&[first, masked | IN_TWO]);
                head.push(&length.to_be_bytes());
            }
            _ => {
                head.push(&[first, masked | IN_EIGHT]);
                head.push(&self.length.to_be_bytes());
            }
        }
        if let Some(Mask(key)) = &self.mask {
            head.push(key);
        }
        head
    }
}

/// The head of a server's binary message with `length` bytes, which follow it. For whoever writes both
/// with one call and no copy, and has not got the [`crate::Socket`] at hand, whose
/// [`begin_data`](crate::Socket::begin_data) knows whether the connection is still open.
pub fn data_head(length: usize) -> FrameHead {
    Head { fin: true, opcode: Opcode::Binary, mask: None, length: length as u64 }.bytes()
}

/// Which of a connection's ends sends masked frames: the client does, and the server must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
}

/// A head that is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadReader {
    bytes: [u8; LONGEST],
    have: usize,
}

impl HeadReader {
    /// Nothing read so far.
    pub(crate) const NEW: Self = Self { bytes: [0; LONGEST], have: 0 };

    /// How many bytes are still needed, as far as is known; 0 if the head is whole.
    pub(crate) fn missing(&self) -> usize {
        let needed = if self.have < START { START } else { self.length() };
        needed - self.have
    }

    /// Takes in bytes, as many as are [`HeadReader::missing`] at most.
    ///
    /// What is wrong is seen at the same byte however they are split.
    pub(crate) fn take(&mut self, bytes: &[u8], sender: Sender) -> Result<(), ConnectionError> {
        let before = self.have;
        self.bytes[before..before + bytes.len()].copy_from_slice(bytes);
        self.have += bytes.len();
        if before < START && self.have >= START {
            self.check_start(sender)?;
        }
        Ok(())
    }

    fn check_start(&self, sender: Sender) -> Result<(), ConnectionError> {
        let [first, second, ..] = self.bytes;
        if first & RESERVED != 0 {
            return Err(ConnectionError::Reserved);
        }
        let opcode = Opcode::parse(first & !(FIN | RESERVED))?;
        match (sender, second & MASKED != 0) {
            (Sender::Client, false) => return Err(ConnectionError::Unmasked),
            (Sender::Server, true) => return Err(ConnectionError::Masked),
            (Sender::Client, true) | (Sender::Server, false) => {}
        }
        if opcode.is_control() && first & FIN == 0 {
            return Err(ConnectionError::ControlFragmented);
        }
        if opcode.is_control() && usize::from(second & !MASKED) > MAX_CONTROL {
            return Err(ConnectionError::ControlTooLong);
        }
        Ok(())
    }

    /// How long the head is, when its start is there.
    fn length(&self) -> usize {
        let length = match self.bytes[1] & !MASKED {
            IN_TWO => 2,
            IN_EIGHT => 8,
            _ => 0,
        };
        START + length + if self.bytes[1] & MASKED != 0 { 4 } else { 0 }
    }

    /// What a whole head says.
    pub(crate) fn head(&self) -> Result<Head, ConnectionError> {
        let [first, second, a, b, c, d, e, f, g, h, ..] = self.bytes;
        let length = match second & !MASKED {
            IN_TWO => {
                let length = u64::from(u16::from_be_bytes([a, b]));
                if length < u64::from(IN_TWO) {
                    return Err(ConnectionError::LengthNotShortest(length));
                }
                length
            }
            IN_EIGHT => {
                let length = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                if length > u64::MAX >> 1 {
                    return Err(ConnectionError::LengthTooHigh);
                }
                if length <= u64::from(u16::MAX) {
                    return Err(ConnectionError::LengthNotShortest(length));
                }
                length
            }
            length => u64::from(length),
        };
        let key = self.bytes[..self.have].last_chunk().filter(|_| second & MASKED != 0);
        Ok(Head {
            fin: first & FIN != 0,
            opcode: Opcode::parse(first & !(FIN | RESERVED))?,
            mask: key.map(|key| Mask(*key)),
            length,
        })
    }
}

#[cfg(test)]
mod tests;

//! The head of a frame: nine bytes (RFC 9113, section 4.1).

use std::fmt;

/// The length of the head of a frame, in bytes.
pub const HEAD: usize = 9;

/// The longest payload that a frame can have, in bytes: its length has 24 bits.
pub const MAX_PAYLOAD: usize = (1 << 24) - 1;

/// The longest payload that every peer takes, in bytes, and the longest it may send until the other
/// has announced more (`SETTINGS_MAX_FRAME_SIZE`).
pub const DEFAULT_MAX_PAYLOAD: usize = 1 << 14;

/// The number of a stream, 31 bits. A client's are odd and rise, a server's are even.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

impl StreamId {
    /// The connection as a whole.
    pub const CONNECTION: Self = Self(0);

    /// The largest number.
    pub const MOST: u32 = (1 << 31) - 1;

    /// The number in these four bytes, without the reserved bit.
    pub fn of(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes) & Self::MOST)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(to)
    }
}

/// The type of a frame. There are others than those named here; whoever does not know one ignores
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(pub u8);

impl Kind {
    /// Bytes of a message.
    pub const DATA: Self = Self(0);
    /// Begins a header block.
    pub const HEADERS: Self = Self(1);
    /// A priority, which RFC 9113 has deprecated.
    pub const PRIORITY: Self = Self(2);
    /// Ends a stream at once.
    pub const RST_STREAM: Self = Self(3);
    /// How the sender wants to be spoken to.
    pub const SETTINGS: Self = Self(4);
    /// Begins a header block of a stream that the sender is going to open.
    pub const PUSH_PROMISE: Self = Self(5);
    /// Asks for an answer.
    pub const PING: Self = Self(6);
    /// Announces the end of the connection.
    pub const GOAWAY: Self = Self(7);
    /// Lets the other side send more.
    pub const WINDOW_UPDATE: Self = Self(8);
    /// Continues a header block.
    pub const CONTINUATION: Self = Self(9);
}

impl fmt::Display for Kind {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0)) {
            Some(name) => to.write_str(name),
            None => write!(to, "type {}", self.0),
        }
    }
}

const NAMES: [&str; 10] = [
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
];

/// Flags of frames.
pub mod flag {
    /// Nothing follows from the sender on this stream (`DATA`, `HEADERS`).
    pub const END_STREAM: u8 = 1;
    /// An answer (`SETTINGS`, `PING`).
    pub const ACK: u8 = 1;
    /// The header block is whole (`HEADERS`, `PUSH_PROMISE`, `CONTINUATION`).
    pub const END_HEADERS: u8 = 4;
    /// A length of padding comes first, the padding last (`DATA`, `HEADERS`, `PUSH_PROMISE`).
    pub const PADDED: u8 = 8;
    /// A priority comes before the block (`HEADERS`).
    pub const PRIORITY: u8 = 0x20;
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The length of the payload, in bytes; at most [`MAX_PAYLOAD`].
    pub length: usize,
    /// The type.
    pub kind: Kind,
    /// The flags, whose meaning depends on the type.
    pub flags: u8,
    /// The stream it is of.
    pub stream: StreamId,
}

impl Head {
    /// Reads a head. Any nine bytes are one.
    pub fn parse(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, d, e, f, g] = bytes;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        Self { length, kind: Kind(kind), flags, stream: StreamId::of([d, e, f, g]) }
    }

    /// The bytes of the head. A length over [`MAX_PAYLOAD`], which no frame has, is written as
    /// that.
    pub fn bytes(self) -> [u8; HEAD] {
        let [.., a, b, c] = (self.length.min(MAX_PAYLOAD) as u64).to_be_bytes();
        let [d, e, f, g] = (self.stream.0 & StreamId::MOST).to_be_bytes();
        [a, b, c, self.kind.0, self.flags, d, e, f, g]
    }

    /// Whether a flag is set.
    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            length in 0..=MAX_PAYLOAD,
            (kind, flags) in any::<(u8, u8)>(),
            stream in 0..=StreamId::MOST,
        ) {
            let head = Head { length, kind: Kind(kind), flags, stream: StreamId(stream) };
            prop_assert_eq!(Head::parse(head.bytes()), head);
        }
    }

    #[test]
    fn heads_are_those_of_the_rfc_and_the_reserved_bit_is_ignored() {
        let head = Head { length: 0x1_0203, kind: Kind::PING, flags: 1, stream: StreamId(7) };
        assert_eq!(head.bytes(), [1, 2, 3, 6, 1, 0, 0, 0, 7]);
        assert_eq!(Head::parse([1, 2, 3, 6, 1, 0x80, 0, 0, 7]), head);
        assert_eq!(Kind::CONTINUATION.to_string(), "CONTINUATION");
        assert_eq!(Kind(77).to_string(), "type 77");
    }
}

//! The head of a frame, eight bytes.

use crate::streams::StreamId;

/// The longest payload of a frame, in bytes: its length has 24 bits.
pub const MAX_PAYLOAD: usize = (1 << 24) - 1;

pub(crate) const HEAD: usize = 8;

pub(crate) const FLAG_FIN: u8 = 1;
pub(crate) const FLAG_UNIDIRECTIONAL: u8 = 2;

pub(crate) const VERSION: u16 = 3;

const CONTROL: u16 = 0x8000;

/// Types of control frames.
pub(crate) mod kind {
    pub(crate) const SYN_STREAM: u16 = 1;
    pub(crate) const SYN_REPLY: u16 = 2;
    pub(crate) const RST_STREAM: u16 = 3;
    pub(crate) const SETTINGS: u16 = 4;
    pub(crate) const PING: u16 = 6;
    pub(crate) const GOAWAY: u16 = 7;
    pub(crate) const HEADERS: u16 = 8;
    pub(crate) const WINDOW_UPDATE: u16 = 9;
}

/// What the head of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    Control { version: u16, kind: u16, flags: u8, length: usize },
    Data { stream: StreamId, flags: u8, length: usize },
}

impl Head {
    pub(crate) fn parse(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, d, flags, e, f, g] = bytes;
        let length = usize::from(e) << 16 | usize::from(f) << 8 | usize::from(g);
        let first = u16::from_be_bytes([a, b]);
        if first & CONTROL != 0 {
            let (version, kind) = (first & !CONTROL, u16::from_be_bytes([c, d]));
            Self::Control { version, kind, flags, length }
        } else {
            Self::Data { stream: StreamId(u32::from_be_bytes([a, b, c, d])), flags, length }
        }
    }

    /// The bytes of a head whose length fits ([`MAX_PAYLOAD`]).
    pub(crate) fn bytes(self) -> [u8; HEAD] {
        let (first, flags, length) = match self {
            Self::Control { version, kind, flags, length } => {
                (u32::from(CONTROL | version) << 16 | u32::from(kind), flags, length)
            }
            Self::Data { stream, flags, length } => (stream.0 & StreamId::MOST, flags, length),
        };
        let [a, b, c, d] = first.to_be_bytes();
        let [.., e, f, g] = (length.min(MAX_PAYLOAD) as u64).to_be_bytes();
        [a, b, c, d, flags, e, f, g]
    }
}

/// The head of a `DATA` frame with `length` bytes, at most [`MAX_PAYLOAD`], which follow it. For whoever
/// writes both with one call and no copy; [`crate::Connection::begin_data`] keeps the books.
pub fn data_header(stream: StreamId, length: usize, fin: bool) -> [u8; 8] {
    let flags = if fin { FLAG_FIN } else { 0 };
    Head::Data { stream, flags, length }.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head() -> impl Strategy<Value = Head> {
        let flags_and_length = (any::<u8>(), 0..=MAX_PAYLOAD);
        prop_oneof![
            (0..CONTROL, any::<u16>(), flags_and_length.clone()).prop_map(
                |(version, kind, (flags, length))| Head::Control { version, kind, flags, length }
            ),
            (0..=StreamId::MOST, flags_and_length).prop_map(|(stream, (flags, length))| {
                Head::Data { stream: StreamId(stream), flags, length }
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(head in head()) {
            prop_assert_eq!(Head::parse(head.bytes()), head);
        }
    }

    #[test]
    fn heads_are_those_of_the_draft() {
        assert_eq!(data_header(StreamId(7), 0x1_0203, true), [0, 0, 0, 7, 1, 1, 2, 3]);
        let ping = Head::Control { version: 3, kind: kind::PING, flags: 0, length: 4 };
        assert_eq!(ping.bytes(), [0x80, 3, 0, 6, 0, 0, 0, 4]);
    }
}

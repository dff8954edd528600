//! Frames out of bytes that arrive in any pieces.
//!
//! [`Reader`] keeps nothing but a head that is not whole: payloads are passed on as they come,
//! which is what a relay wants. [`Frames`] gathers payloads, up to the limit, for whoever wants
//! whole frames.

use crate::error::ConnectionError;
use crate::frame::{Head, HEAD};

/// A part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// The head. Its payload follows in one part at least, even if it is empty.
    Head(Head),
    /// Bytes of the payload.
    Payload {
        /// The bytes.
        bytes: &'a [u8],
        /// Whether the frame is whole with them.
        is_last: bool,
    },
}

#[derive(Debug, Clone, Copy)]
enum State {
    Head { bytes: [u8; HEAD], have: usize },
    Payload { left: usize },
}

const NEXT_HEAD: State = State::Head { bytes: [0; HEAD], have: 0 };

/// Cuts bytes into frames.
#[derive(Debug)]
pub struct Reader {
    max_payload: usize,
    state: State,
}

impl Reader {
    /// A reader that refuses frames with a payload of more than `max_payload` bytes.
    pub fn new(max_payload: usize) -> Self {
        Self { max_payload, state: NEXT_HEAD }
    }

    /// Changes the limit, from the next head on.
    pub fn set_max_payload(&mut self, max_payload: usize) {
        self.max_payload = max_payload;
    }

    /// Whether the next byte is the first of a frame.
    pub fn is_between_frames(&self) -> bool {
        matches!(self.state, State::Head { have: 0, .. })
    }

    /// Takes the next part from the front of `input`; `None` when all of it has been taken.
    ///
    /// # Errors
    /// When a frame is longer than the limit. Nothing more can be read then.
    pub fn read<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Part<'a>>, ConnectionError> {
        match &mut self.state {
            State::Head { bytes, have } => {
                let taken = take(input, HEAD - *have);
                bytes[*have..*have + taken.len()].copy_from_slice(taken);
                *have += taken.len();
                if *have < HEAD {
                    return Ok(None);
                }
                let head = Head::parse(*bytes);
                let (kind, length, most) = (head.kind, head.length, self.max_payload);
                if length > most {
                    return Err(ConnectionError::FrameTooLong { kind, length, most });
                }
                self.state = State::Payload { left: length };
                Ok(Some(Part::Head(head)))
            }
            State::Payload { left } => {
                let bytes = take(input, *left);
                *left -= bytes.len();
                let is_last = *left == 0;
                if is_last {
                    self.state = NEXT_HEAD;
                } else if bytes.is_empty() {
                    return Ok(None);
                }
                Ok(Some(Part::Payload { bytes, is_last }))
            }
        }
    }
}

/// Gathers whole frames.
#[derive(Debug)]
pub struct Frames {
    reader: Reader,
    gathering: Option<(Head, Vec<u8>)>,
}

impl Frames {
    /// Frames with a payload of at most `max_payload` bytes, which bounds what is kept.
    pub fn new(max_payload: usize) -> Self {
        Self { reader: Reader::new(max_payload), gathering: None }
    }

    /// Takes bytes from the front of `input` up to the end of a frame; `None` when all of them have
    /// been taken.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<(Head, Vec<u8>)>, ConnectionError> {
        while let Some(part) = self.reader.read(input)? {
            match (part, &mut self.gathering) {
                (Part::Head(head), gathering) => *gathering = Some((head, Vec::new())),
                (Part::Payload { bytes, is_last }, Some((_, payload))) => {
                    payload.extend_from_slice(bytes);
                    if is_last {
                        return Ok(self.gathering.take());
                    }
                }
                // A payload has a head before it.
                (Part::Payload { .. }, None) => {}
            }
        }
        Ok(None)
    }
}

/// Takes up to `most` bytes from the front.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(input.len().min(most));
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Kind, StreamId};
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn however_bytes_are_cut_the_frames_are_the_same(
            payloads in vec((any::<u8>(), vec(any::<u8>(), 0..50)), 1..8),
            pieces in vec(1usize..60, 1..8),
        ) {
            let mut bytes = Vec::new();
            let mut frames = Vec::new();
            for (kind, payload) in payloads {
                let (length, kind) = (payload.len(), Kind(kind));
                let head = Head { length, kind, flags: 3, stream: StreamId(5) };
                bytes.extend(head.bytes());
                bytes.extend(&payload);
                frames.push((head, payload));
            }
            let (mut reader, mut seen, mut rest) = (Frames::new(50), Vec::new(), &bytes[..]);
            for piece in pieces.iter().cycle() {
                let (mut piece, later) = rest.split_at(rest.len().min(*piece));
                rest = later;
                while let Some(frame) = reader.read(&mut piece).unwrap() {
                    seen.push(frame);
                }
                prop_assert!(piece.is_empty());
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert!(reader.reader.is_between_frames());
            prop_assert_eq!(seen, frames);
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_at_its_head() {
        let head = Head { length: 51, kind: Kind(99), flags: 0, stream: StreamId(0) };
        let mut reader = Reader::new(50);
        let error = reader.read(&mut &head.bytes()[..]).unwrap_err();
        assert_eq!(error.to_string(), "a type 99 frame has 51 bytes, more than 50");
        let mut reader = Reader::new(50);
        reader.set_max_payload(51);
        assert_eq!(reader.read(&mut &head.bytes()[..]), Ok(Some(Part::Head(head))));
        assert!(!reader.is_between_frames());
    }

    #[test]
    fn an_empty_payload_is_one_part() {
        let head = Head { length: 0, kind: Kind::SETTINGS, flags: 1, stream: StreamId(0) };
        let (mut reader, bytes) = (Reader::new(0), head.bytes());
        let mut input = &bytes[..];
        assert_eq!(reader.read(&mut input), Ok(Some(Part::Head(head))));
        let last = Part::Payload { bytes: &[], is_last: true };
        assert_eq!(reader.read(&mut input), Ok(Some(last)));
        assert_eq!(reader.read(&mut input), Ok(None));
    }
}
